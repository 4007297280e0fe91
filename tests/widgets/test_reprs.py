"""What a notebook shows of variables, layers, models and histories: right, inert, and cheap where they are large."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tracemalloc

import jax.numpy as jnp
import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.foundation import options
from kerasmagic.widgets import statistics as statistics_module
from kerasmagic.widgets.layer_view import settings
from kerasmagic.widgets.statistics import statistics
from kerasmagic.widgets.variable_view import figures
from tests.widgets.markup import Tags
from tests.widgets.runs import HOSTILE


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((8,))
    x = keras.layers.Dense(4, activation="relu", kernel_regularizer="l2", name="hidden")(inputs)
    made = keras.Model(inputs, keras.layers.Dense(2, name="scores")(x), name="small")
    made.get_weights()
    return made


def history(**columns: list[float]) -> keras.callbacks.History:
    found = keras.callbacks.History()
    found.on_train_begin()
    for epoch, values in enumerate(zip(*columns.values(), strict=True)):
        found.on_epoch_end(epoch, dict(zip(columns, values, strict=True)))
    return found


def shown(thing):
    return thing._repr_mimebundle_()


def test_every_form_stands_beside_the_others(model):
    for thing in (model, model.layers[1], model.layers[1].kernel, history(loss=[1.0, 0.5])):
        bundle = shown(thing)
        assert {"text/html", "text/plain"} <= set(bundle)
        assert "application/vnd.jupyter.widget-view+json" not in bundle
        assert "<table" in bundle["text/html"]


def test_a_layer_tells_what_was_chosen_its_shapes_and_its_weights(model):
    bundle = shown(model.layers[1])
    for part in (
        "Dense hidden",
        "(batch, 8) → (batch, 4)",
        "36 parameters",
        "activation = relu",
        "L2(l2=0.01)",
    ):
        assert part in bundle["text/plain"]
    assert "use_bias" not in bundle["text/plain"]
    assert bundle["text/html"].count("<img") == 2
    assert "use_bias" in bundle["text/html"]


@pytest.mark.parametrize(
    ("layer", "chosen"),
    [
        (lambda: keras.layers.Conv2D(3, 2), [("filters", "3"), ("kernel_size", "(2, 2)")]),
        (
            lambda: keras.layers.Conv2D(3, 2, strides=2),
            [("filters", "3"), ("kernel_size", "(2, 2)"), ("strides", "(2, 2)")],
        ),
        (lambda: keras.layers.LSTM(4, dtype="float16"), [("dtype", "float16"), ("units", "4")]),
        (
            lambda: keras.layers.Dense(2, kernel_initializer=keras.initializers.Orthogonal(gain=2.0)),
            [("units", "2"), ("kernel_initializer", "Orthogonal(gain=2.0)")],
        ),
        (lambda: keras.layers.Dropout(0.5, trainable=False), [("trainable", "False"), ("rate", "0.5")]),
    ],
)
def test_settings_as_by_default_are_told_apart(layer, chosen):
    assert sorted(settings(layer())[0]) == sorted(chosen)


def test_a_layer_that_is_not_built_and_one_that_cannot_say_its_settings():
    assert "not built yet" in shown(keras.layers.Dense(3))["text/plain"]

    class Odd(keras.layers.Layer):
        def __init__(self, function):
            super().__init__(name="odd")
            self.function = function

        def get_config(self):
            raise NotImplementedError("no")

    assert "Odd odd" in shown(Odd(len))["text/plain"]


def test_a_class_that_says_how_it_looks_has_the_last_word():
    class Loud(keras.layers.Layer):
        def _repr_html_(self):
            return "<b>me</b>"

    assert shown(Loud()) == {}


def test_a_variable_is_not_drawn_to_be_shown():
    variable = keras.Variable("ones", shape=(3,), name="later")
    assert "drawn when they are first needed" in shown(variable)["text/plain"]
    assert not variable.initialized
    variable.assign([0.0, 1.0, np.nan])
    text = shown(variable)["text/plain"]
    assert "min 0  max 1  mean 0.5" in text
    assert "NaN or infinite 1" in text


def test_a_variable_whose_buffer_a_run_has_taken():
    variable = keras.Variable(np.ones(3, "float32"), name="gone")
    variable.stored().delete()
    assert "a run is training" in shown(variable)["text/plain"]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8", "uint32", "bool", "complex64"])
def test_statistics_of_every_type_are_those_of_numpy(dtype):
    rng = np.random.default_rng(0)
    value = jnp.asarray(rng.normal(size=(50, 7)) * 10).astype(dtype)
    plain = (
        np.abs(np.asarray(value)).astype("float64")
        if dtype == "complex64"
        else np.asarray(value).astype("float64")
    )
    found = statistics(value)
    assert found is not None
    assert found.low == pytest.approx(plain.min())
    assert found.high == pytest.approx(plain.max())
    assert found.mean == pytest.approx(plain.mean(), rel=1e-5)
    assert found.std == pytest.approx(plain.std(), rel=1e-4)
    assert found.zeros == (plain == 0).sum()
    assert found.histogram.counts.sum() == plain.size


@pytest.mark.parametrize("value", [np.zeros((0, 3)), np.array(["a"]), None])
def test_nothing_to_measure(value):
    assert statistics(value) is None


def test_values_that_are_all_bad_or_all_the_same():
    bad = statistics(np.full(5, np.nan))
    assert bad is not None
    assert (bad.bad, bad.histogram.counts.sum()) == (5, 0)
    same = statistics(np.full(5, 1e30))
    assert same is not None
    assert (same.std, same.histogram.counts.max()) == (0.0, 5)


def test_a_large_array_is_looked_at_in_pieces(monkeypatch):
    rng = np.random.default_rng(0)
    value = rng.normal(2.0, 3.0, size=(1500, 1001)).astype("float32")
    value[7, 7] = np.inf
    tracemalloc.start()
    found = statistics(value)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found is not None
    assert peak < value.nbytes / 2
    kept = value[np.isfinite(value)]
    assert (found.low, found.high, found.bad) == (kept.min(), kept.max(), 1)
    assert (found.mean, found.std) == (pytest.approx(2.0, abs=0.02), pytest.approx(3.0, abs=0.02))
    assert 0 < found.sample <= statistics_module.SAMPLE
    # As on an accelerator, where a program sums up what must not be copied.
    monkeypatch.setattr(statistics_module, "_on_host", lambda value: False)
    there = statistics(jnp.asarray(value))
    assert there is not None
    assert (there.low, there.high, there.bad, there.zeros) == (found.low, found.high, found.bad, found.zeros)
    assert (there.mean, there.std) == (
        pytest.approx(found.mean, rel=1e-4),
        pytest.approx(found.std, rel=1e-4),
    )
    np.testing.assert_allclose(there.histogram.counts, found.histogram.counts, atol=3)


def test_a_layer_of_many_weights_shows_some():
    layer = keras.layers.Layer(name="many")
    for index in range(40):
        layer.add_weight((2,), name=f"w{index}")
    text = shown(layer)["text/plain"]
    assert "16 more weights not shown" in text
    assert "w23" in text
    assert "w24" not in text


def test_hostile_names_are_text():
    layer = keras.layers.Dense(2, name=HOSTILE)
    layer.build((None, 3))
    for bundle in (shown(layer), shown(layer.kernel), shown(history(**{HOSTILE: [1.0, 2.0]}))):
        found = Tags(bundle["text/html"]).found
        assert {tag for tag, _ in found}.isdisjoint({"a", "link", "iframe"})
        assert Tags(bundle["text/html"]).loaded() == set()
        assert not any(name.startswith("on") for _, attributes in found for name in attributes)


def test_a_history_is_its_curves_and_a_table_of_some_epochs():
    columns = {
        "loss": list(np.linspace(2, 1, 300)),
        "val_loss": [*np.linspace(2, 1.2, 200), *np.linspace(1.2, 3, 100)],
    }
    bundle = shown(history(**columns))
    lines = bundle["text/plain"].splitlines()
    assert lines[0] == "History of 300 epochs"
    assert lines[1].split() == ["epoch", "loss", "val_loss"]
    epochs = [int(line.split()[0]) for line in lines[2:]]
    assert (epochs[0], epochs[-1], len(epochs)) == (1, 300, 13)
    assert 200 in epochs
    assert bundle["text/html"].count("<img") == 1
    assert "best 1.200 at epoch 200" in bundle["text/html"]


@pytest.mark.parametrize("columns", [{}, {"loss": [1.0]}, {"loss": [np.nan, np.inf]}])
def test_a_history_of_little_can_be_shown(columns):
    assert shown(history(**columns))["text/plain"].startswith("History of")


def test_nothing_that_was_measured_is_in_a_deterministic_output(model):
    with options.scoped(deterministic=True):
        kernel, layer = shown(model.layers[1].kernel), shown(model.layers[1])
        assert set(shown(history(loss=[0.123]))) <= {"text/plain", "image/png"}
        assert "0.123" not in shown(history(loss=[0.123]))["text/plain"]
    assert "<img" not in kernel["text/html"] + layer["text/html"]
    assert "(8, 4)" in kernel["text/plain"]


def test_plain_python_sees_the_plain_repr_and_loads_no_view():
    code = (
        "import sys, kerasmagic as k\n"
        "layer = k.layers.Dense(3, name='d')\n"
        "print(repr(layer), repr(k.Variable([1.0], name='v')))\n"
        "print([m for m in sys.modules if m.startswith(('kerasmagic.widgets', 'matplotlib', 'IPython'))])\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == [
        "<Dense name=d, built=False> <Variable path=v, shape=(1,), dtype=float32, value=[1.]>",
        "[]",
    ]


def test_a_few_zeros_among_very_many_values_are_not_told():
    found = statistics(np.array([0.0, 1.0, 2.0]))
    assert found is not None
    told = [dict(figures(dataclasses.replace(found, size=size))).get("zeros") for size in (3, 2000, 10**8)]
    assert told == ["33.3 %", "0.1 %", None]
