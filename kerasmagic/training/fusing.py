"""Steps as compiled programs: one at a time, or many in one dispatch.

A dispatch costs about as much as a step of a small model, so many steps go to the device as one program, a loop
over stacked batches (``python -m benchmarks steady``: 1.5 times the speed for a small MLP, several times for a
tiny one). Gradients of convolutions are slow inside a loop on CPUs (XLA takes another kernel for them there), so
the steps of a convolutional model go one at a time, or written out one after the other where a user asks for many.
To compile a loop takes longer than the step alone: where there are only few steps to take, they go one at a time too.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core import tree
from kerasmagic.core.work import inner_programs, products
from kerasmagic.foundation.collector import no_collection
from kerasmagic.numerics import compiling
from kerasmagic.training.compilations import Compilations
from kerasmagic.training.data.arrays import standardize, to_device
from kerasmagic.training.data.table import Picked, Table
from kerasmagic.training.pace import MOST_STEPS, Pace, steps_to_pay
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


class Programs:
    """A step compiled: alone, and as a loop over batches.

    Args:
        step: ``(fixed, changing, batch) -> (result, changing)``, maybe with one more argument, how many samples
            of the batch count.
        donate: The arguments whose memory may be used for the results.
        collect: Whether the result of each step counts, and not only that of the last.
    """

    def __init__(self, step: Callable[..., tuple[Any, Any]], donate: tuple[int, ...], collect: bool):
        self.traced = jax.jit(step, donate_argnums=donate)
        self._donate = donate
        self._collect = collect
        # See `compiling.program`; to be said before anything is compiled.
        self.large_products = False

    @functools.cached_property
    def step(self) -> Callable[..., Any]:
        """The step; ``traced`` is the same for use inside another program."""
        return compiling.program(self.traced, self._donate, self.large_products)

    @functools.cached_property
    def loop(self) -> Callable[..., Any]:
        """``(fixed, changing, held, start, stop)``, where ``held.at(index)`` gives what a step takes."""
        step, collect = self.traced, self._collect

        def many(fixed: Any, changing: Any, held: Any, start: Any, stop: Any) -> tuple[Any, Any]:
            def body(index: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
                results, changing = carry
                result, changing = step(fixed, changing, *held.at(index))
                if not collect:
                    return result, changing
                put = functools.partial(jax.lax.dynamic_update_index_in_dim, index=index - start, axis=0)
                return jax.tree.map(put, results, result), changing

            size = (held.steps,) if collect else ()
            spec, _ = jax.eval_shape(step, fixed, changing, *held.at(0))
            nothing = jax.tree.map(lambda one: jnp.zeros(size + one.shape, one.dtype), spec)
            return jax.lax.fori_loop(start, stop, body, (nothing, changing))

        return compiling.program(many, self._donate, self.large_products)


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
        self._plain = Programs(step, self._donate, collect)
        # By the form of a batch: programs that are told how many samples count, where there can be any.
        self._told: dict[Any, Programs | None] = {}
        self._compilations = Compilations("step") if compilations is None else compilations
        # Whether a loop over steps is a good program; not known before there is a batch.
        self.loops_well: bool | None = None
        self._result_bytes = 0
        # From how many steps on a loop saves what it takes longer to compile, and the steps that went alone so far.
        self._steps_to_pay = 0
        self._steps_alone = 0

    def pace(self, watched: bool) -> Pace:
        """Return how many steps are to go to the device at a time.

        Args:
            watched: Whether someone looks at every execution, who is then to see ``steps`` in each.
        """
        return Pace(self.steps if watched or self.steps > 1 or not self._compiled else None)

    def __call__(self, state: TrainState, batch: Any) -> tuple[Any, TrainState]:
        """Run one step on one batch ``x``, ``(x, y)`` or ``(x, y, sample_weight)`` of arrays."""
        if self._compiled and self.loops_well is None:
            self.loops_well = self._judge(state, batch, None)
        return self._step(self._plain, state, batch)

    def _step(self, programs: Programs, state: TrainState, batch: Any, *count: Any) -> tuple[Any, TrainState]:
        if not self._compiled:
            return self._run(self._pure, on_device(state), batch)
        with self._compilations.watch(programs.step, batch):
            return self._run(programs.step, state, batch, *count)

    def _run(self, program: Callable[..., Any], state: TrainState, *given: Any) -> tuple[Any, TrainState]:
        result, changing = program(self._parts.fixed(state), self._parts.changing(state), *given)
        return result, self._parts.join(state, changing)

    def dispatches(
        self,
        batches: Iterator[Any],
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
            batches: Batches of arrays, or the rows of ``table`` they consist of.
            pace: How many steps to take at a time; asked before each group.
            state: Gives the state before the first step; only its shapes matter.
            table: Where to find the rows.
            steps: How many batches there will be, if known.
            room: From how many steps a group would take to how many it may; asked before each group.
            samples: How many samples there will be, if known; the last batch may be smaller than the others.
            batch_size: How many samples these have, if known before there is one.
            expected: How many steps the whole run takes, if known: few do not pay for a loop.
        """
        first = next(batches, None)
        if first is None:
            return
        batches = itertools.chain([first], batches)
        cut = _Cut(table, batch_size or _samples(first))
        if self._compiled and samples is not None and samples % cut.usual:
            cut.told = self._padded(state(), cut.spec(first))
        # Batches from elsewhere would have to be copied to be stacked: that is for the user to ask for.
        alone = not self._compiled or pace.fixed == 1 or (pace.fixed is None and table is None)
        if self._compiled and self.loops_well is None:
            self.loops_well = self._judge(state(), cut.spec(first), cut.told)
        if pace.fixed is not None:
            while group := list(itertools.islice(batches, room(pace.fixed))):
                yield list(self._group(group, pace.fixed, cut))
        elif table is not None and self.loops_well and not alone and self._pays(cut, expected):
            # Results that are collected take memory; of batches only the rows are held, and one size will do.
            room_for = LARGEST_STACK // max(1, self._result_bytes)
            size = max(1, min(MOST_STEPS, room_for, _power_of_two(steps))) if self._collect else MOST_STEPS
            while group := list(itertools.islice(batches, size)):
                for alike in _runs_of_one_length(group, cut):
                    yield from self._picked(alike, size, lambda: room(pace.steps), cut)
        else:
            for batch in batches:
                yield [self._single(batch, cut)]
                self._steps_alone += 1

    def _pays(self, cut: _Cut, expected: int | None) -> bool:
        """Whether a loop is there already, or saves as much time as it takes to compile."""
        if expected is None or "loop" in vars(cut.told or self._plain):
            return True
        return max(expected, self._steps_alone) >= self._steps_to_pay

    @no_collection()
    def _padded(self, state: TrainState, batch: Any) -> Programs | None:
        """Return programs that are told how many samples count; ``None`` where that cannot be had."""
        form = jax.tree.structure(batch), *((leaf.shape[1:], leaf.dtype) for leaf in jax.tree.leaves(batch))
        if form not in self._told:
            parts = self._parts
            step = padded(self._pure, parts.fixed(state), parts.changing(state), batch, self._collect)
            told = self._told[form] = step and Programs(step, self._donate, self._collect)
            if told is not None:
                told.large_products = self._plain.large_products
        return self._told[form]

    @no_collection()
    def _judge(self, state: TrainState, batch: Any, told: Programs | None) -> bool:
        """Whether a loop over steps costs no more than the steps, judged by what a step computes.

        Judges too whether its products are large ones.
        """
        # The programs that are going to run, so that they need not be traced again.
        programs, count = (self._plain, ()) if told is None else (told, (np.int32(0),))
        program, (result, _) = jax.make_jaxpr(programs.traced, return_shape=True)(
            self._parts.fixed(state), self._parts.changing(state), batch, *count
        )
        self._result_bytes = sum(one.size * one.dtype.itemsize for one in jax.tree.leaves(result))
        arrays = len(jax.tree.leaves(self._parts.changing(state)))
        self._steps_to_pay = steps_to_pay(_operations(program.jaxpr), arrays)
        large = _has_large_products(program.jaxpr)
        for each in (self._plain, *filter(None, self._told.values())):
            each.large_products = large
        return jax.default_backend() != "cpu" or not _has_convolution(program.jaxpr)

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
        self, group: list[Any], size: int, steps: Callable[[], int], cut: _Cut
    ) -> Iterator[list[Dispatch]]:
        """Yield loops over batches that the program picks from the table."""
        usual, counts = cut.usual, [len(rows) for rows in group]
        if (len(group[0]) != usual and cut.told is None) or len(group[0]) > usual:
            yield from ([self._single(rows, cut)] for rows in group)
            return
        # Fewer steps than usual run in the same program: it is told how many.
        missing = size - len(group)
        full = [*map(cut.filled, group)]
        rows = np.concatenate([*full, *full[-1:] * missing]).reshape(size, usual)
        told = None if cut.told is None else np.array([*counts, *[0] * missing], "int32")
        held, form, sizes = cut.pick(rows, told), cut.spec(rows[0]), (size, cut.length)
        start = 0
        while start < len(group):
            count = min(steps(), len(group) - start)
            some = counts[start : start + count]
            yield [self._looped(cut.told or self._plain, held, form, sizes, start, some)]
            start += count

    def _looped(
        self,
        programs: Programs,
        held: Picked | Stacked,
        form: Any,
        sizes: tuple[int, ...],
        start: int,
        counts: list[int],
    ) -> Dispatch:
        """Return a loop over some of the batches held, each of ``form``; ``sizes`` as ``watch`` takes them."""
        steps, samples = len(counts), counts[-1]

        def run(state: TrainState) -> tuple[Any, TrainState]:
            with self._compilations.watch(programs.loop, form, sizes):
                return self._run(programs.loop, state, held, np.int32(start), np.int32(start + steps))

        def batch(step: int) -> Any:
            return jax.tree.map(lambda leaf: leaf[: counts[step]], held.at(start + step)[0])

        return Dispatch(run, steps, samples, held, batch, self._collect, sum(counts))

    def _group(self, batches: list[Any], steps: int, cut: _Cut) -> Iterator[Dispatch]:
        if steps == 1 or not self._compiled:
            yield from (self._single(batch, cut) for batch in batches)
            return
        if self.loops_well and cut.table is not None:
            for alike in _runs_of_one_length(batches, cut):
                for some in self._picked(alike, steps, lambda: steps, cut):
                    yield from some
            return
        for alike in _runs_of_one_shape([cut.take(batch) for batch in batches]):
            yield from self._fused(alike, steps, cut)

    def _fused(self, batches: list[Any], steps: int, cut: _Cut) -> Iterator[Dispatch]:
        """Yield programs for batches of one shape, as few as do not cost more than the steps alone."""
        samples = _samples(batches[0])
        if self.loops_well:
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
            with self._compilations.watch(self._unrolling, batches[0], (len(batches),)):
                return self._run(self._unrolling, state, batches)

        samples = _samples(batches[0])
        return Dispatch(run, len(batches), samples, batches, batches.__getitem__, self._collect)

    @functools.cached_property
    def _unrolling(self) -> Callable[..., Any]:
        step, collect = self._pure, self._collect

        def many(fixed: Any, changing: Any, batches: list[Any]) -> tuple[Any, Any]:
            results = []
            for batch in batches:
                result, changing = step(fixed, changing, batch)
                results.append(result)
            return (jax.tree.map(lambda *r: jnp.stack(r), *results) if collect else results[-1]), changing

        return compiling.program(many, self._donate, self._plain.large_products)


@dataclasses.dataclass
class _Cut:
    """How batches come: as arrays or rows of a table, mostly of ``usual`` samples; see ``Execution._padded``."""

    table: Table | None
    usual: int
    told: Programs | None = None

    def take(self, batch: Any) -> Any:
        return tree.map_structure(standardize, batch) if self.table is None else self.table.take(batch)

    def pick(self, rows: np.ndarray, counts: np.ndarray | None) -> Picked:
        assert self.table is not None, "batches are no rows"
        return self.table.pick(rows, counts)

    def spec(self, batch: Any) -> Any:
        return to_device(batch) if self.table is None else self.table.spec(len(batch))

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


def _runs_of_one_length(batches: list[Any], cut: _Cut) -> Iterator[list[Any]]:
    """Yield runs of batches that one loop may take: rows of any number where it is told how many count."""
    runs = itertools.groupby(batches, key=lambda rows: len(rows) > cut.usual if cut.told else len(rows))
    return (list(run) for _, run in runs)


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
