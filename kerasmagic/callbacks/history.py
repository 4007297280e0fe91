"""The record of a run that ``fit`` returns."""

from __future__ import annotations

from typing import Any

from kerasmagic.callbacks.callback import Callback


class History(Callback):
    """Keeps what each epoch measured.

    Attributes:
        history: For each metric a list with one value per epoch.
        epoch: The numbers of the epochs, from 0.

    Example:

    >>> history = History()
    >>> history.on_epoch_end(0, {"loss": 0.5})
    >>> history.history
    {'loss': [0.5]}
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        if self.model is not None:
            self.model.history = self
