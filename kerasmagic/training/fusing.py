"""Steps as compiled programs: one at a time, or many in one dispatch.

A dispatch costs about as much as a step of a small model. Many steps in one program are a loop over
stacked batches. Gradients of convolutions are slow inside a loop on CPUs, so there the steps of a
convolutional model are written out one after the other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core import tree
from kerasmagic.training.data.arrays import standardize, to_device
from kerasmagic.training.state import TrainState

# `(fixed, changing, batch) -> (logs, changing)`: only what changes is given away to the device.
PureStep = Callable[[Any, Any, Any], tuple[Any, Any]]
Run = Callable[[TrainState], tuple[Any, TrainState]]

LARGEST_UNROLLED = 8


class Parts(NamedTuple):
    """How a step sees a ``TrainState``: what it reads, what it changes, and the way back."""

    fixed: Callable[[TrainState], Any]
    changing: Callable[[TrainState], Any]
    join: Callable[[TrainState, Any], TrainState]


class Execution:
    """A step of training or evaluation, ready to run.

    Args:
        step: The pure step.
        parts: What it takes of the state.
        compiled: Whether to compile it.
        donate: Whether the old state's memory may be used for the new one.
        steps: How many steps go to the device at a time.
        auto: Whether that number may be chosen by measuring.
    """

    def __init__(
        self,
        step: PureStep,
        parts: Parts,
        *,
        compiled: bool = True,
        donate: bool = True,
        steps: int = 1,
        auto: bool = False,
    ):
        self.steps = steps
        self.auto = auto and compiled
        self._parts = parts
        self._compiled = compiled
        self._donate = (1,) if donate else ()
        self._pure = step
        self._step = jax.jit(step, donate_argnums=self._donate) if compiled else step
        self.compile_time = 0.0
        # Whether a loop over steps is a good program; not known before there is a batch.
        self.loops_well: bool | None = None

    def __call__(self, state: TrainState, batch: Any) -> tuple[Any, TrainState]:
        """Run one step on one batch ``x``, ``(x, y)`` or ``(x, y, sample_weight)`` of arrays."""
        return self._run(self._step, state, batch)

    def _run(self, program: Callable[..., Any], state: TrainState, *batches: Any) -> tuple[Any, TrainState]:
        logs, changing = program(self._parts.fixed(state), self._parts.changing(state), *batches)
        return logs, self._parts.join(state, changing)

    def runs(self, group: list[Any], state: TrainState) -> Iterator[tuple[Run, int]]:
        """Yield programs that together take a step on each batch of ``group``, and how many steps each takes.

        Args:
            group: Batches.
            state: The state before the first of them; only its shapes matter.
        """
        batches = [tree.map_structure(standardize, batch) for batch in group]
        if not self._compiled or (self.steps == 1 and not self.auto):
            yield from self._each(batches)
            return
        if self.loops_well is None:
            self.loops_well = self._judge(state, batches[0])
        for alike in _runs_of_one_shape(batches):
            fused = self._looped if self.loops_well else self._written_out
            yield from fused(alike) if self.steps > 1 else self._each(alike)

    def _judge(self, state: TrainState, batch: Any) -> bool:
        """Whether a loop over steps costs no more than the steps, judged by what a step computes."""
        parts = self._parts
        program = jax.make_jaxpr(self._step)(parts.fixed(state), parts.changing(state), to_device(batch))
        return jax.default_backend() != "cpu" or not _has_convolution(program.jaxpr)

    def _each(self, batches: list[Any]) -> Iterator[tuple[Run, int]]:
        for batch in batches:
            yield functools.partial(self._one, to_device(batch)), 1

    def _looped(self, batches: list[Any]) -> Iterator[tuple[Run, int]]:
        # Fewer steps than usual run in the same program: it is told how many.
        count, size = len(batches), max(self.steps, len(batches))
        stacked = to_device(_stack([*batches, *[batches[-1]] * (size - count)]))
        yield functools.partial(self._many, stacked, np.int32(count)), count

    def _written_out(self, batches: list[Any]) -> Iterator[tuple[Run, int]]:
        whole = min(LARGEST_UNROLLED, self.steps)
        for start in range(0, len(batches), whole):
            some = batches[start : start + whole]
            if len(some) < whole:
                yield from self._each(some)
            else:
                yield functools.partial(self._unrolled, to_device(some)), whole

    def _one(self, batch: Any, state: TrainState) -> tuple[Any, TrainState]:
        return self._run(self._step, state, batch)

    def _many(self, stacked: Any, count: Any, state: TrainState) -> tuple[Any, TrainState]:
        return self._run(self._looping, state, stacked, count)

    def _unrolled(self, batches: list[Any], state: TrainState) -> tuple[Any, TrainState]:
        return self._run(self._unrolling, state, *batches)

    @functools.cached_property
    def _looping(self) -> Callable[..., Any]:
        step = self._step

        def many(fixed: Any, changing: Any, stacked: Any, count: Any) -> tuple[Any, Any]:
            def batch(index: Any) -> Any:
                return jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, index, keepdims=False), stacked)

            def body(index: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
                return step(fixed, carry[1], batch(index))

            logs, _ = jax.eval_shape(step, fixed, changing, batch(0))
            nothing = jax.tree.map(lambda spec: jnp.zeros(spec.shape, spec.dtype), logs)
            return jax.lax.fori_loop(0, count, body, (nothing, changing))

        return jax.jit(many, donate_argnums=self._donate)

    @functools.cached_property
    def _unrolling(self) -> Callable[..., Any]:
        step = self._pure

        def many(fixed: Any, changing: Any, *batches: Any) -> tuple[Any, Any]:
            logs: Any = {}
            for batch in batches:
                logs, changing = step(fixed, changing, batch)
            return logs, changing

        return jax.jit(many, donate_argnums=self._donate)


def _runs_of_one_shape(batches: list[Any]) -> Iterator[list[Any]]:
    run: list[Any] = []
    for batch in batches:
        if run and _form(batch) != _form(run[-1]):
            yield run
            run = []
        run.append(batch)
    yield run


def _form(batch: Any) -> Any:
    return jax.tree.structure(batch), [(a.shape, a.dtype) for a in jax.tree.leaves(batch)]


def _stack(batches: list[Any]) -> Any:
    def stack(*leaves: Any) -> Any:
        if leaves[0] is None:
            return None
        return jnp.stack(leaves) if isinstance(leaves[0], jax.Array) else np.stack(leaves)

    return tree.map_structure(stack, *batches)


def _has_convolution(jaxpr: Any) -> bool:
    """Whether a convolution is anywhere in a program, also inside the functions that it calls."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            return True
        for parameter in jax.tree.leaves(equation.params, is_leaf=lambda p: hasattr(p, "eqns")):
            inner = getattr(parameter, "jaxpr", parameter)
            if hasattr(inner, "eqns") and _has_convolution(inner):
                return True
    return False
