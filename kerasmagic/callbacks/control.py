"""Callbacks that steer a run: the learning rate by epoch, a stop at NaN, averages in the place of weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasmagic.callbacks.callback import Callback
from kerasmagic.callbacks.monitor import log_learning_rates, plain_optimizers
from kerasmagic.callbacks.text import say
from kerasmagic.foundation.errors import InvalidArgument


class LambdaCallback(Callback):
    """Functions as hooks.

    Args:
        on_epoch_begin: Called with ``(epoch, logs)``.
        on_epoch_end: Called with ``(epoch, logs)``.
        on_train_begin: Called with ``(logs)``.
        on_train_end: Called with ``(logs)``.
        on_train_batch_begin: Called with ``(batch, logs)``.
        on_train_batch_end: Called with ``(batch, logs)``.
        kwargs: Other hooks by name.

    Example:

    >>> from kerasmagic.callbacks.callback import CallbackList
    >>> shout = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    >>> CallbackList([shout]).on_epoch_end(3, {"loss": 0.5})
    3 0.5
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        self.__dict__.update({name: hook for name, hook in (hooks | kwargs).items() if hook is not None})


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch.

    Args:
        schedule: A function ``(epoch, learning_rate) -> learning_rate``, or of the epoch alone.
        verbose: Whether to say so.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for optimizer, label in plain_optimizers(self.model.optimizer):
            rate = self._rate(epoch, float(optimizer.learning_rate))
            optimizer.learning_rate = rate
            if self.verbose > 0:
                say(f"\nEpoch {epoch + 1}: LearningRateScheduler setting{label} learning rate to {rate}.")

    def _rate(self, epoch: int, before: float) -> float:
        try:
            rate = self.schedule(epoch, before)
        except TypeError:
            rate = self.schedule(epoch)
        if not isinstance(rate, (float, np.floating)):
            raise InvalidArgument(f"The output of the `schedule` function should be a float. Got: {rate!r}")
        return float(rate)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            log_learning_rates(self.model.optimizer, logs)


class TerminateOnNaN(Callback):
    """Stops training when the loss is not a finite number.

    Args:
        raise_error: Whether to raise an error instead.

    Raises:
        RuntimeError: After a batch whose loss is not finite, if ``raise_error``.
    """

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"The loss is {loss} after batch {batch}: training ends here.")
        say(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True


class SwapEMAWeights(Callback):
    """Evaluates, predicts and saves with the optimizer's averages in the place of the weights.

    Args:
        swap_on_epoch: Whether the averages stay in the model from the end of an epoch to the
            beginning of the next, so that checkpoints hold them.

    Raises:
        InvalidArgument: When used, if the optimizer has no ``use_ema=True``.
    """

    def __init__(self, swap_on_epoch: bool = False):
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def _pairs(self) -> list[tuple[Any, Any]]:
        outer = self.model.optimizer
        optimizers = [o for o, _ in plain_optimizers(getattr(outer, "inner_optimizer", outer))]
        averaging = [o for o in optimizers if o.use_ema]
        if not averaging:
            raise InvalidArgument("SwapEMAWeights needs an optimizer with `use_ema=True`.")
        return [pair for o in averaging for pair in o._averaged()]

    def _show(self, averages: bool) -> None:
        if averages == self._swapped:
            return
        for variable, average in self._pairs():
            shown = variable.numpy()
            variable.assign(average.value)
            average.assign(shown)
        self._swapped = averages

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.swap_on_epoch:
            self._show(averages=False)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.swap_on_epoch:
            self._show(averages=True)
            if epoch == (self.params or {}).get("epochs", 0) - 1:
                # The optimizer overwrites the weights with the averages at the end of training.
                for variable, average in self._pairs():
                    average.assign(variable.value)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._show(averages=True)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._show(averages=False)

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._show(averages=True)

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._show(averages=False)
