"""Callbacks that watch one number: stop early, keep the best, lower the learning rate."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from kerasmagic.callbacks.callback import Callback
from kerasmagic.callbacks.text import say
from kerasmagic.foundation.errors import InvalidArgument


class MonitorCallback(Callback):
    """What callbacks share that watch whether a number gets better.

    Args:
        monitor: The name of the number in the logs.
        mode: ``"min"``, ``"max"``, or ``"auto"`` to ask the metric.
        baseline: The value to be better than at first.
        min_delta: By how much it must be better.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__} mode '{mode}' is unknown, fallback to auto mode.", stacklevel=3
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best: Any = baseline
        self.min_delta = abs(min_delta)
        self._smaller: bool | None = {"min": True, "max": False}.get(mode)

    def _smaller_is_better(self) -> bool:
        if self._smaller is None:
            self._smaller = self._ask_the_metric()
        return self._smaller

    def _ask_the_metric(self) -> bool:
        name = self.monitor.removeprefix("val_")
        directions = [m._direction for m in _metrics(self.model) if m.name == name and m._direction]
        if directions:
            return directions[0] != "up"
        if name == "loss" or name.endswith("_loss"):
            return True
        raise InvalidArgument(
            f"{type(self).__name__} cannot tell whether more or less of '{self.monitor}' is better. "
            "Pass `mode='max'` or `mode='min'`."
        )

    def _is_improvement(self, value: Any, reference: Any) -> bool:
        if reference is None:
            return True
        better: Callable[[Any, Any], Any] = operator.lt if self._smaller_is_better() else operator.gt
        margin = -self.min_delta if self._smaller_is_better() else self.min_delta
        return bool(better(value - margin, reference))

    def _monitored(self, logs: dict[str, Any] | None, what: str) -> Any:
        logs = logs or {}
        value = logs.get(self.monitor)
        if value is None:
            warnings.warn(
                f"{what} `{self.monitor}` which is not available. Available metrics are: {','.join(logs)}",
                stacklevel=3,
            )
        return value


def _metrics(model: Any) -> Iterator[Any]:
    """Yield the metrics of a model, and those inside metrics that hold others."""
    waiting = list(getattr(model, "metrics", None) or ())
    while waiting:
        metric = waiting.pop(0)
        if hasattr(metric, "_direction"):
            yield metric
        waiting.extend(m for m in getattr(metric, "metrics", None) or () if m is not metric)


class EarlyStopping(MonitorCallback):
    """Stops training when a number has not become better for some epochs.

    Args:
        monitor: The name of the number in the logs.
        min_delta: By how much it must be better.
        patience: After how many epochs without that to stop.
        verbose: Whether to say so.
        mode: ``"min"``, ``"max"``, or ``"auto"`` to ask the metric.
        baseline: A value that the number must reach in time.
        restore_best_weights: Whether to go back to the weights of the best epoch.
        start_from_epoch: The first epoch to look at.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_epoch = 0
        self.best_weights: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        current = self._monitored(logs, "Early stopping conditioned on metric")
        if current is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        improved = self._is_improvement(current, self.best)
        if improved or (self.restore_best_weights and self.best_weights is None):
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
        if improved:
            self.best = current
            if self.baseline is None or self._is_improvement(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                say(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ReduceLROnPlateau(MonitorCallback):
    """Lowers the learning rate when a number has not become better for some epochs.

    Args:
        monitor: The name of the number in the logs.
        factor: What the learning rate is multiplied with; below 1.
        patience: After how many epochs without an improvement.
        verbose: Whether to say so.
        mode: ``"min"``, ``"max"``, or ``"auto"`` to ask the metric.
        min_delta: By how much the number must be better.
        cooldown: How many epochs to wait after lowering it.
        min_lr: The least learning rate.

    Raises:
        InvalidArgument: If ``factor`` is not below 1.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 0.0001,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise InvalidArgument(f"ReduceLROnPlateau needs a factor below 1.0. Received: factor={factor}")
        self.factor = factor
        self.min_lr = min_lr
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self._reset()

    def _reset(self) -> None:
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._reset()

    def in_cooldown(self) -> bool:
        """Whether the last reduction is too recent for another."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        log_learning_rates(self.model.optimizer, logs)
        current = self._monitored(logs, "Learning rate reduction is conditioned on metric")
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def _reduce(self, epoch: int) -> bool:
        lowered = False
        for optimizer, label in plain_optimizers(self.model.optimizer):
            old = float(optimizer.learning_rate)
            # The rate is kept in single precision: compare with what it can be there.
            if old <= self.min_lr * (1 + 1e-7):
                continue
            optimizer.learning_rate = max(old * self.factor, self.min_lr)
            lowered = True
            if self.verbose > 0:
                new = float(optimizer.learning_rate)
                say(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing{label} learning rate to {new}.")
        return lowered


def plain_optimizers(optimizer: Any) -> list[tuple[Any, str]]:
    """Return the optimizers that have a learning rate, each with ``" name"`` where there are several."""
    several = getattr(optimizer, "optimizers", None)
    return [(optimizer, "")] if several is None else [(o, f" {o.name}") for o in several]


def log_learning_rates(optimizer: Any, logs: dict[str, Any]) -> None:
    """Put the learning rate into ``logs``, or that of each of several optimizers."""
    for each, label in plain_optimizers(optimizer):
        logs[f"learning_rate{label.replace(' ', '_', 1)}"] = float(each.learning_rate)
