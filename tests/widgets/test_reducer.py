"""The reducer is pure, counts right, and never grows past the decimated curves."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from kerasmagic.training.events import (
    EpochEnded,
    EpochStarted,
    PhaseStarted,
    ProgramCompiled,
    RunEnded,
    StepsDone,
)
from kerasmagic.widgets.curve import MAX_POINTS, Curve
from kerasmagic.widgets.reducer import (
    MOST_COMPILED,
    RunState,
    at,
    epoch_progress,
    lower_is_better,
    main_metric,
    progress,
    reduce,
    samples_per_second,
    seconds_left,
)
from tests.widgets.runs import epoch, started, state_after, whole_run


def test_a_million_points_stay_under_the_limit_and_keep_both_ends():
    curve = Curve()
    for step in range(1_000_000):
        curve = curve.append(float(step), -float(step))
    assert len(curve) < MAX_POINTS
    x, y = curve.points()
    assert MAX_POINTS / 2 <= len(x) <= MAX_POINTS
    assert (x[0], x[-1], y[-1]) == (0.0, 999_999.0, -999_999.0)
    spacing = np.diff(x[:-1])
    assert spacing.min() == spacing.max() == curve.stride


@pytest.mark.parametrize("count", [0, 1, 2, 999, 1000, 1001, 1999, 2000])
def test_the_newest_point_is_always_there_once(count):
    curve = Curve()
    for step in range(count):
        curve = curve.append(float(step), 0.0)
    x, _ = curve.points()
    assert len(x) == len(set(x)) <= MAX_POINTS
    assert count == 0 or x[-1] == count - 1


def test_a_long_run_leaves_a_small_state():
    state = reduce(RunState(), started(epochs=100, steps=10_000))
    for step in range(50, 1_000_001, 50):
        logs = {"loss": 1.0 / step}
        state = reduce(
            state, StepsDone((step - 1) // 10_000, (step - 1) % 10_000 + 1, step, 32, logs, step * 1e-3)
        )
    assert state.position == 1_000_000
    assert len(state.train["loss"].points()[0]) <= MAX_POINTS


def test_batches_of_ever_new_shapes_leave_a_small_state():
    compiled = [ProgramCompiled("train", f"shape {i}", 1.0, 1.0) for i in range(200)]
    state = state_after([started(), *compiled])
    assert len(state.compiled) == MOST_COMPILED
    assert state.compiled[-1].reason == "shape 199"


def test_events_leave_older_states_alone():
    events = whole_run()
    states = [RunState()]
    for event in events:
        states.append(reduce(states[-1], event))
    again = [RunState()]
    for event in events:
        again.append(reduce(again[-1], event))
    assert [dataclasses.replace(s, histograms={}) for s in states] == [
        dataclasses.replace(s, histograms={}) for s in again
    ]
    assert len(states[5].train["loss"].points()[0]) == 1


def test_the_status_follows_the_run():
    statuses = []
    state = RunState()
    for event in whole_run():
        state = reduce(state, event)
        if not statuses or statuses[-1] != state.status:
            statuses.append(state.status)
    assert statuses == ["compiling", *["training", "validating"] * 4, "finished"]


def test_the_first_step_ends_the_compiling_even_if_no_event_says_so():
    state = state_after([started(), EpochStarted(0, 0.0), PhaseStarted("compiling", 0.0)])
    state = reduce(state, StepsDone(0, 1, 1, 32, {"loss": 1.0}, 3.0))
    assert (state.status, state.clock.compiling, state.clock.training) == ("training", 3.0, 0.0)


def test_time_is_split_by_phase():
    clock = state_after(whole_run()).clock
    assert clock.compiling == pytest.approx(2.0)
    assert clock.training == pytest.approx(0.4)
    assert clock.total == pytest.approx(2.5)


def test_progress_and_time_left_halfway():
    events = [started(), PhaseStarted("compiling", 0.0), *epoch(0, 2.0), *epoch(1, 2.12)]
    state = state_after(events)
    assert progress(state) == pytest.approx(0.5)
    assert seconds_left(state) == pytest.approx(0.24)
    assert samples_per_second(state) == pytest.approx(20 * 32 / 0.2)
    inside = state_after(events[:-5])
    assert progress(inside) == pytest.approx((1 + epoch_progress(inside)) / 4)


def test_a_run_that_continues_counts_from_its_first_epoch():
    state = state_after([started(initial_epoch=2), *epoch(2, 0.0, first_step=500)])
    assert progress(state) == pytest.approx(0.5)
    assert state.position == 10
    assert state.train["loss"].points()[0].tolist() == [float(step) for step in range(1, 11)]


def test_the_length_of_an_epoch_is_learned():
    state = state_after([started(steps=None), *epoch(0, 0.0)])
    assert state.steps == 10
    state = reduce(state, EpochStarted(1, 0.2))
    assert epoch_progress(reduce(state, StepsDone(1, 5, 15, 32, {"loss": 1.0}, 0.3))) == 0.5


def test_nothing_is_known_before_the_first_step():
    state = reduce(RunState(), started())
    assert (progress(state), seconds_left(state), samples_per_second(state)) == (0.0, None, None)


@pytest.mark.parametrize(
    ("metrics", "values", "best"),
    [
        (("loss", "accuracy"), [0.5, 0.9, 0.7], (0.9, 1)),
        (("loss",), [0.5, 0.2, 0.7], (0.2, 1)),
        (("loss", "mean_absolute_error"), [3.0, math.nan, 1.0], (1.0, 2)),
    ],
)
def test_the_best_epoch(metrics, values, best):
    state = reduce(RunState(), started(metrics=metrics))
    for number, value in enumerate(values):
        state = reduce(state, EpochEnded(number, {f"val_{metrics[-1]}": value}, None, 1.0))
    assert state.best is not None
    assert (state.best.value, state.best.epoch) == best


def test_without_validation_the_best_is_of_the_training():
    state = reduce(RunState(), started(validation=False, metrics=("loss",)))
    state = reduce(state, EpochEnded(0, {"loss": 0.25}, None, 1.0))
    assert state.best is not None
    assert state.best.value == 0.25


def test_curves_are_by_kind():
    state = state_after(whole_run())
    assert len(state.train["loss"].points()[0]) == 40
    assert state.train_epochs["accuracy"].points()[0].tolist() == [10.0, 20.0, 30.0, 40.0]
    assert state.validation["loss"].points()[1].tolist() == pytest.approx([1.1, 0.6, 1 / 3 + 0.1, 0.35])


def test_how_it_ended_stays():
    state = state_after([*whole_run()[:-1], RunEnded("failed", "NaN in dense", 9.0)])
    assert (state.status, state.message) == ("failed", "NaN in dense")
    assert progress(state) == 1.0


def test_a_later_time_only_moves_the_clock():
    state = reduce(RunState(), started())
    later = at(state, 1.5)
    assert later.clock.compiling == 1.5
    assert dataclasses.replace(later, clock=state.clock) == state


def test_main_metric_and_direction():
    assert main_metric(started(metrics=("loss",))) == "loss"
    assert main_metric(started(metrics=("loss", "auc"))) == "auc"
    assert lower_is_better("root_mean_squared_error")
    assert not lower_is_better("auc")
