"""Functions and modules of JAX as layers: their parameters become weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from kerasmagic.core import tree
from kerasmagic.core.dtypes import is_float_dtype, standardize_dtype
from kerasmagic.core.random import SeedGenerator, draw_seed
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.layers.base import LibraryLayer

_CALL_ARGUMENTS = ("params", "state", "rng", "inputs", "training")
_INIT_ARGUMENTS = ("rng", "inputs", "training")


class JaxLayer(LibraryLayer):
    """A pure function of parameters and inputs as a layer.

    ``call_fn`` takes ``inputs`` (one tensor or a structure of them) and any of ``params``, ``state``, ``rng``
    and ``training``, by these names. With ``state`` it returns ``(outputs, new_state)``, else the outputs.
    ``init_fn`` takes ``inputs`` (ones of the right shape) and any of ``rng`` and ``training``, and returns the
    parameters, with ``state`` a pair of parameters and state.

    Args:
        call_fn: The function.
        init_fn: What makes parameters and state when the layer is built; not needed where they are given.
        params: What is trained: a structure of arrays.
        state: What each call renews: a structure of arrays.
        seed: Fixes the random numbers that ``call_fn`` gets.
        native_serialization_platforms: Kept in the config.

    Raises:
        InvalidArgument: If a function lacks ``inputs`` or takes another argument, or nothing makes the
            parameters; when built, if that happens inside a traced function.

    Example:

    >>> import jax
    >>> import jax.numpy as jnp
    >>> def affine(params, inputs):
    ...     return inputs @ params["w"] + params["b"]
    >>> def first(rng, inputs):
    ...     return {"w": jax.random.normal(rng, (inputs.shape[-1], 4)), "b": jnp.zeros(4)}
    >>> layer = JaxLayer(affine, first)
    >>> layer(jnp.ones((2, 3))).shape, len(layer.trainable_weights)
    ((2, 4), 2)
    """

    config_omits: ClassVar[frozenset[str]] = frozenset({"params", "state", "seed"})

    params: Any
    state: Any

    def __init__(
        self,
        call_fn: Callable[..., Any],
        init_fn: Callable[..., Any] | None = None,
        params: Any = None,
        state: Any = None,
        seed: int | None = None,
        native_serialization_platforms: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.call_fn = call_fn
        self.init_fn = init_fn
        self.native_serialization_platforms = native_serialization_platforms
        self._call_arguments = _accepted(call_fn, "call_fn", _CALL_ARGUMENTS)
        self._init_arguments = _accepted(init_fn, "init_fn", _INIT_ARGUMENTS) if init_fn else ()
        takes_weights = {"params", "state"} & set(self._call_arguments)
        if init_fn is None and params is None and state is None and takes_weights:
            raise InvalidArgument(
                "`init_fn`, `params` and `state` cannot all be `None` when `call_fn` takes a `params` or a `state` "
                "argument."
            )
        self._make_weights(params, state)
        self.seed_generator = SeedGenerator(seed) if "rng" in self._call_arguments else None
        if params is not None or state is not None:
            self.build(None)

    def _make_weights(self, params: Any, state: Any) -> None:
        for name, values, trainable in (("params", params, True), ("state", state, False)):
            variables = jax.tree.map(lambda value, t=trainable: self._weight(value, t), values)
            # Past the tracking of attributes: the functions get back the containers that they know.
            object.__setattr__(self, name, variables)

    def _weight(self, value: Any, trainable: bool) -> Any:
        """Return a variable for a number or an array; another leaf is a setting and stays as it is."""
        if not isinstance(value, (bool, int, float, np.ndarray, np.generic, jax.Array)):
            return value
        array = np.asarray(value)
        dtype = standardize_dtype(getattr(value, "dtype", type(value)))
        return self.add_weight(
            array.shape,
            initializer=lambda shape, dtype: array,
            # Floats take the type that the layer's policy says.
            dtype=None if is_float_dtype(dtype) else dtype,
            trainable=trainable,
        )

    def build(self, input_shape: Any) -> None:
        wanted = {"params", "state"} & set(self._call_arguments)
        if self.params is None and self.state is None and wanted:
            self._initialize(input_shape)

    def _initialize(self, input_shape: Any) -> None:
        def ones(shape: Any) -> Any:
            return jnp.ones([1 if size is None else size for size in shape])

        if isinstance(jnp.zeros(()), Tracer):
            raise InvalidArgument(f"'{type(self).__name__}' cannot be built in a tracing scope")
        assert self.init_fn is not None
        given = {"inputs": tree.map_shapes(ones, input_shape), "training": True}
        if "rng" in self._init_arguments:
            given["rng"] = jax.tree.map(jnp.array, self._get_init_rng())
        made = self.init_fn(*(given[name] for name in self._init_arguments))
        self._make_weights(*(made if "state" in self._call_arguments else (made, None)))

    def _get_init_seed(self) -> Any:
        """Return a new seed ``(2,)`` for ``init_fn``."""
        return draw_seed(None)

    def _get_init_rng(self) -> Any:
        """Return what ``init_fn`` gets as ``rng``: a seed, or in a subclass any structure of seeds."""
        return self._get_init_seed()

    def _get_call_seed(self) -> Any:
        """Return a new seed ``(2,)`` for ``call_fn``."""
        assert self.seed_generator is not None
        return self.seed_generator.next()

    def _get_call_rng(self, training: bool | None) -> Any:
        """Return what ``call_fn`` gets as ``rng``: a seed in training, or in a subclass any structure."""
        return self._get_call_seed() if training else None

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        given = {"inputs": inputs, "training": training, "params": _values(self.params)}
        given["state"] = _values(self.state)
        if "rng" in self._call_arguments:
            given["rng"] = self._get_call_rng(training)
        result = self.call_fn(*(given[name] for name in self._call_arguments))
        if "state" not in self._call_arguments:
            return result
        outputs, state = result
        try:
            jax.tree.map(lambda value, variable: variable.assign(value), state, self.state)
        except (ValueError, AttributeError) as error:
            raise ShapeMismatch(
                "Structure mismatch: the structure of the state returned by `call` does not match the structure of "
                f"the state at initialization time. {error}"
            ) from None
        return outputs

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        functions = {name: config.get(name) for name in ("call_fn", "init_fn")}
        return super().from_config(
            {
                **config,
                **{name: deserialize_keras_object(f) for name, f in functions.items() if f is not None},
            }
        )


def _is_variable(x: Any) -> bool:
    return isinstance(x, Variable)


def _values(variables: Any) -> Any:
    return jax.tree.map(lambda v: v.value if _is_variable(v) else v, variables, is_leaf=_is_variable)


def _accepted(function: Callable[..., Any], role: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Return the parameters of a function, which get their values by position."""
    names = tuple(inspect.signature(function).parameters)
    if "inputs" not in names:
        raise InvalidArgument(f"Missing required argument in `{role}`: `inputs`")
    for name in names:
        if name not in allowed:
            raise InvalidArgument(
                f"Unsupported argument in `{role}`: `{name}`, supported arguments are `{'`, `'.join(allowed)}`"
            )
    return names


