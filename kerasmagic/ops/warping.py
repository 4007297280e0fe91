"""Operations that read images at other places: ``keras.ops.image.affine_transform`` and its kin.

Here too is what all operations on images do with their first argument.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax.scipy import ndimage

from kerasmagic.core.random import draw_seed
from kerasmagic.core.symbolic import operation
from kerasmagic.foundation.arguments import one_of
from kerasmagic.foundation.config import standardize_data_format
from kerasmagic.foundation.errors import ShapeMismatch
from kerasmagic.numerics import warping
from kerasmagic.ops.forms import as_array

__all__ = ["affine_transform", "elastic_transform", "map_coordinates", "perspective_transform"]


def as_images(x: Any) -> Any:
    """Return one image or a batch of them as an array.

    Raises:
        ShapeMismatch: If it has another number of axes.
    """
    x = as_array(x)
    if x.ndim not in (3, 4):
        raise ShapeMismatch(
            "Invalid images rank: expected rank 3 (single image) or rank 4 (batch of images). "
            f"Received input with shape: images.shape={x.shape}"
        )
    return x


def batched(images: Any, function: Callable[[Any], Any]) -> Any:
    """Apply a function of a batch to a batch, or to one image."""
    return function(images) if images.ndim == 4 else function(images[None])[0]


def channels_last(images: Any, data_format: Any, function: Callable[[Any], Any]) -> Any:
    """Apply a function of a batch with its channels last to images of any layout."""
    if standardize_data_format(data_format) == "channels_last":
        return batched(images, function)
    return batched(images, lambda x: jnp.moveaxis(function(jnp.moveaxis(x, 1, -1)), -1, 1))


@operation
def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: Any = None,
) -> Any:
    """Return the images read at places that are a linear function of the pixel's.

    Args:
        images: One image or a batch.
        transform: ``(8,)`` or ``(batch, 8)``: pixel ``(x, y)`` is read at ``(a0 x + a1 y + a2, b0 x + b1 y + b2)``.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        fill_mode: What is beyond the edges: ``"constant"``, ``"nearest"``, ``"wrap"``, ``"mirror"``, ``"reflect"``.
        fill_value: What is there in mode ``"constant"``.
        data_format: Where the channels are.

    Raises:
        InvalidArgument: If an option is unknown.
        ShapeMismatch: If an array has another number of axes.
    """
    one_of("interpolation", interpolation, warping.ORDERS)
    one_of("fill_mode", fill_mode, warping.FILL_MODES)
    matrix = as_array(transform)
    if matrix.ndim not in (1, 2):
        raise ShapeMismatch(
            "Invalid transform rank: expected rank 1 (single transform) or rank 2 (batch of transforms). "
            f"Received input with shape: transform.shape={matrix.shape}"
        )

    def move(x: Any) -> Any:
        places = warping.affine_places(jnp.atleast_2d(matrix), *x.shape[1:3])
        return warping.read_at(x, places, warping.ORDERS[interpolation], fill_mode, fill_value)

    return channels_last(as_images(images), data_format, move)


@operation
def perspective_transform(
    images: Any,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: Any = None,
) -> Any:
    """Return the images as seen from where ``start_points`` are at ``end_points``.

    Args:
        images: One image or a batch.
        start_points: x and y of four points, ``(4, 2)`` or ``(batch, 4, 2)``.
        end_points: The same shape.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        fill_value: What is beyond the edges.
        data_format: Where the channels are.

    Raises:
        InvalidArgument: If ``interpolation`` is unknown.
        ShapeMismatch: If an array has another shape.
    """
    one_of("interpolation", interpolation, warping.ORDERS)
    start, end = (as_array(points).astype("float32") for points in (start_points, end_points))
    if start.shape != end.shape or start.ndim not in (2, 3) or start.shape[-2:] != (4, 2):
        raise ShapeMismatch(
            "Expected points of shape (4, 2) for a single image or (N, 4, 2) for a batch. "
            f"Received: start_points.shape={start.shape}, end_points.shape={end.shape}"
        )
    maps = warping.homography(start.reshape(-1, 4, 2), end.reshape(-1, 4, 2))

    def move(x: Any) -> Any:
        places = warping.perspective_places(maps, *x.shape[1:3])
        return warping.read_at(x, places, warping.ORDERS[interpolation], "constant", fill_value)

    return channels_last(as_images(images), data_format, move)


@operation
def elastic_transform(
    images: Any,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: Any = None,
) -> Any:
    """Return the images bent at random.

    Args:
        images: One image or a batch, of floats.
        alpha: How far pixels move.
        sigma: How smooth the field of moves is.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        fill_mode: What is beyond the edges, as in ``affine_transform``.
        fill_value: What is there in mode ``"constant"``.
        seed: An integer, a ``SeedGenerator``, or ``None`` for the global one.
        data_format: Where the channels are.

    Raises:
        InvalidArgument: If an option is unknown.
    """
    one_of("interpolation", interpolation, warping.ORDERS)
    one_of("fill_mode", fill_mode, warping.FILL_MODES)

    def bend(x: Any) -> Any:
        batch, height, width, _ = x.shape
        places = warping.elastic_places(draw_seed(seed), batch, height, width, alpha, sigma, x.dtype)
        return warping.read_at(x, places, warping.ORDERS[interpolation], fill_mode, fill_value)

    return channels_last(as_images(images), data_format, bend)


@operation
def map_coordinates(
    inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: float = 0
) -> Any:
    """Return the values of ``inputs`` at places between its elements.

    Args:
        inputs: Any shape.
        coordinates: ``(inputs.ndim, ...)``: the place along each axis.
        order: 0 for the nearest element, 1 for linear interpolation.
        fill_mode: What is beyond the edges, as in ``affine_transform``.
        fill_value: What is there in mode ``"constant"``.

    Returns:
        ``coordinates.shape[1:]``, of the type of ``inputs``.

    Raises:
        InvalidArgument: If an option is unknown.
        ShapeMismatch: If ``coordinates`` does not fit.
    """
    x, places = as_array(inputs), as_array(coordinates)
    one_of("fill_mode", fill_mode, warping.FILL_MODES)
    one_of("order", order, (0, 1))
    if places.ndim < 2 or places.shape[0] != x.ndim:
        raise ShapeMismatch(
            "First dim of `coordinates` must be the same as the rank of `inputs`, and its rank at least 2. "
            f"Received inputs with shape: {x.shape} and coordinates with shape {places.shape}"
        )
    return ndimage.map_coordinates(x, list(places), order, fill_mode, fill_value)
