"""For each operation of a traced program: which of its operands it sums over samples.

An array has its samples along the axes whose size is open, the samples that count first. An operation keeps it
so, sums over samples (then those that do not count have to be left out), or mixes them up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from kerasmagic.foundation.amount import evaluate, symbols
from kerasmagic.foundation.errors import KerasMagicError


class Mixes(KerasMagicError, NotImplementedError):
    """An operation that may mix samples that count with others."""


class Sum(NamedTuple):
    """An axis of an operand that an operation sums over, and what changes no such sum."""

    operand: int
    axis: int
    nothing: Any


# What the open size is called.
NAME = "batch"
# Operations with programs inside.
BODIES = frozenset(
    {
        *("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "scan", "while"),
        *("cond", "checkpoint", "remat2"),
    }
)
# Each number of the result is made of the numbers at its own place.
_ELEMENTWISE = frozenset(
    {
        *("abs", "acos", "acosh", "add", "add_any", "and", "asin", "asinh", "atan", "atan2", "atanh"),
        *(
            "bessel_i0e",
            "bessel_i1e",
            "bitcast_convert_type",
            "cbrt",
            "ceil",
            "clamp",
            "clz",
            "complex",
            "conj",
        ),
        *("convert_element_type", "copy", "copy_p", "cos", "cosh", "digamma", "div", "eq", "erf", "erf_inv"),
        *(
            "erfc",
            "exp",
            "exp2",
            "expm1",
            "floor",
            "ge",
            "gt",
            "igamma",
            "igamma_grad_a",
            "igammac",
            "imag",
            "integer_pow",
        ),
        *(
            "is_finite",
            "le",
            "lgamma",
            "log",
            "log1p",
            "log2",
            "logistic",
            "lt",
            "max",
            "min",
            "mul",
            "mulhi",
            "ne",
            "neg",
        ),
        *(
            "nextafter",
            "not",
            "one_minus_square",
            "optimization_barrier",
            "or",
            "polygamma",
            "polynomial",
            "population_count",
            "pow",
            "real",
        ),
        *("reduce_precision", "regularized_incomplete_beta", "rem", "round", "rsqrt", "select_n"),
        *(
            "shift_left",
            "shift_right_arithmetic",
            "shift_right_logical",
            "sign",
            "sin",
            "sinh",
            "sqrt",
            "square",
        ),
        *("stop_gradient", "sub", "tan", "tanh", "threefry2x32", "xor", "zeta"),
    }
)
# Axes are moved, added or numbered, never folded.
_LAYOUT = frozenset({"broadcast_in_dim", "expand_dims", "iota", "squeeze", "stack", "transpose"})


def is_open(size: Any) -> bool:
    """Say whether a size depends on the number of samples.

    >>> from kerasmagic.core.shapes import dimension
    >>> is_open(3 * dimension("batch")), is_open(3), is_open("batch")
    (True, False, False)
    """
    return (
        not isinstance(size, (int, str, bytes, np.ndarray)) and hasattr(size, "scope") and bool(symbols(size))
    )


def per_sample(size: Any) -> int:
    """Return how much of a size, a number or a multiple of the samples, belongs to one of them.

    >>> per_sample("6*batch"), per_sample(5)
    (6, 5)
    """
    return evaluate(size, {NAME: 1})


def sums_of(equation: Any) -> Sequence[Sum]:
    """Return where an equation sums over samples.

    Raises:
        Mixes: If it may mix those that count with others, or is not known.
    """
    variables = [*equation.invars, *equation.outvars]
    sizes = {size for variable in variables for size in _shape(variable) if is_open(size)}
    if equation.primitive.name == "dim_as_value":
        sizes.add(equation.params["dim"])
    if not sizes:
        return ()
    for size in sizes:
        # Only of whole multiples is it true that the first ones belong to the samples that count.
        if symbols(size) != [NAME] or any(evaluate(size, {NAME: n}) != n * per_sample(size) for n in (7, 12)):
            raise Mixes(f"A size of {size}.")
    name = equation.primitive.name
    if name in _ELEMENTWISE or name in _LAYOUT or name == "dim_as_value":
        return ()
    if name not in _RULES:
        raise Mixes(f"The operation {name!r}.")
    return _RULES[name](equation)


def _shape(variable: Any) -> tuple[Any, ...]:
    return getattr(variable.aval, "shape", ())


def _open_axes(variable: Any) -> list[int]:
    return [axis for axis, size in enumerate(_shape(variable)) if is_open(size)]


def _require(kept: bool, equation: Any) -> None:
    if not kept:
        raise Mixes(f"The operation {equation.primitive.name!r} along the samples.")


def _least(dtype: Any) -> Any:
    if dtype == jnp.bool_:
        return False
    return -jnp.inf if jnp.issubdtype(dtype, jnp.inexact) else jnp.iinfo(dtype).min


def _greatest(dtype: Any) -> Any:
    if dtype == jnp.bool_:
        return True
    return jnp.inf if jnp.issubdtype(dtype, jnp.inexact) else jnp.iinfo(dtype).max


def _reduction(nothing: Callable[[Any], Any]) -> Callable[[Any], list[Sum]]:
    def rule(equation: Any) -> list[Sum]:
        (operand,), axes = equation.invars, equation.params["axes"]
        return [Sum(0, axis, nothing(operand.aval.dtype)) for axis in _open_axes(operand) if axis in axes]

    return rule


def _cumulative(nothing: Callable[[Any], Any]) -> Callable[[Any], list[Sum]]:
    def rule(equation: Any) -> list[Sum]:
        (operand,), axis = equation.invars, equation.params["axis"]
        # From the front, the samples that count come before the others.
        backwards = axis in _open_axes(operand) and equation.params["reverse"]
        return [Sum(0, axis, nothing(operand.aval.dtype))] if backwards else []

    return rule


def _reshape(equation: Any) -> list[Sum]:
    operand, result = equation.invars[0], equation.outvars[0]
    before, after = _open_axes(operand), _open_axes(result)
    # What comes behind may be folded into the samples, or out of them; what comes before must stay before.
    kept = len(before) == len(after) == 1 and equation.params.get("dimensions") is None
    kept = kept and math.prod(_shape(operand)[: before[0]]) == math.prod(_shape(result)[: after[0]])
    _require(kept, equation)
    return []


def _dot(equation: Any) -> list[Sum]:
    (contracted, _), operands = equation.params["dimension_numbers"], equation.invars
    # One operand without the others' numbers is enough: these are copies, as finite as what they are copies of.
    numbers = [math.prod(map(per_sample, _shape(x))) for x in operands]
    smaller = int(numbers[1] < numbers[0])
    axes = contracted[smaller]
    return [Sum(smaller, axis, 0) for axis in _open_axes(operands[smaller]) if axis in axes]


def _convolution(equation: Any) -> list[Sum]:
    params, (image, kernel) = equation.params, equation.invars
    numbers = params["dimension_numbers"]
    samples, features = numbers.lhs_spec[:2]
    results, summed = numbers.rhs_spec[:2]
    of_image, of_kernel = {*_open_axes(image)}, {*_open_axes(kernel)}
    # The samples must be an axis that is in no groups: in a gradient of a kernel they are the features.
    fine = of_image <= {samples, features} and of_kernel <= {results, summed}
    fine = fine and not (samples in of_image and params["batch_group_count"] > 1)
    fine = fine and not (features in of_image and params["feature_group_count"] > 1)
    fine = fine and not (
        results in of_kernel and max(params["batch_group_count"], params["feature_group_count"]) > 1
    )
    _require(fine, equation)
    return [Sum(1, summed, 0)] if features in of_image else []


def _along(parameter: str, results: bool = True) -> Callable[[Any], list[Sum]]:
    """The rule of operations that mix along the axes of a parameter, of operands and ``results``, and there alone."""

    def rule(equation: Any) -> list[Sum]:
        axes = equation.params[parameter]
        axes = axes if isinstance(axes, tuple) else (axes,)
        variables = [*equation.invars, *(equation.outvars if results else ())]
        _require(not any(axis in axes for v in variables for axis in _open_axes(v)), equation)
        return []

    return rule


def _pad(equation: Any) -> list[Sum]:
    config = equation.params["padding_config"]
    _require(all(config[axis] == (0, 0, 0) for axis in _open_axes(equation.invars[0])), equation)
    return []


def _slice(equation: Any) -> list[Sum]:
    params, operand = equation.params, equation.invars[0]
    for axis in _open_axes(operand):
        # One from the front on, as many as there are samples: all of them.
        whole = _shape(operand)[axis] == _shape(equation.outvars[0])[axis]
        _require(whole and params["start_indices"][axis] == 0, equation)
    return []


def _dynamic_slice(equation: Any) -> list[Sum]:
    return _all_of(equation, equation.outvars[0])


def _dynamic_update(equation: Any) -> list[Sum]:
    return _all_of(equation, equation.invars[1])


def _all_of(equation: Any, part: Any) -> list[Sum]:
    """The rule of operations on a part of an array: it must have all the samples."""
    operand = equation.invars[0]
    _require(all(_shape(operand)[axis] == _shape(part)[axis] for axis in _open_axes(operand)), equation)
    return []


def _gather(equation: Any) -> list[Sum]:
    operand, numbers = equation.invars[0], equation.params["dimension_numbers"]
    sizes = equation.params["slice_sizes"]
    for axis in _open_axes(operand):
        paired = axis in numbers.operand_batching_dims
        _require(paired or sizes[axis] == _shape(operand)[axis], equation)
    return []


def _scatter(nothing: Callable[[Any], Any] | None) -> Callable[[Any], list[Sum]]:
    def rule(equation: Any) -> list[Sum]:
        (operand, _, updates), numbers = equation.invars, equation.params["dimension_numbers"]
        paired = numbers.operand_batching_dims
        gone = {*numbers.inserted_window_dims} - {*paired}
        _require(not gone & {*_open_axes(operand)}, equation)
        window = numbers.update_window_dims
        others = [axis for axis in range(len(_shape(updates))) if axis not in window]
        summed = [
            axis
            for place, axis in enumerate(others)
            if axis in _open_axes(updates) and place not in numbers.scatter_indices_batching_dims
        ]
        _require(not summed or nothing is not None, equation)
        return [Sum(2, axis, nothing(updates.aval.dtype)) for axis in summed] if nothing else []

    return rule


def _window(equation: Any) -> list[Sum]:
    params = equation.params
    for axis in {axis for variable in equation.invars for axis in _open_axes(variable)}:
        alone = params["window_dimensions"][axis] == params["window_strides"][axis] == 1
        _require(alone and tuple(params["padding"][axis]) == (0, 0), equation)
    return []


def _matrices(equation: Any) -> list[Sum]:
    """The rule of operations on the last two axes."""
    variables = [*equation.invars, *equation.outvars]
    _require(all(axis < len(_shape(v)) - 2 for v in variables for axis in _open_axes(v)), equation)
    return []


def _last(equation: Any) -> list[Sum]:
    operand = equation.invars[0]
    _require(len(_shape(operand)) - 1 not in _open_axes(operand), equation)
    return []


def _random(equation: Any) -> list[Sum]:
    # Each key draws a number for each place, counted in order: those of the first samples are what a smaller batch
    # gets.
    keys, result = equation.invars[0], equation.outvars[0]
    of_key = len(_shape(keys))
    fine = all(axis >= of_key for axis in _open_axes(result))
    _require(
        fine and all(math.prod(_shape(result)[of_key:axis]) == 1 for axis in _open_axes(result)), equation
    )
    return []


def _zero(dtype: Any) -> Any:
    return 0


def _one(dtype: Any) -> Any:
    return 1


_RULES: dict[str, Callable[[Any], Sequence[Sum]]] = {
    "argmax": _reduction(_least),
    "argmin": _reduction(_greatest),
    "cholesky": _matrices,
    "concatenate": _along("dimension"),
    "conv_general_dilated": _convolution,
    "cumlogsumexp": _cumulative(_least),
    "cummax": _cumulative(_least),
    "cummin": _cumulative(_greatest),
    "cumprod": _cumulative(_one),
    "cumsum": _cumulative(_zero),
    "dot_general": _dot,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update,
    "eigh": _matrices,
    "gather": _gather,
    "pad": _pad,
    "random_bits": _random,
    "reduce_and": _reduction(_greatest),
    "reduce_max": _reduction(_least),
    "reduce_min": _reduction(_greatest),
    "reduce_or": _reduction(_zero),
    "reduce_prod": _reduction(_one),
    "reduce_sum": _reduction(_zero),
    "reduce_window_max": _window,
    "reduce_window_min": _window,
    "reduce_window_sum": _window,
    "reduce_xor": _reduction(_zero),
    "reshape": _reshape,
    "rev": _along("dimensions"),
    "scatter": _scatter(None),
    "select_and_scatter_add": _window,
    "slice": _slice,
    "sort": _along("dimension"),
    "split": _along("axis"),
    "svd": _matrices,
    "top_k": _last,
    "triangular_solve": _matrices,
    "unstack": _along("axis", results=False),
}
_SCATTERED = {"add": _zero, "sub": _zero, "max": _least, "min": _greatest, "mul": _one}
_RULES |= {f"scatter-{kind}": _scatter(nothing) for kind, nothing in _SCATTERED.items()}
