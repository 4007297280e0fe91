"""Images seen through small windows: blurred, their edges, how much alike two of them are.

Images are ``(batch, *spatial, channels)``, or ``(batch, channels, *spatial)`` for ``channels_first``.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.numerics.convolution import depthwise_convolution
from kerasmagic.numerics.windows import channel_axis


def gaussian(size: int, sigma: Any, dtype: Any) -> jax.Array:
    """Return a bell curve of ``size`` numbers that sum to 1: ``(size,)``.

    >>> gaussian(3, 1.0, "float32").round(3).tolist()
    [0.274..., 0.452..., 0.274...]
    """
    x = jnp.arange(size, dtype=dtype) - jnp.asarray((size - 1) / 2, dtype)
    curve = jnp.exp(-0.5 * (x / sigma) ** 2)
    return curve / jnp.sum(curve)


def each_channel(images: jax.Array, kernel: jax.Array, padding: str, data_format: str) -> jax.Array:
    """Return every channel convolved with ``kernel``, which is ``(*window, results)``."""
    channels = images.shape[channel_axis(data_format)]
    whole = jnp.broadcast_to(kernel[..., None, :], (*kernel.shape[:-1], channels, kernel.shape[-1]))
    return depthwise_convolution(images, whole, padding=padding, data_format=data_format)


def gaussian_blur(
    images: jax.Array, size: tuple[int, int], sigma: tuple[Any, Any], data_format: str = "channels_last"
) -> jax.Array:
    """Return the mean of each pixel's neighbours, near ones more heavily weighted.

    Args:
        images: ``(batch, height, width, channels)``.
        size: Width and height of the window.
        sigma: How wide the bell curve is, along the width and the height.
        data_format: Where the channels are.

    Returns:
        As ``images``; beyond the edges all is 0.
    """
    wide, high = (gaussian(n, s, images.dtype) for n, s in zip(size, sigma, strict=True))
    return each_channel(images, jnp.outer(high, wide)[..., None], "same", data_format)


def sobel_edges(images: jax.Array, data_format: str = "channels_last") -> jax.Array:
    """Return the slopes along height and width of each channel.

    Args:
        images: ``(batch, height, width, channels)``.
        data_format: Where the channels are.

    Returns:
        The shape of ``images``, and a last axis of size 2.

    >>> sobel_edges(jnp.arange(9.0).reshape(1, 3, 3, 1))[0, 1, 1, 0].tolist()
    [24.0, 8.0]
    """
    along_width = jnp.asarray([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], images.dtype)
    kernel = jnp.stack([along_width.T, along_width], axis=-1)
    # Both results of a channel stand side by side among the channels.
    slopes = each_channel(images, kernel, "same", data_format)
    if data_format == "channels_last":
        return jnp.reshape(slopes, (*images.shape, 2))
    n, c, h, w = images.shape
    return jnp.moveaxis(jnp.reshape(slopes, (n, c, 2, h, w)), 2, -1)


def ssim(
    x: jax.Array,
    y: jax.Array,
    max_val: Any = 1.0,
    size: int = 11,
    sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str = "channels_last",
) -> jax.Array:
    """Return how much alike the structure of two images is, 1 for equal ones.

    Wang et al. (2004), "Image quality assessment".

    Args:
        x: ``(batch, height, width, channels)``.
        y: The same shape.
        max_val: The largest value that a pixel can have.
        size: The size of the window.
        sigma: How wide the bell curve of its weights is.
        k1: Steadies the comparison of brightness, as a share of ``max_val``.
        k2: Steadies the comparison of contrast.
        data_format: Where the channels are.

    Returns:
        ``(batch,)``.
    """
    curve = gaussian(size, sigma, x.dtype)
    kernel = jnp.outer(curve, curve)[..., None]

    def mean(z: jax.Array) -> jax.Array:
        return each_channel(z, kernel, "valid", data_format)

    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    mx, my = mean(x), mean(y)
    vx, vy, covariance = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    # (2 mx my + c1) (2 cov + c2) / ((mx^2 + my^2 + c1) (vx + vy + c2))
    similarity = (2.0 * mx * my + c1) * (2.0 * covariance + c2)
    similarity = similarity / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return jnp.mean(similarity, axis=(1, 2, 3))


def psnr(x: jax.Array, y: jax.Array, max_val: Any) -> jax.Array:
    """Return the ratio of the largest possible signal to the difference of two images, in decibels: a scalar.

    >>> psnr(jnp.zeros(4), jnp.full(4, 0.1), 1.0).round(3).item()
    20.0
    """
    error = jnp.mean(jnp.square(x - y))
    return 20 * jnp.log10(jnp.asarray(max_val, y.dtype)) - 10 * jnp.log10(error)
