"""The host loop: batches in, compiled steps, events and callbacks out."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.callbacks.intervention import Intervention
from kerasmagic.training import events
from kerasmagic.training.control import RunControl
from kerasmagic.training.data.upcoming import Upcoming
from kerasmagic.training.fusing import Dispatch, Execution
from kerasmagic.training.insight import Insight
from kerasmagic.training.interrupts import InterruptGuard
from kerasmagic.training.state import TrainState, on_device, put, take, variables_of
from kerasmagic.training.steering import Steering
from kerasmagic.training.stopwatch import Stopwatch


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
        replay: What was done to another run while it ran, to be done to this one.
    """

    epochs: int
    initial_epoch: int = 0
    steps: int | None = None
    known_steps: int | None = None
    validate: Callable[[], dict[str, float]] | None = None
    validates: Callable[[int], bool] = lambda epoch: True
    replay: Sequence[Intervention] = ()

    @property
    def total_steps(self) -> int | None:
        """The batches of all epochs from number 0 on, if they are known; a run that goes on has those of the whole."""
        return self.known_steps and self.known_steps * self.epochs


class TrainingRun:
    """One call of ``fit``, from the first batch to the last event.

    Args:
        model: A compiled, built model.
        execution: The compiled training step, alone or many at a time.
        source: The training data.
        plan: How long, and when to validate.
        callbacks: A list of callbacks as one.
        sinks: Views that take events.
        control: Where others ask for a pause, a stop and the like.
        shared: Whether other threads may read the variables meanwhile: they never hold what a step gives away.
    """

    def __init__(
        self,
        model: Any,
        execution: Execution,
        source: Any,
        plan: Plan,
        callbacks: Any,
        sinks: Sequence[events.Sink],
        control: RunControl,
        *,
        shared: bool = False,
    ):
        self.model = model
        self.source = source
        self.plan = plan
        self.callbacks = callbacks
        self.sinks = list(sinks)
        self.control = control
        self.shared = shared
        self.history = getattr(callbacks, "history", None)
        self.variables = variables_of(model)
        self.state = self._taken()
        # Whether the state is newer than what the variables hold.
        self.ahead = False
        self.logs: Mapping[str, Any] = {}
        self.total_step = 0
        self.phase: events.Phase = "compiling"
        hooks = ("on_train_batch_begin", "on_train_batch_end")
        self.calls_at_batches = any(callbacks.wants(hook) for hook in hooks)
        self.shows_weights_at_batches = any(callbacks.wants(hook, at_once=True) for hook in hooks)
        self.pace = execution.pace(watched=self.calls_at_batches)
        self.execution = execution
        self.told_compiled = 0
        source.keep_on_device()
        self.guard = InterruptGuard(unsafe=self._lost)
        self.insight = Insight(model, self.state) if self.sinks else None
        self.stopwatch = Stopwatch()
        steering = [sink for sink in self.sinks if isinstance(sink, events.SteeringSink)]
        for sink in steering:
            self._hand(sink, sink.attach, control)
        self.steering = Steering(self, control, plan.replay, tells=bool(steering))

    def _lost(self) -> bool:
        """Whether the state was given to the device and the next one is not yet here."""
        return any(getattr(value, "is_deleted", bool)() for value in self.state.trainable)

    def run(self) -> None:
        """Train, and leave the model as of the last finished step whatever happens."""
        outcome, message = "failed", ""
        self.model._run = self.control
        self.control.begin()
        try:
            with self.guard, self.stopwatch:
                try:
                    self._train()
                finally:
                    self.give()
            outcome = "stopped" if self.model.stop_training else "finished"
        except KeyboardInterrupt:
            outcome, message = "interrupted", "The weights are those of the last finished step."
            raise
        except BaseException as error:
            message = f"{type(error).__name__}: {error}"
            raise
        finally:
            try:
                if self.insight is not None:
                    waits = outcome in ("finished", "stopped")
                    self._pass_on(self.insight.finish(self.state, self.total_step, waits))
                self.emit(events.RunEnded(outcome, message, time.time()))
            finally:
                self.model._run = None
                self.control.end(outcome)

    def give(self) -> None:
        """Let the variables hold the state."""
        with self.guard.critical():
            if self.ahead:
                put(self.variables, self.state)
                self.ahead = False

    def take(self) -> None:
        """Go on from what the variables hold: someone may have assigned to them."""
        if not self.ahead:
            self.state = self._taken()

    def _taken(self) -> TrainState:
        state = take(self.variables)
        if not self.shared:
            return state
        return jax.tree.map(lambda value: jnp.array(value, copy=True), on_device(state))

    def _train(self) -> None:
        self.callbacks.on_train_begin()
        # A callback that goes on from a backup says where.
        first, done = self.model._resumed or (self.plan.initial_epoch, 0)
        training_logs: dict[str, float] = {}
        epochs = self.source.epochs(self.plan.steps)
        self.take()
        self.steering.tell()
        self.steering.tick(first, done)
        for epoch in range(first, self.plan.epochs):
            if self.steering.stopped:
                break
            self.model.reset_metrics()
            self.control.epoch = epoch
            self.callbacks.on_epoch_begin(epoch)
            self.source.begin_epoch()
            self.take()
            self.emit(events.EpochStarted(epoch, time.time()))
            self.emit(events.PhaseStarted(self.phase, time.time()))
            # An order is drawn only now: a callback may have fixed the random generator.
            count = self._epoch(epoch, next(epochs), done if epoch == first else 0)
            dry = count < (self.plan.steps or 1) and not self.model.stop_training
            if dry:
                _warn_dry()
            if count == 0:
                break
            training_logs = self._end_epoch(epoch)
            self.source.end_epoch()
            self.steering.tick(epoch + 1, 0)
            if dry or self.model.stop_training:
                break
        self.steering.finish()
        self._finish(training_logs)

    def _finish(self, logs: dict[str, float]) -> None:
        optimizer = self.model.optimizer
        if optimizer is not None and optimizer.built:
            optimizer.finalize_variable_values(self.model.trainable_variables)
        self.callbacks.on_train_end(logs)
        self.take()

    def _epoch(self, epoch: int, batches: Iterable[Any], done: int) -> int:
        """Run the steps of an epoch behind the ``done`` first; return how many batches there were."""
        upcoming = Upcoming(batches)
        count = upcoming.skip(done)
        self.pace.begin_epoch()
        groups = self._groups(upcoming, lambda steps: self.steering.room(epoch, count, steps))
        while group := self.stopwatch.fetch(lambda: next(groups, None), self.logs):
            self._before(count)
            for dispatch in group:
                self._execute(dispatch)
            steps = sum(dispatch.steps for dispatch in group)
            count += steps
            self._after(count - 1)
            self._report(epoch, count, group)
            self.steering.tick(epoch, count)
            if self.model.stop_training:
                break
            self.pace.watch(steps, self.logs)
        return count

    def _groups(self, upcoming: Upcoming, room: Callable[[int], int]) -> Iterator[list[Dispatch]]:
        """Yield programs for all batches; each group is run before the next is asked for."""
        changed = True
        while changed:
            # What the programs from before were to do next, the new ones do.
            upcoming.again()
            changed, execution = False, self.execution
            for group in execution.dispatches(
                upcoming,
                self.pace,
                lambda: self.state,
                self.source.table,
                self.plan.known_steps,
                room=room,
                samples=self.source.samples,
                batch_size=self.source.batch_size,
                expected=self.plan.total_steps,
            ):
                yield group
                changed = execution is not self.execution
                if changed:
                    break

    def remake(self, reason: str) -> None:
        """Trace and compile the step anew, from the next batch on: what it is made of was changed."""
        self.execution = self.model.make_train_function(force=reason)
        if self.insight is not None:
            self.insight.forget_programs()

    def _before(self, index: int) -> None:
        if self.calls_at_batches:
            self.callbacks.on_train_batch_begin(index)
        if self.shows_weights_at_batches:
            self.take()

    def _after(self, index: int) -> None:
        if self.shows_weights_at_batches:
            self.give()
        if self.calls_at_batches:
            self.callbacks.on_train_batch_end(index, dict(self.logs))
        if self.shows_weights_at_batches:
            self.take()

    def _execute(self, dispatch: Dispatch) -> None:
        with self.guard.critical():
            self.logs, self.state = dispatch.run(self.state)
            self.ahead = True
            self.total_step += dispatch.steps
            self.control.step, self.control.logs = self.total_step, self.logs

    def _tell_compiled(self) -> None:
        for one in self.model.compilations[self.told_compiled :]:
            self.emit(events.ProgramCompiled(one.program, one.reason, one.seconds, time.time()))
        self.told_compiled = len(self.model.compilations)

    def _report(self, epoch: int, count: int, group: Sequence[Dispatch]) -> None:
        if self.insight is None or not self.sinks:
            return
        self._tell_compiled()
        spent, step = self.stopwatch.spent, self.total_step
        self._pass_on(self.insight.after(self.state, group, self.logs, step, spent, self.sinks))
        if self.phase == "compiling":
            # The first step and the first histograms return when compiled, not when they have run.
            self.phase = "training"
            self.emit(events.PhaseStarted(self.phase, time.time()))
        samples = group[-1].samples
        self.emit(events.StepsDone(epoch, count, step, samples, self.logs, time.time(), spent))

    def _pass_on(self, found: Iterable[events.Event]) -> None:
        for event in found:
            self.emit(event)

    def _end_epoch(self, epoch: int) -> dict[str, float]:
        self.give()
        logs = pythonify(self.logs)
        if self.plan.validate is not None and self.plan.validates(epoch):
            self.emit(events.PhaseStarted("validating", time.time()))
            measured = {f"val_{name}": value for name, value in self.plan.validate().items()}
            logs = dict(sorted({**logs, **measured}.items()))
        self.steering.keep_best(epoch, logs, self.plan.validate is not None)
        self.callbacks.on_epoch_end(epoch, logs)
        self.take()
        self._tell_compiled()
        if self.sinks:
            rate, spent = _learning_rate(self.model), self.stopwatch.spent
            self.emit(events.EpochEnded(epoch, logs, rate, time.time(), spent))
        if self.insight is not None:
            self._pass_on(self.insight.epoch_ended(logs, self.total_step, self.state))
        self.steering.tell()
        return logs

    def emit(self, event: events.Event) -> None:
        """Hand an event to every view; a view that fails is left out from then on."""
        for sink in list(self.sinks):
            self._hand(sink, sink.emit, event)

    def _hand(self, sink: Any, method: Callable[[Any], object], what: Any) -> None:
        try:
            method(what)
        except Exception as error:
            self.sinks.remove(sink)
            warnings.warn(f"A view of the training run failed and was closed: {error!r}", stacklevel=3)


def _warn_dry() -> None:
    warnings.warn(
        "Your input ran out of data; interrupting training. Make sure that your dataset or generator "
        "can generate at least `steps_per_epoch * epochs` batches.",
        stacklevel=8,
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


def _learning_rate(model: Any) -> float | None:
    rate = getattr(model.optimizer, "learning_rate", None)
    try:
        return None if rate is None else float(np.asarray(rate))
    except TypeError:
        return None
