"""Any model as text and as Python, and back."""

from __future__ import annotations

import ast
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import kerasmagic as km
from kerasmagic.foundation.errors import NotSerializable
from tests.assembly.drawn import model_of
from tests.assembly.structures import structure

FOLDER = Path(__file__).parent / "architectures"
# Numbers of parameters as their authors or the Keras documentation give them, or counted by hand from the paper.
PARAMETERS = {
    "alexnet": 61_100_840,
    "autoencoder": 222_384,
    "densenet121": 8_062_504,
    "gpt_block": 7_087_872,
    "inception_block": 163_696,
    "lenet": 61_706,
    "lstm_classifier": 20_000 * 128 + 2 * 4 * 64 * (128 + 64 + 1) + 2 * 4 * 64 * (128 + 64 + 1) + 129,
    "mobilenet_v2": 3_538_984,
    "resnet18": 11_689_512 + 2 * 4_800,
    "resnet50": 25_636_712,
    "seq2seq": 2 * 8000 * 256
    + 2 * 4 * 128 * (256 + 128 + 1)
    + 2 * 4 * 256 * (256 + 256 + 1)
    + (512 + 1) * 256
    + (256 + 1) * 8000,
    "siamese": 16 * 10 + 32 * 145 + 800 * 64 + 64 + 65,
    "transformer_decoder": 25_224_192,
    "transformer_encoder": 18_914_304,
    "unet": 31_031_685,
    "vgg16": 138_357_544,
    "vit": 86_567_656,
    "wavenet": 64 + 16 * (2 * (2 * 32 * 32 + 32) + 32 * 32 + 32) + 32 * 64 + 64 + 64 * 256 + 256,
}
SMALL = ["inception_block", "siamese"]
NUMBERS = st.lists(st.integers(0, 10_000), min_size=70, max_size=70)


def test_every_architecture_has_its_number():
    assert sorted(PARAMETERS) == sorted(path.stem for path in FOLDER.glob("*.km"))


def _rewritten(model: Any) -> str:
    """Return the text that is made from the graph, not the one that defined it."""
    model.__dict__.pop("_definition", None)
    return model.to_text()


def _lines(text: str) -> int:
    return sum(1 for line in text.splitlines() if line.strip() and not line.startswith("#"))


@pytest.mark.parametrize("name", PARAMETERS)
def test_an_architecture_in_a_third_of_its_python(name):
    text = (FOLDER / f"{name}.km").read_text()
    model = km.load(FOLDER / f"{name}.km")
    assert model.count_params() == PARAMETERS[name]
    python = model.to_python()
    ast.parse(python)
    assert 3 * _lines(text) <= _lines(python)
    assert model.to_text() == text
    again = km.define(_rewritten(model))
    assert structure(again) == structure(model)
    assert not any(v._value is not None for v in model.weights), "writing a model down draws no weights"


def _under_keras(source: str) -> Any:
    import keras

    names: dict[str, Any] = {"__name__": "written"}
    exec(compile(source, "<written>", "exec"), names)
    return next(v for v in reversed(list(names.values())) if isinstance(v, keras.Model))


def _fill(model: Any) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    values = [
        np.abs(rng.normal(0, 0.3, v.shape)).astype(v.dtype) for v in model.variables if "float" in v.dtype
    ]
    floats = [v for v in model.variables if "float" in v.dtype]
    for variable, value in zip(floats, values, strict=True):
        variable.assign(value)
    return values


def _data(model: Any) -> Any:
    rng = np.random.default_rng(1)
    shapes = [(2, *[d or 5 for d in x.shape[1:]]) for x in model.inputs]
    made = [
        rng.integers(0, 9, s) if "int" in x.dtype else rng.normal(size=s)
        for s, x in zip(shapes, model.inputs, strict=True)
    ]
    made = [m.astype(x.dtype) for m, x in zip(made, model.inputs, strict=True)]
    return made if len(made) > 1 else made[0]


def _agree(model: Any) -> None:
    """Hold a model against what its Python makes under Keras and what its text makes here."""
    _fill(model)
    other = _under_keras(model.to_python())
    assert [tuple(v.shape) for v in other.weights] == [tuple(v.shape) for v in model.weights]
    other.set_weights([v.numpy() for v in model.weights])
    again = km.define(_rewritten(model))
    again.set_weights([v.numpy() for v in model.weights])
    data = _data(model)
    for mine, theirs, read in zip(*(km.tree.flatten(m(data)) for m in (model, other, again)), strict=True):
        np.testing.assert_allclose(np.asarray(mine), np.asarray(theirs), rtol=1e-3, atol=2e-4)
        np.testing.assert_allclose(np.asarray(mine), np.asarray(read), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_an_architecture_computes_the_same_under_keras(name):
    _agree(km.load(FOLDER / f"{name}.km"))


# To shrink a failure takes minutes; the numbers that failed say enough.
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(NUMBERS)
def test_a_drawn_model_reads_back(numbers):
    model = model_of(numbers)
    again = km.define(model.to_text())
    assert structure(again) == structure(model)
    assert (again.optimizer is None) == (model.optimizer is None)
    assert structure(km.define(again.to_text())) == structure(model)


@pytest.mark.parametrize("seed", range(4))
def test_a_drawn_model_computes_the_same_under_keras(seed):
    numbers = random.Random(seed)
    _agree(model_of([numbers.randrange(10_000) for _ in range(70)]))


DEFINED = """%%layer Linear(units=32)
input (..., n)
weight kernel (n, units) glorot_uniform
weight bias (units,) zeros
state count () zeros
count := count + 1
x @ kernel + bias * kernel.shape[0] / n

%%layer Gated(hidden, rate=0.0)
input (..., d)
gate = dense hidden silu
up = x -> Linear hidden
gate * up -> drop rate -> dense d

%%model gates
input 6x4
Gated 8 0.1 -> Linear 3
"""


def test_layers_of_ones_own_are_part_of_both():
    model = km.define(DEFINED)
    assert model.name == "gates"
    assert model.to_text() == DEFINED
    _agree(model)
    assert "class Linear(keras.layers.Layer):" in type(model.layers[-1]).to_python()


def test_a_changed_model_is_written_anew():
    model = km.define("input 4\n\ndense   2\n")
    assert model.to_text() == "input 4\n\ndense   2\n"
    model.layers[-1].trainable = False
    assert model.to_text() == "input 4\ndense 2 !trainable\n"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: km.Sequential([km.layers.Lambda(lambda x: x)]), "lambda"),
        (lambda: km.models.Functional(*_with_slice()), "ops.get_item"),
        (lambda: type("Mine", (km.Model,), {"call": lambda self, x: x})(), "a `call` of its own"),
    ],
)
def test_what_cannot_be_said_is_named(make, message):
    with pytest.raises(NotSerializable, match=message):
        make().to_text()


def _with_slice() -> Any:
    x = km.Input((4,))
    return x, x[:, :2]
