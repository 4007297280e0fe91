"""Attention: every query takes a mean of the values, weighted by how well their keys fit it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.numerics.compiling import traced_once

Array = jax.Array


def causal_mask(queries: Any, keys: Any) -> Array:
    """Return ``(1, queries, keys)``: whether a query may look at a key, which must not come after it.

    >>> causal_mask(2, 3)[0].tolist()
    [[True, False, False], [True, True, False]]
    """
    return (jnp.arange(queries)[:, None] >= jnp.arange(keys)[None, :])[None]


def window_mask(queries: Any, keys: Any, width: int) -> Array:
    """Return ``(1, queries, keys)``: whether a key is less than ``width`` places from a query.

    >>> window_mask(3, 3, 2)[0].tolist()
    [[True, True, False], [True, True, True], [False, True, True]]
    """
    return (jnp.abs(jnp.arange(queries)[:, None] - jnp.arange(keys)[None, :]) < width)[None]


def additive_scores(query: Array, key: Array, scale: Array | float = 1.0) -> Array:
    """Return ``sum(scale * tanh(query + key))`` for every pair.

    Args:
        query: ``(batch, queries, dim)``.
        key: ``(batch, keys, dim)``.
        scale: ``(dim,)``, or one number.

    Returns:
        ``(batch, queries, keys)``.
    """
    return jnp.sum(scale * jnp.tanh(query[..., :, None, :] + key[..., None, :, :]), axis=-1)


def masked_softmax(scores: Array, mask: Array | None, *, zero_masked: bool = False) -> Array:
    """Return the softmax of ``scores`` over the last axis, where masked scores do not count.

    Args:
        scores: ``(..., queries, keys)``.
        mask: Booleans that broadcast to it.
        zero_masked: Whether a row without any true entry is zero; else all its entries count alike.

    Returns:
        As ``scores``, in their dtype; computed in at least 32 bits.
    """
    wide = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
    if mask is not None:
        # Finite, so that a row that is masked throughout has a mean and no NaN.
        wide = jnp.where(mask, wide, 0.7 * jnp.finfo(wide.dtype).min)
    weights = jax.nn.softmax(wide, axis=-1).astype(scores.dtype)
    return jnp.where(mask, weights, 0) if zero_masked and mask is not None else weights


def fused_attention(
    query: Array, key: Array, value: Array, mask: Array | None, *, scale: float, causal: bool, flash: bool
) -> Array:
    """Return dot-product attention without its weights, by JAX's own kernel.

    Args:
        query: ``(batch, queries, heads, dim)``.
        key: ``(batch, keys, key_heads, dim)``, where ``key_heads`` divides ``heads``.
        value: ``(batch, keys, key_heads, dim)``.
        mask: Broadcasts to ``(batch, heads, queries, keys)``.
        scale: Factor of the scores.
        causal: Whether queries look back only.
        flash: Whether the kernel must be cuDNN's, where there is a GPU.

    Returns:
        ``(batch, queries, heads, dim)``.
    """
    implementation = "cudnn" if flash and jax.default_backend() == "gpu" else None
    return jax.nn.dot_product_attention(
        query, key, value, mask=mask, scale=scale, is_causal=causal, implementation=implementation
    )


def multi_head_attention(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None = None,
    *,
    axes: Sequence[int] = (1,),
    scale: float = 1.0,
    zero_masked: bool = False,
    drop: Callable[[Array], Array] | None = None,
) -> tuple[Array, Array]:
    """Return dot-product attention over any axes, and its weights.

    Args:
        query: ``(batch, ..., heads, dim)``.
        key: ``(batch, ..., key_heads, dim)``, where ``key_heads`` divides ``heads``.
        value: ``(batch, ..., key_heads, value_dim)``.
        mask: Broadcasts to the weights once axes are put in front of its last ones.
        axes: The axes that are attended over; the others are like the batch.
        scale: Factor of the scores.
        zero_masked: Whether a query that may look nowhere returns zero; else it returns the mean of all values.
        drop: What is done to the weights before they are used.

    Returns:
        ``(batch, ..., heads, value_dim)``, and the weights ``(batch, *others, heads, *queries, *keys)``,
        before anything is dropped.

    >>> import jax.numpy as jnp
    >>> x = jnp.ones((2, 5, 4, 8))
    >>> [y.shape for y in multi_head_attention(x, x[:, :, :2], x[:, :, :2])]
    [(2, 5, 4, 8), (2, 4, 5, 5)]
    """
    axes = tuple(axes)
    weights = _weights(query, key, mask, axes=axes, scale=scale, zero_masked=zero_masked)
    used = weights if drop is None else drop(weights)
    sizes = tuple(query.shape[a] for a in axes)
    whole = (*weights.shape[:-2], *sizes, *(key.shape[a] for a in axes))
    return _weighted(used, value, axes=axes, sizes=sizes), jnp.reshape(weights, whole)


@traced_once("axes", "scale", "zero_masked")
def _weights(
    query: Array, key: Array, mask: Array | None, *, axes: tuple[int, ...], scale: float, zero_masked: bool
) -> Array:
    """Return the weights ``(batch, *others, heads, positions of queries, positions of keys)``."""
    # Heads before positions: then both products are of plain matrices, which is much faster than the einsum.
    q, k = _heads_first(query, axes), _heads_first(key, axes)
    # Heads that share a key stand one below the other, as more queries.
    together = (*q.shape[:-3], k.shape[-3], -1, q.shape[-1])
    scores = jnp.matmul(jnp.reshape(q * scale, together), jnp.swapaxes(k, -1, -2))
    flat = (*q.shape[:-1], k.shape[-2])
    whole = (*q.shape[:-2], *(query.shape[a] for a in axes), *(key.shape[a] for a in axes))
    mask = _flat_mask(mask, whole, len(axes), flat)
    return masked_softmax(jnp.reshape(scores, flat), mask, zero_masked=zero_masked)


@traced_once("axes", "sizes")
def _weighted(weights: Array, value: Array, *, axes: tuple[int, ...], sizes: tuple[Any, ...]) -> Array:
    """Return the values weighted, shape ``(batch, ..., heads, value_dim)``."""
    v = _heads_first(value, axes)
    together = (*weights.shape[:-3], v.shape[-3], -1, v.shape[-2])
    output = jnp.matmul(jnp.reshape(weights, together), v)
    return _heads_last(jnp.reshape(output, (*weights.shape[:-1], v.shape[-1])), axes, sizes)


def _flat_mask(mask: Array | None, scores: tuple[Any, ...], axes: int, flat: tuple[Any, ...]) -> Array | None:
    if mask is None:
        return None
    mask = insert_axes(mask, len(scores), axes).astype(bool)
    if axes == 1:
        return mask
    whole = (*mask.shape[: -2 * axes], *scores[-2 * axes :])
    return jnp.reshape(jnp.broadcast_to(mask, whole), (*mask.shape[: -2 * axes], *flat[-2:]))


def insert_axes(mask: Array, rank: int, axes: int = 1) -> Array:
    """Return ``mask`` with axes of size 1 before its last ``2 * axes`` ones, so that its rank is ``rank``.

    >>> insert_axes(jnp.ones((2, 5, 6)), 4).shape
    (2, 1, 5, 6)
    """
    front, back = mask.shape[: -2 * axes], mask.shape[-2 * axes :]
    return jnp.reshape(mask, (*front, *(1,) * (rank - mask.ndim), *back))


def _others(rank: int, axes: Sequence[int]) -> list[int]:
    return [axis for axis in range(rank - 2) if axis not in axes]


def _heads_first(x: Array, axes: Sequence[int]) -> Array:
    """Return ``(batch, ..., heads, dim)`` as ``(batch, *others, heads, positions, dim)``."""
    others = _others(x.ndim, axes)
    x = jnp.transpose(x, (*others, x.ndim - 2, *axes, x.ndim - 1))
    positions = math.prod(x.shape[len(others) + 1 : -1])
    return jnp.reshape(x, (*x.shape[: len(others) + 1], positions, x.shape[-1]))


def _heads_last(x: Array, axes: Sequence[int], sizes: Sequence[Any]) -> Array:
    """Undo ``_heads_first``."""
    x = jnp.reshape(x, (*x.shape[:-2], *sizes, x.shape[-1]))
    order = (*_others(x.ndim, axes), x.ndim - 2, *axes, x.ndim - 1)
    return jnp.transpose(x, [order.index(axis) for axis in range(x.ndim)])
