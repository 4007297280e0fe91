"""A callback that writes points to go on from after a crash, and goes on from the last one."""

from __future__ import annotations

import contextlib
import json
import os
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasmagic.callbacks.callback import Callback
from kerasmagic.callbacks.checkpoint import BatchCounter
from kerasmagic.foundation.errors import InvalidArgument


class BackupAndRestore(Callback):
    """Saves points to go on from after a crash, and goes on from the last one.

    Weights, optimizer and metadata make one point: weights are written to a file of their own, and the
    metadata that names it is replaced in one step. A kill at any moment leaves the point before whole.

    In the middle of an epoch training goes on behind the batches that were done. The generators of NumPy and
    Python are put back too, so that arrays are shuffled as they would have been. What a user's own generator
    of batches had already given is not asked for again and not left out: it begins anew.

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
        self._random: dict[str, Any] | None = None
        self._counter = BatchCounter(save_freq)
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
        _load_values(self.backup_dir / f"{point['weights']}.npz", _beside_weights(self.model))
        if "random" in point:
            _set_random_state(point["random"])
        self.restored = {"epoch": point["epoch"], "batch": point["batch"]}
        self._epoch = point["epoch"]
        self.model._resumed = (point["epoch"], point["batch"])

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        self._counter.new_epoch()
        if self.save_freq != "epoch":
            # The order of the epoch's samples is drawn after this.
            self._random = _random_state()

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
        _save_values(self.backup_dir / f"{name}.npz", _beside_weights(self.model))
        random_state = self._random if batch and self._random is not None else _random_state()
        new = {
            "serial": serial,
            "epoch": self._epoch,
            "batch": batch,
            "weights": name,
            "random": random_state,
        }
        kept = [new, *points][: 2 if self.double_checkpoint else 1]
        _write_atomically(self.backup_dir / self._METADATA, json.dumps({"points": kept}))
        self._delete(old for old in points if old not in kept)

    def _delete(self, points: Iterable[dict[str, Any]]) -> None:
        for point in points:
            (self.backup_dir / point["weights"]).unlink(missing_ok=True)
            (self.backup_dir / f"{point['weights']}.npz").unlink(missing_ok=True)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self.delete_checkpoint:
            return
        points = self._points()
        # The metadata first: without it, files left by a kill in between mean nothing.
        (self.backup_dir / self._METADATA).unlink(missing_ok=True)
        self._delete(points)
        # What else lies in the directory is not ours to delete.
        with contextlib.suppress(OSError):
            self.backup_dir.rmdir()


def _random_state() -> dict[str, Any]:
    """Return what the generators of NumPy and Python will draw from, as plain data."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 - the one that shuffles
    return {"numpy": [kind, np.asarray(keys).tolist(), *rest], "python": random.getstate()}


def _set_random_state(state: Any) -> None:
    try:
        np.random.set_state(tuple(state["numpy"]))  # noqa: NPY002
        version, internal, gauss = state["python"]
        random.setstate((version, tuple(internal), gauss))
    except (KeyError, TypeError, ValueError):
        raise InvalidArgument("The backup holds no state of random generators that can be read.") from None


def _beside_weights(model: Any) -> list[Any]:
    """Return the variables that a file of weights need not hold: the optimizer's, and the seeds of layers."""
    weights = {id(v) for v in getattr(model, "weights", ())}
    seeds = [v for v in getattr(model, "non_trainable_variables", ()) if id(v) not in weights]
    return [*(model.optimizer.variables if model.optimizer is not None else ()), *seeds]


def _save_values(path: Path, variables: Sequence[Any]) -> None:
    with open(path, "wb") as file:
        np.savez(file, *(v.numpy() for v in variables))
        file.flush()
        os.fsync(file.fileno())


def _load_values(path: Path, variables: Sequence[Any]) -> None:
    with np.load(path, allow_pickle=False) as stored:
        values = [stored[f"arr_{index}"] for index in range(len(stored.files))]
    if [np.shape(value) for value in values] != [tuple(v.shape) for v in variables]:
        raise InvalidArgument(
            f"The backup in {path.parent} is of another optimizer or model. Delete it to train from the beginning."
        )
    for variable, value in zip(variables, values, strict=True):
        # NumPy has no name for the 16-bit types of JAX and gives back plain bytes.
        variable.assign(value.view(variable.numpy().dtype) if value.dtype.kind == "V" else value)


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
