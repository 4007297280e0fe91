"""Products of tensors: along the last axis, along named axes, along an axis of each of a batch."""

from __future__ import annotations

import dataclasses
import re
import string
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.numerics.compiling import traced_once


@traced_once("accumulate")
def dense(x: Array, kernel: Array, accumulate: Any = None) -> Array:
    """Return ``x @ kernel``, shapes ``(..., n)``, ``(n, m)`` and ``(..., m)``.

    Args:
        x: The rows.
        kernel: The matrix.
        accumulate: The type to add up in and to return; that of ``x`` when ``None``.

    Example:

    >>> dense(jnp.ones((2, 5, 3)), jnp.ones((3, 4))).shape
    (2, 5, 4)
    """
    # An open size behind the first is that of samples which a step must be able to tell apart.
    if x.ndim <= 2 or any(not isinstance(size, int) for size in x.shape[1:-1]):
        return jnp.matmul(x, kernel, preferred_element_type=accumulate)
    # One product of two matrices: XLA's batched product is nearly twice as slow on CPU.
    y = (
        jnp.matmul(jnp.reshape(x, (-1, x.shape[-1])), kernel, preferred_element_type=accumulate)
        if _size(x)
        else jnp.zeros((0, kernel.shape[1]), accumulate or x.dtype)
    )
    return jnp.reshape(y, (*x.shape[:-1], kernel.shape[1]))


@traced_once()
def add_bias(x: Array, bias: Array) -> Array:
    """Return ``x + bias``, shapes ``(..., n)`` and ``(n,)`` or what broadcasts to ``x``.

    Example:

    >>> add_bias(jnp.zeros((2, 3)), jnp.array([1.0, 2.0, 3.0]))[0].tolist()
    [1.0, 2.0, 3.0]
    """
    if bias.ndim != 1 or bias.dtype != x.dtype:
        return x + bias
    # As `+` does it, the gradient has three operations more in each layer, for XLA to take out again.
    return jax.lax.add(x, jax.lax.broadcast_in_dim(bias, x.shape, (x.ndim - 1,)))


def _size(x: Array) -> bool:
    """Whether ``x`` has any value; an open size counts as one that is not 0."""
    return all(not isinstance(d, int) or d > 0 for d in x.shape)


def batch_dot(x: Array, y: Array, axes: tuple[int, int]) -> Array:
    """Return the products over one axis of each, example by example.

    Args:
        x: ``(batch, ...)``.
        y: ``(batch, ...)``.
        axes: The axis of ``x`` and that of ``y``, both from 1, of the same size.

    Returns:
        ``(batch, *the other axes of x, *the other axes of y)``, at least ``(batch, 1)``.

    Example:

    >>> batch_dot(jnp.ones((2, 3, 5)), jnp.ones((2, 5, 7)), (2, 1)).shape
    (2, 3, 7)
    """
    result = jax.lax.dot_general(x, y, (((axes[0],), (axes[1],)), ((0,), (0,))))
    return result[:, None] if result.ndim == 1 else result


@dataclasses.dataclass(frozen=True)
class EinsumPlan:
    """What an equation ``inputs,kernel->outputs`` says about shapes.

    Args:
        kernel_shape: The sizes of the kernel.
        bias_shape: The sizes of the bias, broadcast to the output; ``None`` without bias.
        output_shape: The sizes of the output.
        input_axes: The axes of the kernel that are summed over.
        output_axes: The axes of the kernel that are in the output.
        letters: One letter per axis of inputs, kernel and outputs, those of the ellipsis too.
    """

    kernel_shape: tuple[int, ...]
    bias_shape: tuple[int, ...] | None
    output_shape: tuple[int | None, ...]
    input_axes: tuple[int, ...]
    output_axes: tuple[int, ...]
    letters: tuple[str, str, str]


_FORMS = (
    re.compile(r"(?P<x>[a-zA-Z]+),(?P<kernel>[a-zA-Z]+)->(?P<y>[a-zA-Z]+)"),
    re.compile(r"(?P<left>\.\.\.)(?P<x>[a-zA-Z]+),(?P<kernel>[a-zA-Z]+)->\.\.\.(?P<y>[a-zA-Z]+)"),
    re.compile(r"(?P<x>[a-zA-Z]{2,})\.\.\.,(?P<kernel>[a-zA-Z]+)->(?P<y>[a-zA-Z]+)\.\.\."),
)


