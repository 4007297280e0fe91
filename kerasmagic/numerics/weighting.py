"""How values per sample become one number: ranks made equal, weights and masks merged, the reduction."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.foundation.errors import ShapeMismatch

MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


def divide_no_nan(x: Any, y: Any) -> jax.Array:
    """Return ``x / y``, and 0 where ``y`` is 0.

    >>> divide_no_nan(jnp.array([1.0, 3.0]), jnp.array([0.0, 2.0])).tolist()
    [0.0, 1.5]
    """
    zero = jnp.equal(y, 0)
    return jnp.where(zero, 0, jnp.divide(x, jnp.where(zero, 1, y)))


def match_ranks(a: jax.Array, b: jax.Array, *, expand_vectors: bool = True) -> tuple[jax.Array, jax.Array]:
    """Make ranks that differ by one equal, by taking off or adding a last axis of size 1.

    ``(batch, 1)`` and ``(batch,)`` become ``(batch, 1)`` twice; ``(batch, time, 1)`` and
    ``(batch, time)`` become ``(batch, time)`` twice.

    >>> [x.shape for x in match_ranks(jnp.ones((4, 1)), jnp.ones((4,)))]
    [(4, 1), (4, 1)]
    """
    if a.ndim == b.ndim + 1 and a.shape[-1] == 1:
        return (a, b[:, None]) if b.ndim == 1 and expand_vectors else (a[..., 0], b)
    if b.ndim == a.ndim + 1 and b.shape[-1] == 1:
        return (a[:, None], b) if a.ndim == 1 and expand_vectors else (a, b[..., 0])
    return a, b


def fit_weights(weights: jax.Array, values: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Give weights of leading axes, ``(batch,)`` for one, the rank of ``values``, ``(batch, time)`` for one.

    Returns:
        The weights and the values, with shapes that broadcast.

    Raises:
        ShapeMismatch: If the weights fit no leading axes.
    """
    values, weights = match_ranks(values, weights)
    missing = values.ndim - weights.ndim
    if missing > 0 and weights.ndim > 0 and weights.shape == values.shape[: weights.ndim]:
        weights = weights.reshape(weights.shape + (1,) * missing)
    try:
        jnp.broadcast_shapes(weights.shape, values.shape)
    except ValueError:
        raise ShapeMismatch(
            f"A `sample_weight` (or mask) of shape {weights.shape} does not fit values of shape "
            f"{values.shape}. It needs one weight a sample, or one for each value."
        ) from None
    return weights, values


def merge_mask(sample_weight: Any, mask: Any, dtype: Any, reduction: str | None = "sum") -> jax.Array | None:
    """Return weights that are 0 where ``mask`` is false.

    Args:
        sample_weight: Weights, or ``None`` for 1 everywhere.
        mask: Booleans, or ``None`` for true everywhere.
        dtype: The type of the weights.
        reduction: How the weighted values are reduced. Before a mean over all entries
            the weights grow by ``entries / valid entries``, so that it becomes one over valid entries.
    """
    if mask is None:
        return None if sample_weight is None else jnp.asarray(sample_weight, dtype)
    valid = jnp.asarray(mask, bool)
    weights = valid.astype(dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        weights = weights * divide_no_nan(jnp.asarray(valid.size, dtype), jnp.sum(weights))
    if sample_weight is None:
        return weights
    own, weights = fit_weights(jnp.asarray(sample_weight, dtype), weights)
    return own * weights


def reduce_weighted(
    values: Any,
    sample_weight: Any = None,
    mask: Any = None,
    reduction: str | None = "sum_over_batch_size",
    dtype: Any = None,
) -> jax.Array:
    """Reduce the losses of single samples to the loss of a batch.

    Args:
        values: Shape ``(batch, ...)``.
        sample_weight: A weight for each sample or for each value.
        mask: Which values count; like ``sample_weight`` in shape.
        reduction: ``"sum"``; ``"sum_over_batch_size"`` or ``"mean"`` to divide by the number of values;
            ``"mean_with_sample_weight"`` to divide by the sum of the weights; ``"none"`` or ``None``.
        dtype: The type to compute in; that of ``values`` when ``None``.

    Returns:
        Shape ``()``, or that of ``values`` without a reduction.

    Raises:
        ShapeMismatch: If the weights do not fit the values.

    >>> float(reduce_weighted(jnp.array([1.0, 2.0, 3.0]), mask=jnp.array([True, False, True])))
    2.0
    """
    values = jnp.asarray(values, dtype)
    weights = merge_mask(sample_weight, mask, values.dtype, reduction)
    if weights is not None:
        weights, values = fit_weights(weights, values)
        values = values * weights
    if reduction in (None, "none") or values.shape in ((), (0,)):
        return values
    total = jnp.sum(values)
    if reduction not in MEANS:
        return total
    if reduction == "mean_with_sample_weight" and weights is not None:
        return divide_no_nan(total, jnp.sum(weights))
    return divide_no_nan(total, jnp.asarray(math.prod(values.shape), total.dtype))


def reduce_to_samples(
    values: Any, sample_weight: Any, how: Any, dtype: Any
) -> tuple[jax.Array, jax.Array | None]:
    """Reduce values ``(batch, ...)`` and their weights to one for each sample.

    Args:
        values: Shape ``(batch, ...)``, or ``()``.
        sample_weight: A weight for each sample or for each value, or ``None``.
        how: ``jnp.mean`` or ``jnp.sum``.
        dtype: The type to compute in.

    Returns:
        The weighted values ``(batch,)`` and the weights ``(batch,)``, the latter ``None`` without weights.
    """
    values = jnp.asarray(values, dtype)
    if sample_weight is None:
        return how(values, axis=tuple(range(1, values.ndim))), None
    weights = jnp.asarray(sample_weight, dtype)
    values, weights = match_ranks(values, weights)
    if values.ndim > weights.ndim:
        values = how(values, axis=tuple(range(weights.ndim, values.ndim)))
    rank = weights.ndim
    weights, values = fit_weights(weights, values)
    weights = jnp.broadcast_to(weights, values.shape)
    values = values * weights
    if rank > 1:
        weights = how(weights, axis=tuple(range(1, rank)))
    return how(values, axis=tuple(range(1, values.ndim))), weights
