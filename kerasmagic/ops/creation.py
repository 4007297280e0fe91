"""Operations that make arrays: filled, counted, spaced, windows."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import export

from kerasmagic.core.dtypes import standardize_dtype
from kerasmagic.core.symbolic import KerasTensor, operation
from kerasmagic.foundation.config import floatx
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch, UnexpectedArgument
from kerasmagic.ops.forms import as_array, open_size, sized_by_values

__all__ = ["arange", "array", "bartlett", "blackman", "empty", "empty_like", "eye", "full", "full_like"]
__all__ += ["geomspace", "hamming", "hanning", "identity", "kaiser", "linspace", "logspace", "meshgrid"]
__all__ += ["ones", "ones_like", "tri", "vander", "zeros", "zeros_like"]


@operation
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """Return numbers from ``start`` (0 without ``stop``) to below ``stop``, ``step`` apart.

    >>> arange(3).tolist(), arange(1.0, 2.0, 0.5).tolist()
    ([0, 1, 2], [1.0, 1.5])
    """
    if dtype is None:
        given = (x for x in (start, stop, step) if x is not None)
        dtype = jnp.result_type(*(jnp.int32 if export.is_symbolic_dim(x) else x for x in given))
        dtype = floatx() if dtype == jnp.float32 else dtype
    return jnp.arange(start, stop, step, dtype=standardize_dtype(dtype))


@operation
def array(x: Any, dtype: Any = None) -> Any:
    """Return ``x`` as a new array."""
    return jnp.array(as_array(x), dtype=dtype)


def _window(name: str, returns: str) -> Any:
    function = getattr(jnp, name)

    def form(x: Any) -> Any:
        return function(as_array(x)).astype(floatx())

    form.__name__ = form.__qualname__ = name
    form.__doc__ = f"Return {returns} of ``x`` numbers: ``() -> (x,)``.\n"
    return sized_by_values(_window_spec)(form)


def _window_spec(x: Any, beta: Any = None) -> Any:
    return KerasTensor((open_size(),), floatx())


bartlett = _window("bartlett", "a Bartlett window, a triangle,")
blackman = _window("blackman", "a Blackman window")
hamming = _window("hamming", "a Hamming window")
hanning = _window("hanning", "a Hann window")


@sized_by_values(_window_spec)
def kaiser(x: Any, beta: Any) -> Any:
    """Return a Kaiser window of ``x`` numbers, narrower for a larger ``beta``: ``() -> (x,)``."""
    return jnp.kaiser(as_array(x), as_array(beta)).astype(floatx())


@operation
def empty(shape: Any, dtype: Any = None) -> Any:
    """Return an array of any values; here of zeros."""
    return jnp.empty(shape, dtype=dtype or floatx())


@operation
def empty_like(x: Any, dtype: Any = None) -> Any:
    """Return an array of any values of the shape of ``x``, and of its type when ``dtype`` is ``None``."""
    return jnp.empty_like(as_array(x), dtype=dtype)


@operation
def eye(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Any:
    """Return a matrix of zeros with ones on its ``k``-th diagonal.

    Args:
        N: The number of rows.
        M: The number of columns; ``N`` when ``None``.
        k: How far right of the main diagonal the ones are.
        dtype: The type of the values.

    Raises:
        UnexpectedArgument: If ``N`` or ``M`` is no integer.
    """
    for name, size in (("N", N), ("M", M)):
        if isinstance(size, float) or jnp.issubdtype(getattr(size, "dtype", jnp.int32), jnp.floating):
            raise UnexpectedArgument(f"Argument `{name}` must be an integer. Received: {name}={size}")
    return jnp.eye(N, M, k=k, dtype=dtype or floatx())


@operation
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """Return an array of a shape with ``fill_value`` everywhere."""
    return jnp.full(shape, as_array(fill_value), dtype=dtype or floatx())


@operation
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """Return an array of the shape of ``x`` with ``fill_value`` everywhere."""
    return jnp.full_like(as_array(x), as_array(fill_value), dtype=dtype)


@operation
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """Return ``num`` numbers from ``start`` to ``stop``, each the same multiple of the one before."""
    return jnp.geomspace(as_array(start), as_array(stop), num, endpoint=endpoint, dtype=dtype, axis=axis)


@operation
def identity(n: int, dtype: Any = None) -> Any:
    """Return the identity matrix ``(n, n)``."""
    return jnp.identity(n, dtype=dtype or floatx())


@operation
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Return ``num`` evenly spaced numbers from ``start`` to ``stop``.

    Args:
        start: The first number, any shape.
        stop: The last one.
        num: How many.
        endpoint: Whether ``stop`` is among them.
        retstep: Whether to return the distance too.
        dtype: The type of the result.
        axis: Where the numbers stand among the axes of ``start`` and ``stop``.

    >>> linspace(0.0, 1.0, 3).tolist()
    [0.0, 0.5, 1.0]
    """
    return jnp.linspace(
        as_array(start), as_array(stop), num, endpoint=endpoint, retstep=retstep, dtype=dtype, axis=axis
    )


@operation
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Return ``base`` to the power of ``num`` evenly spaced numbers from ``start`` to ``stop``."""
    exponents = (as_array(start), as_array(stop))
    return jnp.logspace(*exponents, num, endpoint=endpoint, base=base, dtype=dtype, axis=axis)


@operation
def meshgrid(*x: Any, indexing: str = "xy") -> Any:
    """Return for each vector an array over the grid of all of them.

    Args:
        *x: Vectors ``(n,), (m,), ...``.
        indexing: ``"ij"`` for results ``(n, m, ...)``, ``"xy"`` for ``(m, n, ...)``.
    """
    return jnp.meshgrid(*map(as_array, x), indexing=indexing)


@operation
def ones(shape: Any, dtype: Any = None) -> Any:
    """Return an array of ones."""
    return jnp.ones(shape, dtype=dtype or floatx())


@operation
def ones_like(x: Any, dtype: Any = None) -> Any:
    """Return ones of the shape of ``x``, and of its type when ``dtype`` is ``None``."""
    return jnp.ones_like(as_array(x), dtype=dtype)


@operation
def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Return a matrix ``(N, M)`` of ones up to its ``k``-th diagonal and zeros beyond."""
    return jnp.tri(N, M, k, dtype=dtype or floatx())


@operation
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Return the powers of each element: ``(n,) -> (n, N)``, decreasing unless ``increasing``.

    Raises:
        ShapeMismatch: If ``x`` has not one axis.
        UnexpectedArgument: If ``N`` is no integer.
        InvalidArgument: If ``N`` is negative.
    """
    x = as_array(x)
    if x.ndim != 1:
        raise ShapeMismatch(f"Input tensor must be 1-dimensional. Received: input.shape={x.shape}")
    if N is not None and not isinstance(N, int):
        raise UnexpectedArgument(f"Argument `N` must be of type `int`. Received: N={N}")
    if N is not None and N < 0:
        raise InvalidArgument(f"Argument `N` must be nonnegative. Received: N={N}")
    return jnp.vander(x, N, increasing)


@operation
def zeros(shape: Any, dtype: Any = None) -> Any:
    """Return an array of zeros."""
    return jnp.zeros(shape, dtype=dtype or floatx())


@operation
def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Return zeros of the shape of ``x``, and of its type when ``dtype`` is ``None``."""
    return jnp.zeros_like(as_array(x), dtype=dtype)
