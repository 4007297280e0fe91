"""Pooling against XLA's own windows and against loops; above all where gradients go."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from kerasmagic.foundation.errors import ShapeMismatch
from kerasmagic.numerics.pooling import (
    adaptive_average_pool,
    adaptive_max_pool,
    average_pool,
    global_average_pool,
    max_pool,
)

EXAMPLES = settings(max_examples=settings.default.max_examples * 3 // 10)


def reference(
    x: Any, window: tuple[int, ...], strides: tuple[int, ...], padding: str, data_format: str
) -> Any:
    """Return the windowed maximum whose gradient is XLA's select-and-scatter: the first match wins."""
    sizes, steps = ((1, *v, 1) if data_format == "channels_last" else (1, 1, *v) for v in (window, strides))
    return lax.reduce_window(x, -jnp.inf, lax.max, sizes, steps, padding.upper())


def tied(shape: tuple[int, ...], values: int = 3) -> np.ndarray:
    """Return so few different values that every window has ties."""
    return np.random.default_rng(len(shape)).integers(0, values, shape).astype(np.float32)


def assert_same_gradient(x: np.ndarray, *arguments: Any) -> None:
    """Compare the value and the gradient, with a different weight on every output."""

    def run(pool: Any) -> Any:
        y, pull = jax.vjp(lambda x: pool(x, *arguments), jnp.asarray(x))
        return y, pull(jnp.arange(1.0, y.size + 1).reshape(y.shape))[0]

    for ours, theirs in zip(run(max_pool), run(reference), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("shape", "window", "strides"),
    [
        ((2, 9, 2), (2,), (2,)),
        ((2, 9, 2), (3,), (1,)),
        ((2, 9, 2), (2,), (3,)),
        ((2, 6, 5, 2), (2, 2), (2, 2)),
        ((2, 7, 8, 2), (3, 3), (2, 2)),
        ((2, 6, 6, 2), (3, 2), (1, 3)),
        ((1, 80, 3, 1), (70, 1), (4, 1)),
        ((2, 4, 5, 4, 2), (2, 2, 2), (2, 2, 2)),
        ((1, 4, 5, 4, 2), (3, 2, 2), (1, 2, 1)),
    ],
)
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_gradient_of_ties_goes_to_the_first(
    shape: tuple[int, ...], window: Any, strides: Any, padding: str, data_format: str
) -> None:
    if data_format == "channels_first":
        shape = (shape[0], shape[-1], *shape[1:-1])
    assert_same_gradient(tied(shape), window, strides, padding, data_format)


@st.composite
def pools(draw: st.DrawFn) -> Any:
    rank = draw(st.integers(1, 3))
    window = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    strides = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    padding = draw(st.sampled_from(["valid", "same"]))
    spatial = [draw(st.integers(k if padding == "valid" else 1, 6)) for k in window]
    data_format = draw(st.sampled_from(["channels_last", "channels_first"]))
    shape = (2, *spatial, 2) if data_format == "channels_last" else (2, 2, *spatial)
    return tied(shape, draw(st.integers(1, 4))), window, strides, padding, data_format


@EXAMPLES
@given(pools())
def test_gradient_of_ties_random(pool: Any) -> None:
    assert_same_gradient(*pool)


def test_a_constant_window_gives_all_to_its_first_element() -> None:
    gradient = jax.grad(lambda x: max_pool(x, 2).sum())(jnp.zeros((1, 4, 4, 1)))
    assert gradient[0, :, :, 0].tolist() == [[1, 0, 1, 0], [0] * 4, [1, 0, 1, 0], [0] * 4]


