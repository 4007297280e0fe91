"""Does at a run's ticks what its control was asked for, and writes it down with its place in the run.

A tick is a moment between two dispatches. Its place is the epoch and how many batches of it are done, so a
run from the same seeds can be steered in the same way again, with the same bits as the result.
"""

from __future__ import annotations

import dataclasses
import math
import re
import time
import warnings
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.callbacks.intervention import Intervention, Kind
from kerasmagic.callbacks.monitor import plain_optimizers
from kerasmagic.core.variable import Variable
from kerasmagic.training.control import Request, RunControl
from kerasmagic.training.events import ControlsChanged, Event, Intervened, Phase, PhaseStarted
from kerasmagic.training.interrupts import InterruptGuard
from kerasmagic.training.state import TrainState

FOLDER = "checkpoints"


class Steered(Protocol):
    """What steering needs of a run."""

    model: Any
    variables: TrainState
    state: TrainState
    ahead: bool
    phase: Phase
    total_step: int
    history: Any
    guard: InterruptGuard

    def give(self) -> None:
        """Let the variables hold the state."""
        ...

    def take(self) -> None:
        """Go on from what the variables hold."""
        ...

    def emit(self, event: Event) -> None:
        """Hand an event to every view."""
        ...

    def remake(self, reason: str) -> None:
        """Trace the step anew from the next batch on."""
        ...


@dataclasses.dataclass(frozen=True)
class Best:
    """The values of the variables, on the host, after the best epoch so far (counted from 0)."""

    epoch: int
    monitor: str
    value: float
    values: list[list[np.ndarray]]

    def __str__(self) -> str:
        return f"epoch {self.epoch + 1}, {self.monitor} {self.value:.4g}"


