"""Pooling against XLA's own windows and against loops; above all where gradients go."""

from __future__ import annotations

import functools
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
LAST, FIRST = "channels_last", "channels_first"

# Shape, window, strides, padding, layout: each way in which the maximum is computed, with every rank.
POOLS: list[Any] = [
    ((2, 9, 2), (2,), (2,), "valid", LAST),
    ((2, 9, 2), (3,), (1,), "same", LAST),
    ((2, 2, 9), (2,), (3,), "same", FIRST),
    ((2, 6, 5, 2), (2, 2), (2, 2), "valid", LAST),
    ((2, 6, 5, 2), (2, 2), (2, 2), "same", LAST),
    ((2, 2, 7, 8), (3, 3), (2, 2), "valid", FIRST),
    ((2, 6, 6, 2), (3, 4), (1, 3), "same", LAST),
    ((2, 6, 6, 2), (1, 10), (2, 1), "same", LAST),
    ((1, 80, 3, 1), (70, 1), (4, 1), "valid", LAST),
    ((2, 4, 5, 4, 2), (2, 2, 2), (2, 2, 2), "valid", LAST),
    ((1, 2, 4, 5, 4), (3, 2, 2), (1, 2, 1), "same", FIRST),
]


def reference(
    x: Any, window: tuple[int, ...], strides: tuple[int, ...], padding: str, data_format: str
) -> Any:
    """Return the windowed maximum whose gradient is XLA's select-and-scatter: the first match wins."""
    sizes, steps = ((1, *v, 1) if data_format == LAST else (1, 1, *v) for v in (window, strides))
    return lax.reduce_window(x, -jnp.inf, lax.max, sizes, steps, padding.upper())


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def values_and_gradients(x: Any, *arguments: Any) -> list[Any]:
    """Return both values and both gradients, with a different weight on every output."""
    found = []
    for pool in (max_pool, reference):
        y, pull = jax.vjp(lambda x, pool=pool: pool(x, *arguments), x)
        found.append((y, pull(jnp.arange(1.0, y.size + 1).reshape(y.shape))[0]))
    return found


def tied(shape: tuple[int, ...], values: int, seed: int) -> np.ndarray:
    """Return so few different values that windows have ties."""
    return np.random.default_rng(seed).integers(0, values, shape).astype(np.float32)


@EXAMPLES
@given(st.sampled_from(POOLS), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_gradient_of_ties_goes_to_the_first(pool: Any, values: int, seed: int) -> None:
    shape, *arguments = pool
    ours, theirs = values_and_gradients(tied(shape, values, seed), *arguments)
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_array_equal(ours[1], theirs[1])


def test_a_constant_window_gives_all_to_its_first_element() -> None:
    gradient = jax.grad(lambda x: max_pool(x, 2).sum())(jnp.zeros((1, 4, 4, 1)))
    assert gradient[0, :, :, 0].tolist() == [[1, 0, 1, 0], [0] * 4, [1, 0, 1, 0], [0] * 4]


@pytest.mark.parametrize("window", [2, 3])
def test_other_derivatives(window: int) -> None:
    """Forward mode, second derivatives and batching work too."""
    x, direction = (jax.random.normal(jax.random.key(i), (1, 5, 5, 1)) for i in (0, 1))
    size = (window, window)

    def cube(x: Any) -> Any:
        return (max_pool(x, size, size, "same") ** 3).sum()

    def same_cube(x: Any) -> Any:
        return (reference(x, size, size, "same", LAST) ** 3).sum()

    @jax.jit
    def derivatives(x: Any, direction: Any) -> Any:
        forward = [jax.jvp(f, (x,), (direction,)) for f in (cube, same_cube)]
        second = jax.grad(lambda x: jnp.vdot(jax.grad(cube)(x), direction))(x)
        winners = jax.grad(lambda x: max_pool(x, size, size, "same").sum())(x)
        batched = jax.vmap(jax.grad(cube))(jnp.stack([x, -x]))
        return forward, second, winners, batched, jax.grad(same_cube)(-x)

    forward, second, winners, batched, expected = derivatives(x, direction)
    np.testing.assert_allclose(forward[0], forward[1], rtol=1e-5)
    # The second derivative is that of the cube where a winner stands, and zero elsewhere.
    np.testing.assert_allclose(second, 6 * x * winners * direction, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(batched[1], expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int32", "uint8"])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_max_keeps_the_dtype(dtype: str, padding: str) -> None:
    x = jnp.asarray([5, 3, 1, 0, 2], dtype).reshape(1, 5, 1)
    y = max_pool(x, 2, padding=padding)
    assert y.dtype == x.dtype
    assert y[0, :, 0].tolist() == ([5, 1] if padding == "valid" else [5, 1, 2])


def test_max_of_negative_numbers_ignores_the_padding() -> None:
    assert max_pool(-jnp.ones((1, 3, 1)), 2, padding="same")[0, :, 0].tolist() == [-1, -1]


@pytest.mark.parametrize("window", [2, 3])
def test_nan_is_not_lost(window: int) -> None:
    x = jnp.zeros((1, 9, 9, 1)).at[0, 4, 4, 0].set(jnp.nan)
    assert jnp.isnan(max_pool(x, window)).sum() == 1


@pytest.mark.parametrize("pool", POOLS)
def test_average(pool: Any) -> None:
    shape, window, strides, padding, data_format = pool
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = _loop_average(np.moveaxis(x, 1, -1) if data_format == FIRST else x, window, strides, padding)
    pooled = average_pool(jnp.asarray(x), window, strides, padding, data_format)
    pooled = np.moveaxis(pooled, 1, -1) if data_format == FIRST else pooled
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
