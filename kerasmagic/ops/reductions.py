"""Operations over axes: sums and means, what is largest, order, and running totals."""
# ruff: noqa: A001

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax.scipy import special

from kerasmagic.core.symbolic import KerasTensor, operation
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch, UnexpectedArgument
from kerasmagic.ops.forms import (
    as_array,
    axes,
    cumulative,
    floats,
    open_size,
    quantiles,
    reduction,
    sized_by_values,
    unary,
)

__all__ = ["all", "allclose", "amax", "amin", "any", "argmax", "argmin", "argpartition", "argsort"]
__all__ += ["average", "bincount", "corrcoef", "count_nonzero", "cumprod", "cumsum", "diff", "digitize"]
__all__ += ["histogram", "logsumexp", "max", "mean", "median", "min", "nanargmax", "nanargmin", "nancumprod"]
__all__ += ["nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin", "nanpercentile", "nanprod"]
__all__ += ["nanquantile", "nanstd", "nansum", "nanvar", "nonzero", "percentile", "prod", "ptp", "quantile"]
__all__ += ["searchsorted", "sort", "std", "sum", "trapezoid", "unique", "var"]

all = reduction("all", jnp.all, "whether all elements are true")
amax = reduction("amax", jnp.amax, "the largest element")
amin = reduction("amin", jnp.amin, "the smallest element")
any = reduction("any", jnp.any, "whether any element is true")
logsumexp = reduction("logsumexp", special.logsumexp, "``log(sum(exp(x)))``, without overflow,")
median = reduction("median", jnp.median, "the median", floats)
nanargmax = reduction("nanargmax", jnp.nanargmax, "where the largest element is, NaN apart,")
nanargmin = reduction("nanargmin", jnp.nanargmin, "where the smallest element is, NaN apart,")
nanmax = reduction("nanmax", jnp.nanmax, "the largest element, NaN apart,")
nanmean = reduction("nanmean", jnp.nanmean, "the mean, NaN apart,")
nanmedian = reduction("nanmedian", jnp.nanmedian, "the median, NaN apart,")
nanmin = reduction("nanmin", jnp.nanmin, "the smallest element, NaN apart,")
nanprod = reduction("nanprod", jnp.nanprod, "the product, NaN apart,")
nanstd = reduction("nanstd", jnp.nanstd, "the standard deviation, NaN apart,")
nansum = reduction("nansum", jnp.nansum, "the sum, NaN apart,")
nanvar = reduction("nanvar", jnp.nanvar, "the variance, NaN apart,")
ptp = reduction("ptp", jnp.ptp, "the largest element less the smallest")
std = reduction("std", jnp.std, "the standard deviation", floats)
sum = reduction("sum", jnp.sum, "the sum")

cumprod = cumulative("cumprod", jnp.cumprod, "the product")
cumsum = cumulative("cumsum", jnp.cumsum, "the sum")
nancumprod = cumulative("nancumprod", jnp.nancumprod, "the product, NaN counting as 1,")
nancumsum = cumulative("nancumsum", jnp.nancumsum, "the sum, NaN counting as 0,")

percentile = quantiles("percentile", jnp.percentile, "what ``q`` percent of the elements are below")
quantile = quantiles("quantile", jnp.quantile, "what a share ``q`` of the elements is below")
nanpercentile = quantiles("nanpercentile", jnp.nanpercentile, "``percentile``, NaN apart")
nanquantile = quantiles("nanquantile", jnp.nanquantile, "``quantile``, NaN apart")

corrcoef = unary("corrcoef", jnp.corrcoef, "how the rows of a matrix correlate: ``(n, time) -> (n, n)``")


@operation
def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Return whether ``|x1 - x2| <= atol + rtol * |x2|`` for all pairs: a scalar."""
    return jnp.allclose(as_array(x1), as_array(x2), rtol, atol, equal_nan)


def _signed_zeros(x: Any) -> Any:
    """Return an order in which -0.0 comes before 0.0, as in Keras: equal elements are told apart by place."""
    x = as_array(x)
    if not jnp.issubdtype(x.dtype, jnp.floating) or x.ndim == 0:
        return x
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return jnp.where((x == 0) & jnp.signbit(x), -jnp.finfo(x.dtype).tiny, x)


@operation
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return where the largest element along ``axis`` is, the first of them in a tie."""
    return jnp.argmax(_signed_zeros(x), axis=axis, keepdims=keepdims)


