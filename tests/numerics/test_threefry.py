"""Draws on the host against ``jax.random``: the same bits, and the same floats up to a rounding."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasmagic.numerics import threefry
from tests.tools.halves import machine_rounding

# In float32 the multiplication and the addition of a range round once, because XLA fuses them.
pytestmark = pytest.mark.usefixtures("optimized")

WORDS = st.integers(0, 2**32 - 1)
# XLA takes subnormal numbers for zero.
LIMITS = st.floats(-100, 100, width=32, allow_subnormal=False)
DTYPES = ["float32", "float16", "bfloat16"]
SHAPE = (37, 1009)  # several chunks, the last one incomplete


def key(*words: int) -> jax.Array:
    return jnp.array(words, dtype=jnp.uint32)


def as_float(x) -> np.ndarray:
    return np.asarray(x).astype(np.float64)


@given(WORDS, WORDS)
@settings(max_examples=settings.default.max_examples // 4)
def test_bits_are_those_of_jax_for_every_key(k0, k1):
    expected = jax.random.bits(key(k0, k1), (11,))
    np.testing.assert_array_equal(threefry.bits((k0, k1), 11), expected)


def test_bits_across_chunks():
    size = 3 * threefry._CHUNK + 5
    expected = np.asarray(jax.random.bits(key(7, 1), (size,)))
    np.testing.assert_array_equal(threefry.bits((7, 1), size), expected)
    np.testing.assert_array_equal(
        threefry.bits((7, 1), 100, start=threefry._CHUNK - 3)[:9], expected[threefry._CHUNK - 3 :][:9]
    )


def test_a_counter_beyond_32_bits_changes_the_high_word():
    low, high = threefry.bits((7, 1), 4), threefry.bits((7, 1), 4, start=2**32)
    assert not np.any(low == high)
    straddling = threefry.bits((7, 1), 4, start=2**32 - 2)
    np.testing.assert_array_equal(straddling[2:], high[:2])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("limits", [(0.0, 1.0), (-0.05, 0.05), (-0.9258201, 0.9258201), (2, 3), (1.0, 0.0)])
def test_uniform_is_that_of_jax(dtype, limits):
    ours = threefry.uniform((3, 0), SHAPE, dtype, *limits)
    assert isinstance(ours, np.ndarray)
    assert ours.dtype == jnp.dtype(dtype)
    theirs = jax.random.uniform(key(3, 0), SHAPE, jnp.dtype(dtype), *limits)
    np.testing.assert_allclose(as_float(ours), as_float(theirs), rtol=0, atol=machine_rounding(theirs))


@given(WORDS, LIMITS, LIMITS)
@settings(max_examples=settings.default.max_examples // 4)
def test_uniform_is_that_of_jax_for_every_range(seed, minval, maxval):
    expected = jax.random.uniform(key(seed, 0), (64,), jnp.float32, minval, maxval)
    np.testing.assert_array_equal(threefry.uniform((seed, 0), (64,), "float32", minval, maxval), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["normal", "truncated_normal"])
def test_normals_are_those_of_jax(dtype, name):
    ours = getattr(threefry, name)((3, 0), SHAPE, dtype)
    limits = (-2.0, 2.0) if name == "truncated_normal" else ()
    theirs = getattr(jax.random, name)(key(3, 0), *limits, SHAPE, jnp.dtype(dtype))
    assert isinstance(ours, np.ndarray)
    assert ours.dtype == theirs.dtype
    # At the ends of the range the inverse error function is this steep.
    tolerance = max(1e-7, machine_rounding(theirs, growth=10))
    np.testing.assert_allclose(as_float(ours), as_float(theirs), rtol=1e-6, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_truncated_values_stay_inside(dtype):
    drawn = threefry.truncated_normal((5, 0), (300_000,), dtype)
    assert np.abs(as_float(drawn)).max() < 2


def test_erf_inv_inverts_the_error_function_into_its_tails():
    x = np.concatenate([np.linspace(-0.999, 0.999, 1001), 1 - 2.0 ** -np.arange(1, 24)]).astype(np.float32)
    expected = np.asarray(jax.scipy.special.erfinv(x))
    np.testing.assert_allclose(threefry.erf_inv(x), expected, rtol=2e-6)
    assert threefry.erf_inv(x).max() > 3.5


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,), (3, 4, 5)])
def test_shapes(shape):
    for draw in (threefry.uniform, threefry.normal, threefry.truncated_normal):
        assert draw((1, 0), shape).shape == shape
    np.testing.assert_array_equal(threefry.uniform((1, 0), shape), jax.random.uniform(key(1, 0), shape))


def test_a_traced_key_is_left_to_jax():
    drawn = jax.jit(lambda k: threefry.normal(k, (5,)))(key(3, 0))
    np.testing.assert_allclose(drawn, threefry.normal((3, 0), (5,)), rtol=1e-6)


def test_many_values_are_left_to_jax(monkeypatch):
    few = threefry.uniform((3, 0), (100,))
    monkeypatch.setattr(threefry, "HOST_LIMIT", 99)
    many = threefry.uniform((3, 0), (100,))
    assert isinstance(few, np.ndarray)
    assert isinstance(many, jax.Array)
    np.testing.assert_array_equal(few, many)


def test_the_other_numbering_of_jax_is_followed():
    with jax.threefry_partitionable(False):
        drawn = threefry.uniform((3, 0), (5,))
        np.testing.assert_array_equal(drawn, jax.random.uniform(key(3, 0), (5,)))
    assert not np.array_equal(drawn, threefry.uniform((3, 0), (5,)))
