"""Values brought to another range: ``scale * x + offset``."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.core.serialization import deserialize_keras_object
from kerasmagic.foundation.config import image_data_format
from kerasmagic.layers.base import LibraryLayer


class Rescaling(LibraryLayer):
    """Computes ``scale * x + offset``, in the layer's compute type whatever comes in.

    Args:
        scale: A number, or one for each channel of an image.
        offset: A number, or one for each channel of an image.

    Shapes:
        Input ``(...)`` of any shape and type; output the same shape. A scale for each channel fits the last
        axis, or the channels of ``(batch, channels, height, width)`` where those come first.

    Raises:
        InvalidArgument: If a number is missing or is none.

    Example:

    >>> import numpy as np
    >>> Rescaling(1 / 127.5, offset=-1)(np.array([0, 255], "uint8")).tolist()
    [-1.0, 1.0]
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self._allow_non_tensor_positional_args = True
        self.scale = scale
        self.offset = offset
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        scale, offset = self._by_channel(self.scale), self._by_channel(self.offset)
        return jnp.asarray(inputs, self.compute_dtype) * scale + offset

    def _by_channel(self, numbers: Any) -> jax.Array:
        """Return numbers in the shape in which they meet the images."""
        numbers = jnp.asarray(numbers, self.compute_dtype)
        if numbers.ndim and image_data_format() == "channels_first":
            return numbers.reshape(numbers.shape + (1,) * (3 - numbers.ndim))
        return numbers

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make the layer from what ``get_config`` returned; numbers may be arrays."""
        numbers = {name: deserialize_keras_object(config[name]) for name in ("scale", "offset")}
        return cls(**{**config, **numbers})
