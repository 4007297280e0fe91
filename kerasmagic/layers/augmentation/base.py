"""What the layers for images share: what they take, and one draw for images, labels, boxes and masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp

from kerasmagic import random
from kerasmagic.core import tree
from kerasmagic.core.random import SeedGenerator
from kerasmagic.foundation.arguments import is_number
from kerasmagic.foundation.config import standardize_data_format
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.layers.base import LibraryLayer
from kerasmagic.numerics import labelled_boxes

Factor = float | Sequence[float]
BYTE = (0, 255)


class ImageLayer(LibraryLayer):
    """A layer for images, alone or in a dict beside what belongs to them.

    What is drawn for a call is drawn once, by ``get_random_transformation``; the methods ``transform_...`` do the same
    to each part of the data. A layer that moves no pixels says only what becomes of the images.

    Args:
        bounding_box_format: How boxes are written; needed only where there are some.
        data_format: ``"channels_last"`` or ``"channels_first"``; ``None`` for the configured one.

    Shapes:
        Images ``(height, width, channels)`` or ``(batch, height, width, channels)``, alone or in a dict under
        ``"images"``, with ``"labels"``, ``"bounding_boxes"`` (a dict of ``"boxes"`` and ``"labels"``) and
        ``"segmentation_masks"`` beside them; other keys pass unchanged. The output has the form of the input.
    """

    def __init__(self, bounding_box_format: str | None = None, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self._allow_non_tensor_positional_args = True
        self.bounding_box_format = bounding_box_format
        self.data_format = standardize_data_format(data_format)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again, as plain data."""
        config = super().get_config()
        if self.bounding_box_format is None:
            del config["bounding_box_format"]
        return config

    @property
    def channel_axis(self) -> int:
        """The axis of the channels, counted from the end."""
        return -1 if self.data_format == "channels_last" else -3

    # What a layer does

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Return what is drawn for a call.

        Args:
            data: What the layer is called on.
            training: Whether anything will be changed.
            seed: What fixes the draw; the layer's own generator for ``None``.
        """
        return None

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        """Return the images ``(batch, height, width, channels)`` as they were drawn to be."""
        raise NotImplementedError

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        """Return the labels of such images."""
        return labels

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        """Return the boxes in such images: a dict of ``"boxes"``, ``(batch, boxes, 4)``, and ``"labels"``."""
        return bounding_boxes

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        """Return the masks of such images, ``(batch, height, width, channels)``."""
        return segmentation_masks

    # What it is called on

    def call(self, data: Any, training: bool = True) -> Any:
        transformation = self.get_random_transformation(data, training=training)
        images, batched = _images_of(data)
        parts: dict[str, Callable[..., Any]] = {
            "images": self.transform_images,
            "bounding_boxes": self.transform_bounding_boxes,
            "labels": self.transform_labels,
            "segmentation_masks": self.transform_segmentation_masks,
        }

        def transformed(name: str, part: Any) -> Any:
            part = tree.map_structure(jnp.asarray if batched else _as_batch, part)
            result = parts[name](part, transformation=transformation, training=training)
            return result if batched else tree.map_structure(_of_batch, result)

        if not isinstance(data, dict):
            return transformed("images", images)
        given = {**data, **self._checked_boxes(data)}
        return {name: transformed(name, part) if name in parts else part for name, part in given.items()}

    def _checked_boxes(self, data: dict[str, Any]) -> dict[str, Any]:
        if "bounding_boxes" not in data:
            return {}
        if not self.bounding_box_format:
            raise InvalidArgument(
                f"There are 'bounding_boxes' in the input of layer {self.name!r}, but it was not told how they are "
                f"written. Pass `bounding_box_format` to {type(self).__name__}, e.g. bounding_box_format='xyxy'."
            )
        return {"bounding_boxes": labelled_boxes.densify(data["bounding_boxes"])}


class RandomImageLayer(ImageLayer):
    """A layer for images that draws what it does; its generator is what fixes the draws.

    Args:
        seed: Fixes the sequence of draws.
    """

    seed: int | None

    def __init__(self, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        self.generator = SeedGenerator(seed)

    def _uniform(self, shape: Sequence[int], limits: Sequence[float], seed: Any, dtype: Any = None) -> Any:
        """Return numbers drawn evenly between two limits; by the layer's own generator if ``seed`` is ``None``."""
        return random.uniform(shape, *limits, dtype=dtype, seed=self.generator if seed is None else seed)


