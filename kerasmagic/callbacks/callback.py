"""The base of callbacks: what is called at which moment of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Callback:
    """Something that is called at the moments of a run; subclasses override what they care about.

    ``self.model`` is the model and ``self.params`` holds ``epochs``, ``steps`` and
    ``verbose``. Weights and logs that a callback sees are those of the last finished step.
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self._model: Any = None

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Take note of how long the run is."""
        self.params = dict(params)

    def set_model(self, model: Any) -> None:
        """Take note of the model."""
        self._model = model

    @property
    def model(self) -> Any:
        """The model that runs."""
        # A subclass may forget `super().__init__()`.
        return self.__dict__.get("_model")

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called before a training step; the older name of ``on_train_batch_begin``."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called after a training step; the older name of ``on_train_batch_end``."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called before an epoch of training, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called after an epoch and its validation; ``logs`` holds all metrics."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called before a training step."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called after a training step; ``logs`` holds the metrics of the epoch so far."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called before a batch of evaluation or validation."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called after a batch of evaluation or validation."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called before a batch of prediction."""

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called after a batch of prediction; ``logs["outputs"]`` holds the outputs."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Called when ``fit`` begins."""

    def on_train_end(self, logs: Any = None) -> None:
        """Called when ``fit`` ends."""

    def on_test_begin(self, logs: Any = None) -> None:
        """Called when an evaluation or a validation begins."""

    def on_test_end(self, logs: Any = None) -> None:
        """Called when an evaluation or a validation ends."""

    def on_predict_begin(self, logs: Any = None) -> None:
        """Called when ``predict`` begins."""

    def on_predict_end(self, logs: Any = None) -> None:
        """Called when ``predict`` ends."""
