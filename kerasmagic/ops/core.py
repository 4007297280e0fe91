"""Operations on arrays as such: conversion, loops and branches, scattered reads and writes."""
# ruff: noqa: A001

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax import lax

from kerasmagic.core import tree
from kerasmagic.core.dtypes import standardize_dtype
from kerasmagic.core.symbolic import KerasTensor, any_symbolic, lift, operation
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.ops.elementwise import where
from kerasmagic.ops.forms import as_array

__all__ = ["associative_scan", "cast", "cond", "convert_to_numpy", "convert_to_tensor", "custom_gradient"]
__all__ += ["dtype", "fori_loop", "is_tensor", "map", "saturate_cast", "scan", "scatter", "scatter_update"]
__all__ += ["shape", "slice", "slice_update", "stop_gradient", "switch", "unstack", "vectorized_map"]
__all__ += ["while_loop"]

Function = Callable[..., Any]


@operation
def associative_scan(f: Function, elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """Return what an associative function makes of all elements up to each one.

    Args:
        f: Takes two structures like slices of ``elems`` and returns one.
        elems: Arrays of the same size along ``axis``.
        reverse: Whether to go from the end.
        axis: The axis to go along.

    >>> associative_scan(lambda a, b: a * b, jnp.array([1, 2, 3, 4])).tolist()
    [1, 2, 6, 24]
    """
    return lax.associative_scan(f, elems, reverse, axis)


@operation
def cast(x: Any, dtype: Any) -> Any:
    """Return ``x`` as an array of another type."""
    return as_array(x).astype(standardize_dtype(dtype))


def cond(pred: Any, true_fn: Function, false_fn: Function) -> Any:
    """Return what one of two functions returns, the first one if ``pred`` is true.

    Args:
        pred: A scalar.
        true_fn: A function without arguments; it may use symbolic tensors from around it.
        false_fn: Another one, whose result has the same structure, shapes and types.

    >>> cond(jnp.array(2) > 1, lambda: jnp.array(10), lambda: jnp.array(20)).item()
    10
    """
    if isinstance(pred, KerasTensor):
        branches = true_fn(), false_fn()
        if any_symbolic(*branches):
            return tree.map_structure(lambda a, b: where(pred, a, b), *branches)
    return _cond(pred, true_fn, false_fn)


@lift
def _cond(pred: Any, true_fn: Function, false_fn: Function) -> Any:
    return lax.cond(as_array(pred), true_fn, false_fn)


def convert_to_numpy(x: Any) -> np.ndarray:
    """Return ``x`` as a NumPy array.

    Raises:
        InvalidArgument: If it is a symbolic tensor.
    """
    return np.array(x)


@operation
def convert_to_tensor(x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None) -> Any:
    """Return ``x`` as an array.

    Args:
        x: An array, a variable, a number, or lists of these.
        dtype: The type of the result; what JAX makes of ``x`` when ``None``.
        sparse: Arrays are never sparse.
        ragged: Not supported.

    Raises:
        InvalidArgument: If a ragged tensor is asked for.
    """
    if ragged:
        raise InvalidArgument("`ragged=True` is not supported on JAX.")
    array = as_array(x)
    return array if dtype is None else array.astype(standardize_dtype(dtype))


def custom_gradient(f: Function) -> Function:
    """Return a function with the gradient that ``f`` says.

    Args:
        f: Returns its result, and a function from the gradient of the result to those of its arguments.

    >>> @custom_gradient
    ... def clipped(x):
    ...     return x**2, lambda upstream: jnp.clip(2 * x * upstream, -1, 1)
    >>> jax.grad(clipped)(3.0).item()
    1.0
    """
    differentiable = jax.custom_gradient(f)

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = tree.map_structure(lambda x: x.value if isinstance(x, Variable) else x, (args, kwargs))
        return differentiable(*args, **kwargs)

    return lift(call)


def dtype(x: Any) -> str:
    """Return the name of the type of the values.

    >>> dtype(jnp.ones(2)), dtype(KerasTensor((2,), "int8"))
    ('float32', 'int8')
    """
    return standardize_dtype(x.dtype if hasattr(x, "dtype") else as_array(x).dtype)


@operation
def fori_loop(lower: Any, upper: Any, body_fun: Function, init_val: Any) -> Any:
    """Return ``init_val`` after ``body_fun(i, value)`` for each ``i`` from ``lower`` to below ``upper``.

    >>> fori_loop(0, 4, lambda i, total: total + i, 0).item()
    6
    """
    return lax.fori_loop(lower, upper, body_fun, init_val)


def is_tensor(x: Any) -> bool:
    """Whether ``x`` is an array of JAX's, a traced one included."""
    return isinstance(x, jax.Array)


@operation
def map(f: Function, xs: Any) -> Any:
    """Return ``f`` of each slice along the first axis, one after the other.

    >>> map(lambda row: row.sum(), jnp.ones((2, 3))).tolist()
    [3.0, 3.0]
    """
    return lax.map(f, xs)


def _limits(dtype: str) -> tuple[Any, Any]:
    if dtype == "bool":
        return 0, 1
    info = ml_dtypes.iinfo(dtype) if "int" in dtype else ml_dtypes.finfo(dtype)
    return info.min, info.max


@operation
def saturate_cast(x: Any, dtype: Any) -> Any:
    """Return ``x`` as another type; what is beyond its limits becomes the nearest limit.

    >>> saturate_cast([-5.0, 300.0], "uint8").tolist()
    [0, 255]
    """
    x, dtype = as_array(x), standardize_dtype(dtype)
    source = x.dtype.name
    (low, high), (lowest, highest) = _limits(source), _limits(dtype)
    least, most = np.maximum(low, lowest).astype(source), np.minimum(high, highest).astype(source)
    # A limit that rounds to beyond itself, as 2**31 - 1 does in float32, moves in by one step.
    least = np.nextafter(least, 0, dtype=source) if least < lowest else least
    most = np.nextafter(most, 0, dtype=source) if most > highest else most
    x = x.astype("int32") if source == "bool" else x
    return jnp.clip(x, least, most).astype(dtype)


@operation
def scan(
    f: Function, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False, unroll: Any = 1
) -> Any:
    """Return what is carried at the end, and all outputs of ``carry, output = f(carry, x)``.

    Args:
        f: Takes what is carried and one slice of ``xs``; returns what is carried on and an output.
        init: What is carried first.
        xs: Arrays whose first axis is gone over.
        length: The number of steps, where there is no ``xs``.
        reverse: Whether to go from the end.
        unroll: How many steps stand in the body of the loop; ``True`` for all.

    Raises:
        InvalidArgument: If ``unroll`` is neither a positive integer nor a boolean.

    >>> total, sums = scan(lambda total, x: (total + x, total + x), jnp.array(0), jnp.array([1, 2, 3]))
    >>> total.item(), sums.tolist()
    (6, [1, 3, 6])
    """
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise InvalidArgument(f"`unroll` must be an positive integer or boolean. Received: unroll={unroll}")
    return lax.scan(f, init, xs, length=length, reverse=reverse, unroll=unroll)


@operation
def scatter(indices: Any, values: Any, shape: Any) -> Any:
    """Return zeros of a shape with ``values`` added at places.

    Args:
        indices: ``(..., k)``: the place along each of the first ``k`` axes.
        values: ``(..., *shape[k:])``.
        shape: The shape of the result.

    >>> scatter([[1], [1]], [2.0, 3.0], (3,)).tolist()
    [0.0, 5.0, 0.0]
    """
    values = as_array(values)
    return jnp.zeros(shape, values.dtype).at[_places(indices)].add(values)


def _places(indices: Any) -> tuple[Any, ...]:
    return tuple(jnp.moveaxis(as_array(indices), -1, 0))


@operation
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Any:
    """Return ``inputs`` with other values at places.

    Args:
        inputs: Any shape.
        indices: ``(n, k)``: the place along each of the first ``k`` axes.
        updates: ``(n, *inputs.shape[k:])``.
        reduction: What becomes of the old value: replaced when ``None``, else ``"add"``, ``"max"``,
            ``"min"`` or ``"mul"`` with the new one.

    Raises:
        InvalidArgument: If ``reduction`` is none of these.
    """
    methods = {None: "set", "add": "add", "max": "max", "min": "min", "mul": "multiply"}
    how = None if reduction is None else reduction.lower()
    if how not in methods:
        raise InvalidArgument(
            f"Invalid reduction: {reduction}. Supported values are: None, 'add', 'max', 'min', 'mul'."
        )
    at = as_array(inputs).at[tuple(jnp.transpose(as_array(indices)))]
    return getattr(at, methods[how])(as_array(updates))


def shape(x: Any) -> tuple[Any, ...]:
    """Return the sizes; open ones of a symbolic tensor are ``None``."""
    return x.shape if hasattr(x, "shape") else np.shape(x)


@operation
def slice(inputs: Any, start_indices: Any, shape: Sequence[int]) -> Any:
    """Return the part of a shape that begins at ``start_indices``; a size of -1 is all that is left.

    >>> slice(jnp.arange(6).reshape(2, 3), [0, 1], [2, -1]).tolist()
    [[1, 2], [4, 5]]
    """
    x = as_array(inputs)
    sizes = [x.shape[i] - start_indices[i] if size == -1 else size for i, size in enumerate(shape)]
    return lax.dynamic_slice(x, start_indices, sizes)


@operation
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Any:
    """Return ``inputs`` with ``updates`` in place of the part that begins at ``start_indices``."""
    return lax.dynamic_update_slice(as_array(inputs), as_array(updates), start_indices)


@operation
def stop_gradient(variable: Any) -> Any:
    """Return the value as one that no gradient flows through."""
    return lax.stop_gradient(as_array(variable))


@operation
def switch(index: Any, branches: Sequence[Function], *operands: Any) -> Any:
    """Return ``branches[index](*operands)``; an index beyond the list is the nearest one in it.

    >>> switch(1, [lambda x: x + 1, lambda x: x * 10], jnp.array(5)).item()
    50
    """
    return lax.switch(index, branches, *operands)


@operation
def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    """Return the slices of ``x`` along ``axis``, which they lack.

    Args:
        x: Any shape.
        num: How many there are, where the size of the axis is open.
        axis: The axis.
    """
    x = as_array(x)
    count = x.shape[axis] if isinstance(x.shape[axis], int) or num is None else num
    return [lax.index_in_dim(x, i, axis, keepdims=False) for i in range(count)]


@operation
def vectorized_map(function: Function, elements: Any) -> Any:
    """Return ``function`` of each slice along the first axis, all at once.

    >>> vectorized_map(lambda row: row.sum(), jnp.ones((2, 3))).tolist()
    [3.0, 3.0]
    """
    return jax.vmap(function)(elements)


@operation
def while_loop(cond: Function, body: Function, loop_vars: Any, maximum_iterations: int | None = None) -> Any:
    """Return ``loop_vars`` after ``body`` as often as ``cond`` holds.

    Args:
        cond: Takes the variables and returns a scalar.
        body: Takes the variables and returns new ones.
        loop_vars: A tuple or list of them, or a single one.
        maximum_iterations: After how many times to stop in any case.

    >>> [x.item() for x in while_loop(lambda i, x: x < 100, lambda i, x: (i + 1, 2 * x), (0, 1))]
    [7, 128]
    """
    several = isinstance(loop_vars, (tuple, list))

    def goes_on(state: tuple[Any, Any]) -> Any:
        count, values = state
        holds = cond(*values)
        return holds if maximum_iterations is None else holds & (count < maximum_iterations)

    def step(state: tuple[Any, Any]) -> Any:
        count, values = state
        new = body(*values)
        return count + 1, tuple(new) if several else (new,)

    first = tuple(loop_vars) if several else (loop_vars,)
    _, last = lax.while_loop(goes_on, step, (0, first))
    return last if several else last[0]