class Steering:
    """Steers one run.

    Args:
        run: The run.
        control: Where others ask.
        replay: What to do again; what the weights do not depend on is left out.
        tells: Whether a view shows what can be done.
    """

    def __init__(
        self, run: Steered, control: RunControl, replay: Iterable[Intervention] = (), tells: bool = False
    ):
        self._run = run
        self._control = control
        self._tells = tells
        self._told: tuple[Any, ...] = ()
        self._place = (0, 0)
        self._best: Best | None = None
        self._waiting: deque[Request] = deque()
        self._replay: dict[tuple[int, int], list[Intervention]] = defaultdict(list)
        for each in replay:
            if each.steers:
                self._replay[each.epoch, each.batch].append(each)
        if any(each.kind == "rewind" for group in self._replay.values() for each in group):
            control.keep_best()
        self.stopped = False

    def tick(self, epoch: int, batch: int) -> None:
        """Do what was asked for, ``batch`` batches into an epoch; nothing if nothing was."""
        if self._control.pending or self._replay:
            self._act(epoch, batch)

    def room(self, epoch: int, batch: int, steps: int) -> int:
        """Return how many steps may go to the device together: no more than up to the next one to repeat."""
        if not self._replay:
            return steps
        ahead = [at for number, at in self._replay if number == epoch and at > batch]
        return min(steps, min(ahead, default=batch + steps) - batch)

    def _act(self, epoch: int, batch: int) -> None:
        self._place = (epoch, batch)
        repeated = [Request(each.kind, each.value) for each in self._replay.pop(self._place, ())]
        asked = self._control.take() if self._control.pending else []
        if not (repeated or asked):
            return
        self._run.give()
        self._waiting.extend((*repeated, *asked))
        while self._waiting:
            self._do(self._waiting.popleft())
        self._run.take()
        self._control.done_with()
        self.tell()

    def _do(self, request: Request) -> None:
        kind, value = request
        if kind == "interrupt":
            raise KeyboardInterrupt
        if kind == "pause":
            self._pause()
        elif kind == "stop":
            self._stop()
        elif kind == "rewind":
            self._rewind()
        elif kind == "checkpoint":
            self._checkpoint(value)
        elif kind == "learning_rate":
            self._set_rate(float(value))

    def _note(self, kind: Kind, message: str, *, value: Any = None, done: bool = True) -> None:
        epoch, batch = self._place
        made = Intervention(kind, epoch, batch, self._run.total_step, value, done, message)
        if self._run.history is not None:
            self._run.history.interventions.append(made)
        self._run.emit(Intervened(made, time.time()))

    def _stop(self) -> None:
        self.stopped = self._run.model.stop_training = True
        self._note("stop", "stopped")

    def _pause(self) -> None:
        self._note("pause", "paused")
        self._run.emit(PhaseStarted("paused", time.time()))
        # Who evaluates the model meanwhile counts from the beginning: the epoch's own counts come back.
        counts = [jnp.array(v.stored(), copy=True) for v in self._run.variables.metrics]
        going = False
        while not (going or self.stopped):
            if not self._waiting:
                self.tell()
                self._control.done_with(rests=True)
                self._waiting.extend(self._control.rest())
            request = self._waiting.popleft()
            going = request.kind == "resume"
            if request.kind not in ("pause", "resume"):
                self._do(request)
        for variable, count in zip(self._run.variables.metrics, counts, strict=True):
            variable.store(count)
        if not self.stopped:
            self._note("resume", "resumed")
        self._run.emit(PhaseStarted(self._run.phase, time.time()))

    # The best weights

    def keep_best(self, epoch: int, logs: Mapping[str, Any], validates: bool) -> None:
        """Keep the variables' values if the epoch that ended with ``logs`` is the best so far."""
        monitor = "val_loss" if validates else "loss"
        value = logs.get(monitor)
        if not self._control.keeps_best or not isinstance(value, float) or not math.isfinite(value):
            return
        if self._best is None or value < self._best.value:
            groups = self._run.variables[:3]
            # A view of a buffer would keep the step from giving it away.
            values = [[np.array(v.stored(), copy=True) for v in group] for group in groups]
            self._best = Best(epoch, monitor, value, values)

    def _rewind(self) -> None:
        best = self._best
        if best is None:
            reason = (
                "no epoch has ended yet" if self._control.keeps_best else "the best weights were not kept"
            )
            self._control.keep_best()
            self._note("rewind", f"nothing to go back to: {reason}", done=False)
            return
        stays = {id(rate) for rate in rate_variables(self._run.model.optimizer)}
        changes = [
            (variable, _placed_like(variable.stored(), value))
            for group, values in zip(self._run.variables, best.values, strict=False)
            for variable, value in zip(group, values, strict=True)
            if id(variable) not in stays
        ]
        # An interrupt in between would leave a model of two halves.
        with self._run.guard.critical():
            for variable, value in changes:
                variable.store(value)
        self._note("rewind", f"went back to {best}", value=best.epoch)

    # Files

    def _checkpoint(self, path: str | None) -> None:
        model = self._run.model
        name = re.sub(r"[^\w.-]+", "_", model.name).strip(".") or "model"
        target = Path(path or f"{FOLDER}/{name}-step-{self._run.total_step}.keras")
        try:
            written = _write(model, target)
        except Exception as error:
            # A full disk, a layer that cannot be written: the files from before are as they were.
            reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            text = f"no checkpoint written to {target}: {reason}"
            self._note("checkpoint", text, value=str(target), done=False)
            return
        self._note("checkpoint", f"checkpoint written to {written}", value=str(written))

    # The learning rate

    def _set_rate(self, rate: float) -> None:
        optimizer = self._run.model.optimizer
        before = rate_of(optimizer)
        scheduled = [one for one in _inner(optimizer) if _schedule(one) is not None]
        if before is None or (scheduled and not before):
            reason = schedule_name(optimizer) or "no number"
            at_zero = ", is 0 now" if before == 0 else ""
            text = f"the learning rate follows {reason}{at_zero} and was not changed"
            self._note("learning_rate", text, value=rate, done=False)
            return
        factor = rate / before if before else 1.0
        first = _inner(optimizer)[0]
        for one in _inner(optimizer):
            held = one.__dict__.get("_learning_rate")
            if isinstance(held, Variable):
                held.assign(rate if one is first else float(held.numpy()) * factor if before else rate)
        for one in scheduled:
            one.learning_rate = _schedule(one).scaled(factor)
        text = f"learning rate {before:.4g} → {rate:.4g}"
        if scheduled:
            # A program has the schedule in it.
            self._run.remake("the schedule of the learning rate was scaled")
            text += f", all of {schedule_name(scheduled[0])} × {factor:.4g} from here on"
        self._control.see_learning_rate(rate)
        self._note("learning_rate", text, value=rate)

    def tell(self) -> None:
        """Tell control and views what can be done now; the variables must hold the state."""
        optimizer = self._run.model.optimizer
        rates = rate_variables(optimizer)
        # A schedule is computed for those who look.
        looks = rates or self._tells or self._control.keeps_best
        rate = rate_of(optimizer) if looks else None
        self._control.see_learning_rate(rate)
        now = (rate, "" if rates else schedule_name(optimizer), str(self._best or ""))
        if self._tells and now != self._told:
            self._told = now
            self._run.emit(ControlsChanged(*now, time.time()))

    def finish(self) -> None:
        """Warn of what could not be done again."""
        missed = sum(map(len, self._replay.values()))
        if missed and not self.stopped:
            epoch, batch = min(self._replay)
            warnings.warn(
                f"{missed} of the interventions to replay did not come to their turn, the first at batch "
                f"{batch} of epoch {epoch + 1}: the run was shorter.",
                stacklevel=8,
            )


