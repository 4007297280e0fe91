"""What is done to a run while it runs: it takes effect, it is written down, and it can be done again."""

from __future__ import annotations

import errno
import json
import threading
import time

import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.callbacks import Intervention
from kerasmagic.optimizers import schedules
from kerasmagic.saving import atomic
from kerasmagic.training import events
from kerasmagic.training.control import RunControl
from kerasmagic.training.sinks import set_default_sink
from tests.training.steering import Hand, assert_same, data, make_model, return_models, state_of


@pytest.fixture(autouse=True)
def _models():
    yield
    return_models()


def fit(model, acts=None, **options):
    x, y = data()
    # The order of the samples.
    keras.utils.set_random_seed(9)
    arguments = {"epochs": 5, "batch_size": 8, "validation_split": 0.25, "verbose": 0, **options}
    return model.fit(x, y, callbacks=[Hand(acts or {})], **arguments)


STEERED = {
    (0, 2): lambda run: run.set_learning_rate(0.2),
    (2, 0): lambda run: run.rewind(),
    (3, 1): lambda run: (run.rewind(), run.set_learning_rate(0.01)),
    (4, 3): lambda run: run.stop(),
}


@pytest.mark.parametrize("steps", [1, 3])
def test_a_run_is_done_again_bit_for_bit_from_its_history(steps):
    model, plain = make_model(steps_per_execution=steps), make_model()
    history = fit(model, STEERED)
    fit(plain)
    assert not all(map(np.array_equal, state_of(model), state_of(plain)))
    kinds = [(each.kind, each.epoch, each.batch) for each in history.interventions]
    expected = [
        ("learning_rate", 0, 2),
        ("rewind", 2, 0),
        ("rewind", 3, 1),
        ("learning_rate", 3, 1),
        ("stop", 4, 3),
    ]
    if steps == 1:
        assert kinds == expected
    again = make_model(steps_per_execution=steps)
    text = json.dumps([each.to_dict() for each in history.interventions])
    repeated = fit(again, replay=json.loads(text))
    assert repeated.interventions == history.interventions
    assert repeated.history == history.history
    assert_same(state_of(model), state_of(again))


def test_places_to_repeat_cut_executions_of_many_steps():
    one, many = make_model(), make_model(steps_per_execution=5)
    history = fit(one, {(1, 3): lambda run: run.set_learning_rate(0.3)}, epochs=2)
    assert fit(many, epochs=2, replay=history).interventions == history.interventions


def test_what_never_came_to_its_turn_is_said():
    late = Intervention("learning_rate", 7, 1, 36, 0.1)
    with pytest.warns(UserWarning, match="1 of the interventions to replay .* batch 1 of epoch 8"):
        fit(make_model(), epochs=1, replay=[late])


def test_a_pause_waits_without_work_and_leaves_the_numbers_alone():
    model, plain = make_model(), make_model()
    seen = []

    def rest(run):
        run.pause()
        # Its own processor time: other threads of the process may be at work.
        clock = time.pthread_getcpuclockid(threading.get_ident())
        thread = threading.Thread(target=wake, args=(run, clock))
        thread.start()

    def wake(run, clock):
        while run.status != "paused":
            time.sleep(0.001)
        cpu = time.clock_gettime(clock)
        time.sleep(0.3)
        seen.extend([run.step, time.clock_gettime(clock) - cpu])
        # Others may measure meanwhile; the epoch's own numbers are not mixed with theirs.
        model.evaluate(*data(), verbose=0)
        model.predict(data()[0], verbose=0)
        run.resume()

    history = fit(model, {(1, 2): rest}, epochs=3)
    assert [(each.kind, each.step) for each in history.interventions] == [("pause", 7), ("resume", 7)]
    assert seen[0] == 7
    assert seen[1] < 0.1
    assert history.history == fit(plain, epochs=3).history
    assert_same(state_of(model), state_of(plain))


