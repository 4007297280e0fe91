"""What a traced call costs: multiply-adds, and the memory that the backward pass needs kept.

Both are read off the trace that shape inference makes anyway, as sums over open dimensions. Memory follows
what XLA does with a training step: cheap elementwise results are computed again rather than kept, operands
of products and results of expensive functions are kept.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax

from kerasmagic.foundation.amount import ZERO, Amount

# Another view of the same memory.
_VIEWS = frozenset({"reshape", "squeeze", "expand_dims", "copy", "copy_p", "optimization_barrier"})
# The backward pass needs nothing of these: they are linear.
_LINEAR = frozenset(
    {
        *(
            "add",
            "sub",
            "neg",
            "add_any",
            "transpose",
            "broadcast_in_dim",
            "convert_element_type",
            "pad",
            "rev",
        ),
        *("reduce_sum", "slice", "dynamic_slice", "dynamic_update_slice", "concatenate", "gather", "real"),
        *(
            "imag",
            "complex",
            "cumsum",
            "reduce_precision",
            "stop_gradient",
            "split",
            "scatter-add",
            "scatter",
        ),
        "reduce_window_sum",
    }
)
_REDUCTIONS = frozenset(
    {
        *("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "argmax"),
        *("argmin", "reduce_window", "reduce_window_max", "reduce_window_min", "reduce_window_sum"),
        *("select_and_scatter_add", "select_and_gather_add", "cumsum", "cumprod", "cummax", "cummin"),
        *("cumlogsumexp", "sort", "top_k", "fft", "cholesky", "triangular_solve", "scatter-add", "scatter"),
    }
)
# Their result is what their derivative is made of, and too expensive to compute twice.
_KEEP_OUTPUT = frozenset({"exp", "exp2", "tanh", "logistic", "sqrt", "rsqrt", "cbrt", "expm1", "tan"})
# Expensive too, but the derivative is made of the operand.
_KEEP_INPUT = frozenset(
    {
        *("log", "log1p", "erf", "erfc", "erf_inv", "sin", "cos", "pow", "asin", "acos", "atan", "atan2"),
        *("sinh", "cosh", "asinh", "acosh", "atanh", "lgamma", "digamma"),
    }
)
# The function of numerics.convolution_groups.
_GROUPED = "grouped_convolution"
_CHECKPOINTS = frozenset({"checkpoint", "remat", "remat2"})

NOTHING, VALUE, ARRAY = 0, 1, 2
_LARGE = 16


@dataclasses.dataclass(frozen=True)
class Work:
    """What one call of a function of arrays costs.

    Attributes:
        multiply_adds: Multiplications with an addition, in matrix products and convolutions.
        kept: Bytes made inside the call that the backward pass needs, without inputs and outputs.
        inputs: For each input whether the backward pass needs nothing of it, its values, which may be
            computed again, or the array itself.
        outputs: For each output whether the backward pass of the call itself needs it kept.
        sources: For each output the inputs it can cheaply be computed from again; ``None`` if it cannot.
    """

    multiply_adds: Amount = ZERO
    kept: Amount = ZERO
    inputs: tuple[int, ...] = ()
    outputs: tuple[bool, ...] = ()
    sources: tuple[tuple[int, ...] | None, ...] = ()


def work_of(jaxpr: Any, active: Sequence[bool]) -> Work:
    """Return what running ``jaxpr`` once costs.

    Args:
        jaxpr: The program, ``jax.extend.core.Jaxpr``.
        active: For each of its inputs whether it depends on the data; weights do not.

    Example:

    >>> import jax, jax.numpy as jnp
    >>> trace = jax.make_jaxpr(lambda x, w: jnp.tanh(x @ w))(jnp.ones((2, 3)), jnp.ones((3, 4)))
    >>> work = work_of(trace.jaxpr, [True, False])
    >>> work.multiply_adds.text(), work.inputs, work.outputs
    ('24', (2, 0), (True,))
    """
    return _Walk().result(jaxpr, active)


def call_work(program: Any, inputs: int) -> Work | None:
    """Return what a traced call costs, or ``None`` where that cannot be told.

    Args:
        program: The trace; ``None`` if there is none. Constants come first among its inputs.
        inputs: How many of its inputs, the last ones, are data.
    """
    if program is None:
        return None
    try:
        return work_of(program, [False] * (len(program.invars) - inputs) + [True] * inputs)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        # A form that another JAX gives its programs must not keep a layer from being called.
        return None


@dataclasses.dataclass(eq=False)
class _Value:
    """An array that depends on the data; ``sources`` are what it can cheaply be computed from."""

    aval: Any
    sources: tuple[_Value, ...] | None = None
    index: int | None = None
    times: tuple[Any, ...] = ()

    def size(self) -> Amount:
        return _bytes(self.aval).times(*self.times)


class _Walk:
    """Goes through a program once, and collects what is multiplied and what has to stay."""

    def __init__(self) -> None:
        self.multiply_adds = ZERO
        self.extra = ZERO
        self.values: list[_Value] = []
        self.arrays: list[_Value] = []

    def result(self, jaxpr: Any, active: Sequence[bool]) -> Work:
        pairs = enumerate(zip(jaxpr.invars, active, strict=True))
        given = [_Value(v.aval, None, i) if a else None for i, (v, a) in pairs]
        outputs = self.run(jaxpr, given)
        needs = [NOTHING] * len(given)
        kept: dict[int, _Value] = {}
        for value in self.arrays:
            self._keep(value, needs, kept)
        for value in self.values:
            self._want(value, needs, kept)
        inside = {id(v) for v in outputs if v is not None}
        total = self.extra
        for value in kept.values():
            if id(value) not in inside:
                total = total + value.size()
        return Work(
            self.multiply_adds,
            total,
            tuple(needs),
            tuple(v is not None and id(v) in kept for v in outputs),
            tuple(_inputs_of(v, kept) for v in outputs),
        )

    def _keep(self, value: _Value, needs: list[int], kept: dict[int, _Value]) -> None:
        if value.index is not None:
            needs[value.index] = ARRAY
        elif _is_float(value.aval):
            kept[id(value)] = value

    def _want(self, value: _Value, needs: list[int], kept: dict[int, _Value]) -> None:
        stack, seen = [value], set()
        while stack:
            each = stack.pop()
            if id(each) in kept or id(each) in seen:
                continue
            seen.add(id(each))
            if each.index is not None:
                needs[each.index] = max(needs[each.index], VALUE)
            elif each.sources is None:
                self._keep(each, needs, kept)
            else:
                stack.extend(each.sources)

    def run(self, jaxpr: Any, given: Iterable[_Value | None]) -> list[_Value | None]:
        """Return the values of the outputs; ``None`` for those that do not depend on the data."""
        known: dict[Any, _Value] = {v: x for v, x in zip(jaxpr.invars, given, strict=True) if x is not None}
        for equation in jaxpr.eqns:
            operands = [None if hasattr(v, "val") else known.get(v) for v in equation.invars]
            results = self.equation(equation, operands)
            known.update((v, x) for v, x in zip(equation.outvars, results, strict=True) if x is not None)
        return [None if hasattr(v, "val") else known.get(v) for v in jaxpr.outvars]

    def equation(self, equation: Any, operands: list[_Value | None]) -> Iterable[_Value | None]:
        name = equation.primitive.name
        if name == "dot_general":
            self.multiply_adds += _dot(equation)
        elif name == "conv_general_dilated":
            self.multiply_adds += _convolution(equation)
        elif name == "scan":
            return self._scan(equation, operands)
        elif name == "while":
            return self._while(equation, operands)
        elif name == "cond":
            return self._cond(equation, operands)
        elif name in _CHECKPOINTS:
            return self._checkpoint(equation, operands)
        elif equation.params.get("name") == _GROUPED:
            # Inside it a sum of products or a kernel full of zeros may stand for what is asked for.
            self.multiply_adds += _windows(equation)
            return self._plain("conv_general_dilated", equation, [x for x in operands if x is not None])
        else:
            inner = next(inner_programs(equation), None)
            if inner is not None:
                return self.run(inner, operands)
        live = [x for x in operands if x is not None]
        if not live:
            return [None] * len(equation.outvars)
        return self._plain(name, equation, live)

    def _plain(self, name: str, equation: Any, live: list[_Value]) -> list[_Value | None]:
        if name in _VIEWS:
            return [live[0]] if len(equation.outvars) == 1 else list(live)
        if name in ("dot_general", "conv_general_dilated", "ragged_dot_general", "ragged_dot"):
            self.arrays += live
            return [_Value(v.aval) for v in equation.outvars]
        if name in _KEEP_OUTPUT:
            made = [_Value(v.aval) for v in equation.outvars]
            self.values += made
            return list(made)
        if name not in _LINEAR:
            self.values += live
        heavy = name in _REDUCTIONS or name in _KEEP_INPUT
        return [_Value(v.aval, None if heavy else tuple(live)) for v in equation.outvars]

    def _scan(self, equation: Any, operands: list[_Value | None]) -> list[_Value | None]:
        consts, carries = scan_counts(equation.params)
        length = equation.params["length"]
        body = equation.params["jaxpr"].jaxpr
        anything = any(x is not None for x in operands)
        active = [
            x is not None or (anything and consts <= i < consts + carries) for i, x in enumerate(operands)
        ]
        work = work_of(body, active)
        self.multiply_adds += work.multiply_adds.times(length)
        self.extra += work.kept.times(length)
        for index, (operand, need) in enumerate(zip(operands, work.inputs, strict=True)):
            if need and consts <= index < consts + carries:
                self.extra += _bytes(body.invars[index].aval).times(length)
            elif need and operand is not None:
                self.arrays.append(operand)
        made = [_Value(v.aval) if anything else None for v in equation.outvars]
        for index, keeps in enumerate(work.outputs):
            if keeps and index < carries:
                self.extra += _bytes(body.outvars[index].aval).times(length)
            elif keeps and made[index] is not None:
                self.arrays.append(made[index])  # type: ignore[arg-type]
        return list(made)

    def _while(self, equation: Any, operands: list[_Value | None]) -> list[_Value | None]:
        body = equation.params["body_jaxpr"].jaxpr
        consts = equation.params["cond_nconsts"]
        work = work_of(body, [x is not None for x in operands[consts:]])
        self.multiply_adds += work.multiply_adds.times(_trips(equation))
        live = any(x is not None for x in operands)
        return [_Value(v.aval) if live else None for v in equation.outvars]

    def _cond(self, equation: Any, operands: list[_Value | None]) -> list[_Value | None]:
        """Count the branch that costs most; which one runs is not known."""
        active = [x is not None for x in operands[1:]]
        branches = [work_of(branch.jaxpr, active) for branch in equation.params["branches"]]
        work = max(branches, key=lambda w: w.multiply_adds.at(_LARGE))
        self.multiply_adds += work.multiply_adds
        self.extra += work.kept
        self.arrays += [
            x for x, need in zip(operands[1:], work.inputs, strict=True) if need and x is not None
        ]
        return [_Value(v.aval) if any(active) else None for v in equation.outvars]

    def _checkpoint(self, equation: Any, operands: list[_Value | None]) -> list[_Value | None]:
        work = work_of(equation.params["jaxpr"], [x is not None for x in operands])
        self.multiply_adds += work.multiply_adds
        self.arrays += [x for x, need in zip(operands, work.inputs, strict=True) if need and x is not None]
        live = any(x is not None for x in operands)
        return [_Value(v.aval) if live else None for v in equation.outvars]


def _inputs_of(value: _Value | None, kept: Mapping[int, _Value]) -> tuple[int, ...] | None:
    """Return the inputs that an output is cheaply made of, or ``None`` if it has to be kept to be had."""
    if value is None:
        return ()
    found: set[int] = set()
    # What several values are made of is looked at once: there may be more ways to it than anyone could go.
    seen: set[int] = set()
    stack = [value]
    while stack:
        each = stack.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if each.index is not None:
            found.add(each.index)
        elif id(each) in kept:
            continue
        elif each.sources is None:
            return None
        else:
            stack.extend(each.sources)
    return tuple(sorted(found))


def _dot(equation: Any) -> Amount:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    return Amount.product(*equation.outvars[0].aval.shape, *(left[axis] for axis in contracted))


def _windows(equation: Any) -> Amount:
    """Return outputs times what each of them is made of, for a kernel whose outputs come last."""
    return Amount.product(*equation.outvars[0].aval.shape, *equation.invars[1].aval.shape[:-1])


def _convolution(equation: Any) -> Amount:
    """Return outputs times the kernel's window, or inputs times it where the kernel is spread out."""
    left, kernel = (v.aval.shape for v in equation.invars[:2])
    numbers = equation.params["dimension_numbers"]
    out_features, in_features, *window = (kernel[axis] for axis in numbers.rhs_spec)
    if math.prod(equation.params["lhs_dilation"]) > 1:
        groups = equation.params["feature_group_count"]
        return Amount.product(*left, *window, out_features // groups)
    return Amount.product(*equation.outvars[0].aval.shape, *window, in_features)


def products(jaxpr: Any, times: int = 1) -> Iterator[tuple[int, int]]:
    """Yield the multiply-adds of each product of two matrices in a program, and how often it is done.

    Args:
        jaxpr: The program; its sizes must be known.
        times: How often the program itself runs.

    Example:

    >>> program = jax.make_jaxpr(jax.jit(lambda x: x @ x))(jax.numpy.ones((5, 2, 2)))
    >>> list(products(program.jaxpr))
    [(8, 5)]
    """
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            _, (batch, _) = equation.params["dimension_numbers"]
            matrices = math.prod(equation.invars[0].aval.shape[axis] for axis in batch)
            yield _dot(equation).at(1) // max(matrices, 1), matrices * times
        turns = equation.params["length"] if equation.primitive.name == "scan" else 1
        for inner in inner_programs(equation):
            yield from products(inner, times * turns)


def inner_programs(equation: Any) -> Iterator[Any]:
    """Yield the programs inside an operation of a program: bodies, branches, functions that it calls.

    Example:

    >>> program = jax.make_jaxpr(jax.jit(lambda x: 2 * x))(1.0)
    >>> [inner.eqns[0].primitive.name for equation in program.eqns for inner in inner_programs(equation)]
    ['mul']
    """
    # As `jax.extend.core.jaxprs_in_params`; to import that takes 40 ms.
    for parameter in jax.tree.leaves(equation.params, is_leaf=lambda p: hasattr(p, "eqns")):
        inner = getattr(parameter, "jaxpr", parameter)
        if hasattr(inner, "eqns"):
            yield inner


def scan_counts(params: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many constants and carried values a scan has."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    # Newer versions of JAX keep the structure of constants, carried and scanned values.
    consts, carries, _ = params["ft_in"].unpack()
    return len(consts), len(carries)


def _trips(equation: Any) -> Any:
    """Return how often a loop runs that counts up to a constant, else 1."""
    condition = equation.params["cond_jaxpr"].jaxpr
    if len(condition.eqns) == 1 and condition.eqns[0].primitive.name == "lt":
        bound = condition.eqns[0].invars[1]
        if hasattr(bound, "val"):
            return int(bound.val)
        place = condition.invars.index(bound) if bound in condition.invars else -1
        outer = equation.invars[place] if 0 <= place < equation.params["cond_nconsts"] else None
        if outer is None and place >= 0:
            outer = equation.invars[place + equation.params["body_nconsts"]]
        if hasattr(outer, "val"):
            return int(outer.val)  # type: ignore[union-attr]
    return 1


def _is_float(aval: Any) -> bool:
    return getattr(aval.dtype, "kind", "V") in "fcV" and "key" not in str(aval.dtype)


def _bytes(aval: Any) -> Amount:
    return Amount.product(*aval.shape, _item_size(aval.dtype))


@functools.cache
def _item_size(dtype: Any) -> int:
    return max(int(getattr(dtype, "itemsize", 4)), 1)
