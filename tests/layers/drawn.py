"""Rows that hypothesis draws instead of a person: the pieces, and the comparison with Keras."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from hypothesis import Phase, settings
from hypothesis import strategies as st

from tests.layers.case import Case
from tests.layers.evaluation import Row, oracle, ours

_OF_A_DEFAULT_RUN = 200


def examples(count: int) -> settings:
    """Return settings for ``count`` examples in a default run, and as many times more in another profile.

    A new configuration compiles new programs, so there are fewer of them than of other examples, and a failing
    one stays as it is drawn: sizes are small anyhow.
    """
    share = settings.default.max_examples / _OF_A_DEFAULT_RUN
    phases = [Phase.explicit, Phase.reuse, Phase.generate]
    return settings(max_examples=max(1, round(count * share)), phases=phases)


GRADIENT = "gradient"
HOW = st.sampled_from([None, None, None, GRADIENT, "mixed_bfloat16", "mixed_float16"])
"""What is compared: outputs in float32, gradients too, or outputs under a dtype policy."""

_compared = itertools.count(1)

# How far rounding to this type may drive two orders of the same steps apart.
_TOLERANCES = {None: 1e-5, GRADIENT: 1e-5, "mixed_bfloat16": 0.04, "mixed_float16": 0.006}


def assert_as_keras(case: Case, how: str | None = None) -> None:
    """Compare shapes with the case's open axes, outputs, masks, state and losses; or more, see ``HOW``."""
    policy = None if how in (None, GRADIENT) else how
    mine, theirs = Row(ours(), case, policy), Row(oracle(), case, policy)
    if "shape" not in case.skip:
        assert [tuple(y.shape) for y in mine.symbolic[1]] == [tuple(y.shape) for y in theirs.symbolic[1]]
        if case.dtype == "float32":  # Keras' symbolic outputs of integers are floats, its values are not.
            assert [y.dtype for y in mine.symbolic[1]] == [y.dtype for y in theirs.symbolic[1]]
    a, b = (row.result if how == GRADIENT else row.forward() for row in (mine, theirs))
    if next(_compared) % 10 == 0:
        # Every example compiles programs that no other one needs.
        jax.clear_caches()
    tolerance = _TOLERANCES[how]
    _same(a.outputs, b.outputs, tolerance)
    if "mask" not in case.skip:
        assert [m is None for m in a.masks] == [m is None for m in b.masks]
        for ours_, theirs_ in zip(a.masks, b.masks, strict=True):
            np.testing.assert_array_equal(ours_, theirs_)
    if "state" not in case.skip:
        _same(a.state, b.state, tolerance)
    _same([np.asarray(a.losses)], [np.asarray(b.losses)], tolerance)
    _same(a.weight_gradients + a.input_gradients, b.weight_gradients + b.input_gradients, 1e-4)


def _same(mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray], tolerance: float) -> None:
    assert [(x.shape, x.dtype) for x in mine] == [(x.shape, x.dtype) for x in theirs]
    for x, y in zip(mine, theirs, strict=True):
        x, y = x.astype("float64"), y.astype("float64")
        scale = max(1.0, float(np.abs(y).max(initial=0, where=np.isfinite(y))))
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance * scale)


def per_axis(draw: st.DrawFn, values: st.SearchStrategy[int], rank: int) -> list[int]:
    """Draw one value for each axis."""
    return [draw(values) for _ in range(rank)]


def opened(draw: st.DrawFn, axes: Sequence[int]) -> tuple[int, ...]:
    """Draw which of ``axes`` the symbolic call leaves open."""
    return tuple(sorted(draw(st.sets(st.sampled_from(list(axes))))))


def options(draw: st.DrawFn, **strategies: st.SearchStrategy[Any]) -> dict[str, Any]:
    """Draw a config that has some of these arguments and leaves the others at their defaults."""
    return draw(st.fixed_dictionaries({}, optional=strategies))


def placed(draw: st.DrawFn, layer: str, config: dict[str, Any], spatial: list[int], channels: int) -> Case:
    """Return a case of these sizes, with a layout and open axes drawn."""
    shape = (2, *spatial, channels)
    rank = len(spatial)
    axes = range(1, rank + 1)
    if "data_format" in config:
        config["data_format"] = draw(st.sampled_from(["channels_last", "channels_first"]))
        if config["data_format"] == "channels_first":
            shape, axes = (2, channels, *spatial), range(2, rank + 2)
    return Case(layer, config, shape, open_axes=opened(draw, [0, *axes]))
