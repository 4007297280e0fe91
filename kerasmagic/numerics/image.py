"""Images made larger and smaller, as pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.numerics.windows import spatial_axes

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


def resize(
    x: jax.Array,
    size: Sequence[Any],
    interpolation: str = "bilinear",
    *,
    antialias: bool = False,
    data_format: str = "channels_last",
) -> jax.Array:
    """Return ``x`` with spatial axes of other sizes.

    Args:
        x: ``(batch, *spatial, channels)``, of a float type.
        size: The new spatial sizes; open dimensions are allowed.
        interpolation: One of ``INTERPOLATIONS``.
        antialias: Whether to blur before making smaller.
        data_format: Where the channels are.

    Returns:
        ``(batch, *size, channels)``.

    Example:

    >>> resize(jnp.asarray([[[0.0], [1.0]]]), (4,))[0, :, 0].tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    shape = list(x.shape)
    for axis, new in zip(spatial_axes(x.ndim - 2, data_format), size, strict=True):
        shape[axis] = new
    return jax.image.resize(x, shape, interpolation, antialias=antialias)


def upsample(
    x: jax.Array,
    factors: Sequence[int],
    interpolation: str = "nearest",
    data_format: str = "channels_last",
) -> jax.Array:
    """Return ``x`` with every spatial size multiplied by its factor.

    Args:
        x: ``(batch, *spatial, channels)``.
        factors: One factor per spatial axis.
        interpolation: One of ``INTERPOLATIONS``; ``"nearest"`` repeats.
        data_format: Where the channels are.

    Returns:
        ``(batch, *sizes, channels)``.

    Example:

    >>> upsample(jnp.asarray([[[0.0], [1.0]]]), (2,))[0, :, 0].tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    axes = spatial_axes(x.ndim - 2, data_format)
    if interpolation != "nearest":
        size = [x.shape[axis] * factor for axis, factor in zip(axes, factors, strict=True)]
        return resize(x, size, interpolation, data_format=data_format)
    for axis, factor in zip(axes, factors, strict=True):
        x = jnp.repeat(x, factor, axis=axis)
    return x