@pytest.mark.parametrize("window", [2, 3])
def test_other_derivatives(window: int) -> None:
    x, direction = (jax.random.normal(jax.random.key(i), (1, 5, 5, 1)) for i in (0, 1))
    steps = (window, window)

    def loss(pool: Any) -> Any:
        return lambda x: (pool(x, steps, steps, "same", "channels_last") ** 3).sum()

    ours, theirs = loss(max_pool), loss(reference)
    forward = jax.jvp(ours, (x,), (direction,))
    np.testing.assert_allclose(forward, jax.jvp(theirs, (x,), (direction,)), rtol=1e-6)
    second = jax.grad(lambda x: jnp.vdot(jax.grad(ours)(x), direction))(x)
    # The maxima are selected, so the second derivative is that of the cube at the winners.
    winners = jax.grad(lambda x: reference(x, steps, steps, "same", "channels_last").sum())(x)
    np.testing.assert_allclose(second, 6 * x * winners * direction, rtol=1e-5, atol=1e-6)
    mapped = jax.vmap(jax.grad(ours))(jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(mapped[1], jax.grad(theirs)(2 * x), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int32", "uint8"])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_max_keeps_the_dtype(dtype: str, padding: str) -> None:
    x = jnp.asarray([5, 3, 1, 0, 2], dtype).reshape(1, 5, 1)
    y = max_pool(x, 2, padding=padding)
    assert y.dtype == x.dtype
    assert y[0, :, 0].tolist() == ([5, 1] if padding == "valid" else [5, 1, 2])


def test_max_of_negative_numbers_ignores_the_padding() -> None:
    assert max_pool(-jnp.ones((1, 3, 1)), 2, padding="same")[0, :, 0].tolist() == [-1, -1]


@pytest.mark.parametrize("window", [2, 3, 100])
def test_nan_is_not_lost(window: int) -> None:
    x = jnp.zeros((1, 100, 100, 1)).at[0, 4, 4, 0].set(jnp.nan)
    assert jnp.isnan(max_pool(x, window)).sum() == 1


@EXAMPLES
@given(pools())
def test_average_random(pool: Any) -> None:
    x, window, strides, padding, data_format = pool
    pooled = average_pool(jnp.asarray(x), window, strides, padding, data_format)
    last = np.moveaxis(x, 1, -1) if data_format == "channels_first" else x
    expected = _loop_average(last, window, strides, padding)
    if data_format == "channels_first":
        expected = np.moveaxis(expected, -1, 1)
    np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-6)


def _loop_average(x: np.ndarray, window: Any, strides: Any, padding: str) -> np.ndarray:
    starts = []
    for size, k, s in zip(x.shape[1:-1], window, strides, strict=True):
        count = -(-size // s) if padding == "same" else (size - k) // s + 1
        before = max((count - 1) * s + k - size, 0) // 2 if padding == "same" else 0
        starts.append([i * s - before for i in range(count)])
    out = np.zeros((x.shape[0], *map(len, starts), x.shape[-1]), np.float64)
    for place in itertools.product(*(range(len(s)) for s in starts)):
        corner = [s[i] for s, i in zip(starts, place, strict=True)]
        cut = tuple(slice(max(c, 0), c + k) for c, k in zip(corner, window, strict=True))
        out[(slice(None), *place)] = x[(slice(None), *cut)].mean(axis=tuple(range(1, x.ndim - 1)))
    return out


@pytest.mark.parametrize(
    ("size", "count"), [(5, 3), (7, 5), (10, 4), (4, 7), (6, 3), (9, 1), (200, 2), (5, 5)]
)
def test_adaptive_windows(size: int, count: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, size, 3)).astype(np.float32)
    windows = [x[:, i * size // count : -(-(i + 1) * size // count)] for i in range(count)]
    np.testing.assert_array_equal(
        adaptive_max_pool(jnp.asarray(x), count), np.stack([w.max(1) for w in windows], 1)
    )
    np.testing.assert_allclose(
        adaptive_average_pool(jnp.asarray(x), count),
        np.stack([w.mean(1) for w in windows], 1),
        rtol=1e-5,
        atol=1e-6,
    )


def test_adaptive_gradient_of_ties_goes_to_the_first() -> None:
    gradient = jax.grad(lambda x: adaptive_max_pool(x, 3).sum())(jnp.zeros((1, 5, 1)))
    assert gradient[0, :, 0].tolist() == [1, 1, 0, 1, 0]


def test_adaptive_counts_are_independent_per_axis() -> None:
    x = jnp.arange(2.0 * 6 * 5 * 4).reshape(2, 6, 5, 4)
    assert adaptive_max_pool(x, (2, 3)).shape == (2, 2, 3, 4)
    assert adaptive_average_pool(x, (2, 3), "channels_first").shape == (2, 6, 2, 3)


def test_masked_mean_skips_what_the_mask_hides() -> None:
    x = jnp.asarray([[[1.0], [3.0], [jnp.nan]]])
    mask = jnp.asarray([[1, 1, 0]])
    assert global_average_pool(x, mask=mask).tolist() == [[2.0]]
    assert global_average_pool(x.swapaxes(1, 2), "channels_first", True, mask).tolist() == [[[2.0]]]


@pytest.mark.parametrize("pool", [max_pool, average_pool])
def test_a_window_larger_than_the_input_is_refused(pool: Any) -> None:
    with pytest.raises(ShapeMismatch, match=r"\(2, 3\).*\(5, 2\).*valid"):
        pool(jnp.ones((1, 5, 2, 1)), (2, 3))
    assert pool(jnp.ones((1, 5, 2, 1)), (2, 3), padding="same").shape == (1, 3, 1, 1)