def test_going_back_takes_weights_and_slots_of_the_best_epoch_and_the_rate_of_now():
    model = make_model()
    kept = []

    class Spoil(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                kept.extend(state_of(self.model))
            elif epoch == 1:
                self.model.set_weights([w * 100 for w in self.model.get_weights()])
            elif epoch == 2:
                self.model.run.set_learning_rate(0.125)
                self.model.run.rewind()

    x, y = data()
    history = model.fit(x, y + 3, epochs=3, verbose=0, callbacks=[Hand({}), Spoil()], batch_size=48)
    best = int(np.argmin(history.history["loss"]))
    assert history.interventions[-1].value == best
    if best == 0:
        rate = next(i for i, v in enumerate(kept) if v.shape == () and v == np.float32(0.05))
        kept[rate] = np.float32(0.125)
        assert_same(kept, state_of(model))
    assert float(model.optimizer.learning_rate.numpy()) == 0.125


def test_nothing_to_go_back_to_is_said_and_the_run_goes_on():
    history = fit(make_model(), {(0, 1): lambda run: run.rewind()}, epochs=2)
    (said,) = history.interventions
    assert not said.done
    assert said.message == "nothing to go back to: no epoch has ended yet"
    assert len(history.history["loss"]) == 2


class Halving(schedules.LearningRateSchedule):
    """A schedule of a user's own."""

    def __call__(self, step):
        return 0.1 * 0.5 ** (step // 4)


@pytest.mark.parametrize("options", [{}, {"steps_per_execution": 3}])
def test_a_schedule_goes_on_scaled_and_the_same_again(options):
    def model():
        return make_model(keras.optimizers.SGD(schedules.ExponentialDecay(0.05, 3, 0.7)), **options)

    changed, again, plain = model(), model(), model()
    act = {(0, 2) if not options else (0, 3): lambda run: run.set_learning_rate(0.2)}
    history = fit(changed, act, epochs=2)
    (said,) = history.interventions
    before = 0.05 * 0.7 ** (said.step / 3)
    assert said.done
    assert said.message == (
        f"learning rate {before:.4g} → 0.2, all of ExponentialDecay × {0.2 / before:.4g} from here on"
    )
    assert any("scaled" in one.reason for one in changed.compilations)
    assert fit(again, epochs=2, replay=history).interventions == history.interventions
    assert_same(state_of(changed), state_of(again))
    # It took effect at that step: as if the schedule had been so high, before it not.
    assert not np.array_equal(state_of(changed)[0], state_of(fit(plain, epochs=2).model)[0])
    config = changed.optimizer.get_config()["learning_rate"]
    assert config["class_name"] == "ExponentialDecay"
    assert config["config"]["initial_learning_rate"] == pytest.approx(0.05 * 0.2 / before, rel=1e-5)


def test_a_change_of_a_schedule_takes_effect_with_the_next_batch():
    model, twin = make_model(keras.optimizers.SGD(Halving())), make_model(keras.optimizers.SGD(0.1))
    history = fit(model, {(0, 2): lambda run: run.set_learning_rate(0.025)}, epochs=1)
    by_hand = {
        (0, 2): lambda run: run.set_learning_rate(0.025),
        (0, 4): lambda run: run.set_learning_rate(0.0125),
    }
    fit(twin, by_hand, epochs=1)
    for one, other in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    assert history.interventions[0].done
    kept = model.optimizer.get_config()["learning_rate"]
    assert kept["class_name"] == "ScaledSchedule"
    made = schedules.deserialize(kept, {"Halving": Halving})
    assert [float(made(step)) for step in (2, 4)] == pytest.approx([0.025, 0.0125])


def test_a_rate_that_is_a_function_or_at_zero_stays_and_the_history_says_so():
    for rate, reason in (
        (lambda: 0.05, "<lambda>"),
        (schedules.PolynomialDecay(0.1, 1, 0.0), "PolynomialDecay, is 0 now"),
    ):
        model, plain = make_model(keras.optimizers.SGD(rate)), make_model(keras.optimizers.SGD(rate))
        history = fit(model, {(0, 1): lambda run: run.set_learning_rate(1.0)}, epochs=1)
        (said,) = history.interventions
        assert (said.done, said.message) == (False, f"the learning rate follows {reason} and was not changed")
        fit(plain, epochs=1)
        assert_same(state_of(model), state_of(plain))


def test_several_optimizers_change_by_the_same_factor():
    slow, fast = keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.1)
    chosen = keras.optimizers.MultiOptimizer(lambda v: slow if v.path.endswith("kernel") else fast)
    fit(make_model(chosen), {(0, 1): lambda run: run.set_learning_rate(0.02)}, epochs=1)
    # What is asked for is the rate of the first.
    first, factor = chosen.optimizers[0], 0.02 / (0.01 if chosen.optimizers[0] is slow else 0.1)
    assert float(first.learning_rate.numpy()) == pytest.approx(0.02)
    assert float(slow.learning_rate.numpy()) == pytest.approx(0.01 * factor)
    assert float(fast.learning_rate.numpy()) == pytest.approx(0.1 * factor)


def test_the_rate_inside_a_loss_scale_is_changed():
    inner = keras.optimizers.SGD(0.01)
    fit(
        make_model(keras.optimizers.LossScaleOptimizer(inner)),
        {(0, 1): lambda run: run.set_learning_rate(0.02)},
        epochs=1,
    )
    assert float(inner.learning_rate.numpy()) == pytest.approx(0.02)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "fast", None])
def test_what_is_no_learning_rate_is_refused_at_once(value):
    with pytest.raises(ValueError, match="learning rate is a number"):
        RunControl("m").set_learning_rate(value)


