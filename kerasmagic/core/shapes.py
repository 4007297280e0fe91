"""The one shape inference: trace a function over open dimensions, allocate nothing.

Open dimensions are symbols of ``jax.export`` (``batch``, ``time``, ...), so a
flattened sequence knows that it is ``5*time`` long. Where a function asks a
question that a symbol cannot answer (``if time > 3``), it is traced at two
concrete sizes instead and the open dimensions are read off the difference.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import export

from kerasmagic.foundation.amount import evaluate as evaluate
from kerasmagic.foundation.amount import symbols
from kerasmagic.foundation.errors import InvalidArgument, KerasMagicError

Spec = jax.ShapeDtypeStruct
_SCOPE = export.SymbolicScope()
_AXIS_NAMES = {
    1: ("batch",),
    2: ("batch", "time"),
    3: ("batch", "time", "features"),
    4: ("batch", "height", "width", "channels"),
    5: ("batch", "depth", "height", "width", "channels"),
}
# Two sizes for each symbol. They are primes above any usual kernel or stride, so
# that a coincidence with a fixed dimension is unlikely.
_SIZES = ((83, 89), (97, 103), (107, 113), (127, 137), (149, 157), (167, 179), (191, 197), (211, 227))
# The same for networks that halve an image several times, double it as often, and expect to be back.
_DIVISIBLE = tuple((64 * a, 64 * b) for a, b in ((5, 6), (7, 9), (10, 13), (14, 18), (19, 24), (25, 31)))
_fresh = itertools.count()


@functools.cache
def dimension(name: str) -> Any:
    """Return the open dimension called ``name``.

    Raises:
        InvalidArgument: If ``name`` is no identifier.
    """
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise InvalidArgument(f"The name of a dimension must be an identifier. Received: {name!r}")
    return export.symbolic_shape(name, scope=_SCOPE)[0]


def named_dims(shape: Sequence[Any]) -> tuple[Any, ...]:
    """Return ``shape`` with a symbol in place of every ``None`` and every name.

    >>> named_dims((None, None, 64)), named_dims((None, "tokens"))
    ((batch, time, 64), (batch, tokens))
    """
    usual = _AXIS_NAMES.get(len(shape), ())

    def dim(axis: int, size: Any) -> Any:
        if size is None:
            return dimension(usual[axis] if axis < len(usual) else f"axis{axis}")
        return dimension(size) if isinstance(size, str) else size

    return tuple(dim(axis, size) for axis, size in enumerate(shape))


def public_shape(dims: Sequence[Any]) -> tuple[int | None, ...]:
    """Return ``dims`` with ``None`` in place of every open dimension."""
    return tuple(d if isinstance(d, int) else None for d in dims)


def infer(function: Callable[..., Any], specs: Sequence[Spec]) -> Any:
    """Return the structure of ``ShapeDtypeStruct`` that ``function(*specs)`` would return.

    Args:
        function: A function of arrays.
        specs: One spec per array; sizes may be symbols.

    Raises:
        Exception: Whatever ``function`` raises about the shapes it gets.
    """
    return infer_with_program(function, specs)[0]


def infer_with_program(function: Callable[..., Any], specs: Sequence[Spec]) -> tuple[Any, Any]:
    """Return what ``infer`` does, and the program that was traced: a ``Jaxpr``, or ``None``.

    Its inputs are constants of the function, if there are any, and then one for each spec. There is none where
    the open dimensions had to be read off several sizes.
    """
    try:
        trace = jax.jit(lambda *arrays: function(*arrays)).trace(*specs)
        return trace.out_info, trace.jaxpr.jaxpr
    except KerasMagicError:
        raise
    except Exception as symbolic_error:
        if all(isinstance(d, int) for spec in specs for d in spec.shape):
            raise
        try:
            return _infer_from_sizes(function, specs), None
        except KerasMagicError:
            raise
        except Exception as concrete_error:
            error = symbolic_error if _is_about_shapes(symbolic_error) else concrete_error
            raise error from None


def _is_about_shapes(error: Exception) -> bool:
    return isinstance(error, (TypeError, ValueError)) and "symbolic" not in str(error).lower()


def _infer_from_sizes(function: Callable[..., Any], specs: Sequence[Spec]) -> Any:
    try:
        return _infer_at(function, specs, _SIZES)
    except KerasMagicError:
        raise
    except (TypeError, ValueError):
        return _infer_at(function, specs, _DIVISIBLE)


def _infer_at(function: Callable[..., Any], specs: Sequence[Spec], pairs: Sequence[tuple[int, int]]) -> Any:
    names = sorted({name for spec in specs for d in spec.shape for name in symbols(d)})
    sizes = dict(zip(names, itertools.cycle(pairs), strict=False))
    outputs = []
    for which in (0, 1):
        env = {name: pair[which] for name, pair in sizes.items()}
        outputs.append(jax.eval_shape(function, *(_at(spec, env) for spec in specs)))
    first, treedef = jax.tree.flatten(outputs[0])
    second = jax.tree.leaves(outputs[1])
    merged = [_merge(a, b, sizes, specs) for a, b in zip(first, second, strict=True)]
    return jax.tree.unflatten(treedef, merged)


def _at(spec: Spec, sizes: dict[str, int]) -> Spec:
    return Spec(tuple(evaluate(d, sizes) for d in spec.shape), spec.dtype)


def _merge(a: Spec, b: Spec, sizes: dict[str, tuple[int, int]], specs: Sequence[Spec]) -> Spec:
    dims = [_dim_through(x, y, sizes, specs) for x, y in zip(a.shape, b.shape, strict=True)]
    return Spec(tuple(dims), a.dtype)


def _dim_through(x: int, y: int, sizes: dict[str, tuple[int, int]], specs: Sequence[Spec]) -> Any:
    """Return the dimension that is ``x`` at the first sizes and ``y`` at the second."""
    if x == y:
        return x
    for dim in (d for spec in specs for d in spec.shape):
        at = [evaluate(dim, {name: pair[i] for name, pair in sizes.items()}) for i in (0, 1)]
        if at == [x, y]:
            return dim
    linear = []
    for name, (small, large) in sizes.items():
        slope, rest = divmod(y - x, large - small)
        if rest == 0 and slope > 0:
            linear.append((x - slope * small, slope, name))
    if linear:
        # Several symbols may have grown as much: the one with the least besides it is the likeliest.
        offset, slope, name = min(linear, key=lambda found: abs(found[0]))
        return slope * dimension(name) + offset
    return dimension(f"size{next(_fresh)}")
