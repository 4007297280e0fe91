"""The state of a run as a pure function of its events; every view of training draws this state.

Numbers in the events must be on the host by now: ``throttle.read`` fetches them,
on the publisher's thread and not on the one that trains.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from kerasmagic.training.events import (
    Advice,
    Advised,
    Asked,
    ControlsChanged,
    EpochEnded,
    EpochStarted,
    Event,
    Histogram,
    Intervened,
    MemorySeen,
    PhaseStarted,
    ProgramCompiled,
    RunEnded,
    RunStarted,
    Spent,
    StepsDone,
    WeightsSeen,
)
from kerasmagic.widgets.controls import Controls, after
from kerasmagic.widgets.curve import Curve, thinned
from kerasmagic.widgets.weights import Choice, Weights, seen

Status = Literal[
    "empty", "compiling", "training", "validating", "paused", "finished", "stopped", "interrupted", "failed"
]

# How many runs of a model stay in sight, and how many points of each of their curves.
EARLIER_RUNS = 3
EARLIER_POINTS = 200
MOST_COMPILED = 50

RUNNING: frozenset[Status] = frozenset({"compiling", "training", "validating", "paused"})

LOWER_IS_BETTER = (
    "loss",
    "error",
    "entropy",
    "divergence",
    "mae",
    "mse",
    "rmse",
    "mape",
    "hinge",
    "poisson",
    "nll",
)


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Best:
    """The best value so far of the run's main number, and the epoch it was reached in (from 0)."""

    value: float
    epoch: int
    x: float


@dataclasses.dataclass(frozen=True)
class Clock:
    """Seconds that the run has spent in each phase, up to the time of the newest event."""

    now: float = 0.0
    compiling: float = 0.0
    training: float = 0.0
    validating: float = 0.0
    paused: float = 0.0

    @property
    def total(self) -> float:
        """All seconds so far but those of pauses."""
        return self.compiling + self.training + self.validating


@dataclasses.dataclass(frozen=True)
class EarlierRun:
    """What is left of a run when the next one of its model begins.

    ``curves`` are by metric: epochs and values, each of shape ``(n,)``; of the validation where there was one.
    """

    run: int
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class RunState:
    """All that a view of a run shows.

    Curves are by metric name without ``val_``; ``x`` counts training steps of this run. ``steps`` is per
    epoch: given by the data, or learned from the first epoch. ``epoch`` and ``step`` are where training
    stands, ``ended`` is how many epochs of this run are complete, ``position`` how many steps. ``batch``
    is the size of the largest batch so far. ``earlier`` are the last runs of the same model, oldest first.
    """

    plan: RunStarted | None = None
    status: Status = "empty"
    message: str = ""
    clock: Clock = Clock()
    epoch: int = 0
    step: int = 0
    steps: int | None = None
    ended: int = 0
    origin: int | None = None
    position: int = 0
    batch: int = 0
    train: Mapping[str, Curve] = dataclasses.field(default_factory=_nothing)
    train_epochs: Mapping[str, Curve] = dataclasses.field(default_factory=_nothing)
    validation: Mapping[str, Curve] = dataclasses.field(default_factory=_nothing)
    latest: Mapping[str, float] = dataclasses.field(default_factory=_nothing)
    learning_rate: float | None = None
    best: Best | None = None
    histograms: Mapping[str, Histogram] = dataclasses.field(default_factory=_nothing)
    histograms_step: int = 0
    weights: Weights = dataclasses.field(default_factory=Weights)
    advice: tuple[Advice, ...] = ()
    spent: Spent = dataclasses.field(default_factory=Spent)
    compiled: tuple[ProgramCompiled, ...] = ()
    controls: Controls = dataclasses.field(default_factory=Controls)
    memory: MemorySeen | None = None
    earlier: tuple[EarlierRun, ...] = ()


