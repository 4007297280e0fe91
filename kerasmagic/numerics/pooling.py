"""Pooling over any number of spatial axes, as pure functions.

``x`` is ``(batch, *spatial, channels)``, or ``(batch, channels, *spatial)`` for
``channels_first``; results have the same layout and dtype.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kerasmagic.numerics.windows import (
    Sizes,
    channel_axis,
    closed,
    over_spatial,
    per_axis,
    require_room,
    spatial_axes,
)

# Up to this many elements a window is compared at once; a larger one axis by axis.
_SMALL_WINDOW = 8
# Longer windows are left to XLA: comparing that many slices takes longer to compile than it saves.
_LONGEST_WINDOW = 64


def max_pool(
    x: jax.Array,
    window: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str = "channels_last",
) -> jax.Array:
    """Return the largest element of each window.

    The gradient of a window goes to its largest element, to the first of them in a tie.

    Args:
        x: ``(batch, *spatial, channels)``.
        window: Size of the window.
        strides: Distance between windows; ``window`` when ``None``.
        padding: ``"valid"``, or ``"same"``: then windows may hang over the edges.
        data_format: Where the channels are.

    Returns:
        ``(batch, *windows, channels)``.

    Raises:
        ShapeMismatch: If no window fits into ``x``.

    Example:

    >>> max_pool(jnp.asarray([[[1.0], [3.0], [2.0], [0.0]]]), 2)[0, :, 0].tolist()
    [3.0, 2.0]
    """
    sizes, steps = _operands(x, window, strides, padding, data_format)
    if not closed(x.shape[1:]) or max(sizes) > _LONGEST_WINDOW:
        return lax.reduce_window(x, _lowest(x.dtype), lax.max, sizes, steps, padding.upper())
    if padding == "same":
        pads = lax.padtype_to_pads(x.shape, sizes, steps, "SAME")
        x = lax.pad(x, jnp.asarray(_lowest(x.dtype), x.dtype), [(before, after, 0) for before, after in pads])
    if math.prod(sizes) <= _SMALL_WINDOW:
        return _max_of_windows(x, sizes, steps)
    # The first match in each row, then the first such row, is the first match of the window.
    for axis in reversed(range(x.ndim)):
        if sizes[axis] > 1 or steps[axis] > 1:
            x = _max_of_windows(x, _only(axis, sizes), _only(axis, steps))
    return x


def average_pool(
    x: jax.Array,
    window: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str = "channels_last",
) -> jax.Array:
    """Return the mean of each window; what hangs over the edges does not count.

    Args:
        x: ``(batch, *spatial, channels)``.
        window: Size of the window.
        strides: Distance between windows; ``window`` when ``None``.
        padding: ``"valid"``, or ``"same"``: then windows may hang over the edges.
        data_format: Where the channels are.

    Returns:
        ``(batch, *windows, channels)``.

    Raises:
        ShapeMismatch: If no window fits into ``x``.

    Example:

    >>> average_pool(jnp.asarray([[[1.0], [3.0], [2.0]]]), 2, padding="same")[0, :, 0].tolist()
    [2.0, 2.0]
    """
    sizes, steps = _operands(x, window, strides, padding, data_format)
    sums = lax.reduce_window(x, x.dtype.type(0), lax.add, sizes, steps, padding.upper())
    if padding == "valid":
        return sums / math.prod(sizes)
    inside = jnp.ones(tuple(1 if k == 1 else n for n, k in zip(x.shape, sizes, strict=True)), x.dtype)
    return sums / lax.reduce_window(inside, x.dtype.type(0), lax.add, sizes, steps, "SAME")


def adaptive_max_pool(
    x: jax.Array, output_size: int | Sequence[int], data_format: str = "channels_last"
) -> jax.Array:
    """Return the largest element of each of ``output_size`` evenly spread windows.

    Window ``i`` of ``m`` over an axis of size ``n`` is ``floor(i n / m)`` to ``ceil((i + 1) n / m)``.

    Args:
        x: ``(batch, *spatial, channels)``.
        output_size: The number of windows along each spatial axis.
        data_format: Where the channels are.

    Returns:
        ``(batch, *output_size, channels)``.

    Example:

    >>> adaptive_max_pool(jnp.arange(5.0).reshape(1, 5, 1), 3)[0, :, 0].tolist()
    [1.0, 3.0, 4.0]
    """
    for axis, count in _adaptive_axes(x, output_size, data_format):
        elements, _ = _adaptive_windows(operator.index(x.shape[axis]), count)
        length = elements.shape[1]
        # An element that fills up a short window repeats the last one: the first match is never it.
        gathered = jnp.take(x, elements.ravel(), axis=axis)
        if length > _LONGEST_WINDOW:
            x = jnp.max(
                jnp.reshape(gathered, (*x.shape[:axis], count, length, *x.shape[axis + 1 :])), axis + 1
            )
        else:
            sizes = tuple(length if a == axis else 1 for a in range(x.ndim))
            x = _max_of_windows(gathered, sizes, sizes)
    return x


def adaptive_average_pool(
    x: jax.Array, output_size: int | Sequence[int], data_format: str = "channels_last"
) -> jax.Array:
    """Return the mean of each of ``output_size`` evenly spread windows.

    Window ``i`` of ``m`` over an axis of size ``n`` is ``floor(i n / m)`` to ``ceil((i + 1) n / m)``.

    Args:
        x: ``(batch, *spatial, channels)``.
        output_size: The number of windows along each spatial axis.
        data_format: Where the channels are.

    Returns:
        ``(batch, *output_size, channels)``.

    Example:

    >>> adaptive_average_pool(jnp.arange(5.0).reshape(1, 5, 1), 3)[0, :, 0].tolist()
    [0.5, 2.0, 3.5]
    """
    for axis, count in _adaptive_axes(x, output_size, data_format):
        elements, lengths = _adaptive_windows(operator.index(x.shape[axis]), count)
        weights = (np.arange(elements.shape[1]) < lengths[:, None]) / lengths[:, None]
        windows = jnp.take(x, elements.ravel(), axis=axis)
        windows = jnp.reshape(windows, (*x.shape[:axis], *elements.shape, *x.shape[axis + 1 :]))
        shape = (*elements.shape, *(1,) * (x.ndim - axis - 1))
        x = jnp.sum(windows * jnp.asarray(weights.reshape(shape), x.dtype), axis=axis + 1)
    return x


def global_max_pool(x: jax.Array, data_format: str = "channels_last", keepdims: bool = False) -> jax.Array:
    """Return the largest element of each channel: ``(batch, channels)``, or with spatial axes of size 1."""
    return jnp.max(x, axis=spatial_axes(x.ndim - 2, data_format), keepdims=keepdims)


def global_average_pool(
    x: jax.Array,
    data_format: str = "channels_last",
    keepdims: bool = False,
    mask: jax.Array | None = None,
) -> jax.Array:
    """Return the mean of each channel: ``(batch, channels)``, or with spatial axes of size 1.

    Args:
        x: ``(batch, *spatial, channels)``.
        data_format: Where the channels are.
        keepdims: Whether the spatial axes stay, with size 1.
        mask: ``(batch, *spatial)``: what counts.
    """
    axes = spatial_axes(x.ndim - 2, data_format)
    if mask is None:
        return jnp.mean(x, axis=axes, keepdims=keepdims)
    counts = jnp.expand_dims(mask, channel_axis(data_format)).astype(bool)
    total = jnp.sum(jnp.where(counts, x, jnp.zeros((), x.dtype)), axis=axes, keepdims=keepdims)
    return total / jnp.sum(counts.astype(x.dtype), axis=axes, keepdims=keepdims)


def _operands(x: jax.Array, window: Any, strides: Any, padding: str, data_format: str) -> tuple[Sizes, Sizes]:
    """Return window and strides over all axes of ``x``."""
    rank = x.ndim - 2
    sizes = per_axis(window, rank)
    require_room([x.shape[a] for a in spatial_axes(rank, data_format)], sizes, padding, "The pooling")
    steps = sizes if strides is None else per_axis(strides, rank)
    return over_spatial(sizes, data_format, 1), over_spatial(steps, data_format, 1)


def _lowest(dtype: Any) -> Any:
    return dtype.type(-np.inf) if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo(dtype).min


def _only(axis: int, sizes: Sizes) -> Sizes:
    return tuple(size if a == axis else 1 for a, size in enumerate(sizes))


def _slices(x: jax.Array, sizes: Sizes, steps: Sizes) -> Iterator[jax.Array]:
    """Yield the first element of every window, the second of every window, and so on, row by row."""
    counts = [(n - k) // s + 1 for n, k, s in zip(x.shape, sizes, steps, strict=True)]
    for offset in itertools.product(*map(range, sizes)):
        ends = [o + (c - 1) * s + 1 for o, c, s in zip(offset, counts, steps, strict=True)]
        yield lax.slice(x, offset, ends, steps)


# XLA's own gradient of a windowed maximum is a select-and-scatter, over twenty times slower on CPU.
@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _max_of_windows(x: jax.Array, sizes: Sizes, steps: Sizes) -> jax.Array:
    return functools.reduce(jnp.maximum, _slices(x, sizes, steps))


@_max_of_windows.defjvp
def _max_of_windows_jvp(
    sizes: Sizes, steps: Sizes, primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """Select the tangent of the winner, whose place in the window takes one byte to remember.

    The selection is linear, so its transpose, which puts a gradient back to where the
    winner stood, is made by JAX.
    """
    candidates = _slices(primals[0], sizes, steps)
    largest = next(candidates)
    place = jnp.zeros(largest.shape, jnp.uint8)
    for index, candidate in enumerate(candidates, start=1):
        place = jnp.where(candidate > largest, jnp.uint8(index), place)
        largest = jnp.maximum(largest, candidate)
    moves = enumerate(_slices(tangents[0], sizes, steps))
    chosen = (jnp.where(place == index, move, jnp.zeros_like(move)) for index, move in moves)
    return largest, functools.reduce(operator.add, chosen)


def _adaptive_axes(
    x: jax.Array, output_size: int | Sequence[int], data_format: str
) -> Iterator[tuple[int, int]]:
    rank = x.ndim - 2
    return zip(spatial_axes(rank, data_format), per_axis(output_size, rank), strict=True)


def _adaptive_windows(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which elements each window has, ``(count, longest)``, and how many, ``(count,)``.

    >>> elements, lengths = _adaptive_windows(5, 3)
    >>> elements.tolist(), lengths.tolist()
    ([[0, 1, 1], [1, 2, 3], [3, 4, 4]], [2, 3, 2])
    """
    starts = np.arange(count) * size // count
    ends = -(-np.arange(1, count + 1) * size // count)
    lengths = ends - starts
    return np.minimum(starts[:, None] + np.arange(lengths.max()), ends[:, None] - 1), lengths
