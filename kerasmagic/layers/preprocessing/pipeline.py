"""Layers applied one after the other to data before it is learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasmagic.core.layer import Layer
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.foundation.errors import InvalidArgument


class Pipeline(Layer):
    """Applies layers one after the other, each to what the one before it returned.

    Unlike a ``Sequential`` model it needs no shape, its data may be a dict of images and what belongs to them, and it
    trains unless told otherwise: augmentation works outside of a model too.

    Args:
        layers: The layers.
        name: The name of the layer.

    Shapes:
        Input whatever the first layer takes, output what the last one returns.

    Raises:
        InvalidArgument: If ``layers`` is no list of layers.

    Example:

    >>> import numpy as np
    >>> from kerasmagic import layers
    >>> pipeline = Pipeline([layers.Rescaling(1 / 255), layers.RandomInvert([1.0, 1.0], value_range=(0, 1))])
    >>> pipeline(np.array([[[51.0], [255.0]]], "float32")).ravel().round(1).tolist()
    [0.8, 0.0]
    """

    def __init__(self, layers: Sequence[Layer], name: str | None = None):
        super().__init__(name=name)
        if not isinstance(layers, (list, tuple)) or not all(callable(layer) for layer in layers):
            raise InvalidArgument(f"`layers` must be a list of layers. Received: layers={layers!r}")
        self._pipeline_layers = list(layers)
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True

    @property
    def layers(self) -> list[Layer]:
        """The layers, in order."""
        return self._pipeline_layers

    def call(self, inputs: Any, training: bool = True, mask: Any = None) -> Any:
        outputs = inputs
        for layer in self._pipeline_layers:
            outputs = layer(outputs)
        return outputs

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again, as plain data."""
        return {
            "name": self.name,
            "layers": [serialize_keras_object(layer) for layer in self._pipeline_layers],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make the layer from what ``get_config`` returned.

        Raises:
            InvalidArgument: If there are no layers in it.
        """
        layers = config.get("layers")
        if not isinstance(layers, (list, tuple)):
            raise InvalidArgument(
                f"The config of a `Pipeline` must have a list of serialized layers under 'layers'. Received: {layers!r}"
            )
        return cls(**{**config, "layers": [deserialize_keras_object(layer) for layer in layers]})
