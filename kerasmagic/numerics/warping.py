"""Images read at other places: affine, perspective and elastic transforms.

Each is a field of places, ``(batch, 2, height, width)`` for row and column, and one reading of it.
Images are ``(batch, height, width, channels)``.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy import ndimage

from kerasmagic.numerics.filters import gaussian_blur

ORDERS = {"nearest": 0, "bilinear": 1}
"""The interpolations, and the degree of each."""
FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")
"""What may stand beyond the edges."""


def read_at(images: jax.Array, places: jax.Array, order: int, fill_mode: str, fill_value: Any) -> jax.Array:
    """Return the pixels at ``places``, all channels at the same one.

    Args:
        images: ``(batch, height, width, channels)``.
        places: ``(batch, 2, height, width)``: row and column of each pixel of the result.
        order: 0 for the nearest pixel, 1 for a mean of the four around.
        fill_mode: One of ``FILL_MODES``.
        fill_value: What is beyond the edges in mode ``"constant"``.

    Returns:
        ``(batch, height, width, channels)``, of the type of ``images``.
    """

    def channel(x: jax.Array, at: jax.Array) -> jax.Array:
        return ndimage.map_coordinates(x, list(at), order, fill_mode, fill_value)

    each = jax.vmap(jax.vmap(channel, in_axes=(-1, None), out_axes=-1))
    return each(images, jnp.broadcast_to(places, (images.shape[0], *places.shape[1:])))


def grid(height: Any, width: Any) -> tuple[jax.Array, jax.Array]:
    """Return the row and the column of every pixel: ``(height, 1)`` and ``(1, width)``."""
    return jnp.arange(height)[:, None], jnp.arange(width)[None, :]


def affine_places(transforms: jax.Array, height: Any, width: Any) -> jax.Array:
    """Return where each pixel of the result is read.

    Args:
        transforms: ``(batch, 8)``: pixel ``(x, y)`` is read at ``(a0 x + a1 y + a2, b0 x + b1 y + b2)``;
            the last two numbers are not used.
        height: The height of the images.
        width: Their width.

    Returns:
        ``(batch, 2, height, width)``.

    >>> affine_places(jnp.array([[1.0, 0, 5, 0, 1, 0, 0, 0]]), 1, 2)[0, 1].tolist()
    [[5.0, 6.0]]
    """
    y, x = grid(height, width)
    a0, a1, a2, b0, b1, b2 = (transforms[:, i, None, None] for i in range(6))
    return jnp.stack([b0 * x + b1 * y + b2, a0 * x + a1 * y + a2], axis=1)


def perspective_places(homographies: jax.Array, height: Any, width: Any) -> jax.Array:
    """Return where each pixel is read: ``(batch, 8) -> (batch, 2, height, width)``."""
    y, x = grid(height, width)
    h = [homographies[:, i, None, None] for i in range(8)]
    depth = h[6] * x + h[7] * y + 1.0
    return jnp.stack([(h[3] * x + h[4] * y + h[5]) / depth, (h[0] * x + h[1] * y + h[2]) / depth], axis=1)


def homography(source: jax.Array, target: jax.Array) -> jax.Array:
    """Return the perspective map that takes the points ``target`` to the points ``source``.

    Args:
        source: ``(batch, 4, 2)``: x and y of four points.
        target: The same shape.

    Returns:
        ``(batch, 8)``, for ``perspective_places``.
    """
    x, y = target[..., 0], target[..., 1]
    u, v = source[..., 0], source[..., 1]
    zero, one = jnp.zeros_like(x), jnp.ones_like(x)
    # u = (h0 x + h1 y + h2) / (h6 x + h7 y + 1), and v in the same way: eight linear equations.
    for_u = jnp.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=-1)
    for_v = jnp.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=-1)
    equations = jnp.concatenate([for_u, for_v], axis=1)
    return jnp.linalg.solve(equations, jnp.concatenate([u, v], axis=1)[..., None])[..., 0]


def elastic_places(key: Any, batch: Any, height: Any, width: Any, alpha: Any, sigma: Any, dtype: Any) -> Any:
    """Return a smooth random field of places: ``(batch, 2, height, width)``.

    Args:
        key: Where the numbers come from; rows and columns move alike.
        batch: How many fields.
        height: The height of the images.
        width: Their width.
        alpha: How far pixels move.
        sigma: How smooth the field is; a number.
        dtype: The type of the images.
    """
    size = int(6 * sigma) | 1
    noise = jax.random.normal(key, (batch, height, width, 1), dtype) * jnp.asarray(sigma, dtype)
    width_of_curve = jnp.asarray(sigma, dtype)
    shift = gaussian_blur(noise, (size, size), (width_of_curve, width_of_curve))[..., 0]
    y, x = grid(height, width)
    return jnp.stack([y + alpha * shift, x + alpha * shift], axis=1)
