"""Callbacks that write the model to disk: the best or every epoch of it, or a point to go on from."""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from kerasmagic.callbacks.callback import Callback
from kerasmagic.callbacks.monitor import MonitorCallback
from kerasmagic.callbacks.text import say
from kerasmagic.foundation.errors import InvalidArgument


class _BatchCounter:
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
        self._counter = _BatchCounter(save_freq)
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


class BackupAndRestore(Callback):
    """Saves points to go on from after a crash, and goes on from the last one.

    Weights, optimizer and metadata make one point: weights are written to a file of their own, and the
    metadata that names it is replaced in one step. A kill at any moment leaves the point before whole.

    Args:
        backup_dir: A directory for this alone.
        save_freq: ``"epoch"``, or a number of batches.
        double_checkpoint: Whether to keep the point before the last one too.
        delete_checkpoint: Whether to delete the points when training has come to its end.

    Attributes:
        restored: The ``epoch`` and ``batch`` that training goes on from, or ``None`` if it began anew.

    Raises:
        InvalidArgument: If ``backup_dir`` is empty or ``save_freq`` is impossible; at the
            beginning of training, if the model is not built.
    """

    _METADATA = "training_metadata.json"

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        super().__init__()
        if not os.fspath(backup_dir):
            raise InvalidArgument("Empty `backup_dir` argument passed.")
        self.backup_dir = Path(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self.restored: dict[str, int] | None = None
        self._counter = _BatchCounter(save_freq)
        self._epoch = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.restored = None
        if not self.model.built:
            raise InvalidArgument(
                "BackupAndRestore needs a model that is built before `fit()`: call it on a batch of data, or "
                "give it an `Input`."
            )
        error: OSError | None = None
        for point in self._points():
            try:
                self._restore(point)
                return
            except OSError as caught:
                error = caught
        if error is not None:
            raise error

    def _points(self) -> list[dict[str, Any]]:
        """Return what the metadata says of the saved points, the newest first."""
        try:
            text = (self.backup_dir / self._METADATA).read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        try:
            points = json.loads(text)["points"]
            # A name, not a path: nothing outside the directory is read or deleted.
            assert all(Path(p["weights"]).name == p["weights"] for p in points)
            return [{**p, "epoch": int(p["epoch"]), "batch": int(p["batch"])} for p in points]
        except (AssertionError, KeyError, TypeError, ValueError):
            raise InvalidArgument(
                f"{self.backup_dir / self._METADATA} is no backup of this kind. Delete {self.backup_dir} to train "
                "from the beginning."
            ) from None

    def _restore(self, point: dict[str, Any]) -> None:
        optimizer = self.model.optimizer
        if optimizer is not None and not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        self.model.load_weights(str(self.backup_dir / point["weights"]))
        self.restored = {"epoch": point["epoch"], "batch": point["batch"]}
        self.model._initial_epoch = self._epoch = point["epoch"]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        self._counter.new_epoch()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch + 1
        if self.save_freq == "epoch":
            self._save(batch=0)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._counter.is_due(batch):
            self._save(batch + 1)

    def _save(self, batch: int) -> None:
        """Save the point after ``batch`` batches of the epoch."""
        self.backup_dir.mkdir(parents=True, exist_ok=True)
        points = self._points()
        serial = 1 + max((int(p["serial"]) for p in points), default=0)
        name = f"backup-{serial}.weights.h5"
        self.model.save_weights(str(self.backup_dir / name), overwrite=True)
        _flush_to_disk(self.backup_dir / name)
        new = {"serial": serial, "epoch": self._epoch, "batch": batch, "weights": name}
        kept = [new, *points][: 2 if self.double_checkpoint else 1]
        _write_atomically(self.backup_dir / self._METADATA, json.dumps({"points": kept}))
        for old in points:
            if old not in kept:
                (self.backup_dir / old["weights"]).unlink(missing_ok=True)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self.delete_checkpoint:
            return
        points = self._points()
        # The metadata first: without it, files left by a kill in between mean nothing.
        (self.backup_dir / self._METADATA).unlink(missing_ok=True)
        for point in points:
            (self.backup_dir / point["weights"]).unlink(missing_ok=True)
        # What else lies in the directory is not ours to delete.
        with contextlib.suppress(OSError):
            self.backup_dir.rmdir()


def _flush_to_disk(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _write_atomically(path: Path, text: str) -> None:
    """Put ``text`` in the place of the file, so that a kill leaves the old one or the new one."""
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
