"""Windows of an image as channels, and back: patches, unfold and fold, depth and space."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from kerasmagic.foundation.errors import ShapeMismatch
from kerasmagic.numerics import convolution
from kerasmagic.numerics.windows import channel_axis, per_axis, reach

Pair = int | Sequence[int]


def extract(
    x: jax.Array,
    size: Sequence[int],
    strides: Pair,
    dilation: Pair = 1,
    padding: str = "valid",
    data_format: str = "channels_last",
) -> jax.Array:
    """Return every window of ``x`` as the channels of one place.

    Args:
        x: ``(batch, *spatial, channels)``.
        size: The size of a window.
        strides: Distance between windows.
        dilation: Distance between the elements of a window.
        padding: ``"valid"`` or ``"same"``.
        data_format: Where the channels are.

    Returns:
        ``(batch, *windows, prod(size) * channels)``.

    >>> extract(jnp.arange(4.0).reshape(1, 2, 2, 1), (2, 2), 1).tolist()
    [[[[0.0, 1.0, 2.0, 3.0]]]]
    """
    channels = x.shape[channel_axis(data_format)]
    count = math.prod(size) * channels
    kernel = jnp.reshape(jnp.eye(count, dtype=x.dtype), (*size, channels, count))
    return convolution.convolution(
        x, kernel, strides=strides, padding=padding, dilation=dilation, data_format=data_format
    )


def unfold(x: jax.Array, size: Pair, dilation: Pair, padding: Pair, stride: Pair) -> jax.Array:
    """Return every window as a column: ``(batch, channels, h, w) -> (batch, channels * size, windows)``.

    >>> unfold(jnp.arange(4.0).reshape(1, 1, 2, 2), (1, 2), 1, 0, 1).tolist()
    [[[0.0, 2.0], [1.0, 3.0]]]
    """
    windows = lax.conv_general_dilated_patches(
        x,
        per_axis(size, 2),
        per_axis(stride, 2),
        [(p, p) for p in per_axis(padding, 2)],
        rhs_dilation=per_axis(dilation, 2),
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )
    return jnp.reshape(windows, (*windows.shape[:2], -1))


def fold(
    x: jax.Array, output_size: Pair, size: Pair, dilation: Pair, padding: Pair, stride: Pair
) -> jax.Array:
    """Return the sum of windows put back in their places: what ``unfold`` undoes but for overlaps.

    Args:
        x: ``(batch, channels * size, windows)``.
        output_size: Height and width of the result.
        size: The size of a window.
        dilation: Distance between the elements of a window.
        padding: How far windows reach over each edge.
        stride: Distance between windows.

    Returns:
        ``(batch, channels, *output_size)``.

    Raises:
        ShapeMismatch: If ``x`` has not as many windows as fit, or no whole number of channels.
    """
    sizes, windows = per_axis(output_size, 2), per_axis(size, 2)
    pads, steps, spread = per_axis(padding, 2), per_axis(stride, 2), per_axis(dilation, 2)
    reached = reach(windows, spread)
    counts = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(sizes, pads, reached, steps, strict=True)]
    columns = math.prod(windows)
    if x.shape[1] % columns or x.shape[2] != math.prod(counts):
        raise ShapeMismatch(
            f"`fold` to {sizes} with windows of {windows} needs an input (batch, channels * {columns}, "
            f"{math.prod(counts)}). Received: x.shape={x.shape}"
        )
    channels = x.shape[1] // columns
    pieces = jnp.reshape(x, (x.shape[0], channels, *windows, *counts))
    padded = [n + 2 * p for n, p in zip(sizes, pads, strict=True)]
    total = jnp.zeros((x.shape[0], channels, *padded), x.dtype)
    rows, columns_at = (
        jnp.arange(k)[:, None] * d + jnp.arange(n)[None, :] * s
        for k, d, n, s in zip(windows, spread, counts, steps, strict=True)
    )
    # Index arrays of (row in window, column in window, window row, window column).
    total = total.at[:, :, rows[:, None, :, None], columns_at[None, :, None, :]].add(pieces)
    return total[:, :, pads[0] : pads[0] + sizes[0], pads[1] : pads[1] + sizes[1]]


def depth_to_space(x: jax.Array, block: int, data_format: str = "channels_last") -> jax.Array:
    """Return ``(batch, h, w, channels)`` as ``(batch, h * block, w * block, channels / block**2)``.

    >>> depth_to_space(jnp.arange(4).reshape(1, 1, 1, 4), 2)[0, :, :, 0].tolist()
    [[0, 1], [2, 3]]
    """
    if data_format == "channels_last":
        n, h, w, c = x.shape
        x = jnp.reshape(x, (n, h, w, block, block, c // block**2)).transpose(0, 1, 3, 2, 4, 5)
        return jnp.reshape(x, (n, h * block, w * block, c // block**2))
    n, c, h, w = x.shape
    x = jnp.reshape(x, (n, c // block**2, block, block, h, w)).transpose(0, 1, 4, 2, 5, 3)
    return jnp.reshape(x, (n, c // block**2, h * block, w * block))


def space_to_depth(x: jax.Array, block: int, data_format: str = "channels_last") -> jax.Array:
    """Return ``(batch, h, w, channels)`` as ``(batch, h / block, w / block, channels * block**2)``.

    >>> space_to_depth(jnp.arange(4).reshape(1, 2, 2, 1), 2).tolist()
    [[[[0, 1, 2, 3]]]]
    """
    if data_format == "channels_last":
        n, h, w, c = x.shape
        x = jnp.reshape(x, (n, h // block, block, w // block, block, c)).transpose(0, 1, 3, 2, 4, 5)
        return jnp.reshape(x, (n, h // block, w // block, c * block**2))
    n, c, h, w = x.shape
    x = jnp.reshape(x, (n, c, h // block, block, w // block, block)).transpose(0, 1, 3, 5, 2, 4)
    return jnp.reshape(x, (n, c * block**2, h // block, w // block))
