"""A ``History`` as a run that is over: its curves, without the times that it does not keep."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasmagic.training.events import EpochEnded, EpochStarted, RunEnded, RunStarted, StepsDone
from kerasmagic.widgets.reducer import RunState, reduce


def state_of(history: Any) -> RunState:
    """Return the run that ``history`` tells of, one step an epoch; values that are no numbers are left out.

    Args:
        history: Has ``history``, a list of values by name, ``epoch``, a list of numbers, and ``model``.

    Example:

    >>> from kerasmagic.callbacks import History
    >>> history = History()
    >>> history.on_train_begin()
    >>> history.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.75})
    >>> state = state_of(history)
    >>> state.latest, state.ended, state.best.value
    ({'loss': 0.5, 'val_loss': 0.75}, 1, 0.75)
    """
    values = {name: _numbers(column) for name, column in history.history.items()}
    epochs = list(history.epoch)
    first = epochs[0] if epochs else 0
    names = tuple(name for name in values if not name.startswith("val_") and name != "learning_rate")
    model = getattr(history.model, "name", None) or "model"
    validation = any(name.startswith("val_") for name in values)
    last = epochs[-1] + 1 if epochs else 0
    plan = RunStarted(0, str(model), last, first, 1, None, names, validation, 0, "", 0.0)
    state = reduce(RunState(), plan)
    for index, epoch in enumerate(epochs):
        logs = {name: column[index] for name, column in values.items() if index < len(column)}
        logs = {name: value for name, value in logs.items() if value is not None}
        state = reduce(state, EpochStarted(epoch, 0.0))
        state = reduce(state, StepsDone(epoch, 1, index + 1, 0, {}, 0.0))
        state = reduce(state, EpochEnded(epoch, logs, None, 0.0))
    return reduce(state, RunEnded("finished", "", 0.0))


def _numbers(column: Any) -> list[float | None]:
    return [float(np.asarray(value).reshape(())) if np.size(value) == 1 else None for value in column]
