"""The host loop: batches in, compiled steps, events and callbacks out."""

from __future__ import annotations

import dataclasses
import itertools
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerasmagic.core import tree
from kerasmagic.training import events
from kerasmagic.training.fusing import Execution
from kerasmagic.training.interrupts import InterruptGuard
from kerasmagic.training.pace import Pace
from kerasmagic.training.probes import histograms
from kerasmagic.training.state import put, take, variables_of


@dataclasses.dataclass
class Plan:
    """What a run of ``fit`` does.

    Args:
        epochs: The number of the last epoch.
        initial_epoch: The number of the first, counted from 0.
        steps: Batches in an epoch, if the user limits them.
        known_steps: Batches in an epoch, if the data tell.
        validate: Measures on the validation data and returns ``val_...`` values.
        validates: Whether the epoch of a given number ends with validation.
    """

    epochs: int
    initial_epoch: int = 0
    steps: int | None = None
    known_steps: int | None = None
    validate: Callable[[], dict[str, float]] | None = None
    validates: Callable[[int], bool] = lambda epoch: True


class TrainingRun:
    """One call of ``fit``, from the first batch to the last event.

    Args:
        model: A compiled, built model.
        execution: The compiled training step, alone or many at a time.
        source: The training data.
        plan: How long, and when to validate.
        callbacks: A list of callbacks as one.
        sinks: Views that take events.
    """

    def __init__(
        self,
        model: Any,
        execution: Execution,
        source: Any,
        plan: Plan,
        callbacks: Any,
        sinks: Sequence[events.Sink],
    ):
        self.model = model
        self.source = source
        self.plan = plan
        self.callbacks = callbacks
        self.sinks = list(sinks)
        self.variables = variables_of(model)
        self.state = take(self.variables)
        # Whether the state is newer than what the variables hold.
        self.ahead = False
        self.logs: Mapping[str, Any] = {}
        self.total_step = 0
        self.phase: events.Phase = "compiling"
        hooks = ("on_train_batch_begin", "on_train_batch_end")
        self.calls_at_batches = any(callbacks.wants(hook) for hook in hooks)
        self.shows_weights_at_batches = any(callbacks.wants(hook, at_once=True) for hook in hooks)
        steps = plan.known_steps
        self.pace = Pace(
            execution,
            steps_ahead=None if steps is None else steps * (plan.epochs - plan.initial_epoch),
            steps_per_epoch=steps,
            watched=self.shows_weights_at_batches,
        )
        self.execution = execution
        self.guard = InterruptGuard(unsafe=self._lost)
        self.shows_weights = False

    def _lost(self) -> bool:
        """Whether the state was given to the device and the next one is not yet here."""
        return any(getattr(value, "is_deleted", bool)() for value in self.state.trainable)

    def run(self) -> None:
        """Train, and leave the model as of the last finished step whatever happens."""
        outcome, message = "failed", ""
        try:
            with self.guard:
                try:
                    self._train()
                finally:
                    with self.guard.critical():
                        self._give()
            outcome = "stopped" if self.model.stop_training else "finished"
        except KeyboardInterrupt:
            outcome, message = "interrupted", "The weights are those of the last finished step."
            raise
        except BaseException as error:
            message = f"{type(error).__name__}: {error}"
            raise
        finally:
            if self.shows_weights:
                self._see_weights()
            self.emit(events.RunEnded(outcome, message, time.time()))

    def _give(self) -> None:
        """Let the variables hold the state."""
        if self.ahead:
            put(self.variables, self.state)
            self.ahead = False

    def _take(self) -> None:
        """Go on from what the variables hold: someone may have assigned to them."""
        if not self.ahead:
            self.state = take(self.variables)

    def _train(self) -> None:
        self.callbacks.on_train_begin()
        # A callback that goes on from a backup says where.
        first, done = self.model._resumed or (self.plan.initial_epoch, 0)
        training_logs: dict[str, float] = {}
        epochs = self.source.epochs(self.plan.steps)
        for epoch in range(first, self.plan.epochs):
            batches = next(epochs)
            self.model.reset_metrics()
            self.callbacks.on_epoch_begin(epoch)
            self.source.begin_epoch()
            self._take()
            self.emit(events.EpochStarted(epoch, time.time()))
            self.emit(events.PhaseStarted(self.phase, time.time()))
            count = self._epoch(epoch, batches, done if epoch == first else 0)
            dry = count < (self.plan.steps or 1) and not self.model.stop_training
            if dry:
                _warn_dry()
            if count == 0:
                break
            training_logs = self._end_epoch(epoch)
            self.source.end_epoch()
            if dry or self.model.stop_training:
                break
        self._finish(training_logs)

    def _finish(self, logs: dict[str, float]) -> None:
        optimizer = self.model.optimizer
        if optimizer is not None and optimizer.built:
            optimizer.finalize_variable_values(self.model.trainable_variables)
        self.callbacks.on_train_end(logs)
        self._take()

    def _epoch(self, epoch: int, batches: Iterator[Any], done: int) -> int:
        """Run the steps of an epoch behind the ``done`` first; return how many batches there were."""
        count = sum(1 for _ in itertools.islice(batches, done))
        while group := list(itertools.islice(batches, self.pace.steps)):
            self._before(count)
            self._execute(group)
            count += len(group)
            self._after(count - 1)
            self._report(epoch, count, _batch_samples(group[-1]))
            if self.model.stop_training:
                break
            self.pace.watch(len(group), self.logs)
        return count

    def _before(self, index: int) -> None:
        if self.calls_at_batches:
            self.callbacks.on_train_batch_begin(index)
        if self.shows_weights_at_batches:
            self._take()

    def _after(self, index: int) -> None:
        if self.shows_weights_at_batches:
            with self.guard.critical():
                self._give()
        if self.calls_at_batches:
            self.callbacks.on_train_batch_end(index, dict(self.logs))
        if self.shows_weights_at_batches:
            self._take()

    def _execute(self, group: list[Any]) -> None:
        for run, steps in self.execution.runs(group, self.state):
            with self.guard.critical():
                self.logs, self.state = run(self.state)
                self.ahead = True
                self.total_step += steps

    def _report(self, epoch: int, count: int, samples: int) -> None:
        if not self.sinks:
            return
        if any(sink.wants_weights() for sink in self.sinks):
            self.shows_weights = True
            self._see_weights()
        if self.phase == "compiling":
            # The first step and the first histograms return when compiled, not when they have run.
            self.phase = "training"
            self.emit(events.PhaseStarted(self.phase, time.time()))
        self.emit(events.StepsDone(epoch, count, self.total_step, samples, self.logs, time.time()))
        if any(sink.stop_requested for sink in self.sinks):
            self.model.stop_training = True

    def _see_weights(self) -> None:
        if any(value.is_deleted() for value in self.state.trainable):
            return
        names = [v.path for v in self.variables.trainable]
        self.emit(events.WeightsSeen(self.total_step, histograms(names, self.state.trainable), time.time()))

    def _end_epoch(self, epoch: int) -> dict[str, float]:
        with self.guard.critical():
            self._give()
        logs = pythonify(self.logs)
        if self.plan.validate is not None and self.plan.validates(epoch):
            self.emit(events.PhaseStarted("validating", time.time()))
            measured = {f"val_{name}": value for name, value in self.plan.validate().items()}
            logs = dict(sorted({**logs, **measured}.items()))
        self.callbacks.on_epoch_end(epoch, logs)
        self._take()
        self.emit(events.EpochEnded(epoch, logs, _learning_rate(self.model), time.time()))
        return logs

    def emit(self, event: events.Event) -> None:
        """Hand an event to every view; a view that fails is left out from then on."""
        for sink in list(self.sinks):
            try:
                sink.emit(event)
            except Exception as error:
                self.sinks.remove(sink)
                warnings.warn(f"A view of the training run failed and was closed: {error!r}", stacklevel=2)


