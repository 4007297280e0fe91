"""Random convolutions against Keras, and what they refuse."""

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

KINDS = [
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
]
TRANSPOSED = ["Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"]
# The comparison sets its own weights; Keras would compile a program for every random initial value.
ONES = "ones"


def _steps(draw: st.DrawFn, rank: int) -> tuple[list[int], list[int]]:
    """Draw strides and dilation, of which at most one is above 1."""
    strides, dilation = (per_axis(draw, st.integers(1, 3), rank) for _ in range(2))
    return (strides, [1] * rank) if draw(st.booleans()) else ([1] * rank, dilation)


@st.composite
def convolutions(draw: st.DrawFn) -> Case:
    layer = draw(st.sampled_from(KINDS))
    rank = int(layer[layer.index("D") - 1] if layer.startswith("Conv") else layer[-2])
    strides, dilation = _steps(draw, rank)
    window = per_axis(draw, st.integers(1, 3), rank)
    padding = draw(st.sampled_from(["valid", "same", *(["causal"] if layer == "Conv1D" else [])]))
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    spatial = [draw(st.integers(r if padding == "valid" else 1, 7)) for r in reach]
    config: dict[str, Any] = {
        "kernel_size": window,
        "strides": strides,
        "padding": padding,
        "dilation_rate": dilation,
        "use_bias": draw(st.booleans()),
        "data_format": None,
    }
    channels = draw(st.integers(1, 3))
    if layer.startswith("Conv"):
        config["groups"] = draw(st.integers(1, 2))
        channels *= config["groups"]
        config["filters"] = config["groups"] * draw(st.integers(1, 2))
        config["kernel_initializer"] = ONES
    else:
        config["depth_multiplier"] = draw(st.integers(1, 2))
        config["depthwise_initializer"] = ONES
    if layer.startswith("Separable"):
        config["filters"] = draw(st.integers(1, 3))
        config["pointwise_initializer"] = ONES
    return placed(draw, layer, config, spatial, channels)


@st.composite
def transposed(draw: st.DrawFn) -> Case:
    layer = draw(st.sampled_from(TRANSPOSED))
    rank = int(layer[4])
    strides, dilation = _steps(draw, rank)
    output_padding = [draw(st.integers(0, s - 1)) for s in strides]
    config: dict[str, Any] = {
        "filters": draw(st.integers(1, 3)),
        "kernel_size": per_axis(draw, st.integers(1, 3), rank),
        "strides": strides,
        "padding": draw(st.sampled_from(["valid", "same"])),
        "output_padding": draw(st.sampled_from([None, output_padding])),
        "dilation_rate": dilation,
        "data_format": None,
        "kernel_initializer": ONES,
    }
    return placed(draw, layer, config, per_axis(draw, st.integers(1, 4), rank), draw(st.integers(1, 3)))


@EXAMPLES
@given(convolutions())
def test_random_convolution(case: Case) -> None:
    assert_as_keras(case)


@EXAMPLES
@given(transposed())
def test_random_transposed_convolution(case: Case) -> None:
    assert_as_keras(case)


CONV = {"filters": 4, "kernel_size": 3}

