"""Looks at a run from beside it: weights and gradients for the views, and what is wrong for the reader.

The training thread only dispatches small programs, at moments that views or a slow clock choose. A thread
of its own waits for the results, measures what a look costs, compiles what is asked for on the way, and
searches for the origin of a loss that is not finite. What it finds is picked up after one of the next steps.
"""

from __future__ import annotations

import collections
import concurrent.futures
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from kerasmagic.foundation import options
from kerasmagic.training import events
from kerasmagic.training.advice import Adviser, Culprit, Look
from kerasmagic.training.diagnosis import Evidence, search
from kerasmagic.training.inspection import Inspector, form_of, ready
from kerasmagic.training.probes import Movement, OnDevice, Probe
from kerasmagic.training.state import TrainState

# Seconds between two checks of the loss, and between two looks that nobody but the adviser wants.
CHECK_INTERVAL = 0.5
LOOK_INTERVAL = 10.0
# Looks that nobody wants to see take at most this share of the time.
LOOK_SHARE = 0.005
# Seconds that the end of a run waits for an answer to what went wrong.
PATIENCE = 30.0

Future = concurrent.futures.Future[Any]


class Insight:
    """What is seen of one run.

    Args:
        model: A compiled, built model.
        state: The values of its variables before the first step.
        clock: Seconds.
    """

    def __init__(self, model: Any, state: TrainState, clock: Callable[[], float] = time.monotonic):
        self._model = model
        self._clock = clock
        self._variables = list(model.trainable_variables)
        self._names = tuple(v.path for v in self._variables)
        self._worker = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="kerasmagic-insight")
        self._adviser = Adviser()
        # What the worker has found: each to be called on the training thread.
        self._found: collections.deque[Callable[[], list[events.Advice]]] = collections.deque()
        self._probe: Probe | None = None
        self._preparing: Future | None = None
        self._programs: dict[Any, tuple[Inspector, Future]] = {}
        self._broken = ""
        self._cost = 0.0
        self._began = clock()
        self._next_check = self._began + CHECK_INTERVAL
        self._next_look = self._began + LOOK_INTERVAL
        self._evidence = Evidence(clock)
        self._lost = False
        self._logs: Mapping[str, Any] = {}
        self._shows_weights = False
        if not _gone(state):
            self._evidence.keep(state)

    def forget_programs(self) -> None:
        """Trace the step anew where that is looked into: it was changed."""
        self._programs.clear()

    def after(
        self,
        state: TrainState,
        group: Sequence[Any],
        logs: Mapping[str, Any],
        step: int,
        spent: events.Spent,
        sinks: Sequence[events.Sink],
    ) -> Iterator[events.Event]:
        """Yield what is to be told after a group of dispatches; nothing in here waits for the device.

        Args:
            state: The state after them.
            group: The dispatches.
            logs: Their results.
            step: Steps so far.
            spent: What the time went into.
            sinks: Who may want to see the weights.
        """
        now = self._clock()
        self._logs = logs
        if not self._lost:
            self._evidence.remember(group)
        wanted = any(sink.wants_weights() for sink in sinks)
        if wanted or (now >= self._next_look and self._prepared(state)):
            self._shows_weights = self._shows_weights or wanted
            inspects = any(isinstance(s, events.InspectingSink) and s.wants_gradients() for s in sinks)
            yield from self._look(state, step, logs, group[-1] if inspects else None)
        if now >= self._next_check:
            self._next_check = now + CHECK_INTERVAL
            self._worker.submit(self._check, logs, step)
            if not options.deterministic():
                elapsed = now - self._began - spent.tracing - spent.compiling
                yield from _advised(self._adviser.waited(spent.data, elapsed, step))
        yield from self._told()

    def epoch_ended(self, logs: Mapping[str, Any], step: int, state: TrainState) -> Iterator[events.Event]:
        """Yield what the numbers of an epoch say; ``state`` is the one after it."""
        loss = logs.get("loss")
        if isinstance(loss, float) and not math.isfinite(loss):
            self._trace(loss, step)
        else:
            yield from _advised(self._adviser.epoch_ended(logs, step))
            if not self._lost and not _gone(state):
                self._evidence.keep(state)
        yield from self._told()

    def finish(self, state: TrainState, step: int, waits: bool) -> Iterator[events.Event]:
        """Yield the last look at the weights and what else is to be told, and end.

        Args:
            state: The last state.
            step: Steps of the run.
            waits: Whether there is time to find out what went wrong.
        """
        try:
            if self._shows_weights:
                yield from self._look(state, step, None, None)
            if waits:
                self._worker.submit(self._check, self._logs, step).result(PATIENCE)
                yield from self._told()
                # Telling may have started a search.
                self._worker.submit(int).result(PATIENCE)
                yield from self._told()
        except concurrent.futures.TimeoutError:
            pass
        finally:
            self._worker.shutdown(wait=False, cancel_futures=True)

    # On the training thread

    def _look(
        self, state: TrainState, step: int, logs: Mapping[str, Any] | None, dispatch: Any
    ) -> Iterator[events.Event]:
        if not state.trainable or _gone(state):
            return
        began = self._clock()
        fresh = self._probe is None
        self._probe = self._probe or Probe(self._names, state.trainable)
        histograms, movement = self._probe(state.trainable)
        more: dict[str, Any] = {}
        if dispatch is not None:
            more = self._inspected(state, ready(dispatch.batch(dispatch.steps - 1)))
        yield events.WeightsSeen(step, histograms, time.time(), cost=self._cost, **more)
        # A first call compiles: that is no measure of the next.
        dispatching = 0.0 if fresh else self._clock() - began
        self._next_look = began + max(LOOK_INTERVAL, self._cost / LOOK_SHARE)
        self._worker.submit(self._weigh, logs, dispatching, step, histograms, movement, more)

    def _prepared(self, state: TrainState) -> bool:
        """Whether the probe is compiled; else let it be: a run that nobody looks at must not wait for it."""
        if self._preparing is None:
            if self._probe is not None:
                return True
            self._probe = Probe(self._names, state.trainable)
            self._preparing = self._worker.submit(self._probe.program.prepared())
        return self._preparing.done()

    def _inspected(self, state: TrainState, batch: Any) -> dict[str, Any]:
        """Return gradients and the like by name, or a note why there are none."""
        if self._programs and form_of(batch) not in self._programs:
            # The last batch of an epoch may be a smaller one: not worth a program of its own.
            return {}
        try:
            inspector, program = self._program(state, batch)
            if not program.done():
                return {"note": "gradients: being compiled"}
            findings = program.result()(state, batch)
        except Exception as error:
            self._broken = self._broken or f"no gradients: {type(error).__name__} in the second program"
            return {"note": self._broken}
        custom = findings.gradients is None
        note = "no gradients: the model has a training step of its own" if custom else ""
        return {**inspector.view(findings), "note": note}

    def _program(self, state: TrainState, batch: Any) -> tuple[Inspector, Future]:
        form = form_of(batch)
        if form not in self._programs:
            inspector = Inspector(self._model, self._names)
            # Layers are not made to be traced on two threads at once; compiling is another matter.
            lowered = inspector.lowered(state, batch)
            self._programs[form] = inspector, self._worker.submit(lowered.compile)
        return self._programs[form]

    def _trace(self, loss: float, step: int) -> list[events.Advice]:
        """Let the origin of a loss that is not finite be searched."""
        if self._lost:
            return []
        self._lost = True
        state, batches = self._evidence.state, self._evidence.taken()
        programs: dict[Any, tuple[Inspector, Future]] = {}
        try:
            if state is not None:
                programs = {form_of(batch): self._program(state, batch) for batch in batches}
        except Exception:
            # A model that can't be traced once more keeps its secret.
            programs = {}
        self._worker.submit(self._search, loss, step, state, batches, programs)
        return []

    def _told(self) -> Iterator[events.Event]:
        while self._found:
            yield from _advised(self._found.popleft()())

    # On the worker's thread

    def _check(self, logs: Mapping[str, Any], step: int) -> None:
        loss = logs.get("loss")
        if loss is None:
            return
        value = float(np.asarray(loss))
        if not math.isfinite(value):
            self._found.append(lambda: self._trace(value, step))
        elif not options.deterministic():
            self._found.append(lambda: self._adviser.lost(value, step))

    def _weigh(
        self,
        logs: Mapping[str, Any] | None,
        dispatching: float,
        step: int,
        histograms: OnDevice[events.Histogram],
        movement: Movement | None,
        more: Mapping[str, Any],
    ) -> None:
        jax.block_until_ready(logs)
        began = self._clock()
        seen = histograms.host
        for found in more.values():
            if isinstance(found, OnDevice):
                _ = found.host
        if logs is not None:
            self._cost = dispatching + self._clock() - began
        moved = None if movement is None else Movement(*map(np.asarray, jax.device_get(movement)))
        look = look_at(step, self._variables, seen, moved, more)
        if not options.deterministic():
            self._found.append(lambda: self._adviser.looked(look))

    def _search(self, loss: float, step: int, state: Any, batches: list[Any], programs: Any) -> None:
        grown = self._adviser.grown
        try:
            compiled = {form: (one, future.result(0)) for form, (one, future) in programs.items()}
            culprit = search(state, batches if compiled else [], compiled, grown)
        except Exception:
            # What can't be found out must not end the run.
            culprit = Culprit("diverged" if grown else "unknown", grown)
        self._found.append(lambda: self._adviser.not_finite(loss, culprit, step))


