"""How objects of the library get themselves shown, or written down, without knowing who does that.

What does stands above the library and may be slow to import. The package names each such view here as text;
the module is imported when the view is first asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from kerasmagic.foundation.errors import UnknownName, did_you_mean

_OFFERED: dict[str, str] = {}


def offer(**places: str) -> None:
    """Say where views are: each by its name, as ``"module:function"``."""
    _OFFERED.update(places)


def view(name: str) -> Callable[..., Any]:
    """Return the view of this name, importing its module if it is not there yet.

    Raises:
        UnknownName: If no view of the name was offered.

    Example:

    >>> offer(count_letters="builtins:len")
    >>> view("count_letters")("kernel")
    6
    """
    place = _OFFERED.get(name)
    if place is None:
        raise UnknownName(f"There is no view {name!r}.", hint=did_you_mean(name, _OFFERED))
    module, function = place.split(":")
    return getattr(importlib.import_module(module), function)


def displayed(name: str) -> Callable[..., dict[str, Any]]:
    """Return a ``_repr_mimebundle_`` for a class that the view ``name`` shows; its ``repr`` stays plain.

    Example:

    >>> offer(shout="builtins:print")
    >>> class Loud:
    ...     _repr_mimebundle_ = displayed("shout")
    ...     __str__ = lambda self: "me!"
    >>> Loud()._repr_mimebundle_()
    me! None None
    """

    def _repr_mimebundle_(self: Any, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Return the object in the forms that a front end may show."""
        return view(name)(self, include, exclude)

    return _repr_mimebundle_
