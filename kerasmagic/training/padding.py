"""A step for batches of one size of which only the first samples count.

The last batch of an epoch is mostly smaller than the others, and a program for its size takes as long to compile
as that for all the others. So the step is traced once for an open batch size, and run on batches that are filled
up to the usual size: whatever the trace computes from the batch size is told how many samples count, sums over
samples leave out the rest. This is done to the operations of the trace, so it holds for all that a step may
compute: statistics of a normalization, penalties, losses and metrics of a user's own. ``padded`` says no where an
operation that is not known here could mix samples that count with others.

Source: the masking transformation of JAX's early versions (``jax.mask``), for one open dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.core.shapes import dimension
from kerasmagic.core.work import inner_programs, scan_counts
from kerasmagic.foundation.amount import assuming, evaluate
from kerasmagic.training.padding_rules import BODIES, NAME, Sum, is_open, per_sample, sums_of

Step = Callable[[Any, Any, Any], tuple[Any, Any]]


def padded(
    step: Step, fixed: Any, changing: Any, batch: Any, rows_only: bool = False
) -> Callable[..., tuple[Any, Any]] | None:
    """Return ``step`` with one more argument, how many samples count; ``None`` if that cannot be had.

    Args:
        step: A pure function ``(fixed, changing, batch) -> (result, changing)``.
        fixed: What it reads; only shapes and types matter here.
        changing: What it changes, likewise.
        batch: Arrays ``(samples, ...)``, likewise. Samples beyond those that count must be valid ones: copies.
        rows_only: Whether all of the result has to have a row for each sample.

    Returns:
        ``(fixed, changing, batch, count) -> (result, changing)``. In arrays of the result with a row for each
        sample, only the first ``count`` rows mean anything.

    Example:

    >>> def step(fixed, total, x):
    ...     return x.mean(), total + x.shape[0]
    >>> run = padded(step, None, 0, jnp.zeros(4))
    >>> mean, total = run(None, 10, jnp.array([1.0, 3.0, 3.0, 3.0]), 2)
    >>> float(mean), int(total)
    (2.0, 12)
    >>> padded(lambda _, total, x: (jnp.sort(x)[0], total), None, 0, jnp.zeros(4)) is None
    True
    """
    spec = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((dimension(NAME), *leaf.shape[1:]), leaf.dtype), batch
    )
    try:
        with assuming(**{NAME: len(jax.tree.leaves(batch)[0])}):
            program, shapes = jax.make_jaxpr(step, return_shape=True)(fixed, changing, spec)
        _check(program.jaxpr)
    except Exception:
        # Code that branches on the number of samples has to see that number.
        return None
    results, structure = jax.tree.flatten(shapes)
    in_rows = [leaf.shape[:1] == (dimension(NAME),) for leaf in results]
    rests = [leaf.shape[first:] for leaf, first in zip(results, in_rows, strict=True)]
    of_result = len(jax.tree.leaves(shapes[0]))
    if any(is_open(size) for rest in rests for size in rest) or any(in_rows[of_result:]):
        return None
    if rows_only and not all(in_rows[:of_result]):
        return None

    def run(fixed: Any, changing: Any, batch: Any, count: Any) -> tuple[Any, Any]:
        size = len(jax.tree.leaves(batch)[0])
        values = _Run(size, count).program(program, jax.tree.leaves((fixed, changing, batch)))
        return jax.tree.unflatten(structure, values)

    return run


def _check(jaxpr: Any) -> None:
    """Raise ``Mixes`` if an operation may mix samples."""
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name in BODIES:
            for inner in inner_programs(equation):
                _check(inner)
        else:
            sums_of(equation)


class _Run:
    """Runs a traced program on batches of ``size`` samples, of which ``count`` count."""

    def __init__(self, size: int, count: Any):
        self.size = size
        self.count = jnp.asarray(count, "int32")

    def program(self, program: Any, values: Sequence[Any]) -> list[Any]:
        """Return the outputs of a closed program."""
        return self.jaxpr(program.jaxpr, program.consts, values)

    def jaxpr(self, jaxpr: Any, consts: Sequence[Any], values: Sequence[Any]) -> list[Any]:
        known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *values], strict=True))
        # A gradient is often summed over the samples more than once.
        cut: dict[Any, Any] = {}

        def read(variable: Any) -> Any:
            return variable.val if hasattr(variable, "val") else known[variable]

        for equation in jaxpr.eqns:
            operands = [read(variable) for variable in equation.invars]
            if equation.primitive.name in BODIES:
                results = self.body(equation, operands)
            elif equation.primitive.name == "dim_as_value":
                results = [self.number(equation)]
            else:
                for one in sums_of(equation):
                    key = equation.invars[one.operand], one.axis, one.nothing
                    if key not in cut:
                        cut[key] = self.without_rest(operands[one.operand], key[0].aval, one)
                    operands[one.operand] = cut[key]
                results = self.plain(equation, operands)
            known.update(zip(equation.outvars, results, strict=True))
        return [read(variable) for variable in jaxpr.outvars]

    def number(self, equation: Any) -> Any:
        return (per_sample(equation.params["dim"]) * self.count).astype(equation.outvars[0].aval.dtype)

    def without_rest(self, value: Any, aval: Any, one: Sum) -> Any:
        """Return ``value`` with what changes no sum in place of the samples that do not count."""
        counted = per_sample(aval.shape[one.axis]) * self.count
        places = jax.lax.broadcasted_iota("int32", value.shape, one.axis)
        return jnp.where(places < counted, value, jnp.asarray(one.nothing, value.dtype))

    def plain(self, equation: Any, operands: list[Any]) -> Sequence[Any]:
        params = equation.primitive.get_bind_params(equation.params)
        params = {name: self.closed(value) for name, value in params.items()}
        results = equation.primitive.bind(*operands, **params)
        return results if equation.primitive.multiple_results else [results]

    def closed(self, param: Any) -> Any:
        """Return a parameter of an operation with the number of samples in place of the open size."""
        if is_open(param):
            return evaluate(param, {NAME: self.size})
        return tuple(map(self.closed, param)) if type(param) is tuple else param

    def body(self, equation: Any, operands: list[Any]) -> Sequence[Any]:
        params, name = equation.params, equation.primitive.name
        if name == "scan":
            return self.scan(params, operands)
        if name == "while":
            return self.loop(params, operands)
        if name == "cond":
            branches = [lambda *x, branch=branch: self.program(branch, x) for branch in params["branches"]]
            return jax.lax.switch(operands[0], branches, *operands[1:])
        inner = params["jaxpr"] if "jaxpr" in params else params["call_jaxpr"]
        if name in ("checkpoint", "remat2"):
            # The backward pass has been traced already: what is computed twice there must stay so.
            options = {"prevent_cse": params["prevent_cse"], "policy": params["policy"]}
            return jax.checkpoint(lambda *x: self.jaxpr(inner, (), x), **options)(*operands)
        return self.program(inner, operands)

    def scan(self, params: Any, operands: list[Any]) -> Sequence[Any]:
        consts, carries = scan_counts(params)
        fixed, first, xs = (
            operands[:consts],
            operands[consts : consts + carries],
            operands[consts + carries :],
        )

        def body(carry: Any, x: Any) -> tuple[Any, Any]:
            results = self.program(params["jaxpr"], [*fixed, *carry, *x])
            return results[:carries], results[carries:]

        options = {name: params[name] for name in ("length", "reverse", "unroll")}
        carry, ys = jax.lax.scan(body, first, xs, **options)
        return [*carry, *ys]

    def loop(self, params: Any, operands: list[Any]) -> Sequence[Any]:
        first, second = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
        of_cond, of_body = operands[:first], operands[first:second]
        return jax.lax.while_loop(
            lambda carry: self.program(params["cond_jaxpr"], [*of_cond, *carry])[0],
            lambda carry: self.program(params["body_jaxpr"], [*of_body, *carry]),
            operands[second:],
        )
