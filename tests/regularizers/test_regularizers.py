"""Regularizers against Keras: values, gradients, configs, names, errors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerasmagic import regularizers
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import NotSerializable
from tests.tools import public_names

X = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
CASES = [
    ("L1", {}),
    ("L1", {"l1": 0.3}),
    ("L1", {"l1": None}),
    ("L2", {}),
    ("L2", {"l2": 2}),
    ("L2", {"l2": None}),
    ("L1L2", {}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("L1L2", {"l1": None, "l2": 0.2}),
    ("OrthogonalRegularizer", {}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]


def test_public_names(keras):
    public_names.check(regularizers, keras.regularizers)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("name", "config"), CASES)
def test_values_are_those_of_keras(keras, name, config, dtype):
    ours, theirs = getattr(regularizers, name)(**config), getattr(keras.regularizers, name)(**config)
    x = jnp.asarray(X, dtype)
    value, expected = ours(x), theirs(x)
    assert value.shape == ()
    assert value.dtype == expected.dtype
    # Root and reciprocal root are rounded differently.
    tolerance = {"float32": 1e-6, "float16": 2e-3, "bfloat16": 2e-2}[dtype]
    np.testing.assert_allclose(float(value), float(expected), rtol=tolerance)


@pytest.mark.parametrize(("name", "config"), CASES)
def test_gradients_are_those_of_keras(keras, name, config):
    ours, theirs = getattr(regularizers, name)(**config), getattr(keras.regularizers, name)(**config)
    np.testing.assert_allclose(jax.grad(ours)(jnp.asarray(X)), jax.grad(theirs)(jnp.asarray(X)), atol=1e-6)


def test_a_row_of_zeros_has_no_gradient():
    # Keras gives NaN here.
    x = jnp.asarray([[1.0, 2.0], [0.0, 0.0]])
    gradient = jax.grad(regularizers.OrthogonalRegularizer())(x)
    assert np.isfinite(gradient).all()
    assert float(regularizers.OrthogonalRegularizer()(x)) == 0.0


@pytest.mark.parametrize(("name", "config"), CASES)
def test_config_is_that_of_keras(keras, name, config):
    ours, theirs = getattr(regularizers, name)(**config), getattr(keras.regularizers, name)(**config)
    # Keras keeps two of the factors as float32 arrays.
    assert ours.get_config() == pytest.approx(theirs.get_config())
    again = regularizers.deserialize(keras.regularizers.serialize(theirs))
    np.testing.assert_allclose(again(jnp.asarray(X)), ours(jnp.asarray(X)), rtol=1e-6)
    assert regularizers.serialize(ours).keys() == keras.regularizers.serialize(theirs).keys()


def test_get(keras):
    from keras.src.regularizers import ALL_OBJECTS_DICT

    for name, cls in ALL_OBJECTS_DICT.items():
        assert type(regularizers.get(name)).__name__ == cls.__name__
    assert isinstance(regularizers.get("l1_l2"), regularizers.L1L2)
    assert regularizers.get(None) is None
    assert regularizers.get(jnp.sum) is jnp.sum
    assert isinstance(regularizers.get(regularizers.L1), regularizers.L1)
    assert regularizers.get({"class_name": "L1", "config": {"l1": 0.5}}).l1 == 0.5
    for wrong in ("l3", 3):
        with pytest.raises(ValueError, match="regularizer"):
            regularizers.get(wrong)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "0.1", np.float32(1)])
@pytest.mark.parametrize(
    ("name", "argument"),
    [("L1", "l1"), ("L2", "l2"), ("L1L2", "l1"), ("L1L2", "l2"), ("OrthogonalRegularizer", "factor")],
)
def test_wrong_weights(keras, name, argument, value):
    for library in (regularizers, keras.regularizers):
        with pytest.raises(ValueError, match=argument):
            getattr(library, name)(**{argument: value})


def test_other_wrong_arguments(keras):
    for library in (regularizers, keras.regularizers):
        with pytest.raises(ValueError, match="mode"):
            library.OrthogonalRegularizer(mode="diagonals")
        with pytest.raises(ValueError, match="rank 2"):
            library.OrthogonalRegularizer()(jnp.ones((2, 2, 2)))


def test_own_regularizers():
    class Kept(regularizers.Regularizer):
        def __init__(self, factor):
            self.factor = factor

    class Lost(regularizers.Regularizer):
        def __init__(self, factor):
            self.other = factor

    assert Kept(2.0).get_config() == {"factor": 2.0}
    assert Kept.from_config({"factor": 2.0}).factor == 2.0
    with pytest.raises(NotSerializable):
        Lost(2.0).get_config()


def test_on_a_variable():
    assert float(regularizers.L2(0.5)(Variable(np.float32([1, 2])))) == 2.5
    assert float(regularizers.OrthogonalRegularizer()(Variable(np.eye(2, dtype="float32")))) == 0.0
