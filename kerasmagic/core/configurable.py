"""How a layer says how to make it again: ``get_config``, from the one table of its parameters."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ClassVar

from kerasmagic.core import dtype_policy
from kerasmagic.core.ownership import Owner
from kerasmagic.core.serialization import identifier_of, serialize_keras_object
from kerasmagic.foundation.errors import (
    InvalidArgument,
    KerasMagicError,
    NotSerializable,
    UnexpectedArgument,
)
from kerasmagic.foundation.registry import ACTIVATIONS
from kerasmagic.foundation.signature import parameters

_BASE_PARAMETERS = ("activity_regularizer", "trainable", "dtype", "autocast", "name")


def names_class(init: Callable[..., None]) -> Callable[..., None]:
    """Wrap a constructor so that what it refuses says which class refused it, and of which name.

    Where a layer makes another for itself, the outer one is named: it is the one that the reader wrote.
    """

    @functools.wraps(init)
    def wrapper(self: Configurable, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except KerasMagicError as error:
            error.blame(_who(self), type(self).__name__)
            raise
        except (TypeError, ValueError) as error:
            refused = _told(error, self)
            refused.blame(_who(self), type(self).__name__)
            raise refused from error

    return wrapper


def _who(layer: Configurable) -> str:
    name = layer._given[1].get("name")
    return f"{type(layer).__name__} {name!r}" if isinstance(name, str) else type(layer).__name__


def _told(error: TypeError | ValueError, layer: Configurable) -> KerasMagicError:
    """Return an error that a constructor did not raise on purpose as one that says what it was given."""
    kind = UnexpectedArgument if isinstance(error, TypeError) else InvalidArgument
    trace = error.__traceback__
    if trace is not None and trace.tb_next is None:
        # The arguments did not fit the signature, and Python names the class that has it: maybe a private base.
        return kind(f"{type(layer).__name__}() {str(error).partition('() ')[2] or error}")
    args, kwargs = layer._given
    given = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
    return kind(f"{type(layer).__name__}({', '.join(given)}): {error}")


class Configurable(Owner):
    """The part of a layer that turns it into plain data and back."""

    config_from_attributes: ClassVar[bool] = False
    """Whether ``get_config`` reads each constructor parameter from the attribute of its name.

    Classes of the library do; for others it returns what the constructor was given.
    """
    config_omits: ClassVar[frozenset[str]] = frozenset()
    """Constructor parameters that are not part of the config."""

    activity_regularizer: Any
    _given: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
    _dtype_policy: dtype_policy.DTypePolicy

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        ours = cls.__module__.partition(".")[0] == __name__.partition(".")[0]
        if ours and "__init__" in cls.__dict__:
            cls.__init__ = names_class(cls.__dict__["__init__"])

    def _overrides_get_config(self) -> bool:
        return type(self).get_config is not Configurable.get_config

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again, as plain data.

        Raises:
            NotSerializable: If an argument is not plain data and the class has no ``get_config`` of its own.
        """
        self._check_super_called()
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": serialize_keras_object(self._dtype_policy),
        }
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = serialize_keras_object(self.activity_regularizer)
        if self.config_from_attributes:
            config.update(self._config_of_attributes())
        elif not self._overrides_get_config():
            config.update(self._config_of_arguments())
        return config

    def _config_of_attributes(self) -> dict[str, Any]:
        skip = self.config_omits | set(_BASE_PARAMETERS)
        named = {
            p.name: getattr(self, p.name)
            for p in parameters(type(self))
            if p.name not in skip and getattr(p.owner, "config_from_attributes", False)
        }
        return {name: _config_value(value) for name, value in named.items()}

    def _config_of_arguments(self) -> dict[str, Any]:
        args, kwargs = self._given
        signature = inspect.signature(type(self).__init__)
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        variadic = {p.name for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD}
        given = {name: value for name, value in list(bound.arguments.items())[1:] if name not in variadic}
        given = {name: value for name, value in given.items() if name not in _BASE_PARAMETERS}
        extra = {
            k: v for name in variadic for k, v in bound.arguments[name].items() if k not in _BASE_PARAMETERS
        }
        try:
            return {name: _config_value(value) for name, value in {**given, **extra}.items()}
        except NotSerializable as error:
            raise NotSerializable(
                f"{error} {type(self).__name__} has constructor arguments that are not plain data: implement "
                "`get_config()` in it, and `from_config()` if need be."
            ) from None

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a layer from what ``get_config`` returned.

        Raises:
            UnexpectedArgument: If the constructor does not take what the config holds.
        """
        config = dict(config)
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = dtype_policy.get(config["dtype"])
        try:
            return cls(**config)
        except TypeError as error:
            raise UnexpectedArgument(
                f"Error when deserializing class {cls.__name__!r} using config={config}. "
                f"Exception encountered: {error}"
            ) from error


def _config_value(value: Any) -> Any:
    """Return what a config holds for an argument: a public function by name, objects in full."""
    if callable(value) and not hasattr(value, "get_config"):
        return identifier_of(ACTIVATIONS, value)
    return serialize_keras_object(value)