def _write(model: Any, path: Path) -> Path:
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
        return path
    try:
        model.save(path)
    except OSError:
        raise
    except Exception:
        # What cannot say how to make it again still has weights.
        path = path.with_name(path.name.removesuffix(".keras") + ".weights.h5")
        model.save_weights(path)
    return path


def _placed_like(old: jax.Array, value: np.ndarray) -> jax.Array:
    # An array that is committed to a device where the old one was not would have every program compiled again.
    return (
        jax.device_put(value, old.sharding, may_alias=False) if old.committed else jnp.array(value, copy=True)
    )


def rate_variables(optimizer: Any) -> list[Variable]:
    """Return the variables that hold the learning rate; none where a schedule gives it.

    >>> from kerasmagic.optimizers import SGD, schedules
    >>> len(rate_variables(SGD(0.1))), len(rate_variables(SGD(schedules.ExponentialDecay(0.1, 10, 0.5))))
    (1, 0)
    """
    if optimizer is None:
        return []
    rates = [one.__dict__.get("_learning_rate") for one in _inner(optimizer)]
    return [rate for rate in rates if isinstance(rate, Variable)]


def rate_of(optimizer: Any) -> float | None:
    """Return the learning rate now, of several optimizers that of the first; ``None`` where no number can be set.

    >>> from kerasmagic.optimizers import SGD, schedules
    >>> rate_of(SGD(schedules.PiecewiseConstantDecay([10], [0.5, 0.25]))), rate_of(SGD(lambda: 0.1))
    (0.5, None)
    """
    first = _inner(optimizer)[0] if optimizer is not None else None
    held = None if first is None else first.__dict__.get("_learning_rate")
    if isinstance(held, Variable):
        return float(held.numpy())
    return None if first is None or _schedule(first) is None else float(first.learning_rate)


def _inner(optimizer: Any) -> list[Any]:
    return [] if optimizer is None else [inner(each) for each, _ in plain_optimizers(optimizer)]


def _schedule(optimizer: Any) -> Any:
    held = optimizer.__dict__.get("_learning_rate")
    return held if hasattr(held, "scaled") else None


def schedule_name(optimizer: Any) -> str:
    """Return the name of what gives the learning rate, ``""`` where nothing does."""
    if optimizer is None:
        return ""
    rate = inner(plain_optimizers(optimizer)[0][0]).__dict__.get("_learning_rate")
    # Scaled or not, it is the one that the user wrote.
    rate = getattr(rate, "schedule", rate)
    return getattr(rate, "__name__", type(rate).__name__)


def inner(optimizer: Any) -> Any:
    """Return the optimizer that a wrapper scales the loss for, or the optimizer itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)
