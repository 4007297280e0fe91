"""The live training view: an anywidget that shows a ``RunState`` and takes what a reader asks of the run.

The kernel decides what is shown, down to the ticks; the scripts in ``static/training/`` draw it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import traitlets

from kerasmagic.callbacks.intervention import KINDS, Kind
from kerasmagic.widgets.assets import static, styles
from kerasmagic.widgets.chart import charts
from kerasmagic.widgets.controls import panel
from kerasmagic.widgets.placed import PlacedWidget
from kerasmagic.widgets.readout import readout
from kerasmagic.widgets.reducer import RUNNING, RunState
from kerasmagic.widgets.throttle import Budget, Share
from kerasmagic.widgets.weight_wire import pack_weights
from kerasmagic.widgets.weights import Choice, Weights, choice_of
from kerasmagic.widgets.wire import as_text, message_size, pack_charts, plain

# On the whole; a second may have more, but never 100 kB.
BYTES_PER_SECOND = 60_000.0
# A curve of many points takes longest to describe and changes least: the share of a processor for that, and the
# seconds that a reader waits for it at most.
CURVES_SHARE, SLOWEST_CURVES = 0.002, 1.0
_SCRIPTS = ("page", "readout", "controls", "charts", "reading", "advice", "weights", "main")


class TrainingWidget(PlacedWidget):
    """Progress, curves and weight histograms of one run, live.

    ``show`` may be called from any one thread. What a reader asks for goes to ``steer``, on the thread that
    takes the page's messages, as a kind of intervention and a number or ``None``.

    Example:

    >>> widget = TrainingWidget()
    >>> widget.show(RunState())
    >>> widget.view["status"], widget.panel["live"]
    ('no run yet', False)
    """

    _esm = static("kernel.js", "mount.js", *(f"training/{name}.js" for name in _SCRIPTS))
    _css = styles("training/training.css", "training/controls.css", "training/weights.css")

    view = traitlets.Dict().tag(sync=True, to_json=as_text)
    panel = traitlets.Dict().tag(sync=True, to_json=as_text)
    curve_index = traitlets.List().tag(sync=True, to_json=as_text)
    curves = traitlets.Bytes().tag(sync=True)
    weight_index = traitlets.List().tag(sync=True, to_json=as_text)
    weights = traitlets.Bytes().tag(sync=True)
    weight_view = traitlets.Dict().tag(sync=True, to_json=as_text)
    advice = traitlets.List().tag(sync=True, to_json=as_text)

    def __init__(self, **kwargs: Any):
        self._budget = Budget(BYTES_PER_SECOND)
        super().__init__(**kwargs)
        # The scripts go over once, and hold up nothing.
        self._budget = Budget(BYTES_PER_SECOND)
        # How many pages have begun to show it.
        self.views = 0
        self.steer: Callable[[Kind, float | None], object] = lambda kind, value: None
        self.choose: Callable[[Choice], object] = lambda choice: None
        self._drawn: Weights | None = None
        self._drawing = Share(CURVES_SHARE, most=SLOWEST_CURVES)
        self.on_msg(self._on_message)
        self.show(RunState())

    def show(self, state: RunState) -> None:
        """Send what differs from the state shown before, in one message.

        Curves and histograms wait for their share of the wire (60 kB/s) and of the processor; a run that is over
        sends them at once.
        """
        final = state.status not in RUNNING
        with self.hold_sync():
            self.view = plain(readout(state))
            shown = panel(state.controls, live=not final, paused=state.status == "paused")
            self.panel = plain(shown)
            self.advice = [plain(one) for one in state.advice]
            # What a reader has just asked for comes at once.
            asked = self._drawn is None or self._drawn.choice != state.weights.choice
            if self._drawn is not state.weights and (final or asked or self._budget.allows()):
                self.weight_view, self.weight_index, self.weights = pack_weights(state)
                self._drawn = state.weights
            if final or (self._budget.allows() and self._drawing.due()):
                with self._drawing:
                    self.curve_index, self.curves = pack_charts(charts(state))

    def _send(self, msg: Any, buffers: Any = None) -> None:
        self._budget.spend(message_size(msg, buffers))
        super()._send(msg, buffers)

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        kind, value = (
            (content.get("kind"), content.get("value")) if isinstance(content, dict) else (None, None)
        )
        if kind == "learning_rate" and not _is_rate(value):
            return
        if kind in ("shown", "placed"):
            self.views += 1
        if kind in KINDS:
            self.steer(kind, value)
        elif kind == "choose":
            self.choose(choice_of(content))


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
