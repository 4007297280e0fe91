"""A callback that writes the model to disk: the best of it or all, after epochs or batches."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from kerasmagic.callbacks.monitor import MonitorCallback
from kerasmagic.callbacks.text import say
from kerasmagic.foundation.errors import InvalidArgument


class BatchCounter:
    """Says after which batches to save, when that is every so many of them."""

    def __init__(self, save_freq: str | int):
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise InvalidArgument(
                f"`save_freq` must be 'epoch' or a number of batches. Received: save_freq={save_freq!r}"
            )
        self.every = save_freq
        self._since = 0
        self._last = -1

    def is_due(self, batch: int) -> bool:
        """Whether to save after ``batch``; several batches may have gone by since the last call."""
        if self.every == "epoch":
            return False
        self._since += batch - self._last if batch > self._last else batch + 1
        self._last = batch
        if self._since < int(self.every):
            return False
        self._since = 0
        return True

    def new_epoch(self) -> None:
        """Take note that batches are counted from 0 again."""
        self._last = -1


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, at the end of epochs or every so many batches.

    Args:
        filepath: Where; may have ``{epoch}``, ``{batch}`` and the names of metrics in it.
        monitor: The number to watch.
        verbose: Whether to say what is saved.
        save_best_only: Whether to save only where the number became better.
        save_weights_only: Whether to save the weights alone; ``filepath`` ends in ``.weights.h5`` then.
        mode: ``"min"``, ``"max"``, or ``"auto"`` to ask the metric.
        save_freq: ``"epoch"``, or a number of batches.
        initial_value_threshold: The value to be better than at first.

    Raises:
        InvalidArgument: If ``filepath`` ends in something else or ``save_freq`` is impossible.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._counter = BatchCounter(save_freq)
        self._epoch = 0
        endings = (".weights.h5",) if save_weights_only else (".keras", ".h5")
        if not self.filepath.endswith(endings):
            raise InvalidArgument(
                f"With `save_weights_only={save_weights_only}`, `filepath` must end in {endings[0]!r}. "
                f"Received: filepath={self.filepath}"
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._counter.is_due(batch):
            self._save(self._epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs or {})

    def _save(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> None:
        path = self._path(epoch, batch, logs)
        if not self._should_save(epoch, logs, path):
            return
        if os.path.isdir(path):
            raise IsADirectoryError(f"ModelCheckpoint cannot write to {path}: it is a directory.")
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        if self.verbose > 0:
            say(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _path(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> str:
        values = {"epoch": epoch + 1, **({} if batch is None else {"batch": batch + 1}), **logs}
        try:
            return self.filepath.format(**values)
        except KeyError as error:
            raise KeyError(
                f'Failed to format this callback filepath: "{self.filepath}". Reason: {error}; '
                f"there are {', '.join(values)}."
            ) from None

    def _should_save(self, epoch: int, logs: dict[str, Any], path: str) -> bool:
        def tell(text: str) -> None:
            if self.verbose > 0:
                say(f"\nEpoch {epoch + 1}: {text}")

        current = logs.get(self.monitor)
        if not self.save_best_only:
            tell(f"saving model to {path}")
            return True
        if current is None or np.ndim(current) > 0:
            warnings.warn(
                f"`{self.monitor}` is no number in the logs, so the best model is not known: saving this one.",
                stacklevel=5,
            )
            return True
        before = "None" if self.best is None else f"{self.best:.5f}"
        if not self._is_improvement(current, self.best):
            tell(f"{self.monitor} did not improve from {before}")
            return False
        tell(f"{self.monitor} improved from {before} to {current:.5f}, saving model to {path}")
        self.best = current
        return True
