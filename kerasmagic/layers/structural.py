"""Layers that shape a model rather than a tensor: inputs, masks, wrappers, arbitrary functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp

from kerasmagic.core import tree
from kerasmagic.core.dtypes import standardize_dtype
from kerasmagic.core.layer import Layer
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.core.symbolic import KerasTensor, Node
from kerasmagic.foundation.arguments import deprecated
from kerasmagic.foundation.errors import InvalidArgument, UnexpectedArgument, UnknownName
from kerasmagic.layers.base import LibraryLayer, on_tensors


class InputLayer(LibraryLayer):
    """The place where data enters a model; ``Input`` makes one and returns its tensor.

    Args:
        shape: Sizes without the batch; ``None`` is an open dimension, a string a named one.
        batch_size: The size of the batch, when it is fixed.
        dtype: The type of the data; the default float type when ``None``.
        sparse: Must be false: there are no sparse tensors on JAX.
        ragged: Must be false: there are no ragged tensors on JAX.
        batch_shape: Sizes with the batch, instead of ``shape`` and ``batch_size``.
        input_tensor: The symbolic tensor to stand for, instead of a new one.
        optional: Whether ``None`` may be passed for it.
        name: Its name; made up when ``None``.

    Raises:
        InvalidArgument: If the shape is missing, given twice, or contradicts ``input_tensor``.

    Example:

    >>> InputLayer(shape=(None, 8)).output.shape
    (None, None, 8)
    """

    def __init__(
        self,
        shape: Sequence[int | str | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | str | None] | None = None,
        input_tensor: KerasTensor | None = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name)
        if "input_shape" in kwargs:
            deprecated("Argument `input_shape` is deprecated. Use `shape` instead.")
            shape = kwargs.pop("input_shape")
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        if kwargs:
            raise InvalidArgument(f"Unrecognized keyword arguments passed to InputLayer: {kwargs}")
        if sparse or ragged:
            kind = "sparse" if sparse else "ragged"
            raise InvalidArgument(f"`{kind}=True` is not supported with the jax backend.")
        if input_tensor is None:
            dims = _batch_shape(shape, batch_size, batch_shape)
            input_tensor = KerasTensor(dims, standardize_dtype(dtype), name=name)
        else:
            _check_input_tensor(input_tensor, shape, batch_size, batch_shape, dtype)
        self.batch_shape = input_tensor.shape
        self.sparse = self.ragged = False
        self.optional = optional
        self._dtype = input_tensor.dtype
        Node(self, outputs=input_tensor)

    @property
    def dtype(self) -> str:
        """The type of the data."""
        return self._dtype

    def call(self) -> None:
        """Do nothing: data enters here."""

    def get_config(self) -> dict[str, Any]:
        names = ("batch_shape", "dtype", "sparse", "ragged", "name", "optional")
        return {name: getattr(self, name) for name in names}


def _batch_shape(shape: Any, batch_size: Any, batch_shape: Any) -> tuple[Any, ...]:
    if batch_shape is not None:
        for name, value in (("shape", shape), ("batch_size", batch_size)):
            if value is not None:
                raise InvalidArgument(f"You cannot pass both `{name}` and `batch_shape` at the same time.")
        return _standardize_shape(batch_shape)
    if shape is None:
        raise InvalidArgument("You must pass a `shape` argument.")
    return _standardize_shape((batch_size, *_standardize_shape(shape)))


def _standardize_shape(shape: Any) -> tuple[Any, ...]:
    if not isinstance(shape, (list, tuple)):
        raise InvalidArgument(
            f"Cannot convert {shape!r} to a shape: expected a tuple of sizes, such as `(28, 28)`."
        )
    for size in shape:
        if size is None or isinstance(size, str):
            continue
        if not hasattr(size, "__index__") or isinstance(size, bool):
            raise InvalidArgument(
                f"Cannot convert {tuple(shape)} to a shape. Found invalid entry {size!r} of type {type(size)}."
            )
        if size < 0:
            raise InvalidArgument(
                f"Cannot convert {tuple(shape)} to a shape. Negative dimensions are not allowed."
            )
    return tuple(size if size is None or isinstance(size, str) else int(size) for size in shape)


def _check_input_tensor(tensor: Any, shape: Any, batch_size: Any, batch_shape: Any, dtype: Any) -> None:
    if not isinstance(tensor, KerasTensor):
        raise InvalidArgument(
            f"Argument `input_tensor` must be a KerasTensor. Received: input_tensor={tensor!r} (of type {type(tensor)})"
        )
    claims = {
        "batch_size": (batch_size, tensor.shape[0] if tensor.shape else None),
        "shape": (None if shape is None else tuple(shape), tensor.shape[1:]),
        "batch_shape": (None if batch_shape is None else tuple(batch_shape), tensor.shape),
        "dtype": (None if dtype is None else standardize_dtype(dtype), tensor.dtype),
    }
    for name, (claimed, actual) in claims.items():
        if claimed is not None and claimed != actual:
            raise InvalidArgument(
                f"When providing the `input_tensor` argument, you cannot provide an incompatible `{name}` argument. "
                f"Received: {name}={claimed}, the tensor has {actual}."
            )


def Input(
    shape: Sequence[int | str | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | str | None] | None = None,
    name: str | None = None,
    tensor: KerasTensor | None = None,
    optional: bool = False,
) -> Any:
    """Return a symbolic tensor at which data enters a model.

    Args:
        shape: Sizes without the batch; ``None`` is an open dimension, a string a named one.
        batch_size: The size of the batch, when it is fixed.
        dtype: The type of the data; the default float type when ``None``.
        sparse: Must be false: there are no sparse tensors on JAX.
        ragged: Must be false: there are no ragged tensors on JAX.
        batch_shape: Sizes with the batch, instead of ``shape`` and ``batch_size``.
        name: Its name; made up when ``None``.
        tensor: The symbolic tensor to stand for, instead of a new one.
        optional: Whether ``None`` may be passed for it.

    Returns:
        A ``KerasTensor`` of shape ``(batch, *shape)``.

    Raises:
        InvalidArgument: If the shape is missing, given twice, or contradicts ``tensor``.

    Example:

    >>> x = Input(shape=("tokens", 64))
    >>> x.shape, x.dims
    ((None, None, 64), (batch, tokens, 64))
    """
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        name=name,
        input_tensor=tensor,
        optional=optional,
    )
    return layer.output


class Identity(LibraryLayer):
    """Returns its input, of any shape.

    Example:

    >>> import jax.numpy as jnp
    >>> Identity()(jnp.ones((2, 3))).shape
    (2, 3)
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs


