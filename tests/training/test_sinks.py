"""Which view a run gets: the front end's where it has one, else text."""

from __future__ import annotations

import pytest

from kerasmagic.training.sinks import default_sinks, set_default_sink
from kerasmagic.training.terminal import TerminalSink


@pytest.fixture
def front_end():
    """Offer a view for level 1 and none for other levels; give the levels that were asked for."""
    levels: list[int] = []
    view = TerminalSink()

    def factory(level: int) -> TerminalSink | None:
        levels.append(level)
        return view if level == 1 else None

    before = set_default_sink(factory)
    yield levels, view
    set_default_sink(before)


@pytest.mark.parametrize("verbose", ["auto", 1, True])
def test_the_front_end_comes_first(front_end, verbose):
    levels, view = front_end
    assert default_sinks(verbose) == [view]
    assert levels == [1]


def test_silence_asks_nobody(front_end):
    assert default_sinks(0) == []
    assert front_end[0] == []


def test_text_where_the_front_end_has_no_view(front_end):
    levels, _ = front_end
    asked: list[int] = []
    spare = TerminalSink()
    assert default_sinks(2, lambda level: asked.append(level) or spare) == [spare]
    assert levels == asked == [2]


@pytest.mark.parametrize(("verbose", "bars"), [("auto", True), (2, False)])
def test_a_terminal_draws_bars_unless_lines_are_wanted(monkeypatch, verbose, bars):
    before = set_default_sink(None)
    (sink,) = default_sinks(verbose)
    set_default_sink(before)
    assert isinstance(sink, TerminalSink)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert sink._draws_bars() is bars
