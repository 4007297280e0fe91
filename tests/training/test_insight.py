"""What a run tells of itself: gradients when asked for, warnings, and the origin of a NaN."""

from __future__ import annotations

import time
import types
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.training import events, insight
from kerasmagic.training.inspection import Inspector, ready
from kerasmagic.training.sinks import set_default_sink
from kerasmagic.training.state import take, variables_of

L = keras.layers
T = TypeVar("T")


class Watcher:
    """A view that wants the weights now and then, and gradients if told so."""

    def __init__(self, gradients: bool = False):
        self.events: list[events.Event] = []
        self.gradients = gradients
        self.weights = False

    def emit(self, event: events.Event) -> None:
        self.events.append(event)

    def wants_weights(self) -> bool:
        return self.weights

    def wants_gradients(self) -> bool:
        return self.gradients

    def of(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def advice(self) -> list[events.Advice]:
        return [event.advice for event in self.of(events.Advised)]


@pytest.fixture
def watcher():
    sink = Watcher()
    before = set_default_sink(lambda level: sink)
    yield sink
    set_default_sink(before)


def data(samples: int = 64):
    random = np.random.default_rng(0)
    x = random.normal(size=(samples, 4)).astype("float32")
    return x, (x[:, :1] > 0).astype("float32")


@pytest.fixture(autouse=True)
def _same_weights_in_any_order_of_tests():
    keras.utils.set_random_seed(0)


def model_of(*layers: Any, loss: Any = "mse", optimizer: Any = "sgd", **options: Any):
    model = keras.Sequential([keras.Input((4,)), *layers], name="net")
    model.compile(optimizer, loss, **options)
    return model


class Logarithm(L.Layer):
    def call(self, x):
        return keras.ops.log(x)


class RootOfNothing(L.Layer):
    def call(self, x):
        return keras.ops.sqrt(x - jax.lax.stop_gradient(x)) + x


def test_a_run_without_views_has_no_insight(monkeypatch):
    monkeypatch.setattr("kerasmagic.training.loop.Insight", None)
    x, y = data()
    model_of(L.Dense(1)).fit(x, y, verbose=0)


def test_a_healthy_run_is_told_nothing(watcher):
    x, y = data()
    model_of(L.Dense(8, "relu"), L.Dense(1)).fit(x, y, epochs=3)
    assert watcher.advice == []


@pytest.mark.parametrize(
    ("layers", "loss", "text"),
    [
        (
            [L.Dense(1), Logarithm(name="log")],
            "mse",
            "the output of layer 'log' is the first that is not finite",
        ),
        ([L.Dense(2), RootOfNothing()], "mse", "the gradient of 'net/dense/bias' is not"),
        ([L.Dense(1, "relu")], lambda y, p: keras.ops.mean(keras.ops.log(p)), "but their loss is not finite"),
    ],
)
def test_the_origin_of_a_nan_is_found(watcher, layers, loss, text):
    for layer in layers:
        if isinstance(layer, L.Dense):
            layer.name = "dense"
    x, y = data()
    model_of(*layers, loss=loss).fit(x, y, epochs=2)
    (found,) = watcher.advice
    assert found.cause == "non_finite"
    assert text in found.text
    assert isinstance(watcher.events[-1], events.RunEnded)


def test_steps_that_are_too_large_are_named(watcher):
    x, y = data(512)
    model_of(L.Dense(16, "relu"), L.Dense(1, name="out"), optimizer=keras.optimizers.SGD(1e3)).fit(
        x, y, epochs=2
    )
    (found,) = [one for one in watcher.advice if one.cause == "non_finite"]
    assert "diverged" in found.text


def test_a_batch_that_is_not_finite_is_named(watcher):
    x, y = data()

    def batches():
        for number in range(4):
            part = x[16 * number : 16 * number + 16].copy()
            part[3, 1] = np.nan if number == 2 else part[3, 1]
            yield part, y[16 * number : 16 * number + 16]

    model_of(L.Dense(1)).fit(batches(), epochs=1)
    (found,) = watcher.advice
    assert "the inputs of a batch" in found.text


def test_steps_taken_together_are_searched_one_by_one(watcher):
    x, y = data()
    x[40] = -1e30
    model_of(L.Dense(1), steps_per_execution=2).fit(x, y, batch_size=8, shuffle=False)
    assert watcher.advice[0].cause == "non_finite"


def test_an_interrupted_run_does_not_wait_for_answers(watcher):
    x, _ = data()

    class Interrupting(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model_of(Logarithm()).fit(np.abs(x) - 5, x, callbacks=[Interrupting()])
    assert watcher.events[-1].outcome == "interrupted"


def test_the_terminal_says_it(capsys):
    x, _ = data()
    model_of(Logarithm()).fit(-np.abs(x), x, epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert [
        line for line in lines if line.startswith("Warning: The loss is NaN: the output of layer 'logarithm")
    ]


def inspected(model, batch):
    """Return what the second program says of a batch, and the layers it saw."""
    model._prepare(batch)
    state = take(variables_of(model))
    inspector = Inspector(model, [v.path for v in model.trainable_variables])
    found = inspector.lowered(state, batch).compile()(state, ready(batch))
    return inspector, inspector.view(found), found


def test_gradients_updates_and_outputs_are_those_of_the_step():
    x, y = data(16)
    model = model_of(L.Dense(8, "relu", name="a"), L.Dense(1, name="b"), optimizer=keras.optimizers.SGD(0.5))
    _, view, found = inspected(model, (x, y))

    def loss_of(values):
        hidden = jax.nn.relu(x @ values[0] + values[1])
        return jnp.mean((hidden @ values[2] + values[3] - y) ** 2)

    values = [v.value for v in model.trainable_variables]
    loss, gradients = jax.value_and_grad(loss_of)(values)
    assert float(found.loss) == pytest.approx(float(loss), rel=1e-5)
    for gradient, (name, one) in zip(gradients, view["gradients"].items(), strict=True):
        assert one.low == pytest.approx(float(gradient.min()), rel=1e-4, abs=1e-6)
        assert one.high == pytest.approx(float(gradient.max()), rel=1e-4, abs=1e-6)
        assert name.startswith("net/")
    expected = 0.5 * jnp.linalg.norm(gradients[0]) / jnp.linalg.norm(values[0])
    assert view["updates"]["net/a/kernel"] == pytest.approx(float(expected), rel=1e-4)
    hidden = np.maximum(x @ np.asarray(values[0]), 0)
    assert view["layers"]["a"].zeros == pytest.approx((hidden == 0).mean())
    assert view["layers"]["a"].dead == (hidden == 0).all(0).mean()
    assert view["layers"]["a"].units == 8


def test_inspecting_changes_nothing():
    x, y = data(16)
    model = model_of(L.Dense(8, "relu"), L.Dropout(0.5), L.BatchNormalization(), L.Dense(1), optimizer="adam")
    before = [np.asarray(v.value) for v in model.variables]
    inspected(model, (x, y))
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(value, variable.value)


def test_a_training_step_of_its_own_shows_updates_and_outputs():
    class Own(keras.Sequential):
        def train_step(self, state, data):
            logs, new = super().train_step(state, data)
            return logs, ([value * 2 for value in state[0]], *new[1:])

    model = Own([keras.Input((4,)), L.Dense(3, name="a")], name="net")
    model.compile("sgd", "mse")
    x, _ = data(16)
    _, view, found = inspected(model, (x, np.ones((16, 3), "float32")))
    assert found.gradients is None
    assert not view["gradients"]
    assert view["updates"]["net/a/kernel"] == pytest.approx(1.0)
    assert list(view["layers"]) == ["a"]


def test_scaled_losses_show_unscaled_gradients():
    x, y = data(16)
    plain = model_of(L.Dense(1, kernel_initializer="ones"))
    scaled = model_of(
        L.Dense(1, kernel_initializer="ones"),
        optimizer=keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()),
    )
    ends = [next(iter(inspected(model, (x, y))[1]["gradients"].values())).high for model in (plain, scaled)]
    assert ends[0] == pytest.approx(ends[1], rel=1e-5)


class Run:
    """An insight driven by hand: steps of one model, and a clock that goes when told to."""

    def __init__(self, model, batch):
        model._prepare(batch)
        self.now, self.step = 0.0, 0
        self.execution = model.make_train_function()
        self.state = take(variables_of(model))
        self.batch = ready(batch)
        self.insight = insight.Insight(model, self.state, clock=lambda: self.now)

    def steps(self, sink, seconds: float, count: int = 50):
        told = []
        for _ in range(count):
            self.now, self.step = self.now + seconds / count, self.step + 1
            logs, self.state = self.execution(self.state, self.batch)
            dispatch = types.SimpleNamespace(steps=1, held=self.batch, batch=lambda _: self.batch)
            told += self.insight.after(self.state, [dispatch], logs, self.step, events.Spent(), [sink])
        return told


def test_gradients_come_once_they_are_compiled_and_stop_when_nobody_looks():
    x, y = data(16)
    run, sink = Run(model_of(L.Dense(4, "relu"), L.Dense(1)), (x, y)), Watcher(gradients=True)
    sink.weights = True
    seen = []
    until = time.monotonic() + 60
    while time.monotonic() < until and not any(event.gradients for event in seen):
        seen += [event for event in run.steps(sink, 1.0, 2) if isinstance(event, events.WeightsSeen)]
    assert seen[0].note == "gradients: being compiled"
    assert set(seen[-1].gradients) == set(seen[-1].histograms)
    assert seen[-1].note == ""
    sink.gradients = False
    assert not any(
        event.gradients for event in run.steps(sink, 1.0, 2) if isinstance(event, events.WeightsSeen)
    )
    list(run.insight.finish(run.state, run.step, waits=True))


def test_a_run_in_a_terminal_is_looked_at_now_and_then():
    x, y = data(16)
    run, sink = Run(model_of(L.Dense(4), L.Dense(1)), (x, y)), Watcher()
    assert run.steps(sink, insight.LOOK_INTERVAL - 1.0, 5) == []
    looks = []
    until = time.monotonic() + 60
    while time.monotonic() < until and not looks:
        looks = run.steps(sink, 2.0, 2)
        time.sleep(0.05)
    assert [type(event) for event in looks] == [events.WeightsSeen]
    list(run.insight.finish(run.state, run.step, waits=True))


def test_dead_units_are_heard_of_in_a_run():
    x, y = data(16)
    layer = L.Dense(16, "relu", name="hidden")
    model = model_of(L.Dense(16, "tanh"), layer, L.Dense(1))
    layer.bias.assign(np.where(np.arange(16) < 8, -100.0, 0.0))
    run, sink = Run(model, (x, y)), Watcher()
    sink.weights = True
    told = run.steps(sink, 1.0, 1)
    sink.weights = False
    for _ in range(4):
        told += run.steps(sink, 0.1, 40)
        sink.weights = True
        told += run.steps(sink, 0.1, 1)
        sink.weights = False
    told += list(run.insight.finish(run.state, run.step, waits=True))
    texts = [event.advice.text for event in told if isinstance(event, events.Advised)]
    assert texts == ["'net/hidden' has dead units: about 50 % of 16 do nothing any more."]
