"""Random convolutions against Keras."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasmagic import layers
from kerasmagic.core.symbolic import KerasTensor
from tests.layers.case import Case
from tests.layers.drawn import HOW, assert_as_keras, examples, per_axis, placed

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
        "activation": draw(st.sampled_from([None, "relu", "tanh"])),
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


@examples(25)
@given(convolutions(), HOW)
def test_random_convolution(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)


@examples(20)
@given(transposed(), HOW)
def test_random_transposed_convolution(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)


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
