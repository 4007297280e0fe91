"""Runs that do not train: evaluation, prediction, and steps on a single batch."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np

from kerasmagic.core import tree
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.training.data.arrays import to_device
from kerasmagic.training.fusing import Execution
from kerasmagic.training.interrupts import InterruptGuard
from kerasmagic.training.loop import pythonify
from kerasmagic.training.pace import Pace
from kerasmagic.training.state import put, take, variables_of


def one_batch(model: Any, execution: Execution, batch: Any) -> dict[str, float]:
    """Run one step on one batch and return what it measured."""
    variables = variables_of(model)
    state = take(variables)
    batch = to_device(batch)
    with InterruptGuard() as guard, guard.critical():
        logs, state = execution(state, batch)
        put(variables, state)
    return pythonify(logs)


class Measurement:
    """One pass over data that does not train.

    Args:
        model: A built model.
        execution: The compiled step.
        source: The data.
        steps: Batches to take; all when ``None``.
        callbacks: A list of callbacks as one.
    """

    def __init__(self, model: Any, execution: Execution, source: Any, steps: int | None, callbacks: Any):
        self.model = model
        self.execution = execution
        self.source = source
        self.steps = steps
        self.callbacks = callbacks
        self.variables = variables_of(model)
        self.state: Any = None
        self.ahead = False
        known = steps or source.steps
        self.pace = Pace(execution, steps_ahead=known, steps_per_epoch=known)

    def _give(self) -> None:
        if self.ahead:
            put(self.variables, self.state)
            self.ahead = False

    def evaluate(self) -> dict[str, float]:
        """Return loss and metrics over the data by name."""
        self.callbacks.on_test_begin()
        self.model.reset_metrics()
        logs, count = {}, 0
        with InterruptGuard() as guard:
            try:
                self.state = take(self.variables)
                batches = next(self.source.epochs(self.steps))
                while group := list(itertools.islice(batches, self.pace.steps)):
                    self.callbacks.on_test_batch_begin(count)
                    for run, _ in self.execution.runs(group, self.state):
                        with guard.critical():
                            logs, self.state = run(self.state)
                            self.ahead = True
                    count += len(group)
                    self.callbacks.on_test_batch_end(count - 1, dict(logs))
                    if self.model.stop_evaluating:
                        break
                    self.pace.watch(len(group), logs)
            finally:
                with guard.critical():
                    self._give()
        if count == 0:
            raise InvalidArgument("The data is empty: it gave not one batch to evaluate on.")
        if self.steps is not None and count < self.steps and not self.model.stop_evaluating:
            warnings.warn(f"Your input ran out of data after {count} of {self.steps} batches.", stacklevel=4)
        result = pythonify(logs)
        self.callbacks.on_test_end(result)
        return result

    def predict(self) -> Any:
        """Return the outputs for all the data, as NumPy arrays in the structure of the outputs."""
        self.callbacks.on_predict_begin()
        outputs: list[Any] = []
        with InterruptGuard() as guard:
            try:
                self.state = take(self.variables)
                batches = next(self.source.epochs(self.steps))
                while group := list(itertools.islice(batches, self.execution.steps)):
                    first = len(outputs)
                    self.callbacks.on_predict_batch_begin(first)
                    for batch in group:
                        self._predict_batch(to_device(batch), outputs, guard)
                    self._show(outputs[first:], len(outputs) - 1)
                    if self.model.stop_predicting:
                        break
            finally:
                with guard.critical():
                    self._give()
        if not outputs:
            raise InvalidArgument("The data is empty: it gave not one batch to predict on.")
        self.callbacks.on_predict_end()
        return _joined(outputs)

    def _predict_batch(self, batch: Any, outputs: list[Any], guard: InterruptGuard) -> None:
        with guard.critical():
            y, self.state = self.execution(self.state, batch)
            self.ahead = True
        outputs.append(y)
        # Results are fetched one batch late, while the device computes the next.
        if len(outputs) > 1:
            outputs[-2] = tree.map_structure(np.asarray, outputs[-2])

    def _show(self, outputs: list[Any], index: int) -> None:
        if self.callbacks.wants("on_predict_batch_end", at_once=True):
            shown = outputs[0] if len(outputs) == 1 else _joined(outputs)
            self.callbacks.on_predict_batch_end(index, {"outputs": shown})
        else:
            self.callbacks.on_predict_batch_end(index, {})


def _joined(outputs: list[Any]) -> Any:
    arrays = [tree.map_structure(np.asarray, y) for y in outputs]
    return tree.map_structure(lambda *parts: np.concatenate(parts), *arrays)
