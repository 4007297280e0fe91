"""Images filtered at random: sharpened, blurred, inverted, with fewer levels of their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from kerasmagic import random
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.layers.augmentation.base import (
    BYTE,
    Factor,
    RandomImageLayer,
    RandomValueLayer,
    batch_size,
    by_image,
    checked_factor,
    checked_range,
)
from kerasmagic.numerics import photometric
from kerasmagic.ops import image

BITS = 8


class RandomSharpness(RandomValueLayer):
    """Blurs images or sharpens them.

    Args:
        factor: The limits of a number from 0 to 1 that is drawn for each image: 0 blurs it, 0.5 leaves it as it is, 1
            sharpens it. One number stands for 0 and itself.
        value_range: The least and the largest value of an image. What leaves the range is cut off.
        data_format: ``"channels_last"`` or ``"channels_first"``; ``None`` for the configured one.
        seed: Fixes the sequence of draws.

    Shapes:
        As ``RandomBrightness``; the output is in the layer's compute type.

    Raises:
        InvalidArgument: If the factor or the range is none.
        ShapeMismatch: If the input is neither one image nor a batch.

    Example:

    >>> import numpy as np
    >>> RandomSharpness([0.0, 0.0])(np.full((3, 3, 1), 13.0, "float32"))[:2, :2, 0].round(1).tolist()
    [[8.0, 10.0], [10.0, 13.0]]
    """

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = images.astype(self.compute_dtype)
        if not training:
            return images
        sharpness = by_image((transformation["factor"] * 2).astype(self.compute_dtype))
        smooth = photometric.smoothed(images, self.channel_axis)
        return self._clipped(images + (1.0 - sharpness) * (smooth - images))


class RandomGaussianBlur(RandomValueLayer):
    """Blurs some images: each pixel becomes the mean of its neighbours, near ones more heavily weighted.

    Args:
        factor: The limits of how probable that is for an image, from 0 to 1. One number stands for 0 and itself.
        kernel_size: Width and height of the window of neighbours, odd; one number for both.
        sigma: The limits of how wide the bell curve of weights is, from 0 to 1; one for all images of a batch. One
            number stands for 0 and itself.
        value_range: The least and the largest value of an image. What leaves the range is cut off.
        data_format: ``"channels_last"`` or ``"channels_first"``; ``None`` for the configured one.
        seed: Fixes the sequence of draws.

    Shapes:
        As ``RandomBrightness``; the output is in the layer's compute type.

    Raises:
        InvalidArgument: If a factor, the range or the size of the window is none.
        ShapeMismatch: If the input is neither one image nor a batch.

    Example:

    >>> import numpy as np
    >>> y = RandomGaussianBlur([1.0, 1.0], sigma=[1.0, 1.0])(np.eye(3, dtype="float32")[..., None])
    >>> y[..., 0].round(2).tolist()
    [[0.28, 0.2, 0.08], [0.2, 0.35, 0.2], [0.08, 0.2, 0.28]]
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        kernel_size: int | Sequence[int] = 3,
        sigma: Factor = 1.0,
        value_range: Sequence[float] = BYTE,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(factor, value_range, data_format, seed, **kwargs)
        self.kernel_size = _odd(kernel_size)
        self.sigma = checked_factor("sigma", sigma, (0, 1))

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Return which images are blurred, ``(batch,)``, and how far along width and height, ``(2,)``."""
        if not training:
            return None
        chosen = self._chosen(data, seed)
        # No curve has a width of 0.
        widths = self._uniform((2,), self.sigma, seed, self.compute_dtype) + 1e-6
        return {"should_apply_blur": chosen, "blur_factor": widths}

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = images.astype(self.compute_dtype)
        if not training or transformation is None:
            return images
        widths = transformation["blur_factor"]
        blurred = image.gaussian_blur(images, self.kernel_size, widths, data_format=self.data_format)
        chosen = by_image(transformation["should_apply_blur"])
        return self._clipped(jnp.where(chosen, blurred, images))


class RandomInvert(RandomValueLayer):
    """Turns some images into their negative: each value is taken from the largest one.

    Args:
        factor: The limits of how probable that is for an image, from 0 to 1. One number stands for 0 and itself.
        value_range: The least and the largest value of an image.
        seed: Fixes the sequence of draws.
        data_format: ``"channels_last"`` or ``"channels_first"``; ``None`` for the configured one.

    Shapes:
        As ``RandomBrightness``; while training the output is in the layer's compute type.

    Raises:
        InvalidArgument: If the factor or the range is none.
        ShapeMismatch: If the input is neither one image nor a batch.

    Example:

    >>> import numpy as np
    >>> RandomInvert([1.0, 1.0])(np.array([[[0.0], [55.0]]], "float32")).ravel().tolist()
    [255.0, 200.0]
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        value_range: Sequence[float] = BYTE,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(factor, value_range, data_format, seed, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Return which images are inverted: ``{"apply_inversion": (batch,)}``."""
        if not training:
            return None
        return {"apply_inversion": self._chosen(data, seed)}

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        images = images.astype(self.compute_dtype)
        chosen = by_image(transformation["apply_inversion"])
        return jnp.where(chosen, self.value_range[1] - images, images)


class RandomPosterization(RandomValueLayer):
    """Leaves each value of an image fewer bits.

    Args:
        factor: The limits of how many bits remain of 8, whole numbers from 1 to 8; the upper one is never drawn, unless
            both are the same. One number stands for 1 and itself.
        value_range: The least and the largest value of an image.
        data_format: ``"channels_last"`` or ``"channels_first"``; ``None`` for the configured one.
        seed: Fixes the sequence of draws.

    Shapes:
        As ``RandomBrightness``; while training the output is in the layer's compute type.

    Raises:
        InvalidArgument: If the factor or the range is none.
        ShapeMismatch: If the input is neither one image nor a batch.

    Example:

    >>> import numpy as np
    >>> RandomPosterization([2, 2])(np.array([[[31.0], [100.0], [200.0]]], "float32")).ravel().tolist()
    [0.0, 64.0, 192.0]
    """

    factor_bounds = (1, BITS)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Return how many bits each image loses: ``{"shift_factor": (batch,)}``."""
        shape, (low, high) = (batch_size(data),), self.factor
        if low == high:
            return {"shift_factor": jnp.full(shape, BITS - low, "uint8")}
        kept = random.randint(shape, low, high, dtype="uint8", seed=self.generator if seed is None else seed)
        return {"shift_factor": BITS - kept}

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        images = photometric.rescaled(images, self.value_range, BYTE, self.compute_dtype)
        images = photometric.posterized(images, by_image(transformation["shift_factor"]))
        return photometric.rescaled(
            images.astype(self.compute_dtype), BYTE, self.value_range, self.compute_dtype
        )


class Solarization(RandomImageLayer):
    """Brightens images, and inverts the values that are bright then.

    Args:
        addition_factor: The limits of what is added to all values, as fractions of the range, from 0 to 1. One number
            stands for 0 and itself.
        threshold_factor: The limits of the value from which on values are inverted, likewise.
        value_range: The least and the largest value of an image. What leaves the range is cut off.
        seed: Fixes the sequence of draws.

    Shapes:
        As ``RandomBrightness``; the output is in the layer's compute type.

    Raises:
        InvalidArgument: If a factor or the range is none.
        ShapeMismatch: If the input is neither one image nor a batch.

    Example:

    >>> import numpy as np
    >>> Solarization()(np.array([[[0.0], [55.0]]], "float32")).ravel().tolist()
    [255.0, 200.0]
    """

    def __init__(
        self,
        addition_factor: Factor = 0.0,
        threshold_factor: Factor = 0.0,
        value_range: Sequence[float] = BYTE,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed, **kwargs)
        self.addition_factor = _share("addition_factor", addition_factor)
        self.threshold_factor = _share("threshold_factor", threshold_factor)
        self.value_range = checked_range(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Return for each image what is added, and from where on it is inverted: ``(batch, 1, 1, 1)`` each."""
        if not training:
            return None
        shape = (batch_size(data), 1, 1, 1)

        def drawn(limits: tuple[float, float]) -> Any:
            # As in Keras, the lower limit is no fraction of the range but a value.
            return self._uniform(shape, (limits[0], limits[1] * 255), seed, self.compute_dtype)

        return {"additions": drawn(self.addition_factor), "thresholds": drawn(self.threshold_factor)}

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = images.astype(self.compute_dtype)
        if not training or transformation is None:
            return images
        images = photometric.rescaled(images, self.value_range, BYTE, self.compute_dtype)
        images = photometric.solarized(images, transformation["additions"], transformation["thresholds"])
        return photometric.rescaled(images, BYTE, self.value_range, self.compute_dtype)


def _share(name: str, factor: Any) -> tuple[float, float]:
    """Return the two limits of a fraction; both must be from 0 to 1."""
    for number in factor if isinstance(factor, (list, tuple)) else [factor]:
        checked_factor(name, number, (0, 1))
    return checked_factor(name, factor, (0, 1))


def _odd(size: Any) -> tuple[int, int]:
    """Return width and height of a window; one number stands for both.

    Raises:
        InvalidArgument: If one is even or no number.
    """
    sizes = (size, size) if isinstance(size, int) else tuple(size)
    if len(sizes) != 2 or not all(isinstance(one, int) and one % 2 for one in sizes):
        raise InvalidArgument(
            f"`kernel_size` must be an odd number, or two of them. Received: kernel_size={size!r}"
        )
    return sizes
