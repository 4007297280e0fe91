"""What summary() prints, line for line as Keras prints it."""

from __future__ import annotations

import numpy as np
import pytest

import kerasmagic as km


def stack(k):
    long = "a_rather_long_name_for_a_convolution_in_a_table"
    layers = [
        k.layers.Conv2D(8, 3, name=long),
        k.layers.BatchNormalization(name="bn"),
        k.layers.Flatten(name="f"),
    ]
    return k.Sequential([k.Input((28, 28, 1)), *layers, k.layers.Dense(10, name="out")], name="stack")


def unbuilt_stack(k):
    return k.Sequential([k.layers.Dense(3, name="d"), k.layers.Dense(1, name="e")], name="unbuilt")


def chain(k):
    x = k.Input((4,), name="x")
    model = k.Model(
        x, k.layers.Dense(3, name="e")(k.layers.Dense(3, name="d", trainable=False)(x)), name="chain"
    )
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def branches(k):
    a, b = k.Input((4,), name="a"), k.Input((6,), name="b")
    shared = k.layers.Dense(3, name="shared")
    both = k.layers.Concatenate(name="both")([shared(a), k.layers.Dense(3, name="other")(b)])
    inside = [k.layers.Dense(6, name="in1"), k.layers.Dense(2, name="in2")]
    inner = k.Sequential([k.Input((6,)), *inside], name="inner")
    back = shared(k.layers.Dense(4, name="back")(inner(both)))
    states = k.layers.LSTM(3, return_state=True, name="lstm")(k.layers.Reshape((3, 1), name="r")(back))
    return k.Model([a, b], [back, *states], name="branches")


def subclassed(k, built=True):
    class Net(k.Model):
        def __init__(self):
            super().__init__(name="net")
            self.hidden = k.layers.Dense(3, name="d1")
            self.out = k.layers.Dense(2, name="d2")

        def call(self, x):
            return self.out(self.hidden(x))

    net = Net()
    if built:
        net(np.ones((2, 3), "float32"))
    return net


MODELS = {
    "stack": stack,
    "unbuilt stack": unbuilt_stack,
    "chain": chain,
    "branches": branches,
    "subclass": subclassed,
    "unbuilt subclass": lambda k: subclassed(k, built=False),
}
OPTIONS = [
    {},
    {"show_trainable": True},
    {"expand_nested": True, "show_trainable": True},
    {"line_length": 120},
    {"line_length": 60},
]


def printed(model, **options):
    parts = []
    model.summary(print_fn=lambda text, line_break=True: parts.append(text), **options)
    return "".join(parts)


@pytest.mark.parametrize("name", MODELS)
def test_the_summary_is_the_one_that_keras_prints(keras, name, monkeypatch):
    # Keras lays the table out by its own library, which cuts off what the terminal has no room for.
    monkeypatch.setenv("COLUMNS", "160")
    ours, theirs = MODELS[name](km), MODELS[name](keras)
    for options in OPTIONS:
        assert printed(ours, **options).splitlines() == printed(theirs, **options).splitlines()


def test_the_width_is_that_of_the_terminal(keras, monkeypatch):
    monkeypatch.setenv("COLUMNS", "72")
    assert printed(stack(km)) == printed(stack(keras))


@pytest.mark.parametrize(
    "bounds", [("d", "e"), ("e", "d"), ("other", "back"), ("i", "inner"), ("both", "l.*")]
)
def test_a_range_of_layers(keras, bounds, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    model = "chain" if bounds[0] in "de" else "branches"
    assert printed(MODELS[model](km), layer_range=bounds) == printed(MODELS[model](keras), layer_range=bounds)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"line_length": 10}, "Insufficient"),
        ({"positions": [0.5, 1.0]}, "Insufficient"),
        ({"layer_range": ["x"]}, "two names"),
        ({"layer_range": ["x", "y"]}, "No layers match"),
    ],
)
def test_impossible_tables_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        stack(km).summary(**options)
