"""Runs in a thread of their own: what they leave, who may use the model meanwhile, and how they end."""

from __future__ import annotations

import contextvars
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback

import jax
import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.foundation import options
from kerasmagic.training.background import BackgroundRun
from kerasmagic.training.sinks import set_default_sink
from tests.training.steering import Hand, assert_same, data, make_model, return_models, state_of

FOREVER = 10**6


@pytest.fixture(autouse=True)
def _models():
    yield
    return_models()


def start(model, epochs=FOREVER, **arguments):
    x, y = data()
    keras.utils.set_random_seed(9)
    arguments = {"batch_size": 8, "verbose": 0, "background": True, **arguments}
    return model.fit(x, y, epochs=epochs, **arguments)


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.002)


@pytest.fixture
def trained():
    """A model whose programs are compiled."""
    model = make_model()
    x, y = data()
    model.fit(x, y, batch_size=8, verbose=0)
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
    return model


@pytest.fixture
def running(trained):
    """A run that would go on for ever, and its model; nothing of it is left behind."""
    run = start(trained)
    until(lambda: run.step > 3)
    yield trained, run
    run.stop()
    assert run.wait(30)


def test_the_numbers_are_those_of_the_foreground():
    one, other = make_model(), make_model()
    run = start(one, epochs=3, validation_split=0.25)
    assert isinstance(run, BackgroundRun)
    history = run.join()
    assert (run.done, run.status, history is one.history) == (True, "finished", True)
    assert history.history == start(other, epochs=3, validation_split=0.25, background=False).history
    assert_same(state_of(one), state_of(other))
    assert one.run is None


def test_it_is_steered_by_its_handle(running, tmp_path):
    model, run = running
    assert model.run is run
    run.pause()
    until(lambda: run.status == "paused")
    assert run.paused
    step = run.step
    time.sleep(0.05)
    assert run.step == step
    run.learning_rate = 0.001
    run.checkpoint(tmp_path / "kept.keras")
    assert run.settle(30)
    assert run.learning_rate == pytest.approx(0.001)
    run.resume()
    until(lambda: run.step > step)
    assert not run.paused
    until(lambda: run.epoch > 3)
    run.rewind()
    run.stop()
    history = run.join()
    kinds = [each.kind for each in history.interventions]
    assert kinds == ["pause", "learning_rate", "checkpoint", "resume", "rewind", "stop"]
    assert all(each.done for each in history.interventions)
    assert keras.models.load_model(str(tmp_path / "kept.keras")).built


def test_a_replay_in_the_background_has_the_same_bits():
    model, again = make_model(), make_model()
    acts = {(1, 2): lambda run: run.set_learning_rate(0.3), (2, 1): lambda run: run.rewind()}
    history = start(model, epochs=4, callbacks=[Hand(acts)]).join()
    assert start(again, epochs=4, replay=history).join().interventions == history.interventions
    assert_same(state_of(model), state_of(again))


def test_the_model_is_the_runs_own_meanwhile(running):
    model, run = running
    x, y = data()
    uses = [
        lambda: model.fit(x, y, verbose=0),
        lambda: model.evaluate(x, y, verbose=0),
        lambda: model.predict(x, verbose=0),
        lambda: model.train_on_batch(x, y),
        lambda: model.test_on_batch(x, y),
        lambda: model.predict_on_batch(x),
        lambda: model.save("never.keras"),
        lambda: model.save_weights("never.weights.h5"),
        lambda: model.load_weights("never.weights.h5"),
        lambda: model.compile("sgd", "mse"),
    ]
    for use in uses:
        with pytest.raises(ValueError, match=r"has to wait: a run of this model is on"):
            use()
    assert not run.done
    # Reading and calling is safe at any moment: values that a step gave away are never seen.
    for _ in range(50):
        assert model(x[:2]).shape == (2, 1)
        assert all(np.isfinite(w).all() for w in model.get_weights())


def test_in_a_pause_the_model_can_be_used(running, tmp_path):
    model, run = running
    x, y = data()
    run.pause()
    # Asked for is enough: what needs the model waits for the step that is running.
    loss = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(np.mean((model.predict(x, verbose=0)[:, 0] - y) ** 2), loss, rtol=1e-4)
    model.save(tmp_path / "paused.keras")
    with pytest.raises(ValueError, match=r"`fit\(\)` has to wait"):
        model.fit(x, y, verbose=0)
    step = run.step
    run.resume()
    until(lambda: run.step > step)


def test_requests_of_one_moment_are_done_in_their_order(running):
    _, run = running
    run.pause()
    until(lambda: run.status == "paused")
    # All of these arrive together, and a pause in between does not swallow what is behind it.
    with run.borrowed("evaluate", while_paused=True):
        for ask in (run.resume, run.pause, run.rewind, run.resume, run.pause, run.stop):
            assert ask()
    assert run.wait(30)
    kinds = [each.kind for each in run.history.interventions]
    assert kinds == ["pause", "resume", "pause", "rewind", "resume", "pause", "stop"]


