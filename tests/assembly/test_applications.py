"""Models that others drew: the applications of Keras, read from their JSON, as text and as Python."""

from __future__ import annotations

from typing import Any

import pytest

import kerasmagic as km
from kerasmagic.assembly.python_source import chosen_name
from tests.assembly.agreement import agree, no_weights_drawn, under_keras
from tests.assembly.structures import structure


class LayerScale(km.layers.Layer):
    """What ConvNeXt multiplies its branches with: a layer that Keras keeps to itself."""

    def __init__(self, init_values, projection_dim, **kwargs):
        super().__init__(**kwargs)
        self.init_values, self.projection_dim = init_values, projection_dim

    def build(self, _):
        initial = km.initializers.Constant(self.init_values)
        self.gamma = self.add_weight(shape=(self.projection_dim,), initializer=initial, name="gamma")

    def call(self, x):
        return x * self.gamma


# One of each family whose drawing has something of its own, as small as it can be.
SMALL: dict[str, Any] = {"weights": None, "input_shape": (32, 32, 3), "include_top": False}


def test_what_an_application_does_to_its_images_is_written_down(keras):
    layers = keras.layers
    given = layers.Normalization(mean=[0.5, 0.4, 0.3], variance=[0.2, 0.2, 0.3])
    steps = [layers.Rescaling(1 / 255), layers.Normalization(), layers.Rescaling([2.0, 3.0, 4.0]), given]
    theirs = keras.Sequential([keras.Input((8, 8, 3)), *steps])
    model = km.models.model_from_json(theirs.to_json())
    assert model.to_text().splitlines() == [
        "Sequential",
        "input 8x8x3",
        "rescaling 0.00392156862745098",
        "normalization",
        "rescaling [2.0, 3.0, 4.0]",
        "normalization mean=[0.5, 0.4, 0.3] variance=[0.2, 0.2, 0.3]",
    ]
    agree(model)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ConvNeXtTiny", "DenseNet121", "EfficientNetB0"])
def test_an_application_is_written_as_text(keras, name):
    keras.utils.clear_session()
    own = {"LayerScale": LayerScale}
    with no_weights_drawn():
        theirs = getattr(keras.applications, name)(**SMALL)
    model = km.models.model_from_json(theirs.to_json(), custom_objects=own)
    again = km.define(model.to_text(), own)
    assert structure(again) == structure(model)
    assert again.count_params() == theirs.count_params()


@pytest.mark.slow
def test_an_application_is_written_as_python(keras):
    keras.utils.clear_session()
    with no_weights_drawn():
        theirs = keras.applications.MobileNetV3Small(weights=None, input_shape=(96, 96, 3))
    model = km.models.model_from_json(theirs.to_json())
    again = km.define(model.to_text())
    assert structure(again) == structure(model)
    # A tensor with a name hands it to a layer whose own name was made up.
    for ours, layer in zip(again.layers, model.layers, strict=True):
        assert chosen_name(layer) in (None, ours.name)
    keras.utils.clear_session()
    written = under_keras(model.to_python())
    assert [(w.path, tuple(w.shape)) for w in written.weights] == [
        (w.path, tuple(w.shape)) for w in theirs.weights
    ]
