"""Callbacks that write text: a progress line for each epoch, a table of all epochs."""

from __future__ import annotations

import csv
import os
import sys
import time
from typing import Any, TextIO

import numpy as np

from kerasmagic.callbacks.callback import Callback, read_logs


def say(text: str, end: str = "\n") -> None:
    """Write ``text`` to the standard output at once."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it.

    >>> duration(2.4), duration(0.0123), duration(0.00005)
    ('2s', '12ms', '50us')
    """
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


def number(value: Any) -> str:
    """Return a number with four digits after the point, or in powers of ten if it is small.

    >>> number(0.25), number(0.00025), number("ok")
    ('0.2500', '2.5000e-04', 'ok')
    """
    if not isinstance(value, (int, float, np.ndarray)):
        return str(value)
    mean = float(np.mean(value))
    return f"{mean:.4f}" if abs(mean) > 1e-3 else f"{mean:.4e}"


def _is_live() -> bool:
    """Whether a line on the standard output may be written over: not in a file."""
    notebook = type(sys.stdout).__module__.startswith("ipykernel")
    return notebook or bool(getattr(sys.stdout, "isatty", bool)())


class ProgbarLogger(Callback):
    """Writes how far an epoch is and what the metrics are.

    ``verbose`` of ``fit`` decides: 0 nothing, 1 a line that is written over, 2 one line an epoch.
    """

    reads_late = True
    _WIDTH = 20
    _INTERVAL = 0.05

    def __init__(self) -> None:
        super().__init__()
        self.verbose = 1
        self.epochs = 1
        self.target: int | None = None
        self._in_fit = False
        self._restart()

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        verbose = params.get("verbose", 1)
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.epochs = params.get("epochs") or 1
        self.target = params.get("steps")

    def _restart(self) -> None:
        self._began = time.monotonic()
        self._shown = 0.0
        self._seen = 0
        self._length = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._in_fit = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._restart()
        if self.verbose and self.epochs > 1:
            say(f"Epoch {epoch + 1}/{self.epochs}")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._finish(logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._in_fit = False

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._step(batch, logs)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._in_fit:
            self._restart()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._in_fit:
            self._step(batch, logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._restart()

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._step(batch, None)

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._finish(None)

    def _step(self, batch: int, logs: dict[str, Any] | None) -> None:
        self._seen = batch + 1
        now = time.monotonic()
        if self.verbose == 1 and _is_live() and now - self._shown >= self._INTERVAL:
            self._shown = now
            self._write(read_logs(logs), now)

    def _finish(self, logs: dict[str, Any] | None) -> None:
        self.target = self.target or self._seen
        self._seen = self.target
        if self.verbose:
            self._write(read_logs(logs), time.monotonic(), end="\n")

    def _write(self, logs: dict[str, Any], now: float, end: str = "") -> None:
        each = (now - self._began) / max(self._seen, 1)
        left = each * (self.target - self._seen) if self.target and not end else now - self._began
        metrics = "".join(f" - {name}: {number(value)}" for name, value in logs.items())
        count = f"{self._seen}/{self.target or 'Unknown'}"
        if self.verbose == 2:
            say(f"{count} - {left:.0f}s - {duration(each)}/step{metrics}", end)
            return
        done = self._WIDTH * self._seen // self.target if self.target else 0
        bar = "━" * done + "╌" * (self._WIDTH - done)
        line = f"{count} {bar} {left:.0f}s {duration(each)}/step{metrics}"
        # Spaces wipe out what is left of a longer line before.
        say(("\r" if _is_live() else "") + line.ljust(self._length), end)
        self._length = len(line)


class CSVLogger(Callback):
    """Writes the logs of each epoch to a file as one line of a table.

    Args:
        filename: The file.
        separator: What stands between two values.
        append: Whether to go on with a file that is there.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False):
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.csv_file: TextIO | None = None
        self.writer: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._close()
        there = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        self._needs_header = not there
        mode = "a" if self.append else "w"
        # Open until training ends.
        self.csv_file = open(self.filename, mode, newline="", encoding="utf-8")  # noqa: SIM115

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        if self.csv_file is None:
            self.on_train_begin()
        assert self.csv_file is not None
        if self.writer is None:
            self.keys = sorted(logs)
            if self.keys and not any(key.startswith("val_") for key in self.keys):
                # The first epochs may be without validation: leave room for it.
                self.keys += [f"val_{key}" for key in self.keys]
            self.writer = csv.DictWriter(self.csv_file, ["epoch", *self.keys], delimiter=self.sep)
            if self._needs_header:
                self.writer.writeheader()
        self.writer.writerow({"epoch": epoch, **{key: _cell(logs.get(key, "NA")) for key in self.keys}})
        self.csv_file.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._close()

    def _close(self) -> None:
        if self.csv_file is not None:
            self.csv_file.close()
        self.csv_file = self.writer = None


def _cell(value: Any) -> Any:
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0):
        return f'"[{", ".join(map(str, value))}]"'
    return value
