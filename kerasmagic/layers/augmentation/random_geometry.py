"""Images moved at random: flipped, turned, shifted, zoomed, and masks and boxes with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from kerasmagic.foundation.arguments import is_number, one_of
from kerasmagic.foundation.errors import InvalidArgument, Unsupported
from kerasmagic.layers.augmentation.base import Factor, RandomImageLayer, batch_size, checked_factor
from kerasmagic.numerics import boxes, labelled_boxes
from kerasmagic.numerics.photometric import spatial_axes
from kerasmagic.ops import image

MODES = ("horizontal", "vertical", "horizontal_and_vertical")
FILL_MODES = ("reflect", "wrap", "constant", "nearest")
INTERPOLATIONS = ("nearest", "bilinear")


class _Moving(RandomImageLayer):
    """A layer that moves the pixels of each image by a draw of its own."""

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Return how the pixels of each image move, and its size; ``None`` without training."""
        if not training:
            return None
        shape = jnp.shape(data["images"] if isinstance(data, dict) else data)
        height, width = (shape[axis] for axis in spatial_axes(self.channel_axis))
        drawn = self._drawn(batch_size(data), height, width, seed)
        return {**drawn, "height": height, "width": width}

    def _drawn(self, batch: Any, height: Any, width: Any, seed: Any) -> dict[str, Any]:
        """Return how the pixels move."""
        raise NotImplementedError

    def _points(self, transformation: Any) -> Any:
        """Return how the points of an image move then: a map ``(batch, 2, 3)``."""
        raise NotImplementedError

    def _moved(self, images: Any, transformation: Any, interpolation: str) -> Any:
        """Return images, or masks, of any type."""
        raise NotImplementedError

    interpolation: str = "bilinear"

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = images.astype(self.compute_dtype)
        if not training or transformation is None:
            return images
        return self._moved(images, transformation, self.interpolation)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        if not training or transformation is None:
            return segmentation_masks
        return self._moved(segmentation_masks, transformation, "nearest")

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        """Return the smallest upright boxes around the moved ones, cut off at the edges; what left has label -1."""
        if not training or transformation is None:
            return bounding_boxes
        size = transformation["height"], transformation["width"]
        written = str(self.bounding_box_format)
        corners = boxes.convert(bounding_boxes["boxes"], written, "xyxy", *size)
        corners = boxes.affine(corners, self._points(transformation))
        corners, labels = labelled_boxes.clip(corners, bounding_boxes["labels"], *size)
        return {**bounding_boxes, "boxes": boxes.convert(corners, "xyxy", written, *size), "labels": labels}


