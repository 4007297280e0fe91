"""Everything a training step changes, as one value.

Between two runs the variables hold the state. During a run this value does: it is
taken from the variables once, threaded through the compiled steps, and put back.
Nothing else in the house reads or writes many variables at a time.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax

from kerasmagic.core import transfer
from kerasmagic.core.transfer import is_host
from kerasmagic.core.variable import Variable


class TrainState(NamedTuple):
    """The values of the variables, one array each, in the order of the model's lists."""

    trainable: list[Any]
    non_trainable: list[Any]
    optimizer: list[Any]
    metrics: list[Any]


class Trainable(Protocol):
    """What training needs to know of a model."""

    name: str

    @property
    def trainable_variables(self) -> list[Variable]: ...

    @property
    def non_trainable_variables(self) -> list[Variable]: ...

    @property
    def metrics_variables(self) -> list[Variable]: ...

    @property
    def optimizer(self) -> Any: ...


def variables_of(model: Trainable) -> TrainState:
    """Return the model's variables, sorted as a ``TrainState``."""
    optimizer = model.optimizer
    return TrainState(
        list(model.trainable_variables),
        list(model.non_trainable_variables),
        list(optimizer.variables) if optimizer is not None else [],
        list(model.metrics_variables),
    )


def take(variables: TrainState) -> TrainState:
    """Return the values that the variables hold, for a compiled program; first values are drawn now."""
    return TrainState(*([v.held() for v in group] for group in variables))


def on_device(state: TrainState) -> TrainState:
    """Return the state with all values on the device, as what is not compiled takes them."""
    return jax.tree.map(lambda value: transfer.on_device(value) if is_host(value) else value, state)


def put(variables: TrainState, state: TrainState) -> None:
    """Give the values of ``state`` to the variables."""
    for group, values in zip(variables, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.store(value)
