"""What the row of controls shows, and the interventions in every view of a run."""

from __future__ import annotations

import io

import pytest

from kerasmagic.callbacks import Intervention
from kerasmagic.training.events import Asked, ControlsChanged, EpochStarted, Intervened, PhaseStarted
from kerasmagic.training.terminal import TerminalSink
from kerasmagic.widgets import static_run
from kerasmagic.widgets.controls import MOST_SHOWN, Controls, after, panel
from kerasmagic.widgets.readout import readout, summary_text
from kerasmagic.widgets.reducer import RunState, reduce
from tests.widgets.runs import HOSTILE, epoch, started, state_after, whole_run

RATE = Intervention("learning_rate", 1, 0, 10, 0.01, message="learning rate 0.1 → 0.01")


def test_asked_for_until_done():
    controls = after(after(Controls(), Asked("rewind", 0.0)), Asked("rewind", 0.1))
    assert controls.asked == ("rewind",)
    assert after(controls, Intervened(RATE, 0.2)).asked == ("rewind",)
    assert after(controls, Intervened(Intervention("rewind", 0, 1, 1, done=False), 0.2)).asked == ()


def test_a_phase_answers_pauses_that_nothing_else_answers():
    controls = after(after(Controls(), Asked("pause", 0.0)), Asked("stop", 0.0))
    assert after(controls, PhaseStarted("paused", 0.1)).asked == ("stop",)


def test_a_slider_in_motion_does_not_fill_the_view():
    controls = Controls()
    for _ in range(1000):
        controls = after(controls, Intervened(RATE, 0.0))
    assert len(controls.done) == MOST_SHOWN
    assert controls.count == 1000


@pytest.mark.parametrize(
    ("rate", "shown"), [(0.1, 0.1), (None, None), (float("nan"), None), (float("inf"), None)]
)
def test_only_a_number_is_sent_as_a_rate(rate, shown):
    assert panel(Controls(ControlsChanged(rate, "", "", 0.0)), live=True, paused=False).rate == shown


def test_before_anything_is_known_nothing_can_be_done():
    shown = panel(Controls(), live=True, paused=False)
    assert (shown.rate, shown.rewind, shown.rate_note) == (None, "", "")


def test_a_pause_is_a_state_of_its_own_and_takes_no_training_time():
    state = state_after([started(), PhaseStarted("training", 0.0), *list(epoch(0, 0.0))[:5]])
    trained = state.clock.training
    state = reduce(state, PhaseStarted("paused", state.clock.now))
    state = reduce(state, PhaseStarted("training", state.clock.now + 60.0))
    paused = reduce(state, PhaseStarted("paused", state.clock.now))
    assert (state.clock.training, state.clock.paused) == (pytest.approx(trained), pytest.approx(60.0))
    assert (readout(paused).state, readout(paused).status) == ("paused", "paused")
    assert state.clock.total < 1.0


def test_what_was_done_is_in_the_picture_and_the_text():
    hostile = Intervention("checkpoint", 1, 2, 12, message=f"checkpoint written to {HOSTILE}")
    state = state_after([*whole_run()[:-1], Intervened(RATE, 2.4), Intervened(hostile, 2.4), whole_run()[-1]])
    html = static_run.html(state)
    assert '<div role="listitem">step 10: learning rate 0.1 → 0.01</div>' in html
    assert HOSTILE not in html
    assert "  step 10: learning rate 0.1 → 0.01" in summary_text(state).splitlines()
    assert 'class="km-interventions"' not in static_run.html(state_after(whole_run()))


def test_a_new_run_begins_with_nothing_done():
    state = reduce(reduce(RunState(), Intervened(RATE, 0.0)), started())
    assert state.controls == Controls()


def test_a_terminal_says_it_on_a_line_of_its_own():
    stream = io.StringIO()
    sink = TerminalSink(stream)
    for event in (started(), EpochStarted(0, 0.0), Intervened(RATE, 0.1)):
        sink.emit(event)
    hostile = Intervention("stop", 0, 1, 1, message="a\x1b[2Jb")
    sink.emit(Intervened(hostile, 0.2))
    assert stream.getvalue().splitlines() == ["step 10: learning rate 0.1 → 0.01", "step 1: a?[2Jb"]
