"""Models with a ``call`` of their own as text: their inputs, and one step by the name of their class."""

from __future__ import annotations

import numpy as np
import pytest

import kerasmagic as km
from kerasmagic import layers, ops
from kerasmagic.foundation.errors import NotSerializable
from tests.assembly import made
from tests.assembly.agreement import same

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 4)).astype("float32"), RNG.normal(size=(2, 3)).astype("float32")


class Net(km.Model):
    """Takes a model and makes another for itself."""

    def __init__(self, width, head=None, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.width, self.head, self.rate = width, head, rate
        self.body = km.Sequential([layers.Dense(width, activation="relu"), layers.Dropout(rate)])

    def call(self, x, training=False):
        y = self.body(x, training=training)
        return y if self.head is None else self.head(y)

    def get_config(self):
        head = None if self.head is None else km.saving.serialize_keras_object(self.head)
        return {**super().get_config(), "width": self.width, "head": head, "rate": self.rate}


class Two(km.Model):
    """Takes two tensors, gives a dict, and leaves its name to others."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, a, b):
        return {"sum": self.dense(a) + b, "first": a}


class Pair(km.Model):
    def __init__(self, keys=None):
        super().__init__()
        self.keys = keys
        self.dense = layers.Dense(3)

    def call(self, pair):
        a, b = pair if self.keys is None else (pair[key] for key in self.keys)
        return self.dense(a) + b


class Perhaps(km.Model):
    def __init__(self, filters=4):
        super().__init__()
        self.filters = filters
        self.conv, self.embed = layers.Conv2D(filters, 3), layers.Embedding(5, 2)

    def call(self, x, tokens=None):
        y = self.conv(x)
        return y if tokens is None else y + ops.mean(self.embed(tokens))


OWN = {cls.__name__: cls for cls in (Net, Two, Pair, Perhaps, made.Tower)}
IMAGE = RNG.normal(size=(1, 6, 6, 3)).astype("float32")
CASES = {
    "plain": (lambda: made.Tower(5), (A,), A, "input 4\nTower 5\n"),
    "defaults": (lambda: Net(3, rate=0.2), (A,), A, "input 4\nNet 3 rate=0.2\n"),
    "a model inside": (
        lambda: Net(3, km.Sequential([km.Input((3,)), layers.Dense(7)], name="head"), name="mine"),
        (A,),
        A,
        "input 4\nmodel head:\n    Sequential\n    input 3\n    dense 7\nNet 3 head=head name='mine'\n",
    ),
    "several": (
        Two,
        (A, B),
        [A, B],
        "input a 4\ninput b 3\ntwo_1, two_2 = [a, b] -> Two\noutput first=two_1, sum=two_2\n",
    ),
    "a list": (Pair, ([A, B],), [A, B], "input x 4\ninput x_1 3\nlist(x, x_1) -> Pair\n"),
    "a dict": (
        lambda: Pair(["l", "r"]),
        ({"l": A, "r": B},),
        [A, B],
        "input x 4\ninput x_1 3\ndict(l=x, r=x_1) -> Pair keys=['l', 'r']\n",
    ),
    "an argument left out": (Perhaps, (IMAGE,), IMAGE, "input 6x6x3\nPerhaps 4\n"),
    "an argument given": (
        Perhaps,
        (IMAGE, np.array([[1, 2]])),
        [IMAGE, np.array([[1, 2]])],
        "input x 6x6x3\ninput tokens 2 int32\nx -> Perhaps 4 tokens=tokens\n",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_its_inputs_and_a_step(case):
    make, arguments, data, text = CASES[case]
    model = make()
    expected = model(*arguments)
    calls = len(model._inbound_nodes)
    assert model.to_text() == text
    assert len(model._inbound_nodes) == calls
    again = km.define(text, OWN)
    again.set_weights(model.get_weights())
    same(expected, again(data), 1e-5, 1e-6)
    again.__dict__.pop("_definition")
    assert again.to_text() == text


def test_what_is_known_of_training_is_written_too():
    model = Net(3)
    model.compile("adam", "mse", metrics=["mae"])
    model.build((None, 4))
    assert model.to_text() == "input 4\nNet 3\ncompile adam, mse, mae\n"


def test_inside_of_a_graph_it_is_a_step():
    x = km.Input((4,))
    model = km.Model(x, layers.Dense(2)(Net(5)(x)))
    assert model.to_text() == "input 4\nNet 5\ndense 2\n"
    km.define(model.to_text(), OWN)


@pytest.mark.parametrize("make", [lambda: Net(3), lambda: made.Tower(2), Pair])
def test_one_that_was_not_called_is_refused_with_a_way_out(make):
    with pytest.raises(NotSerializable, match=r"was not called yet.*model\.build"):
        make().to_text()


class Stepwise(km.Model):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


def test_arguments_that_are_no_data_are_named():
    model = Stepwise(lambda x: 2 * x)
    model(A)
    with pytest.raises(NotSerializable, match="get_config"):
        model.to_text()


def test_a_call_that_looks_at_values_is_refused():
    model = Stepwise("text")
    model.function = lambda x: x * float(np.asarray(x).sum())
    model(A)
    with pytest.raises(NotSerializable, match=r"cannot be followed for any batch.*to_python"):
        model.to_text()


def test_a_class_need_not_take_a_name():
    class Plain(layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.inner = layers.Dense(units)

        def call(self, x):
            return self.inner(x)

    model = km.define("input 4\nPlain 3\nlast = Plain 2", {"Plain": Plain})
    assert [layer.name for layer in model.layers] == ["input", "plain", "last"]
    assert model.layers[2].weights[0].path.startswith("last/")


def test_a_named_layer_is_an_argument_by_its_name():
    model = km.define("input 3\nlayer body = dense 3\nAround inner=body factor=2", vars(made))
    assert model.layers[-1].inner.name == "body"
