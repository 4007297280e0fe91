"""Runs that are cut short, at any moment and in any way, and go on as if they had not been."""

from __future__ import annotations

import gc
import inspect
import os
import signal
import subprocess
import sys
import textwrap
import tracemalloc
import weakref
from pathlib import Path

import jax
import numpy as np
import pytest

import kerasmagic
import kerasmagic as keras
from kerasmagic import layers
from kerasmagic.training.fusing import Execution
from kerasmagic.training.interrupts import InterruptGuard


def make_model(**options):
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6, "tanh"),
            layers.Dropout(0.4),
            layers.BatchNormalization(),
            layers.Dense(3),
        ]
    )
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.05, 3, 0.7), use_ema=True)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), **options)
    return model


def batches(count):
    rng = np.random.default_rng(2)
    return [(rng.normal(size=(8, 4)).astype("float32"), rng.integers(0, 3, 8)) for _ in range(count)]


def state_of(model):
    # Copies: a view of a buffer would keep the step from giving it away.
    return [v.numpy().copy() for v in (*model.weights, *model.optimizer.variables)]


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def interruptible():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class States(keras.callbacks.Callback):
    """Remembers the state after each step."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(state_of(self.model))


@pytest.fixture(scope="module")
def whole_run():
    """Return the states after each of six steps without an interrupt."""
    model, states = make_model(), States()
    model.fit(iter(batches(6)), steps_per_epoch=6, verbose=0, callbacks=[states])
    return states.seen


# Where the interrupt strikes: in the data, in callbacks, or with the step on the device.
@pytest.mark.parametrize("moment", ["data", "begin", "end", "step"])
@pytest.mark.usefixtures("interruptible")
def test_what_goes_on_after_an_interrupt_is_what_an_uninterrupted_run_gives(whole_run, moment, monkeypatch):
    model, data = make_model(), iter(batches(6))
    states = States()

    def struck():
        for index, batch in enumerate(data):
            if moment == "data" and index == 3:
                signal.raise_signal(signal.SIGINT)
            yield batch

    class Strike(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 3 and moment == "begin":
                signal.raise_signal(signal.SIGINT)

        def on_train_batch_end(self, batch, logs=None):
            if batch == 3 and moment == "end":
                signal.raise_signal(signal.SIGINT)

    model._prepare(batches(1)[0])
    if moment == "step":
        execution = model.make_train_function()
        program, calls = execution._step, []

        def step(*arguments):
            result = program(*arguments)
            calls.append(1)
            if len(calls) == 4:
                # The old state is given away by now: two interrupts have to wait for the new one.
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            return result

        monkeypatch.setattr(execution, "_step", step)
    with pytest.raises(KeyboardInterrupt):
        model.fit(struck(), steps_per_epoch=6, verbose=0, callbacks=[states, Strike()])
    done = next(k for k, seen in enumerate(whole_run, 1) if all(map(np.array_equal, seen, state_of(model))))
    assert done == (3 if moment in ("data", "begin") else 4)
    rest = batches(6)[done:]
    monkeypatch.undo()
    model.fit(iter(rest), steps_per_epoch=len(rest), verbose=0, callbacks=[states := States()])
    assert_same(states.seen[-1], whole_run[-1])


@pytest.mark.usefixtures("interruptible")
def test_a_second_interrupt_strikes_where_nothing_is_lost():
    reached = []

    def struck_twice():
        with InterruptGuard(unsafe=lambda: False) as guard, guard.critical():
            signal.raise_signal(signal.SIGINT)
            reached.append("first")
            signal.raise_signal(signal.SIGINT)
            reached.append("second")

    with pytest.raises(KeyboardInterrupt):
        struck_twice()
    assert reached == ["first"]


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_of_an_evaluation_leaves_the_model_whole():
    model, before = make_model(), None

    def struck():
        yield batches(1)[0]
        yield batches(1)[0]
        signal.raise_signal(signal.SIGINT)

    model.fit(iter(batches(2)), verbose=0)
    before = state_of(model)
    for run in (model.evaluate, model.predict):
        with pytest.raises(KeyboardInterrupt):
            run(struck(), verbose=0)
        assert_same(before, state_of(model))


PROGRAM = """
    import os, signal, sys
    import numpy as np
    import kerasmagic as keras
    from kerasmagic import layers
    directory, kill_at, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5), layers.Dropout(0.3), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    x = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")

    class Kill(keras.callbacks.Callback):
        steps = 0
        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1
            if self.steps == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    backup = keras.callbacks.BackupAndRestore(directory, save_freq=2)
    model.fit(x, x.sum(1), batch_size=8, epochs=3, verbose=0, callbacks=[backup, Kill()])
    np.savez(out, *model.get_weights(), *[v.numpy() for v in model.optimizer.variables])
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_run_goes_on_from_its_backup_bit_for_bit(tmp_path):
    def run(directory, kill_at):
        out = tmp_path / "out.npz"
        arguments = [str(tmp_path / directory), str(kill_at), str(out)]
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), *arguments], env=os.environ, check=False
        )
        return done.returncode, dict(np.load(out)) if out.exists() else {}

    # Five steps an epoch: the eighth is the third of the second epoch, two steps behind the last backup.
    assert run("a", kill_at=9)[0] == -signal.SIGKILL
    assert (tmp_path / "a" / "training_metadata.json").exists()
    code, resumed = run("a", kill_at=-1)
    assert code == 0
    (tmp_path / "out.npz").unlink()
    code, whole = run("b", kill_at=-1)
    assert code == 0
    assert resumed.keys() == whole.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value)


