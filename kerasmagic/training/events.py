"""What happens during a run, as values: the loop emits them, sinks turn them into views.

Numbers in a step's ``logs`` may still be on the device: reading one waits for it,
so a sink reads them only when it shows them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

from kerasmagic.callbacks.intervention import Intervention, Kind

Phase = Literal["compiling", "training", "validating", "paused"]
Outcome = Literal["finished", "stopped", "interrupted", "failed"]


@dataclasses.dataclass(frozen=True)
class Spent:
    """Seconds of the run so far that went into something else than computing.

    ``data`` are those in which the device had nothing to do because the next batch was not there.
    """

    tracing: float = 0.0
    compiling: float = 0.0
    data: float = 0.0


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
    """The run turns to compiling, training or validating, or pauses."""

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
    spent: Spent = Spent()


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Counts ``(bins,)`` of values between ``low`` and ``high``, maybe still on the device.

    Of a large array only every ``stride``-th value is counted. ``bad`` of those were NaN or infinite.
    """

    counts: Any
    low: Any
    high: Any
    bad: Any = 0
    stride: int = 1


@dataclasses.dataclass(frozen=True)
class LayerSeen:
    """What a layer returned for a batch: its values, the share of zeros, and the share of dead units.

    A unit, one place of the last axis, is dead if it was 0 for the whole batch; the share is NaN where that
    says nothing of the layer.
    """

    histogram: Histogram
    zeros: float
    dead: float
    units: int = 0


@dataclasses.dataclass(frozen=True)
class WeightsSeen:
    """Histograms of the trainable variables by path, as of ``total_step``; read them and they are fetched.

    On demand also those of the gradients, how far a step moves each variable in proportion to its size, and
    what the layers returned, all on the last batch; ``note`` says why they are not there. ``cost`` is the
    seconds that the last look took.
    """

    total_step: int
    histograms: Mapping[str, Histogram]
    time: float
    gradients: Mapping[str, Histogram] = dataclasses.field(default_factory=dict)
    updates: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    layers: Mapping[str, LayerSeen] = dataclasses.field(default_factory=dict)
    note: str = ""
    cost: float = 0.0


@dataclasses.dataclass(frozen=True)
class Advice:
    """A warning in plain words: what is wrong, since when, and what to do about it.

    ``cause`` tells warnings apart: there is one of each in a run. ``step`` counts training steps.
    """

    cause: str
    text: str
    remedy: str
    step: int


@dataclasses.dataclass(frozen=True)
class Advised:
    """The numbers of the run look wrong."""

    advice: Advice
    time: float


@dataclasses.dataclass(frozen=True)
class EpochEnded:
    """Epoch ``epoch`` is done; ``logs`` are floats and hold ``val_...`` keys after validation."""

    epoch: int
    logs: Mapping[str, float]
    learning_rate: float | None
    time: float
    spent: Spent = Spent()


@dataclasses.dataclass(frozen=True)
class ProgramCompiled:
    """A program, ``"train"`` or ``"test"``, was traced and compiled; ``reason`` says why in words."""

    program: str
    reason: str
    seconds: float
    time: float


@dataclasses.dataclass(frozen=True)
class MemorySeen:
    """Bytes in use: of this process against what it may use, and of the device where it tells."""

    used: int | None
    peak: int | None
    limit: int | None
    time: float
    device_used: int | None = None
    device_peak: int | None = None
    device_limit: int | None = None


@dataclasses.dataclass(frozen=True)
class Intervened:
    """Something was done to the run, or could not be done."""

    intervention: Intervention
    time: float


@dataclasses.dataclass(frozen=True)
class Asked:
    """A reader of a view asked for something that is not done yet; made by that view for itself."""

    kind: Kind
    time: float


@dataclasses.dataclass(frozen=True)
class ControlsChanged:
    """What can be done to the run from now on; sent where a view can steer.

    ``learning_rate`` is that of now, and ``schedule`` names what sets it where it cannot be set by hand.
    ``best`` says where going back would lead, ``""`` as long as there is nothing to go back to.
    """

    learning_rate: float | None
    schedule: str
    best: str
    time: float


@dataclasses.dataclass(frozen=True)
class RunEnded:
    """The run is over; ``message`` says why when it did not simply finish."""

    outcome: Outcome
    message: str
    time: float


Event = (
    RunStarted
    | PhaseStarted
    | EpochStarted
    | StepsDone
    | WeightsSeen
    | Advised
    | EpochEnded
    | ProgramCompiled
    | MemorySeen
    | Intervened
    | Asked
    | ControlsChanged
    | RunEnded
)


class Sink(Protocol):
    """Receives every event of a run, on the thread that trains."""

    def emit(self, event: Event) -> None:
        """Take one event. Must be quick: the training step waits for it."""
        ...

    def wants_weights(self) -> bool:
        """Whether a ``WeightsSeen`` is due now; asked after every dispatch."""
        ...


class Controls(Protocol):
    """What a front end may ask of a run, from any thread; ``training.control.RunControl`` is one."""

    def pause(self) -> bool: ...

    def resume(self) -> bool: ...

    def stop(self) -> bool: ...

    def checkpoint(self) -> bool: ...

    def rewind(self) -> bool: ...

    def set_learning_rate(self, value: float) -> bool: ...

    def keep_best(self) -> None: ...

    @property
    def done(self) -> bool: ...


@runtime_checkable
class SteeringSink(Protocol):
    """A view from which a reader can steer the run."""

    def attach(self, controls: Controls) -> None:
        """Take what steers the run, before its first event."""
        ...


@runtime_checkable
class InspectingSink(Protocol):
    """A view that can show more of the weights than their values."""

    def wants_gradients(self) -> bool:
        """Whether the next ``WeightsSeen`` should hold gradients, updates and layers too."""
        ...
