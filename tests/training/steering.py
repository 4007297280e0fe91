"""A small model that needs all of its state, data for it, and a hand that steers at given places."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np

import kerasmagic as keras
from kerasmagic import layers

_pool: defaultdict[str, list[tuple[Any, list[np.ndarray]]]] = defaultdict(list)
_handed_out: Counter[str] = Counter()


def return_models() -> None:
    """Let the models that ``make_model`` gave be given again."""
    _handed_out.clear()


def make_model(optimizer: Any = None, **options: Any) -> Any:
    """A model with seeds, statistics and slots, as new: without an optimizer one whose programs may be compiled."""
    if optimizer is not None:
        return _make(optimizer, options)
    key = str(options)
    if _handed_out[key] == len(_pool[key]):
        model = _make(keras.optimizers.Adam(0.05), options)
        model.optimizer.build(model.trainable_variables)
        _pool[key].append((model, [v.numpy().copy() for v in _variables(model)]))
    model, values = _pool[key][_handed_out[key]]
    _handed_out[key] += 1
    for variable, value in zip(_variables(model), values, strict=True):
        variable.assign(value)
    return model


def _make(optimizer: Any, options: dict[str, Any]) -> Any:
    keras.utils.set_random_seed(5)
    tail = [layers.Dropout(0.4), layers.BatchNormalization(), layers.Dense(1)]
    model = keras.Sequential([keras.Input((4,)), layers.Dense(6, "tanh"), *tail], name="small")
    model.compile(optimizer, "mse", **options)
    return model


def _variables(model: Any) -> list[Any]:
    return [*model.weights, *model.optimizer.variables, *model.non_trainable_variables]


def data(samples: int = 48) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(samples, 4)).astype("float32")
    return x, x.sum(1)


def state_of(model: Any) -> list[np.ndarray]:
    # Copies: a view of a buffer would keep the step from giving it away.
    return [v.numpy().copy() for v in _variables(model)]


def assert_same(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


class Hand(keras.callbacks.Callback):
    """Does something to the run after given batches: ``{(epoch, batch): function of the control}``.

    ``batch`` counts those that are done; 0 is the beginning of the epoch.
    """

    def __init__(self, acts: dict[tuple[int, int], Any]):
        super().__init__()
        self.acts = acts
        self.epoch = 0

    def on_train_begin(self, logs: Any = None) -> None:
        # The first use lets the run keep its best weights.
        assert self.model.run is not None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.act(batch + 1)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch + 1
        self.act(0)

    def act(self, batch: int) -> None:
        if (self.epoch, batch) in self.acts:
            self.acts[self.epoch, batch](self.model.run)
