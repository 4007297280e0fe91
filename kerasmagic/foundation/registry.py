"""Which public name stands for which object.

A file names what it needs by module and name. Only what is in these tables can
be found that way: they are the allow-list of loading.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from kerasmagic.foundation.errors import InvalidArgument, UnknownName, did_you_mean
from kerasmagic.foundation.naming import to_snake_case

T = TypeVar("T")


def _own_name(obj: Any) -> str:
    return obj.__name__


class Family:
    """The public objects of one kind, by every name they go by.

    Args:
        module: The public Keras module, for example ``"keras.layers"``.
        kind: What one of them is called in messages, for example ``"layer"``.
    """

    def __init__(self, module: str, kind: str):
        self.module = module
        self.kind = kind
        self._by_name: dict[str, Any] = {}
        self._public_name: dict[Any, str] = {}

    def add(self, obj: T, *aliases: str) -> T:
        """Register ``obj`` by its own name, its snake-case name and ``aliases``."""
        name = _own_name(obj)
        for each in (name, to_snake_case(name), *aliases):
            self._by_name[each] = obj
        self._public_name.setdefault(obj, name)
        return obj

    def add_all(self, objects: Iterable[Any], aliases: Mapping[str, Any] | None = None) -> None:
        """Register every object, then each alias for its object."""
        for obj in objects:
            self.add(obj)
        self._by_name.update(aliases or {})

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def public_names(self) -> dict[str, Any]:
        """Return each object once, by the name it is written with."""
        return {name: obj for obj, name in self._public_name.items()}

    def name_of(self, obj: Any) -> str | None:
        """Return the public name of ``obj``, or ``None`` for a stranger."""
        return self._public_name.get(obj)

    def find(self, name: str) -> Any:
        """Return the object that ``name`` stands for.

        Raises:
            UnknownName: With the nearest right spelling.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownName(
                f"Unknown {self.kind}: {name!r}.", hint=did_you_mean(name, self._by_name)
            ) from None


ACTIVATIONS = Family("keras.activations", "activation")
INITIALIZERS = Family("keras.initializers", "initializer")
REGULARIZERS = Family("keras.regularizers", "regularizer")
CONSTRAINTS = Family("keras.constraints", "constraint")
RANDOM = Family("keras.random", "random generator")
QUANTIZERS = Family("keras.quantizers", "quantizer")
LAYERS = Family("keras.layers", "layer")
LOSSES = Family("keras.losses", "loss")
METRICS = Family("keras.metrics", "metric")
OPTIMIZERS = Family("keras.optimizers", "optimizer")
SCHEDULES = Family("keras.optimizers.schedules", "learning-rate schedule")
MODELS = Family("keras", "model")
OPERATIONS = Family("keras.ops", "operation")
POLICIES = Family("keras.dtype_policies", "dtype policy")

FAMILIES: dict[str, Family] = {
    family.module: family
    for family in (
        ACTIVATIONS,
        INITIALIZERS,
        REGULARIZERS,
        CONSTRAINTS,
        RANDOM,
        QUANTIZERS,
        LAYERS,
        LOSSES,
        METRICS,
        OPTIMIZERS,
        SCHEDULES,
        MODELS,
        OPERATIONS,
        POLICIES,
    )
}
"""Every family by its public module; ``"keras"`` holds models and dtype policies."""

_REGISTERED: dict[str, Any] = {}
_REGISTERED_NAMES: dict[Any, str] = {}
_SCOPED: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar(
    "custom_objects", default=MappingProxyType({})
)


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[T], T]:
    """Return a decorator that lets a class or function be found in saved files.

    Args:
        package: The first part of its registered name.
        name: The second part; the object's own name when ``None``.

    Raises:
        InvalidArgument: If a class has no ``get_config``.

    Example:

    >>> @register_keras_serializable("demo")
    ... def double(x):
    ...     return 2 * x
    >>> get_registered_name(double)
    'demo>double'
    """

    def decorate(obj: T) -> T:
        own_name = name or _own_name(obj)
        if isinstance(obj, type) and not hasattr(obj, "get_config"):
            raise InvalidArgument(
                f"Cannot register class {own_name!r}: it does not have a `get_config()` method."
            )
        full_name = f"{package}>{own_name}"
        _REGISTERED[full_name] = obj
        _REGISTERED_NAMES[obj] = full_name
        return obj

    return decorate


def get_registered_name(obj: Any) -> str:
    """Return ``package>name`` of a registered object, else its own name."""
    return _REGISTERED_NAMES.get(obj) or getattr(obj, "__name__", type(obj).__name__)


def get_registered_object(
    name: str,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any | None:
    """Return what the user made known under ``name``: a scope first, then the registrations."""
    for table in (_SCOPED.get(), _REGISTERED, custom_objects or {}, module_objects or {}):
        if name in table:
            return table[name]
    return None


def get_custom_objects() -> dict[str, Any]:
    """Return the table of registered objects; changing it changes what can be loaded."""
    return _REGISTERED


@contextlib.contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any]) -> Iterator[None]:
    """Make ``custom_objects`` known by name inside the ``with`` block.

    >>> with custom_object_scope({"twice": lambda x: 2 * x}):
    ...     get_registered_object("twice")(4)
    8
    """
    token = _SCOPED.set({**_SCOPED.get(), **custom_objects})
    try:
        yield
    finally:
        _SCOPED.reset(token)