BAD_OPTIONS: list[Any] = [
    ("Conv2D", {**CONV, "filters": 0}, "filters"),
    ("Conv2D", {**CONV, "filters": -1}, "filters"),
    ("Conv2D", {**CONV, "kernel_size": 0}, "kernel_size"),
    ("Conv2D", {**CONV, "kernel_size": [3, -1]}, "kernel_size"),
    ("Conv2D", {**CONV, "kernel_size": [3, 3, 3]}, "kernel_size.*2 integers"),
    ("Conv2D", {**CONV, "strides": [2, 0]}, "strides"),
    ("Conv2D", {**CONV, "groups": 0}, "groups"),
    ("Conv2D", {**CONV, "groups": 3}, "groups=3, filters=4"),
    ("Conv2D", {**CONV, "strides": 2, "dilation_rate": 2}, r"strides=\(2, 2\).*dilation_rate=\(2, 2\)"),
    ("Conv2D", {**CONV, "padding": "causal"}, "causal"),
    ("Conv2D", {**CONV, "data_format": "channels_middle"}, "channels_middle"),
    ("Conv2D", {**CONV, "fliters": 3}, "fliters"),
    ("Conv2DTranspose", {**CONV, "strides": 2, "output_padding": 2}, r"output_padding=2.*strides=\(2, 2\)"),
    ("Conv2DTranspose", {**CONV, "strides": 2, "dilation_rate": 2}, "dilation_rate"),
    ("Conv1DTranspose", {**CONV, "padding": "causal"}, "causal"),
    ("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 0}, "depth_multiplier"),
    ("SeparableConv1D", {**CONV, "padding": "causal"}, "causal"),
]

BAD_INPUTS: list[Any] = [
    ("Conv2D", CONV, (2, 8, 3), "probe.*ndim=4, found ndim=3"),
    ("Conv2D", CONV, (2, 2, 8, 8, 3), "probe.*ndim=4, found ndim=5"),
    ("Conv2D", {**CONV, "groups": 2}, (2, 8, 8, 3), "probe.*groups=2.*3 channels"),
    ("Conv2D", CONV, (2, 8, 2, 3), r"probe.*\(3, 3\).*\(8, 2\)"),
    ("Conv1D", {**CONV, "dilation_rate": 4}, (2, 8, 3), r"probe.*\(9,\).*\(8,\)"),
    ("DepthwiseConv2D", {"kernel_size": 3}, (2, 8, 2, 3), r"probe.*\(3, 3\).*\(8, 2\)"),
    ("SeparableConv2D", CONV, (2, 8, 2, 3), r"probe.*\(3, 3\).*\(8, 2\)"),
    ("Conv2DTranspose", CONV, (2, 8, 3), "probe.*ndim=4, found ndim=3"),
]


@pytest.mark.parametrize(("layer", "config", "message"), BAD_OPTIONS)
def test_bad_options_are_refused_as_in_keras(keras: Any, layer: str, config: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(layers, layer)(**config)
    with pytest.raises(ValueError):
        getattr(keras.layers, layer)(**config)


@pytest.mark.parametrize(("layer", "config", "shape", "message"), BAD_INPUTS)
def test_bad_inputs_are_refused_as_in_keras(
    keras: Any, layer: str, config: Any, shape: Any, message: str
) -> None:
    for inputs in (np.zeros(shape, "float32"), KerasTensor(shape)):
        with pytest.raises(ValueError, match=message):
            getattr(layers, layer)(**config, name="probe")(inputs)
    with pytest.raises(ValueError):
        getattr(keras.layers, layer)(**config)(np.zeros(shape, "float32"))


@pytest.mark.parametrize("layer", ["Conv2D", "DepthwiseConv2D", "SeparableConv2D"])
def test_a_built_layer_refuses_other_channels_and_smaller_images(layer: str) -> None:
    config = {"kernel_size": 3} if layer == "DepthwiseConv2D" else CONV
    built = getattr(layers, layer)(**config, name="probe")
    built(np.zeros((1, 8, 8, 3), "float32"))
    with pytest.raises(ValueError, match=r"probe.*axis -1.*value 3.*5"):
        built(np.zeros((1, 8, 8, 5), "float32"))
    with pytest.raises(ValueError, match=r"probe.*\(3, 3\).*\(8, 2\)"):
        built(np.zeros((1, 8, 2, 3), "float32"))


def test_open_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"probe.*channel axis|channel axis.*probe"):
        layers.Conv2D(4, 3, name="probe")(KerasTensor((None, 8, 8, None)))


def test_aliases_are_the_same_classes(keras: Any) -> None:
    for name in ("Convolution1D", "Convolution2DTranspose", "SeparableConvolution2D"):
        assert getattr(layers, name).__name__ == getattr(keras.layers, name).__name__


def test_the_layout_comes_before_the_output_padding_in_three_dimensions(keras: Any) -> None:
    for library in (layers, keras.layers):
        layer = library.Conv3DTranspose(2, 2, 2, "valid", "channels_first", 1, 1, "relu")
        assert (layer.data_format, tuple(layer.output_padding)) == ("channels_first", (1, 1, 1))
        assert layer.activation.__name__ == "relu"
