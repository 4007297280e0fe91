"""Every kind of model as text and as Python: the same architecture, and the same outputs."""

from __future__ import annotations

import numpy as np
import pytest

import kerasmagic as km
from kerasmagic.foundation.errors import NotSerializable
from tests.assembly import made
from tests.assembly.agreement import agree, reads_back, rewritten, same, under_keras
from tests.assembly.made import MAKERS

NAMES = vars(made)


@pytest.mark.parametrize("name", MAKERS)
def test_a_model_reads_back(name):
    model = MAKERS[name]()
    again = reads_back(model, NAMES)
    ours, theirs = model.get_compile_config(), again.get_compile_config()
    assert (ours is None) == (theirs is None)
    if ours is not None and theirs is not None:
        named = ("loss", "metrics", "weighted_metrics", "loss_weights", "steps_per_execution")
        assert {k: ours.get(k) for k in named} == {k: theirs.get(k) for k in named}


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_a_model_computes_the_same_under_keras(name):
    agree(MAKERS[name](), NAMES)


def test_a_stack_without_an_input_stays_one():
    model = km.Sequential([km.layers.Dense(3), km.Sequential([km.layers.Dense(2)])])
    again = reads_back(model, None)
    assert [type(layer).__name__ for layer in again.layers] == ["Dense", "Sequential"]
    assert [type(layer).__name__ for layer in under_keras(model.to_python()).layers] == [
        "Dense",
        "Sequential",
    ]


def test_the_kinds_of_models_are_told_apart():
    x = km.Input((4,))
    graph, stack = km.Model(x, km.layers.Dense(2)(x)), km.Sequential([km.Input((4,)), km.layers.Dense(2)])
    assert rewritten(graph) == "input 4\ndense 2\n"
    assert rewritten(stack) == "Sequential\ninput 4\ndense 2\n"
    assert km.define(rewritten(stack)).get_config()["layers"][0]["class_name"] == "InputLayer"


def test_a_slice_is_written_as_one():
    model = MAKERS["slices"]()
    assert "[:, 0] -> " in model.to_text() or "[:, 0]\n" in model.to_text()
    assert "[:, 0]" in model.to_python()
    assert "slice(" not in model.to_python()


def _of_a_function(function):
    x = km.Input((4,))
    return km.Model(x, km.ops.vectorized_map(function, x))


def test_a_function_without_a_name_is_refused_with_a_way_out():
    model = _of_a_function(lambda x: x * 2)
    for write in (model.to_text, model.to_python):
        with pytest.raises(NotSerializable, match=r"lambda has no name.*'def'"):
            write()
    assert "function={halve}" in _of_a_function(made.halve).to_text()


# ---- models with a call of their own


def test_a_model_with_a_call_of_its_own_is_written_with_its_class():
    model = made.Tower(5)
    x = np.ones((2, 4), "float32")
    expected = model(x)
    source = model.to_python()
    assert "kerasmagic" not in source
    assert "RATE = 3.0" in source
    assert source.index("class Scale") < source.index("class Tower")
    other = under_keras(source)
    other(x)
    other.set_weights([v.numpy() for v in model.weights])
    same(expected, other(x), 1e-5, 1e-6)


class Reader(km.Model):
    def call(self, x):
        return x * MODEL_OF_THE_MODULE


MODEL_OF_THE_MODULE = object()


def _silent():
    names = {"km": km}
    exec("class Silent(km.Model):\n    def call(self, x):\n        return x", names)
    return names["Silent"]()


class Forgetful(km.Model):
    def __init__(self, rows):
        super().__init__()
        self.rows = tuple(rows)

    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_silent, "The source of the class 'Silent' is not known"),
        (Reader, "reads the variable 'MODEL_OF_THE_MODULE', a object"),
        (lambda: Forgetful([object()]), "get_config"),
        (lambda: km.Sequential([km.layers.Lambda(lambda x: x)]), "lambda"),
    ],
)
def test_what_has_no_source_is_named(make, message):
    with pytest.raises(NotSerializable, match=message):
        make().to_python()
