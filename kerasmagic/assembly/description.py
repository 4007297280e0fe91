"""What made an object: its class and the arguments that differ from the defaults."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasmagic.core.dtype_policy import DTypePolicy
from kerasmagic.core.layer import Layer
from kerasmagic.core.serialization import deserialize_keras_object
from kerasmagic.foundation.errors import KerasMagicError, NotSerializable
from kerasmagic.foundation.registry import FAMILIES, OPERATIONS
from kerasmagic.foundation.signature import parameters
from kerasmagic.layers import Bidirectional

_LEFT_TO_THE_PRINTER = ("name",)


@dataclasses.dataclass(frozen=True)
class Described:
    """An object by how to make it.

    Attributes:
        target: Its class.
        arguments: The arguments that differ from the defaults, in signature order: plain values,
            ``FunctionName``, ``Described`` objects, layers, and lists, tuples and dicts of these.
    """

    target: type
    arguments: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class FunctionName:
    """A public function, or one that is registered."""

    module: str
    name: str


def describe(obj: Any) -> Described:
    """Return how to make ``obj`` again.

    Args:
        obj: A layer, an initializer, an optimizer or another object with ``get_config``.

    Raises:
        NotSerializable: If it cannot say how it was made.

    Example:

    >>> import kerasmagic as keras
    >>> describe(keras.layers.Dense(3, activation="relu", kernel_initializer="he_normal")).arguments
    {'units': 3, 'activation': 'relu', 'kernel_initializer': Described(target=<class \
'kerasmagic.initializers.drawn.HeNormal'>, arguments={})}
    """
    cls = type(obj)
    config = obj.get_config()
    known = [p for p in parameters(cls) if p.name in config and p.name not in _LEFT_TO_THE_PRINTER]
    usual = _usual(cls, {p.name: config[p.name] for p in known if p.required}, config)
    missing = [p.name for p in parameters(cls) if p.required and p.name not in config]
    if missing:
        raise NotSerializable(f"{cls.__name__} does not say what its {', '.join(missing)} was.")
    chosen = [p.name for p in known if p.required or not _equal(config[p.name], usual.get(p.name, usual))]
    arguments = {name: _argument(obj, name, config[name]) for name in chosen}
    if "pool_size" in config and "strides" in config:
        # Windows move by their own size unless told otherwise.
        arguments.pop("strides", None)
        if config["strides"] != config["pool_size"]:
            arguments["strides"] = readable(config["strides"])
    if arguments.get("bin_boundaries") is not None:
        # Boundaries that were found in data: how many there were to be is told by their number.
        arguments.pop("num_bins", None)
    if isinstance(obj, Bidirectional):
        arguments.update(_directions(obj))
        if arguments["backward_layer"] is None:
            del arguments["backward_layer"]
    return Described(cls, arguments)


def _directions(wrapper: Bidirectional) -> dict[str, Any]:
    """Return the two layers as they were given, without what the wrapper itself sets in them."""
    own = ("name", "go_backwards", "zero_output_for_mask")
    forward, backward = wrapper.forward_layer, wrapper.backward_layer
    configs = [{k: v for k, v in layer.get_config().items() if k not in own} for layer in (forward, backward)]
    given = forward
    if getattr(forward, "zero_output_for_mask", False):
        given = type(forward).from_config({**forward.get_config(), "zero_output_for_mask": False})
    derived = type(forward) is type(backward) and configs[0] == configs[1]
    return {"layer": given, "backward_layer": None if derived else backward}


def _usual(cls: type, required: Mapping[str, Any], config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the config of an object that is made with nothing but what it needs."""
    name = {"name": config["name"]} if "name" in config else {}
    try:
        arguments = {key: deserialize_keras_object(value) for key, value in required.items()}
        return cls(**arguments, **name).get_config()
    except (KerasMagicError, TypeError, ValueError):
        # Some arguments can only be given together; then each that is not `None` is shown.
        return {p.name: p.default for p in parameters(cls) if p.default is None}


def _equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def _argument(obj: Any, name: str, value: Any) -> Any:
    own = getattr(obj, name, None)
    # A layer inside is itself: it may be a model that stands in several places.
    if isinstance(own, Layer):
        return own
    if name == "learning_rate" and isinstance(value, float):
        # It is kept as a 32-bit number; the person wrote the shortest decimal that gives it.
        return float(str(np.float32(value)))
    return readable(value)


def readable(value: Any) -> Any:
    """Return a value of a config with objects in the place of their configs."""
    if isinstance(value, (list, tuple)):
        return type(value)(readable(item) for item in value)
    if not isinstance(value, Mapping):
        return value
    if "class_name" not in value or "config" not in value:
        return {key: readable(item) for key, item in value.items()}
    if value["class_name"] == "function":
        return FunctionName(str(value.get("module")), value["config"])
    if value["class_name"] in ("__numpy__", "__tensor__"):
        return value["config"]["value"]
    made = deserialize_keras_object(value)
    if isinstance(made, DTypePolicy):
        return made.name
    return made if isinstance(made, Layer) or not hasattr(made, "get_config") else describe(made)


def public_name(target: type) -> tuple[str, str] | None:
    """Return the public module and the name of a class, or ``None`` for the user's own."""
    for family in FAMILIES.values():
        name = family.name_of(target)
        if name is not None and family is not OPERATIONS:
            return family.module, name
    return None
