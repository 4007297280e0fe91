"""Objects to plain data and back, in the format of Keras' config.json.

Reading imports nothing: a config names a public class, found in the families of
``foundation.registry``, or a class that the user registered or passed. Anything
else is refused.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core.dtypes import standardize_dtype
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation import registry
from kerasmagic.foundation.errors import (
    InvalidArgument,
    NotSerializable,
    UnexpectedArgument,
    UnknownName,
    did_you_mean,
)
from kerasmagic.foundation.registry import FAMILIES, MODELS, Family

_PLAIN = (str, int, float, bool, type(None))


def serialize_keras_object(obj: Any) -> Any:
    """Return plain data from which ``deserialize_keras_object`` makes ``obj`` again.

    Raises:
        NotSerializable: If an object has no ``get_config``, or is a ``lambda``.
    """
    if isinstance(obj, _PLAIN):
        return obj
    if isinstance(obj, (list, tuple)):
        items = [serialize_keras_object(item) for item in obj]
        return tuple(items) if isinstance(obj, tuple) else items
    if isinstance(obj, Mapping) and not hasattr(obj, "get_config"):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    special = _serialize_special(obj)
    return _serialize_object(obj) if special is None else special


def _serialize_special(obj: Any) -> Any:
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("utf-8")}}
    if isinstance(obj, slice):
        parts = {"start": obj.start, "stop": obj.stop, "step": obj.step}
        return {"class_name": "__slice__", "config": serialize_keras_object(parts)}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, KerasTensor):
        history = obj._keras_history
        place = (
            None if history is None else [history.operation.name, history.node_index, history.tensor_index]
        )
        config = {"shape": obj.shape, "dtype": obj.dtype, "keras_history": place}
        return {"class_name": "__keras_tensor__", "config": config}
    if isinstance(obj, (jax.Array, np.ndarray)) and obj.ndim > 0:
        kind = "__tensor__" if isinstance(obj, jax.Array) else "__numpy__"
        return {"class_name": kind, "config": {"value": obj.tolist(), "dtype": standardize_dtype(obj.dtype)}}
    if isinstance(obj, (jax.Array, np.ndarray, np.generic)):
        return obj.item()
    return None


def _serialize_object(obj: Any) -> dict[str, Any]:
    if isinstance(obj, (types.FunctionType, types.BuiltinFunctionType)):
        return _serialize_function(obj)
    if not hasattr(obj, "get_config"):
        raise NotSerializable(
            f"Cannot serialize object {obj!r} of type {type(obj)}. "
            "To be serializable, a class must implement the `get_config()` method."
        )
    config = {**_address(type(obj)), "config": serialize_keras_object(obj.get_config())}
    config["registered_name"] = config.pop("registered_name")
    for key in ("build_config", "compile_config"):
        getter = getattr(obj, f"get_{key}", None)
        extra = getter() if getter is not None else None
        if extra is not None:
            config[key] = serialize_keras_object(extra)
    return config


def _serialize_function(function: Any) -> dict[str, Any]:
    name = registry.get_registered_name(function)
    if function.__name__ == "<lambda>":
        raise NotSerializable(
            "A `lambda` cannot be written to a file: reading it back would execute code. "
            "Use a named function and register it with `keras.saving.register_keras_serializable()`."
        )
    for family in FAMILIES.values():
        public = family.name_of(function)
        if public is not None:
            return {
                "module": family.module,
                "class_name": "function",
                "config": public,
                "registered_name": public,
            }
    return {"module": function.__module__, "class_name": "function", "config": name, "registered_name": name}


# Keras writes this class by its private path, and finds it by no other.
_PRIVATE = {"Functional": "keras.src.models.functional"}


def _address(cls: type) -> dict[str, Any]:
    name = MODELS.name_of(cls)
    if name in _PRIVATE:
        return {"module": _PRIVATE[name], "class_name": name, "registered_name": name}
    for family in FAMILIES.values():
        name = family.name_of(cls)
        if name is not None:
            return {"module": family.module, "class_name": name, "registered_name": None}
    return {
        "module": cls.__module__,
        "class_name": cls.__name__,
        "registered_name": registry.get_registered_name(cls),
    }


def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True, **kwargs: Any
) -> Any:
    """Make an object from what ``serialize_keras_object`` returned.

    Args:
        config: Plain data.
        custom_objects: Classes and functions of the user by name.
        safe_mode: Kept for compatibility: nothing that executes code is ever read.

    Raises:
        UnknownName: If the config names a class that is neither public nor registered.
        InvalidArgument: If the config is no such data.

    Example:

    >>> import kerasmagic as keras
    >>> config = serialize_keras_object(keras.layers.Dense(3, activation="relu"))
    >>> deserialize_keras_object(config).units
    3
    """
    with registry.custom_object_scope(custom_objects or {}):
        return _deserialize(config)


def _deserialize(config: Any) -> Any:
    if isinstance(config, _PLAIN):
        return config
    if isinstance(config, (list, tuple)):
        return type(config)(_deserialize(item) for item in config)
    if not isinstance(config, Mapping):
        raise InvalidArgument(f"Cannot make an object from {config!r} (of type {type(config)}).")
    if "class_name" not in config or "config" not in config:
        return {key: _deserialize(value) for key, value in config.items()}
    name, inner = config["class_name"], config["config"]
    if isinstance(name, str) and name.startswith("__"):
        return _deserialize_special(name, inner)
    if name == "function":
        return _find(config.get("module"), inner, config.get("registered_name"), "function")
    cls = _find(config.get("module"), name, config.get("registered_name"), "class")
    return _from_config(cls, inner, config)


def _deserialize_special(name: str, inner: Any) -> Any:
    if name == "__bytes__":
        return inner["value"].encode("utf-8")
    if name == "__slice__":
        return slice(inner["start"], inner["stop"], inner["step"])
    if name == "__ellipsis__":
        return Ellipsis
    if name == "__tensor__":
        return jnp.asarray(inner["value"], dtype=inner["dtype"])
    if name == "__numpy__":
        return np.asarray(inner["value"], dtype=jnp.dtype(inner["dtype"]))
    if name == "__keras_tensor__":
        return KerasTensor(inner["shape"], inner["dtype"])
    raise UnknownName(f"Refusing to read a {name!r}: it could execute code.")


def _from_config(cls: Any, inner: Any, config: Mapping[str, Any]) -> Any:
    if not hasattr(cls, "from_config"):
        raise UnexpectedArgument(f"Unable to reconstruct an instance of {cls}: it has no `from_config`.")
    obj = cls.from_config(dict(inner))
    build_config = config.get("build_config")
    if build_config and not getattr(obj, "built", True) and hasattr(obj, "build_from_config"):
        obj.build_from_config(_deserialize(build_config))
    compile_config = config.get("compile_config")
    if compile_config and hasattr(obj, "compile_from_config"):
        obj.compile_from_config(compile_config)
    return obj


def _find(module: Any, name: Any, registered_name: Any, kind: str) -> Any:
    for candidate in (registered_name, name):
        if isinstance(candidate, str):
            found = registry.get_registered_object(candidate)
            if found is not None:
                return found
    family = FAMILIES.get(str(module)) or _family_of_private(str(module))
    if family is not None and isinstance(name, str) and name in family:
        # The alias of a class may be the name of a function: its own name comes first.
        found = family.public_names().get(name) or family.find(name)
        if isinstance(found, type) == (kind == "class"):
            return found
    names = [n for f in FAMILIES.values() for n in f.public_names()]
    raise UnknownName(
        f"Cannot make the {kind} {name!r} of module {module!r}: it is no public {kind} of the library and was "
        "not registered. Pass it in `custom_objects`, or decorate it with "
        "`@keras.saving.register_keras_serializable()`.",
        hint=did_you_mean(str(name), names),
    )


def _family_of_private(module: str) -> Family | None:
    """Return the family of one of Keras' private module paths, ``keras.src.models.functional`` for one."""
    return FAMILIES["keras"] if module.startswith("keras.src.models") else None


def resolve(family: Family, identifier: Any) -> Any:
    """Return the object of ``family`` that ``identifier`` stands for.

    Args:
        family: Where names are looked up.
        identifier: ``None``, an object, a class, a name or a config.

    Raises:
        UnknownName: If a name stands for nothing.
        InvalidArgument: If it is nothing that could stand for an object.
    """
    if identifier is None:
        return None
    if isinstance(identifier, Mapping):
        full = {"module": family.module, "registered_name": None, **identifier}
        return _deserialize(full)
    if isinstance(identifier, str):
        found = registry.get_registered_object(identifier)
        found = family.find(identifier) if found is None else found
        return found() if isinstance(found, type) else found
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise InvalidArgument(f"Could not interpret {family.kind} identifier: {identifier!r}")


def identifier_of(family: Family, obj: Any) -> Any:
    """Return what a config holds for an object: a public function by its name, the rest in full."""
    if obj is None:
        return None
    return family.name_of(obj) or serialize_keras_object(obj)
