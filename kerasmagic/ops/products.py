"""Products of arrays: dot, matmul, einsum and their kin."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from kerasmagic.core.symbolic import operation
from kerasmagic.ops.forms import as_array, binary, unary

__all__ = [
    "correlate",
    "cross",
    "dot",
    "einsum",
    "inner",
    "kron",
    "matmul",
    "outer",
    "slogdet",
    "tensordot",
    "vdot",
]

dot = binary("dot", jnp.dot, "the sum of products over the last axis of ``x1`` and the second last of ``x2``")
inner = binary("inner", jnp.inner, "the sum of products over the last axes")
kron = binary("kron", jnp.kron, "the Kronecker product: ``x2`` times each element of ``x1``, side by side")
outer = binary("outer", jnp.outer, "the product of each pair, of flattened arrays: ``(n,), (m,) -> (n, m)``")
vdot = binary("vdot", jnp.vdot, "the sum of products of two flattened arrays, the first one conjugated")

slogdet = unary("slogdet", lambda x: tuple(jnp.linalg.slogdet(x)), "the sign and the log of the determinant")


@operation
def correlate(x1: Any, x2: Any, mode: str = "valid") -> Any:
    """Return the sum of products of ``x1`` and ``x2`` at every shift.

    Args:
        x1: ``(n,)``.
        x2: ``(m,)``.
        mode: Which shifts: ``"valid"`` (full overlap), ``"same"`` (the size of the larger), ``"full"``.
    """
    return jnp.correlate(as_array(x1), as_array(x2), mode)


@operation
def cross(
    x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """Return the cross product of vectors with 2 or 3 elements.

    Args:
        x1: Any shape, of size 2 or 3 along ``axisa``.
        x2: A shape that fits, of size 2 or 3 along ``axisb``.
        axisa: Where the vectors of ``x1`` are.
        axisb: Where the vectors of ``x2`` are.
        axisc: Where those of the result are to be.
        axis: All three at once.

    >>> cross([1, 0, 0], [0, 1, 0]).tolist()
    [0, 0, 1]
    """
    return jnp.cross(as_array(x1), as_array(x2), axisa=axisa, axisb=axisb, axisc=axisc, axis=axis)


def _eight_bits(*operands: Any) -> str | None:
    """Return the type to add products of 8-bit integers in: their own would overflow."""
    return "int32" if all(x.dtype == jnp.int8 for x in operands) else None


@operation
def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Any:
    """Return a sum of products, as the letters of ``subscripts`` say.

    Args:
        subscripts: One letter for each axis, for example ``"bij,bjk->bik"``.
        *operands: The arrays.
        **kwargs: What ``jax.numpy.einsum`` takes besides.

    >>> einsum("ij,ij->i", [[1, 2], [3, 4]], [[1, 1], [2, 2]]).tolist()
    [3, 14]
    """
    xs = [as_array(x) for x in operands]
    return jnp.einsum(subscripts, *xs, **{**kwargs, "preferred_element_type": _eight_bits(*xs)})


@operation
def matmul(x1: Any, x2: Any) -> Any:
    """Return the product of matrices: ``(..., n, k), (..., k, m) -> (..., n, m)``; int8 gives int32."""
    x1, x2 = as_array(x1), as_array(x2)
    return jnp.matmul(x1, x2, preferred_element_type=_eight_bits(x1, x2))


@operation
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """Return the sum of products over axes.

    Args:
        x1: Any shape.
        x2: Any shape whose ``axes`` fit.
        axes: A pair of lists of axes, or how many last ones of ``x1`` meet the first ones of ``x2``.

    >>> tensordot(jnp.ones((2, 3, 4)), jnp.ones((4, 3)), [[1, 2], [1, 0]]).tolist()
    [12.0, 12.0]
    """
    return jnp.tensordot(as_array(x1), as_array(x2), axes=axes)