class FlaxLayer(JaxLayer):
    """A module of Flax (``flax.linen``) as a layer.

    The method that is called takes ``inputs`` (one tensor or a structure of them) and may take ``training``,
    by these names. Collections other than ``params`` are state, which each call renews; in training there is
    a random generator ``dropout``.

    Args:
        module: The module.
        method: What is called: a method of the module, or a function that gets the module first;
            ``__call__`` when ``None``.
        variables: Collections of arrays as ``module.init`` returns them; made when the layer is built if ``None``.
        kwargs: As of ``JaxLayer``.

    Example:

    >>> import jax.numpy as jnp
    >>> class Scale:  # an object with the two methods that a Flax module has
    ...     def __call__(self, inputs): ...
    ...     def init(self, rng, inputs, method=None):
    ...         return {"params": {"scale": jnp.ones(inputs.shape[-1])}}
    ...     def apply(self, variables, inputs, rngs, method, mutable):
    ...         return inputs * variables["params"]["scale"], {}
    >>> FlaxLayer(Scale())(jnp.ones((2, 3))).shape
    (2, 3)
    """

    config_omits: ClassVar[frozenset[str]] = JaxLayer.config_omits | {"call_fn", "init_fn", "variables"}

    def __init__(self, module: Any, method: Any = None, variables: Any = None, **kwargs: Any):
        def call(params: Any, state: Any, rng: Any, inputs: Any, training: Any) -> Any:
            return apply(params, state, rng, inputs, training=training)

        def apply(params: Any, state: Any, rng: Any, inputs: Any, **options: Any) -> Any:
            variables = {**(params or {}), **(state or {})}
            # Only what was there when the layer was built can be kept.
            return module.apply(
                variables, inputs, rngs=rng, method=method, mutable=list(state or {}), **options
            )

        def call_always(params: Any, state: Any, rng: Any, inputs: Any) -> Any:
            return apply(params, state, rng, inputs)

        def init(rng: Any, inputs: Any, training: Any) -> Any:
            return _params_and_state(module.init(rng, inputs, method=method, training=training))

        def init_always(rng: Any, inputs: Any) -> Any:
            return _params_and_state(module.init(rng, inputs, method=method))

        has_training = "training" in inspect.signature(method or module.__call__).parameters
        params, state = (None, None) if variables is None else _params_and_state(variables)
        super().__init__(
            call_fn=call if has_training else call_always,
            init_fn=init if has_training else init_always,
            params=params,
            state=state,
            **kwargs,
        )
        self.module = module
        self.method = method

    def _get_init_rng(self) -> Any:
        return {"params": self._get_init_seed(), "dropout": self._get_init_seed()}

    def _get_call_rng(self, training: bool | None) -> Any:
        return {"dropout": self._get_call_seed()} if training else {}

    def get_config(self) -> dict[str, Any]:
        method = self.method
        if getattr(method, "__self__", None) is self.module:
            method = method.__name__
        config = super().get_config()
        return {**config, "method": serialize_keras_object(method)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        module, method = (deserialize_keras_object(config[name]) for name in ("module", "method"))
        if isinstance(method, str):
            if method.startswith("_"):
                raise InvalidArgument(
                    f"A file may name public methods of the module only. Received: {method!r}"
                )
            method = getattr(module, method)
        return super().from_config({**config, "module": module, "method": method})


def _params_and_state(variables: Any) -> tuple[Any, Any]:
    """Return the collection ``params`` and the others apart."""
    state = {name: collection for name, collection in variables.items() if name != "params"}
    return {name: collection for name, collection in variables.items() if name == "params"}, state
