"""Random merges of several tensors against Keras."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.layers.case import Case
from tests.layers.drawn import HOW, assert_as_keras, examples, opened, per_axis

FOLDS = ["Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract"]
NUMBERS = {"dtype": "int32", "high": 9}


@st.composite
def folds(draw: st.DrawFn) -> Case:
    """Draw a fold of tensors whose sizes are equal or 1, of equal rank or not."""
    layer = draw(st.sampled_from(FOLDS))
    batch, *sizes = per_axis(draw, st.integers(1, 4), draw(st.integers(2, 4)))
    count = 2 if layer == "Subtract" else draw(st.integers(1, 3))
    # A mask ``(batch, time)`` fits ``(batch, time, features)`` alone.
    masked = draw(st.sampled_from([False, False, True, "all"])) if len(sizes) == 2 else False
    shapes: list[tuple[int, ...]] = [(batch, *sizes)]
    for _ in range(count - 1):
        if masked:
            shapes.append((batch, *sizes))
            continue
        kept = sizes[draw(st.integers(0, len(sizes) - 1)) :]
        shapes.append((batch, *(draw(st.sampled_from([size, size, 1])) for size in kept)))
    more: dict[str, Any] = draw(st.sampled_from([{}, {}, NUMBERS]))
    axes = opened(draw, [0, 1]) if len({*shapes}) == 1 else opened(draw, [0])
    return Case(layer, {}, shapes, mask=masked, open_axes=axes, **more)


@st.composite
def concatenations(draw: st.DrawFn) -> Case:
    rank = draw(st.integers(2, 4))
    sizes = per_axis(draw, st.integers(1, 4), rank)
    axis = draw(st.integers(1, rank - 1))
    count = draw(st.integers(1, 3))
    lengths = [draw(st.integers(1, 4)) for _ in range(count)]
    shapes = [tuple(n if i == axis else size for i, size in enumerate(sizes)) for n in lengths]
    masked = draw(st.sampled_from([False, "all"])) if rank == 3 else False
    more: dict[str, Any] = draw(st.sampled_from([{}, {}, NUMBERS]))
    config = {"axis": draw(st.sampled_from([axis, axis - rank]))}
    return Case("Concatenate", config, shapes, mask=masked, open_axes=opened(draw, [0, 1]), **more)


@st.composite
def dots(draw: st.DrawFn) -> Case:
    batch, common = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    shapes, axes = [], []
    for _ in range(2):
        sizes = per_axis(draw, st.integers(1, 3), draw(st.integers(0, 2)))
        axis = draw(st.integers(0, len(sizes)))
        sizes.insert(axis, common)
        shapes.append((batch, *sizes))
        axes.append(axis + 1)
    config: dict[str, Any] = {"axes": axes, "normalize": draw(st.booleans())}
    if axes[0] == axes[1] and draw(st.booleans()):
        config["axes"] = axes[0]
    elif draw(st.booleans()):
        config["axes"] = [axis - len(shape) for axis, shape in zip(axes, shapes, strict=True)]
    return Case("Dot", config, shapes, open_axes=opened(draw, [0]))


@examples(40)
@given(folds(), HOW)
def test_random_fold(case: Case, how: str | None) -> None:
    assert_as_keras(case, None if case.dtype == "int32" else how)


@examples(20)
@given(concatenations(), HOW)
def test_random_concatenation(case: Case, how: str | None) -> None:
    assert_as_keras(case, None if case.dtype == "int32" else how)


@examples(20)
@given(dots(), HOW)
def test_random_dot(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)
