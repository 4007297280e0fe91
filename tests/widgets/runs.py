"""Events of made-up runs, for the tests of every view."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasmagic.training.events import (
    EpochEnded,
    EpochStarted,
    Event,
    Histogram,
    PhaseStarted,
    RunEnded,
    RunStarted,
    StepsDone,
    WeightsSeen,
)
from kerasmagic.widgets.reducer import RunState, reduce

HOSTILE = "<img src=x onerror=alert(1)>"


def started(**changes: Any) -> RunStarted:
    """A run of 4 epochs of 10 steps that starts at second 0."""
    values: dict[str, Any] = {
        "run": 1,
        "model": "digits",
        "epochs": 4,
        "initial_epoch": 0,
        "steps": 10,
        "batch_size": 32,
        "metrics": ("loss", "accuracy"),
        "validation": True,
        "parameters": 650,
        "device": "cpu",
        "time": 0.0,
    }
    return RunStarted(**{**values, **changes})


def histogram(counts: Any = (1.0, 3.0, 2.0), low: float = -0.5, high: float = 0.25) -> Histogram:
    return Histogram(np.asarray(counts), low, high)


def epoch(
    number: int, start: float, *, first_step: int | None = None, loss: float | None = None
) -> Iterator[Event]:
    """One epoch of 10 steps: 10 ms a step from ``start`` on, then validation for 20 ms."""
    before = 10 * number if first_step is None else first_step
    base = 1.0 / (number + 1) if loss is None else loss
    yield EpochStarted(number, start)
    yield PhaseStarted("training", start)
    for step in range(1, 11):
        logs = {"loss": base + 0.01 * step, "accuracy": 1.0 - base / 2}
        yield StepsDone(number, step, before + step, 32, logs, start + 0.01 * step)
    yield PhaseStarted("validating", start + 0.10)
    logs = {"loss": base, "accuracy": 1.0 - base / 2, "val_loss": base + 0.1, "val_accuracy": 0.9 - base / 2}
    yield EpochEnded(number, logs, 0.001, start + 0.12)


def whole_run(outcome: Any = "finished", message: str = "", **changes: Any) -> list[Event]:
    """A run whose program takes 2 s to compile, with histograms of one kernel."""
    events: list[Event] = [started(**changes), PhaseStarted("compiling", 0.0)]
    for number in range(4):
        events += epoch(number, 2.0 + 0.12 * number)
    events.append(WeightsSeen(40, {"digits/dense/kernel": histogram()}, 2.48))
    events.append(RunEnded(outcome, message, 2.5))
    return events


def state_after(events: list[Event]) -> RunState:
    state = RunState()
    for event in events:
        state = reduce(state, event)
    return state
