"""The notebook's sink: one live output, replaced once by a picture, whatever the run and the views do."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kerasmagic.callbacks import Intervention
from kerasmagic.foundation import options
from kerasmagic.training.control import RunControl
from kerasmagic.training.events import Intervened, PhaseStarted, RunEnded, Sink
from kerasmagic.widgets import sink as sink_module
from kerasmagic.widgets.chart import charts
from kerasmagic.widgets.place import WIDGET_VIEW, Place
from kerasmagic.widgets.reducer import RunState
from kerasmagic.widgets.sink import NotebookSink, default_sink
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
    # A page that answers at once.
    monkeypatch.setattr(Place, "_known", True)
    yield notebook
    for sink in list(NotebookSink._live.values()):
        sink.close()


def feed(sink: Sink, events) -> None:
    for event in events:
        sink.emit(event)


def test_a_widget_first_and_a_picture_in_its_place(notebook):
    sink = NotebookSink()
    feed(sink, whole_run())
    assert [set(bundle) for bundle in notebook.displayed] == [{"text/html", "text/plain"}]
    assert [set(bundle) for bundle in notebook.updated] == [{"text/html", "image/png", "text/plain"}]
    assert 'data-state="finished"' in notebook.updated[0]["text/html"]
    assert sink.error is None
    assert sink.state.ended == 4
    assert NotebookSink._live == {}


def test_deterministic_text_is_the_same_before_and_after(notebook):
    with options.scoped(deterministic=True):
        feed(NotebookSink(), whole_run())
    assert notebook.displayed[0]["text/plain"] == notebook.updated[0]["text/plain"]
    assert set(notebook.displayed[0]) == {WIDGET_VIEW, "text/plain"}
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
    assert 9 <= asked <= 11


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


def test_what_a_reader_asks_for_reaches_the_run_and_shows_until_it_is_done(notebook):
    sink, control = NotebookSink(), RunControl("digits")
    sink.attach(control)
    sink.emit(started())
    widget = sink._widget
    assert widget is not None
    assert control.keeps_best
    widget._on_message(widget, {"kind": "rewind"}, [])
    widget._on_message(widget, {"kind": "learning_rate", "value": 0.5}, [])
    assert [tuple(request) for request in control.take()] == [("rewind", None), ("learning_rate", 0.5)]
    sink.emit(Intervened(Intervention("rewind", 0, 3, 3, message="went back"), 1.0))
    assert sink._publisher is not None
    state = sink._publisher.close()
    assert state.controls.asked == ("learning_rate",)
    assert widget.panel["note"] == "step 3: went back"


def test_messages_of_no_meaning_are_ignored():
    widget, seen = TrainingWidget(), []
    widget.steer = lambda kind, value: seen.append(kind)
    wrong = [
        {"kind": "learning_rate", "value": value} for value in (None, "1", -1, float("nan"), 1e999, True)
    ]
    for content in ("stop", None, {"kind": "other"}, {"kind": ["stop"]}, ["stop"], *wrong):
        widget._on_message(widget, content, [])
    assert seen == []
    widget.close()


def test_a_view_whose_run_is_over_asks_nobody(notebook):
    sink, control = NotebookSink(), RunControl("digits")
    sink.attach(control)
    sink.emit(started())
    assert sink._widget is not None
    steer = sink._widget.steer
    control.end("finished")
    feed(sink, [RunEnded("finished", "", 1.0)])
    steer("pause", None)
    assert not control.pending


def test_views_of_runs_of_one_name_live_side_by_side_while_they_are_on(notebook):
    sinks, controls = [NotebookSink(), NotebookSink()], [RunControl("digits"), RunControl("digits")]
    for sink, control in zip(sinks, controls, strict=True):
        sink.attach(control)
        feed(sink, whole_run()[:-1])
    assert all(sink._widget is not None for sink in sinks)
    controls[0].end("finished")
    sinks[0].emit(whole_run()[-1])
    assert sinks[1]._widget is not None
    sinks[1].emit(whole_run()[-1])
    assert len(notebook.updated) == 2
    assert NotebookSink._live == {}


def test_a_page_loaded_again_keeps_the_view_until_the_next_run(notebook):
    sinks = [NotebookSink(), NotebookSink()]
    feed(sinks[0], whole_run()[:-1])
    widget = sinks[0]._widget
    assert widget is not None
    for _ in range(2):
        widget._on_message(widget, {"kind": "shown"}, [])
    sinks[0].emit(whole_run()[-1])
    assert widget.comm is not None
    assert widget.view["state"] == "finished"
    assert not widget.panel["live"]
    sinks[1].emit(started())
    assert widget.comm is None
    assert NotebookSink._kept == []


@pytest.mark.parametrize("before", [8, 10])
def test_a_widget_closed_by_hand_leaves_the_run_and_its_picture_alone(notebook, before):
    sink = NotebookSink()
    events = whole_run()
    feed(sink, events[:before])
    assert sink._widget is not None
    sink._widget.close()
    feed(sink, events[before:])
    assert sink.error is None
    assert sink.state.ended == 4
    assert 'data-state="finished"' in notebook.updated[0]["text/html"]
    assert 'data-state="finished"' in notebook.updated[-1]["text/html"]


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


def test_while_a_run_is_on_its_last_state_is_kept_now_and_then(notebook):
    now = [0.0]
    sink = NotebookSink(clock=lambda: now[0])
    events = whole_run()
    feed(sink, events[:12])
    for second in range(1, 60):
        now[0] = float(second)
        sink._look(sink.state)
    kept = [bundle["text/html"] for bundle in notebook.updated]
    assert 2 <= len(kept) <= 4
    assert all("<script" not in html and "its end was not seen" in html for html in kept)
    assert "km-at-" in kept[-1]
    # A pause is kept at once: whoever pauses may go home.
    feed(sink, [PhaseStarted("paused", 3.0)])
    assert wait_until(
        lambda: any("paused, as last seen" in bundle["text/html"] for bundle in notebook.updated)
    )
    feed(sink, events[12:])
    assert 'data-state="finished"' in notebook.updated[-1]["text/html"]


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()
