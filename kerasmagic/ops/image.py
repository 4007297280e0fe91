"""Operations on images: ``keras.ops.image``.

One image is ``(height, width, channels)``, a batch has an axis more before it; for
``channels_first`` the channels stand before the height. Results have the same layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.core.symbolic import operation
from kerasmagic.foundation.arguments import one_of
from kerasmagic.foundation.config import standardize_data_format
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch, UnexpectedArgument
from kerasmagic.foundation.registry import OPERATIONS
from kerasmagic.numerics import colors, filters, framing, patches
from kerasmagic.numerics.image import INTERPOLATIONS
from kerasmagic.ops import warping
from kerasmagic.ops.core import saturate_cast
from kerasmagic.ops.forms import as_array
from kerasmagic.ops.warping import *  # noqa: F403
from kerasmagic.ops.warping import as_images, batched

__all__ = ["crop_images", "extract_patches", "extract_patches_3d", "gaussian_blur", "hsv_to_rgb"]
__all__ += ["pad_images", "resize", "rgb_to_grayscale", "rgb_to_hsv", "scale_and_translate", "sobel_edges"]
__all__ += ["ssim"]
__all__ += warping.__all__

_METHODS = ("linear", "bilinear", "trilinear", "cubic", "bicubic", "tricubic", "lanczos3", "lanczos5")


def _colors(images: Any, data_format: Any) -> tuple[Any, int]:
    """Return float images and where their channels are.

    Raises:
        InvalidArgument: If they are of another type.
    """
    x = as_images(images)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise InvalidArgument(f"Invalid images dtype: expected float dtype. Received: images.dtype={x.dtype}")
    return x, -1 if standardize_data_format(data_format) == "channels_last" else -3


@operation
def rgb_to_grayscale(images: Any, data_format: Any = None) -> Any:
    """Return the brightness of each pixel as its only channel; gray images stay what they are.

    Raises:
        ShapeMismatch: If there are neither 1 nor 3 channels.
    """
    x = as_images(images)
    axis = -1 if standardize_data_format(data_format) == "channels_last" else -3
    if x.shape[axis] not in (1, 3):
        raise ShapeMismatch(
            "Invalid channel size: expected 3 (RGB) or 1 (Grayscale). "
            f"Received input with shape: images.shape={x.shape}"
        )
    return x if x.shape[axis] == 1 else colors.grayscale(x, axis)


@operation
def rgb_to_hsv(images: Any, data_format: Any = None) -> Any:
    """Return hue, saturation and value of float RGB pixels, from 0 to 1."""
    x, axis = _colors(images, data_format)
    return colors.rgb_to_hsv(x, axis)


@operation
def hsv_to_rgb(images: Any, data_format: Any = None) -> Any:
    """Return the RGB pixels of hue, saturation and value from 0 to 1."""
    x, axis = _colors(images, data_format)
    return colors.hsv_to_rgb(x, axis)


@operation
def resize(
    images: Any,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: Any = None,
) -> Any:
    """Return the images in another size, in their own type: integers are rounded and kept in range.

    Args:
        images: One image or a batch.
        size: Height and width of the result.
        interpolation: ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"lanczos3"`` or ``"lanczos5"``.
        antialias: Whether to blur before making smaller.
        crop_to_aspect_ratio: Whether to cut off what does not fit the new aspect ratio, not to distort.
        pad_to_aspect_ratio: Whether to add to the sides instead.
        fill_mode: Only ``"constant"``.
        fill_value: What is added.
        data_format: Where the channels are.

    Raises:
        InvalidArgument: If an option is unknown or the size is no pair of positive numbers.
        ShapeMismatch: If ``images`` has not three or four axes.

    >>> resize(jnp.ones((8, 4, 3), "uint8"), (5, 5)).shape
    (5, 5, 3)
    """
    layout = standardize_data_format(data_format)
    one_of("interpolation", interpolation, INTERPOLATIONS)
    one_of("fill_mode", fill_mode, ("constant",))
    if len(size) != 2 or min(size) <= 0:
        raise InvalidArgument(f"`size` must have positive height and width. Received: size={size}")
    if pad_to_aspect_ratio and crop_to_aspect_ratio:
        raise InvalidArgument("Only one of `pad_to_aspect_ratio` & `crop_to_aspect_ratio` can be `True`.")
    x = as_images(images)
    if crop_to_aspect_ratio or pad_to_aspect_ratio:
        x = framing.to_aspect(x, size[0], size[1], layout, fill_value if pad_to_aspect_ratio else None)
    shape = list(x.shape)
    for axis, new in zip(framing.image_axes(x, layout), size, strict=True):
        shape[axis] = new
    resized = jax.image.resize(x, shape, interpolation, antialias=antialias)
    if resized.dtype == x.dtype:
        return resized
    return saturate_cast(jnp.round(resized) if jnp.issubdtype(x.dtype, jnp.integer) else resized, x.dtype)


@operation
def gaussian_blur(
    images: Any, kernel_size: Any = (3, 3), sigma: Any = (1.0, 1.0), data_format: Any = None
) -> Any:
    """Return the mean of each pixel's neighbours, near ones more heavily weighted.

    Args:
        images: One image or a batch, of floats.
        kernel_size: Width and height of the window.
        sigma: How wide the bell curve of weights is, along the width and the height.
        data_format: Where the channels are.
    """
    x, layout = as_images(images), standardize_data_format(data_format)
    widths = tuple(as_array(sigma).astype(x.dtype))
    return batched(x, lambda batch: filters.gaussian_blur(batch, tuple(kernel_size), widths, layout))


@operation
def sobel_edges(images: Any, data_format: Any = None) -> Any:
    """Return the slopes of a batch along height and width, in a new last axis of size 2.

    Raises:
        ShapeMismatch: If ``images`` has not four axes.
    """
    x = as_array(images)
    if x.ndim != 4:
        raise ShapeMismatch(f"Expected a batch of images, rank 4. Received: images.shape={x.shape}")
    return filters.sobel_edges(x, standardize_data_format(data_format))


@operation
def ssim(
    image1: Any,
    image2: Any,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: Any = None,
) -> Any:
    """Return how much alike the structure of images is, 1 for equal ones: ``(batch,)``, or a scalar for one.

    Args:
        image1: One image or a batch.
        image2: The same shape.
        max_val: The largest value that a pixel can have.
        filter_size: The size of the window in which they are compared.
        filter_sigma: How wide the bell curve of its weights is.
        k1: Steadies the comparison of brightness, as a share of ``max_val``.
        k2: Steadies the comparison of contrast.
        data_format: Where the channels are.

    Raises:
        ShapeMismatch: If an array has not three or four axes.
    """
    x, y, layout = as_images(image1), as_images(image2), standardize_data_format(data_format)
    a, b = (z if jnp.issubdtype(z.dtype, jnp.floating) else z.astype("float32") for z in (x, y))
    a, b = (a, b) if x.ndim == 4 else (a[None], b[None])
    alike = filters.ssim(a, b, max_val, filter_size, filter_sigma, k1, k2, layout).astype(x.dtype)
    return alike if x.ndim == 4 else alike[0]


@operation
def scale_and_translate(
    images: Any,
    output_shape: Any,
    scale: Any,
    translation: Any,
    spatial_dims: Any,
    method: str,
    antialias: bool = True,
) -> Any:
    """Return the images made larger by ``scale`` and moved by ``translation``.

    Args:
        images: Any shape.
        output_shape: The shape of the result.
        scale: One factor for each of ``spatial_dims``.
        translation: One distance for each of them, in pixels of the result.
        spatial_dims: The axes to scale.
        method: ``"linear"``, ``"cubic"``, ``"lanczos3"`` or ``"lanczos5"``.
        antialias: Whether to blur before making smaller.

    Raises:
        InvalidArgument: If there is no such method.
    """
    one_of("method", method, _METHODS)
    x, factors, shifts = as_array(images), as_array(scale), as_array(translation)
    return jax.image.scale_and_translate(x, output_shape, spatial_dims, factors, shifts, method, antialias)


def _extract(x: Any, size: Sequence[int], strides: Any, dilation: Any, padding: str, layout: str) -> Any:
    rank = len(size)
    batch = x if x.ndim == rank + 2 else x[None]
    result = patches.extract(batch, size, strides or size, dilation, padding.lower(), layout)
    return result if x.ndim == rank + 2 else result[0]


@operation
def extract_patches(
    images: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: Any = None,
) -> Any:
    """Return every window as the channels of one place: ``(batch, rows, columns, size * channels)``.

    Args:
        images: One image or a batch; volumes, where ``size`` is a triple.
        size: The size of a window, one number or one for each axis.
        strides: Distance between windows; ``size`` when ``None``.
        dilation_rate: Distance between the elements of a window.
        padding: ``"valid"`` or ``"same"``.
        data_format: Where the channels are.

    Raises:
        UnexpectedArgument: If ``size`` is neither a number nor a tuple.
        InvalidArgument: If it has neither 2 nor 3 elements.
    """
    if not isinstance(size, (int, tuple, list)):
        raise UnexpectedArgument(
            f"Invalid `size` argument. Expected an int or a tuple. Received: size={size}"
        )
    if not isinstance(size, int) and len(size) not in (2, 3):
        raise InvalidArgument(
            f"Invalid `size` argument. Expected a tuple of length 2 or 3. Received: size={size}"
        )
    sizes = (size, size) if isinstance(size, int) else tuple(size)
    layout = standardize_data_format(data_format)
    return _extract(as_array(images), sizes, strides, dilation_rate, padding, layout)


@OPERATIONS.add
def extract_patches_3d(
    volumes: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: Any = None,
) -> Any:
    """Return every window of volumes as the channels of one place; takes what ``extract_patches`` does."""
    sizes = (size, size, size) if isinstance(size, int) else tuple(size)
    return extract_patches(volumes, sizes, strides, dilation_rate, padding, data_format)


def _edges(first: Any, last: Any, target: Any, size: Any, names: tuple[str, str, str], sign: int) -> Any:
    """Return what is added (``sign`` 1) or cut off (-1) at both ends of an axis; two of three are given.

    Raises:
        InvalidArgument: If not exactly two are given, or one of the three is negative.
    """
    given = dict(zip(names, (first, last, target), strict=True))
    if list(given.values()).count(None) != 1:
        raise InvalidArgument(f"Must specify exactly two of {', '.join(names)}. Received: {given}")
    if target is not None:
        rest = sign * (target - size) - (first if last is None else last)
        first, last = (rest, last) if first is None else (first, rest)
    new = size + sign * (first + last)
    found = dict(zip(names, (first, last, new), strict=True))
    for name, value in found.items():
        if isinstance(value, int) and value < 0:
            raise InvalidArgument(f"{name} must be >= 0. Received: {given}, which makes it {value}")
    return first, last, new


@operation
def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: Any = None,
) -> Any:
    """Return the images with zeros around them.

    Args:
        images: One image or a batch.
        top_padding: Rows above; of the three vertical numbers two are given, and of the horizontal ones.
        left_padding: Columns on the left.
        bottom_padding: Rows below.
        right_padding: Columns on the right.
        target_height: The height of the result.
        target_width: The width of the result.
        data_format: Where the channels are.

    Raises:
        InvalidArgument: If not exactly two are given each way, or one would be negative.
    """
    x, layout = as_images(images), standardize_data_format(data_format)
    height, width = (x.shape[axis] for axis in framing.image_axes(x, layout))
    vertical = ("top_padding", "bottom_padding", "target_height")
    horizontal = ("left_padding", "right_padding", "target_width")
    top, bottom, _ = _edges(top_padding, bottom_padding, target_height, height, vertical, 1)
    left, right, _ = _edges(left_padding, right_padding, target_width, width, horizontal, 1)
    return framing.pad(x, (top, bottom), (left, right), layout)


@operation
def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: Any = None,
) -> Any:
    """Return the images without rows and columns at their edges; takes what ``pad_images`` does.

    Raises:
        InvalidArgument: If not exactly two are given each way, or one would be negative.
    """
    x, layout = as_images(images), standardize_data_format(data_format)
    height, width = (x.shape[axis] for axis in framing.image_axes(x, layout))
    vertical = ("top_cropping", "bottom_cropping", "target_height")
    horizontal = ("left_cropping", "right_cropping", "target_width")
    top, _, rows = _edges(top_cropping, bottom_cropping, target_height, height, vertical, -1)
    left, _, columns = _edges(left_cropping, right_cropping, target_width, width, horizontal, -1)
    return framing.crop(x, top, left, rows, columns, layout)
