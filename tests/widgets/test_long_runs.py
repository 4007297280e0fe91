"""What a long run leaves behind is small: in the kernel, on the wire and in the notebook."""

from __future__ import annotations

import dataclasses
import pickle
import threading
import time
from typing import Any

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances

from kerasmagic.training.events import (
    EpochEnded,
    EpochStarted,
    PhaseStarted,
    RunEnded,
    StepsDone,
    WeightsSeen,
)
from kerasmagic.widgets import sink as sink_module
from kerasmagic.widgets import static_run, throttle
from kerasmagic.widgets.chart import MAX_SHOWN, charts
from kerasmagic.widgets.curve import MAX_POINTS
from kerasmagic.widgets.reducer import EARLIER_POINTS, EARLIER_RUNS, RunState, reduce
from kerasmagic.widgets.sink import REMEMBERED, NotebookSink
from kerasmagic.widgets.throttle import Publisher
from kerasmagic.widgets.training import TrainingWidget
from kerasmagic.widgets.wire import as_text, message_size, pack_charts
from tests.widgets.runs import histogram, started, state_after, whole_run

EPOCHS, STEPS = 1000, 1000


def long_run(steps_told: int):
    """1,000 epochs of 1,000 steps, of which ``steps_told`` an epoch make an event."""
    yield started(epochs=EPOCHS, steps=STEPS)
    yield PhaseStarted("compiling", 0.0)
    now, stride = 1.0, STEPS // steps_told
    for epoch in range(EPOCHS):
        yield EpochStarted(epoch, now)
        for step in range(stride, STEPS + 1, stride):
            now += 1e-3 * stride
            total = epoch * STEPS + step
            yield StepsDone(epoch, step, total, 32, {"loss": 1.0 / total, "accuracy": 0.5}, now)
        logs = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5}
        yield EpochEnded(epoch, logs, 0.1, now)
    yield RunEnded("finished", "", now)


def check_small(state: RunState) -> None:
    assert state.position == EPOCHS * STEPS
    for curves in (state.train, state.train_epochs, state.validation):
        assert all(len(curve.points()[0]) <= MAX_POINTS for curve in curves.values())
    assert len(pickle.dumps(dataclasses.replace(state, **UNPICKLED))) < 300_000
    shown = charts(state)
    assert all(len(series.x) <= MAX_SHOWN for chart in shown for series in chart.series)
    index, numbers = pack_charts(shown)
    assert len(numbers) <= 2 * 3 * MAX_SHOWN * 8
    assert len(as_text(index)) < 10_000
    assert len(static_run.html(state)) < 150_000
    # A point on the right end of each curve, whatever was left out before.
    assert all(series.x[-1] == EPOCHS * STEPS for chart in shown for series in chart.series)


# Mapping proxies are views that nobody can change, and cannot be pickled.
UNPICKLED: dict[str, Any] = {"histograms": {}, "earlier": ()}


def test_a_million_steps_leave_a_small_state():
    state = RunState()
    for event in long_run(steps_told=20):
        state = reduce(state, event)
    check_small(state)


def test_a_million_events_on_their_way_are_merged():
    most = 0
    publisher = Publisher(lambda state: None, interval=0.01)
    for event in long_run(steps_told=STEPS):
        publisher.post(event)
        most = max(most, len(publisher._queue))
    # Within an epoch only the newest step waits.
    assert most < 5 * EPOCHS
    check_small(publisher.close(timeout=120.0))
    assert publisher.error is None


def test_earlier_runs_stay_in_sight_and_are_few():
    state = RunState()
    for number in range(10):
        for event in whole_run(run=number):
            state = reduce(state, event)
    assert [run.run for run in state.earlier] == [9 - EARLIER_RUNS + i for i in range(EARLIER_RUNS)]
    assert all(len(x) <= EARLIER_POINTS for run in state.earlier for x, _ in run.curves.values())
    loss = charts(state)[0]
    assert [series.kind for series in loss.series][:EARLIER_RUNS] == ["earlier"] * EARLIER_RUNS
    assert loss.series[0].x.tolist() == [10.0, 20.0, 30.0, 40.0]
    assert reduce(state, started(model="another")).earlier == ()


def test_a_run_that_ended_before_its_first_epoch_is_not_compared():
    state = state_after([started(), RunEnded("interrupted", "", 1.0), started(run=2)])
    assert state.earlier == ()


