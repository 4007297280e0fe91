"""A model of every layer goes to Keras and comes back, weights and all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kerasmagic as km
from kerasmagic.foundation.registry import LAYERS
from tests.layers.case import Case
from tests.layers.cases import CASES, NO_GRAPH_IN_KERAS
from tests.layers.evaluation import Row, flat, oracle, ours, quiet

FIRST: dict[str, Case] = {}
# The plainest row of each layer; what the call says beside the inputs is no part of a file.
for _case in sorted(CASES, key=lambda case: (bool(case.call), bool(case.mask))):
    FIRST.setdefault(_case.layer, _case)
# Layers that stand in no graph of their own: bases, what other rows hold, and what no plain config describes.
NO_MODEL = {"InputLayer", "Layer", "Wrapper", "Lambda", "JaxLayer", "FlaxLayer"}
NO_MODEL |= {"Pipeline", "RNN", "StackedRNNCells", "SimpleRNNCell", "GRUCell", "LSTMCell"}
KERAS = {"to": (ours, oracle), "from": (oracle, ours)}


def library(which: Any) -> tuple[Any, Any]:
    if which is ours:
        return km, which()
    import keras

    return keras, which()


def model_of(which: Any, case: Case) -> tuple[Any, Any]:
    keras, lib = library(which)
    row = Row(lib, case)
    inputs = [keras.Input(batch_shape=row._opened(s), dtype=case.dtype) for s in row.sample.shapes]
    args, kwargs = row.sample.structure(inputs)
    layer = row.make()
    with quiet():
        outputs = layer(*args, **kwargs)
    model = keras.Model(inputs, outputs)
    for index, variable in enumerate(layer.variables):
        variable.assign(row.sample.weight(variable, index))
    # Layers with statistics take them into account when asked to, in Keras.
    getattr(layer, "finalize_state", lambda: None)()
    return model, row


@pytest.mark.parametrize("direction", KERAS)
@pytest.mark.parametrize("name", sorted(FIRST.keys() - NO_GRAPH_IN_KERAS))
def test_a_layer_goes_to_keras_and_back(keras, tmp_path, name, direction):
    first, second = KERAS[direction]
    case = FIRST[name]
    path = tmp_path / "m.keras"
    model, row = model_of(first, case)
    with quiet():
        model.save(path)
        again = library(second)[0].models.load_model(path)
        # What is drawn while training depends on seeds, which are no part of a file.
        expected, found = (flat(m(row.sample.inputs, training=False)) for m in (model, again))
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_every_layer_has_a_row():
    layers = {name for name, cls in LAYERS.public_names().items() if isinstance(cls, type)}
    assert layers - set(FIRST) <= NO_MODEL


@pytest.mark.parametrize("name", ["Dropout", "GaussianNoise", "RandomBrightness"])
def test_a_layer_from_a_file_of_keras_trains_only_in_training(keras, tmp_path, name):
    # Keras writes the defaults of a call into its files.
    x = keras.Input((4, 4, 3))
    made = keras.Model(x, getattr(keras.layers, name)(0.5)(x))
    made.save(tmp_path / "m.keras")
    model = km.models.load_model(tmp_path / "m.keras")
    data = np.full((2, 4, 4, 3), 8.0, "float32")
    np.testing.assert_array_equal(model(data, training=False), data)
    np.testing.assert_array_equal(model.predict(data, verbose=0), data)
    assert not np.array_equal(model(data, training=True), data)


def test_what_a_call_was_recorded_with_gives_way_to_what_the_model_is_told(keras):
    data = np.full((2, 8), 8.0, "float32")
    for library in (km, keras):
        x = library.Input((8,))
        model = library.Model(x, library.layers.Dropout(0.5, seed=1)(x, training=True))
        np.testing.assert_array_equal(model(data, training=False), data)
        assert not np.array_equal(model(data), data)
        inner = library.Model(x, library.layers.Dropout(0.5, seed=1)(x, training=False))
        outer = library.Sequential([library.Input((8,)), inner])
        assert not np.array_equal(outer(data, training=True), data)
        np.testing.assert_array_equal(outer(data), data)
