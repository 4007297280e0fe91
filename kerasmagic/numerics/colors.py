"""Colors of pixels: gray, and hue with saturation and value.

Images are ``(..., height, width, channels)``, or ``(..., channels, height, width)`` with ``axis=-3``.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

# How bright red, green and blue look: ITU-R BT.601.
_BRIGHTNESS = (0.2989, 0.5870, 0.1140)


def grayscale(images: jax.Array, axis: int = -1) -> jax.Array:
    """Return the brightness of RGB pixels as their only channel, in the type of ``images``.

    >>> grayscale(jnp.array([[[100, 100, 200]]])).tolist()
    [[[111]]]
    """
    dtype = images.dtype
    wide = images if jnp.issubdtype(dtype, jnp.floating) else images.astype(jnp.float32)
    gray = jnp.tensordot(wide, jnp.asarray(_BRIGHTNESS, wide.dtype), axes=(axis, -1))
    return jnp.expand_dims(gray, axis).astype(dtype)


def rgb_to_hsv(images: jax.Array, axis: int = -1) -> jax.Array:
    """Return hue, saturation and value of RGB pixels; all of them from 0 to 1.

    >>> rgb_to_hsv(jnp.array([[[0.0, 0.5, 0.0]]])).round(3).tolist()
    [[[0.333..., 1.0, 0.5]]]
    """
    tiny = jnp.abs(images) < jnp.finfo(images.dtype).eps
    r, g, b = jnp.moveaxis(jnp.where(tiny, 0.0, images), axis, 0)
    value = jnp.maximum(jnp.maximum(r, g), b)
    spread = value - jnp.minimum(jnp.minimum(r, g), b)
    colored = spread > 0
    saturation = jnp.where(value > 0, spread / jnp.where(value > 0, value, 1.0), 0.0)
    # Hue goes round in sixths: red at 0, green at 2/6, blue at 4/6.
    sixth = 1.0 / (6.0 * jnp.where(colored, spread, 1.0))
    hue = jnp.where(value == g, sixth * (b - r) + 2.0 / 6.0, sixth * (r - g) + 4.0 / 6.0)
    hue = jnp.where(value == r, sixth * (g - b), hue)
    hue = jnp.where(colored, hue, 0.0) + (hue < 0.0).astype(hue.dtype)
    return jnp.stack([hue, saturation, value], axis)


def hsv_to_rgb(images: jax.Array, axis: int = -1) -> jax.Array:
    """Return the RGB pixels of hue, saturation and value.

    >>> hsv_to_rgb(jnp.array([[[1 / 3, 1.0, 0.5]]])).round(3).tolist()
    [[[0.0, 0.5, 0.0]]]
    """
    hue, saturation, value = jnp.moveaxis(images, axis, 0)
    h = jnp.mod(hue, 1.0) * 6.0
    # How much of each primary there is in a fully saturated hue.
    shares = (jnp.abs(h - 3.0) - 1.0, 2.0 - jnp.abs(h - 2.0), 2.0 - jnp.abs(h - 4.0))
    channels = [value * ((1.0 - saturation) + saturation * jnp.clip(share, 0.0, 1.0)) for share in shares]
    return jnp.stack(channels, axis)
