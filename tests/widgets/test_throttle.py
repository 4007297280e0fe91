"""The publisher: a bounded rate, the last state for sure, and no way for a view to hurt the training."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kerasmagic.training.events import (
    Asked,
    EpochEnded,
    Histogram,
    PhaseStarted,
    RunEnded,
    StepsDone,
    WeightsSeen,
)
from kerasmagic.widgets.reducer import RunState
from kerasmagic.widgets.throttle import Budget, Publisher, read
from tests.widgets.runs import started, whole_run


class DeviceNumber:
    """A number that notes which thread read it."""

    def __init__(self, value: float):
        self.value = value
        self.readers: list[str] = []

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        self.readers.append(threading.current_thread().name)
        return np.asarray(self.value, dtype)


def step(number: int, loss: Any, epoch: int = 0) -> StepsDone:
    return StepsDone(epoch, number, number, 32, {"loss": loss}, 0.001 * number)


def test_many_events_make_few_updates_and_the_last_one_is_shown():
    seen: list[RunState] = []
    begin = time.monotonic()
    publisher = Publisher(seen.append, interval=0.05)
    publisher.post(started(steps=2000))
    for number in range(1, 2001):
        publisher.post(step(number, 1.0 / number))
        if number % 200 == 0:
            time.sleep(0.02)
    state = publisher.close()
    took = time.monotonic() - begin
    assert seen[-1] is state
    assert state.step == 2000
    assert 2 <= len(seen) <= took / 0.05 + 3
    assert publisher.error is None


def test_values_are_read_by_the_publisher_only_and_not_all_of_them():
    release = threading.Event()
    publisher = Publisher(lambda state: release.wait(5))
    publisher.post(started())
    time.sleep(0.05)
    numbers = [DeviceNumber(float(index)) for index in range(100)]
    for index, number in enumerate(numbers):
        publisher.post(step(index + 1, number))
    release.set()
    assert publisher.close().latest["loss"] == 99.0
    readers = {reader for number in numbers for reader in number.readers}
    assert readers == {"kerasmagic-publisher"}
    assert sum(bool(number.readers) for number in numbers) == 1


def test_no_epoch_is_lost_when_the_view_is_slow():
    publisher = Publisher(lambda state: time.sleep(0.05), interval=0.01)
    for event in whole_run():
        publisher.post(event)
    state = publisher.close()
    assert state.status == "finished"
    assert state.ended == 4
    assert len(state.validation["loss"].points()[0]) == 4


def test_a_view_that_raises_is_switched_off_and_the_state_goes_on():
    calls: list[int] = []

    def broken(state: RunState) -> None:
        calls.append(state.step)
        raise RuntimeError("the page is gone")

    publisher = Publisher(broken, interval=0.01)
    for event in whole_run():
        publisher.post(event)
        time.sleep(0.001)
    state = publisher.close()
    assert state.status == "finished"
    assert len(calls) == 1
    assert isinstance(publisher.error, RuntimeError)


def test_an_event_that_cannot_be_read_is_left_out():
    class Gone:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            raise RuntimeError("Array has been deleted.")

    seen: list[RunState] = []
    publisher = Publisher(seen.append)
    publisher.post(started())
    publisher.post(step(1, Gone()))
    publisher.post(RunEnded("finished", "", 1.0))
    assert publisher.close().status == "finished"
    assert "deleted" in str(publisher.error)
    assert seen[-1].status == "finished"


def test_an_answer_does_not_wait_for_its_share_of_the_processor(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kerasmagic.widgets.throttle.LARGEST_SHARE", 1e-9)
    monkeypatch.setattr("kerasmagic.widgets.throttle.SLOWEST", 20.0)
    seen: list[RunState] = []
    publisher = Publisher(seen.append, interval=0.05)
    publisher.post(started())
    until(lambda: bool(seen))
    publisher.post(step(1, 0.5))
    time.sleep(0.2)
    assert len(seen) == 1
    begin = time.monotonic()
    for _ in range(20):
        publisher.post(Asked("pause", 0.0))
        time.sleep(0.01)
    publisher.post(PhaseStarted("paused", 0.0))
    until(lambda: seen[-1].status == "paused")
    publisher.post(PhaseStarted("training", 0.0))
    until(lambda: seen[-1].status == "training")
    took = time.monotonic() - begin
    assert took < 10
    assert len(seen) <= 2 + took / 0.05
    publisher.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def test_closing_does_not_wait_for_a_dead_device():
    stuck = threading.Event()

    class Never:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            stuck.wait(10)
            return np.zeros(())

    publisher = Publisher(lambda state: None)
    publisher.post(step(1, Never()))
    begin = time.monotonic()
    publisher.close(timeout=0.1)
    assert time.monotonic() - begin < 2
    stuck.set()


def test_compiling_moves_the_clock_without_events():
    seen: list[RunState] = []
    moved = threading.Event()

    def view(state: RunState) -> None:
        seen.append(state)
        if state.clock.compiling > 0:
            moved.set()

    publisher = Publisher(view, interval=0.01, clock=lambda: 7.0)
    publisher.post(started())
    assert moved.wait(5)
    assert seen[-1].clock.compiling == 7.0
    assert publisher.close().clock.compiling == 0.0


def test_read_fetches_everything_that_has_a_curve():
    logs: dict[str, Any] = {
        "loss": np.float32(0.5),
        "f1": {"a": np.ones(()), "b": 2},
        "matrix": np.zeros((2, 2)),
    }
    event = read(StepsDone(0, 1, 1, 32, logs, 0.0))
    assert isinstance(event, StepsDone)
    assert event.logs == {"loss": 0.5, "a": 1.0, "b": 2.0}
    ended = read(EpochEnded(0, logs, None, 0.0))
    assert isinstance(ended, EpochEnded)
    assert set(ended.logs) == {"loss", "a", "b"}
    seen = read(WeightsSeen(1, {"w": Histogram([1, 2], np.float32(-1), np.float32(1))}, 0.0))
    assert isinstance(seen, WeightsSeen)
    assert seen.histograms["w"].counts.dtype == np.float32
    assert type(seen.histograms["w"].low) is float


def test_a_budget_is_paid_back_by_time():
    now = [0.0]
    budget = Budget(100.0, clock=lambda: now[0])
    budget.spend(250)
    now[0] = 2.4
    assert not budget.allows()
    now[0] = 2.6
    assert budget.allows()


@pytest.fixture(autouse=True)
def _no_publisher_is_left():
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        new = set(threading.enumerate()) - before
        if not any(thread.name == "kerasmagic-publisher" for thread in new):
            return
        time.sleep(0.01)
    raise AssertionError("a publisher's thread is still there")
