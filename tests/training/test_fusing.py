"""Many steps in one program: the same numbers, fewer dispatches, callbacks told once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic import layers
from kerasmagic.training import pace
from kerasmagic.training.fusing import Execution, Parts

RNG = np.random.default_rng(0)
X = RNG.normal(size=(75, 6)).astype("float32")
Y = RNG.integers(0, 3, 75)


def make_model(steps=1, convolution=False, **options):
    keras.utils.set_random_seed(1)
    front = [layers.Reshape((6, 1)), layers.Conv1D(3, 3), layers.Flatten()] if convolution else []
    model = keras.Sequential(
        [
            keras.Input((6,)),
            *front,
            layers.Dense(8, activation="relu", kernel_regularizer="l2"),
            layers.Dropout(0.3),
            layers.BatchNormalization(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"], steps_per_execution=steps, **options
    )
    return model


def run(model, **options):
    history = model.fit(X, Y, batch_size=8, epochs=2, verbose=0, validation_data=(X[:20], Y[:20]), **options)
    return [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)], history.history


@pytest.fixture(scope="module", params=[False, True], ids=["dense", "convolution"])
def single(request):
    return request.param, run(make_model(convolution=request.param))


@pytest.mark.parametrize("steps", [3, 4])
def test_fused_steps_give_the_numbers_of_single_ones(single, steps):
    convolution, (weights, history) = single
    model = make_model(steps, convolution)
    fused, fused_history = run(model)
    # A loop over convolutions is slow on a CPU: there its steps are written out.
    assert model.make_train_function().loops_well is not convolution
    for a, b in zip(weights, fused, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    for name, values in history.items():
        np.testing.assert_allclose(fused_history[name], values, rtol=1e-5)


def test_callbacks_are_told_once_for_an_execution():
    told = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            told.append(("begin", batch))

        def on_train_batch_end(self, batch, logs=None):
            told.append(("end", batch, int(self.model.optimizer.iterations.value)))

        def on_predict_batch_end(self, batch, logs=None):
            told.append((batch, logs["outputs"].shape))

    model = make_model(4)
    model.fit(X, Y, batch_size=8, verbose=0, callbacks=[Watch()])
    assert told == [("begin", 0), ("end", 3, 4), ("begin", 4), ("end", 7, 8), ("begin", 8), ("end", 9, 10)]
    told.clear()
    model.predict(X, batch_size=8, verbose=0, callbacks=[Watch()])
    assert told == [(3, (32, 3)), (7, (32, 3)), (9, (11, 3))]


def counting_execution(**options):
    """Return a step that counts how often it is traced, in the place of a training step."""
    traced = []

    def step(_, total, batch):
        traced.append(batch.shape)
        return {"loss": batch.sum()}, total + batch.sum()

    parts = Parts(lambda s: (), lambda s: s, lambda s, new: new)
    return Execution(step, parts, **options), traced


def total_of(execution, batches):
    total, logs = jnp.zeros(()), {}
    for run_steps, _ in execution.runs(batches, total):
        logs, total = run_steps(total)
    return float(total), float(logs["loss"])


def test_fewer_steps_and_a_partial_batch_take_one_more_program_at_most():
    execution, traced = counting_execution(steps=4)
    for size in (4, 4, 3, 1):
        batches = [np.full((8,), 2.0, "float32")] * size
        assert total_of(execution, batches) == (16.0 * size, 16.0)
    assert set(traced) == {(8,)}
    before = len(traced)
    assert total_of(execution, [np.ones(8, "float32"), np.ones(3, "float32")]) == (11.0, 3.0)
    assert traced[before:].count((8,)) == 0
    assert execution._looping._cache_size() == 2  # type: ignore[attr-defined]


def test_uncompiled_steps_are_run_one_by_one():
    execution, traced = counting_execution(steps=4, compiled=False)
    assert total_of(execution, [np.ones(8, "float32")] * 3) == (24.0, 8.0)
    assert len(traced) == 3


def chosen(step_time, compile_time, monkeypatch, **options):
    """Return how many steps at a time are chosen when the clock tells such times."""
    execution, _ = counting_execution(auto=True)
    execution.loops_well = options.pop("loops_well", True)
    times = iter([0.0, compile_time, compile_time, compile_time + pace.MEASURED_STEPS * step_time])
    monkeypatch.setattr(jax, "block_until_ready", lambda x: x)
    found = pace.Pace(execution, clock=lambda: next(times), **{"steps_ahead": 10**6, **options})
    for _ in range(pace.MEASURED_STEPS + 1):
        found.watch(1, {})
    return found.steps


@pytest.mark.parametrize(
    ("step_time", "compile_time", "options", "steps"),
    [
        (1e-3, 0.1, {}, 50),
        (1e-4, 0.1, {}, pace.MOST_STEPS),
        (1e-4, 0.1, {"steps_per_epoch": 7}, 7),
        (1e-2, 0.1, {}, 1),
        (1e-3, 0.1, {"steps_ahead": 100}, 1),
        (1e-3, 0.1, {"loops_well": False}, 1),
        (1e-3, 0.1, {"watched": True}, 1),
    ],
)
def test_auto_fuses_steps_where_it_pays(step_time, compile_time, options, steps, monkeypatch):
    assert abs(chosen(step_time, compile_time, monkeypatch, **options) - steps) <= (steps == 50)


def test_auto_remembers_what_compiling_costs(monkeypatch):
    execution, _ = counting_execution(auto=True)
    execution.loops_well = True
    monkeypatch.setattr(jax, "block_until_ready", lambda x: x)
    # A step of a millisecond: the first run sees it compile for a second, the next finds it compiled.
    for first_step in (1.0, 0.001):
        times = iter([0.0, first_step, first_step, first_step + 1e-3 * pace.MEASURED_STEPS])
        found = pace.Pace(execution, steps_ahead=200, clock=lambda times=times: next(times))
        for _ in range(pace.MEASURED_STEPS + 1):
            found.watch(1, {})
        assert found.steps == 1


def test_auto_gives_the_numbers_of_single_steps(monkeypatch):
    expected, _ = run(make_model())
    monkeypatch.setattr(pace, "DISPATCH_BOUND", 10.0)
    monkeypatch.setattr(pace, "LONGEST_EXECUTION", 100.0)
    monkeypatch.setattr(pace, "SAVED_SHARE", 1e6)
    model = make_model("auto")
    weights, _ = run(model)
    assert model.make_train_function().steps > 1
    for a, b in zip(weights, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("steps", [0, -1, 1.5, "many"])
def test_impossible_numbers_of_steps_are_refused(steps):
    with pytest.raises(ValueError, match="steps_per_execution"):
        make_model(steps)