def _warn_dry() -> None:
    warnings.warn(
        "Your input ran out of data; interrupting training. Make sure that your dataset or generator "
        "can generate at least `steps_per_epoch * epochs` batches.",
        stacklevel=5,
    )


def pythonify(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as floats, sorted by name; waits for the device.

    >>> pythonify({"loss": np.float32(0.5), "accuracy": 1})
    {'accuracy': 1.0, 'loss': 0.5}
    """

    def value(x: Any) -> Any:
        if isinstance(x, Mapping):
            return pythonify(x)
        array = np.asarray(x)
        return float(array) if array.ndim == 0 else array

    result: dict[str, Any] = {}
    for name, x in sorted(logs.items()):
        converted = value(x)
        # A metric whose result is a dict counts as several metrics.
        result.update(converted if isinstance(converted, dict) else {name: converted})
    return result


def _batch_samples(batch: Any) -> int:
    sizes = [np.shape(leaf)[0] for leaf in tree.flatten(batch) if leaf is not None and np.ndim(leaf) > 0]
    return sizes[0] if sizes else 1


def _learning_rate(model: Any) -> float | None:
    rate = getattr(model.optimizer, "learning_rate", None)
    try:
        return None if rate is None else float(np.asarray(rate))
    except TypeError:
        return None
