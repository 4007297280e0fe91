"""A callback that writes checkpoints with Orbax, where the package ``orbax-checkpoint`` is installed."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from kerasmagic.callbacks.checkpoint import BatchCounter
from kerasmagic.callbacks.monitor import MonitorCallback
from kerasmagic.callbacks.text import say
from kerasmagic.foundation.errors import InvalidArgument


def _orbax() -> ModuleType:
    try:
        import orbax.checkpoint as orbax  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError(
            "The callback OrbaxCheckpoint needs the package `orbax-checkpoint`: install it. Without it, "
            "BackupAndRestore saves points to go on from."
        ) from None
    return orbax


class OrbaxCheckpoint(MonitorCallback):
    """Saves weights and optimizer as Orbax checkpoints, in the background.

    Args:
        directory: Where; one folder for each checkpoint, named by the number of epochs or batches done.
        monitor: The number to watch.
        verbose: Whether to say what is saved.
        save_best_only: Whether to save only where the number became better.
        mode: ``"min"``, ``"max"``, or ``"auto"`` to ask the metric.
        save_freq: ``"epoch"``, or a number of batches.
        initial_value_threshold: The value to be better than at first.
        max_to_keep: How many checkpoints to keep.
        save_on_background: Whether training goes on while files are written.
        save_weights_only: Whether to leave the optimizer out.

    Raises:
        ImportError: If Orbax is not installed.
        InvalidArgument: If ``save_freq`` is impossible.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
        max_to_keep: int | None = 1,
        save_on_background: bool = True,
        save_weights_only: bool = False,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self._orbax = _orbax()
        self.directory = Path(directory).absolute()
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_freq = save_freq
        self.max_to_keep = max_to_keep
        self.save_on_background = save_on_background
        self.save_weights_only = save_weights_only
        self._counter = BatchCounter(save_freq)
        self._batches = 0
        self._manager: Any = None

    @property
    def manager(self) -> Any:
        """Orbax' manager of the checkpoints in the directory."""
        if self._manager is None:
            options = self._orbax.CheckpointManagerOptions(
                max_to_keep=self.max_to_keep, enable_async_checkpointing=self.save_on_background
            )
            self._manager = self._orbax.CheckpointManager(self.directory, options=options)
        return self._manager

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._counter.new_epoch()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches += 1
        if self._counter.is_due(batch):
            self._save(self._batches, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch + 1, logs or {})

    def _save(self, step: int, logs: dict[str, Any]) -> None:
        if self.save_best_only:
            current = logs.get(self.monitor)
            if current is None or not self._is_improvement(current, self.best):
                return
            self.best = current
        if self.verbose > 0:
            say(f"\nSaving checkpoint {step} to {self.directory}")
        values = {name: np.array(v.numpy()) for name, v in self._variables().items()}
        self.manager.save(step, args=self._orbax.args.StandardSave(values))

    def _variables(self) -> dict[str, Any]:
        variables = [*self.model.trainable_variables, *self.model.non_trainable_variables]
        if not self.save_weights_only and self.model.optimizer is not None:
            variables += self.model.optimizer.variables
        return {f"{index:05d}": variable for index, variable in enumerate(variables)}

    def restore(self, model: Any = None, step: int | None = None) -> int:
        """Give a model the values of a checkpoint and return which one it was.

        Args:
            model: A built and compiled model like the saved one; that of the run when ``None``.
            step: The checkpoint; the newest when ``None``.

        Raises:
            InvalidArgument: If there is none.
        """
        self._model = self._model if model is None else model
        self.manager.wait_until_finished()
        step = self.manager.latest_step() if step is None else step
        if step is None:
            raise InvalidArgument(f"There is no checkpoint in {self.directory}.")
        variables = self._variables()
        wanted = {name: np.asarray(v.numpy()) for name, v in variables.items()}
        values = self.manager.restore(step, args=self._orbax.args.StandardRestore(wanted))
        for name, variable in variables.items():
            variable.assign(values[name])
        return step

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.manager.wait_until_finished()
