"""Steps as compiled programs: one at a time, or many in one dispatch.

A dispatch costs about as much as a step of a small model, so many steps go to the device as one program, a loop
over stacked batches (``python -m benchmarks steady``: 1.5 times the speed for a small MLP, several times for a
tiny one). Gradients of convolutions are slow inside a loop on CPUs (XLA takes another kernel for them there), so
the steps of a convolutional model go one at a time, or written out one after the other where a user asks for many.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core import tree
from kerasmagic.training.compilations import Compilations
from kerasmagic.training.data.arrays import standardize, to_device
from kerasmagic.training.data.table import Table
from kerasmagic.training.pace import MOST_STEPS, Pace
from kerasmagic.training.state import TrainState

# `(fixed, changing, batch) -> (result, changing)`: only what changes is given away to the device.
PureStep = Callable[[Any, Any, Any], tuple[Any, Any]]
Run = Callable[[TrainState], tuple[Any, TrainState]]

LARGEST_UNROLLED = 8
# Batches that are stacked take memory beside the data.
LARGEST_STACK = 32 * 2**20


class Parts(NamedTuple):
    """How a step sees a ``TrainState``: what it reads, what it changes, and the way back."""

    fixed: Callable[[TrainState], Any]
    changing: Callable[[TrainState], Any]
    join: Callable[[TrainState, Any], TrainState]


class Dispatch(NamedTuple):
    """A program to run next: how many steps it takes, and the samples in the last of them.

    Where results are collected, the program returns them stacked: those of the first ``steps`` count.
    ``held`` are the arrays it takes its batches from, and ``batch`` gives that of one of the steps, from 0 on.
    """

    run: Run
    steps: int
    samples: int
    held: Any
    batch: Callable[[int], Any]
    stacked: bool = False


class Execution:
    """A step of training, evaluation or prediction, ready to run.

    Args:
        step: The pure step.
        parts: What it takes of the state.
        compiled: Whether to compile it.
        donate: Whether the old state's memory may be used for the new one.
        steps: How many steps the user wants to go to the device at a time.
        collect: Whether the result of each step counts, and not only that of the last.
        compilations: Where to note what is compiled.
    """

    def __init__(
        self,
        step: PureStep,
        parts: Parts,
        *,
        compiled: bool = True,
        donate: bool = True,
        steps: int = 1,
        collect: bool = False,
        compilations: Compilations | None = None,
    ):
        self.steps = steps
        self._parts = parts
        self._compiled = compiled
        self._donate = (1,) if donate else ()
        self._collect = collect
        self._pure = step
        self._step = jax.jit(step, donate_argnums=self._donate) if compiled else step
        self._compilations = Compilations("step") if compilations is None else compilations
        # Whether a loop over steps is a good program; not known before there is a batch.
        self.loops_well: bool | None = None
        self._result_bytes = 0

    def pace(self, watched: bool) -> Pace:
        """Return how many steps are to go to the device at a time.

        Args:
            watched: Whether someone looks at every execution, who is then to see ``steps`` in each.
        """
        return Pace(self.steps if watched or self.steps > 1 or not self._compiled else None)

    def __call__(self, state: TrainState, batch: Any) -> tuple[Any, TrainState]:
        """Run one step on one batch ``x``, ``(x, y)`` or ``(x, y, sample_weight)`` of arrays."""
        return self._run(self._step, state, batch)

    def _run(
        self, program: Callable[..., Any], state: TrainState, batch: Any, *place: Any
    ) -> tuple[Any, TrainState]:
        if not self._compiled:
            watched: Any = contextlib.nullcontext()
        else:
            # What varies between two calls is the batch: the state's shapes hold for the execution's life.
            watched = self._compilations.watch(program, batch, stacked=bool(place))
        with watched:
            result, changing = program(self._parts.fixed(state), self._parts.changing(state), batch, *place)
        return result, self._parts.join(state, changing)

    def dispatches(
        self,
        batches: Iterator[Any],
        pace: Pace,
        state: Callable[[], TrainState],
        table: Table | None = None,
        steps: int | None = None,
        room: Callable[[int], int] = lambda steps: steps,
    ) -> Iterator[list[Dispatch]]:
        """Yield the programs that take a step on each batch, in groups that belong together.

        A group of a ``pace`` that is fixed takes that many steps, but for the last; any other is one program.

        Args:
            batches: Batches of arrays, or the rows of ``table`` they consist of.
            pace: How many steps to take at a time; asked before each group.
            state: Gives the state before the first step; only its shapes matter.
            table: Where to find the rows.
            steps: How many batches there will be, if known.
            room: From how many steps a group would take to how many it may; asked before each group.
        """
        # Batches from elsewhere would have to be copied to be stacked: that is for the user to ask for.
        alone = not self._compiled or pace.fixed == 1 or (pace.fixed is None and table is None)
        first = None if alone else next(batches, None)
        if first is not None:
            batches = itertools.chain([first], batches)
            if self.loops_well is None:
                spec = to_device(first) if table is None else table.spec(len(first))
                self.loops_well = self._judge(state(), spec)
        if pace.fixed is not None:
            while group := [_cut(batch, table) for batch in itertools.islice(batches, room(pace.fixed))]:
                yield list(self._group(group, pace.fixed))
        elif table is not None and first is not None and self.loops_well:
            usual = len(first)
            largest = max(1, table.sample_bytes * usual, self._result_bytes if self._collect else 0)
            size = max(1, min(MOST_STEPS, LARGEST_STACK // largest, _power_of_two(steps)))
            while group := list(itertools.islice(batches, size)):
                usual = max(usual, *map(len, group))
                for alike in _runs_of_one_shape(group):
                    if len(alike[0]) == usual:
                        yield from self._taken(alike, size, lambda: room(pace.steps), table)
                    else:
                        yield from ([self._single(table.take(rows))] for rows in alike)
        else:
            for batch in batches:
                yield [self._single(_cut(batch, table))]

    def _judge(self, state: TrainState, batch: Any) -> bool:
        """Whether a loop over steps costs no more than the steps, judged by what a step computes."""
        parts = self._parts
        program, (result, _) = jax.make_jaxpr(self._step, return_shape=True)(
            parts.fixed(state), parts.changing(state), batch
        )
        self._result_bytes = sum(one.size * one.dtype.itemsize for one in jax.tree.leaves(result))
        return jax.default_backend() != "cpu" or not _has_convolution(program.jaxpr)

    def _single(self, batch: Any) -> Dispatch:
        batch = to_device(batch)
        return Dispatch(
            lambda state: self._run(self._step, state, batch), 1, _samples(batch), batch, lambda _: batch
        )

    def _taken(
        self, group: list[Any], size: int, steps: Callable[[], int], table: Table
    ) -> Iterator[list[Dispatch]]:
        """Yield loops over batches of one size, which are taken from the table all at once."""
        # Fewer steps than usual run in the same program: it is told how many.
        stacked = table.take(np.stack([*group, *[group[-1]] * (size - len(group))]))
        start = 0
        while start < len(group):
            count = min(steps(), len(group) - start)
            yield [self._looped(stacked, start, count, len(group[0]))]
            start += count

    def _looped(self, stacked: Any, start: int, count: int, samples: int) -> Dispatch:
        place = np.int32(start), np.int32(start + count)
        return Dispatch(
            lambda state: self._run(self._looping, state, stacked, *place),
            count,
            samples,
            stacked,
            lambda step: jax.tree.map(lambda leaf: leaf[start + step], stacked),
            self._collect,
        )

    def _group(self, batches: list[Any], steps: int) -> Iterator[Dispatch]:
        if steps == 1 or not self._compiled:
            yield from map(self._single, batches)
            return
        for alike in _runs_of_one_shape(batches):
            yield from self._fused(alike, steps)

    def _fused(self, batches: list[Any], steps: int) -> Iterator[Dispatch]:
        """Yield programs for batches of one shape, as few as do not cost more than the steps alone."""
        if self.loops_well:
            stacked = to_device(_stack([*batches, *[batches[-1]] * (steps - len(batches))]))
            yield self._looped(stacked, 0, len(batches), _samples(batches[0]))
            return
        whole = min(LARGEST_UNROLLED, steps)
        for start in range(0, len(batches), whole):
            some = batches[start : start + whole]
            if len(some) < whole:
                yield from map(self._single, some)
            else:
                yield self._written_out(to_device(some))

    def _written_out(self, batches: list[Any]) -> Dispatch:
        return Dispatch(
            lambda state: self._run(self._unrolling, state, batches),
            len(batches),
            _samples(batches[0]),
            batches,
            batches.__getitem__,
            self._collect,
        )

    @functools.cached_property
    def _looping(self) -> Callable[..., Any]:
        step, collect = self._step, self._collect

        def many(fixed: Any, changing: Any, stacked: Any, start: Any, stop: Any) -> tuple[Any, Any]:
            def batch(index: Any) -> Any:
                return jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, index, keepdims=False), stacked)

            def body(index: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
                results, changing = carry
                result, changing = step(fixed, changing, batch(index))
                if not collect:
                    return result, changing
                put = functools.partial(jax.lax.dynamic_update_index_in_dim, index=index - start, axis=0)
                return jax.tree.map(put, results, result), changing

            size = (len(jax.tree.leaves(stacked)[0]),) if collect else ()
            spec, _ = jax.eval_shape(step, fixed, changing, batch(0))
            nothing = jax.tree.map(lambda one: jnp.zeros(size + one.shape, one.dtype), spec)
            return jax.lax.fori_loop(start, stop, body, (nothing, changing))

        return jax.jit(many, donate_argnums=self._donate)

    @functools.cached_property
    def _unrolling(self) -> Callable[..., Any]:
        step, collect = self._pure, self._collect

        def many(fixed: Any, changing: Any, batches: list[Any]) -> tuple[Any, Any]:
            results = []
            for batch in batches:
                result, changing = step(fixed, changing, batch)
                results.append(result)
            return (jax.tree.map(lambda *r: jnp.stack(r), *results) if collect else results[-1]), changing

        return jax.jit(many, donate_argnums=self._donate)


def _power_of_two(steps: int | None) -> int:
    # Few sizes, so that data of another length mostly runs in the program that is there.
    return MOST_STEPS if steps is None else 1 << max(steps - 1, 0).bit_length()


def _cut(batch: Any, table: Table | None) -> Any:
    return tree.map_structure(standardize, batch) if table is None else table.take(batch)


def _samples(batch: Any) -> int:
    return next((len(leaf) for leaf in jax.tree.leaves(batch) if leaf.ndim), 1)


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