def look_at(
    step: int, variables: Sequence[Any], seen: Any, moved: Movement | None, more: Mapping[str, Any]
) -> Look:
    """Return what a look at the weights says, from numbers on the host."""
    count = len(variables)
    unknown = np.full(count, np.nan)
    gradients = more.get("gradients")
    layers = more.get("layers") or {}
    return Look(
        step=step,
        names=tuple(v.path for v in variables),
        kernels=np.array([len(v.shape) > 1 for v in variables], bool),
        largest=np.maximum(np.abs(seen.low), np.abs(seen.high)),
        distance=unknown if moved is None else moved.distance,
        still=unknown if moved is None else moved.still,
        units=np.array([v.shape[-1] if v.shape else 1 for v in variables]),
        slopes=np.maximum(np.abs(gradients.host.low), np.abs(gradients.host.high)) if gradients else None,
        dead={name: (one.dead, one.units) for name, one in layers.items() if not math.isnan(one.dead)},
    )


def _advised(advice: Sequence[events.Advice]) -> Iterator[events.Event]:
    for one in advice:
        yield events.Advised(one, time.time())


def _gone(state: TrainState) -> bool:
    """Whether the state was given to the device and the next one is not here."""
    return any(getattr(leaf, "is_deleted", bool)() for leaf in jax.tree.leaves(state))
