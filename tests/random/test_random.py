"""Random functions against Keras: the same numbers for the same seed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerasmagic import random
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.registry import RANDOM
from tests.tools import public_names

LOGITS = np.log(np.float32([[0.1, 0.2, 0.7], [0.8, 0.1, 0.1]]))
CALLS = [
    ("normal", {"shape": (3, 4)}),
    ("normal", {"shape": (3, 4), "mean": 2.0, "stddev": 0.3, "dtype": "float16"}),
    ("normal", {"shape": [5], "mean": np.float32([1, 2, 3, 4, 5]), "dtype": "bfloat16"}),
    ("uniform", {"shape": ()}),
    ("uniform", {"shape": (3, 4), "minval": -1.0, "maxval": 5.0}),
    ("uniform", {"shape": (3, 4), "dtype": "bfloat16"}),
    ("truncated_normal", {"shape": (3, 4), "mean": 2.0, "stddev": 0.3}),
    ("truncated_normal", {"shape": (0, 4)}),
    ("randint", {"shape": (3, 4), "minval": -3, "maxval": 9}),
    ("randint", {"shape": (3, 4), "minval": 0, "maxval": 200, "dtype": "uint8"}),
    ("categorical", {"logits": LOGITS, "num_samples": 5}),
    ("categorical", {"logits": LOGITS, "num_samples": 5, "dtype": "int8"}),
    ("dropout", {"inputs": np.ones((4, 6), "float32"), "rate": 0.3}),
    ("dropout", {"inputs": np.ones((4, 6), "float32"), "rate": 0.3, "noise_shape": (None, 1)}),
    ("dropout", {"inputs": np.ones((4, 6), "float32"), "rate": 0.3, "noise_shape": (6,)}),
    ("dropout", {"inputs": np.ones((4, 6), "float32"), "rate": 0.0}),
    ("dropout", {"inputs": np.ones((4, 6), "float32"), "rate": 1.0}),
    ("shuffle", {"x": np.arange(12).reshape(4, 3)}),
    ("shuffle", {"x": np.arange(12).reshape(4, 3), "axis": 1}),
    ("gamma", {"shape": (3, 4), "alpha": 0.5}),
    ("gamma", {"shape": (2, 3), "alpha": np.float32([0.5, 1.0, 4.0])}),
    ("binomial", {"shape": (2, 3), "counts": [4.0, 10.0, 100.0], "probabilities": 0.3}),
    ("beta", {"shape": (2, 3), "alpha": [0.5, 1.0, 4.0], "beta": 2.0}),
]


def test_public_names(keras):
    public_names.check(random, keras.random)


@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_numbers_are_those_of_keras(keras, name, arguments):
    ours = getattr(random, name)(**arguments, seed=11)
    theirs = getattr(keras.random, name)(**arguments, seed=11)
    assert isinstance(ours, jax.Array)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("name", "arguments"), [CALLS[0], CALLS[8], CALLS[12]])
def test_a_seed_generator_moves_on(keras, name, arguments):
    ours, theirs = random.SeedGenerator(4), keras.random.SeedGenerator(4)
    draws = [np.asarray(getattr(random, name)(**arguments, seed=ours)) for _ in range(3)]
    for draw in draws:
        np.testing.assert_array_equal(draw, getattr(keras.random, name)(**arguments, seed=theirs))
    assert not np.array_equal(draws[0], draws[1])


def test_without_a_seed_every_draw_is_another():
    assert not np.array_equal(random.uniform((5,)), random.uniform((5,)))


def test_without_a_seed_nothing_is_drawn_in_a_trace():
    with pytest.raises(ValueError, match="SeedGenerator"):
        jax.jit(lambda: random.uniform((5,)))()


def test_variables_and_lists_are_taken():
    kept = random.dropout(Variable(np.ones((4, 6), "float32")), 0.5, seed=1)
    assert set(np.unique(kept)) == {0.0, 2.0}
    assert random.shuffle([3, 1, 2], seed=1).shape == (3,)
    assert random.categorical([[0.0, 0.0]], 3, seed=1).shape == (1, 3)


def test_the_gradient_of_dropout_is_its_mask():
    x = jnp.ones(20)
    gradient = jax.grad(lambda x: random.dropout(x, 0.5, seed=1).sum())(x)
    np.testing.assert_array_equal(gradient, random.dropout(x, 0.5, seed=1))


@pytest.mark.parametrize(
    ("name", "arguments", "word"),
    [
        ("uniform", {"shape": (2,), "dtype": "int32"}, "floating point"),
        ("randint", {"shape": (2,), "minval": 0, "maxval": 2, "dtype": "float32"}, "integer"),
        ("categorical", {"logits": np.zeros(3), "num_samples": 2}, "2-D"),
        ("normal", {"shape": (2,), "seed": "x"}, "seed"),
    ],
)
def test_wrong_arguments(keras, name, arguments, word):
    for library in (random, keras.random):
        with pytest.raises(ValueError, match=word):
            getattr(library, name)(**arguments)


def test_every_function_is_registered(keras):
    assert {name for name in public_names.of(keras.random) if name not in RANDOM} == set()
