"""Steps as compiled programs: one at a time, or many in one dispatch.

A dispatch costs about as much as a step of a small model, so many steps go to the device as one program, a loop
over stacked batches (``python -m benchmarks steady``: 1.5 times the speed for a small MLP, several times for a
tiny one). Gradients of convolutions are slow inside a loop on CPUs (XLA takes another kernel for them there), so
the steps of a convolutional model go one at a time, or written out one after the other where a user asks for many.
To compile a loop takes longer than the step alone: where there are only few steps to take, they go one at a time too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core import tree
from kerasmagic.foundation.collector import no_collection
from kerasmagic.training.compilations import Compilations, form_of
from kerasmagic.training.compiled_step import CompiledStep, Judged
from kerasmagic.training.data.arrays import standardize, to_device
from kerasmagic.training.data.rows import Rows
from kerasmagic.training.data.table import Picked, Table
from kerasmagic.training.data.upcoming import Upcoming
from kerasmagic.training.pace import MOST_STEPS, Pace
from kerasmagic.training.padding import padded
from kerasmagic.training.state import TrainState, on_device

# `(fixed, changing, batch) -> (result, changing)`: only what changes is given away to the device.
PureStep = Callable[[Any, Any, Any], tuple[Any, Any]]
Run = Callable[[TrainState], tuple[Any, TrainState]]

LARGEST_UNROLLED = 8
# Results that are collected take memory beside the data.
LARGEST_STACK = 32 * 2**20


class Parts(NamedTuple):
    """How a step sees a ``TrainState``: what it reads, what it changes, and the way back."""

    fixed: Callable[[TrainState], Any]
    changing: Callable[[TrainState], Any]
    join: Callable[[TrainState, Any], TrainState]


class Stacked(NamedTuple):
    """Batches of one shape: leaves ``(batches, batch, ...)``."""

    batches: Any

    @property
    def steps(self) -> int:
        """How many batches these are."""
        return len(jax.tree.leaves(self.batches)[0])

    @property
    def form(self) -> Any:
        """The shapes and types of a batch."""
        return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), self.batches)

    def at(self, index: Any) -> tuple[Any, ...]:
        """Return the arrays of a batch."""
        return (jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, index, keepdims=False), self.batches),)


class Dispatch(NamedTuple):
    """A program to run next: how many steps it takes, and the samples in the last of them.

    ``held`` are the arrays it takes its batches from, and ``batch`` gives that of one of the steps, from 0 on.
    Where results are collected, ``rows`` are those that count of a result ``(batch, ...)``, or of all results
    ``(steps, batch, ...)`` of a ``stacked`` program; ``None`` where all do.
    """

    run: Run
    steps: int
    samples: int
    held: Any
    batch: Callable[[int], Any]
    stacked: bool = False
    rows: int | None = None


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
        self._plain = CompiledStep(step, self._donate, collect)
        # By the form of a batch: programs that are told how many samples count, where there can be any.
        self._told: dict[Any, CompiledStep | None] = {}
        self._compilations = Compilations("step") if compilations is None else compilations
        # The steps that went alone so far.
        self._steps_alone = 0

    def pace(self, watched: bool) -> Pace:
        """Return how many steps are to go to the device at a time.

        Args:
            watched: Whether someone looks at every execution, who is then to see ``steps`` in each.
        """
        return Pace(self.steps if watched or self.steps > 1 or not self._compiled else None)

    def __call__(self, state: TrainState, batch: Any) -> tuple[Any, TrainState]:
        """Run one step on one batch ``x``, ``(x, y)`` or ``(x, y, sample_weight)`` of arrays."""
        return self._step(self._plain, state, batch)

    def _step(
        self, programs: CompiledStep, state: TrainState, batch: Any, *count: Any
    ) -> tuple[Any, TrainState]:
        if not self._compiled:
            return self._run(self._pure, on_device(state), batch)
        judged = self._judged(programs, state, batch)
        program = programs.alone(judged)
        with self._compilations.watch(program, judged.form):
            return self._run(program, state, batch, *count)

    def _run(self, program: Callable[..., Any], state: TrainState, *given: Any) -> tuple[Any, TrainState]:
        result, changing = program(self._parts.fixed(state), self._parts.changing(state), *given)
        return result, self._parts.join(state, changing)

    def _judged(self, programs: CompiledStep, state: TrainState, batch: Any) -> Judged:
        return programs.judged(self._parts.fixed(state), self._parts.changing(state), batch)

    def dispatches(
        self,
        batches: Iterable[Any] | Upcoming,
        pace: Pace,
        state: Callable[[], TrainState],
        table: Table | None = None,
        steps: int | None = None,
        room: Callable[[int], int] = lambda steps: steps,
        samples: int | None = None,
        batch_size: int | None = None,
        expected: int | None = None,
    ) -> Iterator[list[Dispatch]]:
        """Yield the programs that take a step on each batch, in groups that belong together.

        A group of a ``pace`` that is fixed takes that many steps, but for the last; any other is one program.

        Args:
            batches: Batches of arrays, or the rows of ``table`` they consist of, best as ``Rows``. Of batches that are
                ``Upcoming``, those count as used that a program was yielded for.
            pace: How many steps to take at a time; asked before each group.
            state: Gives the state before the first step; only its shapes matter.
            table: Where to find the rows.
            steps: How many batches there will be, if known.
            room: From how many steps a group would take to how many it may; asked before each group.
            samples: How many samples there will be, if known; the last batch may be smaller than the others.
            batch_size: How many samples these have, if known before there is one.
            expected: How many steps the whole run takes, if known: few do not pay for a loop.
        """
        upcoming = Upcoming.of(batches)
        first = upcoming.first()
        if first is None:
            return
        cut = _Cut(table, batch_size or _samples(first))
        if self._compiled:
            if samples is not None and samples % cut.usual:
                cut.told = self._padded(state(), cut.spec(first))
            usual = cut.filled(first) if cut.told else first
            cut.judged = self._judged(cut.told or self._plain, state(), cut.spec(usual))
        if pace.fixed is not None:
            groups = self._grouped(upcoming, pace.fixed, room, cut)
        # Batches from elsewhere would have to be copied to be stacked: that is for the user to ask for.
        elif table is not None and cut.judged and self._loops(cut, cut.judged, expected):
            # Results that are collected take memory; of batches only the rows are held, and one size will do.
            room_for = LARGEST_STACK // max(1, cut.judged.result_bytes)
            size = max(1, min(MOST_STEPS, room_for, _power_of_two(steps))) if self._collect else MOST_STEPS
            groups = self._loops_over(upcoming, size, lambda left: room(pace.of(left)), cut)
        else:
            groups = self._alone(upcoming, cut)
        for group in groups:
            upcoming.used(sum(dispatch.steps for dispatch in group))
            yield group

    def _grouped(
        self, upcoming: Upcoming, steps: int, room: Callable[[int], int], cut: _Cut
    ) -> Iterator[list[Dispatch]]:
        while group := upcoming.take(room(steps)):
            yield list(self._group(group, steps, cut))

    def _loops_over(
        self, upcoming: Upcoming, size: int, steps: Callable[[int], int], cut: _Cut
    ) -> Iterator[list[Dispatch]]:
        while group := upcoming.take(size):
            for alike in cut.runs(group):
                yield from self._picked(alike, size, steps, cut)

    def _alone(self, upcoming: Upcoming, cut: _Cut) -> Iterator[list[Dispatch]]:
        while group := upcoming.take(1):
            yield [self._single(group[0], cut)]
            self._steps_alone += 1

    def _loops(self, cut: _Cut, judged: Judged, expected: int | None) -> bool:
        """Whether a loop does well, and is there already or saves as much time as it takes to compile."""
        if not judged.loops_well or expected is None or (cut.told or self._plain).has_loop(judged):
            return judged.loops_well
        return max(expected, self._steps_alone) >= judged.steps_to_pay

    @no_collection()
    def _padded(self, state: TrainState, batch: Any) -> CompiledStep | None:
        """Return programs that are told how many samples count; ``None`` where that cannot be had."""
        form = jax.tree.structure(batch), *((leaf.shape[1:], leaf.dtype) for leaf in jax.tree.leaves(batch))
        if form not in self._told:
            parts = self._parts
            step = padded(self._pure, parts.fixed(state), parts.changing(state), batch, self._collect)
            self._told[form] = step and CompiledStep(step, self._donate, self._collect, told=True)
        return self._told[form]

    def _single(self, batch: Any, cut: _Cut) -> Dispatch:
        samples = _samples(batch)
        if cut.told is None or samples > cut.usual:
            batch = to_device(cut.take(batch))
            return Dispatch(
                lambda state: self._step(self._plain, state, batch), 1, samples, batch, lambda _: batch
            )
        told, count = cut.told, np.int32(samples)
        full = to_device(cut.take(cut.filled(batch)))
        return Dispatch(
            lambda state: self._step(told, state, full, count),
            1,
            samples,
            full,
            lambda _: jax.tree.map(lambda leaf: leaf[:samples], full),
            rows=samples,
        )

    def _picked(
        self, group: Rows, size: int, steps: Callable[[int], int], cut: _Cut
    ) -> Iterator[list[Dispatch]]:
        """Yield loops over batches that the program picks from the table; ``steps`` tells how many of those left."""
        usual, counts = cut.usual, group.counts
        if (counts[0] != usual and cut.told is None) or counts[0] > usual:
            yield from ([self._single(rows, cut)] for rows in group)
            return
        # Fewer steps than usual run in the same program: it is told how many.
        rows = group.filled(usual, size)
        told = None if cut.told is None else np.array([*counts, *[0] * (size - len(group))], "int32")
        held, form, sizes = cut.pick(rows, told), cut.spec(rows[0]), (size, cut.length)
        start = 0
        while start < len(group):
            count = min(steps(len(group) - start), len(group) - start)
            some = counts[start : start + count]
            yield [self._looped(cut.told or self._plain, held, form, sizes, start, some)]
            start += count

    def _looped(
        self,
        programs: CompiledStep,
        held: Picked | Stacked,
        form: Any,
        sizes: tuple[int, ...],
        start: int,
        counts: list[int],
    ) -> Dispatch:
        """Return a loop over some of the batches held, each of ``form``; ``sizes`` as ``watch`` takes them."""
        steps, samples = len(counts), counts[-1]

        def run(state: TrainState) -> tuple[Any, TrainState]:
            judged = self._judged(programs, state, form)
            program = programs.loop(judged)
            with self._compilations.watch(program, judged.form, sizes):
                return self._run(program, state, held, np.int32(start), np.int32(start + steps))

        def batch(step: int) -> Any:
            return jax.tree.map(lambda leaf: leaf[: counts[step]], held.at(start + step)[0])

        return Dispatch(run, steps, samples, held, batch, self._collect, sum(counts))

    def _group(self, batches: Sequence[Any], steps: int, cut: _Cut) -> Iterator[Dispatch]:
        if steps == 1 or not self._compiled:
            yield from (self._single(batch, cut) for batch in batches)
            return
        if cut.table is not None and cut.judged and cut.judged.loops_well:
            for alike in cut.runs(batches):
                for some in self._picked(alike, steps, lambda _: steps, cut):
                    yield from some
            return
        for alike in _runs_of_one_shape([cut.take(batch) for batch in batches]):
            yield from self._fused(alike, steps, cut)

    def _fused(self, batches: list[Any], steps: int, cut: _Cut) -> Iterator[Dispatch]:
        """Yield programs for batches of one shape, as few as do not cost more than the steps alone."""
        samples = _samples(batches[0])
        if cut.judged and cut.judged.loops_well:
            stacked = Stacked(to_device(_stack([*batches, *[batches[-1]] * (steps - len(batches))])))
            counts = [samples] * len(batches)
            yield self._looped(self._plain, stacked, stacked.form, (stacked.steps,), 0, counts)
            return
        whole = min(LARGEST_UNROLLED, steps)
        for start in range(0, len(batches), whole):
            some = batches[start : start + whole]
            if len(some) < whole:
                yield from (self._single(batch, cut.without_table()) for batch in some)
            else:
                yield self._written_out(to_device(some))

    def _written_out(self, batches: list[Any]) -> Dispatch:
        def run(state: TrainState) -> tuple[Any, TrainState]:
            judged = self._judged(self._plain, state, batches[0])
            program = self._plain.written_out(judged)
            with self._compilations.watch(program, judged.form, (len(batches),)):
                return self._run(program, state, batches)

        samples = _samples(batches[0])
        return Dispatch(run, len(batches), samples, batches, batches.__getitem__, self._collect)


@dataclasses.dataclass
class _Cut:
    """How batches come: as arrays or rows of a table, mostly of ``usual`` samples; see ``Execution._padded``."""

    table: Table | None
    usual: int
    told: CompiledStep | None = None
    # What is said of a step on such a batch, where it is compiled.
    judged: Judged | None = None

    def take(self, batch: Any) -> Any:
        return tree.map_structure(standardize, batch) if self.table is None else self.table.take(batch)

    def pick(self, rows: np.ndarray, counts: np.ndarray | None) -> Picked:
        assert self.table is not None, "batches are no rows"
        return self.table.pick(rows, counts)

    def spec(self, batch: Any) -> Any:
        """Return the shapes and types of a batch on the device."""
        if self.table is not None:
            return self.table.spec(len(batch))
        return jax.eval_shape(lambda arrays: arrays, self.take(batch))

    @property
    def length(self) -> int:
        assert self.table is not None, "batches are no rows"
        return self.table.length

    def filled(self, batch: Any) -> Any:
        """Return a batch of the usual size, or rows, with the last sample once more for each that is missing."""
        missing = self.usual - _samples(batch)
        if not missing:
            return batch
        places = np.minimum(np.arange(self.usual), self.usual - missing - 1)
        return tree.map_structure(lambda leaf: None if leaf is None else standardize(leaf)[places], batch)

    def runs(self, batches: Sequence[np.ndarray]) -> Iterator[Rows]:
        """Yield runs of batches that one loop may take: rows of any number where it is told how many count."""
        return Rows.of(batches).runs(lambda count: count > self.usual if self.told else count)

    def without_table(self) -> _Cut:
        return dataclasses.replace(self, table=None)


def _power_of_two(steps: int | None) -> int:
    # Few sizes, so that data of another length mostly runs in the program that is there.
    return MOST_STEPS if steps is None else 1 << max(steps - 1, 0).bit_length()


def _samples(batch: Any) -> int:
    # Rows of a table are asked each step: the way below takes 3 us.
    if isinstance(batch, np.ndarray) and batch.ndim:
        return len(batch)
    return next((len(leaf) for leaf in jax.tree.leaves(batch) if np.ndim(leaf)), 1)


def _runs_of_one_shape(batches: list[Any]) -> Iterator[list[Any]]:
    run: list[Any] = []
    for batch in batches:
        if run and form_of(batch) != form_of(run[-1]):
            yield run
            run = []
        run.append(batch)
    yield run


def _stack(batches: list[Any]) -> Any:
    def stack(*leaves: Any) -> Any:
        if leaves[0] is None:
            return None
        return jnp.stack(leaves) if isinstance(leaves[0], jax.Array) else np.stack(leaves)

    return tree.map_structure(stack, *batches)
