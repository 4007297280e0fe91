"""Operations that move elements about: shapes, order, pieces, indices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from kerasmagic.core.symbolic import lift, operation
from kerasmagic.foundation.errors import InvalidArgument, UnexpectedArgument
from kerasmagic.numerics import rearranging
from kerasmagic.ops.forms import as_array, as_arrays, axes, joined, pieces, unary

__all__ = ["append", "array_split", "broadcast_to", "concatenate", "diag", "diagflat", "diagonal", "dsplit"]
__all__ += ["dstack", "expand_dims", "flip", "fliplr", "flipud", "get_item", "hsplit", "hstack", "moveaxis"]
__all__ += ["ndim", "pad", "ravel", "rearrange", "repeat", "reshape", "roll", "rot90", "size", "split"]
__all__ += ["squeeze", "stack", "swapaxes", "take", "take_along_axis", "tile", "trace", "transpose", "tril"]
__all__ += ["triu", "unravel_index", "vectorize", "vsplit", "vstack"]

fliplr = unary("fliplr", jnp.fliplr, "``x`` with the second axis reversed")
flipud = unary("flipud", jnp.flipud, "``x`` with the first axis reversed")
ravel = unary("ravel", jnp.ravel, "all elements in one axis")

dsplit = pieces("dsplit", jnp.dsplit, "the third axis")
hsplit = pieces("hsplit", jnp.hsplit, "the second axis, of a vector the only one")
vsplit = pieces("vsplit", jnp.vsplit, "the first axis")
dstack = joined("dstack", jnp.dstack, "the third axis")
hstack = joined("hstack", jnp.hstack, "the second axis, of vectors the only one")
vstack = joined("vstack", jnp.vstack, "the first axis, vectors as rows")


@operation
def append(x1: Any, x2: Any, axis: int | None = None) -> Any:
    """Return ``x2`` after ``x1`` along ``axis``; both flattened when it is ``None``."""
    return jnp.append(as_array(x1), as_array(x2), axis=axis)


@operation
def array_split(x: Any, indices_or_sections: int, axis: int = 0) -> Any:
    """Return that many pieces, the first ones longer by 1 where the axis does not divide.

    Raises:
        UnexpectedArgument: If ``indices_or_sections`` or ``axis`` is no integer.
        InvalidArgument: If ``indices_or_sections`` is not positive.

    >>> [piece.tolist() for piece in array_split([1, 2, 3], 2)]
    [[1, 2], [3]]
    """
    for name, value in (("indices_or_sections", indices_or_sections), ("axis", axis)):
        if not isinstance(value, int):
            raise UnexpectedArgument(f"Argument `{name}` must be of type `int`. Received: {name}={value}")
    if indices_or_sections <= 0:
        raise InvalidArgument(
            "Argument `indices_or_sections` must be a positive integer. "
            f"Received: indices_or_sections={indices_or_sections}"
        )
    return jnp.array_split(as_array(x), indices_or_sections, axis=axis)


@operation
def broadcast_to(x: Any, shape: Any) -> Any:
    """Return ``x`` repeated along axes of size 1 and new first axes, so that it has ``shape``."""
    return jnp.broadcast_to(as_array(x), shape)


@operation
def concatenate(xs: Sequence[Any], axis: int = 0) -> Any:
    """Return the arrays one after the other along an axis they have.

    >>> concatenate([jnp.ones((2, 1)), jnp.zeros((2, 3))], axis=1).shape
    (2, 4)
    """
    return jnp.concatenate(as_arrays(xs), axis=axis)


@operation
def diag(x: Any, k: int = 0) -> Any:
    """Return the ``k``-th diagonal of a matrix, or of a vector the matrix that has it there."""
    return jnp.diag(as_array(x), k)


@operation
def diagflat(x: Any, k: int = 0) -> Any:
    """Return the matrix with all elements of ``x`` on its ``k``-th diagonal."""
    return jnp.diagflat(as_array(x), k)


@operation
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the diagonals of the planes of two axes, in a new last axis.

    Raises:
        InvalidArgument: If the axes are the same.
    """
    x = as_array(x)
    if x.ndim and axis1 % x.ndim == axis2 % x.ndim:
        raise InvalidArgument(
            f"`axis1` and `axis2` cannot be the same. Received: axis1={axis1}, axis2={axis2}"
        )
    return jnp.diagonal(x, offset, axis1, axis2)


