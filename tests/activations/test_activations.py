"""Activations against Keras: values, gradients, symbolic calls, names."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerasmagic import activations
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import NotSerializable
from kerasmagic.foundation.registry import ACTIVATIONS, register_keras_serializable
from tests.tools import public_names

# The places where pieces meet, and values that overflow a naive exponential.
CORNERS = [-100.0, -6.0, -3.0, -2.5, -1.0, -0.5, -1e-3, 0.0, 1e-3, 0.5, 1.0, 2.5, 3.0, 6.0, 8.0, 100.0]
X = np.concatenate([CORNERS, np.random.default_rng(0).normal(size=24) * 3]).astype("float32").reshape(4, 10)
CASES = [
    *((name, {}) for name in sorted(set(ACTIVATIONS.public_names()) - {"threshold", "sparsemax"})),
    ("relu", {"negative_slope": 0.1}),
    ("relu", {"max_value": 6}),
    ("relu", {"max_value": 2.5}),
    ("relu", {"max_value": 0.0}),
    ("relu", {"threshold": 0.5}),
    ("relu", {"threshold": -1.0}),
    ("relu", {"threshold": 1.0, "max_value": 6}),
    ("relu", {"negative_slope": 0.1, "max_value": 6}),
    ("relu", {"negative_slope": 0.1, "max_value": 3.0, "threshold": 1.0}),
    ("relu", {"negative_slope": -0.2, "threshold": -0.5}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("elu", {"alpha": 0.5}),
    ("celu", {"alpha": 0.5}),
    ("gelu", {"approximate": True}),
    ("glu", {"axis": 0}),
    ("squareplus", {"b": 1.0}),
    ("soft_shrink", {"threshold": 2.0}),
    ("hard_shrink", {"threshold": 2.0}),
    ("threshold", {"threshold": 1.0, "default_value": -4.0}),
    ("softmax", {"axis": 0}),
    ("softmax", {"axis": (0, 1)}),
    ("softmax", {"axis": None}),
    ("log_softmax", {"axis": 0}),
    ("log_softmax", {"axis": (0, 1)}),
    ("log_softmax", {"axis": None}),
]


def both(keras, name):
    return getattr(activations, name), getattr(keras.activations, name)


def as_float(x) -> np.ndarray:
    return np.asarray(x).astype("float32")


def test_public_names(keras):
    public_names.check(activations, keras.activations)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_values_are_those_of_keras(keras, name, arguments, dtype):
    ours, theirs = both(keras, name)
    x = jnp.asarray(X, dtype)
    value, expected = ours(x, **arguments), theirs(x, **arguments)
    assert value.dtype == expected.dtype
    # Half precision: the same formula in another order may differ by a rounding.
    tolerance = {"float32": 1e-6, "float16": 2e-3, "bfloat16": 2e-2}[dtype]
    np.testing.assert_allclose(as_float(value), as_float(expected), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_gradients_are_those_of_keras(keras, name, arguments):
    ours, theirs = both(keras, name)
    weights = jnp.asarray(np.random.default_rng(1).normal(size=ours(X, **arguments).shape), jnp.float32)

    def gradient(function):
        return jax.grad(lambda x: (weights * function(x, **arguments)).sum())(jnp.asarray(X))

    np.testing.assert_allclose(gradient(ours), gradient(theirs), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_symbolic_shape_and_type_are_those_of_the_values(name, arguments):
    function = getattr(activations, name)
    value = function(jnp.asarray(X, "bfloat16"), **arguments)
    closed = function(KerasTensor(X.shape, "bfloat16"), **arguments)
    assert (closed.shape, closed.dtype) == (value.shape, str(value.dtype))
    open_ = function(KerasTensor((None, 10), "bfloat16"), **arguments)
    assert isinstance(open_, KerasTensor)
    assert (open_.shape[1], open_.dtype) == (value.shape[1], str(value.dtype))


@pytest.mark.parametrize("dtype", ["int32", "int8", "bool"])
@pytest.mark.parametrize(
    "name", ["relu", "hard_tanh", "elu", "gelu", "softplus", "soft_shrink", "mish", "tanh"]
)
def test_other_types_are_those_of_keras(keras, name, dtype):
    ours, theirs = both(keras, name)
    x = np.asarray([[0, 1, 1]], dtype)
    assert ours(x).dtype == theirs(x).dtype
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-6)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS.public_names()) - {"threshold", "linear"}))
def test_variables_and_lists_are_taken(name):
    function = getattr(activations, name)
    expected = function(jnp.asarray([1.0, -2.0]))
    np.testing.assert_array_equal(function(Variable(np.float32([1.0, -2.0]))), expected)
    np.testing.assert_array_equal(function([1.0, -2.0]), expected)


def projection(x: np.ndarray) -> np.ndarray:
    """Return the point of the simplex nearest to ``x``, found by bisecting how much to take off."""
    low, high = x.max() - 1, x.max()
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(x - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(x - low, 0)


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_sparsemax_is_the_projection_on_the_simplex(axis):
    x = np.random.default_rng(0).normal(size=(4, 5, 6)).astype("float32")
    value = activations.sparsemax(x, axis)
    np.testing.assert_allclose(value, np.apply_along_axis(projection, axis, x.astype("float64")), atol=1e-6)
    assert np.mean(np.asarray(value) == 0) > 0.3


def test_sparsemax_is_that_of_keras_where_one_value_stays(keras):
    # Keras 3.15 takes too much off where more than one stays; releases after it are right.
    x = np.float32([[5.0, 1.0, 2.0], [0.0, -3.0, 4.0]])
    np.testing.assert_array_equal(activations.sparsemax(x), keras.activations.sparsemax(x))
    support = jnp.asarray([1.0, 0.5, -1.0])
    gradient = jax.jacobian(activations.sparsemax)(support)
    np.testing.assert_allclose(gradient, [[0.5, -0.5, 0], [-0.5, 0.5, 0], [0, 0, 0]], atol=1e-6)
    assert activations.sparsemax(KerasTensor((None, 3))).shape == (None, 3)
    assert activations.sparsemax(KerasTensor((2, None)), axis=1).shape == (2, None)


def test_softmax_over_one_value_warns(keras):
    x = np.ones((3, 1), "float32")
    for library in (activations, keras.activations):
        with pytest.warns(UserWarning, match="softmax over axis -1"):
            library.softmax(x)
        with pytest.warns(UserWarning, match="size 1"):
            library.softmax(x, axis=1)


@pytest.mark.parametrize("x", [np.ones((2, 3), "float32"), KerasTensor((2, 3))])
def test_glu_of_an_odd_axis(x):
    with pytest.raises(ValueError, match="divisible by 2"):
        activations.glu(x, axis=1)


@pytest.mark.parametrize("axis", [5, (0, 5)])
def test_an_axis_that_is_not_there(keras, axis):
    for library in (activations, keras.activations):
        with pytest.raises(ValueError, match="axis 5"):
            library.softmax(np.ones((2, 3), "float32"), axis=axis)


def test_get(keras):
    from keras.src.activations import ALL_OBJECTS_DICT

    for name, function in ALL_OBJECTS_DICT.items():
        assert activations.get(name).__name__ == function.__name__
    assert activations.get(None) is activations.linear
    assert activations.get(jnp.sin) is jnp.sin
    assert activations.get(dict) is dict
    assert activations.get(keras.activations.serialize(keras.activations.swish)) is activations.silu
    config = {
        "module": "keras.activations",
        "class_name": "function",
        "config": "relu",
        "registered_name": "relu",
    }
    assert activations.get(config) is activations.relu
    with pytest.raises(ValueError, match="Did you mean 'relu'"):
        activations.get("rleu")
    for wrong in ("ReLU", 3):
        with pytest.raises(ValueError, match="activation"):
            activations.get(wrong)


def test_serialize():
    for name, function in ACTIVATIONS.public_names().items():
        assert activations.serialize(function) == name
        assert activations.deserialize(name) is function
    with pytest.raises(NotSerializable):
        activations.serialize(lambda x: x)
    assert activations.deserialize(None) is None


def test_serialize_an_own_function():
    @register_keras_serializable("tests")
    def twice(x):
        return 2 * x

    config = activations.serialize(twice)
    assert config["config"] == "tests>twice"
    assert activations.deserialize(config) is twice
    assert activations.deserialize("half", custom_objects={"half": np.log}) is np.log


def test_linear_makes_no_node():
    x = KerasTensor((None, 3))
    assert activations.linear(x) is x
