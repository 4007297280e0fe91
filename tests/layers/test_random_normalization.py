"""Random normalizations against Keras."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.layers.case import Case, nested
from tests.layers.drawn import HOW, assert_as_keras, examples, opened, options, per_axis

EPSILON = st.sampled_from([1e-3, 1e-5, 0.1])
AFFINE: dict[str, Any] = {
    "epsilon": EPSILON,
    "center": st.booleans(),
    "scale": st.booleans(),
    "beta_regularizer": st.just("l2"),
    "gamma_regularizer": st.just("l1"),
}


def _free(draw: st.DrawFn, rank: int, *fixed: int) -> tuple[int, ...]:
    """Draw open axes among those that size no weight."""
    taken = {axis % rank for axis in fixed}
    return opened(draw, [axis for axis in range(rank) if axis not in taken] or [0])


@st.composite
def batches(draw: st.DrawFn) -> Case:
    shape = (draw(st.integers(2, 4)), *per_axis(draw, st.integers(1, 4), draw(st.integers(1, 3))))
    rank = len(shape)
    config = options(draw, momentum=st.sampled_from([0.9, 0.5, 0.0]), **AFFINE, trainable=st.booleans())
    if draw(st.integers(0, 2)) == 0:
        clipping = st.sampled_from([None, {"rmax": 1.1, "rmin": 0.9, "dmax": 0.2}])
        config |= {"renorm": True, **options(draw, renorm_clipping=clipping, renorm_momentum=st.just(0.7))}
    # With a mask and a single channel Keras loses the axis of the statistics.
    masked = rank == 3 and shape[-1] > 1 and draw(st.booleans())
    axis = -1 if masked else draw(st.integers(1, rank - 1) | st.just(-1))
    config["axis"] = axis
    call = options(draw, training=st.booleans())
    return Case(
        "BatchNormalization", config, shape, call=call, mask=masked, open_axes=_free(draw, rank, axis)
    )


@st.composite
def examples_alone(draw: st.DrawFn) -> Case:
    """Draw a layer that normalizes each example by itself."""
    layer = draw(st.sampled_from(["Layer", "Group", "RMS", "Unit"])) + "Normalization"
    shape = (draw(st.integers(1, 3)), *per_axis(draw, st.integers(1, 4), draw(st.integers(1, 3))))
    rank = len(shape)
    if layer == "GroupNormalization":
        axis = draw(st.integers(1, rank - 1) | st.just(-1))
        groups, each = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        shape = tuple(groups * each if i == axis % rank else size for i, size in enumerate(shape))
        config = {
            "groups": draw(st.sampled_from([groups, groups, -1])),
            "axis": axis,
            **options(draw, **AFFINE),
        }
        return Case(layer, config, shape, open_axes=_free(draw, rank, axis))
    # Among the last axes only: the scale of another one broadcasts to nothing in Keras.
    last = draw(st.integers(1, rank - 1))
    # Either sign, but not both: Keras sorts them as they are.
    shift = draw(st.sampled_from([0, rank]))
    axes = [axis - shift for axis in range(rank - last, rank)]
    config = {"axis": axes[0] if last == 1 and draw(st.booleans()) else axes}
    if layer == "LayerNormalization":
        config |= options(draw, **AFFINE)
    elif layer == "RMSNormalization":
        config |= options(draw, epsilon=EPSILON)
    masked = layer != "RMSNormalization" and rank > 2 and draw(st.booleans())
    return Case(layer, config, shape, mask=masked, open_axes=_free(draw, rank, *axes))


@st.composite
def spectral(draw: st.DrawFn) -> Case:
    config: dict[str, Any] = options(draw, power_iterations=st.integers(1, 3))
    call = options(draw, training=st.booleans())
    units, size = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    if draw(st.booleans()):
        inner, shape = nested("Dense", units=units), (2, size)
    else:
        inner, shape = nested("Conv1D", filters=units, kernel_size=2), (2, 3, size)
    return Case("SpectralNormalization", {"layer": inner, **config}, shape, call=call)


@examples(30)
@given(batches(), HOW)
def test_random_batch_normalization(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)


@examples(30)
@given(examples_alone(), HOW)
def test_random_normalization_of_each_example(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)


@examples(6)
@given(spectral(), HOW)
def test_random_spectral_normalization(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)
