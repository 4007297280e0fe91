"""Checks of constructor arguments that many layers share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kerasmagic.foundation.errors import InvalidArgument, did_you_mean


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


def one_of(name: str, value: Any, allowed: Iterable[Any]) -> Any:
    """Return ``value`` if it is among ``allowed``.

    Raises:
        InvalidArgument: With the nearest allowed value.
    """
    allowed = tuple(allowed)
    if value not in allowed:
        raise InvalidArgument(
            f"`{name}` must be one of {', '.join(map(repr, allowed))}. Received: {name}={value!r}.",
            hint=did_you_mean(str(value), [str(a) for a in allowed]),
        )
    return value


def positive_integer(name: str, value: Any) -> int:
    """Return ``value`` if it is a whole number above zero.

    Raises:
        InvalidArgument: Otherwise.
    """
    if not _is_integer(value) or value <= 0:
        raise InvalidArgument(f"`{name}` must be a positive integer. Received: {name}={value!r}")
    return int(value)


def fraction(name: str, value: Any, *, upper: float = 1.0) -> float:
    """Return ``value`` if it lies between 0 and ``upper``; NaN does not.

    Raises:
        InvalidArgument: Otherwise.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= upper:
        raise InvalidArgument(
            f"`{name}` must be a number between 0 and {upper:g}. Received: {name}={value!r}"
        )
    return value


def _is_integer(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)