def test_a_checkpoint_is_a_whole_model_of_that_step(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, seen = make_model(), []

    def write(run):
        seen.extend(state_of(model))
        run.checkpoint()

    history = fit(model, {(1, 2): write}, epochs=2)
    (said,) = history.interventions
    assert said.message == "checkpoint written to checkpoints/small-step-7.keras"
    loaded = keras.models.load_model(str(tmp_path / str(said.value)))
    seeds = {id(v) for v in model.non_trainable_variables} - {id(v) for v in model.weights}
    named = [v for v in (*model.weights, *model.optimizer.variables) if id(v) not in seeds]
    for value, variable in zip(seen, [*loaded.weights, *loaded.optimizer.variables], strict=False):
        np.testing.assert_array_equal(value, variable.numpy())
    assert len(named) == len([*loaded.weights, *loaded.optimizer.variables])


def test_a_full_disk_is_told_and_the_run_and_the_old_file_go_on(tmp_path, monkeypatch):
    model, path = make_model(), tmp_path / "kept.keras"
    acts = {(0, 1): lambda run: run.checkpoint(path), (1, 1): lambda run: (fill(), run.checkpoint(path))}

    def fill():
        def full(descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(atomic.os, "fsync", full)

    history = fit(model, acts, epochs=3)
    first, second = history.interventions
    assert first.done
    assert not second.done
    assert second.message == f"no checkpoint written to {path}: No space left on device"
    assert len(history.history["loss"]) == 3
    monkeypatch.undo()
    assert keras.models.load_model(str(path)).built
    assert [each.name for each in tmp_path.iterdir()] == ["kept.keras"]


def test_a_model_that_cannot_say_how_to_make_it_leaves_its_weights(tmp_path):
    class Odd(keras.layers.Layer):
        def __init__(self, secret):
            super().__init__()
            self.secret = secret

        def call(self, x):
            return x

        def get_config(self):
            raise NotImplementedError("no config")

    model = keras.Sequential([keras.Input((4,)), Odd(object()), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = fit(model, {(0, 1): lambda run: run.checkpoint(tmp_path / "odd.keras")}, epochs=1)
    assert history.interventions[0].value == str(tmp_path / "odd.weights.h5")
    model.load_weights(tmp_path / "odd.weights.h5")


def test_a_wrong_path_is_refused_at_once():
    with pytest.raises(ValueError, match=r"\.keras"):
        RunControl("m").checkpoint("model.pickle")


def test_a_run_that_is_over_takes_no_requests():
    controls = []
    fit(make_model(), {(0, 1): controls.append}, epochs=1)
    assert controls[0].done
    assert not controls[0].pause()
    assert controls[0].settle(0)


def test_between_two_runs_there_is_no_control():
    model = make_model()
    assert model.run is None
    fit(model, epochs=1)
    assert model.run is None


def test_a_subclass_may_use_the_name_for_itself():
    class Mine(keras.Model):
        def __init__(self):
            super().__init__()
            self.run = "mine"
            self.dense = keras.layers.Dense(1)

        def call(self, x):
            return self.dense(x)

    model = Mine()
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 2)), np.ones(4), verbose=0)
    assert model.run == "mine"


@pytest.mark.parametrize(
    "replay", ["stop", 5, [5], [{"kind": "jump", "epoch": 0, "batch": 0, "step": 0}], [{"kind": "stop"}]]
)
def test_what_is_no_list_of_interventions_is_refused(replay):
    with pytest.raises(ValueError, match=r"replay|intervention"):
        fit(make_model(), epochs=1, replay=replay)


def test_a_view_that_steers_hears_what_can_be_done():
    heard = []

    class View:
        def attach(self, controls):
            controls.keep_best()

        def emit(self, event):
            heard.append(event)

        def wants_weights(self):
            return False

    before = set_default_sink(lambda level: View())
    fit(make_model(), {(1, 1): lambda run: run.set_learning_rate(0.5)}, epochs=2, verbose=1)
    set_default_sink(before)
    told = [event for event in heard if isinstance(event, events.ControlsChanged)]
    assert [round(event.learning_rate, 3) for event in told] == [0.05, 0.05, 0.5, 0.5][: len(told)]
    assert told[0].best == ""
    assert told[1].best.startswith("epoch 1, val_loss ")
    kinds = [event.intervention.kind for event in heard if isinstance(event, events.Intervened)]
    assert kinds == ["learning_rate"]


def test_a_view_that_fails_when_it_is_handed_the_control_is_left_out():
    class View:
        def attach(self, controls):
            raise RuntimeError("broken")

        def emit(self, event):
            raise RuntimeError("broken")

        def wants_weights(self):
            return False

    before = set_default_sink(lambda level: View())
    with pytest.warns(UserWarning, match="view of the training run failed"):
        history = fit(make_model(), epochs=1, verbose=1)
    set_default_sink(before)
    assert len(history.epoch) == 1


def test_a_tick_without_requests_costs_next_to_nothing():
    from kerasmagic.training.steering import Steering

    steering = Steering(object(), RunControl("m"))  # pyright: ignore[reportArgumentType]
    began = time.thread_time()
    for _ in range(10_000):
        steering.tick(0, 1)
        steering.room(0, 1, 8)
    # 10 microseconds are a hundredth of a millisecond step; measured: 0.1.
    assert (time.thread_time() - began) / 10_000 < 1e-5
