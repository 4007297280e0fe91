"""The activation functions of Keras, on arrays, variables and symbolic tensors.

Every one takes ``x`` of any shape and returns that shape; ``glu`` halves one axis.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp

from kerasmagic.core.symbolic import any_symbolic, apply
from kerasmagic.foundation.registry import ACTIVATIONS
from kerasmagic.numerics import activations as numerics

F = TypeVar("F", bound=Callable[..., Any])


def activation(function: F) -> F:
    """Make a function of one array an activation: it takes what can become an array, or a symbolic tensor."""

    @functools.wraps(function)
    def wrapper(x: Any, *args: Any, **kwargs: Any) -> Any:
        if any_symbolic(x):
            return apply(wrapper, x, *args, **kwargs)
        return function(jnp.asarray(x), *args, **kwargs)

    ACTIVATIONS.add(wrapper)
    return cast(F, wrapper)


@activation
def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """Return the positive part of ``x``, with options that bend it.

    Args:
        x: An array.
        negative_slope: The slope below ``threshold``.
        max_value: The largest value returned; no limit when ``None``.
        threshold: The value up to which the result is 0, or the sloped line.

    Example:

    >>> relu([-1.0, 0.5, 3.0], max_value=2.0).tolist()
    [0.0, 0.5, 2.0]
    """
    return numerics.relu(x, negative_slope, max_value, threshold)


@activation
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """Return ``x`` where it is positive, else ``negative_slope * x``.

    >>> leaky_relu([-1.0, 2.0]).tolist()
    [-0.2, 2.0]
    """
    return jax.nn.leaky_relu(x, negative_slope)


@activation
def relu6(x: Any) -> Any:
    """Return ``min(max(x, 0), 6)``.

    >>> relu6([-1.0, 2.0, 9.0]).tolist()
    [0.0, 2.0, 6.0]
    """
    return jax.nn.relu6(x)


@activation
def softmax(x: Any, axis: int | Sequence[int] | None = -1) -> Any:
    """Return positive numbers that sum to 1 over ``axis``: the exponentials' shares.

    Args:
        x: An array of floats.
        axis: The axis, several that are taken together, or ``None`` for all.

    Warns:
        UserWarning: If the axis has size 1: then every result is 1.

    Example:

    >>> softmax([1.0, 1.0, 1.0, 1.0]).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    if isinstance(axis, int) and -x.ndim <= axis < x.ndim and x.shape[axis] == 1:
        warnings.warn(
            f"You are using a softmax over axis {axis} of a tensor of shape {x.shape}. This axis has size 1. "
            "The softmax operation will always return the value 1, which is likely not what you intended. "
            "Did you mean to use a sigmoid instead?",
            stacklevel=3,
        )
    return numerics.softmax(x, axis)


@activation
def log_softmax(x: Any, axis: int | Sequence[int] | None = -1) -> Any:
    """Return the logarithm of ``softmax(x, axis)``.

    >>> log_softmax([0.0, 0.0]).round(3).tolist()
    [-0.693..., -0.693...]
    """
    return numerics.log_softmax(x, axis)


@activation
def sparsemax(x: Any, axis: int = -1) -> Any:
    """Return positive numbers that sum to 1 over ``axis``, most of them exactly 0.

    >>> sparsemax([1.0, 0.5, -1.0]).tolist()
    [0.75, 0.25, 0.0]
    """
    return numerics.sparsemax(x, axis)


@activation
def elu(x: Any, alpha: float = 1.0) -> Any:
    """Return ``x`` where it is positive, else ``alpha * (exp(x) - 1)``.

    >>> elu([0.0, 2.0]).tolist()
    [0.0, 2.0]
    """
    return jax.nn.elu(x, alpha)


@activation
def celu(x: Any, alpha: float = 1.0) -> Any:
    """Return ``max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)``.

    >>> celu([0.0, 2.0], alpha=0.5).tolist()
    [0.0, 2.0]
    """
    return jax.nn.celu(x, alpha)


@activation
def selu(x: Any) -> Any:
    """Return a scaled ``elu`` that keeps mean 0 and variance 1 through layers: Klambauer et al. (2017).

    >>> selu([1.0]).round(3).tolist()
    [1.051...]
    """
    return jax.nn.selu(x)


@activation
def gelu(x: Any, approximate: bool = False) -> Any:
    """Return ``x`` times the share of a standard normal draw's values below it.

    Args:
        x: An array.
        approximate: Whether to use the approximation by a hyperbolic tangent.

    Example:

    >>> gelu([0.0, 1.0]).round(3).tolist()
    [0.0, 0.841...]
    """
    return jax.nn.gelu(x, approximate)


@activation
def glu(x: Any, axis: int = -1) -> Any:
    """Return the first half of ``x`` along ``axis`` times the sigmoid of the second.

    Raises:
        ShapeMismatch: If the axis has an odd size.

    >>> glu([2.0, 4.0, 0.0, 0.0]).tolist()
    [1.0, 2.0]
    """
    return numerics.glu(x, axis)


