"""Layers that normalize each example by itself, and one that normalizes another layer's kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from kerasmagic.core.input_spec import InputSpec
from kerasmagic.core.serialization import resolve
from kerasmagic.foundation.arguments import deprecated, integers
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.foundation.registry import CONSTRAINTS, INITIALIZERS, REGULARIZERS
from kerasmagic.layers.base import LibraryLayer
from kerasmagic.layers.structural import Wrapper
from kerasmagic.numerics import normalization

Axes = int | Sequence[int]


class _Affine(LibraryLayer):
    """A layer that scales by ``gamma`` and shifts by ``beta``, if it has them."""

    def __init__(
        self,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        beta_regularizer: Any,
        gamma_regularizer: Any,
        beta_constraint: Any,
        gamma_constraint: Any,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.beta_initializer = resolve(INITIALIZERS, beta_initializer)
        self.gamma_initializer = resolve(INITIALIZERS, gamma_initializer)
        self.beta_regularizer = resolve(REGULARIZERS, beta_regularizer)
        self.gamma_regularizer = resolve(REGULARIZERS, gamma_regularizer)
        self.beta_constraint = resolve(CONSTRAINTS, beta_constraint)
        self.gamma_constraint = resolve(CONSTRAINTS, gamma_constraint)
        self.supports_masking = True
        self.autocast = False

    def _make_affine(self, shape: tuple[int, ...], gamma: bool, beta: bool) -> None:
        for used, name in ((gamma, "gamma"), (beta, "beta")):
            weight = None
            if used:
                weight = self.add_weight(
                    shape=shape,
                    initializer=getattr(self, f"{name}_initializer"),
                    regularizer=getattr(self, f"{name}_regularizer"),
                    constraint=getattr(self, f"{name}_constraint"),
                    autocast=False,
                    name=name,
                )
            setattr(self, name, weight)

    def _affine(self) -> tuple[Any, Any]:
        return tuple(None if v is None else v.value for v in (self.gamma, self.beta))  # type: ignore[return-value]


class LayerNormalization(_Affine):
    """Normalizes each example to mean 0 and variance 1 over ``axis``, then scales and shifts.

    Input and output have the same shape.

    Args:
        axis: The axis, or axes, that are normalized.
        epsilon: Added to the variance.
        center: Whether there is a ``beta``.
        scale: Whether there is a ``gamma``.
        beta_initializer: Initial values of ``beta``, of the sizes of ``axis``.
        gamma_initializer: Initial values of ``gamma``.
        beta_regularizer: Penalty on ``beta``.
        gamma_regularizer: Penalty on ``gamma``.
        beta_constraint: Constraint on ``beta``.
        gamma_constraint: Constraint on ``gamma``.

    Raises:
        UnexpectedArgument: If ``axis`` is no integer and no list of integers.
        ShapeMismatch: If the input has no such axis, or its size is open.

    Example:

    >>> import jax.numpy as jnp
    >>> LayerNormalization(epsilon=0.0)(jnp.array([[1.0, 3.0]])).tolist()
    [[-1.0, 1.0]]
    """

    config_includes: ClassVar[tuple[str, ...]] = ("rms_scaling",)

    def __init__(
        self,
        axis: Axes = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        self_rms = kwargs.pop("rms_scaling", False)
        if self_rms:
            deprecated(
                "`rms_scaling=True` is deprecated: it divides by the standard deviation, not by the root mean "
                "square. Use `RMSNormalization` for that."
            )
        super().__init__(
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        self.axis = _checked_axes(axis)
        self.rms_scaling = self_rms

    def build(self, input_shape: Any) -> None:
        shape = _sizes_at(self, input_shape)
        self._make_affine(shape, self.scale or self.rms_scaling, self.center and not self.rms_scaling)

    def call(self, inputs: Any) -> Any:
        gamma, beta = self._affine()
        axes = _sorted_axes(self.axis)
        if self.rms_scaling:
            outputs = normalization.variance_scaling(inputs, gamma, axes, self.epsilon)
        else:
            outputs = normalization.layer_normalization(inputs, gamma, beta, axes, self.epsilon)
        return outputs.astype(self.compute_dtype)


class GroupNormalization(_Affine):
    """Normalizes each example over space and groups of channels, then scales and shifts each channel.

    Input and output have the same shape ``(batch, ...)``.

    Args:
        groups: How many groups; -1 gives every channel its own (instance normalization).
        axis: The axis of the channels.
        epsilon: Added to the variance.
        center: Whether there is a ``beta``.
        scale: Whether there is a ``gamma``.
        beta_initializer: Initial values of ``beta``, shape ``(channels,)``.
        gamma_initializer: Initial values of ``gamma``.
        beta_regularizer: Penalty on ``beta``.
        gamma_regularizer: Penalty on ``gamma``.
        beta_constraint: Constraint on ``beta``.
        gamma_constraint: Constraint on ``gamma``.

    Raises:
        InvalidArgument: If ``groups`` is neither positive nor -1.
        ShapeMismatch: If the groups do not divide the channels.

    Example:

    >>> import jax.numpy as jnp
    >>> GroupNormalization(groups=2)(jnp.ones((1, 8, 8, 6))).shape
    (1, 8, 8, 6)
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        if not isinstance(groups, int) or (groups <= 0 and groups != -1):
            raise InvalidArgument(
                "Received an invalid value for argument `groups`, expected a positive integer (or `-1` for instance "
                f"normalization). Received: groups={groups!r}"
            )
        super().__init__(
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        self.groups = groups
        self.axis = axis

    def build(self, input_shape: Any) -> None:
        (channels,) = _sizes_at(self, input_shape)
        if self.groups > 0 and channels % self.groups:
            raise ShapeMismatch(
                f"The number of groups ({self.groups}) of layer {self.name!r} must divide the number of channels "
                f"({channels}). Received: input_shape={tuple(input_shape)}"
            )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})
        self._make_affine((channels,), self.scale, self.center)

    def call(self, inputs: Any) -> Any:
        groups = inputs.shape[self.axis] if self.groups == -1 else self.groups
        outputs = normalization.group_normalization(inputs, *self._affine(), groups, self.axis, self.epsilon)
        return outputs.astype(self.compute_dtype)


