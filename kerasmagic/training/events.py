"""What happens during a run, as values: the loop emits them, sinks turn them into views.

Numbers in a step's ``logs`` may still be on the device: reading one waits for it,
so a sink reads them only when it shows them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Protocol

Phase = Literal["compiling", "training", "validating"]
Outcome = Literal["finished", "stopped", "interrupted", "failed"]


@dataclasses.dataclass(frozen=True)
class RunStarted:
    """``fit`` begins. ``steps`` is per epoch, or ``None`` when the data does not say."""

    run: int
    model: str
    epochs: int
    initial_epoch: int
    steps: int | None
    batch_size: int | None
    metrics: tuple[str, ...]
    validation: bool
    parameters: int
    device: str
    time: float


@dataclasses.dataclass(frozen=True)
class PhaseStarted:
    """The run turns to compiling, training or validating."""

    phase: Phase
    time: float


@dataclasses.dataclass(frozen=True)
class EpochStarted:
    """Epoch ``epoch`` (counted from 0) begins."""

    epoch: int
    time: float


@dataclasses.dataclass(frozen=True)
class StepsDone:
    """Training has reached ``step`` steps of this epoch, ``total_step`` of the run.

    ``samples`` are those of the last batch, which may be smaller than the others. ``logs`` are means over
    the epoch so far; its values may be device arrays of shape ``()``.
    """

    epoch: int
    step: int
    total_step: int
    samples: int
    logs: Mapping[str, Any]
    time: float


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Counts ``(bins,)`` of a variable's values between ``low`` and ``high``, maybe still on the device."""

    counts: Any
    low: Any
    high: Any


@dataclasses.dataclass(frozen=True)
class WeightsSeen:
    """Histograms of the trainable variables by path, as of ``total_step``."""

    total_step: int
    histograms: Mapping[str, Histogram]
    time: float


@dataclasses.dataclass(frozen=True)
class EpochEnded:
    """Epoch ``epoch`` is done; ``logs`` are floats and hold ``val_...`` keys after validation."""

    epoch: int
    logs: Mapping[str, float]
    learning_rate: float | None
    time: float


@dataclasses.dataclass(frozen=True)
class RunEnded:
    """The run is over; ``message`` says why when it did not simply finish."""

    outcome: Outcome
    message: str
    time: float


Event = RunStarted | PhaseStarted | EpochStarted | StepsDone | WeightsSeen | EpochEnded | RunEnded


class Sink(Protocol):
    """Receives every event of a run, on the thread that trains."""

    def emit(self, event: Event) -> None:
        """Take one event. Must be quick: the training step waits for it."""
        ...

    @property
    def stop_requested(self) -> bool:
        """Whether the reader wants the run to end; asked after every dispatch."""
        ...

    def wants_weights(self) -> bool:
        """Whether a ``WeightsSeen`` is due now; asked after every dispatch."""
        ...
