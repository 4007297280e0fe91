"""Colors changed at random: as bright, as rich in contrast and color, and of the hue that is drawn for each image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from kerasmagic.foundation.arguments import fraction
from kerasmagic.foundation.config import epsilon
from kerasmagic.layers.augmentation.base import (
    BYTE,
    Factor,
    RandomImageLayer,
    RandomValueLayer,
    batch_size,
    by_image,
    checked_range,
    require_colors,
)
from kerasmagic.numerics import photometric
from kerasmagic.ops import image


class RandomBrightness(RandomValueLayer):
    """Adds a number to all values of an image, another one for each image.

    Args:
        factor: The limits of what is added, as fractions of the range, from -1 to 1; one number stands for it and its
            negative.
        value_range: The least and the largest value of an image. What leaves the range is cut off.
        seed: Fixes the sequence of draws.

    Shapes:
        As ``Rescaling``, of images: ``(height, width, channels)`` or ``(batch, height, width, channels)``, or a dict
        of such under ``"images"`` and of what belongs to them. The output has the form and the type of the input.

    Raises:
        InvalidArgument: If the factor or the range is none.
        ShapeMismatch: If the input is neither one image nor a batch.

    Example:

    >>> import numpy as np
    >>> layer = RandomBrightness(factor=[0.2, 0.2], value_range=(0, 1))
    >>> layer(np.array([[[0.5], [0.9]]], "float32")).ravel().round(1).tolist()
    [0.7, 1.0]
    """

    factor_bounds = (-1, 1)

    def __init__(
        self, factor: Factor, value_range: Sequence[float] = BYTE, seed: int | None = None, **kwargs: Any
    ):
        super().__init__(factor, value_range, seed=seed, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Return what is added to each image: ``{"rgb_delta": (batch, 1, 1, 1)}``."""
        shape = (batch_size(data), 1, 1, 1)
        if not training:
            return {"rgb_delta": jnp.zeros(shape)}
        low, high = self.value_range
        return {"rgb_delta": self._uniform(shape, self.factor, seed) * (high - low)}

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        return self._clipped(images + transformation["rgb_delta"].astype(images.dtype))


