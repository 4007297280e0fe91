"""The live training view: an anywidget that shows a ``RunState`` and offers a Stop button.

The kernel decides what is shown, down to the ticks; the scripts in ``static/training/`` draw it.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from typing import Any

import anywidget
import numpy as np
import traitlets

from kerasmagic.widgets import units
from kerasmagic.widgets.assets import static
from kerasmagic.widgets.chart import Chart, charts
from kerasmagic.widgets.readout import describe_histogram, readout, short_name
from kerasmagic.widgets.reducer import RUNNING, RunState, bins
from kerasmagic.widgets.throttle import Budget

MAX_HISTOGRAMS = 60
CURVE_BYTES_PER_SECOND = 60_000.0


class TrainingWidget(anywidget.AnyWidget):
    """Progress, curves and weight histograms of one run, live.

    ``show`` may be called from any one thread. ``stop_requested`` becomes true when the reader
    presses Stop; the training loop is expected to look at it.

    Example:

    >>> widget = TrainingWidget()
    >>> widget.show(RunState())
    >>> widget.view["status"], widget.stop_requested
    ('no run yet', False)
    """

    _esm = static(*(f"training/{name}.js" for name in ("page", "readout", "charts", "weights", "main")))
    _css = static("training/training.css")

    view = traitlets.Dict().tag(sync=True)
    stopping = traitlets.Bool(False).tag(sync=True)
    curve_index = traitlets.List().tag(sync=True)
    curves = traitlets.Bytes().tag(sync=True)
    weight_index = traitlets.List().tag(sync=True)
    weights = traitlets.Bytes().tag(sync=True)

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._stop = threading.Event()
        self._budget = Budget(CURVE_BYTES_PER_SECOND)
        self._shown = RunState()
        self.on_msg(self._on_message)
        answer_while_busy(self)
        self.show(RunState())

    @property
    def stop_requested(self) -> bool:
        """Whether Stop was pressed."""
        return self._stop.is_set()

    def show(self, state: RunState) -> None:
        """Send what differs from the state shown before, in one message.

        Curves wait for their share of the wire (60 kB/s); a run that is over sends them at once.
        """
        final = state.status not in RUNNING
        with self.hold_sync():
            self.view = dataclasses.asdict(readout(state))
            if final or self._budget.allows():
                self.curve_index, self.curves = pack_charts(charts(state))
                self._budget.spend(len(self.curves))
            if state.histograms is not self._shown.histograms:
                self.weight_index, self.weights = pack_histograms(state)
        self._shown = state

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if isinstance(content, dict) and content.get("kind") == "stop":
            self._stop.set()
            self.stopping = True


def answer_while_busy(widget: anywidget.AnyWidget) -> None:
    """Let messages of ``widget`` be delivered while a cell runs, where the kernel can do that.

    ipykernel 7.4 sends them to the busy main shell unless this private attribute is unset;
    other versions either do it by themselves or not at all.
    """
    comm: Any = widget.comm
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = None


def pack_charts(shown: Sequence[Chart]) -> tuple[list[dict[str, Any]], bytes]:
    """Return a description of each chart, and all points as float32: for each series ``x`` then ``y``.

    ``offset`` and ``count`` of a series are in numbers, not bytes.
    """
    index: list[dict[str, Any]] = []
    arrays: list[np.ndarray] = []
    offset = 0
    for chart in shown:
        series = []
        for line in chart.series:
            series.append({"kind": line.kind, "offset": offset, "count": len(line.x)})
            arrays += [line.x, line.y]
            offset += 2 * len(line.x)
        index.append(
            {
                "name": chart.name,
                "series": series,
                "x": dataclasses.asdict(chart.x),
                "y": dataclasses.asdict(chart.y),
                "best": chart.best,
                "summary": chart.summary,
            }
        )
    return index, _float32(arrays)


def pack_histograms(state: RunState) -> tuple[list[dict[str, Any]], bytes]:
    """Return name, range and place of each histogram shown, and all counts as float32."""
    index: list[dict[str, Any]] = []
    arrays: list[np.ndarray] = []
    offset = 0
    for name, histogram in list(state.histograms.items())[:MAX_HISTOGRAMS]:
        counts = bins(histogram)
        index.append(
            {
                "name": name,
                "owner": short_name(name)[0],
                "label": short_name(name)[1],
                "low": units.short_number(histogram.low),
                "high": units.short_number(histogram.high),
                "summary": describe_histogram(name, histogram),
                "offset": offset,
                "count": len(counts),
            }
        )
        arrays.append(counts)
        offset += len(counts)
    return index, _float32(arrays)


def _float32(arrays: list[np.ndarray]) -> bytes:
    return np.concatenate(arrays).astype("<f4").tobytes() if arrays else b""
