"""The host loop: batches in, compiled steps, events and callbacks out."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerasmagic.core import tree
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.training import events
from kerasmagic.training.data.arrays import to_device
from kerasmagic.training.interrupts import InterruptGuard
from kerasmagic.training.probes import histograms
from kerasmagic.training.state import TrainState, put, take, variables_of

Step = Callable[[TrainState, Any], tuple[Any, TrainState]]


@dataclasses.dataclass
class Plan:
    """What a run of ``fit`` does.

    Args:
        epochs: The number of the last epoch.
        initial_epoch: The number of the first, counted from 0.
        steps: Batches in an epoch, if the user limits them.
        steps_per_execution: Steps between two looks at callbacks and views.
        validate: Measures on the validation data and returns ``val_...`` values.
        validates: Whether the epoch of a given number ends with validation.
    """

    epochs: int
    initial_epoch: int = 0
    steps: int | None = None
    steps_per_execution: int = 1
    validate: Callable[[], dict[str, float]] | None = None
    validates: Callable[[int], bool] = lambda epoch: True


class TrainingRun:
    """One call of ``fit``, from the first batch to the last event.

    Args:
        model: A compiled, built model.
        step: The compiled training step.
        source: The training data.
        plan: How long, and when to validate.
        callbacks: A list of callbacks as one.
        sinks: Views that take events.
    """

    def __init__(
        self, model: Any, step: Step, source: Any, plan: Plan, callbacks: Any, sinks: Sequence[events.Sink]
    ):
        self.model = model
        self.step = step
        self.source = source
        self.plan = plan
        self.callbacks = callbacks
        self.sinks = list(sinks)
        self.variables = variables_of(model)
        self.state = take(self.variables)
        self.logs: Mapping[str, Any] = {}
        self.total_step = 0
        self.phase: events.Phase = "compiling"
        hooks = ("on_train_batch_begin", "on_train_batch_end")
        self.calls_at_batches = any(callbacks.wants(hook) for hook in hooks)
        self.shows_weights_at_batches = any(callbacks.wants(hook, at_once=True) for hook in hooks)
        self.guard = InterruptGuard()
        self.shows_weights = False

    def run(self) -> None:
        """Train, and leave the model as of the last finished step whatever happens."""
        outcome, message = "failed", ""
        try:
            with self.guard:
                self._train()
            outcome = "stopped" if self.model.stop_training else "finished"
        except KeyboardInterrupt:
            outcome, message = "interrupted", "The weights are those of the last finished step."
            raise
        except BaseException as error:
            message = f"{type(error).__name__}: {error}"
            raise
        finally:
            put(self.variables, self.state)
            if self.shows_weights:
                self._see_weights()
            self.emit(events.RunEnded(outcome, message, time.time()))

    def _train(self) -> None:
        self.callbacks.on_train_begin()
        training_logs: dict[str, float] = {}
        epochs = self.source.epochs(self.plan.steps)
        for epoch in range(self.plan.initial_epoch, self.plan.epochs):
            batches = next(epochs)
            self.model.reset_metrics()
            self.callbacks.on_epoch_begin(epoch)
            self.state = take(self.variables)
            self.emit(events.EpochStarted(epoch, time.time()))
            self.emit(events.PhaseStarted(self.phase, time.time()))
            if not self._epoch(epoch, batches):
                warnings.warn(
                    "Your input ran out of data; interrupting training. Make sure that your dataset or generator "
                    "can generate at least `steps_per_epoch * epochs` batches.",
                    stacklevel=4,
                )
                break
            training_logs = self._end_epoch(epoch)
            if self.source.on_epoch_end is not None:
                self.source.on_epoch_end()
            if self.model.stop_training:
                break
        self.callbacks.on_train_end(training_logs)

    def _epoch(self, epoch: int, batches: Iterator[Any]) -> bool:
        """Run the steps of an epoch; return whether there was a batch."""
        count = samples = 0
        for count, batch in enumerate(batches, 1):
            self._before_batch(count - 1)
            self._one_step(to_device(batch))
            self._after_batch(count - 1)
            samples = _batch_samples(batch)
            if count % self.plan.steps_per_execution == 0:
                self._report(epoch, count, samples)
            if self.model.stop_training:
                break
        if count % self.plan.steps_per_execution:
            self._report(epoch, count, samples)
        return count > 0

    def _before_batch(self, index: int) -> None:
        if self.calls_at_batches:
            self.callbacks.on_train_batch_begin(index)
        if self.shows_weights_at_batches:
            self.state = take(self.variables)

    def _after_batch(self, index: int) -> None:
        if self.shows_weights_at_batches:
            put(self.variables, self.state)
        if self.calls_at_batches:
            self.callbacks.on_train_batch_end(index, dict(self.logs))

    def _one_step(self, batch: Any) -> None:
        with self.guard.critical():
            self.logs, self.state = self.step(self.state, batch)
        self.total_step += 1

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
        put(self.variables, self.state)
        logs = pythonify(self.logs)
        if self.plan.validate is not None and self.plan.validates(epoch):
            self.emit(events.PhaseStarted("validating", time.time()))
            measured = {f"val_{name}": value for name, value in self.plan.validate().items()}
            logs = dict(sorted({**logs, **measured}.items()))
        self.callbacks.on_epoch_end(epoch, logs)
        self.state = take(self.variables)
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


def one_batch(model: Any, step: Step, batch: Any) -> dict[str, float]:
    """Run one step on one batch and return what it measured."""
    variables = variables_of(model)
    state = take(variables)
    with InterruptGuard() as guard, guard.critical():
        logs, state = step(state, to_device(batch))
        put(variables, state)
    return pythonify(logs)


def evaluate(model: Any, step: Step, source: Any, steps: int | None, callbacks: Any) -> dict[str, float]:
    """Measure loss and metrics over the data and return them by name."""
    variables = variables_of(model)
    model.reset_metrics()
    callbacks.on_test_begin()
    state, logs, count = take(variables), {}, 0
    guard = InterruptGuard()
    try:
        with guard:
            for count, batch in enumerate(next(source.epochs(steps)), 1):
                callbacks.on_test_batch_begin(count - 1)
                with guard.critical():
                    logs, state = step(state, to_device(batch))
                callbacks.on_test_batch_end(count - 1, logs)
                if model.stop_evaluating:
                    break
    finally:
        put(variables, state)
    if count == 0:
        raise InvalidArgument("The data is empty: it gave not one batch to evaluate on.")
    result = pythonify(logs)
    callbacks.on_test_end(result)
    return result


def predict(model: Any, step: Step, source: Any, steps: int | None, callbacks: Any) -> Any:
    """Return the outputs for all the data, as NumPy arrays in the structure of the outputs."""
    variables = variables_of(model)
    callbacks.on_predict_begin()
    state, outputs = take(variables), []
    guard = InterruptGuard()
    try:
        with guard:
            for count, batch in enumerate(next(source.epochs(steps))):
                callbacks.on_predict_batch_begin(count)
                with guard.critical():
                    y, state = step(state, to_device(batch))
                # Results are fetched one batch late, while the device computes the next.
                outputs.append(y)
                if len(outputs) > 1:
                    outputs[-2] = tree.map_structure(np.asarray, outputs[-2])
                callbacks.on_predict_batch_end(count, {"outputs": y})
                if model.stop_predicting:
                    break
    finally:
        put(variables, state)
    if not outputs:
        raise InvalidArgument("The data is empty: it gave not one batch to predict on.")
    callbacks.on_predict_end()
    outputs = [tree.map_structure(np.asarray, y) for y in outputs]
    return tree.map_structure(lambda *parts: np.concatenate(parts), *outputs)


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
