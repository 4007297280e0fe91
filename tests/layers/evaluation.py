"""A row of the table, computed by one library: the same code drives ours and the oracle."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import json
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from tests.layers.case import Case


@dataclasses.dataclass(frozen=True)
class Library:
    """What the checks need of a library beside its layers."""

    layers: Any
    symbolic: Callable[..., Any]
    deserialize: Callable[[Any], Any]
    set_mask: Callable[[Any, Any], None]
    get_mask: Callable[[Any], Any]
    call: Callable[..., Any]
    building: Callable[[], contextlib.AbstractContextManager[Any]]


@functools.cache
def ours() -> Library:
    import kerasmagic.layers
    from kerasmagic.core.masking import get_keras_mask, set_keras_mask
    from kerasmagic.core.serialization import deserialize_keras_object
    from kerasmagic.core.symbolic import KerasTensor

    def call(layer: Any, trainable: list[Any], state: list[Any], *args: Any, **kwargs: Any) -> Any:
        return layer.stateless_call(trainable, state, *args, return_losses=True, **kwargs)

    return Library(
        layers=kerasmagic.layers,
        symbolic=KerasTensor,
        deserialize=deserialize_keras_object,
        set_mask=set_keras_mask,
        get_mask=get_keras_mask,
        call=call,
        building=contextlib.nullcontext,
    )


@functools.cache
def oracle() -> Library:
    with quiet():
        import keras
        from keras.src import backend

    def call(layer: Any, trainable: list[Any], state: list[Any], *args: Any, **kwargs: Any) -> Any:
        # `stateless_call` of a single layer goes past `__call__`: no masks, no activity losses, no autocast.
        mapping = [
            *zip(layer.trainable_variables, trainable, strict=True),
            *zip(layer.non_trainable_variables, state, strict=True),
        ]
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            outputs = layer(*args, **kwargs)
            losses = layer.losses
        return outputs, [scope.get_current_value(v) for v in layer.non_trainable_variables], losses

    draw = keras.Variable._initialize_with_initializer

    def zeros(variable: Any, initializer: Any) -> None:
        if variable.dtype == "float32":
            variable._initialize(jax.device_put(np.zeros(variable.shape, np.float32)))
        else:
            draw(variable, initializer)

    def building() -> contextlib.AbstractContextManager[Any]:
        # A row sets all weights itself, and Keras compiles several programs for the first values of each.
        return mock.patch.object(keras.Variable, "_initialize_with_initializer", zeros)

    return Library(
        layers=keras.layers,
        symbolic=keras.KerasTensor,
        deserialize=keras.saving.deserialize_keras_object,
        set_mask=backend.set_keras_mask,
        get_mask=backend.get_keras_mask,
        call=call,
        building=building,
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Ignore warnings: legacy arguments and lost masks have tests of their own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def plain(config: Any) -> Any:
    """Return a config as it is after a trip through a file."""
    return json.loads(json.dumps(config))


def flat(structure: Any) -> list[Any]:
    """Return the leaves of nested lists, tuples and dicts."""
    if isinstance(structure, dict):
        return [leaf for key in structure for leaf in flat(structure[key])]
    if isinstance(structure, (list, tuple)):
        return [leaf for item in structure for leaf in flat(item)]
    return [structure]


def _is_layer(value: Any) -> bool:
    return isinstance(value, dict) and value.get("module") == "keras.layers"


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(d, int) for d in value)


class Sample:
    """Inputs, masks and weights of a row, drawn from the row itself."""

    def __init__(self, case: Case):
        self.case = case
        self.rng = np.random.default_rng(zlib.crc32(case.id.encode()))
        self.shapes = [case.inputs] if _is_shape(case.inputs) else flat_shapes(case.inputs)
        self.inputs = [self._draw(shape) for shape in self.shapes]
        masked = len(self.shapes) if case.mask == "all" else int(bool(case.mask))
        self.masks = [self._mask(shape) if i < masked else None for i, shape in enumerate(self.shapes)]

    def _draw(self, shape: tuple[int, ...]) -> np.ndarray:
        if self.case.dtype.startswith(("int", "uint")):
            return self.rng.integers(0, self.case.high, shape).astype(self.case.dtype)
        return self.rng.normal(size=shape).astype(self.case.dtype)

    def _mask(self, shape: tuple[int, ...]) -> np.ndarray:
        mask = self.rng.random(shape[:2]) < 0.6
        mask[:, 0] = True
        return mask

    def structure(self, leaves: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the positional and keyword arguments of the call with ``leaves`` for inputs."""
        inputs = self.case.inputs
        if _is_shape(inputs):
            return (leaves[0],), {}
        if isinstance(inputs, dict):
            remaining = list(leaves)
            named = {
                name: remaining.pop(0) if _is_shape(s) else [remaining.pop(0) for _ in s]
                for name, s in inputs.items()
            }
            return (), named
        return (list(leaves),), {}

    def weight(self, variable: Any, index: int) -> Any:
        """Return a value for the variable at ``index``: seeds all alike, moving statistics positive."""
        rng = np.random.default_rng([zlib.crc32(self.case.id.encode()), index])
        dtype = str(variable.dtype)
        if dtype == "uint32":
            return np.array([1337, 0], dtype=np.uint32)
        if "float" not in dtype:
            return np.asarray(variable.value)
        if variable.trainable:
            return (0.5 * rng.normal(size=variable.shape)).astype(np.float32)
        return rng.uniform(0.5, 1.5, variable.shape).astype(np.float32)


