"""The forms that most operations have: one line of a table is a function with Keras' name and arguments.

``as_array`` is what every operation does first to an argument that stands for an array: an
array, a variable, a NumPy value, a number, or nested lists of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.core.symbolic import lift, operation
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.config import floatx
from kerasmagic.foundation.naming import auto_name
from kerasmagic.foundation.registry import OPERATIONS

Function = Callable[..., Any]


def as_array(x: Any) -> Any:
    """Return ``x`` as an array; a number stays weakly typed, as JAX calls it.

    >>> as_array([1, 2]).dtype, (as_array(2) * jnp.ones(2, "float16")).dtype
    (dtype('int32'), dtype('float16'))
    """
    if isinstance(x, jax.Array):
        return x
    return x.value if isinstance(x, Variable) else jnp.asarray(x)


def floats(x: Any) -> Any:
    """Return ``x`` as an array of floats: integers and booleans become the default float type.

    >>> floats([True, False]).dtype
    dtype('float32')
    """
    x = as_array(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(floatx())


def as_arrays(xs: Any) -> list[Any]:
    """Return the elements of a list, or the slices of an array, as arrays."""
    return [as_array(x) for x in xs]


def axes(axis: Any) -> Any:
    """Return ``axis`` as JAX wants it: a tuple for a list."""
    return tuple(axis) if isinstance(axis, Sequence) else axis


def open_size() -> str:
    """Return a name for a dimension that no other tensor has."""
    return auto_name("size")


def sized_by_values(spec: Function) -> Callable[[Function], Function]:
    """Return the decorator of an operation whose result is as large as the values say.

    Args:
        spec: Takes the operation's arguments and returns symbolic tensors, or ``None`` where it needs none.

    Example:

    >>> from kerasmagic.core.symbolic import KerasTensor
    >>> @sized_by_values(lambda x: KerasTensor((open_size(),), x.dtype))
    ... def positive(x):
    ...     return x[x > 0]
    >>> positive(KerasTensor((3,))).shape, positive(jnp.array([1.0, -1.0])).shape
    ((None,), (1,))
    """
    return lambda function: OPERATIONS.add(lift(function, spec))


def unary(name: str, function: Function, returns: str, prepare: Function = as_array) -> Callable[[Any], Any]:
    """Return the operation ``name(x)`` that is ``function(prepare(x))``."""

    def form(x: Any) -> Any:
        return function(prepare(x))

    return _named(form, name, f"Return {returns}.\n\nArgs:\n    x: Any shape.\n")


def binary(name: str, function: Function, returns: str) -> Callable[[Any, Any], Any]:
    """Return the operation ``name(x1, x2)`` that is ``function(x1, x2)`` on arrays."""

    def form(x1: Any, x2: Any) -> Any:
        return function(as_array(x1), as_array(x2))

    return _named(form, name, f"Return {returns}.\n\nArgs:\n    x1: Any shape.\n    x2: {_FITTING}\n")


def bitwise(name: str, function: Function, returns: str) -> Callable[[Any, Any], Any]:
    """Return the operation ``name(x, y)`` on integers or booleans."""

    def form(x: Any, y: Any) -> Any:
        return function(as_array(x), as_array(y))

    return _named(form, name, f"Return {returns}.\n\nArgs:\n    x: Integers, any shape.\n    y: {_FITTING}\n")


def reduction(name: str, function: Function, returns: str, prepare: Function = as_array) -> Function:
    """Return the operation ``name(x, axis=None, keepdims=False)``."""

    def form(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return function(prepare(x), axis=axes(axis), keepdims=keepdims)

    return _named(form, name, f"Return {returns} over ``axis``.\n{_REDUCED}")


def cumulative(name: str, function: Function, returns: str) -> Function:
    """Return the operation ``name(x, axis=None, dtype=None)``."""

    def form(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
        return function(as_array(x), axis=axis, dtype=dtype)

    return _named(form, name, f"Return {returns} up to each element along ``axis``.\n{_CUMULATED}")


def quantiles(name: str, function: Function, returns: str) -> Function:
    """Return the operation ``name(x, q, axis=None, method="linear", keepdims=False)``."""

    def form(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
        return function(floats(x), floats(q), axis=axes(axis), method=method, keepdims=keepdims)

    return _named(form, name, f"Return {returns}.\n{_REDUCED}")


def pieces(name: str, function: Function, axis: str) -> Function:
    """Return the operation ``name(x, indices_or_sections)``."""

    def form(x: Any, indices_or_sections: Any) -> Any:
        return function(as_array(x), indices_or_sections)

    return _named(form, name, f"Return the list of pieces into which ``x`` is cut along {axis}.\n")


def joined(name: str, function: Function, axis: str) -> Callable[[Sequence[Any]], Any]:
    """Return the operation ``name(xs)``."""

    def form(xs: Sequence[Any]) -> Any:
        return function(as_arrays(xs))

    return _named(form, name, f"Return the arrays ``xs`` side by side along {axis}.\n")


def _named(form: Function, name: str, doc: str) -> Function:
    form.__name__ = form.__qualname__ = name
    form.__doc__ = doc
    return operation(form)


_FITTING = "A shape that broadcasts with that of ``x1``."
_REDUCED = """
Args:
    x: Any shape.
    axis: One axis or several; all of them when ``None``.
    keepdims: Whether the axes stay, with size 1.
"""
_CUMULATED = """
Args:
    x: Any shape.
    axis: One axis; ``None`` goes over the flattened array.
    dtype: The type of the result; that of ``x`` when ``None``.
"""
