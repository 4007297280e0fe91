"""Amounts that depend on open dimensions: sums of products such as ``864*batch*(2*time + 1)``."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

FUNCTIONS: dict[str, Callable[..., int]] = {
    "floordiv": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "max": max,
    "min": min,
}


def symbols(dim: Any) -> list[str]:
    """Return the names of the open dimensions in a size: an integer, or an expression or its text.

    >>> symbols("floordiv(time, 2) + 1")
    ['time']
    """
    return [] if isinstance(dim, int) else list(_words(str(dim)))


@functools.cache
def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.findall(r"[^\W\d]\w*", text) if word not in FUNCTIONS)


def evaluate(dim: Any, sizes: Mapping[str, int]) -> int:
    """Return the number that a size stands for where the open dimensions are given.

    >>> evaluate("floordiv(time, 2) + t^2", {"time": 7, "t": 3})
    12
    """
    if isinstance(dim, int):
        return dim
    # The text of a dimension is made by jax, from names that are identifiers.
    source = str(dim).replace("^", "**")
    return int(eval(source, {"__builtins__": {}}, {**FUNCTIONS, **sizes}))


_assumed: ContextVar[Mapping[str, int]] = ContextVar("assumed", default=MappingProxyType({}))


@contextlib.contextmanager
def assuming(**sizes: int) -> Iterator[None]:
    """Let ``likely`` know what open dimensions will be, while a program is traced for any."""
    token = _assumed.set({**_assumed.get(), **sizes})
    try:
        yield
    finally:
        _assumed.reset(token)


def likely(size: Any) -> int | None:
    """Return the number that a size is or will probably be, to choose a fast way by; ``None`` if nobody knows.

    >>> with assuming(batch=32):
    ...     likely("2*batch"), likely(3), likely("time")
    (64, 3, None)
    """
    known = _assumed.get()
    return evaluate(size, known) if all(name in known for name in symbols(size)) else None


class Amount:
    """A sum of whole numbers times open dimensions.

    A dimension that is an expression is taken as it is, so that nothing is multiplied out.

    Example:

    >>> a = Amount.product(3, "batch", "2*t + 1") + Amount.product(4)
    >>> a.text(), a.at({"batch": 2, "t": 3}), a.names()
    ('3*(2*t + 1)*batch + 4', 46, ('batch', 't'))
    """

    __slots__ = ("terms",)

    def __init__(self, terms: Mapping[tuple[str, ...], int] | None = None):
        self.terms: dict[tuple[str, ...], int] = dict(terms or {})

    @classmethod
    def product(cls, *factors: Any) -> Amount:
        """Return the product of sizes: integers, names and expressions."""
        return ONE.times(*factors)

    def times(self, *factors: Any) -> Amount:
        """Return this amount that many times."""
        number = 1
        names: list[str] = []
        for factor in factors:
            if isinstance(factor, int):
                number *= factor
                continue
            for part in _factors(str(factor)):
                if part.isdigit():
                    number *= int(part)
                else:
                    names.append(part)
        if not number:
            return ZERO
        if not names:
            return self if number == 1 else Amount({k: v * number for k, v in self.terms.items()})
        return Amount({tuple(sorted((*k, *names))): v * number for k, v in self.terms.items()})

    def __add__(self, other: Amount) -> Amount:
        if not self.terms or not other.terms:
            return other if not self.terms else self
        terms = dict(self.terms)
        for key, value in other.terms.items():
            terms[key] = terms.get(key, 0) + value
        return Amount(terms)

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Amount) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(frozenset(self.terms.items()))

    def __repr__(self) -> str:
        return f"Amount({self.text()})"

    def text(self) -> str:
        """Return the amount as an expression."""
        return " + ".join(_term(*item) for item in sorted(self.terms.items(), reverse=True)) or "0"

    def at(self, sizes: Mapping[str, int] | int) -> int:
        """Return the number at the given sizes of the open dimensions, or with all of one size."""
        total = 0
        for names, number in self.terms.items():
            for name in names:
                known = dict.fromkeys(symbols(name), sizes) if isinstance(sizes, int) else sizes
                number *= evaluate(name, known)
            total += number
        return total

    def names(self) -> tuple[str, ...]:
        """Return the open dimensions that it depends on."""
        found = {word for names in self.terms for name in names for word in symbols(name)}
        return tuple(sorted(found, key=lambda name: (name != "batch", name)))


def total(amounts: Iterable[Amount]) -> Amount:
    """Return the sum of several amounts."""
    terms: dict[tuple[str, ...], int] = {}
    for amount in amounts:
        for key, value in amount.terms.items():
            terms[key] = terms.get(key, 0) + value
    return Amount(terms)


@functools.cache
def _factors(dimension: str) -> tuple[str, ...]:
    """Return what is multiplied in a dimension such as ``4*t``; any other expression is one factor.

    >>> _factors("4*batch*t"), _factors("4*t + 1")
    (('4', 'batch', 't'), ('4*t + 1',))
    """
    return tuple(dimension.split("*")) if re.fullmatch(r"\w+(\*\w+)*", dimension) else (dimension,)


def _term(names: tuple[str, ...], number: int) -> str:
    factors = [name if name.isidentifier() else f"({name})" for name in names]
    return "*".join(factors if number == 1 and factors else [str(number), *factors])


ZERO = Amount()
ONE = Amount({(): 1})
