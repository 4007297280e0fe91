"""Any model as text and as Python, and back."""

from __future__ import annotations

import ast
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import kerasmagic as km
from kerasmagic.foundation.errors import NotSerializable
from tests.assembly.agreement import agree, rewritten
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
    again = km.define(rewritten(model))
    assert structure(again) == structure(model)
    assert not any(v._value is not None for v in model.weights), "writing a model down draws no weights"


@pytest.mark.parametrize("name", SMALL)
def test_an_architecture_computes_the_same_under_keras(name):
    agree(km.load(FOLDER / f"{name}.km"))


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
    agree(model_of([numbers.randrange(10_000) for _ in range(70)]))


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
    agree(model)
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
        (lambda: km.models.Functional(*_with_loop()), "lambda has no name"),
        (lambda: type("Mine", (km.Model,), {"call": lambda self, x: x})(), "a `call` of its own"),
    ],
)
def test_what_cannot_be_said_is_named(make, message):
    with pytest.raises(NotSerializable, match=message):
        make().to_text()


def _with_loop() -> Any:
    x = km.Input((4,))
    return x, km.ops.fori_loop(0, 3, lambda i, y: y + i, x)