class RandomFlip(_Moving):
    """Mirrors half of the images.

    Args:
        mode: ``"horizontal"`` exchanges left and right, ``"vertical"`` top and bottom, and
            ``"horizontal_and_vertical"`` both at once.
        seed: Fixes the sequence of draws.
        data_format: ``"channels_last"`` or ``"channels_first"``; ``None`` for the configured one.

    Shapes:
        As ``RandomBrightness``; the output is in the layer's compute type.

    Raises:
        InvalidArgument: If there is no such mode.
        ShapeMismatch: If the input is neither one image nor a batch.

    Example:

    >>> import numpy as np
    >>> y = RandomFlip("horizontal", seed=1)(np.tile(np.array([[[1.0], [2.0]]], "float32"), (4, 1, 1, 1)))
    >>> sorted({tuple(image) for image in y[:, 0, :, 0].tolist()})
    [(1.0, 2.0), (2.0, 1.0)]
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed, data_format=data_format, **kwargs)
        self.mode = one_of("mode", mode, MODES)

    def _drawn(self, batch: Any, height: Any, width: Any, seed: Any) -> dict[str, Any]:
        return {"flips": self._uniform((batch, 1, 1, 1), (0.0, 1.0), seed) <= 0.5}

    def _points(self, transformation: Any) -> Any:
        flips = transformation["flips"][:, 0, 0, 0]
        across, down = (flips & (name in self.mode) for name in ("horizontal", "vertical"))
        height, width = transformation["height"], transformation["width"]
        return _scaled(1 - 2 * across, width * across, 1 - 2 * down, height * down)

    def _moved(self, images: Any, transformation: Any, interpolation: str) -> Any:
        height, width = spatial_axes(self.channel_axis)
        axes = [axis for name, axis in (("horizontal", width), ("vertical", height)) if name in self.mode]
        return jnp.where(transformation["flips"], jnp.flip(images, axes), images)


class _Resampled(_Moving):
    """A layer that reads each pixel at another place: a linear function of its own."""

    def __init__(
        self,
        fill_mode: str,
        interpolation: str,
        seed: int | None,
        fill_value: float,
        data_format: str | None,
        **kwargs: Any,
    ):
        super().__init__(seed, data_format=data_format, **kwargs)
        self.fill_mode = one_of("fill_mode", fill_mode, FILL_MODES, Unsupported)
        self.interpolation = one_of("interpolation", interpolation, INTERPOLATIONS, Unsupported)
        self.fill_value = fill_value

    def _points(self, transformation: Any) -> Any:
        # The way back from where pixels are read, where that neither turns nor shears.
        wide, _, x, _, high, y, *_ = jnp.moveaxis(transformation["transform"], -1, 0)
        return _scaled(1 / wide, -x / wide, 1 / high, -y / high)

    def _moved(self, images: Any, transformation: Any, interpolation: str) -> Any:
        return image.affine_transform(
            images,
            transformation["transform"],
            interpolation=interpolation,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format=self.data_format,
        )


class RandomRotation(_Resampled):
    """Turns images about their center.

    Args:
        factor: The limits of the angle, as a fraction of a full turn, from -1 to 1; positive is counterclockwise. One
            number stands for its negative and itself.
        fill_mode: What is beyond the edges of an image: ``"constant"`` is ``fill_value``, ``"nearest"`` the pixel at
            the edge, ``"reflect"`` the image mirrored, ``"wrap"`` the image again.
        interpolation: ``"nearest"`` takes the nearest pixel, ``"bilinear"`` mixes the four around. Masks take the
            nearest.
        seed: Fixes the sequence of draws.
        fill_value: What is beyond the edges in mode ``"constant"``.
        data_format: ``"channels_last"`` or ``"channels_first"``; ``None`` for the configured one.

    Shapes:
        As ``RandomBrightness``; the output is in the layer's compute type.

    Raises:
        InvalidArgument: If the factor is none, or there is no such option.
        ShapeMismatch: If the input is neither one image nor a batch.

    Example:

    >>> import numpy as np
    >>> y = RandomRotation([0.25, 0.25])(np.array([[[1.0], [2.0]], [[3.0], [4.0]]], "float32"))
    >>> y[..., 0].round(3).tolist()
    [[2.0, 4.0], [1.0, 3.0]]
    """

    def __init__(
        self,
        factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = checked_factor("factor", factor, (-1, 1))

    def _drawn(self, batch: Any, height: Any, width: Any, seed: Any) -> dict[str, Any]:
        angle = self._uniform((batch,), [360.0 * limit for limit in self.factor], seed)
        cosine, sine = jnp.cos(angle * (math.pi / 180.0)), jnp.sin(angle * (math.pi / 180.0))
        x, y = (jnp.asarray(size - 1, angle.dtype) / 2 for size in (width, height))
        places = cosine, -sine, x - x * cosine + y * sine, sine, cosine, y - x * sine - y * cosine
        return {"angle": angle, "transform": _read_at(*places)}

    def _points(self, transformation: Any) -> Any:
        size = transformation["height"], transformation["width"]
        return boxes.affine_matrix(transformation["angle"], 0.0, 0.0, 1.0, 0.0, 0.0, *size)


class RandomTranslation(_Resampled):
    """Shifts images up or down and to the side.

    Args:
        height_factor: The limits of the way down, as a fraction of the height, from -1 to 1. One number stands for its
            negative and itself.
        width_factor: The limits of the way to the right, as a fraction of the width, likewise.
        fill_mode: What is beyond the edges of an image, as for ``RandomRotation``.
        interpolation: How pixels are mixed, as for ``RandomRotation``.
        seed: Fixes the sequence of draws.
        fill_value: What is beyond the edges in mode ``"constant"``.
        data_format: ``"channels_last"`` or ``"channels_first"``; ``None`` for the configured one.

    Shapes:
        As ``RandomBrightness``; the output is in the layer's compute type.

    Raises:
        InvalidArgument: If a factor is none, or there is no such option.
        ShapeMismatch: If the input is neither one image nor a batch.

    Example:

    >>> import numpy as np
    >>> layer = RandomTranslation(0.0, [0.5, 0.5], fill_mode="constant")
    >>> layer(np.array([[[1.0], [2.0]]], "float32")).ravel().tolist()
    [0.0, 1.0]
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._down = _limits("height_factor", height_factor)
        self._right = _limits("width_factor", width_factor)

    def _drawn(self, batch: Any, height: Any, width: Any, seed: Any) -> dict[str, Any]:
        down = self._uniform((batch,), self._down, seed) * height
        right = self._uniform((batch,), self._right, seed) * width
        return {"transform": _read_at(1, 0, -right, 0, 1, -down)}


