"""Operations on matrices, the last two axes of an array: ``keras.ops.linalg``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import core
from jax.scipy import linalg

from kerasmagic.core.symbolic import operation
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.ops.forms import as_array, axes, floats, unary

__all__ = ["cholesky", "cholesky_inverse", "det", "eig", "eigh", "inv", "jvp", "lstsq", "lu_factor"]
__all__ += ["matrix_rank", "norm", "pinv", "qr", "solve", "solve_triangular", "svd"]


def matrix(x: Any) -> Any:
    """Return ``x`` as an array of matrices.

    Raises:
        ShapeMismatch: If it has fewer than two axes.
    """
    x = as_array(x)
    if x.ndim < 2:
        raise ShapeMismatch(f"Expected input to have rank >= 2. Received input with shape {x.shape}.")
    return x


def square(x: Any) -> Any:
    """Return ``x`` as an array of square matrices.

    Raises:
        ShapeMismatch: If it is none.
    """
    x = matrix(x)
    if x.shape[-2] != x.shape[-1]:
        raise ShapeMismatch(f"Expected a square matrix. Received non-square input with shape {x.shape}")
    return x


det = unary("det", jnp.linalg.det, "the determinant: ``(..., n, n) -> (...)``", square)
eig = unary("eig", jnp.linalg.eig, "eigenvalues ``(..., n)`` and eigenvectors ``(..., n, n)``", square)
eigh = unary("eigh", jnp.linalg.eigh, "``eig`` of symmetric matrices, eigenvalues increasing", square)
inv = unary("inv", jnp.linalg.inv, "the inverse: ``(..., n, n) -> (..., n, n)``", square)


@operation
def cholesky(x: Any, upper: bool = False) -> Any:
    """Return the triangular matrix whose product with its transpose is ``x``: ``(..., n, n) -> (..., n, n)``.

    Args:
        x: Symmetric matrices with positive eigenvalues.
        upper: Whether the result is upper triangular, lower otherwise.

    Raises:
        InvalidArgument: If an eigenvalue is not positive; compiled functions return NaN.
    """
    factor = jnp.linalg.cholesky(square(x), upper=upper)
    if not isinstance(factor, core.Tracer) and jnp.isnan(factor).any():
        raise InvalidArgument(
            "Cholesky decomposition failed. The input might not be a valid positive definite matrix."
        )
    return factor


@operation
def cholesky_inverse(x: Any, upper: bool = False) -> Any:
    """Return the inverse of the matrix whose Cholesky factor is ``x``: ``(n, n) -> (n, n)``."""
    factor = square(x)
    inverse = linalg.solve_triangular(factor, jnp.eye(factor.shape[-1], dtype=factor.dtype), lower=not upper)
    return inverse @ inverse.T if upper else inverse.T @ inverse


@operation
def jvp(fun: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """Return ``fun(*primals)`` and how it changes when they move along ``tangents``.

    Args:
        fun: A differentiable function.
        primals: Where it is called.
        tangents: As many arrays of the same shapes.
        has_aux: Whether ``fun`` returns something besides, which comes last.
    """
    return jax.jvp(fun, tuple(primals), tuple(tangents), has_aux=has_aux)


@operation
def lstsq(a: Any, b: Any, rcond: float | None = None) -> Any:
    """Return the ``x`` with the least ``|a x - b|``: ``(m, n), (m,) or (m, k) -> (n,) or (n, k)``.

    Singular values below ``rcond`` times the largest count as 0.
    """
    return jnp.linalg.lstsq(as_array(a), as_array(b), rcond=rcond)[0]


@operation
def lu_factor(x: Any) -> Any:
    """Return both triangular factors in one matrix, and the row that was put in place of each row."""
    factor = linalg.lu_factor
    x = matrix(x)
    for _ in range(x.ndim - 2):
        factor = jax.vmap(factor)
    return factor(x)


@operation
def matrix_rank(x: Any, tol: Any = None) -> Any:
    """Return how many singular values exceed ``tol``, as int32: ``(..., m, n) -> (...)``."""
    return jnp.linalg.matrix_rank(matrix(x), tol).astype("int32")


@operation
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the norm of vectors, or of matrices where ``axis`` is a pair.

    Args:
        x: Any shape.
        ord: Which norm: a number, ``"fro"`` or ``"nuc"``; the Euclidean one when ``None``.
        axis: The axis of the vectors or both axes of the matrices; all axes when ``None``.
        keepdims: Whether the axes stay, with size 1.
    """
    return jnp.linalg.norm(floats(x), ord=ord, axis=axes(axis), keepdims=keepdims)


@operation
def pinv(x: Any, rcond: Any = None) -> Any:
    """Return the pseudo-inverse: ``(..., m, n) -> (..., n, m)``."""
    return jnp.linalg.pinv(matrix(x), rcond)


@operation
def qr(x: Any, mode: str = "reduced") -> Any:
    """Return an orthogonal and an upper triangular factor: ``(..., m, n) -> (..., m, k), (..., k, n)``.

    Args:
        x: Matrices.
        mode: ``k`` is ``min(m, n)`` for ``"reduced"``, ``m`` for ``"complete"``.

    Raises:
        InvalidArgument: If there is no such mode.
    """
    if mode not in ("reduced", "complete"):
        raise InvalidArgument(
            f"`mode` argument value not supported. Expected 'reduced' or 'complete'. Received: mode={mode}"
        )
    return tuple(jnp.linalg.qr(matrix(x), mode=mode))


def _fitting(a: Any, b: Any) -> tuple[Any, Any]:
    a, b = square(a), as_array(b)
    rows = {a.ndim: -2, a.ndim - 1: -1}.get(b.ndim)
    if b.ndim == 0 or (rows is not None and b.shape[rows] != a.shape[-2]):
        raise ShapeMismatch(
            "Incompatible shapes between `a` and `b`: each column of `b` needs as many elements as `a` has "
            f"rows. Received: a.shape={a.shape}, b.shape={b.shape}"
        )
    return a, b


@operation
def solve(a: Any, b: Any) -> Any:
    """Return the ``x`` with ``a x = b``: ``(..., n, n), (n,) or (..., n, k) -> the shape of b``.

    Raises:
        ShapeMismatch: If ``a`` is not square or ``b`` does not fit.

    >>> solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]).tolist()
    [1.0, 0.5]
    """
    return jnp.linalg.solve(*_fitting(a, b))


@operation
def solve_triangular(a: Any, b: Any, lower: bool = False) -> Any:
    """Return what ``solve`` does, reading only the upper triangle of ``a``, or the lower one."""
    return linalg.solve_triangular(*_fitting(a, b), lower=lower)


@operation
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Return the singular value decomposition: ``(..., m, n) -> (..., m, j), (..., k), (..., j, n)``.

    Args:
        x: Matrices; ``k`` is ``min(m, n)``.
        full_matrices: Whether both outer factors are square, or have ``k`` columns and rows.
        compute_uv: Whether to return them; the singular values alone otherwise.
    """
    result = jnp.linalg.svd(matrix(x), full_matrices=full_matrices, compute_uv=compute_uv)
    return tuple(result) if compute_uv else result
