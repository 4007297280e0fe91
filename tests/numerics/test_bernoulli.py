"""The decisions of dropout are those of JAX' generator."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import export

from kerasmagic.numerics.bernoulli import bernoulli


def jax_bernoulli(key: Any, probability: float, shape: tuple[int, ...]) -> Any:
    return jax.random.bernoulli(key, probability, shape)


KEY = jnp.array([7, 4_000_000_000], jnp.uint32)


@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 4, 5), (0, 2), (70_000,)])
@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 0.9, 1.0, 1e-6])
def test_equals_jax(shape: tuple[int, ...], probability: float) -> None:
    ours, theirs = bernoulli(KEY, probability, shape), jax.random.bernoulli(KEY, probability, shape)
    assert ours.shape == theirs.shape
    assert (ours == theirs).all()


def test_under_transformations() -> None:
    keys = jax.random.bits(jax.random.key(0), (3, 2))
    ours, theirs = (
        jax.vmap(functools.partial(f, probability=0.4, shape=(6,)))(keys) for f in (bernoulli, jax_bernoulli)
    )
    assert (ours == theirs).all()
    assert (jax.jit(lambda key: bernoulli(key, 0.4, (6,)))(KEY) == bernoulli(KEY, 0.4, (6,))).all()


@pytest.mark.parametrize("key", [jax.random.key(3), KEY], ids=["typed", "open size"])
def test_the_rest_is_left_to_jax(key: Any) -> None:
    (size,) = export.symbolic_shape("b")
    shape = (4,) if key is not KEY else (size, 4)
    assert jax.eval_shape(lambda: bernoulli(key, 0.4, shape)).shape == shape


def test_nothing_is_rolled_into_a_loop() -> None:
    assert "while" not in jax.jit(lambda key: bernoulli(key, 0.4, (6,))).lower(KEY).as_text()