def reduce(state: RunState, event: Event | Choice) -> RunState:
    """Return the state after ``event``; ``state`` itself stays as it is.

    Example:

    >>> start = RunStarted(1, "digits", 2, 0, 10, 32, ("loss",), False, 650, "cpu", 0.0)
    >>> state = reduce(RunState(), start)
    >>> state = reduce(state, StepsDone(0, 5, 5, 160, {"loss": 2.5}, 1.0))
    >>> state.status, state.latest["loss"], progress(state)
    ('training', 2.5, 0.25)
    """
    return _HANDLERS[type(event)](state, event)


def at(state: RunState, time: float) -> RunState:
    """Return the state at a later time at which nothing more has happened."""
    return dataclasses.replace(state, clock=_tick(state, time))


def progress(state: RunState) -> float:
    """Return how much of the planned run is done, from 0 to 1."""
    if state.status == "finished":
        return 1.0
    if state.plan is None:
        return 0.0
    epochs = max(state.plan.epochs - state.plan.initial_epoch, 1)
    inside = epoch_progress(state) if state.epoch - state.plan.initial_epoch >= state.ended else 0.0
    return min((state.ended + inside) / epochs, 1.0)


def epoch_progress(state: RunState) -> float:
    """Return how much of the current epoch's training is done, from 0 to 1; 0 when its length is unknown."""
    return min(state.step / state.steps, 1.0) if state.steps else 0.0


def seconds_left(state: RunState) -> float | None:
    """Return the seconds that the rest should take at the mean speed so far, or ``None`` when unknown."""
    done = progress(state)
    spent = state.clock.training + state.clock.validating
    if state.status not in RUNNING or done <= 0.0 or spent <= 0.0:
        return None
    return spent * (1.0 - done) / done


def samples_per_second(state: RunState) -> float | None:
    """Return the training samples per second of training time, or ``None`` before the first step."""
    # Events between two updates are merged, so their samples cannot be added up; the last batch may be short.
    batch = (state.plan.batch_size if state.plan else None) or state.batch
    return state.position * batch / state.clock.training if state.position and state.clock.training else None


def main_metric(plan: RunStarted) -> str:
    """Return the metric that a reader looks at first: the first that is not the loss, else the loss."""
    return next((name for name in plan.metrics if name != "loss"), "loss")


def lower_is_better(metric: str) -> bool:
    """Return whether a small value of ``metric`` is a good one, judged by its name.

    Example:

    >>> lower_is_better("val_loss"), lower_is_better("sparse_categorical_accuracy")
    (True, False)
    """
    words = metric.lower()
    return any(part in words for part in LOWER_IS_BETTER) and "accuracy" not in words


def _started(state: RunState, event: RunStarted) -> RunState:
    return RunState(
        plan=event,
        status="compiling",
        clock=Clock(now=event.time),
        epoch=event.initial_epoch,
        steps=event.steps,
        memory=state.memory,
        earlier=_with_earlier(state, event),
    )


def _with_earlier(state: RunState, event: RunStarted) -> tuple[EarlierRun, ...]:
    if state.plan is None or state.plan.model != event.model:
        return ()
    if not state.ended or not state.steps:
        return state.earlier
    curves: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, curve in {**state.train_epochs, **state.validation}.items():
        x, y = thinned(*curve.points(), EARLIER_POINTS)
        curves[name] = x / state.steps, y
    return (*state.earlier, EarlierRun(state.plan.run, MappingProxyType(curves)))[-EARLIER_RUNS:]


def _phase(state: RunState, event: PhaseStarted) -> RunState:
    controls = after(state.controls, event)
    return dataclasses.replace(state, status=event.phase, controls=controls, clock=_tick(state, event.time))


def _epoch_started(state: RunState, event: EpochStarted) -> RunState:
    status: Status = "training" if state.status == "validating" else state.status
    return dataclasses.replace(
        state, status=status, epoch=event.epoch, step=0, clock=_tick(state, event.time)
    )


def _steps(state: RunState, event: StepsDone) -> RunState:
    origin = event.total_step - event.step if state.origin is None else state.origin
    position = event.total_step - origin
    return dataclasses.replace(
        state,
        status="training",
        clock=_tick(state, event.time),
        epoch=event.epoch,
        step=event.step,
        origin=origin,
        position=position,
        batch=max(state.batch, event.samples),
        train=_extend(state.train, event.logs, position),
        latest={**state.latest, **event.logs},
        spent=_later(state.spent, event.spent),
    )


