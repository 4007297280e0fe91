"""Checks of constructor arguments that many layers share."""

from __future__ import annotations

import numbers
import sys
import warnings
from collections.abc import Iterable
from typing import Any

from kerasmagic.foundation.errors import InvalidArgument, UnexpectedArgument, WrongType, did_you_mean


def standardize_tuple(value: Any, n: int, name: str, *, allow_zero: bool = False) -> tuple[int, ...]:
    """Return ``value`` as ``n`` integers; a single integer stands for all of them.

    Raises:
        InvalidArgument: If there are not ``n`` integers, or one is too small.

    >>> standardize_tuple(3, 2, "kernel_size"), standardize_tuple([1, 2], 2, "strides")
    ((3, 3), (1, 2))
    """
    least = 0 if allow_zero else 1
    wanted = f"a tuple of {n} integers" if n > 1 else "an integer"
    try:
        items = (value,) * n if _is_integer(value) else tuple(value)
    except TypeError:
        items = ()
    if len(items) != n or not all(_is_integer(item) for item in items):
        raise InvalidArgument(f"`{name}` must be {wanted}. Received: {name}={value!r}")
    if min(items, default=least) < least:
        raise InvalidArgument(f"`{name}` must be at least {least} everywhere. Received: {name}={value!r}")
    return tuple(int(item) for item in items)


def one_of(
    name: str, value: Any, allowed: Iterable[Any], error: type[InvalidArgument] = InvalidArgument
) -> Any:
    """Return ``value`` if it is among ``allowed``.

    Raises:
        InvalidArgument: With the nearest allowed value; of the kind ``error``.
    """
    allowed = tuple(allowed)
    if value not in allowed:
        raise error(
            f"`{name}` must be one of {', '.join(map(repr, allowed))}. Received: {name}={value!r}.",
            hint=did_you_mean(str(value), [str(a) for a in allowed]),
        )
    return value


def positive_integer(name: str, value: Any) -> int:
    """Return ``value`` if it is a whole number above zero.

    Raises:
        WrongType: If it is no number.
        InvalidArgument: If it is another number.
    """
    if not _is_integer(value) or value <= 0:
        raise _refusal(value)(f"`{name}` must be a positive integer. Received: {name}={value!r}")
    return int(value)


def integers(name: str, value: Any) -> list[int]:
    """Return one integer or several as a list.

    Raises:
        UnexpectedArgument: If there is anything else among them.

    >>> integers("axis", -1), integers("axis", (1, 2))
    ([-1], [1, 2])
    """
    if _is_integer(value):
        return [int(value)]
    if isinstance(value, (list, tuple)) and all(_is_integer(item) for item in value):
        return [int(item) for item in value]
    raise UnexpectedArgument(f"`{name}` must be an integer or a list of integers. Received: {name}={value!r}")


def fraction(name: str, value: Any, *, upper: float = 1.0) -> float:
    """Return ``value`` if it lies between 0 and ``upper``; NaN does not.

    Raises:
        WrongType: If it is no number.
        InvalidArgument: If it is another number.
    """
    if not is_number(value) or not 0 <= value <= upper:
        raise _refusal(value)(
            f"`{name}` must be a number between 0 and {upper:g}. Received: {name}={value!r}"
        )
    return value


def _refusal(value: Any) -> type[InvalidArgument]:
    return InvalidArgument if isinstance(value, numbers.Number) else WrongType


def deprecated(message: str) -> None:
    """Warn of an old spelling, at the line of the user who wrote it: the first one outside of the package."""
    package = __name__.partition(".")[0]
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def is_number(value: Any) -> bool:
    """Whether ``value`` is a real number, NaN included; a boolean is none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)
