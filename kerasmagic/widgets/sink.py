"""Where the events of a run go in a notebook: a live view that a picture replaces.

A sink belongs to one run at a time. Nothing that goes wrong in a view reaches the training.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from kerasmagic.callbacks.intervention import Kind
from kerasmagic.training.events import Asked, Controls, Event, RunEnded, RunStarted, WeightsSeen
from kerasmagic.widgets import static_run
from kerasmagic.widgets.memory import MemoryGauge
from kerasmagic.widgets.place import Place
from kerasmagic.widgets.reducer import RUNNING, RunState, reduce
from kerasmagic.widgets.throttle import Publisher, Share
from kerasmagic.widgets.weights import Choice, Weights

if TYPE_CHECKING:
    from kerasmagic.widgets.training import TrainingWidget

WEIGHTS_INTERVAL = 1.0
# Histograms take at most this share of the run's time.
WEIGHTS_SHARE = 0.005
# How many models' last runs are remembered, to be shown behind the next run of the same model.
REMEMBERED = 8
# How many views of runs that are over stay open in pages that were loaded again.
MOST_KEPT = 4

# Seconds between two pictures that are kept in the notebook while the run is on, for the day its kernel is killed,
# and the share of a processor that making them may take.
KEPT_INTERVAL = 15.0
KEPT_SHARE = 0.001


class NotebookSink:
    """Shows a run in the cell that started it, and leaves a picture behind that needs no kernel.

    ``RunStarted`` displays a ``TrainingWidget``; ``RunEnded`` replaces it by HTML, PNG and text and closes
    it. Another run of a model of the same name closes a view that never saw its end; a cell that is run again
    also stops the runs that it left in the background.

    Args:
        clock: Seconds, for the rate at which weights are asked for.
        weights_interval: The least number of seconds between two sets of histograms.
    """

    # Called when a run begins that is shown.
    openings: ClassVar[set[Callable[[], object]]] = set()
    _live: dict[int, NotebookSink] = {}
    _past: dict[str, RunState] = {}
    _kept: list[tuple[str, TrainingWidget]] = []

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, weights_interval: float = WEIGHTS_INTERVAL
    ):
        self.error: Exception | None = None
        self._clock = clock
        self._weights_interval = weights_interval
        self._plan: RunStarted | None = None
        self._publisher: Publisher | None = None
        self._widget: TrainingWidget | None = None
        self._place: Place | None = None
        self._keeping = Share(KEPT_SHARE, KEPT_INTERVAL, clock=clock)
        self._kept_status = ""
        self._controls: Controls | None = None
        self._origin: tuple[str, str] | None = None
        self._next_weights = -float("inf")

    def attach(self, controls: Controls) -> None:
        """Let the reader steer the run; what is asked for shows as such until it is done."""
        self._controls = controls
        controls.keep_best()

    def _steer(self, kind: Kind, value: float | None) -> None:
        controls, publisher = self._controls, self._publisher
        if controls is None or publisher is None:
            return
        ask: dict[Kind, Callable[[], bool]] = {
            "pause": controls.pause,
            "resume": controls.resume,
            "stop": controls.stop,
            "checkpoint": controls.checkpoint,
            "rewind": controls.rewind,
            "learning_rate": lambda: value is not None and controls.set_learning_rate(value),
        }
        # First what was asked, then the asking: the run may be quick to answer.
        publisher.post(Asked(kind, time.time()))
        ask[kind]()

    def _choose(self, choice: Choice) -> None:
        if self._publisher is not None:
            self._publisher.post(choice)
            # Who asks for something new gets it with the next step.
            self._next_weights = -float("inf")

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

    def wants_gradients(self) -> bool:
        """Whether the reader looks at more than the weights themselves."""
        return self._widget is not None and self.state.weights.choice.kind != "weights"

    def emit(self, event: Event) -> None:
        """Take one event; an exception in a view is kept in ``error`` and the training goes on."""
        try:
            if isinstance(event, RunStarted):
                self._open(event)
            if self._publisher is None or self._plan is None:
                return
            self._publisher.post(event)
            if isinstance(event, WeightsSeen):
                self._next_weights = max(self._next_weights, self._clock() + event.cost / WEIGHTS_SHARE)
            if isinstance(event, RunEnded):
                self._finish()
        except Exception as error:
            self.error = self.error or error

    def close(self) -> None:
        """End the view as it is: no picture replaces it, later events change nothing."""
        if self._publisher is not None:
            self._publisher.close(timeout=1.0)
            self._remember(self._publisher.state)
        if self._place is not None:
            self._place.end()
        if self._widget is not None:
            self._widget.close()
        self._live.pop(id(self), None)
        self._plan = self._widget = self._place = None

    def _came_from_before(self, origin: tuple[str, str]) -> bool:
        """Whether this is a view of the same cell, from an earlier execution of it."""
        return self._origin is not None and self._origin[0] == origin[0] and self._origin[1] != origin[1]

    def _remember(self, state: RunState) -> None:
        if state.plan is not None and self._plan is not None:
            self._past.pop(state.plan.model, None)
            self._past[state.plan.model] = dataclasses.replace(state, histograms={}, weights=Weights())
            for name in list(self._past)[:-REMEMBERED]:
                del self._past[name]

    def _open(self, plan: RunStarted) -> None:
        self._origin = _origin()
        for previous in list(self._live.values()):
            again = self._origin is not None and previous._came_from_before(self._origin)
            if again and previous._controls is not None:
                previous._controls.stop()
            # Several models of one name may train in the background at once.
            if again or (previous._shows(plan.model) and not previous._is_on()):
                previous.close()
        self._close_kept(lambda _, model: model == plan.model)
        # anywidget takes a quarter of a second to import and is wanted only here.
        from kerasmagic.widgets.training import TrainingWidget

        self._plan, self._next_weights = plan, -float("inf")
        self._live[id(self)] = self
        self._widget = TrainingWidget()
        self._widget.steer = self._steer
        self._widget.choose = self._choose
        past = self._past.get(plan.model)
        self._place = Place(self._widget, _display)
        self._keeping, self._kept_status = Share(KEPT_SHARE, KEPT_INTERVAL, clock=self._clock), "starting"
        self._publisher = Publisher(self._look, state=past, gauge=MemoryGauge())
        self._keeping.postpone()
        self._place.show(static_run.kept(reduce(RunState(), plan)))
        for tell in list(self.openings):
            tell()

    @classmethod
    def of(cls, model: str) -> NotebookSink | None:
        """Return what shows the run of the model of this name that is on, if one does."""
        found = [sink for sink in cls._live.values() if sink._shows(model)]
        return found[-1] if found else None

    def follow(self, words: str) -> None:
        """Let the histograms be those whose names hold ``words``, of the kind that was chosen."""
        self._choose(dataclasses.replace(self.state.weights.choice, words=words))

    def _shows(self, model: str) -> bool:
        return self._plan is not None and self._plan.model == model

    def _is_on(self) -> bool:
        return self._controls is not None and not self._controls.done

    def _look(self, state: RunState) -> None:
        widget, place = self._widget, self._place
        if widget is None or place is None:
            return
        widget.show(state)
        resting = state.status == "paused" != self._kept_status
        if state.status in RUNNING and (resting or self._keeping.due()):
            self._kept_status = state.status
            with self._keeping:
                place.keep(static_run.kept(state))

    def _finish(self) -> None:
        assert self._publisher is not None
        state = self._publisher.close()
        self.error = self.error or self._publisher.error
        try:
            if self._place is not None:
                self._place.end(static_run.bundle(state))
        finally:
            self._keep_if_opened_again()
            self.close()

    def _keep_if_opened_again(self) -> None:
        """Leave the widget open in a page that was loaded while the run was on: nothing takes its place there."""
        if self._widget is not None and self._plan is not None and self._widget.views > 1:
            self._kept.append((self._plan.model, self._widget))
            self._widget = None
            self._close_kept(lambda index, _: index < len(self._kept) - MOST_KEPT)

    @classmethod
    def _close_kept(cls, chosen: Callable[[int, str], bool]) -> None:
        closed = [each for index, each in enumerate(cls._kept) if chosen(index, each[0])]
        cls._kept[:] = [each for each in cls._kept if each not in closed]
        for _, widget in closed:
            widget.close()


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
    return NotebookSink() if level == 1 and in_kernel() and has_widgets() else None


def in_kernel() -> bool:
    """Return whether a Jupyter kernel runs this code; imports nothing to find out."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def _origin() -> tuple[str, str] | None:
    """Return the cell that runs and which of its executions this is, where the front end tells."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    parent = shell.get_parent() if shell is not None and hasattr(shell, "get_parent") else {}
    cell, execution = parent.get("metadata", {}).get("cellId"), parent.get("header", {}).get("msg_id")
    return (str(cell), str(execution)) if cell and execution else None


def has_widgets() -> bool:
    """Return whether the packages of the widgets are there."""
    try:
        import anywidget as anywidget
    except ImportError:
        return False
    return True


def _display(bundle: dict[str, Any]) -> Any:
    from IPython.display import display

    return display(bundle, raw=True, display_id=True)
