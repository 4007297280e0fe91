"""A step as compiled programs: alone, as a loop over batches, or written out for several.

What kind pays, and how it is compiled, is judged by the step's trace for each form of a batch: a model's products are
small for one sample and large for many.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core.work import inner_programs, products
from kerasmagic.foundation.collector import no_collection
from kerasmagic.numerics import compiling
from kerasmagic.training.compilations import form_of
from kerasmagic.training.pace import steps_to_pay


class Judged(NamedTuple):
    """What the trace of a step says for batches of one ``form``.

    Attributes:
        form: That form, see ``form_of``.
        loops_well: Whether a loop over steps costs no more than the steps.
        large_products: See ``compiling.program``.
        result_bytes: The memory of a result.
        steps_to_pay: From how many steps on a loop saves what it takes longer to compile.
    """

    form: Any
    loops_well: bool
    large_products: bool
    result_bytes: int
    steps_to_pay: int


class CompiledStep:
    """The programs of a step.

    Args:
        step: ``(fixed, changing, batch) -> (result, changing)``.
        donate: The arguments whose memory may be used for the results.
        collect: Whether the result of each step counts, and not only that of the last.
        told: Whether ``step`` has one more argument, how many samples of the batch count.

    Example:

    >>> step = CompiledStep(lambda fixed, total, batch: (batch.sum(), total + batch.sum()), (), False)
    >>> judged = step.judged(None, 1.0, jnp.ones(3))
    >>> result, total = step.alone(judged)(None, 1.0, jnp.ones(3))
    >>> float(result), float(total), judged.loops_well, judged.result_bytes
    (3.0, 4.0, True, 4)
    """

    def __init__(
        self, step: Callable[..., tuple[Any, Any]], donate: tuple[int, ...], collect: bool, told: bool = False
    ):
        self._traced = jax.jit(step, donate_argnums=donate)
        self._donate = donate
        self._collect = collect
        self._told = told
        self._judged: dict[Any, Judged] = {}
        self._compiled: dict[tuple[str, bool], Callable[..., Any]] = {}

    def judged(self, fixed: Any, changing: Any, batch: Any) -> Judged:
        """Return what the step's trace says for such arguments, of which only shapes and types matter."""
        form = form_of(batch)
        if form not in self._judged:
            self._judged[form] = self._judge(form, fixed, changing, batch)
        return self._judged[form]

    @no_collection()
    def _judge(self, form: Any, fixed: Any, changing: Any, batch: Any) -> Judged:
        # What is traced here need not be traced again for the programs.
        count = (np.int32(0),) if self._told else ()
        program, (result, _) = jax.make_jaxpr(self._traced, return_shape=True)(fixed, changing, batch, *count)
        return Judged(
            form,
            jax.default_backend() != "cpu" or not _has_convolution(program.jaxpr),
            _has_large_products(program.jaxpr),
            sum(one.size * one.dtype.itemsize for one in jax.tree.leaves(result)),
            steps_to_pay(_operations(program.jaxpr), len(jax.tree.leaves(changing))),
        )

    def alone(self, judged: Judged) -> Callable[..., Any]:
        """Return the program of one step, with the arguments of ``step``."""
        return self._program("alone", judged, self._traced)

    def loop(self, judged: Judged) -> Callable[..., Any]:
        """Return ``(fixed, changing, held, start, stop)``, where ``held.at(index)`` gives what a step takes."""
        return self._program("loop", judged, self._many)

    def has_loop(self, judged: Judged) -> bool:
        """Whether there is such a program already."""
        return ("loop", judged.large_products) in self._compiled

    def written_out(self, judged: Judged) -> Callable[..., Any]:
        """Return ``(fixed, changing, batches)``: a step for each of a list of batches."""
        return self._program("written out", judged, self._each)

    def _program(self, kind: str, judged: Judged, function: Callable[..., Any]) -> Callable[..., Any]:
        key = kind, judged.large_products
        if key not in self._compiled:
            self._compiled[key] = compiling.program(function, self._donate, judged.large_products)
        return self._compiled[key]

    def _many(self, fixed: Any, changing: Any, held: Any, start: Any, stop: Any) -> tuple[Any, Any]:
        def body(index: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            results, changing = carry
            result, changing = self._traced(fixed, changing, *held.at(index))
            if not self._collect:
                return result, changing
            put = functools.partial(jax.lax.dynamic_update_index_in_dim, index=index - start, axis=0)
            return jax.tree.map(put, results, result), changing

        size = (held.steps,) if self._collect else ()
        spec, _ = jax.eval_shape(self._traced, fixed, changing, *held.at(0))
        nothing = jax.tree.map(lambda one: jnp.zeros(size + one.shape, one.dtype), spec)
        return jax.lax.fori_loop(start, stop, body, (nothing, changing))

    def _each(self, fixed: Any, changing: Any, batches: list[Any]) -> tuple[Any, Any]:
        results = []
        for batch in batches:
            result, changing = self._traced(fixed, changing, batch)
            results.append(result)
        return (jax.tree.map(lambda *r: jnp.stack(r), *results) if self._collect else results[-1]), changing


def _operations(jaxpr: Any) -> int:
    """Return how many operations a program has, those of the functions that it calls among them."""
    return sum(1 + sum(map(_operations, inner_programs(equation))) for equation in jaxpr.eqns)


def _has_convolution(jaxpr: Any) -> bool:
    """Whether a convolution is anywhere in a program, also inside the functions that it calls."""
    return any(
        equation.primitive.name == "conv_general_dilated"
        or any(map(_has_convolution, inner_programs(equation)))
        for equation in jaxpr.eqns
    )


def _has_large_products(jaxpr: Any) -> bool:
    """Whether most of the multiply-adds in products are in those that are large on their own."""
    sizes = [(size, size * times) for size, times in products(jaxpr)]
    large = sum(total for size, total in sizes if size >= compiling.LARGE_PRODUCT)
    return 2 * large > sum(total for _, total in sizes)
