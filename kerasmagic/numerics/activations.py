"""Nonlinearities that ``jax.nn`` does not have in this form.

All take an array of any shape and, but for ``glu``, return one of the same shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.foundation.errors import ShapeMismatch
from kerasmagic.numerics.compiling import traced_once


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """Return ``x`` where it exceeds ``threshold``, at most ``max_value``, else a sloped line through it.

    >>> relu(jnp.array([-2.0, 0.5, 9.0]), negative_slope=0.1, max_value=6.0).tolist()
    [-0.2, 0.5, 6.0]
    """
    if max_value is None and threshold == 0:
        return jax.nn.leaky_relu(x, negative_slope) if negative_slope else _positive(x)
    positive = jnp.where(x > threshold, x, 0) if threshold else _positive(x)
    if max_value is not None:
        # The gradient at the very limit is 0 for `relu6`, half for `clip`: Keras has both.
        at_six = max_value == 6 and not threshold
        positive = (
            jax.nn.relu6(x) if at_six else jnp.clip(positive, 0, jnp.asarray(max_value, positive.dtype))
        )
    if not negative_slope:
        return positive
    return positive - negative_slope * _positive(threshold - x)


@traced_once()
def _positive(x: Any) -> Any:
    """Return ``max(x, 0)``, NaN where ``x`` is, with a gradient of 0 at 0.

    What ``jax.nn.relu`` computes, but no function with a derivative of its own, which takes three times as long
    to trace.
    """
    if x.dtype == bool:
        return jnp.maximum(x, 0)
    zero = jax.lax.full_like(x, 0)
    return jax.lax.select(jax.lax.le(x, zero), zero, x)


def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Return ``x`` moved towards zero by ``threshold``, and not beyond.

    >>> soft_shrink(jnp.array([-1.0, 0.2, 2.0])).tolist()
    [-0.5, 0.0, 1.5]
    """
    return jnp.where(x > threshold, x - threshold, jnp.where(x < -threshold, x + threshold, 0.0))


def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Return ``x`` where it is further than ``threshold`` from zero, else 0.

    >>> hard_shrink(jnp.array([-1.0, 0.2, 2.0])).tolist()
    [-1.0, 0.0, 2.0]
    """
    return jnp.where(jnp.abs(x) > threshold, x, 0.0)


def tanh_shrink(x: Any) -> Any:
    """Return ``x - tanh(x)``.

    >>> tanh_shrink(jnp.array([0.0, 2.0])).round(3).tolist()
    [0.0, 1.036...]
    """
    return x - jnp.tanh(x)


def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """Return ``x`` where it exceeds ``threshold``, else ``default_value``.

    >>> threshold(jnp.array([-1.0, 0.2, 2.0]), 1.0, -7.0).tolist()
    [-7.0, -7.0, 2.0]
    """
    return jnp.where(x > threshold, x, default_value)


def mish(x: Any) -> Any:
    """Return ``x * tanh(softplus(x))``.

    >>> mish(jnp.array([0.0, 2.0])).round(3).tolist()
    [0.0, 1.944...]
    """
    return x * jnp.tanh(jax.nn.softplus(x))


def softmax(x: Any, axis: int | Sequence[int] | None = -1) -> Any:
    """Return positive numbers that sum to 1 over ``axis``, or over all of several axes.

    >>> softmax(jnp.zeros((2, 2)), axis=(0, 1)).tolist()
    [[0.25, 0.25], [0.25, 0.25]]
    """
    return jax.nn.softmax(x, axis=_axes(axis))


def log_softmax(x: Any, axis: int | Sequence[int] | None = -1) -> Any:
    """Return the logarithm of ``softmax(x, axis)``.

    >>> log_softmax(jnp.zeros(2)).round(3).tolist()
    [-0.693..., -0.693...]
    """
    return jax.nn.log_softmax(x, axis=_axes(axis))


def glu(x: Any, axis: int = -1) -> Any:
    """Return the first half of ``x`` along ``axis`` times the sigmoid of the second: half as long there.

    Raises:
        ShapeMismatch: If the axis has an odd size.

    >>> glu(jnp.array([2.0, 4.0, 0.0, 0.0])).tolist()
    [1.0, 2.0]
    """
    size = x.shape[axis]
    if isinstance(size, int) and size % 2:
        raise ShapeMismatch(f"axis size must be divisible by 2. Received: x.shape={x.shape} with axis={axis}")
    half = size // 2
    first, second = (jax.lax.slice_in_dim(x, i * half, (i + 1) * half, axis=axis) for i in (0, 1))
    return first * jax.nn.sigmoid(second)


def sparsemax(x: Any, axis: int = -1) -> Any:
    """Return the point nearest to ``x`` among the positive numbers that sum to 1: most become 0.

    Martins and Astudillo (2016). Keras up to 3.15 shrinks by too much where more than one value stays
    above 0; here as in later ones the result sums to 1.

    >>> sparsemax(jnp.array([1.0, 0.5, -1.0])).tolist()
    [0.75, 0.25, 0.0]
    """
    ordered = jnp.sort(x, axis=axis, descending=True)
    sums = jnp.cumsum(ordered, axis=axis)
    ranks = jnp.arange(1, x.shape[axis] + 1).reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])
    in_support = ordered - (sums - 1) / ranks > 0
    size = jnp.sum(in_support, axis=axis, keepdims=True)
    # tau = (sum of the values in the support - 1) / their number
    total = jnp.sum(jnp.where(in_support, ordered, 0), axis=axis, keepdims=True)
    return jnp.maximum(x - (total - 1) / size, 0.0)


def _axes(axis: int | Sequence[int] | None) -> Any:
    return tuple(axis) if isinstance(axis, Sequence) else axis
