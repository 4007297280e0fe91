"""Random poolings against Keras."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kerasmagic import layers
from kerasmagic.core.symbolic import KerasTensor
from tests.layers.case import Case
from tests.layers.drawn import HOW, assert_as_keras, examples, per_axis, placed


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


@examples(40)
@given(poolings(), HOW)
def test_random_pooling(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)


@examples(20)
@given(reductions(), HOW)
def test_random_global_and_adaptive_pooling(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)


def test_a_mask_ends_at_the_mean() -> None:
    x = KerasTensor((None, 5, 3))
    y = layers.GlobalAveragePooling1D()(layers.Masking()(x))
    assert getattr(y, "_keras_mask", None) is None


def test_aliases_are_the_same_classes(keras: Any) -> None:
    for name in ("MaxPool1D", "AvgPool2D", "GlobalMaxPool3D", "GlobalAvgPool1D"):
        assert getattr(layers, name).__name__ == getattr(keras.layers, name).__name__