def flat_shapes(structure: Any) -> list[tuple[int, ...]]:
    """Return the shapes in a list or dict of shapes."""
    items = structure.values() if isinstance(structure, dict) else structure
    return [shape for item in items for shape in ([item] if _is_shape(item) else item)]


@dataclasses.dataclass
class Result:
    """What a call gave: arrays as NumPy, in flat lists."""

    outputs: list[np.ndarray]
    masks: list[np.ndarray | None]
    state: list[np.ndarray]
    losses: float
    weight_gradients: list[np.ndarray] = dataclasses.field(default_factory=list)
    input_gradients: list[np.ndarray] = dataclasses.field(default_factory=list)


class Row:
    """A row in one library; everything is computed once, when it is first asked for."""

    def __init__(self, library: Library, case: Case, dtype: str | None = None):
        self.library, self.case, self.dtype = library, case, dtype
        self.sample = Sample(case)

    def make(self) -> Any:
        """Return a new layer of this row's configuration."""
        config = {key: self._argument(value) for key, value in self.case.config.items()}
        if self.dtype is not None:
            config["dtype"] = self.dtype
        with quiet():
            return getattr(self.library.layers, self.case.layer)(**{"name": "probe", **config})

    def _argument(self, value: Any) -> Any:
        if _is_layer(value):
            return self.library.deserialize(copy.deepcopy(self._of_type(value)))
        return [self._argument(item) for item in value] if isinstance(value, list) else value

    def _of_type(self, value: Any) -> Any:
        """Return a layer's serialized form with the row's dtype, and so the layers inside of it."""
        if self.dtype is not None and _is_layer(value):
            config = {name: self._of_type(item) for name, item in value["config"].items()}
            return {**value, "config": {**config, "dtype": self.dtype}}
        return [self._of_type(item) for item in value] if isinstance(value, list) else value

    @functools.cached_property
    def config(self) -> Any:
        """The config of a layer that has not been called."""
        return self.make().get_config()

    @functools.cached_property
    def symbolic(self) -> tuple[Any, list[Any]]:
        """A layer called on symbolic tensors with open axes, and its flat outputs."""
        layer = self.make()
        tensors = [
            self.library.symbolic(self._opened(shape), dtype=self.case.dtype) for shape in self.sample.shapes
        ]
        args, kwargs = self.sample.structure(tensors)
        with quiet(), self.library.building():
            return layer, flat(layer(*args, **kwargs, **self.case.call))

    def _opened(self, shape: tuple[int, ...]) -> tuple[int | None, ...]:
        rank = len(shape)
        opened = {axis % rank for axis in self.case.open_axes if -rank <= axis < rank}
        return tuple(None if axis in opened else size for axis, size in enumerate(shape))

    @property
    def layer(self) -> Any:
        """A layer that is built."""
        return self.symbolic[0]

    def values(self) -> tuple[list[Any], list[Any]]:
        """Return arrays for the trainable and the other variables, drawn by their place."""
        places = {id(v): i for i, v in enumerate(self.layer.variables)}

        def draw(variables: list[Any]) -> list[Any]:
            return [jax.device_put(self.sample.weight(v, places[id(v)])) for v in variables]

        return draw(self.layer.trainable_variables), draw(self.layer.non_trainable_variables)

    def call(self, trainable: list[Any], state: list[Any], inputs: list[Any]) -> Any:
        """Return outputs, masks, updated state and losses of a stateless call."""
        leaves = [jnp.asarray(x) for x in inputs]
        for leaf, mask in zip(leaves, self.sample.masks, strict=True):
            if mask is not None:
                self.library.set_mask(leaf, jnp.asarray(mask))
        args, kwargs = self.sample.structure(leaves)
        with quiet():
            outputs, updated, losses = self.library.call(
                self.layer, trainable, state, *args, **kwargs, **self.case.call
            )
        outputs = flat(outputs)
        return outputs, [self.library.get_mask(x) for x in outputs], updated, losses

    def eager(self) -> list[Any]:
        """Return the outputs of a call outside of any trace."""
        return self.call(*self.values(), self.sample.inputs)[0]

    @functools.cached_property
    def compiled(self) -> Callable[..., Any]:
        """The differentiated call: faster to compile as a whole than operation by operation."""
        _, state = self.values()
        floats = [i for i, x in enumerate(self.sample.inputs) if x.dtype.kind == "f"]

        def scalar(trainable: list[Any], given: list[Any]) -> Any:
            inputs = list(self.sample.inputs)
            for i, x in zip(floats, given, strict=True):
                inputs[i] = x
            outputs, masks, updated, losses = self.call(trainable, state, inputs)
            total = sum(
                jnp.sum(y.astype("float32") * _cotangent(y.shape))
                for y in outputs
                if jnp.issubdtype(y.dtype, jnp.floating)
            )
            return jnp.asarray(total, "float32"), (outputs, masks, updated, sum(losses, jnp.zeros(())))

        function = jax.jit(jax.value_and_grad(scalar, argnums=(0, 1), has_aux=True))
        given = [jax.device_put(self.sample.inputs[i]) for i in floats]
        return lambda trainable: function(trainable, given)

    def run(self, trainable: list[Any]) -> Result:
        """Return what the layer computes with these values of its trainable variables."""
        (_, (outputs, masks, updated, losses)), (by_weight, by_input) = self.compiled(trainable)
        return Result(
            [np.asarray(y) for y in outputs],
            [None if m is None else np.asarray(m) for m in masks],
            [np.asarray(v) for v in updated],
            float(losses),
            [np.asarray(g) for g in by_weight],
            [np.asarray(g) for g in by_input],
        )

    @functools.cached_property
    def result(self) -> Result:
        """Outputs and gradients with the drawn weights."""
        return self.run(self.values()[0])

    def forward(self) -> Result:
        """Return what the layer computes, without gradients."""
        trainable, state = self.values()
        outputs, masks, updated, losses = jax.jit(
            lambda trainable: self.call(trainable, state, self.sample.inputs)
        )(trainable)
        return Result(
            [np.asarray(y) for y in outputs],
            [None if m is None else np.asarray(m) for m in masks],
            [np.asarray(v) for v in updated],
            float(sum(losses)),
        )

    def outputs(self) -> list[Any]:
        """Return the outputs alone."""
        return self.forward().outputs


def _cotangent(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)
