"""Where the events of a run go in a notebook: a live view that a picture replaces.

A sink belongs to one run at a time. Nothing that goes wrong in a view reaches the training.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kerasmagic.training.events import Event, RunEnded, RunStarted
from kerasmagic.widgets import static_run
from kerasmagic.widgets.readout import constant_text
from kerasmagic.widgets.reducer import RunState
from kerasmagic.widgets.throttle import Publisher

if TYPE_CHECKING:
    from kerasmagic.widgets.training import TrainingWidget

WEIGHTS_INTERVAL = 0.7

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class NotebookSink:
    """Shows a run in the cell that started it, and leaves a picture behind that needs no kernel.

    ``RunStarted`` displays a ``TrainingWidget``; ``RunEnded`` replaces it by HTML, PNG and text and closes
    it. Another run of a model of the same name closes a view that never saw its end.

    Args:
        clock: Seconds, for the rate at which weights are asked for.
        weights_interval: The least number of seconds between two sets of histograms.
    """

    _live: dict[str, NotebookSink] = {}

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, weights_interval: float = WEIGHTS_INTERVAL
    ):
        self.error: Exception | None = None
        self._clock = clock
        self._weights_interval = weights_interval
        self._plan: RunStarted | None = None
        self._publisher: Publisher | None = None
        self._widget: TrainingWidget | None = None
        self._handle: Any = None
        self._next_weights = -float("inf")

    @property
    def stop_requested(self) -> bool:
        """Whether the reader pressed Stop."""
        return self._widget is not None and self._widget.stop_requested

    @property
    def state(self) -> RunState:
        """The run as last reduced; complete once ``RunEnded`` was emitted."""
        return RunState() if self._publisher is None else self._publisher.state

    def wants_weights(self) -> bool:
        """Whether histograms are due; the loop sends those of the end unasked."""
        now = self._clock()
        if self._widget is None or now < self._next_weights:
            return False
        self._next_weights = now + self._weights_interval
        return True

    def emit(self, event: Event) -> None:
        """Take one event; an exception in a view is kept in ``error`` and the training goes on."""
        try:
            if isinstance(event, RunStarted):
                self._open(event)
            if self._publisher is None or self._plan is None:
                return
            self._publisher.post(event)
            if isinstance(event, RunEnded):
                self._finish()
        except Exception as error:
            self.error = self.error or error

    def close(self) -> None:
        """End the view as it is: no picture replaces it, later events change nothing."""
        if self._publisher is not None:
            self._publisher.close(timeout=1.0)
        if self._widget is not None:
            self._widget.close()
        if self._plan is not None and self._live.get(self._plan.model) is self:
            del self._live[self._plan.model]
        self._plan = self._widget = self._handle = None

    def _open(self, plan: RunStarted) -> None:
        previous = self._live.get(plan.model)
        if previous is not None:
            previous.close()
        # anywidget takes a quarter of a second to import and is wanted only here.
        from kerasmagic.widgets.training import TrainingWidget

        self._plan, self._next_weights = plan, -float("inf")
        self._live[plan.model] = self
        self._widget = TrainingWidget()
        self._publisher = Publisher(self._widget.show)
        self._handle = _display(self._live_bundle(plan))

    def _live_bundle(self, plan: RunStarted) -> dict[str, Any]:
        assert self._widget is not None
        reference = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
        return {"text/plain": constant_text(plan), WIDGET_VIEW: reference}

    def _finish(self) -> None:
        assert self._publisher is not None
        state = self._publisher.close()
        self.error = self.error or self._publisher.error
        try:
            if self._handle is not None:
                self._handle.update(static_run.bundle(state), raw=True)
        finally:
            self.close()


def default_sink(level: int) -> NotebookSink | None:
    """Return a live view for a run, or ``None`` where plain text has to do.

    Args:
        level: ``1`` for a live view, ``2`` for one line of text an epoch (Keras' ``verbose``).

    Returns:
        A fresh sink for level 1 in a kernel that has the widgets' packages.

    Example:

    >>> default_sink(2) is None
    True
    """
    return NotebookSink() if level == 1 and in_kernel() and _has_widgets() else None


def in_kernel() -> bool:
    """Return whether a Jupyter kernel runs this code; imports nothing to find out."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def _has_widgets() -> bool:
    try:
        import anywidget as anywidget
    except ImportError:
        return False
    return True


def _display(bundle: dict[str, Any]) -> Any:
    from IPython.display import display

    return display(bundle, raw=True, display_id=True)
