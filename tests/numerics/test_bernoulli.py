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
    shape = (4,) if key is not KEY else (4, size)
    assert jax.eval_shape(lambda: bernoulli(key, 0.4, shape)).shape == shape


def test_of_an_open_number_of_samples() -> None:
    def like(x: Any) -> Any:
        return bernoulli(KEY, 0.4, x.shape)

    spec = jax.ShapeDtypeStruct(export.symbolic_shape("b, 3"), jnp.float32)
    drawn = export.export(jax.jit(like))(spec).call(jnp.zeros((5, 3)))
    assert (drawn == jax.random.bernoulli(KEY, 0.4, (5, 3))).all()


def test_gradients_pass_what_was_drawn() -> None:
    def kept(x: Any) -> Any:
        return jnp.sum(jnp.where(bernoulli(KEY, 0.4, x.shape), x * x, 0))

    x = jnp.arange(6.0)
    expected = jnp.where(bernoulli(KEY, 0.4, (6,)), 2 * x, 0)
    for once in (kept, jax.checkpoint(kept)):
        assert (jax.grad(once)(x) == expected).all()
        assert (jax.jit(jax.grad(once))(x) == expected).all()


@pytest.mark.usefixtures("optimized")
def test_is_drawn_once_however_often_it_is_used() -> None:
    def hashes(windows: int) -> int:
        def sums(key: Any) -> Any:
            mask = bernoulli(key, 0.4, (64, 64)).astype(jnp.float32)
            return sum(jnp.pad(mask[:, i:], ((0, 0), (0, i))) for i in range(windows))

        return jax.jit(sums).lower(KEY).compile().as_text().count(" xor(")

    assert hashes(4) == hashes(1) > 0