class RandomValueLayer(RandomImageLayer):
    """A layer that changes the values of each image by a number drawn for it.

    Args:
        factor: The limits of that number.
        value_range: The least and the largest value of an image.
        data_format: ``"channels_last"`` or ``"channels_first"``; ``None`` for the configured one.
        seed: Fixes the sequence of draws.

    Raises:
        InvalidArgument: If the factor or the range is none.
    """

    factor_bounds: ClassVar[tuple[float, float]] = (0, 1)

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = BYTE,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed, data_format=data_format, **kwargs)
        self.factor = checked_factor("factor", factor, self.factor_bounds)
        self.value_range = checked_range(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Return the number of each image: ``{"factor": (batch,)}``."""
        return {"factor": self._uniform((batch_size(data),), self.factor, seed)}

    def _clipped(self, images: Any) -> Any:
        return jnp.clip(images, *self.value_range)

    def _chosen(self, data: Any, seed: Any) -> Any:
        """Return which images are changed, ``(batch,)``, where the factor is how probable that is."""
        shape = (batch_size(data),)
        probability = self._uniform(shape, self.factor, seed)
        return self._uniform(shape, (0.0, 1.0), seed) < probability


def require_colors(images: Any, axis: int, owner: str) -> None:
    """Refuse images that are not red, green and blue.

    Raises:
        ShapeMismatch: If there are not 3 channels.
    """
    if images.shape[axis] != 3:
        raise ShapeMismatch(
            f"{owner} changes the colors of images with 3 channels, red, green and blue. Received images of shape "
            f"{tuple(images.shape)}."
        )


def by_image(numbers: Any) -> Any:
    """Return numbers ``(batch,)`` as they meet images: ``(batch, 1, 1, 1)``."""
    return numbers[:, None, None, None]


def _images_of(data: Any) -> tuple[Any, bool]:
    """Return the images, and whether they are a batch.

    Raises:
        ShapeMismatch: If they are neither one image nor a batch.
    """
    images = jnp.asarray(data["images"] if isinstance(data, dict) else data)
    if images.ndim not in (3, 4):
        raise ShapeMismatch(
            "Images must have 3 axes (one image) or 4 (a batch of them). Received images of shape "
            f"{tuple(images.shape)}."
        )
    return images, images.ndim == 4


def batch_size(data: Any) -> Any:
    """Return how many images there are; one alone counts as a batch of one."""
    images, batched = _images_of(data)
    return images.shape[0] if batched else 1


def _as_batch(part: Any) -> Any:
    return jnp.expand_dims(jnp.asarray(part), 0)


def _of_batch(part: Any) -> Any:
    return jnp.squeeze(part, 0)


def checked_range(value_range: Any) -> list[float]:
    """Return the least and the largest value of images, in order.

    Raises:
        InvalidArgument: If these are not two numbers.

    >>> checked_range((255, 0))
    [0, 255]
    """
    if not _is_pair(value_range) or not all(map(is_number, value_range)):
        raise InvalidArgument(
            f"`value_range` must be a list of two numbers. Received: value_range={value_range!r}"
        )
    return sorted(value_range)


def checked_factor(name: str, factor: Any, bounds: tuple[float, float]) -> tuple[float, float]:
    """Return the two limits that a factor is drawn between.

    Args:
        name: What the argument is called.
        factor: The limits, or one number: then from its negative to itself, but not below the bounds.
        bounds: What a number must lie between; of two limits, their range must meet the bounds.

    Raises:
        InvalidArgument: If it is something else.

    >>> checked_factor("factor", 0.2, (-1, 1)), checked_factor("factor", [0.5, 0.1], (0, 1))
    ((-0.2, 0.2), (0.1, 0.5))
    """
    low, high = bounds
    if _is_pair(factor) and all(map(is_number, factor)) and factor[0] <= high and factor[1] >= low:
        return min(factor), max(factor)
    if is_number(factor) and low <= factor <= high:
        return max(-abs(factor), low), abs(factor)
    raise InvalidArgument(
        f"`{name}` must be a number from {low} to {high}, or a list of two. Received: {name}={factor!r}"
    )


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2