@operation
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return where the smallest element along ``axis`` is, the first of them in a tie."""
    return jnp.argmin(_signed_zeros(x), axis=axis, keepdims=keepdims)


@operation
def argpartition(x: Any, kth: int, axis: int | None = -1) -> Any:
    """Return places that put the ``kth`` element where sorting would, smaller ones before it."""
    x = as_array(x)
    return jnp.argpartition(x.ravel() if axis is None else x, kth, axis=0 if axis is None else axis)


@operation
def argsort(x: Any, axis: int | None = -1) -> Any:
    """Return the places that sort ``x`` along ``axis``."""
    x = as_array(x)
    return jnp.argsort(x, axis=axis if x.ndim else None)


@operation
def average(x: Any, axis: Any = None, weights: Any = None) -> Any:
    """Return the mean, each element as heavy as its weight.

    Args:
        x: Any shape.
        axis: One axis or several; all of them when ``None``.
        weights: The shape of ``x``, or the size of ``axis``.

    >>> average([1.0, 2.0], weights=[3, 1]).item()
    1.25
    """
    return jnp.average(floats(x), axis=axes(axis), weights=None if weights is None else as_array(weights))


def _counts(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    return KerasTensor((*x.shape[:-1], open_size()), "int32" if weights is None else weights.dtype)


@sized_by_values(_counts)
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    """Return how often each integer from 0 occurs: ``(n,) -> (values,)``, or row by row.

    Args:
        x: Integers, ``(n,)`` or ``(batch, n)``.
        weights: What each one counts, the shape of ``x``; 1 when ``None``.
        minlength: The least number of counts.
        sparse: Not supported.

    >>> bincount([0, 2, 2]).tolist()
    [1, 0, 2]
    """
    if sparse:
        raise InvalidArgument("Sparse tensors are not supported on JAX. Received: sparse=True")
    x = as_array(x)
    length = int(jnp.maximum(x.max(initial=-1) + 1, minlength))
    rows = [x] if weights is None else [x, as_array(weights)]
    if x.ndim == 1:
        return jnp.bincount(*rows, length=length)
    return jnp.stack([jnp.bincount(*row, length=length) for row in zip(*rows, strict=True)])


@operation
def count_nonzero(x: Any, axis: Any = None) -> Any:
    """Return how many elements along ``axis`` are not 0, as int32."""
    return jnp.count_nonzero(as_array(x), axis=axes(axis)).astype("int32")


@operation
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """Return each element less the one before it, ``n`` times over: ``n`` shorter along ``axis``."""
    return jnp.diff(as_array(a), n=n, axis=axis)


@operation
def digitize(x: Any, bins: Any) -> Any:
    """Return how many of the increasing edges ``bins`` are not above each element."""
    return jnp.digitize(as_array(x), as_array(bins))


@operation
def histogram(x: Any, bins: int = 10, range: tuple[float, float] | None = None) -> Any:
    """Return how many elements are in each of ``bins`` equal intervals, and the ``bins + 1`` edges.

    Args:
        x: ``(n,)``.
        bins: The number of intervals.
        range: The first and the last edge; the smallest and the largest element when ``None``.

    Raises:
        UnexpectedArgument: If ``bins`` is no integer.
        InvalidArgument: If ``bins`` is negative or ``range`` does not increase.
        ShapeMismatch: If ``x`` has not one axis.

    >>> [x.tolist() for x in histogram([1.0, 2.0, 2.0, 5.0], bins=2)]
    [[3.0, 1.0], [1.0, 3.0, 5.0]]
    """
    if not isinstance(bins, int):
        raise UnexpectedArgument(f"Argument `bins` must be of type `int`. Received: bins={bins}")
    if bins < 0:
        raise InvalidArgument(f"Argument `bins` should be a non-negative integer. Received: bins={bins}")
    if range and (not isinstance(range, tuple) or len(range) != 2 or range[1] < range[0]):
        raise InvalidArgument(
            f"Argument `range` must be a tuple of two increasing numbers. Received: range={range}"
        )
    x = as_array(x)
    if x.ndim > 1:
        raise ShapeMismatch(f"Input tensor must be 1-dimensional. Received: input.shape={x.shape}")
    return jnp.histogram(x, bins=bins, range=range)


@operation
def max(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """Return the largest element over ``axis``, or ``initial`` if that is larger."""
    return jnp.max(as_array(x), axis=axes(axis), keepdims=keepdims, initial=initial)


@operation
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the mean over ``axis``: of integers in float32, of 16-bit floats computed in it.

    >>> mean([[1, 2], [3, 5]], axis=0).tolist()
    [2.0, 3.5]
    """
    x = as_array(x)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    result = jnp.mean(x, axis=axes(axis), keepdims=keepdims, dtype=wide)
    return result.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.inexact) else result


