"""The progress bar of plain terminals."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from kerasmagic.foundation import options
from kerasmagic.training.events import EpochEnded, EpochStarted, RunEnded, StepsDone
from kerasmagic.training.terminal import TerminalSink
from tests.widgets.runs import started, whole_run


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal and can write what ``encoding`` can."""

    def __init__(self, encoding: str = "utf-8"):
        self._written = io.BytesIO()
        super().__init__(self._written, encoding=encoding, newline="")

    def isatty(self):
        return True

    def getvalue(self) -> str:
        self.flush()
        return self._written.getvalue().decode()

    def screen(self) -> list[str]:
        """The lines as they look in the end: what a carriage return overwrote is gone."""
        return [line.split("\r")[-1].replace("\x1b[K", "") for line in self.getvalue().split("\n")]


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def feed(sink: TerminalSink, events) -> None:
    for event in events:
        sink.emit(event)


def test_a_bar_for_each_epoch():
    terminal = Terminal()
    feed(TerminalSink(terminal), whole_run())
    lines = terminal.screen()
    assert lines[0] == "Epoch 1/4"
    assert lines[1] == (
        "10/10 ━━━━━━━━━━━━━━━━━━━━ 120ms 12ms/step - loss: 1.0000 - accuracy: 0.5000"
        " - val_loss: 1.1000 - val_accuracy: 0.4000"
    )
    assert [line for line in lines if line.startswith("Epoch")] == [f"Epoch {n}/4" for n in range(1, 5)]
    assert lines[-1] == ""


def test_a_plain_stream_gets_one_line_for_each_epoch():
    stream = io.StringIO()
    feed(TerminalSink(stream), whole_run())
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("Epoch 2/4 - 10/10 - 120ms - 12ms/step - loss: 0.5000 - accuracy: 0.7500")
    assert "\r" not in stream.getvalue()


def test_one_line_for_each_epoch_on_request():
    terminal = Terminal()
    feed(TerminalSink(terminal, lines_only=True), whole_run())
    assert len(terminal.getvalue().splitlines()) == 4


def test_deterministic_output_has_no_times():
    stream = io.StringIO()
    with options.scoped(deterministic=True):
        feed(TerminalSink(stream), whole_run())
    assert not re.search(r"\d(s|ms|us)\b", stream.getvalue())
    assert stream.getvalue().startswith("Epoch 1/4 - 10/10 - loss: 1.0000")


def test_the_bar_moves_at_most_ten_times_a_second_and_reads_only_what_is_ready():
    now = [0.0]
    reads: list[int] = []

    class Number:
        def __init__(self, step: int):
            self.step = step

        def __array__(self, dtype=None, copy=None):
            reads.append(self.step)
            return np.asarray(0.5, dtype)

    terminal = Terminal()
    sink = TerminalSink(terminal, clock=lambda: now[0])
    feed(sink, [started(steps=1000), EpochStarted(0, 0.0)])
    for step in range(1, 1001):
        now[0] += 0.001
        sink.emit(StepsDone(0, step, step, 32, {"loss": Number(step)}, now[0]))
    assert 8 <= len(reads) <= 10
    # Each number is shown a tick after it was handed over.
    assert reads[0] == 1
    assert "101/1000" in terminal.getvalue()


def test_the_bar_shows_how_far_and_how_long():
    now = [0.0]
    terminal = Terminal()
    sink = TerminalSink(terminal, clock=lambda: now[0])
    feed(sink, [started(steps=20), EpochStarted(0, 0.0)])
    for step in (5, 10):
        now[0] += 1.0
        sink.emit(StepsDone(0, step, step, 32, {"loss": 0.5}, float(step)))
    assert terminal.screen()[-1] == "5/20 ━━━━━─────────────── 15s 1s/step - loss: 0.5000"


def test_other_encodings_get_other_bars():
    terminal = Terminal("ascii")
    feed(TerminalSink(terminal), whole_run())
    assert "====" in terminal.getvalue()
    assert terminal.getvalue().isascii()


def test_a_length_that_is_not_known():
    stream = Terminal()
    sink = TerminalSink(stream, clock=iter(range(100)).__next__)
    feed(sink, [started(steps=None), EpochStarted(0, 0.0)])
    feed(sink, [StepsDone(0, step, step, 32, {"loss": 1.0}, 1.0) for step in (1, 2)])
    assert stream.screen()[-1].startswith("1/? ")
    sink.emit(EpochEnded(0, {"loss": 1.0}, None, 2.0))
    assert stream.screen()[-2].startswith("2/2 ━")


@pytest.mark.parametrize("outcome", ["stopped", "interrupted", "failed"])
def test_an_end_that_was_not_planned_is_said_on_its_own_line(outcome):
    terminal = Terminal()
    now = iter(range(100))
    sink = TerminalSink(terminal, clock=now.__next__)
    feed(
        sink, [started(), EpochStarted(0, 0.0), *[StepsDone(0, n, n, 32, {"loss": 1.0}, 1.0) for n in (1, 2)]]
    )
    sink.emit(RunEnded(outcome, "why", 1.0))
    assert terminal.screen()[-2:] == [f"Training {outcome}: why", ""]


def test_names_do_not_steer_the_terminal():
    stream = io.StringIO()
    feed(
        TerminalSink(stream),
        [started(), EpochStarted(0, 0.0), EpochEnded(0, {"\x1b[2Jloss\n": 1.0}, None, 1.0)],
    )
    assert "\x1b" not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 1


def test_a_long_line_is_cut_to_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    feed(TerminalSink(terminal), whole_run())
    assert max(len(line) for line in terminal.screen()) == 39


def test_a_closed_stream_does_not_stop_the_training():
    stream = io.StringIO()
    sink = TerminalSink(stream)
    stream.close()
    feed(sink, whole_run())
    assert not sink.wants_weights()
