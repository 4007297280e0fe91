"""Rows that hypothesis draws instead of a person: the pieces, and the comparison with Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from tests.layers.case import Case
from tests.layers.evaluation import Row, oracle, ours

# A new configuration compiles new programs, so a run draws fewer of them than of other examples.
EXAMPLES = settings(max_examples=settings.default.max_examples * 3 // 10)


def assert_as_keras(case: Case) -> None:
    """Compare the symbolic shapes with the case's open axes, and the values."""
    mine, theirs = Row(ours(), case), Row(oracle(), case)
    assert [tuple(y.shape) for y in mine.symbolic[1]] == [tuple(y.shape) for y in theirs.symbolic[1]]
    for a, b in zip(mine.outputs(), theirs.outputs(), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(b).max(initial=0))))


def per_axis(draw: st.DrawFn, values: st.SearchStrategy[int], rank: int) -> list[int]:
    """Draw one value for each axis."""
    return [draw(values) for _ in range(rank)]


def placed(draw: st.DrawFn, layer: str, config: dict[str, Any], spatial: list[int], channels: int) -> Case:
    """Return a case of these sizes, with a layout and open axes drawn."""
    shape = (2, *spatial, channels)
    rank = len(spatial)
    axes = range(1, rank + 1)
    if "data_format" in config:
        config["data_format"] = draw(st.sampled_from(["channels_last", "channels_first"]))
        if config["data_format"] == "channels_first":
            shape, axes = (2, channels, *spatial), range(2, rank + 2)
    opened = draw(st.sets(st.sampled_from([0, *axes])))
    return Case(layer, config, shape, open_axes=tuple(sorted(opened)))