def test_two_runs_from_one_seed_are_equal_bit_for_bit():
    results = []
    for _ in range(2):
        model = make_model()
        x = np.random.normal(size=(20, 4)).astype("float32")  # noqa: NPY002 - the seed fixes this generator too
        history = model.fit(x, (x[:, 0] > 0).astype(int), epochs=2, batch_size=8, verbose=0)
        results.append([*state_of(model), history.history["loss"]])
    assert_same(*results)


def test_a_model_that_is_let_go_is_freed():
    model = make_model()
    x, y = batches(1)[0]
    model.fit(x, y, verbose=0, validation_data=(x, y))
    model.predict(x, verbose=0)
    model.evaluate(x, y, verbose=0)
    watched = [weakref.ref(model), weakref.ref(model.weights[0]), weakref.ref(model.optimizer)]
    del model
    gc.collect()
    assert [ref() for ref in watched] == [None] * 3


def test_memory_does_not_grow_with_epochs_or_runs():
    model = make_model()
    x, y = batches(1)[0]
    model.fit(x, y, epochs=3, verbose=0, validation_data=(x, y))
    # JAX keeps some of what it made for a while, also of what a compiled program made (about 60 kB within
    # the first thousands of calls); only what is made here counts.
    ours = tracemalloc.Filter(True, str(Path(kerasmagic.__file__).parent / "*"))
    source, first = inspect.getsourcelines(Execution._run)
    programs = [
        tracemalloc.Filter(False, inspect.getfile(Execution), line)
        for line in range(first, first + len(source))
    ]

    def grown_by(epochs):
        gc.collect()
        tracemalloc.start()
        for _ in range(3):
            model.fit(x, y, epochs=epochs, verbose=0, validation_data=(x, y))
        gc.collect()
        snapshot = tracemalloc.take_snapshot().filter_traces([ours, *programs])
        tracemalloc.stop()
        return sum(trace.size for trace in snapshot.traces)

    few = grown_by(40)
    alive = len(jax.live_arrays())
    many = grown_by(160)
    assert len(jax.live_arrays()) <= alive
    # What stays is the history of the last run, a few floats an epoch.
    assert many - few < 120 * 300