def plan_einsum(
    equation: str,
    input_shape: Sequence[int | None],
    output_shape: Sequence[int | None],
    bias_axes: str | None,
) -> EinsumPlan:
    """Work out the shapes of ``jnp.einsum(equation, inputs, kernel)``.

    Args:
        equation: ``"ab,bc->ac"``, or with an ellipsis at the left or the right of inputs and outputs.
        input_shape: Sizes with the batch; ``None`` is open.
        output_shape: Sizes without the batch and without what the ellipsis stands for.
        bias_axes: The letters of the output along which the bias differs.

    Raises:
        InvalidArgument: If the equation has another form or a letter has no size.
        ShapeMismatch: If the same letter has two sizes.

    Example:

    >>> plan = plan_einsum("abc,cde->abde", (None, 10, 64), (10, 8, 4), "de")
    >>> plan.kernel_shape, plan.bias_shape, plan.output_shape
    ((64, 8, 4), (8, 4), (None, 10, 8, 4))
    """
    match = next((m for form in _FORMS if (m := form.fullmatch(equation.replace(" ", "")))), None)
    if match is None:
        raise InvalidArgument(
            f"Invalid einsum equation '{equation}'. Equations must be in the form "
            "[X],[Y]->[Z], ...[X],[Y]->...[Z], or [X]...,[Y]->[Z]...."
        )
    x, kernel, y = match["x"], match["kernel"], match["y"]
    elided = len(input_shape) - len(x)
    if elided < 0 or (elided > 0 and "..." not in equation):
        raise ShapeMismatch(
            f"The equation '{equation}' is for inputs with {len(x)} axes. Received: input_shape={tuple(input_shape)}"
        )
    left = elided if "left" in match.groupdict() else 0
    before = tuple(input_shape[: max(left, 1)])
    after = tuple(input_shape[len(input_shape) - (elided - left) :])
    full = (*before, *output_shape, *after)
    in_sizes = dict(zip(x, input_shape[left:], strict=False))
    out_sizes = dict(zip(y, full[left:], strict=False))
    _check_letters(equation, x, kernel, y, in_sizes, out_sizes)
    return EinsumPlan(
        kernel_shape=tuple(_closed(letter, in_sizes, out_sizes) for letter in kernel),
        bias_shape=None if bias_axes is None else _bias_shape(bias_axes, y, out_sizes, elided - left),
        output_shape=full,
        input_axes=tuple(i for i, letter in enumerate(kernel) if letter not in out_sizes),
        output_axes=tuple(i for i, letter in enumerate(kernel) if letter in out_sizes),
        letters=_all_letters(x, kernel, y, elided, "left" in match.groupdict()),
    )


def _all_letters(x: str, kernel: str, y: str, elided: int, left: bool) -> tuple[str, str, str]:
    """Return the letters of inputs, kernel and outputs, with spare ones in the place of the ellipsis."""
    spare = "".join([letter for letter in string.ascii_letters if letter not in x + kernel + y][:elided])
    return (spare + x, kernel, spare + y) if left else (x + spare, kernel, y + spare)


def align(array: Array, axes: str, target: str) -> Array:
    """Return ``array`` with its axes in another order: of size 1 where new, left out where of size 1.

    Args:
        array: The array.
        axes: A letter per axis of it.
        target: The letters of the result. What is in ``axes`` only must be of size 1.

    Example:

    >>> align(jnp.ones((1, 3, 5)), "abc", "cdb").shape
    (5, 1, 3)
    """
    kept = "".join(letter for letter in axes if letter in target)
    array = jnp.squeeze(array, tuple(i for i, letter in enumerate(axes) if letter not in target))
    array = jnp.transpose(array, [kept.index(letter) for letter in target if letter in kept])
    return jnp.expand_dims(array, [i for i, letter in enumerate(target) if letter not in kept])


def _check_letters(
    equation: str, x: str, kernel: str, y: str, in_sizes: dict[str, Any], out_sizes: dict[str, Any]
) -> None:
    if len(out_sizes) < len(set(y)):
        raise ShapeMismatch(
            f"`output_shape` has too few sizes for the outputs '{y}' of equation '{equation}'."
        )
    for letter in x:
        size, wanted = in_sizes[letter], out_sizes.get(letter)
        if wanted is not None and size is not None and wanted != size:
            raise ShapeMismatch(
                f"Input shape and output shape do not match at shared dimension '{letter}' of equation "
                f"'{equation}'. Input shape is {size}, and output shape is {wanted}."
            )
    for letter in y:
        if letter not in x and letter not in kernel:
            raise InvalidArgument(
                f"Dimension '{letter}' was specified in the output '{y}' but has no corresponding dim in the input "
                f"spec '{x}' or weight spec '{kernel}'."
            )
    for letter in kernel:
        if letter not in out_sizes and letter not in in_sizes:
            raise InvalidArgument(
                f"Weight dimension '{letter}' did not have a match in either the input spec '{x}' or the output spec "
                f"'{y}'. For this layer, the weight must be fully specified."
            )


def _closed(letter: str, in_sizes: dict[str, Any], out_sizes: dict[str, Any]) -> int:
    """Return the size of an axis of the kernel: an open one of the output may be known from the input."""
    size = out_sizes.get(letter)
    size = in_sizes.get(letter) if size is None else size
    if size is None:
        raise ShapeMismatch(f"The kernel needs a defined size for dimension '{letter}', which is open.")
    return size


def _bias_shape(bias_axes: str, y: str, sizes: dict[str, Any], elided_after: int) -> tuple[int, ...]:
    for letter in bias_axes:
        if letter not in y:
            raise InvalidArgument(
                f"Bias dimension '{letter}' was requested, but is not part of the output spec '{y}'."
            )
    first = min(y.index(letter) for letter in bias_axes)
    own = tuple(sizes[letter] if letter in bias_axes else 1 for letter in y[first:])
    return own + (1,) * elided_after