@operation
def min(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """Return the smallest element over ``axis``, or ``initial`` if that is smaller."""
    return jnp.min(as_array(x), axis=axes(axis), keepdims=keepdims, initial=initial)


def _places(x: Any) -> Any:
    size = open_size()
    return tuple(KerasTensor((size,), "int32") for _ in x.shape)


@sized_by_values(_places)
def nonzero(x: Any) -> Any:
    """Return the indices of the elements that are not 0: one array ``(count,)`` for each axis."""
    return jnp.nonzero(as_array(x))


@operation
def prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """Return the product over ``axis``, computed in ``dtype``."""
    return jnp.prod(as_array(x), axis=axes(axis), keepdims=keepdims, dtype=dtype)


@operation
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Any:
    """Return where each value would have to stand to keep the sequence sorted.

    Args:
        sorted_sequence: ``(n,)``, increasing.
        values: Any shape.
        side: Whether equal ones come to the ``"right"`` or ``"left"``.

    Raises:
        ShapeMismatch: If the sequence has not one axis.

    >>> searchsorted([1, 3, 5], [0, 3, 9]).tolist()
    [0, 1, 3]
    """
    sequence = as_array(sorted_sequence)
    if sequence.ndim != 1:
        raise ShapeMismatch(
            "`searchsorted` only supports 1-D sorted sequences. "
            f"Received: sorted_sequence.shape={sequence.shape}",
            hint="Use `vectorized_map` to search several of them.",
        )
    return jnp.searchsorted(sequence, as_array(values), side=side)


@operation
def sort(x: Any, axis: int | None = -1) -> Any:
    """Return the elements in increasing order along ``axis``."""
    return jnp.sort(as_array(x), axis=axis)


@operation
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Return the area under ``y`` along ``axis`` by the trapezoidal rule.

    Args:
        y: Any shape.
        x: Where ``y`` was taken; ``dx`` apart when ``None``.
        dx: The distance between neighbours.
        axis: The axis to go along.
    """
    return jnp.trapezoid(as_array(y), None if x is None else as_array(x), dx=as_array(dx), axis=axis)


def _distinct(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    if size is not None:
        return None
    count = open_size()
    shape = (count,) if axis is None else [count if i == axis % x.ndim else d for i, d in enumerate(x.dims)]
    inverse = x.dims if axis is None else (x.dims[axis],)
    places = ((return_index, (count,)), (return_inverse, inverse), (return_counts, (count,)))
    besides = [KerasTensor(dims, "int32") for wanted, dims in places if wanted]
    return (KerasTensor(shape, x.dtype), *besides) if besides else KerasTensor(shape, x.dtype)


@sized_by_values(_distinct)
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """Return each element once, or each slice along ``axis``.

    Args:
        x: Any shape.
        sorted: Whether in increasing order.
        return_index: Whether to return where each one is first.
        return_inverse: Whether to return which of them each element of ``x`` is.
        return_counts: Whether to return how often each one occurs.
        axis: Whose slices are compared; single elements when ``None``.
        size: How many to return; needed in compiled functions and on symbolic tensors.
        fill_value: What stands where there are fewer than ``size``; the smallest one when ``None``.

    >>> [part.tolist() for part in unique([3, 1, 3], return_counts=True)]
    [[1, 3], [1, 2]]
    """
    wanted = {"return_index": return_index, "return_inverse": return_inverse, "return_counts": return_counts}
    layout = {"axis": axis, "size": size, "fill_value": fill_value, "sorted": sorted}
    return jnp.unique(as_array(x), equal_nan=False, **wanted, **layout)


@operation
def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the variance over ``axis``, of 16-bit floats computed in float32."""
    x = floats(x)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    return jnp.var(x, axis=axes(axis), keepdims=keepdims, dtype=wide).astype(x.dtype)
