"""The notebook's sink: one live output, replaced once by a picture, whatever the run and the views do."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from kerasmagic.foundation import options
from kerasmagic.training.events import RunEnded, Sink
from kerasmagic.widgets import sink as sink_module
from kerasmagic.widgets.chart import charts
from kerasmagic.widgets.reducer import RunState
from kerasmagic.widgets.sink import WIDGET_VIEW, NotebookSink, default_sink
from kerasmagic.widgets.training import TrainingWidget, pack_charts
from tests.widgets.runs import started, state_after, whole_run


class Notebook:
    """Stands for the cell's output: remembers what was displayed and what replaced it."""

    def __init__(self):
        self.displayed: list[dict[str, Any]] = []
        self.updated: list[dict[str, Any]] = []

    def display(self, bundle):
        self.displayed.append(bundle)
        return self

    def update(self, bundle, *, raw):
        assert raw
        self.updated.append(bundle)


@pytest.fixture
def notebook(monkeypatch):
    notebook = Notebook()
    monkeypatch.setattr(sink_module, "_display", notebook.display)
    yield notebook
    for sink in list(NotebookSink._live.values()):
        sink.close()


def feed(sink: Sink, events) -> None:
    for event in events:
        sink.emit(event)


def test_a_widget_first_and_a_picture_in_its_place(notebook):
    sink = NotebookSink()
    feed(sink, whole_run())
    assert [set(bundle) for bundle in notebook.displayed] == [{WIDGET_VIEW, "text/plain"}]
    assert [set(bundle) for bundle in notebook.updated] == [{"text/html", "image/png", "text/plain"}]
    assert 'data-state="finished"' in notebook.updated[0]["text/html"]
    assert sink.error is None
    assert sink.state.ended == 4
    assert NotebookSink._live == {}


def test_deterministic_text_is_the_same_before_and_after(notebook):
    with options.scoped(deterministic=True):
        feed(NotebookSink(), whole_run())
    assert notebook.displayed[0]["text/plain"] == notebook.updated[0]["text/plain"]
    assert set(notebook.updated[0]) == {"image/png", "text/plain"}


def test_weights_are_wanted_now_and_then(notebook):
    now = [0.0]
    sink = NotebookSink(clock=lambda: now[0])
    assert not sink.wants_weights()
    sink.emit(started())
    assert sink.wants_weights()
    asked = 0
    for _ in range(100):
        now[0] += 0.1
        asked += sink.wants_weights()
    assert 10 <= asked <= 20


def test_a_run_that_starts_again_closes_the_view_left_behind(notebook):
    first, second = NotebookSink(), NotebookSink()
    feed(first, whole_run()[:5])
    assert first._widget is not None
    feed(second, whole_run())
    assert first._widget is None
    feed(first, whole_run()[5:])
    assert len(notebook.updated) == 1
    assert first.error is None


def test_a_sink_can_be_used_for_one_run_after_another(notebook):
    sink = NotebookSink()
    feed(sink, whole_run())
    feed(sink, whole_run("stopped"))
    assert len(notebook.displayed) == len(notebook.updated) == 2
    assert sink.state.status == "stopped"


def test_a_display_that_fails_does_not_reach_the_training(monkeypatch):
    def broken(bundle):
        raise OSError("no front end")

    monkeypatch.setattr(sink_module, "_display", broken)
    sink = NotebookSink()
    feed(sink, whole_run())
    assert isinstance(sink.error, OSError)
    assert NotebookSink._live == {}


def test_a_widget_that_fails_still_leaves_a_picture(notebook, monkeypatch):
    sink = NotebookSink()
    real = TrainingWidget.show

    def broken(self, state):
        if state.plan is not None:
            raise RuntimeError("lost")
        real(self, state)

    monkeypatch.setattr(TrainingWidget, "show", broken)
    feed(sink, whole_run())
    assert isinstance(sink.error, RuntimeError)
    assert 'data-state="finished"' in notebook.updated[0]["text/html"]


def test_a_run_that_ends_before_it_trains(notebook):
    sink = NotebookSink()
    feed(sink, [started(), RunEnded("interrupted", "", 1.0)])
    assert 'data-state="interrupted"' in notebook.updated[0]["text/html"]


def test_the_stop_button_is_seen_by_the_loop(notebook):
    sink = NotebookSink()
    sink.emit(started())
    assert sink._widget is not None
    assert not sink.stop_requested
    sink._widget._on_message(sink._widget, {"kind": "stop"}, [])
    assert sink.stop_requested
    assert sink._widget.stopping


def test_messages_of_no_meaning_are_ignored():
    widget = TrainingWidget()
    for content in ("stop", None, {"kind": "other"}, ["stop"]):
        widget._on_message(widget, content, [])
    assert not widget.stop_requested
    widget.close()


def test_the_widget_sends_float32_points():
    state = state_after(whole_run())
    index, data = pack_charts(charts(state))
    numbers = np.frombuffer(data, "<f4")
    series = index[0]["series"][2]
    assert series["kind"] == "validation"
    y = numbers[series["offset"] + series["count"] :][: series["count"]]
    assert y.tolist() == pytest.approx([1.1, 0.6, 1 / 3 + 0.1, 0.35])
    assert sum(2 * line["count"] for chart in index for line in chart["series"]) == len(numbers)


def test_an_update_is_one_message(monkeypatch):
    widget = TrainingWidget()
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(widget, "_send", lambda message, buffers=None: sent.append(message))
    widget.show(state_after(whole_run()))
    assert len(sent) == 1
    assert {"view", "curve_index", "weight_index"} <= set(sent[0]["state"])
    widget.show(state_after(whole_run()[:2]))
    widget.close()


def test_curves_wait_for_their_share_of_the_wire(monkeypatch):
    widget = TrainingWidget()
    running = state_after(whole_run()[:-1])
    widget.show(running)
    index = widget.curve_index
    widget.show(state_after(whole_run()[:20]))
    assert widget.curve_index is index
    widget.show(state_after(whole_run()[:20] + whole_run()[-1:]))
    assert widget.curve_index is not index
    widget.close()


def test_a_live_view_only_where_a_kernel_has_widgets(monkeypatch):
    assert default_sink(1) is None
    monkeypatch.setattr(sink_module, "in_kernel", lambda: True)
    assert isinstance(default_sink(1), NotebookSink)
    assert default_sink(2) is None
    monkeypatch.setitem(sys.modules, "anywidget", None)
    assert default_sink(1) is None


def test_no_kernel_here():
    assert not sink_module.in_kernel()


def test_an_unused_sink_has_an_empty_state():
    sink = NotebookSink()
    assert sink.state == RunState()
    sink.close()
