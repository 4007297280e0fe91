"""Several callbacks as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasmagic.callbacks.callback import Callback
from kerasmagic.callbacks.history import History
from kerasmagic.foundation.errors import UnexpectedArgument

_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


class CallbackList(Callback):
    """Calls every callback of a list, in order.

    Args:
        callbacks: The callbacks.
        add_history: Whether to add a ``History`` if there is none; ``model.history`` is then that one.
        add_progbar: Accepted for compatibility; progress is shown by ``fit`` itself.
        model: The model that runs.
        params: ``epochs``, ``steps``, ``verbose``.

    Raises:
        UnexpectedArgument: If something in the list is no callback.

    Example:

    >>> listed = CallbackList([], add_history=True)
    >>> listed.on_epoch_end(0, {"loss": 1.0})
    >>> listed.callbacks[0].history
    {'loss': [1.0]}
    """

    def __init__(
        self,
        callbacks: Sequence[Any] | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        super().__init__()
        self.callbacks: list[Any] = list(callbacks or [])
        for callback in self.callbacks:
            if not hasattr(callback, "set_model"):
                raise UnexpectedArgument(
                    f"`callbacks` must hold Callback instances. Received: {callback!r} (of type {type(callback)})"
                )
        if add_history:
            self._add_history(model)
        self.set_params(params)
        if model is not None:
            self.set_model(model)

    def _add_history(self, model: Any) -> None:
        found = next((c for c in self.callbacks if isinstance(c, History)), None)
        if found is None:
            found = History()
            self.callbacks.append(found)
        if model is not None:
            model.history = found

    @property
    def watches_batches(self) -> bool:
        """Whether any callback wants to be called at each training step."""
        return any(
            getattr(type(callback), hook, None) is not getattr(Callback, hook)
            for callback in self.callbacks
            for hook in _BATCH_HOOKS
        )

    def append(self, callback: Any) -> None:
        """Add a callback at the end."""
        self.callbacks.append(callback)

    def set_params(self, params: Any) -> None:
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(dict(params))

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)

    def _each(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*args)

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._each("on_batch_begin", batch, logs)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self._each("on_batch_end", batch, logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._each("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._each("on_epoch_end", epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._each("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._each("on_train_batch_end", batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._each("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._each("on_test_batch_end", batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._each("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._each("on_predict_batch_end", batch, logs)

    def on_train_begin(self, logs: Any = None) -> None:
        self._each("on_train_begin", logs)

    def on_train_end(self, logs: Any = None) -> None:
        self._each("on_train_end", logs)

    def on_test_begin(self, logs: Any = None) -> None:
        self._each("on_test_begin", logs)

    def on_test_end(self, logs: Any = None) -> None:
        self._each("on_test_end", logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._each("on_predict_begin", logs)

    def on_predict_end(self, logs: Any = None) -> None:
        self._each("on_predict_end", logs)