class RandomZoom(_Resampled):
    """Zooms into images or out of them.

    Args:
        height_factor: The limits of how much higher the part is that is shown, from -1 to 1 but not -1: below 0 the
            layer zooms in, above 0 out. One number stands for its negative and itself.
        width_factor: The same of the width; ``None`` keeps the proportions.
        fill_mode: What is beyond the edges of an image, as for ``RandomRotation``.
        interpolation: How pixels are mixed, as for ``RandomRotation``.
        seed: Fixes the sequence of draws.
        fill_value: What is beyond the edges in mode ``"constant"``.
        data_format: ``"channels_last"`` or ``"channels_first"``; ``None`` for the configured one.

    Shapes:
        As ``RandomBrightness``; the output is in the layer's compute type.

    Raises:
        InvalidArgument: If a factor is none, or there is no such option.
        ShapeMismatch: If the input is neither one image nor a batch.

    Example:

    >>> import numpy as np
    >>> x = np.arange(4, dtype="float32").reshape(1, 4, 1)
    >>> RandomZoom(0.0, [-0.5, -0.5])(x).ravel().tolist()
    [0.75, 1.25, 1.75, 2.25]
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._high = _limits("height_factor", height_factor, open_below=True)
        self._wide = None if width_factor is None else _limits("width_factor", width_factor, open_below=True)

    def _drawn(self, batch: Any, height: Any, width: Any, seed: Any) -> dict[str, Any]:
        def drawn(limits: Sequence[float]) -> Any:
            return self._uniform((batch,), [1.0 + limit for limit in limits], seed)

        high = drawn(self._high)
        wide = high if self._wide is None else drawn(self._wide)
        x, y = (
            (jnp.asarray(size, high.dtype) - 1) / 2 * (1 - z) for size, z in ((width, wide), (height, high))
        )
        return {"transform": _read_at(wide, 0, x, 0, high, y)}


def _read_at(*elements: Any) -> Any:
    """Return where the pixels of images are read, ``(batch, 8)``, as ``ops.image.affine_transform`` takes it."""
    numbers = (jnp.asarray(one, "float32") for one in (*elements, 0, 0))
    return jnp.stack(jnp.broadcast_arrays(*numbers), axis=-1)


def _scaled(scale_x: Any, move_x: Any, scale_y: Any, move_y: Any) -> Any:
    """Return a map of points, ``(batch, 2, 3)``, that neither turns nor shears."""
    return _read_at(scale_x, 0, move_x, 0, scale_y, move_y)[:, :6].reshape(-1, 2, 3)


def _limits(name: str, factor: Any, open_below: bool = False) -> tuple[float, float]:
    """Return the limits of a factor from -1 to 1; both must be so.

    Raises:
        InvalidArgument: If they are not, or one is -1 where that is left out.
    """
    for number in factor if isinstance(factor, (list, tuple)) else [factor]:
        if not is_number(number) or not -1 <= number <= 1 or (open_below and number == -1):
            raise InvalidArgument(
                f"`{name}` must be a number from -1 {'(left out) ' if open_below else ''}to 1, or a list of two. "
                f"Received: {name}={factor!r}"
            )
    return checked_factor(name, factor, (-1, 1))
