"""Colors changed by what an image itself is like."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.foundation.arguments import positive_integer
from kerasmagic.layers.augmentation.base import BYTE, ImageLayer, checked_range
from kerasmagic.numerics import photometric


class AutoContrast(ImageLayer):
    """Stretches each channel of an image so that it takes up the whole range of values; not only while training.

    Args:
        value_range: The least and the largest value of an image.

    Shapes:
        As ``RandomBrightness``; the output is in the layer's compute type. A channel of one value stays as it is.

    Raises:
        InvalidArgument: If the range is none.
        ShapeMismatch: If the input is neither one image nor a batch.

    Example:

    >>> import numpy as np
    >>> AutoContrast()(np.array([[[10.0], [20.0], [30.0]]], "float32")).ravel().tolist()
    [0.0, 127.5, 255.0]
    """

    def __init__(self, value_range: Sequence[float] = BYTE, **kwargs: Any):
        super().__init__(**kwargs)
        self.value_range = checked_range(value_range)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        given = images
        images = photometric.rescaled(images, self.value_range, BYTE, self.compute_dtype)
        images = photometric.stretched_contrast(images.astype(self.compute_dtype))
        images = photometric.rescaled(images, BYTE, self.value_range, self.compute_dtype)
        return jnp.where(jnp.isnan(images), given.astype(images.dtype), images)


class Equalization(ImageLayer):
    """Spreads the values of each channel so that each range of them has about equally many.

    Args:
        value_range: The least and the largest value of an image.
        bins: How many ranges to count the values in.
        data_format: ``"channels_last"`` or ``"channels_first"``; ``None`` for the configured one.

    Shapes:
        As ``RandomBrightness``; while training the output is in the layer's compute type. The images of a batch are
        counted together.

    Raises:
        InvalidArgument: If the range is none, or there is not one bin.
        ShapeMismatch: If the input is neither one image nor a batch.

    Example:

    >>> import numpy as np
    >>> Equalization()(np.array([[[100.0], [101.0], [102.0]]], "float32")).ravel().tolist()
    [0.0, 128.0, 255.0]
    """

    def __init__(
        self,
        value_range: Sequence[float] = BYTE,
        bins: int = 256,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = checked_range(value_range)
        self.bins = positive_integer("bins", bins)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        if not training:
            return images
        images = images.astype(self.compute_dtype)
        channels = jnp.moveaxis(
            photometric.rescaled(images, self.value_range, BYTE, images.dtype), self.channel_axis, 0
        )
        channels = jax.vmap(functools.partial(photometric.equalized, bins=self.bins))(channels)
        images = jnp.moveaxis(channels, 0, self.channel_axis)
        return photometric.rescaled(images, BYTE, self.value_range).astype(self.compute_dtype)
