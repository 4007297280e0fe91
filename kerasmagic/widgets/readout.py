"""The words and numbers around the charts, the same in the live widget, the saved picture and plain text."""

from __future__ import annotations

import dataclasses

from kerasmagic.training.events import Histogram, RunStarted
from kerasmagic.widgets import units
from kerasmagic.widgets.chart import metric_names, words
from kerasmagic.widgets.reducer import (
    RUNNING,
    RunState,
    epoch_progress,
    main_metric,
    progress,
    samples_per_second,
    seconds_left,
)


@dataclasses.dataclass(frozen=True)
class Figure:
    """One number with its name, and a line below it that puts it in context."""

    name: str
    label: str
    value: str
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """The newest values of one metric, as text."""

    name: str
    label: str
    train: str
    validation: str


@dataclasses.dataclass(frozen=True)
class Part:
    """What a share of the run's time went into; shares add up to 1."""

    name: str
    label: str
    value: str
    share: float


@dataclasses.dataclass(frozen=True)
class Readout:
    """Everything textual of a run; ``state`` is one of the seven looks, ``status`` is the word shown."""

    state: str
    status: str
    title: str
    about: str
    main: tuple[Figure, ...]
    figures: tuple[Figure, ...]
    rows: tuple[Row, ...]
    progress: float
    epoch_progress: float
    progress_text: str
    message: str
    has_validation: bool
    times: tuple[Part, ...]
    compiled: str
    earlier: str


def readout(state: RunState) -> Readout:
    """Return the texts that show ``state``.

    Example:

    >>> readout(RunState()).status
    'no run yet'
    """
    plan = state.plan
    return Readout(
        state=_look(state),
        status="no run yet" if state.status == "empty" else state.status,
        title="Training" if plan is None else plan.model,
        about="" if plan is None else _about(plan),
        main=(_main(state), _time(state)),
        figures=(_epochs(state), _batches(state), _speed(state), _memory(state), *_device(state)),
        rows=tuple(_row(state, name) for name in metric_names(state)),
        progress=progress(state),
        epoch_progress=epoch_progress(state),
        progress_text=_progress_text(state),
        message=state.message,
        has_validation=plan is not None and plan.validation,
        times=time_split(state),
        compiled=compiled_text(state),
        earlier=units.plural(len(state.earlier), "earlier run") if state.earlier else "",
    )


def time_split(state: RunState) -> tuple[Part, ...]:
    """Return what the time of a run went into; nothing before there is any.

    ``data`` is the time in which the device waited for the next batch, ``compute`` is all that is left.

    Example:

    >>> from kerasmagic.training.events import Spent
    >>> from kerasmagic.widgets.reducer import Clock
    >>> clock, spent = Clock(compiling=2.0, training=6.0), Spent(0.5, 1.5, 2.0)
    >>> state = RunState(clock=clock, spent=spent, position=10)
    >>> [f"{part.label} {part.value} {part.share:.0%}" for part in time_split(state)]
    ['tracing 0.5 s 6%', 'compiling 1.5 s 19%', 'data 2.0 s 25%', 'compute 4.0 s 50%']
    """
    spent, total = state.spent, state.clock.total
    seconds = {"tracing": spent.tracing, "compiling": spent.compiling, "data": spent.data}
    known = sum(seconds.values())
    total = max(total, known)
    if total <= 0.0:
        return ()
    # What the compiler is busy with is told when it is done.
    rest = "compute" if state.position else "compiling"
    seconds[rest] = seconds.get(rest, 0.0) + total - known
    seconds.setdefault("compute", 0.0)
    return tuple(Part(name, name, units.seconds(value), value / total) for name, value in seconds.items())


def compiled_text(state: RunState) -> str:
    """Return which programs were compiled, and why each.

    Example:

    >>> from kerasmagic.training.events import ProgramCompiled
    >>> found = ProgramCompiled("train", "first step", 1.2, 0.0), ProgramCompiled("test", "first step", 0.5, 0.0)
    >>> compiled_text(RunState(compiled=found))
    '2 programs compiled: train (first step), test (first step)'
    """
    if not state.compiled:
        return ""
    told = ", ".join(f"{one.program} ({one.reason})" for one in state.compiled)
    return f"{units.plural(len(state.compiled), 'program')} compiled: {told}"


def summary_text(state: RunState) -> str:
    """Return the run in a few lines of plain text, for front ends that show nothing else.

    Example:

    >>> summary_text(RunState())
    'Training: no run yet'
    """
    shown = readout(state)
    if state.plan is None:
        return f"{shown.title}: {shown.status}"
    epochs = f"{state.ended} of {units.plural(state.plan.epochs - state.plan.initial_epoch, 'epoch')}"
    lines = [f"{shown.title}: {shown.status}, {epochs}, {units.seconds(state.clock.total)}"]
    width = max((len(row.label) for row in shown.rows), default=0)
    for row in shown.rows:
        validation = f"  validation {row.validation:>9}" if shown.has_validation else ""
        lines.append(f"  {row.label:<{width}}  training {row.train:>9}{validation}")
    lines += [f"  warning: {one.text} {one.remedy}" for one in state.advice]
    return "\n".join([*lines, *(f"  {each}" for each in state.controls.done), *state.message.splitlines()])


