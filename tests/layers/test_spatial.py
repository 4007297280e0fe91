"""Random cropping, padding and up-sampling against Keras, and what they refuse."""

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

EDGES = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(list)


def _edges(draw: st.DrawFn, rank: int) -> Any:
    """Draw one of the ways to write how much to change at the edges."""
    if rank == 1:
        return draw(st.integers(0, 3) | EDGES)
    ways = st.integers(0, 3) | st.just(per_axis(draw, st.integers(0, 3), rank))
    return draw(ways | st.just([draw(EDGES) for _ in range(rank)]))


@st.composite
def layers_drawn(draw: st.DrawFn) -> Case:
    rank = draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["Cropping", "ZeroPadding", "UpSampling"]))
    config: dict[str, Any] = {"data_format": None}
    if rank == 1 and kind != "ZeroPadding":
        config = {}
    spatial = per_axis(draw, st.integers(1, 5), rank)
    if kind == "UpSampling":
        config["size"] = draw(st.integers(1, 3)) if rank == 1 else per_axis(draw, st.integers(1, 3), rank)
        if rank == 2:
            ways = ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]
            config["interpolation"] = draw(st.sampled_from(ways))
    elif kind == "Cropping":
        config["cropping"] = _edges(draw, rank)
        spatial = [size + 6 for size in spatial]
    else:
        config["padding"] = _edges(draw, rank)
    return placed(draw, f"{kind}{rank}D", config, spatial, 2)


@EXAMPLES
@given(layers_drawn())
def test_random_layer(case: Case) -> None:
    assert_as_keras(case)


@pytest.mark.parametrize(
    ("layer", "config", "error", "message"),
    [
        ("Cropping1D", {"cropping": -1}, ValueError, "cropping"),
        ("Cropping1D", {"cropping": [1, 2, 3]}, ValueError, "cropping.*2 integers"),
        ("Cropping2D", {"cropping": -1}, ValueError, "cropping"),
        ("Cropping2D", {"cropping": [1, 2, 3]}, ValueError, "cropping.*2 pairs"),
        ("Cropping3D", {"cropping": [[1, 2], [3]]}, ValueError, "cropping.*3 pairs"),
        ("Cropping2D", {"cropping": 1.5}, ValueError, "cropping.*1.5"),
        ("ZeroPadding1D", {"padding": -1}, ValueError, "padding"),
        ("ZeroPadding2D", {"padding": [1, 2, 3]}, ValueError, "padding.*2 pairs"),
        ("ZeroPadding3D", {"padding": [[1, 1], [1, 1], [1, -1]]}, ValueError, "entry 3 of padding"),
        ("UpSampling1D", {"size": 0}, ValueError, "size"),
        ("UpSampling1D", {"size": 2.5}, TypeError, "size"),
        ("UpSampling2D", {"size": [2, 0]}, ValueError, "size"),
        ("UpSampling3D", {"size": [2, 2]}, ValueError, "size.*3 integers"),
    ],
)
def test_bad_options_are_refused_as_in_keras(
    keras: Any, layer: str, config: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        getattr(layers, layer)(**config)
    with pytest.raises(error):
        getattr(keras.layers, layer)(**config)


@pytest.mark.parametrize(
    ("layer", "config", "shape", "message"),
    [
        ("Cropping1D", {"cropping": 4}, (2, 8, 3), r"probe.*\(2, 8, 3\).*\(4, 4\)"),
        ("Cropping2D", {"cropping": [0, 4]}, (2, 9, 8, 3), r"probe.*\(2, 9, 8, 3\)"),
        ("Cropping3D", {"cropping": 2}, (2, 9, 8, 4, 3), r"probe.*\(2, 9, 8, 4, 3\)"),
        ("ZeroPadding2D", {}, (2, 8, 3), "probe.*ndim=4, found ndim=3"),
        ("UpSampling3D", {}, (2, 8, 8, 3), "probe.*ndim=5, found ndim=4"),
    ],
)
def test_bad_inputs_are_refused_as_in_keras(
    keras: Any, layer: str, config: Any, shape: Any, message: str
) -> None:
    for inputs in (np.zeros(shape, "float32"), KerasTensor(shape)):
        with pytest.raises(ValueError, match=message):
            getattr(layers, layer)(**config, name="probe")(inputs)
    with pytest.raises(ValueError):
        getattr(keras.layers, layer)(**config)(np.zeros(shape, "float32"))


def test_an_unknown_interpolation_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match=r"interpolation.*'bilinaer'.*Did you mean 'bilinear'"):
        layers.UpSampling2D(interpolation="bilinaer")


def test_down_and_up_again_meets_the_skip_connection_of_an_open_image() -> None:
    """An open size that is halved and doubled may be the size it was, as every U-Net expects."""
    image = KerasTensor((None, None, None, 3))
    deep = layers.UpSampling2D()(layers.MaxPooling2D()(image))
    assert layers.Concatenate()([deep, image]).shape == (None, None, None, 6)
    deeper = layers.Conv2DTranspose(3, 2, strides=2)(layers.Conv2D(3, 2, strides=2)(image))
    assert layers.Add()([deeper, image]).shape == (None, None, None, 3)