class Wire:
    """Stands for the connection to the page: notes when how many bytes went over it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.sent: list[tuple[float, int]] = []
        real = TrainingWidget._send

        def send(widget, message, buffers=None):
            self.sent.append((time.monotonic(), message_size(message, buffers)))
            real(widget, message, buffers)

        monkeypatch.setattr(TrainingWidget, "_send", send)

    def busiest(self) -> tuple[int, int]:
        """Return the most messages and the most bytes in any one second."""
        windows = [[size for at, size in self.sent if begin <= at < begin + 1.0] for begin, _ in self.sent]
        return max(map(len, windows)), max(map(sum, windows))


def test_a_view_that_takes_long_is_shown_less_often():
    shown = []

    def slow(state):
        shown.append(time.monotonic())
        end = time.thread_time() + 0.01
        while time.thread_time() < end:
            pass

    publisher = Publisher(slow)
    end = time.monotonic() + 2.0
    while time.monotonic() < end:
        publisher.post(StepsDone(0, len(shown), len(shown), 32, {"loss": 1.0}, time.time()))
        time.sleep(0.01)
    publisher.close()
    # A hundredth of the time would be twice as long as a reader should wait.
    assert 3 <= len(shown) <= 7
    assert np.diff(shown[:-1]).min() >= 0.9 * throttle.SLOWEST


def test_ten_updates_and_a_hundred_kilobytes_a_second(monkeypatch):
    monkeypatch.setattr(throttle, "LARGEST_SHARE", 1.0)
    widget = TrainingWidget()
    wire = Wire(monkeypatch)
    publisher = Publisher(widget.show)
    metrics = ("loss", "accuracy", "mae", "mse", "auc", "f1")
    publisher.post(started(epochs=10**6, steps=400, metrics=metrics))
    rng, end, step = np.random.default_rng(0), time.monotonic() + 3.5, 0
    while time.monotonic() < end:
        epoch, inside = divmod(step, 400)
        logs = dict(zip(metrics, rng.random(6).tolist(), strict=True))
        publisher.post(StepsDone(epoch, inside + 1, step + 1, 32, logs, time.time()))
        if inside == 399:
            publisher.post(
                EpochEnded(epoch, {**logs, **{f"val_{k}": v for k, v in logs.items()}}, 0.1, time.time())
            )
        if step % 500 == 0:
            many = {f"layer_{i}/kernel": histogram(rng.random(40), 0.0, rng.random()) for i in range(100)}
            publisher.post(WeightsSeen(step, many, time.time()))
        step += 1
        time.sleep(2e-4)
    # What the end sends, it sends at once and only then.
    messages, size = wire.busiest()
    publisher.post(RunEnded("finished", "", time.time()))
    publisher.close()
    widget.close()
    assert publisher.error is None
    assert len(wire.sent) >= 15
    assert messages <= 11
    assert size <= 100_000


@pytest.fixture
def display(monkeypatch):
    class Handle:
        def update(self, bundle, *, raw):
            pass

    monkeypatch.setattr(sink_module, "_display", lambda bundle: Handle())
    yield
    for sink in list(NotebookSink._live.values()):
        sink.close()
    NotebookSink._past.clear()


def publishers() -> int:
    return sum(thread.name == "kerasmagic-publisher" for thread in threading.enumerate())


def test_a_cell_run_again_and_again_keeps_no_widget_and_no_thread(display):
    before, threads = len(_instances), publishers()
    for number in range(4):
        sink = NotebookSink()
        for event in whole_run(["finished", "failed", "stopped", "interrupted"][number]):
            sink.emit(event)
    assert (len(_instances), publishers()) == (before, threads)
    assert len(NotebookSink._past) == 1


def test_models_of_many_names_are_forgotten(display):
    for number in range(2 * REMEMBERED):
        sink = NotebookSink()
        for event in (started(model=f"sequential_{number}"), RunEnded("finished", "", 1.0)):
            sink.emit(event)
    assert len(NotebookSink._past) == REMEMBERED


class Controls:
    """Remembers whether the run was asked to stop."""

    stopped = False

    def stop(self) -> bool:
        self.stopped = True
        return True

    def keep_best(self) -> None:
        pass


def test_a_cell_that_is_run_again_stops_what_it_left_in_the_background(display, monkeypatch):
    origins = iter([("cell", "1"), ("cell", "1"), ("other", "2"), ("cell", "3")])
    monkeypatch.setattr(sink_module, "_origin", lambda: next(origins))
    sinks = [NotebookSink() for _ in range(4)]
    controls = [Controls() for _ in range(4)]
    for number, (sink, control) in enumerate(zip(sinks, controls, strict=True)):
        sink.attach(control)  # type: ignore[arg-type]
        sink.emit(started(model=f"sequential_{number}"))
    # Both of the first execution, not that of another cell.
    assert [control.stopped for control in controls] == [True, True, False, False]
    assert [sink._widget is None for sink in sinks] == [True, True, False, False]