def constant_text(plan: RunStarted | None) -> str:
    """Return the text that stands for a run where output must be equal on every run."""
    return "Training" if plan is None else f"Training of {plan.model}"


def short_name(path: str) -> tuple[str, str]:
    """Return the last two parts of a variable's path: the first may be cut where there is no room.

    Example:

    >>> short_name("sequential/dense_1/kernel"), short_name("scale")
    (('dense_1', '/kernel'), ('', 'scale'))
    """
    *owners, name = path.split("/")
    return (owners[-1], f"/{name}") if owners else ("", name)


def describe_histogram(name: str, histogram: Histogram) -> str:
    """Return a histogram as a sentence, for those who do not see it."""
    low, high = units.short_number(histogram.low), units.short_number(histogram.high)
    return f"{name}: values from {low} to {high}"


def _look(state: RunState) -> str:
    return "running" if state.status in ("training", "validating") else state.status


def _about(plan: RunStarted) -> str:
    batch = None if plan.batch_size is None else f"batch size {plan.batch_size:,}"
    parameters = units.plural(plan.parameters, "parameter") if plan.parameters else ""
    parts = (parameters, batch, plan.device)
    return " · ".join(part for part in parts if part)


def _main(state: RunState) -> Figure:
    if state.plan is None:
        return Figure("main", "loss", units.NOTHING)
    metric = main_metric(state.plan)
    name = f"val_{metric}" if state.plan.validation else metric
    best = state.best
    note = "" if best is None else f"best {units.number(best.value)} at epoch {best.epoch + 1:,}"
    return Figure("main", words(name), units.number(state.latest.get(name)), note)


def _time(state: RunState) -> Figure:
    clock = state.clock
    if state.status in RUNNING or state.status == "empty":
        elapsed = f"{units.seconds(clock.total)} so far" if state.plan else ""
        return Figure("time", "time left", units.seconds(seconds_left(state)), elapsed)
    return Figure("time", "time", units.seconds(clock.total), f"{units.seconds(clock.compiling)} compiling")


def _epochs(state: RunState) -> Figure:
    if state.plan is None:
        return Figure("epoch", "epoch", units.NOTHING)
    done = state.plan.initial_epoch + state.ended
    number = min(state.epoch + 1, state.plan.epochs) if state.status in RUNNING else done
    return Figure("epoch", "epoch", units.count(number), f"of {units.count(state.plan.epochs)}")


def _batches(state: RunState) -> Figure:
    total = "" if state.steps is None else f"of {units.count(state.steps)}"
    return Figure("batch", "batch", units.count(state.step) if state.plan else units.NOTHING, total)


def _speed(state: RunState) -> Figure:
    rate = samples_per_second(state)
    return Figure("speed", "samples/s", units.count(rate), _step_time(state))


def _memory(state: RunState) -> Figure:
    seen = state.memory
    if seen is None:
        return Figure("memory", "memory", units.NOTHING)
    return Figure("memory", _of("memory", seen.limit), units.memory(seen.used), _peak(seen.peak))


def _device(state: RunState) -> tuple[Figure, ...]:
    seen = state.memory
    if seen is None or seen.device_used is None:
        return ()
    label, peak = _of("device", seen.device_limit), _peak(seen.device_peak)
    return (Figure("device", label, units.memory(seen.device_used), peak),)


def _of(name: str, limit: int | None) -> str:
    return name if limit is None else f"{name} of {units.memory(limit)}"


def _peak(size: int | None) -> str:
    return "" if size is None else f"peak {units.memory(size)}"


def _step_time(state: RunState) -> str:
    if not state.position or not state.clock.training:
        return ""
    milliseconds = 1000.0 * state.clock.training / state.position
    return f"{milliseconds:,.{0 if milliseconds >= 100 else 1}f} ms/batch"


def _row(state: RunState, name: str) -> Row:
    latest = state.latest
    return Row(name, words(name), units.number(latest.get(name)), units.number(latest.get(f"val_{name}")))


def _progress_text(state: RunState) -> str:
    if state.plan is None:
        return "no run yet"
    batch = f", batch {state.step:,}" + (f" of {state.steps:,}" if state.steps else "")
    left = seconds_left(state)
    time = f", {units.seconds(left)} left" if left is not None else ""
    epochs = _epochs(state)
    return f"{state.status}, epoch {epochs.value} {epochs.note}{batch}{time}"
