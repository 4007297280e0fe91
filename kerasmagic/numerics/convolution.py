"""Convolutions over any number of spatial axes, as pure functions.

``x`` is ``(batch, *spatial, channels)``, or ``(batch, channels, *spatial)`` for
``channels_first``; results have the same layout. Kernels are ``(*window, in, out)``
in both. One integer for ``strides`` or ``dilation`` stands for every axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from kerasmagic.foundation.errors import ShapeMismatch
from kerasmagic.numerics import convolution_ways as ways
from kerasmagic.numerics.convolution_groups import grouped_convolution
from kerasmagic.numerics.windows import (
    Sizes,
    channel_axis,
    closed,
    per_axis,
    reach,
    require_room,
    spatial_axes,
)

Steps = int | Sequence[int]


def convolution(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: Steps = 1,
    padding: str = "valid",
    dilation: Steps = 1,
    data_format: str = "channels_last",
) -> jax.Array:
    """Return the cross-correlation of ``x`` with ``kernel``.

    Args:
        x: ``(batch, *spatial, channels)``.
        kernel: ``(*window, channels / groups, filters)``; its third last size says how many groups there are.
        strides: Distance between windows.
        padding: ``"valid"``, ``"same"``, or ``"causal"``: all padding before the first step.
        dilation: Distance between the elements of a window.
        data_format: Where the channels are.

    Returns:
        ``(batch, *windows, filters)`` in the dtype of ``kernel``.

    Raises:
        ShapeMismatch: If the channels don't fit the kernel or no window fits into ``x``.

    Example:

    >>> convolution(jnp.ones((1, 5, 1)), jnp.ones((3, 1, 2)), strides=2).shape
    (1, 2, 2)
    """
    channels, expected = x.shape[channel_axis(data_format)], kernel.shape[-2]
    if channels % expected != 0:
        raise ShapeMismatch(
            "The number of input channels must be evenly divisible by the kernel's: received an input with "
            f"{channels} channels (shape {x.shape}) and a kernel for {expected} (shape {kernel.shape})."
        )
    return _convolve(x, kernel, strides, padding, dilation, data_format, channels // expected)


def depthwise_convolution(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: Steps = 1,
    padding: str = "valid",
    dilation: Steps = 1,
    data_format: str = "channels_last",
) -> jax.Array:
    """Return ``x`` convolved channel by channel.

    Args:
        x: ``(batch, *spatial, channels)``.
        kernel: ``(*window, channels, multiplier)``.
        strides: Distance between windows.
        padding: ``"valid"`` or ``"same"``.
        dilation: Distance between the elements of a window.
        data_format: Where the channels are.

    Returns:
        ``(batch, *windows, channels * multiplier)``, the outputs of one channel side by side.

    Raises:
        ShapeMismatch: If the channels don't fit the kernel or no window fits into ``x``.

    Example:

    >>> depthwise_convolution(jnp.ones((1, 5, 3)), jnp.ones((3, 3, 2))).shape
    (1, 3, 6)
    """
    channels = _same_channels(x, kernel.shape[-2], kernel, data_format)
    merged = jnp.reshape(kernel, (*kernel.shape[:-2], 1, channels * kernel.shape[-1]))
    return _convolve(x, merged, strides, padding, dilation, data_format, channels)


def separable_convolution(
    x: jax.Array,
    depthwise_kernel: jax.Array,
    pointwise_kernel: jax.Array,
    *,
    strides: Steps = 1,
    padding: str = "valid",
    dilation: Steps = 1,
    data_format: str = "channels_last",
) -> jax.Array:
    """Return ``x`` convolved channel by channel, then mixed across channels.

    Args:
        x: ``(batch, *spatial, channels)``.
        depthwise_kernel: ``(*window, channels, multiplier)``.
        pointwise_kernel: ``(1, ..., 1, channels * multiplier, filters)``.
        strides: Distance between windows.
        padding: ``"valid"`` or ``"same"``.
        dilation: Distance between the elements of a window.
        data_format: Where the channels are.

    Returns:
        ``(batch, *windows, filters)``.

    Raises:
        ShapeMismatch: If the channels don't fit the kernels or no window fits into ``x``.

    Example:

    >>> separable_convolution(jnp.ones((1, 5, 3)), jnp.ones((3, 3, 2)), jnp.ones((1, 6, 4))).shape
    (1, 3, 4)
    """
    each = depthwise_convolution(
        x, depthwise_kernel, strides=strides, padding=padding, dilation=dilation, data_format=data_format
    )
    return convolution(each, pointwise_kernel, data_format=data_format)


def transposed_convolution(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: Steps = 1,
    padding: str = "valid",
    output_padding: Steps | None = None,
    dilation: Steps = 1,
    data_format: str = "channels_last",
) -> jax.Array:
    """Return the gradient of a convolution, with respect to its input, as an operation of its own.

    Args:
        x: ``(batch, *spatial, channels)``.
        kernel: ``(*window, filters, channels)``.
        strides: How far apart the windows of neighbouring inputs are in the output.
        padding: ``"valid"`` or ``"same"``.
        output_padding: How much longer the output is at its end; as much as ``padding`` needs when ``None``.
        dilation: Distance between the elements of a window.
        data_format: Where the channels are.

    Returns:
        ``(batch, *sizes, filters)``; a size is ``size * stride`` for ``"same"`` and
        ``(size - 1) * stride + max(reach, stride)`` for ``"valid"``, if ``output_padding`` is ``None``.

    Raises:
        ShapeMismatch: If the channels don't fit the kernel.

    Example:

    >>> transposed_convolution(jnp.ones((1, 5, 3)), jnp.ones((3, 2, 3)), strides=2, padding="same").shape
    (1, 10, 2)
    """
    rank = x.ndim - 2
    _same_channels(x, kernel.shape[-1], kernel, data_format)
    steps, spread = per_axis(strides, rank), per_axis(dilation, rank)
    extra = (None,) * rank if output_padding is None else per_axis(output_padding, rank)
    windows = reach(kernel.shape[:rank], spread)
    pads = [_transposed_padding(*axis, padding) for axis in zip(windows, steps, extra, strict=True)]
    spatial = [x.shape[a] for a in spatial_axes(rank, data_format)]
    x = x.astype(kernel.dtype)
    if _by_own_ways(spatial):
        last = [(size - 1) * step for size, step in zip(spatial, steps, strict=True)]
        sizes = tuple(n + 2 + sum(p) - w for n, p, w in zip(last, pads, windows, strict=True))
        slid = tuple(
            (w - 1 - before, w - 1 - after) for w, (before, after) in zip(windows, pads, strict=True)
        )
        slide = ways.Slide(steps, slid, spread)
        return _channels_last(lambda x: ways.transposed(x, kernel, slide, sizes), x, data_format)
    return lax.conv_transpose(
        x,
        kernel,
        steps,
        pads,
        rhs_dilation=spread,
        dimension_numbers=_layout(rank, data_format),
        transpose_kernel=True,
    )


def _transposed_padding(window: int, stride: int, extra: int | None, padding: str) -> tuple[int, int]:
    """Return the padding of the dilated input on both sides, the first never more than all of the window."""
    if padding == "valid":
        return window - 1, window - 1 + (max(stride - window, 0) if extra is None else extra)
    total = stride + window - 2 if extra is None else window + window % 2 - 2 + extra
    before = min((total + 1) // 2, window - 1)
    return before, total - before


def _same_channels(x: jax.Array, expected: int, kernel: jax.Array, data_format: str) -> int:
    channels = x.shape[channel_axis(data_format)]
    if channels != expected:
        raise ShapeMismatch(
            "The number of input channels must match the kernel's input channels: received an input with "
            f"{channels} channels (shape {x.shape}) and a kernel for {expected} (shape {kernel.shape})."
        )
    return channels


def _layout(rank: int, data_format: str) -> tuple[str, str, str]:
    """Return the axes of input, kernel and output as ``lax`` names them.

    >>> _layout(2, "channels_last")
    ('NHWC', 'HWIO', 'NHWC')
    """
    spatial = "DHW"[-rank:]
    data = f"N{spatial}C" if data_format == "channels_last" else f"NC{spatial}"
    return data, f"{spatial}IO", data


def _pads(window: Sizes, padding: str) -> Any:
    if padding == "causal":
        return [(reached - 1, 0) for reached in window]
    return padding.upper()


def _convolve(
    x: jax.Array,
    kernel: jax.Array,
    strides: Steps,
    padding: str,
    dilation: Steps,
    data_format: str,
    groups: int,
) -> jax.Array:
    """Convolve: every convolution that is not transposed passes here, to be computed in the fastest way."""
    rank = x.ndim - 2
    spread, steps = per_axis(dilation, rank), per_axis(strides, rank)
    window = reach(kernel.shape[:rank], spread)
    spatial = [x.shape[a] for a in spatial_axes(rank, data_format)]
    require_room(spatial, window, padding, "The convolution")
    x = x.astype(kernel.dtype)
    if _by_own_ways(spatial):
        pads = _pads(window, padding)
        pads = lax.padtype_to_pads(spatial, window, steps, pads) if isinstance(pads, str) else pads
        slide = ways.Slide(steps, tuple((before, after) for before, after in pads), spread)
        return _channels_last(lambda x: _by_fastest_way(x, kernel, slide, groups), x, data_format)
    return lax.conv_general_dilated(
        x,
        kernel,
        steps,
        _pads(window, padding),
        rhs_dilation=spread,
        dimension_numbers=_layout(rank, data_format),
        feature_group_count=groups,
    )


def _by_own_ways(spatial: Sequence[Any]) -> bool:
    """Whether there may be a faster way than XLA's own operation: it is a fast one on GPUs."""
    return jax.default_backend() == "cpu" and closed(spatial)


def _by_fastest_way(x: jax.Array, kernel: jax.Array, slide: ways.Slide, groups: int) -> jax.Array:
    if groups > 1:
        return grouped_convolution(x, kernel, slide)
    if ways.usual(kernel) is ways.native and ways.open_to_choice(x, kernel):
        return ways.chosen(x, kernel, slide)
    return ways.usual(kernel)(x, kernel, slide)


def _channels_last(function: Callable[[jax.Array], jax.Array], x: jax.Array, data_format: str) -> jax.Array:
    """Call a function of ``(batch, *spatial, channels)`` on ``x``, whose channels may come first."""
    if data_format == "channels_last":
        return function(x)
    return jnp.moveaxis(function(jnp.moveaxis(x, 1, -1)), -1, 1)
