"""Activation functions as layers; none changes the shape of its input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic import activations
from kerasmagic.core.dtypes import standardize_dtype
from kerasmagic.core.input_spec import InputSpec
from kerasmagic.core.serialization import resolve
from kerasmagic.foundation.arguments import deprecated, integers
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.foundation.registry import ACTIVATIONS, CONSTRAINTS, INITIALIZERS, REGULARIZERS
from kerasmagic.layers.base import LibraryLayer


class _Elementwise(LibraryLayer):
    """A layer that passes masks on."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True


class Activation(_Elementwise):
    """Applies an activation function.

    Args:
        activation: A function or its name.

    Raises:
        UnknownName: If the name stands for no activation function.

    Example:

    >>> import jax.numpy as jnp
    >>> Activation("relu")(jnp.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, activation: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.activation = resolve(ACTIVATIONS, "linear" if activation is None else activation)

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)


class ReLU(_Elementwise):
    """Computes ``max(x, 0)``, or with more parameters a leaky, capped or shifted form of it.

    Args:
        max_value: The highest output; unlimited when ``None``.
        negative_slope: The slope below ``threshold``.
        threshold: Where the output leaves zero.

    Raises:
        InvalidArgument: If one of them is negative.

    Example:

    >>> import jax.numpy as jnp
    >>> ReLU(max_value=1.5, negative_slope=0.5)(jnp.array([-1.0, 1.0, 2.0])).tolist()
    [-0.5, 1.0, 1.5]
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float | None = 0.0,
        threshold: float | None = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else _not_negative(self, "max_value", max_value)
        self.negative_slope = _not_negative(self, "negative_slope", negative_slope)
        self.threshold = _not_negative(self, "threshold", threshold)

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(_Elementwise):
    """Computes ``x`` where it is positive, else ``negative_slope * x``.

    Args:
        negative_slope: The slope below zero; ``alpha`` is its old name.

    Raises:
        InvalidArgument: If it is negative.

    Example:

    >>> import jax.numpy as jnp
    >>> LeakyReLU(0.5)(jnp.array([-1.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    def __init__(self, negative_slope: float | None = 0.3, **kwargs: Any):
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
            deprecated("Argument `alpha` is deprecated. Use `negative_slope` instead.")
        super().__init__(**kwargs)
        self.negative_slope = _not_negative(self, "negative_slope", negative_slope)

    def call(self, inputs: Any) -> Any:
        return activations.leaky_relu(inputs, self.negative_slope)


class ELU(_Elementwise):
    """Computes ``x`` where it is positive, else ``alpha * (exp(x) - 1)``.

    Args:
        alpha: The negative of the lowest output.

    Example:

    >>> import jax.numpy as jnp
    >>> ELU()(jnp.array([-100.0, 2.0])).tolist()
    [-1.0, 2.0]
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Any) -> Any:
        return activations.elu(inputs, self.alpha)


class PReLU(_Elementwise):
    """Computes ``x`` where it is positive, else ``alpha * x`` with a learned ``alpha``.

    Args:
        alpha_initializer: Initial values of ``alpha``, of the shape of an input without the batch.
        alpha_regularizer: Penalty on ``alpha``.
        alpha_constraint: Constraint on ``alpha``.
        shared_axes: Axes, from 1, along which ``alpha`` is the same.

    Raises:
        UnexpectedArgument: If ``shared_axes`` is no integer and no list of integers.
        ShapeMismatch: When built, if the input has no such axis.

    Example:

    >>> import jax.numpy as jnp
    >>> layer = PReLU(shared_axes=[1, 2])
    >>> layer(jnp.ones((1, 8, 8, 3))).shape, layer.alpha.shape
    ((1, 8, 8, 3), (1, 1, 3))
    """

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.alpha_initializer = resolve(INITIALIZERS, alpha_initializer)
        self.alpha_regularizer = resolve(REGULARIZERS, alpha_regularizer)
        self.alpha_constraint = resolve(CONSTRAINTS, alpha_constraint)
        self.shared_axes = None if shared_axes is None else integers("shared_axes", shared_axes)

    def build(self, input_shape: Any) -> None:
        shared = self.shared_axes or ()
        if not all(0 < axis < len(input_shape) for axis in shared):
            raise ShapeMismatch(
                f"The `shared_axes` of layer {self.name!r} count from 1, the first axis behind the batch, to the "
                f"last. Received: shared_axes={self.shared_axes}, input_shape={tuple(input_shape)}"
            )
        self.alpha = self.add_weight(
            shape=tuple(1 if axis in shared else size for axis, size in enumerate(input_shape) if axis),
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
            name="alpha",
        )
        axes = {axis: size for axis, size in enumerate(input_shape) if axis and shared and axis not in shared}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes)

    def call(self, inputs: Any) -> Any:
        return jax.nn.relu(inputs) - self.alpha.value * jax.nn.relu(-inputs)


class Softmax(_Elementwise):
    """Scales to positive numbers that sum to 1.

    Args:
        axis: The axis, or axes, over which they sum to 1; all when ``None``.

    Raises:
        UnexpectedArgument: If ``axis`` is no integer and no list of integers.

    Call arguments:
        inputs: A tensor of any shape.
        mask: What takes part: a boolean tensor that broadcasts to ``inputs``; the rest becomes 0.

    Raises:
        ShapeMismatch: If the mask does not broadcast to the inputs, or they have no such axis.

    Example:

    >>> import jax.numpy as jnp
    >>> Softmax()(jnp.zeros((1, 4)), mask=jnp.array([[True, True, False, False]])).tolist()
    [[0.5, 0.5, 0.0, 0.0]]
    """

    def __init__(self, axis: int | Sequence[int] | None = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self._axes = None if axis is None else tuple(integers("axis", axis))
        self.axis = axis

    def call(self, inputs: Any, mask: Any = None) -> Any:
        axis = tuple(range(inputs.ndim)) if self._axes is None else self._axes
        if not all(-inputs.ndim <= each < inputs.ndim for each in axis):
            raise ShapeMismatch(
                f"The inputs of layer {self.name!r} have no axis {self.axis}. Received: inputs.shape={inputs.shape}"
            )
        if mask is None:
            return jax.nn.softmax(inputs, axis=axis)
        _check_broadcast(mask.shape, inputs.shape, self.name)
        mask = mask if standardize_dtype(mask.dtype) == "bool" else mask > 0.5
        # A finite number: where everything is masked, infinity would give NaN.
        low = -3e4 if inputs.dtype == jnp.float16 else -1e9
        outputs = jax.nn.softmax(jnp.where(mask, inputs, jnp.asarray(low, inputs.dtype)), axis=axis)
        return jnp.where(mask, outputs, jnp.zeros((), outputs.dtype))


def _check_broadcast(mask: tuple[Any, ...], inputs: tuple[Any, ...], name: str) -> None:
    pairs = zip(reversed(mask), reversed(inputs), strict=False)
    if len(mask) > len(inputs) or not all(m in (1, x) for m, x in pairs):
        raise ShapeMismatch(
            f"The `mask` of layer {name!r} must be broadcastable to `inputs`: each of its dimensions must be 1 or "
            f"that of the inputs, counted from the last. Received: inputs.shape={inputs}, mask.shape={mask}"
        )


def _not_negative(layer: LibraryLayer, name: str, value: Any) -> Any:
    if value is None or not value >= 0:
        raise InvalidArgument(
            f"The `{name}` of a {type(layer).__name__} layer cannot be None or negative. Received: {name}={value!r}"
        )
    return value
