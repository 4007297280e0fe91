"""Random poolings against Keras, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasmagic import layers
from kerasmagic.core.symbolic import KerasTensor
from tests.layers.case import Case
from tests.layers.drawn import EXAMPLES, assert_as_keras, per_axis, placed


@st.composite
def poolings(draw: st.DrawFn) -> Case:
    rank = draw(st.integers(1, 3))
    layer = f"{draw(st.sampled_from(['Max', 'Average']))}Pooling{rank}D"
    window = per_axis(draw, st.integers(1, 4), rank)
    padding = draw(st.sampled_from(["valid", "same"]))
    config: dict[str, Any] = {
        "pool_size": window,
        "strides": draw(st.none() | st.just(per_axis(draw, st.integers(1, 3), rank))),
        "padding": padding,
        "data_format": None,
    }
    spatial = [draw(st.integers(k if padding == "valid" else 1, 7)) for k in window]
    return placed(draw, layer, config, spatial, draw(st.integers(1, 3)))


@st.composite
def reductions(draw: st.DrawFn) -> Case:
    rank = draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["Max", "Average"]))
    spatial = per_axis(draw, st.integers(1, 7), rank)
    if draw(st.booleans()):
        config: dict[str, Any] = {"keepdims": draw(st.booleans()), "data_format": None}
        return placed(draw, f"Global{kind}Pooling{rank}D", config, spatial, 2)
    config = {"output_size": per_axis(draw, st.integers(1, 5), rank), "data_format": None}
    return placed(draw, f"Adaptive{kind}Pooling{rank}D", config, spatial, 2)


@EXAMPLES
@given(poolings())
def test_random_pooling(case: Case) -> None:
    assert_as_keras(case)


@EXAMPLES
@given(reductions())
def test_random_global_and_adaptive_pooling(case: Case) -> None:
    assert_as_keras(case)


@pytest.mark.parametrize(
    ("layer", "config", "error", "message"),
    [
        ("MaxPooling2D", {"pool_size": 0}, ValueError, "pool_size"),
        ("MaxPooling2D", {"pool_size": [2, 2, 2]}, ValueError, "pool_size.*2 integers"),
        ("AveragePooling1D", {"pool_size": 2, "strides": -1}, ValueError, "strides"),
        ("GlobalMaxPooling2D", {"data_format": "channels_middle"}, ValueError, "channels_middle"),
        ("AveragePooling2D", {}, TypeError, "pool_size"),
        ("AdaptiveMaxPooling2D", {"output_size": "small"}, TypeError, "output_size.*small"),
        ("AdaptiveMaxPooling2D", {"output_size": [1, 2, 3]}, TypeError, "output_size.*length 2"),
        ("AdaptiveAveragePooling1D", {"output_size": [1, 2]}, ValueError, "output_size.*length 1"),
    ],
)
def test_bad_options_are_refused_as_in_keras(
    keras: Any, layer: str, config: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        getattr(layers, layer)(**config)
    with pytest.raises(error):
        getattr(keras.layers, layer)(**config)


def test_an_unknown_padding_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match=r"padding.*'vlaid'.*Did you mean 'valid'"):
        layers.MaxPooling2D(padding="vlaid")


@pytest.mark.parametrize(
    ("layer", "config", "shape", "message"),
    [
        ("MaxPooling2D", {}, (2, 8, 3), "probe.*ndim=4, found ndim=3"),
        ("MaxPooling2D", {"pool_size": 3}, (2, 8, 2, 3), r"probe.*\(3, 3\).*\(8, 2\)"),
        ("AveragePooling1D", {"pool_size": 3}, (2, 2, 3), r"probe.*\(3,\).*\(2,\)"),
        ("GlobalAveragePooling1D", {}, (2, 8), "probe.*ndim=3, found ndim=2"),
    ],
)
def test_bad_inputs_are_refused_as_in_keras(
    keras: Any, layer: str, config: Any, shape: Any, message: str
) -> None:
    for inputs in (np.zeros(shape, "float32"), KerasTensor(shape)):
        with pytest.raises(ValueError, match=message):
            getattr(layers, layer)(**config, name="probe")(inputs)
    # On arrays Keras goes on with a window that does not fit, and returns nothing.
    with pytest.raises(ValueError):
        getattr(keras.layers, layer)(**config)(keras.KerasTensor(shape))


def test_adaptive_pooling_refuses_another_rank() -> None:
    with pytest.raises(ValueError, match=r"probe.*ndim=4, found ndim=3"):
        layers.AdaptiveMaxPooling2D(2, name="probe")(np.zeros((2, 8, 3), "float32"))


def test_a_mask_ends_at_the_mean() -> None:
    x = KerasTensor((None, 5, 3))
    y = layers.GlobalAveragePooling1D()(layers.Masking()(x))
    assert getattr(y, "_keras_mask", None) is None


def test_aliases_are_the_same_classes(keras: Any) -> None:
    for name in ("MaxPool1D", "AvgPool2D", "GlobalMaxPool3D", "GlobalAvgPool1D"):
        assert getattr(layers, name).__name__ == getattr(keras.layers, name).__name__
