"""Random dropout, noise and penalties on activity against Keras: with the same seed the same numbers."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.layers.case import Case
from tests.layers.drawn import HOW, assert_as_keras, examples, opened, options, per_axis

RATES = st.sampled_from([0.0, 0.1, 0.5, 0.9])


@st.composite
def noises(draw: st.DrawFn) -> Case:
    layer = draw(st.sampled_from(["Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise", "Spatial"]))
    config: dict[str, Any] = {"stddev" if layer == "GaussianNoise" else "rate": draw(RATES)}
    rank = draw(st.integers(1, 3))
    shape = tuple(per_axis(draw, st.integers(1, 5), rank + 2 if layer == "Spatial" else rank + 1))
    if layer == "Spatial":
        layer = f"SpatialDropout{rank}D"
        if rank > 1:
            config |= options(draw, data_format=st.sampled_from(["channels_first", "channels_last"]))
    elif layer in ("Dropout", "AlphaDropout"):
        if layer == "Dropout":
            config["rate"] = draw(RATES | st.just(1.0))
        pattern = [draw(st.sampled_from([1, size, None])) for size in shape]
        config |= options(draw, noise_shape=st.just(pattern))
    config |= options(draw, seed=st.integers(0, 9))
    call = options(draw, training=st.booleans())
    masked = len(shape) > 2 and draw(st.booleans())
    # A noise of a given size fits no open one.
    axes = opened(draw, range(len(shape))) if "noise_shape" not in config else ()
    return Case(layer, config, shape, call=call, mask=masked, open_axes=axes)


@st.composite
def penalties(draw: st.DrawFn) -> Case:
    config = options(draw, l1=st.sampled_from([0.0, 0.1]), l2=st.sampled_from([0.0, 0.3]))
    shape = tuple(per_axis(draw, st.integers(1, 4), draw(st.integers(1, 3))))
    return Case("ActivityRegularization", config, shape, open_axes=opened(draw, range(len(shape))))


@examples(40)
@given(noises(), HOW)
def test_random_noise(case: Case, how: str | None) -> None:
    # A normal draw in 16 bits is another draw than the one in 32 that Keras rounds.
    assert_as_keras(case, None if case.layer.startswith("Gaussian") and "mixed" in str(how) else how)


@examples(8)
@given(penalties(), HOW)
def test_random_penalty(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)