class Masking(LibraryLayer):
    """Masks the time steps whose features all equal ``mask_value``, and sets them to 0.

    Input and output shape ``(batch, time, ..., features)``, mask ``(batch, time, ...)``.

    Args:
        mask_value: The value that marks a missing step.

    Example:

    >>> import jax.numpy as jnp
    >>> Masking(mask_value=-1.0)(jnp.array([[[1.0, 2.0], [-1.0, -1.0]]])).tolist()
    [[[1.0, 2.0], [0.0, 0.0]]]
    """

    def __init__(self, mask_value: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(mask_value, dict):
            mask_value = deserialize_keras_object(mask_value)
        self.mask_value = mask_value
        self.supports_masking = True

    def _present(self, inputs: Any) -> Any:
        return jnp.any(jnp.not_equal(inputs, self.mask_value), axis=-1)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return on_tensors(self._present, inputs)

    def call(self, inputs: Any) -> Any:
        return jnp.where(self._present(inputs)[..., None], inputs, jnp.zeros((), inputs.dtype))


class Wrapper(LibraryLayer):
    """The base of layers that change what another layer does.

    Args:
        layer: The layer inside.

    Raises:
        InvalidArgument: If ``layer`` is no layer.

    Example:

    >>> import jax.numpy as jnp
    >>> class Twice(Wrapper):
    ...     def call(self, inputs):
    ...         return 2 * self.layer(inputs)
    >>> Twice(Identity())(jnp.ones((1, 2))).tolist()
    [[2.0, 2.0]]
    """

    def __init__(self, layer: Any, **kwargs: Any):
        if not isinstance(layer, Layer):
            raise InvalidArgument(
                f"Layer {layer!r} supplied to {type(self).__name__} isn't a supported layer type. "
                "Please ensure wrapped layer is a valid Keras layer."
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a wrapper and the layer inside."""
        return super().from_config({**config, "layer": deserialize_keras_object(config["layer"])})


class Lambda(LibraryLayer):
    """Applies a function of arrays.

    A file never holds its code: a named function is written by name and must be registered or passed in
    ``custom_objects`` to be read again, a ``lambda`` cannot be written.

    Args:
        function: Takes the inputs, and ``mask`` and ``training`` if it has arguments of these names.
        output_shape: The shape of the output without the batch, or a function from the input shape to it
            with the batch; inferred when ``None``.
        mask: The output's mask, or a function ``(inputs, mask)`` that returns it.
        arguments: More keyword arguments of ``function``.

    Example:

    >>> import jax.numpy as jnp
    >>> Lambda(lambda x: x**2)(jnp.array([3.0])).tolist()
    [9.0]
    """

    config_omits: ClassVar[frozenset[str]] = frozenset({"function", "output_shape", "mask", "arguments"})

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not callable(function):
            raise UnexpectedArgument(f"`function` must be callable. Received: function={function!r}")
        self.function = function
        self.arguments = arguments or {}
        self.mask = mask
        self.supports_masking = mask is not None
        self._output_shape = output_shape
        named = set(inspect.signature(function).parameters)
        self._passes_on = tuple(name for name in ("mask", "training") if name in named)

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        context = {"mask": mask, "training": training}
        return self.function(inputs, **self.arguments, **{name: context[name] for name in self._passes_on})

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if self._output_shape is None:
            return super().compute_output_spec(inputs, *args, **kwargs)
        shape = self._declared_shape(tree.map_structure(lambda x: x.shape, inputs))
        return tree.map_shapes(lambda s: KerasTensor(tuple(s), self.compute_dtype), shape)

    def _declared_shape(self, input_shape: Any) -> Any:
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        batch = tree.flatten(input_shape)[0]
        return tree.map_shapes(lambda shape: (batch, *shape), self._output_shape)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "function": serialize_keras_object(self.function)}
        if self._output_shape is not None:
            config["output_shape"] = serialize_keras_object(self._output_shape)
        if self.mask is not None:
            config["mask"] = serialize_keras_object(self.mask)
        return {**config, "arguments": serialize_keras_object(dict(self.arguments))}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make the layer; its functions are found by name.

        Raises:
            UnknownName: If the config holds the code of a ``lambda``: reading it would execute it.
        """
        config = dict(config)
        for name in ("function", "output_shape", "mask", "arguments"):
            value = config.get(name)
            if isinstance(value, dict) and value.get("class_name") == "__lambda__":
                raise UnknownName(
                    f"The `{name}` of this `Lambda` layer is a Python lambda. Reading it could execute arbitrary "
                    "code and is refused. Write a named function and register it with "
                    "`keras.saving.register_keras_serializable()`."
                )
            if name in config:
                config[name] = deserialize_keras_object(value)
        if isinstance(config.get("output_shape"), list):
            config["output_shape"] = tree.lists_to_tuples(config["output_shape"])
        return super().from_config(config)
