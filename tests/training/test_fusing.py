"""Many steps in one program: the same numbers, fewer dispatches, callbacks told once."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic import layers
from kerasmagic.numerics import compiling
from kerasmagic.training import compiled_step, fusing, pace
from kerasmagic.training.data.table import Table
from kerasmagic.training.fusing import Execution, Parts
from kerasmagic.training.pace import Pace

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


def judgements(execution):
    programs = [execution._plain, *filter(None, execution._told.values())]
    return [judged for each in programs for judged in each._judged.values()]


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
    assert {judged.loops_well for judged in judgements(model.make_train_function())} == {not convolution}
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
    told.clear()
    model = make_model()
    model.predict(X[:24], batch_size=8, verbose=0, callbacks=[Watch()])
    assert told == [(0, (8, 3)), (1, (8, 3)), (2, (8, 3))]


def counting_execution(**options):
    """Return a step that counts how often it is traced, in the place of a training step."""
    traced = []

    def step(_, total, batch):
        traced.append(batch.shape)
        return {"loss": batch.sum()}, total + batch.sum()

    parts = Parts(lambda s: (), lambda s: s, lambda s, new: new)
    return Execution(step, parts, **options), traced


def programs(execution, kind):
    """Return how many programs of a kind were compiled that are not told how many samples count."""
    return sum(made._cache_size() for (one, _), made in execution._plain._compiled.items() if one == kind)


def total_of(execution, batches, pace=None, **options):
    """Return the total after all batches, the last result, and the steps of each group."""
    total, logs, steps = jnp.zeros(()), {}, []
    start = total
    pace = pace or execution.pace(watched=True)
    for group in execution.dispatches(iter(batches), pace, lambda: start, **options):
        for dispatch in group:
            logs, total = dispatch.run(total)
        steps.append(sum(dispatch.steps for dispatch in group))
    return float(total), float(np.sum(logs["loss"])), steps


def test_fewer_steps_and_a_partial_batch_take_one_more_program_at_most():
    execution, traced = counting_execution(steps=4)
    for size in (4, 4, 3, 1):
        batches = [np.full((8,), 2.0, "float32")] * size
        assert total_of(execution, batches) == (16.0 * size, 16.0, [size])
    assert set(traced) == {(8,)}
    before = len(traced)
    assert total_of(execution, [np.ones(8, "float32"), np.ones(3, "float32")]) == (11.0, 3.0, [2])
    assert traced[before:].count((8,)) == 0
    assert programs(execution, "loop") == 2


def test_uncompiled_steps_are_run_one_by_one():
    execution, traced = counting_execution(steps=4, compiled=False)
    assert total_of(execution, [np.ones(8, "float32")] * 3) == (24.0, 8.0, [3])
    assert len(traced) == 3


def rows_of(samples, batch):
    return [
        np.arange(start, min(start + batch, samples), dtype="int32") for start in range(0, samples, batch)
    ]


def test_rows_of_a_table_go_to_the_device_many_at_a_time():
    execution, _ = counting_execution()
    table = Table(np.arange(100, dtype="float32"))
    steady = Pace(None)
    steady.steps = 4
    # Ten batches and a partial one: the loop knows one shape, the last goes alone.
    assert total_of(execution, rows_of(99, 9), steady, table=table, steps=11)[::2] == (4851.0, [4, 4, 3])
    steady.steps = 3
    total, last, steps = total_of(execution, rows_of(97, 9), steady, table=table, steps=11)
    assert (total, last, steps) == (4656.0, float(sum(range(90, 97))), [4, 3, 3, 1])
    assert (programs(execution, "loop"), programs(execution, "alone")) == (1, 1)


def test_few_steps_go_alone_and_many_in_a_loop(monkeypatch):
    monkeypatch.setattr(compiled_step, "steps_to_pay", lambda operations, arrays: 25)
    execution, _ = counting_execution()
    table = Table(np.arange(100, dtype="float32"))

    def looped(expected):
        assert total_of(execution, rows_of(100, 10), Pace(None), table=table, expected=expected)[0] == 4950.0
        return programs(execution, "loop") > 0

    # Ten steps each: in the end too many went alone.
    assert [looped(24) for _ in range(4)] == [False, False, False, True]
    execution, _ = counting_execution()
    assert [looped(25), looped(1)] == [True, True]
    execution, _ = counting_execution()
    assert looped(None)


@pytest.mark.few_steps
def test_a_run_and_its_validation_choose_by_all_their_epochs():
    def looped(epochs, fit=1):
        model = make_model()
        for _ in range(fit):
            history = model.fit(
                X, Y, batch_size=8, epochs=epochs, verbose=0, validation_data=(X, Y), validation_batch_size=8
            )
        assert fit > 1 or sorted(one.program for one in history.compilations) == ["test", "train"]
        programs = model.make_train_function(), model.make_test_function()
        return [
            any(told.has_loop(judged) for told in made._told.values() for judged in told._judged.values())
            for made in programs
        ]

    few = make_model()
    few.fit(X, Y, batch_size=8, verbose=0, validation_data=(X, Y), validation_batch_size=8)
    (trains,), (tests,) = (
        {judged.steps_to_pay for judged in judgements(execution)}
        for execution in (few.make_train_function(), few.make_test_function())
    )
    assert 10 < tests < trains
    assert looped(1) == [False, False]
    assert looped(-(-tests // 10)) == [False, True]
    assert looped(-(-trains // 10)) == [True, True]
    # A cell that is run again and again.
    assert looped(1, fit=-(-trains // 10) + 1) == [True, True]


def test_a_partial_batch_may_come_first():
    execution, _ = counting_execution()
    table = Table(np.arange(20, dtype="float32"))
    assert total_of(execution, reversed(rows_of(20, 8)), Pace(None), table=table)[::2] == (190.0, [1, 1, 1])
    model = make_model()
    model.fit(X, Y, batch_size=8, epochs=2, shuffle="batch", verbose=0)
    assert int(model.optimizer.iterations) == 20


def test_a_group_takes_no_more_steps_than_there_is_room_for():
    execution, _ = counting_execution()
    steady = Pace(None)
    steady.steps = 5
    options = {"table": Table(np.ones(40, "float32")), "room": lambda steps: min(steps, 2)}
    assert total_of(execution, rows_of(40, 8), steady, **options)[2] == [2, 2, 1]
    execution, _ = counting_execution(steps=3)
    assert total_of(execution, [np.ones(2, "float32")] * 5, room=lambda steps: 2)[2] == [2, 2, 1]


def test_a_partial_batch_goes_with_the_others():
    execution, _ = counting_execution()
    steady = Pace(None)
    steady.steps = 4
    options = {"table": Table(np.arange(100, dtype="float32")), "samples": 97, "batch_size": 9}
    total, last, steps = total_of(execution, rows_of(97, 9), steady, **options)
    assert (total, last, steps) == (4656.0, float(sum(range(90, 97))), [4, 4, 3])
    assert programs(execution, "loop") == 0


def test_large_results_are_collected_few_at_a_time(monkeypatch):
    monkeypatch.setattr(fusing, "LARGEST_STACK", 3 * 4)
    execution, _ = counting_execution(collect=True)
    steady = Pace(None)
    steady.steps = 64
    table = Table(np.ones(64, "float32"))
    assert total_of(execution, rows_of(64, 8), steady, table=table, steps=8)[2] == [3, 3, 2]


def test_results_of_one_sample_say_nothing_about_those_of_larger_batches(monkeypatch):
    monkeypatch.setattr(fusing, "LARGEST_STACK", 3 * 8 * 4)

    def step(_, total, batch):
        return {"loss": 2 * batch}, total + batch.sum()

    execution = Execution(step, Parts(lambda s: (), lambda s: s, lambda s, new: new), collect=True)
    execution(jnp.zeros(()), np.ones(1, "float32"))  # type: ignore[arg-type]
    steady = Pace(None)
    steady.steps = 64
    table = Table(np.ones(64, "float32"))
    assert total_of(execution, rows_of(64, 8), steady, table=table, steps=8)[2] == [3, 3, 2]


def test_how_many_steps_go_together_changes_no_bit():
    def weights(steps):
        keras.utils.set_random_seed(1)
        model = make_model()
        train = model.make_train_function
        model.make_train_function = lambda: Fixed(train(), steps)  # type: ignore[method-assign]
        model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
        return model.get_weights()

    class Fixed:
        def __init__(self, execution, steps):
            self.execution, self.steps = execution, steps

        def pace(self, watched):
            found = Pace(None, clock=lambda: 0.0)
            found.steps, found.watch = self.steps, lambda *_: None  # type: ignore[method-assign]
            return found

        def __getattr__(self, name):
            return getattr(self.execution, name)

    for a, b in zip(weights(1), weights(4), strict=True):
        np.testing.assert_array_equal(a, b)


def paced(seconds_per_step, first=1.0, sending=0.0):
    """Return how many steps are taken in each execution, the first of which takes ``first`` seconds longer."""
    now, found = 0.0, []

    class Running:
        def __init__(self, seconds):
            self.seconds = seconds

        def block_until_ready(self):
            nonlocal now
            now += self.seconds

    steady = Pace(None, clock=lambda: now)
    for number in range(8):
        found.append(steady.steps)
        now += sending
        seconds = found[-1] * seconds_per_step + (first if number == 0 else 0.0)
        steady.watch(steady.steps, Running(seconds))
    return found


def test_the_pace_follows_the_time_of_a_step():
    assert paced(1e-3)[-1] == 30
    assert paced(1e-5)[-1] == pace.MOST_STEPS
    assert paced(1.0) == [1] * 8
    assert paced(1e-5)[3] <= 8


def test_executions_that_are_dear_to_send_take_more_steps():
    assert paced(6e-3)[-1] == 5
    assert paced(6e-3, sending=2e-2)[-1] > 10
    # Nobody waits for long, however dear.
    assert paced(6e-3, sending=2e-2)[-1] * 6e-3 < 0.1
    assert paced(6e-2, sending=2e-2)[-1] == 1


def test_someone_who_looks_at_batches_sees_each():
    assert counting_execution()[0].pace(watched=True).fixed == 1
    assert counting_execution()[0].pace(watched=False).fixed is None
    assert counting_execution(steps=3)[0].pace(watched=False).fixed == 3
    assert counting_execution(compiled=False)[0].pace(watched=False).fixed == 1


def test_each_program_is_compiled_once_and_says_why():
    model = make_model()
    history = model.fit(X, Y, batch_size=8, epochs=3, verbose=0, validation_data=(X[:20], Y[:20]))
    told = [(one.program, one.reason) for one in history.compilations]
    # The partial batches at the end of the epoch and of the validation data take no programs of their own.
    assert told == [("train", "first step"), ("test", "first step")]
    assert all(one.seconds > 0 for one in history.compilations)
    assert model.fit(X, Y, batch_size=8, epochs=2, verbose=0).compilations == []
    model.layers[0].trainable = False
    assert [one.reason for one in model.fit(X[:8], Y[:8], batch_size=8, verbose=0).compilations] == [
        "layers were frozen or unfrozen"
    ]


def test_predictions_are_those_of_single_batches():
    model = make_model()
    together = model.predict(X, batch_size=8, verbose=0)
    single = np.concatenate([model.predict_on_batch(X[start : start + 8]) for start in range(0, len(X), 8)])
    np.testing.assert_allclose(together, single, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("steps", [0, -1, 1.5, "many"])
def test_impossible_numbers_of_steps_are_refused(steps):
    with pytest.raises(ValueError, match="steps_per_execution"):
        make_model(steps)


def dense(units, *more):
    model = keras.Sequential([keras.Input((64,)), layers.Dense(units), *more])
    model.compile("sgd", "mse")
    return model


@pytest.fixture
def compiled(monkeypatch):
    """Of each program of a step, whether it was compiled for large products."""
    large, program = [], compiling.program

    def recorded(function, donate=(), large_products=False):
        large.append(large_products)
        return program(function, donate, large_products)

    monkeypatch.setattr(compiling, "program", recorded)
    return large


@pytest.mark.parametrize("how", ["fit", "steps", "partial", "written out", "train_on_batch"])
@pytest.mark.parametrize("units", [8, 2048])
def test_large_products_are_compiled_their_own_way_however_steps_are_sent(units, how, compiled):
    front = [layers.Reshape((8, 8)), layers.Conv1D(8, 1), layers.Flatten()] if how == "written out" else []
    model = keras.Sequential([keras.Input((64,)), *front, layers.Dense(units), layers.Dense(1)])
    model.compile("sgd", "mse", steps_per_execution=2 if how in ("steps", "written out") else 1)
    samples = 200 if how == "partial" else 256
    x, y = np.zeros((samples, 64), "float32"), np.zeros((samples, 1), "float32")
    compiled.clear()
    if how == "train_on_batch":
        model.train_on_batch(x[:128], y[:128])
    else:
        model.fit(x, y, batch_size=128, verbose=0)
    assert compiled == [units == 2048]


def test_products_are_judged_for_each_form_of_a_batch(compiled):
    model, x = dense(2048), np.zeros((256, 64), "float32")
    for size in (1, 128, 1):
        model.predict_on_batch(x[:size])
    assert compiled == [False, True]