def _weights(state: RunState, event: WeightsSeen) -> RunState:
    step = event.total_step - (state.origin or 0)
    return dataclasses.replace(
        state,
        histograms=event.histograms,
        histograms_step=step,
        weights=seen(state.weights, event, step),
    )


def _chosen(state: RunState, event: Choice) -> RunState:
    return dataclasses.replace(state, weights=dataclasses.replace(state.weights, choice=event))


def _advised(state: RunState, event: Advised) -> RunState:
    return dataclasses.replace(state, advice=(*state.advice, event.advice))


def _epoch_ended(state: RunState, event: EpochEnded) -> RunState:
    logs = event.logs
    train = {name: value for name, value in logs.items() if not name.startswith("val_")}
    validation = {name[4:]: value for name, value in logs.items() if name.startswith("val_")}
    return dataclasses.replace(
        state,
        clock=_tick(state, event.time),
        steps=state.steps or state.step or None,
        ended=state.ended + 1,
        train_epochs=_extend(state.train_epochs, train, state.position),
        validation=_extend(state.validation, validation, state.position),
        latest={**state.latest, **logs},
        learning_rate=event.learning_rate,
        best=_better(state, event),
        spent=_later(state.spent, event.spent),
    )


def _memory(state: RunState, event: MemorySeen) -> RunState:
    return dataclasses.replace(state, memory=event)


def _steered(state: RunState, event: Asked | Intervened | ControlsChanged) -> RunState:
    return dataclasses.replace(state, controls=after(state.controls, event))


def _ended(state: RunState, event: RunEnded) -> RunState:
    return dataclasses.replace(
        state, status=event.outcome, message=event.message, clock=_tick(state, event.time)
    )


def _compiled(state: RunState, event: ProgramCompiled) -> RunState:
    # Data whose batches all differ would have a program for each.
    return dataclasses.replace(state, compiled=(*state.compiled, event)[-MOST_COMPILED:])


_HANDLERS: Mapping[type, Callable[[RunState, Any], RunState]] = {
    RunStarted: _started,
    PhaseStarted: _phase,
    EpochStarted: _epoch_started,
    StepsDone: _steps,
    WeightsSeen: _weights,
    Choice: _chosen,
    Advised: _advised,
    EpochEnded: _epoch_ended,
    MemorySeen: _memory,
    ProgramCompiled: _compiled,
    Asked: _steered,
    Intervened: _steered,
    ControlsChanged: _steered,
    RunEnded: _ended,
}


def _tick(state: RunState, time: float) -> Clock:
    clock = state.clock
    if state.status not in RUNNING:
        return dataclasses.replace(clock, now=time)
    spent = getattr(clock, state.status) + max(time - clock.now, 0.0)
    return dataclasses.replace(clock, now=time, **{state.status: spent})


def _later(old: Spent, new: Spent) -> Spent:
    # Who does not measure says 0; what was spent is never less later.
    return new if new.tracing + new.compiling + new.data >= old.tracing + old.compiling + old.data else old


def _extend(curves: Mapping[str, Curve], logs: Mapping[str, float], x: float) -> Mapping[str, Curve]:
    longer = dict(curves)
    for name, value in logs.items():
        longer[name] = longer.get(name, Curve()).append(x, value)
    return longer


def _better(state: RunState, event: EpochEnded) -> Best | None:
    if state.plan is None:
        return state.best
    metric = main_metric(state.plan)
    value = event.logs.get(f"val_{metric}" if state.plan.validation else metric)
    if value is None or not math.isfinite(value):
        return state.best
    old = state.best
    if old is None or (value < old.value if lower_is_better(metric) else value > old.value):
        return Best(float(value), event.epoch, float(state.position))
    return old


def bins(histogram: Histogram) -> np.ndarray:
    """Return a histogram's counts as float64 of shape ``(n,)``, with nothing negative or NaN."""
    counts = np.asarray(histogram.counts, dtype=np.float64).ravel()
    return np.where(np.isfinite(counts), np.maximum(counts, 0.0), 0.0)
