"""Constraints against Keras: values, configs, names, errors."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from kerasmagic import constraints
from kerasmagic.core.variable import Variable
from tests.tools import public_names

X = np.random.default_rng(0).normal(size=(3, 2, 4, 5)).astype("float32")
CASES = [
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 0.5, "axis": [0, 1, 2]}),
    ("MaxNorm", {"max_value": 0.5, "axis": -1}),
    ("NonNeg", {}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": (1, 2)}),
    ("UnitNorm", {"axis": None}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 1.0, "max_value": 1.2, "rate": 0.3, "axis": [0, 1, 2]}),
]


def test_public_names(keras):
    public_names.check(constraints, keras.constraints)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32"])
@pytest.mark.parametrize(("name", "config"), CASES)
def test_values_are_those_of_keras(keras, name, config, dtype):
    ours, theirs = getattr(constraints, name)(**config), getattr(keras.constraints, name)(**config)
    x = jnp.asarray(X * 3, dtype)
    value, expected = ours(x), theirs(x)
    assert value.dtype == expected.dtype
    # float16 and bfloat16 may differ by a rounding of the sum.
    tolerance = {"float16": 2e-3, "bfloat16": 2e-2}.get(dtype, 1e-6)
    np.testing.assert_allclose(
        np.asarray(value).astype("float32"), np.asarray(expected).astype("float32"), rtol=tolerance, atol=1e-6
    )


@pytest.mark.parametrize(("name", "config"), CASES)
def test_config_is_that_of_keras(keras, name, config):
    ours, theirs = getattr(constraints, name)(**config), getattr(keras.constraints, name)(**config)
    assert ours.get_config() == theirs.get_config()
    assert constraints.serialize(ours) == keras.constraints.serialize(theirs)
    again = constraints.deserialize(keras.constraints.serialize(theirs))
    np.testing.assert_array_equal(again(X), ours(X))


def test_zeros_stay_zeros():
    for constraint in (constraints.MaxNorm(), constraints.UnitNorm(), constraints.MinMaxNorm(0.5)):
        assert not np.any(constraint(np.zeros((3, 2), "float32")))


def test_get(keras):
    from keras.src.constraints import ALL_OBJECTS_DICT

    for name, cls in ALL_OBJECTS_DICT.items():
        assert type(constraints.get(name)).__name__ == cls.__name__
    assert constraints.get(None) is None
    assert constraints.get(jnp.abs) is jnp.abs
    assert isinstance(constraints.get(constraints.NonNeg), constraints.NonNeg)
    assert constraints.get({"class_name": "MaxNorm", "config": {"max_value": 3}}).max_value == 3
    for wrong in ("max_norms", 3):
        with pytest.raises(ValueError, match="constraint"):
            constraints.get(wrong)


def test_the_base_allows_everything():
    assert constraints.Constraint()(3) == 3
    assert constraints.Constraint.from_config(constraints.Constraint().get_config())(3) == 3


def test_on_a_variable():
    variable = Variable(np.float32([[3.0], [4.0]]))
    np.testing.assert_allclose(constraints.UnitNorm()(variable), [[0.6], [0.8]], rtol=1e-6)
    np.testing.assert_allclose(constraints.NonNeg()(variable), [[3.0], [4.0]])