@operation
def expand_dims(x: Any, axis: Any) -> Any:
    """Return ``x`` with new axes of size 1 at the places ``axis`` of the result."""
    return jnp.expand_dims(as_array(x), axes(axis))


@operation
def flip(x: Any, axis: Any = None) -> Any:
    """Return ``x`` with ``axis`` reversed; all axes when ``None``."""
    return jnp.flip(as_array(x), axis=axes(axis))


@operation
def get_item(x: Any, key: Any) -> Any:
    """Return ``x[key]``; a list of parts stands for their tuple, as a file holds it."""
    return as_array(x)[tuple(key) if isinstance(key, list) else key]


@operation
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Return ``x`` with the axes ``source`` at the places ``destination``."""
    return jnp.moveaxis(as_array(x), source, destination)


def ndim(x: Any) -> int:
    """Return the number of axes."""
    return len(x.shape) if hasattr(x, "shape") else np.ndim(x)


@operation
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """Return ``x`` with more elements before and after each axis.

    Args:
        x: Any shape.
        pad_width: ``((before, after), ...)`` for each axis; one pair or number stands for all.
        mode: ``"constant"``, ``"reflect"``, ``"symmetric"`` and what else ``jax.numpy.pad`` knows.
        constant_values: What the elements are in mode ``"constant"``; 0 when ``None``.

    Raises:
        InvalidArgument: If ``constant_values`` comes with another mode.

    >>> pad([1, 2], (1, 2), constant_values=7).tolist()
    [7, 1, 2, 7, 7]
    """
    if constant_values is None:
        return jnp.pad(as_array(x), pad_width, mode=mode)
    if mode != "constant":
        raise InvalidArgument(
            "Argument `constant_values` can only be provided when `mode == 'constant'`. "
            f"Received: mode={mode}"
        )
    return jnp.pad(as_array(x), pad_width, mode=mode, constant_values=constant_values)


@operation
def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Any:
    """Return an array with its axes in another order, split and merged as a pattern says.

    Args:
        tensor: Any shape.
        pattern: Names of the axes before and after, merged ones in parentheses.
        **axes_lengths: Sizes of names that merged axes do not tell.

    Raises:
        ShapeMismatch: If the pattern does not fit the array.

    >>> rearrange(jnp.ones((2, 6, 5)), "b (h w) c -> b c h w", h=2).shape
    (2, 5, 2, 3)
    """
    return rearranging.rearrange(as_array(tensor), pattern, axes_lengths)


@operation
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Return each element, or slice along ``axis``, ``repeats`` times in a row."""
    return jnp.repeat(as_array(x), repeats if isinstance(repeats, int) else np.asarray(repeats), axis=axis)


@operation
def reshape(x: Any, newshape: Any) -> Any:
    """Return the same elements in another shape; one size may be -1, which is found from the others.

    Raises:
        InvalidArgument: If a size is below -1, or more than one is -1.

    >>> reshape(jnp.ones((2, 6)), (4, -1)).shape
    (4, 3)
    """
    sizes = [newshape] if isinstance(newshape, int) else list(newshape)
    unknown = [size for size in sizes if isinstance(size, int | np.integer) and size < 0]
    if len(unknown) > 1 or any(size != -1 for size in unknown):
        raise InvalidArgument(
            "Each dimension in `newshape` must be a non-negative integer, but for at most one -1. "
            f"Received: newshape={newshape}"
        )
    return jnp.reshape(as_array(x), sizes)


@operation
def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """Return ``x`` with elements moved on by ``shift``; the last ones become the first."""
    return jnp.roll(as_array(x), shift, axes(axis))