@activation
def silu(x: Any) -> Any:
    """Return ``x * sigmoid(x)``, also called swish.

    >>> silu([0.0, 1.0]).round(3).tolist()
    [0.0, 0.731...]
    """
    return jax.nn.silu(x)


@activation
def hard_silu(x: Any) -> Any:
    """Return ``x * hard_sigmoid(x)``, also called hard swish.

    >>> hard_silu([-3.0, 0.0, 3.0]).tolist()
    [0.0, 0.0, 3.0]
    """
    return jax.nn.hard_silu(x)


@activation
def mish(x: Any) -> Any:
    """Return ``x * tanh(softplus(x))``: Misra (2019).

    >>> mish([0.0, 1.0]).round(3).tolist()
    [0.0, 0.865...]
    """
    return numerics.mish(x)


@activation
def softplus(x: Any) -> Any:
    """Return ``log(1 + exp(x))``.

    >>> softplus([0.0]).round(3).tolist()
    [0.693...]
    """
    return jax.nn.softplus(x)


@activation
def softsign(x: Any) -> Any:
    """Return ``x / (1 + abs(x))``.

    >>> softsign([-1.0, 1.0]).tolist()
    [-0.5, 0.5]
    """
    return jax.nn.soft_sign(x)


@activation
def squareplus(x: Any, b: float = 4) -> Any:
    """Return ``(x + sqrt(x * x + b)) / 2``: Barron (2021).

    >>> squareplus([0.0]).tolist()
    [1.0]
    """
    return jax.nn.squareplus(x, b)


@activation
def sparse_plus(x: Any) -> Any:
    """Return 0 below -1, ``x`` above 1 and ``(x + 1) ** 2 / 4`` between.

    >>> sparse_plus([-2.0, 0.0, 2.0]).tolist()
    [0.0, 0.25, 2.0]
    """
    return jax.nn.sparse_plus(x)


@activation
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Return ``x`` moved towards zero by ``threshold``, and not beyond.

    >>> soft_shrink([-1.0, 0.2, 2.0]).tolist()
    [-0.5, 0.0, 1.5]
    """
    return numerics.soft_shrink(x, threshold)


@activation
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Return ``x`` where it is further than ``threshold`` from zero, else 0.

    >>> hard_shrink([-1.0, 0.2, 2.0]).tolist()
    [-1.0, 0.0, 2.0]
    """
    return numerics.hard_shrink(x, threshold)


@activation
def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent.

    >>> tanh([0.0]).tolist()
    [0.0]
    """
    return jnp.tanh(x)


@activation
def tanh_shrink(x: Any) -> Any:
    """Return ``x - tanh(x)``.

    >>> tanh_shrink([0.0]).tolist()
    [0.0]
    """
    return numerics.tanh_shrink(x)


@activation
def hard_tanh(x: Any) -> Any:
    """Return ``x`` cut off at -1 and 1.

    >>> hard_tanh([-2.0, 0.5, 2.0]).tolist()
    [-1.0, 0.5, 1.0]
    """
    return jax.nn.hard_tanh(x)


@activation
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """Return ``x`` where it exceeds ``threshold``, else ``default_value``.

    >>> threshold([-1.0, 2.0], 0.0, -7.0).tolist()
    [-7.0, 2.0]
    """
    return numerics.threshold(x, threshold, default_value)


@activation
def sigmoid(x: Any) -> Any:
    """Return ``1 / (1 + exp(-x))``.

    >>> sigmoid([0.0]).tolist()
    [0.5]
    """
    return jax.nn.sigmoid(x)


@activation
def log_sigmoid(x: Any) -> Any:
    """Return the logarithm of ``sigmoid(x)``.

    >>> log_sigmoid([0.0]).round(3).tolist()
    [-0.693...]
    """
    return jax.nn.log_sigmoid(x)


@activation
def hard_sigmoid(x: Any) -> Any:
    """Return ``x / 6 + 0.5`` cut off at 0 and 1.

    >>> hard_sigmoid([-4.0, 0.0, 4.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    return jax.nn.hard_sigmoid(x)


@activation
def sparse_sigmoid(x: Any) -> Any:
    """Return ``(x + 1) / 2`` cut off at 0 and 1.

    >>> sparse_sigmoid([-4.0, 0.0, 4.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    return jax.nn.sparse_sigmoid(x)


@activation
def exponential(x: Any) -> Any:
    """Return ``exp(x)``.

    >>> exponential([0.0]).tolist()
    [1.0]
    """
    return jnp.exp(x)


def linear(x: Any) -> Any:
    """Return ``x`` itself.

    >>> linear(3)
    3
    """
    return x


ACTIVATIONS.add_all([linear], aliases={"swish": silu, "hard_swish": hard_silu})
