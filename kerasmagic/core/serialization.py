"""Objects to plain data and back, in the format of Keras' config.json.

Reading imports nothing: a config names a public class, found in the families of
``foundation.registry``, or a class that the user registered or passed. Anything
else is refused.
"""

from __future__ import annotations

import contextvars
import types
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core import addresses
from kerasmagic.core.dtypes import standardize_dtype
from kerasmagic.core.symbolic import FunctionOperation, KerasTensor
from kerasmagic.foundation import registry
from kerasmagic.foundation.errors import (
    InvalidArgument,
    NotSerializable,
    UnexpectedArgument,
    UnknownName,
    did_you_mean,
)
from kerasmagic.foundation.registry import FAMILIES, MODELS, Family
from kerasmagic.foundation.views import view

_PLAIN = (str, int, float, bool, type(None))

_consent: contextvars.ContextVar[bool] = contextvars.ContextVar("consent", default=False)


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
    config = {**_address(obj), "config": serialize_keras_object(obj.get_config())}
    config["registered_name"] = config.pop("registered_name")
    definition = getattr(type(obj), "saved_definition", None)
    if definition is not None:
        config["definition"] = definition()
        config["registered_name"] = config["definition"]["name"]
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


def _address(obj: Any) -> dict[str, Any]:
    if isinstance(obj, FunctionOperation) and obj.address is not None:
        return {**obj.address._asdict(), "registered_name": obj.address.class_name}
    cls = type(obj)
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
        safe_mode: Only ``False`` lets the definitions of ``%%layer`` that the config holds run, which are code.
            Bytecode is never read.

    Raises:
        UnknownName: If the config names a class that is neither public nor registered.
        InvalidArgument: If the config is no such data.

    Example:

    >>> import kerasmagic as keras
    >>> config = serialize_keras_object(keras.layers.Dense(3, activation="relu"))
    >>> deserialize_keras_object(config).units
    3
    """
    # What is read inside, for example the layers of a model, has the consent that was given for the whole.
    token = _consent.set(True) if safe_mode is False else None
    try:
        with registry.custom_object_scope(custom_objects or {}):
            return _deserialize(config)
    finally:
        if token is not None:
            _consent.reset(token)


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
        return _function(config)
    if not isinstance(inner, Mapping):
        raise InvalidArgument(f"The config of {name!r} is no object, but {type(inner).__name__}: {inner!r}.")
    function = addresses.function_at(config.get("module"), name) or _module_less_operation(name, config)
    if function is not None:
        return _operation(function, inner)
    return _from_config(_class(config), inner, config)


def _operation(function: Any, inner: Mapping[str, Any]) -> FunctionOperation:
    fixed = {key: _deserialize(value) for key, value in inner.items() if key != "name"}
    return FunctionOperation(function, inner.get("name"), fixed)


def _module_less_operation(name: Any, config: Mapping[str, Any]) -> Any:
    """Return the operation of a config without modules; what has a name of a layer too has less to say."""
    if config.get("module") is not None or {"trainable", "dtype"} & set(config["config"]):
        return None
    return addresses.function_named(name)


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
    raise UnknownName(
        f"Refusing to read a {name!r}: it would execute code, in safe mode or not.",
        hint="Make it a function or a layer, and register that with `keras.saving.register_keras_serializable()`.",
    )


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


def _class(config: Mapping[str, Any]) -> Any:
    """Return the class that a config names: one of the library, or one that the user made known."""
    module, name, registered = (config.get(key) for key in ("module", "class_name", "registered_name"))
    found = _made_known(registered)
    family = FAMILIES.get(str(module)) or _family_of_private(str(module))
    if found is None and family is not None and isinstance(name, str) and name in family:
        if registered not in (None, name):
            raise UnknownName(
                f"The config says that {module}.{name} is registered as {registered!r}, which it is not."
            )
        # The alias of a class may be the name of a function: its own name comes first.
        found = family.public_names().get(name) or family.find(name)
    if found is None:
        found = _made_known(name)
    if found is None and module is None:
        found = _in_any_family(name)
    if found is None and isinstance(config.get("definition"), Mapping):
        found = _defined(config)
    if isinstance(found, type):
        return found
    raise _unknown("class", name, module)


def _function(config: Mapping[str, Any]) -> Any:
    module, name = config.get("module"), config["config"]
    family = FAMILIES.get(str(module))
    for found in (
        _made_known(name),
        _made_known(config.get("registered_name")),
        *_in_family(family, name),
        # Keras writes the functions of its own, losses for one, as if they came with Python.
        _in_any_family(name) if module in (None, "builtins") else None,
    ):
        if callable(found) and not isinstance(found, type):
            return found
    raise _unknown("function", name, module)


def _made_known(name: Any) -> Any:
    return registry.get_registered_object(name) if isinstance(name, str) else None


def _in_family(family: Family | None, name: Any) -> list[Any]:
    if family is None or not isinstance(name, str) or name not in family:
        return []
    # By its public name first: in snake case the name of a function stands for its class.
    return [family.public_names().get(name), family.find(name)]


def _in_any_family(name: Any) -> Any:
    if isinstance(name, str):
        for family in FAMILIES.values():
            found = family.public_names().get(name)
            if found is not None:
                return found
    return None


def _defined(config: Mapping[str, Any]) -> Any:
    """Make a class from the definition in the file, if the user has consented to run it."""
    if not _consent.get():
        raise UnknownName(
            f"The file holds the definition of the layer {config.get('class_name')!r}, written with %%layer. "
            "To run it is to run code of the file.",
            hint="Run the definition in this notebook first, or pass `safe_mode=False` if you trust the file.",
        )
    return view("read_definition")(config["definition"])


def _unknown(kind: str, name: Any, module: Any) -> UnknownName:
    names = [n for f in FAMILIES.values() for n in f.public_names()]
    return UnknownName(
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
