"""Convolutions on CPU whose channels are in groups that don't mix.

XLA computes these there by loops over single numbers. Milliseconds of one core for the convolution, the gradient of
its kernel and of its input, by XLA and here (``python benchmarks/convolutions.py --groups``): 78, 83, 78 and 3, 6, 3
with each of 64 channels by itself (32 images 32 x 32, 3 x 3); 26, 5457, 25 and 9, 14, 9 with 32 groups of 4 channels
(8 images 28 x 28, 3 x 3).
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kerasmagic.numerics import convolution_ways as ways
from kerasmagic.numerics.compiling import traced_once
from kerasmagic.numerics.convolution_ways import Slide
from kerasmagic.numerics.windows import Sizes, closed, reach

# Fewer channels than this make products of matrices too small to be fast, more pieces take long to compile.
FEWEST_TOGETHER = 32
MOST_PIECES = 8
# Values of a row that are added up together, and the least of its length.
LARGEST_PART = 2**13
SHORTEST_PART = 8


@traced_once("slide")
def grouped_convolution(x: jax.Array, kernel: jax.Array, slide: Slide) -> jax.Array:
    """Convolve each group of channels with kernels of its own.

    Args:
        x: ``(batch, *spatial, groups * channels)``.
        kernel: ``(*window, channels, groups * filters)``.
        slide: How the windows slide.

    Returns:
        ``(batch, *windows, groups * filters)``.

    Example:

    >>> grouped_convolution(jnp.ones((1, 5, 4)), jnp.ones((3, 2, 6)), Slide((2,), ((0, 0),), (1,))).shape
    (1, 2, 6)
    """
    *window, expected, filters = kernel.shape
    groups = x.shape[-1] // expected
    if expected > 1 or math.prod(window) > ways.MOST_PRODUCTS:
        return _by_bundles(x, kernel, slide, groups)
    each = filters // groups
    if each > 1:
        x = jnp.reshape(jnp.broadcast_to(x[..., None], (*x.shape, each)), (*x.shape[:-1], filters))
    wide = jnp.promote_types(x.dtype, jnp.float32) if jnp.issubdtype(x.dtype, jnp.floating) else x.dtype
    y: jax.Array = _by_channels(x.astype(wide), kernel.astype(wide), slide)
    return y.astype(x.dtype)


def _by_bundles(x: jax.Array, kernel: jax.Array, slide: Slide, groups: int) -> jax.Array:
    """Convolve several groups together, with zeros where one would meet the channels of another."""
    *_, expected, filters = kernel.shape
    most = max(FEWEST_TOGETHER, x.shape[-1] // MOST_PIECES)
    together = max(n for n in range(1, groups + 1) if groups % n == 0 and n * expected <= max(most, expected))
    rows, columns = np.ogrid[: together * expected, :filters]
    same = rows // expected == columns // (filters // groups) % together
    whole = jnp.where(same, jnp.concatenate([kernel] * together, -2), jnp.zeros((), kernel.dtype))
    pieces = groups // together
    parts = zip(jnp.split(x, pieces, -1), jnp.split(whole, pieces, -1), strict=True)
    return jnp.concatenate([ways.usual(k)(part, k, slide) for part, k in parts], -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _by_channels(x: jax.Array, kernel: jax.Array, slide: Slide) -> jax.Array:
    """Convolve ``(batch, *spatial, channels)`` channel by channel with ``(*window, 1, channels)``."""
    return _forward(x, kernel, slide)[0]


def _forward(x: jax.Array, kernel: jax.Array, slide: Slide) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _sum_over_window(x, kernel, slide), (x, kernel)


def _backward(slide: Slide, kept: tuple[jax.Array, jax.Array], g: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = kept
    change = _sum_over_outputs(g, kernel, slide, x.shape[1:-1])
    return change, _kernel_gradient(g, x, kernel.shape, slide)


_by_channels.defvjp(_forward, _backward)


def _sum_over_window(x: jax.Array, kernel: jax.Array, slide: Slide) -> jax.Array:
    """Return for each window the sum of what it shows, weighted."""
    total: Any = 0
    for seen, weights in zip(ways.seen_by_places(x, kernel, slide), ways.places_of(kernel), strict=True):
        total = total + seen * weights
    return total


def _sum_over_outputs(g: jax.Array, kernel: jax.Array, slide: Slide, sizes: Sizes) -> jax.Array:
    """Return for each input the sum of the outputs it is part of, weighted: windows that slide over ``g``.

    XLA takes 28 to 64 ms for what JAX makes of it with 25 to 49 places, and 4 to 9 for this.
    """
    rank = len(sizes)
    holes = ((0, 0, 0), *((0, 0, stride - 1) for stride in slide.strides), (0, 0, 0))
    spread = lax.pad(g, jnp.zeros((), g.dtype), holes) if math.prod(slide.strides) > 1 else g
    edges = [extent - 1 for extent in reach(kernel.shape[:rank], slide.dilation)]
    pads = tuple(
        (edge - before, size + before - extent)
        for edge, (before, _), size, extent in zip(edges, slide.pads, sizes, spread.shape[1:-1], strict=True)
    )
    turned = lax.rev(kernel, tuple(range(rank)))
    return _sum_over_window(spread, turned, Slide((1,) * rank, pads, slide.dilation))


def _kernel_gradient(g: jax.Array, x: jax.Array, shape: Sizes, slide: Slide) -> jax.Array:
    """Return the gradient of a kernel of that ``shape``; ``g`` is that of the output.

    A row of all channels stays in the cache for every place of the window: 8 ms instead of 28 with one sum over all
    rows for each of 3 x 3 places (32 images 32 x 32 x 64), 11 instead of 84 for 7 x 7 (8 images 28 x 28 x 192). Of
    long rows parts do: 31 places over 16 sequences 512 x 256 take 15 to 17 ms in parts and 34 by rows.
    """
    if not closed(g.shape) or not g.size:
        kernel = jax.ShapeDtypeStruct(shape, g.dtype)
        return jax.linear_transpose(lambda k: _sum_over_window(x, k, slide), kernel)(g)[0]
    *window, _, channels = shape
    *others, width = g.shape[1:-1]
    length = _part_of_row(width, channels)
    x = ways.padded(x, slide.pads)
    *heights, span = reach(window, slide.dilation)
    step = slide.strides[-1]
    span += (length - 1) * step
    places = [
        tuple(p * d for p, d in zip(place, slide.dilation, strict=True)) for place in np.ndindex(*window)
    ]

    def add_part(sums: Any, part: Any) -> Any:
        (sample, *at), g = part
        starts = (i * stride for i, stride in zip(at, slide.strides, strict=True))
        block = lax.dynamic_slice(x, (sample, *starts, 0), (1, *heights, span, channels))[0]
        met = (block[(*up, slice(left, left + (length - 1) * step + 1, step))] for *up, left in places)
        return tuple(total + m * g for total, m in zip(sums, met, strict=True)), None

    which = np.indices((g.shape[0], *others, width // length)).reshape(len(g.shape) - 1, -1)
    which[-1] *= length
    parts = (tuple(map(jnp.asarray, which)), jnp.reshape(g, (-1, length, channels)))
    sums, _ = lax.scan(add_part, (jnp.zeros((length, channels), g.dtype),) * len(places), parts)
    return jnp.reshape(jnp.sum(jnp.stack(sums), axis=1), shape)


def _part_of_row(width: int, channels: int) -> int:
    """Return how much of a row to take at a time: all of it, or the most of equal parts that are long enough."""
    lengths = [n for n in range(SHORTEST_PART, width) if width % n == 0 and n * channels <= LARGEST_PART]
    return max(lengths, default=width) if width * channels > LARGEST_PART else width
