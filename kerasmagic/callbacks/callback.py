"""The base of all callbacks, and the list that calls them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import jax
import numpy as np

from kerasmagic.callbacks.intervention import Intervention
from kerasmagic.core import tree
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.views import displayed, view


class Callback:
    """Something that is told what happens during training, evaluation and prediction.

    A subclass overrides the hooks that it needs. ``logs`` is a dict of floats by name; what a
    hook puts into the ``logs`` of an epoch, the callbacks after it see too.

    Example:

    >>> class Shout(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(f"epoch {epoch}: {logs['loss']:.2f}!")
    >>> CallbackList([Shout()]).on_epoch_end(0, {"loss": 0.5})
    epoch 0: 0.50!
    """

    reads_late: ClassVar[bool] = False
    """Whether the hooks of a batch take ``logs`` that may still be on the device.

    Reading them waits for the device. A callback that shows them now and then sets
    this, and calls ``read_logs`` when it shows them.
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] | None = None
        self._model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Take note of ``epochs``, ``steps``, ``verbose``."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take note of the model."""
        self._model = model

    @property
    def model(self) -> Any:
        """The model that is trained; its variables hold their values of now."""
        return self._model

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called before the first epoch."""

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Called after the last epoch, with its logs."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called before epoch ``epoch``, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called after epoch ``epoch`` and its validation, whose logs begin with ``val_``."""

    def on_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called before each training batch, unless ``on_train_batch_begin`` is overridden."""

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called after each training batch, unless ``on_train_batch_end`` is overridden."""

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called before training batch ``batch``, counted from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called after training batch ``batch``; logs are means over the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called before an evaluation or validation."""

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Called after an evaluation or validation."""

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called before each batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called after each batch of an evaluation."""

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called before a prediction."""

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        """Called after a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called before each batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called after each batch of a prediction; ``logs["outputs"]`` holds its outputs."""


_ALSO = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


def overrides(callback: Callback, hook: str) -> bool:
    """Whether ``callback`` does something at ``hook``.

    >>> overrides(History(), "on_epoch_end"), overrides(History(), "on_train_batch_end")
    (True, False)
    """
    method = getattr(callback, hook)
    own = getattr(method, "__func__", method) is not getattr(Callback, hook)
    return own or (hook in _ALSO and overrides(callback, _ALSO[hook]))


