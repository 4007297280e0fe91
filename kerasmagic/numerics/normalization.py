"""Normalization: statistics over some axes, and what is left of a tensor without them.

Statistics are taken in at least float32: the squares of 16-bit numbers overflow.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from kerasmagic.numerics.compiling import traced_once


def moments(
    x: Array, axes: Sequence[int], mask: Array | None = None, epsilon: float = 1e-7
) -> tuple[Array, Array]:
    """Return the mean and the variance over ``axes``, kept as axes of size 1.

    Args:
        x: Any shape.
        axes: What to reduce.
        mask: Which entries count, of a shape that broadcasts to that of ``x``; all of them when ``None``.
        epsilon: Guards the division where nothing counts.

    Example:

    >>> mean, variance = moments(jnp.array([[1.0, 2.0, 9.0]]), [1], jnp.array([[True, True, False]]))
    >>> mean.tolist(), variance.tolist()
    ([[1.5]], [[0.25]])
    """
    if mask is None:
        return jnp.mean(x, axes, keepdims=True), jnp.var(x, axes, keepdims=True)
    mask = jnp.broadcast_to(mask, x.shape)
    count = jnp.sum(mask, axes, keepdims=True, dtype=x.dtype) + epsilon
    mean = jnp.sum(jnp.where(mask, x, 0), axes, keepdims=True) / count
    squares = jnp.square(jnp.where(mask, x - mean, 0))
    return mean, jnp.sum(squares, axes, keepdims=True) / count


def standardize(
    x: Array, mean: Array, variance: Array, scale: Array | None, offset: Array | None, epsilon: float
) -> Array:
    """Return ``(x - mean) / sqrt(variance + epsilon) * scale + offset``.

    All of them broadcast to ``x``; ``scale`` and ``offset`` may be ``None``.
    """
    # One multiplication and one addition per value of x: the rest is as small as the statistics.
    factor = jax.lax.rsqrt(variance + epsilon)
    if scale is not None:
        factor = factor * scale
    rest = -mean * factor
    return x * factor + (rest if offset is None else rest + offset)


def wide(x: Array) -> Array:
    """Return ``x`` in at least float32."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def along(v: Array | None, x: Array, axes: Sequence[int]) -> Array | None:
    """Return ``v`` reshaped to broadcast to ``x``, its axes standing at ``axes`` of ``x``."""
    if v is None:
        return None
    at = {axis % x.ndim for axis in axes}
    return jnp.reshape(v.astype(x.dtype), [x.shape[axis] if axis in at else 1 for axis in range(x.ndim)])


def layer_normalization(
    x: Array, gamma: Array | None, beta: Array | None, axes: Sequence[int], epsilon: float
) -> Array:
    """Return ``x`` with mean 0 and variance 1 over ``axes``, scaled by ``gamma`` and shifted by ``beta``.

    Args:
        x: Any shape.
        gamma: The sizes of ``axes``, or ``None``.
        beta: The sizes of ``axes``, or ``None``.
        axes: What is normalized.
        epsilon: Added to the variance.

    Example:

    >>> layer_normalization(jnp.array([[1.0, 3.0]]), None, None, [-1], 0.0).tolist()
    [[-1.0, 1.0]]
    """
    return _layer_normalization(x, gamma, beta, tuple(axes), epsilon)


@traced_once("axes", "epsilon")
def _layer_normalization(
    x: Array, gamma: Array | None, beta: Array | None, axes: tuple[int, ...], epsilon: float
) -> Array:
    y = wide(x)
    mean, variance = moments(y, axes)
    y = standardize(y, mean, variance, along(gamma, y, axes), along(beta, y, axes), epsilon)
    return y.astype(x.dtype)


def variance_scaling(x: Array, gamma: Array | None, axes: Sequence[int], epsilon: float) -> Array:
    """Return ``x / sqrt(variance + epsilon) * gamma``: the deprecated ``rms_scaling`` of layer normalization."""
    y = wide(x)
    y = y * jax.lax.rsqrt(jnp.var(y, tuple(axes), keepdims=True) + epsilon)
    scale = along(gamma, y, axes)
    return (y if scale is None else y * scale).astype(x.dtype)


def rms_normalization(x: Array, scale: Array | None, axes: Sequence[int], epsilon: float) -> Array:
    """Return ``x`` divided by its root mean square over ``axes``, and scaled.

    Example:

    >>> rms_normalization(jnp.array([[3.0, 3.0]]), None, [-1], 0.0).tolist()
    [[1.0, 1.0]]
    """
    return _rms_normalization(x, scale, tuple(axes), epsilon)


@traced_once("axes", "epsilon")
def _rms_normalization(x: Array, scale: Array | None, axes: tuple[int, ...], epsilon: float) -> Array:
    y = wide(x)
    y = y * jax.lax.rsqrt(jnp.mean(jnp.square(y), axes, keepdims=True) + epsilon)
    factor = along(scale, y, axes)
    return (y if factor is None else y * factor).astype(x.dtype)


def group_normalization(
    x: Array, gamma: Array | None, beta: Array | None, groups: int, axis: int, epsilon: float
) -> Array:
    """Normalize each example over all but the batch, in ``groups`` of neighbouring channels.

    Args:
        x: ``(batch, ...)``.
        gamma: ``(channels,)`` or ``None``.
        beta: ``(channels,)`` or ``None``.
        groups: How many groups; divides the channels.
        axis: Where the channels are.
        epsilon: Added to the variance.
    """
    axis %= x.ndim
    split = (*x.shape[:axis], groups, x.shape[axis] // groups, *x.shape[axis + 1 :])
    y = wide(jnp.reshape(x, split))
    reduced = [i for i in range(1, y.ndim) if i != axis]
    mean, variance = moments(y, tuple(reduced))
    by_channel = (axis, axis + 1)
    y = standardize(y, mean, variance, along(gamma, y, by_channel), along(beta, y, by_channel), epsilon)
    return jnp.reshape(y.astype(x.dtype), x.shape)


def unit_normalization(x: Array, axes: int | Sequence[int] | None, epsilon: float = 1e-7) -> Array:
    """Return ``x`` divided by its Euclidean norm over ``axes``, or by ``epsilon`` if that is larger.

    Example:

    >>> unit_normalization(jnp.array([3.0, 4.0]), -1).tolist()
    [0.6, 0.8]
    """
    axes = tuple(axes) if isinstance(axes, (list, tuple)) else axes
    squares = jnp.sum(jnp.square(x), axes, keepdims=True)
    # The guard stands inside the root, so that the gradient at 0 is a number.
    return x * jax.lax.rsqrt(jnp.maximum(squares, epsilon**2))