@operation
def rot90(array: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """Return planes turned by ``k`` quarters from the first of ``axes`` to the second.

    Raises:
        InvalidArgument: If there are not two axes, or both are the same.
    """
    x = as_array(array)
    if x.ndim < 2 or len(axes) != 2 or axes[0] == axes[1]:
        raise InvalidArgument(
            "Input array must have at least 2 dimensions, and `axes` must be two different ones. "
            f"Received: array.shape={x.shape}, axes={axes}"
        )
    return jnp.rot90(x, k, (axes[0], axes[1]))


@operation
def size(x: Any) -> Any:
    """Return the number of elements."""
    return jnp.size(as_array(x))


@operation
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """Return the list of pieces along ``axis``: so many equal ones, or cut at those indices.

    >>> [piece.tolist() for piece in split([1, 2, 3, 4], [1, 3])]
    [[1], [2, 3], [4]]
    """
    return jnp.split(as_array(x), indices_or_sections, axis=axis)


@operation
def squeeze(x: Any, axis: Any = None) -> Any:
    """Return ``x`` without axes of size 1; without all of them when ``axis`` is ``None``."""
    return jnp.squeeze(as_array(x), axes(axis))


@operation
def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """Return arrays of one shape side by side along a new axis."""
    return jnp.stack(as_arrays(x), axis=axis)


@operation
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Return ``x`` with two axes changed over."""
    return jnp.swapaxes(as_array(x), axis1, axis2)


@operation
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Return the elements, or slices along ``axis``, at ``indices``; NaN or the last where there is none.

    >>> take([[1, 2, 3], [4, 5, 6]], [2, 0], axis=1).tolist()
    [[3, 1], [6, 4]]
    """
    return jnp.take(as_array(x), as_array(indices), axis=axis)


@operation
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Return the elements along ``axis`` that ``indices`` names at each place of the other axes."""
    return jnp.take_along_axis(as_array(x), as_array(indices), axis=axis)


@operation
def tile(x: Any, repeats: Any) -> Any:
    """Return the whole of ``x`` side by side, ``repeats`` times along each axis."""
    return jnp.tile(as_array(x), repeats)


@operation
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the sum of the diagonal of the planes of two axes."""
    return jnp.trace(as_array(x), offset, axis1, axis2)


@operation
def transpose(x: Any, axes: Any = None) -> Any:
    """Return ``x`` with its axes in the order ``axes``; reversed when ``None``."""
    return jnp.transpose(as_array(x), axes)


@operation
def tril(x: Any, k: int = 0) -> Any:
    """Return ``x`` with zeros right of the ``k``-th diagonal of its last two axes."""
    return jnp.tril(as_array(x), k)


@operation
def triu(x: Any, k: int = 0) -> Any:
    """Return ``x`` with zeros left of the ``k``-th diagonal of its last two axes."""
    return jnp.triu(as_array(x), k)


@operation
def unravel_index(indices: Any, shape: Any) -> Any:
    """Return the place in an array of ``shape`` of each index into its flattened elements."""
    return jnp.unravel_index(as_array(indices), shape)


def vectorize(pyfunc: Callable[..., Any], *, excluded: Any = None, signature: str | None = None) -> Any:
    """Return ``pyfunc`` as a function over all leading axes.

    Args:
        pyfunc: A function of scalars, or of the axes that ``signature`` names.
        excluded: Arguments that are passed as they are.
        signature: For example ``"(n),(n)->()"``.

    Raises:
        InvalidArgument: If ``pyfunc`` can't be called.

    >>> vectorize(lambda a, b: a @ b, signature="(n),(n)->()")(jnp.ones((4, 3)), jnp.ones(3)).tolist()
    [3.0, 3.0, 3.0, 3.0]
    """
    if not callable(pyfunc):
        raise InvalidArgument(f"Expected argument `pyfunc` to be a callable. Received: pyfunc={pyfunc}")
    return lift(jnp.vectorize(pyfunc, excluded=excluded or set(), signature=signature))
