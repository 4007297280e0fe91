"""Images whose colors change and whose pixels stay where they are.

Images are ``(batch, height, width, channels)``, or ``(batch, channels, height, width)`` where the channels' ``axis`` is
-3. A number for each image is ``(batch, 1, 1, 1)``.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from kerasmagic.numerics import colors

# The weight of a pixel and of each of its neighbours when an image is smoothed (PIL's `ImageFilter.SMOOTH`).
_CENTER, _NEIGHBOUR = 5.0 / 13.0, 1.0 / 13.0


def spatial_axes(axis: int) -> tuple[int, int]:
    """Return the axes of height and width for those of the channels.

    >>> spatial_axes(-1), spatial_axes(-3)
    ((-3, -2), (-2, -1))
    """
    return (-3, -2) if axis == -1 else (-2, -1)


def rescaled(images: jax.Array, before: Any, after: Any, dtype: Any = "float32") -> jax.Array:
    """Return images whose values go from ``after[0]`` to ``after[1]`` and went from ``before[0]`` to ``before[1]``.

    Args:
        images: Of any shape.
        before: The least and the largest value so far.
        after: The least and the largest value to have.
        dtype: What to compute in; images that have the range already stay as they are.

    >>> rescaled(jnp.array([0, 51, 255]), (0, 255), (-1, 1)).round(2).tolist()
    [-1.0, -0.6, 1.0]
    """
    if tuple(before) == tuple(after):
        return images
    (low, high), (least, largest) = (jnp.asarray(pair, dtype) for pair in (before, after))
    return (images.astype(dtype) - low) / (high - low) * (largest - least) + least


def contrast(images: jax.Array, factor: jax.Array, axis: int = -1) -> jax.Array:
    """Return images whose values are ``factor`` times as far from the mean of their channel.

    >>> contrast(jnp.array([[[[1.0], [3.0]]]]), 2.0).ravel().tolist()
    [0.0, 4.0]
    """
    height, width = spatial_axes(axis)
    mean = jnp.mean(jnp.mean(images, axis=height, keepdims=True), axis=width, keepdims=True)
    return (images - mean) * factor + mean


def stretched_contrast(images: jax.Array) -> jax.Array:
    """Return images whose darkest value along axes 1 and 2 becomes 0 and whose brightest 255; NaN where all are one.

    >>> stretched_contrast(jnp.array([[[[10.0], [20.0]]]])).ravel().tolist()
    [0.0, 255.0]
    """
    low, high = (pick(images, axis=(1, 2), keepdims=True) for pick in (jnp.min, jnp.max))
    scale = 255.0 / (high - low)
    return jnp.clip(images * scale - low * scale, 0.0, 255.0)


def saturated(images: jax.Array, factor: jax.Array, limits: Any, axis: int = -1) -> jax.Array:
    """Return RGB images from 0 to 1 whose saturation is multiplied by ``factor`` and kept within ``limits``.

    >>> saturated(jnp.array([[[[0.25, 0.5, 0.5]]]]), jnp.zeros((1, 1, 1, 1)), (0, 1)).ravel().tolist()
    [0.5, 0.5, 0.5]
    """
    hue, saturation, value = jnp.split(colors.rgb_to_hsv(images, axis), 3, axis)
    saturation = jnp.clip(saturation * factor, limits[0], limits[1])
    return colors.hsv_to_rgb(jnp.concatenate([hue, saturation, value], axis), axis)


def shifted_hue(images: jax.Array, shift: jax.Array, axis: int = -1) -> jax.Array:
    """Return RGB images from 0 to 1 whose hue is moved on by ``shift``, a fraction of the circle of hues.

    >>> shifted_hue(jnp.array([[[[1.0, 0.0, 0.0]]]]), jnp.full((1, 1, 1, 1), 1 / 3)).ravel().round(3).tolist()
    [0.0, 1.0, 0.0]
    """
    hue, saturation, value = jnp.split(colors.rgb_to_hsv(images, axis), 3, axis)
    hue = hue + shift
    hue = jnp.where(hue > 1.0, hue - 1.0, hue)
    hue = jnp.where(hue < 0.0, hue + 1.0, hue)
    return jnp.clip(colors.hsv_to_rgb(jnp.concatenate([hue, saturation, value], axis), axis), 0, 1)


def posterized(images: jax.Array, dropped: jax.Array) -> jax.Array:
    """Return images from 0 to 255 as ``uint8``, with as many of their lowest bits set to 0 as ``dropped`` says.

    >>> posterized(jnp.array([255.0, 31.0]), jnp.array(5, "uint8")).tolist()
    [224, 0]
    """
    return jnp.left_shift(jnp.right_shift(images.astype("uint8"), dropped), dropped)


def smoothed(images: jax.Array, axis: int = -1) -> jax.Array:
    """Return images each of whose pixels is averaged with its eight neighbours; beyond the edges all is 0.

    >>> smoothed(jnp.full((1, 3, 3, 1), 13.0))[0, :2, :2, 0].round(3).tolist()
    [[8.0, 10.0], [10.0, 13.0]]
    """
    window = [1] * images.ndim
    for place in spatial_axes(axis):
        window[place] = 3
    # JAX differentiates the sum over windows only where it begins at its own zero, a plain number.
    around = lax.reduce_window(images, 0.0, lax.add, tuple(window), (1,) * images.ndim, "SAME")
    return _NEIGHBOUR * around + (_CENTER - _NEIGHBOUR) * images


def solarized(images: jax.Array, additions: jax.Array, thresholds: jax.Array) -> jax.Array:
    """Return images from 0 to 255, brighter by ``additions``, whose values from ``thresholds`` on are inverted.

    >>> solarized(jnp.array([10.0, 200.0, 250.0]), 10.0, 128.0).tolist()
    [20.0, 45.0, 0.0]
    """
    images = jnp.clip(images + additions, 0, 255)
    return jnp.where(images < thresholds, images, 255 - images)


def equalized(values: jax.Array, bins: int) -> jax.Array:
    """Return values from 0 to 255 spread so that each range of them has about equally many.

    The cumulative histogram, brought to the range, is the table in which each value is looked up (Gonzalez and Woods,
    Digital Image Processing, section 3.3). Values that all fall into one bin stay as they are.

    Args:
        values: Of any shape, one channel.
        bins: How many ranges to count the values in.

    >>> equalized(jnp.array([100.0, 101.0, 102.0]), 256).tolist()
    [0.0, 128.0, 255.0]
    """
    counted = (values.astype("float32") * (bins - 1) / 255.0).astype("int32")
    histogram = jnp.bincount(jnp.clip(counted, 0, bins - 1).reshape(-1), length=bins)
    below = jnp.cumsum(histogram)
    first = below[jnp.argmax(below > 0)]
    spread = below[-1] - first
    table = (below - first).astype("float32") * 255 / jnp.where(spread == 0, 1, spread)
    places = jnp.clip(values / 255.0 * (bins - 1), 0, bins - 1).astype("int32")
    looked_up = jnp.clip(jnp.round(table), 0, 255)[places]
    return jnp.where(jnp.count_nonzero(histogram) <= 1, values, looked_up)
