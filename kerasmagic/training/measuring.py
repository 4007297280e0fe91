"""Runs that do not train: evaluation, prediction, and steps on a single batch."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasmagic.core import tree
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.training.data.arrays import to_device
from kerasmagic.training.fusing import Dispatch, Execution
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
        times: How often this is done to the same data.
    """

    def __init__(
        self,
        model: Any,
        execution: Execution,
        source: Any,
        steps: int | None,
        callbacks: Any,
        times: int = 1,
    ):
        self.model = model
        self.execution = execution
        self.source = source
        self.steps = steps
        self.callbacks = callbacks
        self.times = times
        self.variables = variables_of(model)
        self.state: Any = None
        self.ahead = False
        source.keep_on_device()

    def _give(self) -> None:
        if self.ahead:
            put(self.variables, self.state)
            self.ahead = False

    def _dispatches(self, *hooks: str) -> tuple[Pace, Iterator[list[Dispatch]]]:
        pace = self.execution.pace(watched=any(self.callbacks.wants(hook) for hook in hooks))
        batches = next(self.source.epochs(self.steps))
        known = self.steps or self.source.steps
        groups = self.execution.dispatches(
            batches,
            pace,
            lambda: self.state,
            self.source.table,
            known,
            samples=self.source.samples,
            batch_size=self.source.batch_size,
            expected=known and known * self.times,
        )
        return pace, groups

    def evaluate(self) -> dict[str, float]:
        """Return loss and metrics over the data by name."""
        self.callbacks.on_test_begin()
        self.model.reset_metrics()
        logs, count = {}, 0
        with InterruptGuard() as guard:
            try:
                self.state = take(self.variables)
                pace, groups = self._dispatches("on_test_batch_begin", "on_test_batch_end")
                for group in groups:
                    self.callbacks.on_test_batch_begin(count)
                    for dispatch in group:
                        with guard.critical():
                            logs, self.state = dispatch.run(self.state)
                            self.ahead = True
                        count += dispatch.steps
                    self.callbacks.on_test_batch_end(count - 1, dict(logs))
                    if self.model.stop_evaluating:
                        break
                    pace.watch(sum(dispatch.steps for dispatch in group), logs)
            finally:
                with guard.critical():
                    self._give()
        if count == 0:
            raise InvalidArgument("The data is empty: it gave not one batch to evaluate on.")
        if self.steps is not None and count < self.steps and not self.model.stop_evaluating:
            warnings.warn(f"Your input ran out of data after {count} of {self.steps} batches.", stacklevel=5)
        result = pythonify(logs)
        self.callbacks.on_test_end(result)
        return result

    def predict(self) -> Any:
        """Return the outputs for all the data, as NumPy arrays in the structure of the outputs."""
        self.callbacks.on_predict_begin()
        outputs: list[_Output] = []
        with InterruptGuard() as guard:
            try:
                self.state = take(self.variables)
                pace, groups = self._dispatches("on_predict_batch_begin", "on_predict_batch_end")
                done = 0
                for group in groups:
                    first = len(outputs)
                    self.callbacks.on_predict_batch_begin(done)
                    for dispatch in group:
                        self._predict(dispatch, outputs, guard)
                        done += dispatch.steps
                    self._show(outputs[first:], done - 1)
                    if self.model.stop_predicting:
                        break
                    pace.watch(sum(dispatch.steps for dispatch in group), outputs[-1].result)
            finally:
                with guard.critical():
                    self._give()
        if not outputs:
            raise InvalidArgument("The data is empty: it gave not one batch to predict on.")
        self.callbacks.on_predict_end()
        return _joined(outputs)

    def _predict(self, dispatch: Dispatch, outputs: list[_Output], guard: InterruptGuard) -> None:
        with guard.critical():
            y, self.state = dispatch.run(self.state)
            self.ahead = True
        outputs.append(_Output(y, dispatch.stacked, dispatch.rows))
        # Results are fetched one program late, while the device computes the next.
        if len(outputs) > 1:
            outputs[-2].fetch()

    def _show(self, outputs: list[_Output], index: int) -> None:
        if self.callbacks.wants("on_predict_batch_end", at_once=True):
            self.callbacks.on_predict_batch_end(index, {"outputs": _joined(outputs)})
        else:
            self.callbacks.on_predict_batch_end(index, {})


@dataclasses.dataclass
class _Output:
    """What a program predicted: the outputs for a batch, or for batches one upon the other.

    All rows count, or the first so many.
    """

    result: Any
    stacked: bool
    rows: int | None

    def fetch(self) -> Any:
        """Return the outputs ``(samples, ...)`` as NumPy arrays; waits for the device."""

        def host(array: Any) -> np.ndarray:
            values = np.asarray(array)
            values = values.reshape(-1, *values.shape[2:]) if stacked else values
            return values[:rows]

        stacked, rows = self.stacked, self.rows
        self.stacked, self.rows = False, None
        self.result = tree.map_structure(host, self.result)
        return self.result


def _joined(outputs: list[_Output]) -> Any:
    if len(outputs) == 1:
        return outputs[0].fetch()
    return tree.map_structure(lambda *parts: np.concatenate(parts), *(one.fetch() for one in outputs))