def test_the_model_can_be_used_at_any_moment_after_a_pause_was_asked_for(running):
    _, run = running
    for _ in range(200):
        run.pause()
        with run.borrowed("evaluate", while_paused=True):
            run.set_learning_rate(0.01)
        with run.borrowed("evaluate", while_paused=True):
            pass
        run.resume()


def test_a_resume_waits_for_who_has_the_model(running):
    _, run = running
    run.pause()
    with run.borrowed("evaluate", while_paused=True):
        step = run.step
        run.resume()
        time.sleep(0.05)
        assert run.step == step
    until(lambda: run.step > step)


def test_an_error_is_raised_where_the_run_is_waited_for(trained):
    class Fail(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise RuntimeError("a callback broke")

    run = start(trained, callbacks=[Fail()])
    for _ in range(2):
        with pytest.raises(RuntimeError, match="a callback broke"):
            run.join()
    assert (run.status, run.done) == ("failed", True)
    assert "a callback broke" in repr(run)
    assert np.isfinite(trained.evaluate(*data(), verbose=0))


def test_an_error_of_the_arguments_is_raised_at_once(trained):
    with pytest.raises(ValueError, match="epochs"):
        start(trained, epochs=-1)
    assert trained.run is None
    assert np.isfinite(trained.evaluate(*data(), verbose=0))


def test_ordinary_callbacks_work(trained, tmp_path):
    stop = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=1e9)
    save = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="loss", save_best_only=True)
    seen = []
    ask = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(trained.evaluate(*data(), verbose=0))
    )
    history = start(trained, callbacks=[stop, save, ask]).join()
    assert len(history.epoch) == len(seen) == 2
    assert (tmp_path / "best.keras").exists()


def test_who_will_not_wait_is_told(running):
    _, run = running
    with pytest.raises(TimeoutError, match="goes on"):
        run.join(timeout=0.01)
    assert not run.done


def test_ctrl_c_while_waiting_ends_the_run_after_its_step(running):
    model, run = running
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    waiter = threading.get_ident()

    def waits():
        names = [frame.name for frame in traceback.extract_stack(sys._current_frames()[waiter])]
        return names[-1] == "wait" and "join" in names

    def strike():
        until(waits)
        signal.pthread_kill(waiter, signal.SIGINT)

    striker = threading.Thread(target=strike)
    try:
        striker.start()
        with pytest.raises(KeyboardInterrupt):
            run.join()
    finally:
        signal.signal(signal.SIGINT, before)
        striker.join()
    assert run.status == "interrupted"
    assert np.isfinite(model.evaluate(*data(), verbose=0))


def test_it_runs_in_the_context_it_was_started_in(trained):
    place = contextvars.ContextVar("place", default="nowhere")
    place.set("here")
    seen = []
    note = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: seen.append((place.get(), threading.current_thread()))
    )
    start(trained, epochs=1, callbacks=[note]).join()
    assert seen[0][0] == "here"
    assert seen[0][1] is not threading.main_thread()


def test_what_jax_is_told_for_a_thread_holds_in_the_run(trained):
    seen = []
    device = jax.devices()[0]
    note = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: seen.extend(
            [jax.config.jax_default_device, jax.config.jax_default_matmul_precision]
        )
    )
    with keras.device("cpu:0"), jax.default_matmul_precision("float32"):
        run = start(trained, epochs=1, callbacks=[note])
    run.join()
    assert seen == [device, "float32"]


def test_a_view_that_breaks_does_not_end_it(trained):
    class View:
        calls = 0

        def emit(self, event):
            View.calls += 1
            if View.calls > 3:
                raise ConnectionError("the page is gone")

        def wants_weights(self):
            return False

    before = set_default_sink(lambda level: View())
    with pytest.warns(UserWarning, match="view of the training run failed"):
        history = start(trained, epochs=3, verbose=1).join()
    set_default_sink(before)
    assert len(history.epoch) == 3


def test_it_says_where_it_stands(running):
    _, run = running
    run.pause()
    until(lambda: run.status == "paused")
    text = repr(run)
    assert text.startswith("<BackgroundRun small: paused, epoch ")
    assert "loss" in text
    html = run._repr_mimebundle_()["text/html"]
    assert "paused" in html
    with options.scoped(deterministic=True):
        assert repr(run) == "<BackgroundRun small>"
        assert "paused" not in run._repr_mimebundle_()["text/html"]


def test_hostile_names_are_text():
    html = BackgroundRun("<img src=x onerror=alert(1)>")._repr_mimebundle_()["text/html"]
    assert "<img" not in html


PROGRAM = """
    import numpy as np, kerasmagic as keras
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    run = model.fit(np.ones((8, 4)), np.ones(8), epochs=10**9, verbose=0, background=True)
    while run.step < 3:
        pass
    print("left")
"""


@pytest.mark.slow
def test_a_program_that_ends_stops_its_runs():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "left", "")
