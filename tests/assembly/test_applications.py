"""Models that others drew: the applications of Keras, read from their JSON, as text and as Python."""

from __future__ import annotations

from typing import Any

import pytest

import kerasmagic as km
from kerasmagic.assembly.python_source import chosen_name
from tests.assembly.agreement import under_keras
from tests.assembly.structures import structure

# What their authors preprocess with is left out: it is no part of the architecture.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "MobileNetV3Small": {"include_preprocessing": False, "input_shape": (96, 96, 3)},
    "DenseNet121": {"input_shape": (32, 32, 3), "include_top": False},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_application_is_written_down(name):
    import keras

    keras.utils.clear_session()
    theirs = getattr(keras.applications, name)(weights=None, **ARGUMENTS[name])
    model = km.models.model_from_json(theirs.to_json())
    again = km.define(model.to_text())
    assert structure(again) == structure(model)
    assert again.count_params() == theirs.count_params()
    # A tensor with a name hands it to a layer whose own name was made up.
    for ours, layer in zip(again.layers, model.layers, strict=True):
        assert chosen_name(layer) in (None, ours.name)
    keras.utils.clear_session()
    written = under_keras(model.to_python())
    assert [(w.path, tuple(w.shape)) for w in written.weights] == [
        (w.path, tuple(w.shape)) for w in theirs.weights
    ]
