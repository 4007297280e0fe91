"""Progress for plain terminals, in the form that every Keras user knows: one bar line for each epoch.

Where the stream is no terminal, each epoch is one line, written when it ends.
"""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import numpy as np

from kerasmagic.foundation import options
from kerasmagic.training.events import (
    Advised,
    EpochEnded,
    EpochStarted,
    Event,
    Intervened,
    RunEnded,
    RunStarted,
    StepsDone,
)

BAR_WIDTH = 20
# The least number of seconds between two drawings of the bar.
INTERVAL = 0.1


class TerminalSink:
    """Writes a progress bar for each epoch, or one line for each where the stream is not a terminal.

    Args:
        stream: Where to write; ``None`` is ``sys.stdout`` at the time of writing.
        lines_only: Never draw a bar (Keras' ``verbose=2``).
        clock: Seconds, for the rate of redrawing.

    Example:

    >>> sink = TerminalSink()
    >>> with options.scoped(deterministic=True):
    ...     sink.emit(RunStarted(1, "digits", 1, 0, 12, 32, ("accuracy",), False, 650, "cpu", 0.0))
    ...     sink.emit(EpochStarted(0, 0.0))
    ...     sink.emit(StepsDone(0, 12, 12, 384, {"loss": 0.3}, 1.0))
    ...     sink.emit(EpochEnded(0, {"accuracy": 0.9, "loss": 0.3}, 0.001, 1.0))
    Epoch 1/1 - 12/12 - accuracy: 0.9000 - loss: 0.3000
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        lines_only: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._stream = stream
        self._lines_only = lines_only
        self._clock = clock
        self._plan: RunStarted | None = None
        self._started = 0.0
        self._newest: StepsDone | None = None
        self._waiting: StepsDone | None = None
        self._drawn_at = -math.inf
        self._on_bar = False

    def wants_weights(self) -> bool:
        """A terminal shows no histograms."""
        return False

    def emit(self, event: Event) -> None:
        """Write what ``event`` changes; a stream that fails is left alone, training goes on."""
        try:
            self._emit(event)
        except (OSError, ValueError):
            self._plan = None

    def _emit(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._plan = event
        elif self._plan is None:
            return
        elif isinstance(event, EpochStarted):
            self._begin_epoch(self._plan, event)
        elif isinstance(event, StepsDone):
            self._take_steps(self._plan, event)
        elif isinstance(event, EpochEnded):
            self._end_epoch(self._plan, event)
        elif isinstance(event, Intervened):
            self._tell(event)
        elif isinstance(event, Advised):
            self._break_line()
            self._write(f"Warning: {_printable(event.advice.text)} {_printable(event.advice.remedy)}\n")
        elif isinstance(event, RunEnded):
            self._end_run(event)

    def _begin_epoch(self, plan: RunStarted, event: EpochStarted) -> None:
        self._started, self._newest, self._waiting = event.time, None, None
        self._drawn_at = -math.inf
        if self._draws_bars():
            self._write(f"Epoch {event.epoch + 1}/{plan.epochs}\n")

    def _take_steps(self, plan: RunStarted, event: StepsDone) -> None:
        self._newest = event
        now = self._clock()
        if now - self._drawn_at < INTERVAL or not self._draws_bars():
            return
        # Values of the tick before are on the host by now: reading them does not hold up the device.
        ready, self._waiting = self._waiting, event
        self._drawn_at = now
        if ready is not None:
            self._draw(self._bar_line(plan, ready, ready.logs, ready.time))

    def _end_epoch(self, plan: RunStarted, event: EpochEnded) -> None:
        done = self._newest or StepsDone(event.epoch, 0, 0, 0, {}, event.time)
        if self._draws_bars():
            self._draw(self._bar_line(plan, done, event.logs, event.time, finished=True))
            self._break_line()
            return
        head = f"Epoch {event.epoch + 1}/{plan.epochs}"
        count = f"{done.step}/{plan.steps or done.step}"
        times = [] if options.deterministic() else [_times(event.time - self._started, done.step)]
        self._write(" - ".join([head, count, *times, *_logs(event.logs)]) + "\n")

    def _tell(self, event: Intervened) -> None:
        self._break_line()
        self._write(f"{_printable(str(event.intervention))}\n")

    def _end_run(self, event: RunEnded) -> None:
        self._break_line()
        if event.outcome != "finished":
            reason = f": {event.message}" if event.message else ""
            self._write(f"Training {event.outcome}{reason}\n")

    def _bar_line(
        self,
        plan: RunStarted,
        done: StepsDone,
        logs: Mapping[str, Any],
        now: float,
        *,
        finished: bool = False,
    ) -> str:
        steps = plan.steps or (done.step if finished else None)
        count = f"{done.step}/{steps}" if steps else f"{done.step}/?"
        filled = round(BAR_WIDTH * min(done.step / steps, 1.0)) if steps else 0
        full, empty = ("━", "─") if self._can_draw("━─") else ("=", ".")
        bar = full * filled + empty * (BAR_WIDTH - filled)
        elapsed = now - self._started
        if not finished and steps and done.step:
            elapsed *= (steps - done.step) / done.step
        per_step = max(now - self._started, 0.0) / max(done.step, 1)
        times = [] if options.deterministic() else [f"{_short(elapsed)} {_short(per_step)}/step"]
        return " - ".join([" ".join([count, bar, *times]), *_logs(logs)])

    def _draw(self, line: str) -> None:
        columns = shutil.get_terminal_size().columns
        self._write(f"\r{line[: columns - 1]}\x1b[K")
        self._on_bar = True

    def _break_line(self) -> None:
        if self._on_bar:
            self._write("\n")
        self._on_bar = False

    def _draws_bars(self) -> bool:
        isatty = getattr(self._output, "isatty", None)
        return not self._lines_only and isatty is not None and bool(isatty())

    def _can_draw(self, text: str) -> bool:
        try:
            text.encode(getattr(self._output, "encoding", None) or "utf-8")
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    @property
    def _output(self) -> TextIO:
        return sys.stdout if self._stream is None else self._stream

    def _write(self, text: str) -> None:
        self._output.write(text)
        self._output.flush()


def _logs(logs: Mapping[str, Any]) -> list[str]:
    return [f"{_printable(name)}: {_value(value)}" for name, value in logs.items()]


def _value(value: Any) -> str:
    scalar = float(np.asarray(value))
    return f"{scalar:.4f}" if not scalar or abs(scalar) > 1e-3 else f"{scalar:.4e}"


def _printable(name: str) -> str:
    # A metric's name comes from the user's data: it must not steer the terminal.
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _times(elapsed: float, steps: int) -> str:
    return f"{_short(elapsed)} - {_short(elapsed / max(steps, 1))}/step"


def _short(seconds: float) -> str:
    if seconds >= 60:
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
    if seconds >= 1:
        return f"{seconds:.0f}s"
    return f"{1e3 * seconds:.0f}ms" if seconds >= 1e-3 else f"{1e6 * max(seconds, 0.0):.0f}us"