class RMSNormalization(LibraryLayer):
    """Divides each example by its root mean square over ``axis`` and scales it.

    Input and output have the same shape.

    Args:
        axis: The axis, or axes.
        epsilon: Added to the mean square.

    Raises:
        ShapeMismatch: If the input has no such axis, or its size is open.

    Example:

    >>> import jax.numpy as jnp
    >>> RMSNormalization(epsilon=0.0)(jnp.array([[3.0, -3.0]])).tolist()
    [[1.0, -1.0]]
    """

    def __init__(self, axis: Axes = -1, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = _checked_axes(axis)
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(shape=_sizes_at(self, input_shape), initializer="ones", name="scale")

    def call(self, x: Any) -> Any:
        return normalization.rms_normalization(x, self.scale.value, _sorted_axes(self.axis), self.epsilon)


class UnitNormalization(LibraryLayer):
    """Divides each example by its Euclidean norm over ``axis``.

    Input and output have the same shape.

    Args:
        axis: The axis, or axes.

    Raises:
        UnexpectedArgument: If ``axis`` is no integer and no list of integers.

    Example:

    >>> import jax.numpy as jnp
    >>> UnitNormalization()(jnp.array([[3.0, 4.0]])).tolist()
    [[0.6, 0.8]]
    """

    def __init__(self, axis: Axes = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = _checked_axes(axis)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        _check_bounds(self, inputs.shape)
        return normalization.unit_normalization(inputs, self.axis, 1e-12)


class SpectralNormalization(Wrapper):
    """Divides the kernel of another layer by its largest singular value at every training step.

    Args:
        layer: A layer with a ``kernel`` or ``embeddings``.
        power_iterations: How many iterations estimate the singular value each time.

    Raises:
        InvalidArgument: If ``power_iterations`` is not positive, or the layer has no such weight.

    Example:

    >>> import jax.numpy as jnp
    >>> from kerasmagic.layers import Dense
    >>> SpectralNormalization(Dense(3))(jnp.ones((2, 4)), training=True).shape
    (2, 3)
    """

    def __init__(self, layer: Any, power_iterations: int = 1, **kwargs: Any):
        super().__init__(layer, **kwargs)
        if not power_iterations > 0:
            raise InvalidArgument(
                f"`power_iterations` should be greater than zero. Received: power_iterations={power_iterations!r}"
            )
        self.power_iterations = power_iterations

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        kernel = getattr(self.layer, "kernel", None)
        kernel = getattr(self.layer, "embeddings", None) if kernel is None else kernel
        if kernel is None:
            raise InvalidArgument(
                f"Layer {self.layer.name!r} (of type {type(self.layer).__name__}) has no attribute 'kernel' nor "
                "'embeddings'."
            )
        self.kernel = kernel
        self.vector_u = self.add_weight(
            shape=(1, kernel.shape[-1]),
            initializer=resolve(INITIALIZERS, {"class_name": "TruncatedNormal", "config": {"stddev": 0.02}}),
            trainable=False,
            dtype=kernel.dtype,
            name="vector_u",
        )

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if training:
            kernel, u = self.kernel.value, self.vector_u.value
            kernel, u = jax.lax.cond(jnp.all(kernel == 0), lambda *same: same, self._normalized, kernel, u)
            self.vector_u.assign(u)
            self.kernel.assign(kernel)
        return self.layer(inputs).astype(inputs.dtype)

    def _normalized(self, kernel: Any, u: Any) -> tuple[Any, Any]:
        matrix = jnp.reshape(kernel, (-1, kernel.shape[-1]))
        v = u
        for _ in range(self.power_iterations):
            v = normalization.unit_normalization(u @ matrix.T, None)
            u = normalization.unit_normalization(v @ matrix, None)
        u, v = jax.lax.stop_gradient((u, v))
        return kernel / (v @ matrix @ u.T)[0, 0], u


def _checked_axes(axis: Any) -> Any:
    axes = integers("axis", axis)
    return axes if isinstance(axis, (list, tuple)) else axes[0]


def _sorted_axes(axis: Axes) -> list[int]:
    return [axis] if isinstance(axis, int) else sorted(axis)


def _check_bounds(layer: Any, shape: Any) -> None:
    for axis in _sorted_axes(layer.axis):
        if not -len(shape) <= axis < len(shape):
            raise ShapeMismatch(
                f"Axis {axis} of layer {layer.name!r} is out of bounds for input shape {tuple(shape)}. "
                f"Received: axis={layer.axis}"
            )


def _sizes_at(layer: Any, shape: Any) -> tuple[int, ...]:
    _check_bounds(layer, shape)
    sizes = tuple(shape[axis] for axis in _sorted_axes(layer.axis))
    if None in sizes:
        raise ShapeMismatch(
            f"Axis {layer.axis} of the input of layer {layer.name!r} should have a defined dimension. "
            f"Received: input_shape={tuple(shape)}"
        )
    return sizes
