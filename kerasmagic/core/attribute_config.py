"""Configs of objects that keep each constructor parameter under an attribute of its name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kerasmagic.core.serialization import serialize_keras_object
from kerasmagic.foundation.signature import parameters

_ABSENT = object()


def attribute_config(obj: Any, omit: Iterable[str] = ()) -> dict[str, Any]:
    """Return the constructor parameters of ``obj`` as plain data, read from its attributes.

    Parameters without such an attribute are left out: a class that has any says in its
    own ``get_config`` how to make it again.

    Args:
        obj: The object.
        omit: Parameters to leave out.

    Example:

    >>> class Scale:
    ...     def __init__(self, factor, offset=0.0):
    ...         self.factor, self.offset = factor, offset
    >>> attribute_config(Scale(2.0), omit=["offset"])
    {'factor': 2.0}
    """
    return {name: serialize_keras_object(value) for name, value in attribute_values(obj, omit).items()}


def attribute_values(obj: Any, omit: Iterable[str] = ()) -> dict[str, Any]:
    """Return the constructor parameters of ``obj`` as they are, read from its attributes."""
    omitted = set(omit)
    names = [p.name for p in parameters(type(obj)) if p.name not in omitted]
    values = {name: getattr(obj, name, _ABSENT) for name in names}
    return {name: value for name, value in values.items() if value is not _ABSENT}
