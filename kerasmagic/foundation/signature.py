"""The one table of a class's constructor parameters.

The parser, ``get_config``, completion and the widgets all read this table, so
what a layer accepts is said once: in its ``__init__``.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import weakref
from collections.abc import Callable, Mapping
from typing import Any

REQUIRED: Any = inspect.Parameter.empty
# For each function its signature, and the one of a method that is made of it.
_read: weakref.WeakKeyDictionary[types.FunctionType, tuple[inspect.Signature, inspect.Signature]]
_read = weakref.WeakKeyDictionary()
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One constructor parameter; ``default`` is ``REQUIRED`` where there is none."""

    name: str
    default: Any
    positional: bool
    owner: type

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@functools.cache
def parameters(cls: type) -> tuple[Parameter, ...]:
    """Return what ``cls(...)`` accepts, in signature order.

    A constructor that takes ``**kwargs`` and hands them on also accepts what the
    next class in the method resolution order accepts, by keyword only, but for what
    the class attribute ``fills_in`` names: those its own constructor passes on itself.

    Example:

    >>> class Base:
    ...     def __init__(self, *, name=None): ...
    >>> class Scale(Base):
    ...     def __init__(self, factor, offset=0.0, **kwargs): ...
    >>> [(p.name, p.required, p.positional) for p in parameters(Scale)]
    [('factor', True, True), ('offset', False, True), ('name', False, False)]
    """
    found: dict[str, Parameter] = {}
    passes_on = True
    for owner in cls.__mro__:
        if not passes_on or owner is object:
            break
        init = owner.__dict__.get("__init__")
        if init is None:
            continue
        own = list(inspect.signature(init).parameters.values())[1:]
        for p in own:
            if p.kind not in _VARIADIC and p.name not in found:
                positional = owner is _first_owner(cls) and p.kind is not p.KEYWORD_ONLY
                found[p.name] = Parameter(p.name, p.default, positional, owner)
        passes_on = any(p.kind is p.VAR_KEYWORD for p in own)
    filled_in = getattr(cls, "fills_in", ())
    return tuple(p for p in found.values() if p.name not in filled_in)


def parameter_names(cls: type) -> tuple[str, ...]:
    """Return the names that ``cls(...)`` accepts."""
    return tuple(p.name for p in parameters(cls))


def handed_on(namespace: Mapping[str, Any], *but: str) -> dict[str, Any]:
    """Return the arguments of a constructor, from the ``locals()`` of its first line, all ``but`` some.

    A constructor that keeps a few arguments and hands on many says them once: in its signature.

    >>> class Shape:
    ...     def __init__(self, sides, color="red", **kwargs):
    ...         self.rest = handed_on(locals(), "sides")
    >>> Shape(3, name="triangle").rest
    {'color': 'red', 'name': 'triangle'}
    """
    named = {k: v for k, v in namespace.items() if k not in ("self", "__class__", "kwargs", *but)}
    return {**named, **namespace.get("kwargs", {})}


def _first_owner(cls: type) -> type:
    return next(c for c in cls.__mro__ if "__init__" in c.__dict__)


def signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a function or bound method, read only once for each function.

    >>> class Scale:
    ...     def call(self, x, factor=2.0): ...
    >>> str(signature(Scale().call))
    '(x, factor=2.0)'
    """
    inner = getattr(function, "__func__", function)
    if type(inner) is not types.FunctionType or not isinstance(
        function, types.FunctionType | types.MethodType
    ):
        return inspect.signature(function)
    found = _read.get(inner)
    if found is None:
        own = inspect.signature(inner)
        bound = own.replace(parameters=list(own.parameters.values())[1:])
        found = _read[inner] = own, bound
    return found[0] if inner is function else found[1]


class ConstructorSignature:
    """What tools show for a class: the arguments of its ``__init__``, where it has a ``__new__`` as well.

    >>> class Scale:
    ...     __signature__ = ConstructorSignature()
    ...     def __new__(cls, *args, **kwargs): ...
    ...     def __init__(self, factor, offset=0.0): ...
    >>> inspect.signature(Scale)
    <Signature (factor, offset=0.0)>
    """

    def __get__(self, instance: object | None, owner: type) -> inspect.Signature:
        if instance is not None:
            # An object is called in another way than its class.
            raise AttributeError("__signature__")
        own = inspect.signature(owner.__init__)
        return own.replace(parameters=list(own.parameters.values())[1:])
