"""Boxes for tests, and how results with boxes are compared."""

from __future__ import annotations

from typing import Any

import numpy as np

RNG = np.random.default_rng(0)
SHAPES = ((4,), (3, 4), (2, 3, 4), (2, 0, 4))
HEIGHT, WIDTH = 30, 50
TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2}


def corners(*shape: int, dtype: Any = "float32", beyond: float = 20.0) -> np.ndarray:
    """Return boxes ``(*shape, 4)`` of which many reach beyond the image, and some lie outside of it."""
    begin = RNG.uniform(-beyond, [WIDTH, HEIGHT], (*shape, 2))
    return np.concatenate([begin, begin + RNG.uniform(0.5, 40, (*shape, 2))], axis=-1).astype(dtype)


def assert_same(mine: Any, other: Any, tolerance: float | None = None) -> None:
    """Compare types, shapes and values; dicts with the same keys."""
    if isinstance(other, dict):
        assert set(mine) == set(other)
        for key in other:
            assert_same(mine[key], other[key], tolerance)
        return
    assert (mine.dtype, mine.shape) == (other.dtype, other.shape)
    rtol = TOLERANCE.get(mine.dtype.name, 2e-5) if tolerance is None else tolerance
    wide = (np.asarray(each).astype("float64") for each in (mine, other))
    np.testing.assert_allclose(*wide, rtol=rtol, atol=rtol)
