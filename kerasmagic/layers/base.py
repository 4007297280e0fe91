"""What the layers of the library share: their config is read from their attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from kerasmagic.core.layer import Layer
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.core.symbolic import any_symbolic, apply
from kerasmagic.foundation.errors import InvalidArgument


class LibraryLayer(Layer):
    """A layer that keeps each constructor parameter under its own name."""

    config_from_attributes: ClassVar[bool] = True
    config_includes: ClassVar[tuple[str, ...]] = ()
    """Attributes that are part of the config although the class's own constructor does not list them."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        # Without weights to make there is nothing to wait for.
        self.built = not self._has_own("build")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again, as plain data."""
        config = super().get_config()
        extra = {name: serialize_keras_object(getattr(self, name)) for name in self.config_includes}
        return {**config, **extra}


def on_tensors(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function of arrays on arrays, or on symbolic tensors; for masks."""
    return (apply if any_symbolic(args) else _call)(function, *args, **kwargs)


def _call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def serialize(layer: Layer) -> dict[str, Any]:
    """Return plain data from which ``deserialize`` makes the layer again."""
    return serialize_keras_object(layer)


def deserialize(config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """Make a layer from what ``serialize`` returned.

    Args:
        config: Plain data.
        custom_objects: Classes and functions of the user by name.

    Raises:
        UnknownName: If the config names a class that is neither public nor registered.
        InvalidArgument: If it describes something other than a layer.
    """
    layer = deserialize_keras_object({"module": "keras.layers", **config}, custom_objects)
    if not isinstance(layer, Layer):
        raise InvalidArgument(
            f"Could not interpret serialized layer config: {config}. It describes {layer!r}."
        )
    return layer