def read_logs(logs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return logs with arrays of shape ``()`` as floats; waits for the device.

    >>> read_logs({"loss": np.float32(0.5), "note": "ok"})
    {'loss': 0.5, 'note': 'ok'}
    """
    return {name: _plain(value) for name, value in (logs or {}).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return read_logs(value)
    if isinstance(value, (jax.Array, np.ndarray, np.generic)) and np.ndim(value) == 0:
        return float(value)
    return value


class History(Callback):
    """Keeps the logs of all epochs; ``fit`` adds it and returns it.

    ``history`` maps each name to a list with one number an epoch, ``epoch`` lists the epochs,
    ``interventions`` what was done to the run while it ran; ``fit(replay=history)`` does it again.
    ``compilations`` lists which programs were compiled on the way, and why.

    Example:

    >>> history = History()
    >>> history.on_train_begin()
    >>> history.on_epoch_end(0, {"loss": 0.5})
    >>> history.epoch, history.history
    ([0], {'loss': [0.5]})
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self.interventions: list[Intervention] = []
        self.compilations: list[Any] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.epoch = []
        self.interventions = []
        self.compilations = getattr(self.model, "compilations", [])

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        if self.model is not None:
            self.model.history = self

    _repr_mimebundle_ = displayed("history")

    def plot(
        self,
        metrics: Any = None,
        *,
        axes: Any = None,
        log: bool = False,
        smoothing: float = 0.0,
        figsize: tuple[float, float] | None = None,
    ) -> Any:
        """Return the curves as a matplotlib figure, which a notebook shows and ``savefig`` writes to a file.

        Args:
            metrics: Names of the metrics to plot, each in a chart of its own beside its validation; the loss and
                all others when ``None``.
            axes: Where to draw instead: matplotlib axes, as many as there are charts.
            log: Whether values have a logarithmic scale.
            smoothing: How much the values before count, from 0 to below 1; what was measured stays faintly behind.
            figsize: Width and height of the figure in inches.

        Returns:
            A ``matplotlib.figure.Figure``.

        Raises:
            UnknownName: If a metric is not in the history.
            InvalidArgument: If the history is empty, ``smoothing`` is out of range, or there are too few axes.

        Example:

        >>> history = History()
        >>> history.on_train_begin()
        >>> for epoch in range(3):
        ...     history.on_epoch_end(epoch, {"loss": 1 / (epoch + 1), "val_loss": 0.5})
        >>> figure = history.plot("loss", log=True)
        >>> [axes.get_title(loc="left") for axes in figure.axes], len(figure.axes[0].lines)
        (['loss'], 3)
        """
        return view("plot_history")(self, metrics, axes=axes, log=log, smoothing=smoothing, figsize=figsize)


class CallbackList(Callback):
    """Calls each of several callbacks, and turns device values into floats only for those who read them.

    Args:
        callbacks: Callbacks, in any nesting of lists.
        add_history: Whether to add a ``History`` if there is none.
        extra: More callbacks to put behind them, for example a progress bar.
        model: The model that they are told of.
        params: What ``set_params`` hands to each.

    Example:

    >>> callbacks = CallbackList(add_history=True)
    >>> callbacks.on_train_begin()
    >>> callbacks.on_epoch_end(0, {"loss": np.float32(0.25)})
    >>> callbacks.history.history, callbacks.wants("on_train_batch_end")
    ({'loss': [0.25]}, False)
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        extra: Iterable[Callback] = (),
        model: Any = None,
        **params: Any,
    ):
        super().__init__()
        given = tree.flatten(callbacks) if callbacks else []
        for callback in given:
            # Others' callbacks need not be made from this class: they are told what they have hooks for.
            if isinstance(callback, type) or not hasattr(callback, "set_model"):
                raise InvalidArgument(
                    f"`callbacks` must be a list of `Callback` objects. Received: {callback!r} "
                    f"(of type {type(callback)})"
                )
        self.callbacks: list[Callback] = [*given]
        history = next((c for c in given if isinstance(c, History)), None)
        if history is None and add_history:
            history = History()
            self.callbacks.append(history)
        self.callbacks.extend(extra)
        self.history: History | None = history
        self.set_model(model)
        self.set_params(params)

    def append(self, callback: Callback) -> None:
        """Add one more callback."""
        self.callbacks.append(callback)

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model: Any) -> None:
        if model is None:
            return
        super().set_model(model)
        if self.history is not None:
            model.history = self.history
        for callback in self.callbacks:
            callback.set_model(model)

    def wants(self, hook: str, *, at_once: bool = False) -> bool:
        """Whether a callback does something at ``hook``.

        Args:
            hook: For example ``"on_train_batch_end"``.
            at_once: Leave out those that may be told late: without any left, several
                steps may go to the device together.
        """
        return any(overrides(c, hook) and not (at_once and c.reads_late) for c in self.callbacks)

    def _tell(self, hook: str, *place: int, logs: dict[str, Any] | None) -> None:
        """Call ``hook`` where it is overridden; all see the same dict of floats."""
        plain: dict[str, Any] | None = None
        for callback in self.callbacks:
            if not overrides(callback, hook):
                continue
            if callback.reads_late and "_batch_" in hook:
                getattr(callback, hook)(*place, logs)
                continue
            plain = read_logs(logs) if plain is None else plain
            getattr(callback, hook)(*place, plain)
        if plain is not None and logs is not None and "_batch_" not in hook:
            logs.update(plain)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_train_begin", logs=logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_train_end", logs=logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_epoch_begin", epoch, logs=logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_epoch_end", epoch, logs=logs)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_train_batch_begin", batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_train_batch_end", batch, logs=logs)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_test_begin", logs=logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_test_end", logs=logs)

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_test_batch_begin", batch, logs=logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_test_batch_end", batch, logs=logs)

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_predict_begin", logs=logs)

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_predict_end", logs=logs)

    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_predict_batch_begin", batch, logs=logs)

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_predict_batch_end", batch, logs=logs)
