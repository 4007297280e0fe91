"""Random cropping, padding and up-sampling against Keras."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kerasmagic import layers
from kerasmagic.core.symbolic import KerasTensor
from tests.layers.case import Case
from tests.layers.drawn import HOW, assert_as_keras, examples, per_axis, placed

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


@examples(40)
@given(layers_drawn(), HOW)
def test_random_layer(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)


def test_down_and_up_again_meets_the_skip_connection_of_an_open_image() -> None:
    """An open size that is halved and doubled may be the size it was, as every U-Net expects."""
    image = KerasTensor((None, None, None, 3))
    deep = layers.UpSampling2D()(layers.MaxPooling2D()(image))
    assert layers.Concatenate()([deep, image]).shape == (None, None, None, 6)
    deeper = layers.Conv2DTranspose(3, 2, strides=2)(layers.Conv2D(3, 2, strides=2)(image))
    assert layers.Add()([deeper, image]).shape == (None, None, None, 3)