class RandomContrast(RandomValueLayer):
    """Moves the values of an image away from the mean of their channel, or towards it.

    Args:
        factor: How far, from 0 to 1: with the limits ``(lower, upper)`` the distance is multiplied by a number from
            ``1 - lower`` to ``1 + upper``. One number stands for both.
        value_range: The least and the largest value of an image. What leaves the range is cut off.
        seed: Fixes the sequence of draws.

    Shapes:
        As ``RandomBrightness``; integers become floats.

    Raises:
        InvalidArgument: If the factor or the range is none.
        ShapeMismatch: If the input is neither one image nor a batch.

    Example:

    >>> import numpy as np
    >>> y = RandomContrast(0.5, seed=1)(np.array([[[100.0], [200.0]]], "float32"))
    >>> float(y.mean()), y.shape
    (150.0, (1, 2, 1))
    """

    def __init__(
        self, factor: Factor, value_range: Sequence[float] = BYTE, seed: int | None = None, **kwargs: Any
    ):
        super().__init__(factor, value_range, seed=seed, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Return what each image's contrast is multiplied by: ``{"contrast_factor": (batch, 1, 1, 1)}``."""
        shape = (batch_size(data), 1, 1, 1)
        if not training:
            return {"contrast_factor": jnp.zeros(shape)}
        limits = 1.0 - self.factor[0], 1.0 + self.factor[1]
        return {"contrast_factor": self._uniform(shape, limits, seed, self.compute_dtype)}

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        return self._clipped(
            photometric.contrast(images, transformation["contrast_factor"], self.channel_axis)
        )


class RandomSaturation(RandomValueLayer):
    """Makes the colors of RGB images paler or stronger.

    Args:
        factor: The limits of a number from 0 to 1 that is drawn for each image: at 0 it becomes gray, at 0.5 it stays
            as it is, towards 1 its colors are as strong as they can be. One number stands for its negative and itself,
            as in Keras: give two.
        value_range: The least and the largest saturation to keep.
        data_format: ``"channels_last"`` or ``"channels_first"``; ``None`` for the configured one.
        seed: Fixes the sequence of draws.

    Shapes:
        As ``RandomBrightness``, of 3 channels from 0 to 1; the output is in the layer's compute type.

    Raises:
        InvalidArgument: If the factor or the range is none.
        ShapeMismatch: If the input is neither one image nor a batch, or has other than 3 channels.

    Example:

    >>> import numpy as np
    >>> RandomSaturation([0.0, 0.0])(np.array([[[0.2, 0.4, 0.8]]], "float32")).ravel().round(1).tolist()
    [0.8, 0.8, 0.8]
    """

    factor_bounds = (-1, 1)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Return what each image's saturation is multiplied by: ``{"factor": (batch,)}``."""
        factor = self._uniform((batch_size(data),), self.factor, seed)
        return {"factor": factor / (1 - factor + epsilon())}

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        require_colors(images, self.channel_axis, "RandomSaturation")
        factor = by_image(transformation["factor"].astype(self.compute_dtype))
        images = images.astype(self.compute_dtype)
        return photometric.saturated(images, factor, self.value_range, self.channel_axis)


class RandomHue(RandomValueLayer):
    """Moves the hues of RGB images round the circle of colors.

    Args:
        factor: The limits of a number from 0 to 1; an image is moved by up to half of it, either way. One number
            stands for 0 and itself.
        value_range: The least and the largest value of an image.
        data_format: ``"channels_last"`` or ``"channels_first"``; ``None`` for the configured one.
        seed: Fixes the sequence of draws.

    Shapes:
        As ``RandomBrightness``, of 3 channels; the output is in the layer's compute type.

    Raises:
        InvalidArgument: If the factor or the range is none.
        ShapeMismatch: If the input is neither one image nor a batch, or has other than 3 channels.

    Example:

    >>> import numpy as np
    >>> y = RandomHue(0.5, value_range=(0, 1), seed=1)(np.array([[[0.2, 0.4, 0.8]]], "float32"))
    >>> round(float(y.min()), 3), round(float(y.max()), 3)
    (0.2, 0.8)
    """

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Return how far each image's hue is moved, as a fraction of the circle: ``{"factor": (batch,)}``."""
        shape = (batch_size(data),)
        sign = jnp.where(self._uniform(shape, (0.0, 1.0), seed) > 0.5, -1.0, 1.0)
        return {"factor": sign * self._uniform(shape, self.factor, seed) * 0.5}

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        require_colors(images, self.channel_axis, "RandomHue")
        images = photometric.rescaled(images.astype(self.compute_dtype), self.value_range, (0, 1))
        shift = by_image(transformation["factor"].astype(images.dtype))
        images = photometric.shifted_hue(images, shift, self.channel_axis)
        return photometric.rescaled(images, (0, 1), self.value_range).astype(self.compute_dtype)


class RandomColorDegeneration(RandomValueLayer):
    """Mixes RGB images with their gray version.

    Args:
        factor: The limits of the share of gray, from 0 to 1. One number stands for its negative and itself, and shares
            below 0 make colors stronger.
        value_range: The least and the largest value of an image. What leaves the range is cut off.
        data_format: ``"channels_last"`` or ``"channels_first"``; ``None`` for the configured one.
        seed: Fixes the sequence of draws.

    Shapes:
        As ``RandomBrightness``, of 3 channels; the output is in the layer's compute type.

    Raises:
        InvalidArgument: If the factor or the range is none.
        ShapeMismatch: If the input is neither one image nor a batch, or has other than 3 channels.

    Example:

    >>> import numpy as np
    >>> layer = RandomColorDegeneration([1.0, 1.0], value_range=(0, 1))
    >>> layer(np.array([[[0.5, 0.0, 1.0]]], "float32")).ravel().round(2).tolist()
    [0.26, 0.26, 0.26]
    """

    factor_bounds = (-1, 1)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Return the share of gray in each image: ``{"factor": (batch, 1, 1, 1)}``."""
        return {"factor": self._uniform((batch_size(data), 1, 1, 1), self.factor, seed)}

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        images = images.astype(self.compute_dtype)
        share = transformation["factor"].astype(self.compute_dtype)
        gray = image.rgb_to_grayscale(images, data_format=self.data_format)
        return self._clipped(images + share * (gray - images))


class RandomGrayscale(RandomImageLayer):
    """Makes some RGB images gray, all three channels alike.

    Args:
        factor: How probable that is, from 0 to 1.
        data_format: ``"channels_last"`` or ``"channels_first"``; ``None`` for the configured one.
        seed: Fixes the sequence of draws.

    Shapes:
        As ``RandomBrightness``, of 3 channels.

    Raises:
        InvalidArgument: If the factor is no number from 0 to 1.
        ShapeMismatch: If the input is neither one image nor a batch, or has other than 3 channels.

    Example:

    >>> import numpy as np
    >>> RandomGrayscale(1.0)(np.array([[[0.5, 0.0, 1.0]]], "float32")).ravel().round(2).tolist()
    [0.26, 0.26, 0.26]
    """

    def __init__(
        self, factor: float = 0.5, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ):
        super().__init__(seed, data_format=data_format, **kwargs)
        self.factor = fraction("factor", factor)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Return which images become gray: booleans ``(batch, 1, 1, 1)``."""
        return by_image(self._uniform((batch_size(data),), (0, 1), seed) < self.factor)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        chosen = self.get_random_transformation(images) if transformation is None else transformation
        return jnp.where(chosen, image.rgb_to_grayscale(images, data_format=self.data_format), images)


class RandomColorJitter(RandomImageLayer):
    """Changes brightness, contrast, saturation and hue, one after the other.

    Args:
        value_range: The least and the largest value of an image.
        brightness_factor: As ``RandomBrightness`` takes it; ``None`` leaves brightness as it is.
        contrast_factor: As ``RandomContrast`` takes it, or ``None``.
        saturation_factor: As ``RandomSaturation`` takes it, or ``None``.
        hue_factor: As ``RandomHue`` takes it, or ``None``.
        seed: Fixes the sequence of draws.
        data_format: ``"channels_last"`` or ``"channels_first"``; ``None`` for the configured one.

    Shapes:
        As ``RandomBrightness``; the output is in the layer's compute type.

    Raises:
        InvalidArgument: If a factor or the range is none.
        ShapeMismatch: If the input is neither one image nor a batch.

    Example:

    >>> import numpy as np
    >>> layer = RandomColorJitter(value_range=(0, 1), brightness_factor=[0.2, 0.2])
    >>> layer(np.array([[[0.5, 0.0, 1.0]]], "float32")).ravel().round(1).tolist()
    [0.7, 0.2, 1.0]
    """

    def __init__(
        self,
        value_range: Sequence[float] = BYTE,
        brightness_factor: Factor | None = None,
        contrast_factor: Factor | None = None,
        saturation_factor: Factor | None = None,
        hue_factor: Factor | None = None,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed, data_format=data_format, **kwargs)
        self.value_range = checked_range(value_range)
        self.brightness_factor = brightness_factor
        self.contrast_factor = contrast_factor
        self.saturation_factor = saturation_factor
        self.hue_factor = hue_factor
        self.random_brightness = self._part(RandomBrightness, brightness_factor)
        self.random_contrast = self._part(RandomContrast, contrast_factor)
        self.random_saturation = self._part(RandomSaturation, saturation_factor)
        self.random_hue = self._part(RandomHue, hue_factor)

    def _part(self, kind: type[RandomValueLayer], factor: Factor | None) -> RandomValueLayer | None:
        if factor is None:
            return None
        return kind(factor=factor, value_range=self.value_range, seed=self.seed, data_format=self.data_format)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        images = images.astype(self.compute_dtype)
        parts = self.random_brightness, self.random_contrast, self.random_saturation, self.random_hue
        for part in parts:
            if part is not None:
                drawn = part.get_random_transformation(images, seed=self.generator)
                images = part.transform_images(images, drawn)
        return images.astype(self.compute_dtype)
