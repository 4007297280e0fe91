"""A thread that turns events into view updates at a bounded rate, away from the thread that trains.

``post`` only stores a reference. The publisher's thread waits for the device,
reduces, and calls the view, at most ten times a second; a view that raises is
switched off and remembered, and the training never notices.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasmagic.training.events import (
    Asked,
    EpochEnded,
    Event,
    Histogram,
    Intervened,
    PhaseStarted,
    StepsDone,
    WeightsSeen,
)
from kerasmagic.widgets.reducer import RUNNING, RunState, at, reduce
from kerasmagic.widgets.weights import Choice

INTERVAL = 0.1
# The thread that shows takes no more than this share of a processor from the training, but shows this often, in
# seconds. A reader who waits for an answer to a click waits for ``INTERVAL`` only.
LARGEST_SHARE = 0.004
SLOWEST = 0.8
HEARTBEAT = 0.5

View = Callable[[RunState], object]
_ANSWERS = (Choice, Asked, Intervened)


def read(event: Event | Choice) -> Event | Choice:
    """Return ``event`` with every number on the host; waits for the device.

    A metric whose result is a dict counts as several; one whose result is an array has no curve and is
    left out.

    Example:

    >>> read(StepsDone(0, 1, 1, 32, {"loss": np.float32(0.5)}, 0.0)).logs
    {'loss': 0.5}
    """
    if isinstance(event, StepsDone | EpochEnded):
        return dataclasses.replace(event, logs=_scalars(event.logs))
    if isinstance(event, WeightsSeen):
        return dataclasses.replace(
            event,
            histograms=_histograms(event.histograms),
            gradients=_histograms(event.gradients),
            updates=dict(event.updates),
            layers=dict(event.layers),
        )
    return event


class Publisher:
    """Reduces posted events and shows the newest state to ``view``.

    Args:
        view: Called on the publisher's thread with each state that is due. Its first exception
            is kept in ``error`` and ends the calls; the state goes on.
        interval: The least number of seconds between two calls.
        clock: The time as the events count it.
        state: The state to go on from: a run that starts keeps the one before in sight.
        gauge: Asked for an event of its own on the publisher's thread, before each call.

    Example:

    >>> seen = []
    >>> publisher = Publisher(lambda state: seen.append(state.latest["loss"]))
    >>> publisher.post(StepsDone(0, 1, 1, 32, {"loss": np.float32(0.5)}, 0.0))
    >>> publisher.close().latest["loss"], seen[-1], publisher.error
    (0.5, 0.5, None)
    """

    def __init__(
        self,
        view: View,
        *,
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.time,
        state: RunState | None = None,
        gauge: Callable[[], Event | None] = lambda: None,
    ):
        self.state = RunState() if state is None else state
        self._gauge = gauge
        self.error: Exception | None = None
        self._view: View | None = view
        self._interval = interval
        self._clock = clock
        self._queue: list[Event | Choice] = []
        self._changed = threading.Condition()
        self._closing = False
        # Whether the thread waits for an event.
        self._hungry = False
        self._thread = threading.Thread(target=self._run, name="kerasmagic-publisher", daemon=True)
        self._thread.start()

    def post(self, event: Event | Choice) -> None:
        """Take an event; within an epoch a newer ``StepsDone`` takes the place of one not yet shown."""
        with self._changed:
            if self._queue and _supersedes(event, self._queue[-1]):
                self._queue[-1] = event
            else:
                self._queue.append(event)
            # To wake a thread that only lets time pass would cost more than the rest of this.
            if self._hungry or self._answers(event):
                self._changed.notify()

    def close(self, timeout: float = 5.0) -> RunState:
        """Show the last state once, end the thread, and return the state.

        Args:
            timeout: Seconds to wait for a device that does not answer.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return self.state

    def _run(self) -> None:
        share = Share(LARGEST_SHARE, self._interval, SLOWEST)
        while True:
            with self._changed:
                if not self._queue and not self._closing:
                    self._hungry = True
                    self._changed.wait(self._patience())
                    self._hungry = False
                events, self._queue = self._queue, []
                closing = self._closing
            with share:
                self._take(events)
                self._measure()
                self._show(self.state if events or closing else at(self.state, self._clock()))
            with self._changed:
                if closing and not self._queue:
                    return
            self._rest(share.wait())

    def _rest(self, seconds: float) -> None:
        """Wait, but no longer than a reader should for an answer."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing, min(seconds, self._interval))
            self._changed.wait_for(
                lambda: self._closing or any(map(self._answers, self._queue)), seconds - self._interval
            )

    def _answers(self, event: Event | Choice) -> bool:
        """Whether a reader has asked for this."""
        if isinstance(event, PhaseStarted):
            return "paused" in (event.phase, self.state.status)
        return isinstance(event, _ANSWERS)

    def _take(self, events: list[Event | Choice]) -> None:
        for event in events:
            try:
                self.state = reduce(self.state, read(event))
            except Exception as error:
                # A value may be gone (a donated buffer): the next event brings a newer one.
                self.error = self.error or error

    def _measure(self) -> None:
        try:
            seen = self._gauge()
            self.state = self.state if seen is None else reduce(self.state, seen)
        except Exception as error:
            self.error = self.error or error

    def _patience(self) -> float | None:
        # Compiling and long steps send no events: there the clock alone moves the view, and what had to wait for
        # its share of the wire comes after all.
        return HEARTBEAT if self.state.status in RUNNING else None

    def _show(self, state: RunState) -> None:
        if self._view is None:
            return
        try:
            self._view(state)
        except Exception as error:
            self.error = error
            self._view = None


class Share:
    """Lets something be done again when that takes no more than ``share`` of a processor on the whole.

    Args:
        share: How much of one processor the thread that does it may take for it.
        least: Seconds that lie between two times at least.
        most: Seconds after which it is done again however long it takes.
        clock: Seconds, as everyone counts them.
        busy: Seconds that the calling thread has computed.

    Example:

    >>> now, computed = [0.0], [0.0]
    >>> share = Share(0.01, clock=lambda: now[0], busy=lambda: computed[0])
    >>> share.due()
    True
    >>> with share:
    ...     computed[0] += 0.002
    >>> now[0] = 0.19
    >>> share.due(), round(share.wait(), 2)
    (False, 0.01)
    """

    def __init__(
        self,
        share: float,
        least: float = 0.0,
        most: float = math.inf,
        *,
        clock: Callable[[], float] = time.monotonic,
        busy: Callable[[], float] = time.thread_time,
    ):
        self._share, self._least, self._most = share, least, most
        self._clock, self._busy = clock, busy
        self._began = 0.0
        self._next = -math.inf

    def due(self) -> bool:
        """Whether it may be done now."""
        return self._clock() >= self._next

    def wait(self) -> float:
        """Return the seconds until it may be done."""
        return max(0.0, self._next - self._clock())

    def postpone(self) -> None:
        """Let it wait for the least time from now."""
        self._next = self._clock() + self._least

    def __enter__(self) -> None:
        self._began = self._busy()

    def __exit__(self, *error: object) -> None:
        pause = (self._busy() - self._began) / self._share
        self._next = self._clock() + max(self._least, min(pause, self._most))


class Budget:
    """Lets data through at no more than ``rate`` bytes a second on the whole.

    Example:

    >>> now = [0.0]
    >>> budget = Budget(1000.0, clock=lambda: now[0])
    >>> budget.allows(), budget.spend(500), budget.allows()
    (True, None, False)
    >>> now[0] = 0.5
    >>> budget.allows()
    True
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic):
        self._rate = rate
        self._clock = clock
        self._free_at = -math.inf

    def allows(self) -> bool:
        """Whether what was spent before has been paid for by the time since."""
        return self._clock() >= self._free_at

    def spend(self, size: int) -> None:
        """Note that ``size`` bytes were sent now."""
        self._free_at = max(self._free_at, self._clock()) + size / self._rate


def _supersedes(new: Event | Choice, old: Event | Choice) -> bool:
    if isinstance(new, WeightsSeen):
        return isinstance(old, WeightsSeen)
    return isinstance(new, StepsDone) and isinstance(old, StepsDone) and new.epoch == old.epoch


def _scalars(logs: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in logs.items():
        if isinstance(value, Mapping):
            found.update(_scalars(value))
        elif (array := np.asarray(value)).size == 1:
            found[name] = float(array.reshape(()))
    return found


def _scalar(value: Any) -> float:
    return float(np.asarray(value))


def _histograms(found: Mapping[str, Histogram]) -> dict[str, Histogram]:
    return {name: _histogram(histogram) for name, histogram in found.items()}


def _histogram(histogram: Histogram) -> Histogram:
    if isinstance(histogram.counts, np.ndarray):
        return histogram
    counts = np.asarray(histogram.counts, dtype=np.float32)
    return dataclasses.replace(
        histogram, counts=counts, low=_scalar(histogram.low), high=_scalar(histogram.high)
    )
