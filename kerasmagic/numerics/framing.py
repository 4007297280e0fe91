"""Images cut to a size or set into a larger one, as pure functions.

Images are ``(..., height, width, channels)``, or ``(..., channels, height, width)`` for ``channels_first``.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def image_axes(images: jax.Array, data_format: str) -> tuple[int, int]:
    """Return where height and width are.

    >>> image_axes(jnp.ones((2, 8, 9, 3)), "channels_last")
    (1, 2)
    """
    first = images.ndim - (3 if data_format == "channels_last" else 2)
    return first, first + 1


def crop(images: jax.Array, top: Any, left: Any, height: Any, width: Any, data_format: str) -> jax.Array:
    """Return the part of that height and width whose corner is at ``top`` and ``left``.

    >>> crop(jnp.ones((8, 9, 3)), 1, 2, 5, 4, "channels_last").shape
    (5, 4, 3)
    """
    for axis, start, size in zip(image_axes(images, data_format), (top, left), (height, width), strict=True):
        images = jax.lax.slice_in_dim(images, start, start + size, axis=axis)
    return images


def pad(
    images: jax.Array, rows: tuple[Any, Any], columns: tuple[Any, Any], data_format: str, value: Any = 0
) -> jax.Array:
    """Return the images with rows above and below and columns left and right, of ``value``.

    >>> pad(jnp.ones((8, 9, 3)), (1, 2), (0, 1), "channels_last").shape
    (11, 10, 3)
    """
    widths: list[tuple[Any, Any]] = [(0, 0)] * images.ndim
    at_height, at_width = image_axes(images, data_format)
    widths[at_height], widths[at_width] = rows, columns
    return jnp.pad(images, widths, constant_values=value)


def to_aspect(
    images: jax.Array, height: int, width: int, data_format: str, pad_value: Any = None
) -> jax.Array:
    """Return the images with the aspect ratio ``width / height``, at their own scale.

    Args:
        images: Any number of images.
        height: What the ratio is of.
        width: What the ratio is of.
        data_format: Where the channels are.
        pad_value: What is put at the sides; the middle is cut out when ``None``.

    >>> to_aspect(jnp.ones((8, 4, 3)), 10, 10, "channels_last").shape
    (4, 4, 3)
    """
    rows, columns = (images.shape[axis] for axis in image_axes(images, data_format))
    fitting = (int(float(columns * height) / width), int(float(rows * width) / height))
    if pad_value is None:
        new = [max(min(have, fit), 1) for have, fit in zip((rows, columns), fitting, strict=True)]
        start = [int(float(have - size) / 2) for have, size in zip((rows, columns), new, strict=True)]
        return crop(images, start[0], start[1], new[0], new[1], data_format)
    add = [int(float(max(have, fit) - have) / 2) for have, fit in zip((rows, columns), fitting, strict=True)]
    return pad(images, (add[0], add[0]), (add[1], add[1]), data_format, pad_value)
