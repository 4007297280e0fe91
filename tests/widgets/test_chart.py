"""Ticks, ranges and summaries: what every picture of a curve agrees on."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from kerasmagic.training.events import EpochStarted, StepsDone
from kerasmagic.widgets.chart import charts, metric_names, nice_ticks
from kerasmagic.widgets.readout import readout, summary_text
from kerasmagic.widgets.reducer import RunState, reduce
from tests.widgets.runs import epoch, started, state_after, whole_run

FINITE = st.floats(-1e12, 1e12)


@given(FINITE, FINITE)
def test_ticks_enclose_the_data_and_are_few(a, b):
    low, high = min(a, b), max(a, b)
    ticks = nice_ticks(low, high)
    margin = 1e-6 * max(abs(low), abs(high), 1e-9)
    assert ticks[0] <= low + margin
    assert ticks[-1] >= high - margin
    assert 2 <= len(ticks) <= 8
    assert list(ticks) == sorted(set(ticks))


def test_one_chart_for_each_metric_the_loss_first():
    assert [chart.name for chart in charts(state_after(whole_run()))] == ["loss", "accuracy"]


def test_a_planned_metric_that_never_comes_has_no_chart():
    state = reduce(RunState(), started(metrics=("compile_metrics",)))
    assert metric_names(state) == ("loss", "compile_metrics")
    assert metric_names(reduce(state, StepsDone(0, 1, 1, 32, {"loss": 1.0}, 0.1))) == ("loss",)


def test_the_axis_shows_the_plan_while_it_runs_and_what_was_done_at_the_end():
    events = whole_run()
    running, ended = charts(state_after(events[:30])), charts(state_after(events))
    assert running[0].x.high == ended[0].x.high == 40.0
    assert [label for _, label in ended[0].x.ticks] == ["0", "1", "2", "3", "4"]
    stopped = charts(state_after([*events[:16], events[-1]]))
    assert stopped[0].x.high == 10.0


def test_the_axis_of_a_long_run_grows_in_few_strides():
    highs = set()
    state = reduce(RunState(), started(epochs=1000))
    for number in range(0, 1000, 7):
        state = reduce(
            reduce(state, EpochStarted(number, 1.0)), StepsDone(number, 10, number * 10 + 10, 32, {}, 1.0)
        )
        highs.add(
            charts(reduce(state, StepsDone(number, 10, number * 10 + 10, 32, {"loss": 1.0}, 1.0)))[0].x.high
        )
    assert len(highs) <= 8
    assert max(highs) == 10_000.0


def test_epochs_are_counted_from_the_first_of_the_run():
    state = state_after([started(initial_epoch=2), *epoch(2, 0.0, first_step=0)])
    assert charts(state)[0].x.ticks == ((0.0, "2"), (10.0, "3"), (20.0, "4"))


def test_without_a_known_length_the_axis_counts_steps():
    state = state_after(
        [started(steps=None), EpochStarted(0, 0.0), StepsDone(0, 7, 7, 32, {"loss": 1.0}, 1.0)]
    )
    assert (charts(state)[0].x.label, charts(state)[0].x.high) == ("step", 10.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_do_not_move_the_axis(value):
    state = state_after(
        [started(), StepsDone(0, 1, 1, 32, {"loss": 1.0}, 0.1), StepsDone(0, 2, 2, 32, {"loss": value}, 0.2)]
    )
    chart = charts(state)[0]
    assert np.isfinite([chart.y.low, chart.y.high]).all()
    assert "training" in chart.summary


def test_the_summary_says_what_the_curve_shows():
    loss, accuracy = charts(state_after(whole_run()))
    assert loss.summary == "loss: training 0.2500, validation 0.3500 after 4 epochs"
    assert accuracy.summary == (
        "accuracy: training 0.8750, validation 0.7750 after 4 epochs; highest 0.7750 at epoch 4"
    )


def test_readout_of_a_running_and_of_a_finished_run():
    shown = readout(state_after(whole_run()[:20]))
    assert (shown.state, shown.status) == ("running", "training")
    assert shown.about == "650 parameters · batch size 32 · cpu"
    assert [figure.value for figure in shown.figures[:2]] == ["2", "2"]
    assert shown.progress_text.startswith("training, epoch 2 of 4, batch 2 of 10, ")
    done = readout(state_after(whole_run()))
    assert (done.main[0].label, done.main[0].value) == ("validation accuracy", "0.7750")
    assert (done.main[1].label, done.main[1].value) == ("time", "2.5 s")


def test_the_run_as_text():
    assert summary_text(state_after(whole_run("stopped", "Stopped by hand"))).splitlines() == [
        "digits: stopped, 4 of 4 epochs, 2.5 s",
        "  loss      training    0.2500  validation    0.3500",
        "  accuracy  training    0.8750  validation    0.7750",
        "Stopped by hand",
    ]
