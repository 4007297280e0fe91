"""Variables stand wherever arrays stand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.core.scope import StatelessScope


@pytest.fixture
def kernel():
    return keras.Variable(np.arange(6.0).reshape(2, 3), name="kernel")


def test_a_variable_is_an_array_to_jax(kernel):
    x = jnp.ones((4, 2))
    np.testing.assert_array_equal(x @ kernel, x @ kernel.value)
    np.testing.assert_array_equal(jnp.matmul(x, kernel), x @ kernel.value)
    np.testing.assert_array_equal(jax.jit(lambda v: v + 1)(kernel), kernel.value + 1)
    np.testing.assert_array_equal(np.asarray(kernel), kernel.value)


def test_operators_and_attributes_of_arrays(kernel):
    assert (2 * kernel - 1).shape == (2, 3)
    assert kernel.T.shape == (3, 2)
    assert float((kernel**2).sum()) == 55.0
    assert bool((kernel[0] < 3).all())


def test_assignment_copies_and_checks(kernel):
    value = jnp.zeros((2, 3))
    kernel.assign(value)
    assert kernel.stored() is not value
    with pytest.raises(ValueError, match="must match"):
        kernel.assign(jnp.zeros(3))
    kernel.assign_add(1.0 * jnp.ones((2, 3)))
    assert float(kernel.value.sum()) == 6.0


@pytest.mark.parametrize("begin", [0, 1])
@pytest.mark.parametrize("how", ["first", "assign", "assign_later"])
def test_an_array_of_the_host_may_change_afterwards(how, begin):
    memory = np.zeros(64 + 16, "float32")
    # JAX keeps memory that begins at a multiple of 64 bytes.
    begin += -memory.ctypes.data % 64 // 4
    given = memory[begin : begin + 6]
    variable = keras.Variable(given if how == "first" else np.ones(6, "float32"))
    if how != "first":
        getattr(variable, how)(given)
    assert variable.stored().shape == (6,)
    given[:] = 2
    np.testing.assert_array_equal(variable, np.zeros(6))


def test_a_value_of_the_host_goes_to_the_device_when_it_is_asked_for(kernel):
    zeros = np.zeros(kernel.shape, "float32")
    kernel.assign_later(zeros)
    # What a compiled program is given.
    assert kernel.held() is zeros
    assert isinstance(kernel.value, jax.Array)
    assert kernel.held() is kernel.value
    zeros[:] = 1
    np.testing.assert_array_equal(kernel, np.zeros(kernel.shape))
    before = kernel.value
    with StatelessScope() as scope:
        kernel.assign_later(zeros)
        np.testing.assert_array_equal(kernel, zeros)
    assert scope.get_current_value(kernel) is not None
    assert kernel.value is before


def test_a_stateless_scope_leaves_the_variable_alone(kernel):
    before = kernel.numpy()
    with keras.StatelessScope([(kernel, jnp.ones((2, 3)))]) as scope:
        assert float(kernel.value.sum()) == 6.0
        kernel.assign(jnp.zeros((2, 3)))
        assert float(kernel.value.sum()) == 0.0
    np.testing.assert_array_equal(kernel.numpy(), before)
    assert float(scope.get_current_value(kernel).sum()) == 0.0


def test_a_first_value_asked_for_inside_a_trace_outlives_it():
    variable = keras.Variable("ones", shape=(2,))
    assert float(jax.jit(lambda x: (x * variable.value).sum())(jnp.ones(2))) == 2.0
    np.testing.assert_array_equal(variable.numpy(), [1, 1])


def test_paths_come_from_name_scopes():
    with keras.name_scope("encoder"):
        assert keras.Variable(1.0, name="scale").path == "encoder/scale"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"initializer": "zeros"}, "shape"),
        ({"initializer": "zeros", "shape": (None, 2)}, "fully-defined"),
        ({"initializer": 1.0, "name": "a/b"}, "without '/'"),
        ({"initializer": 1.0, "aggregation": "median"}, "aggregation"),
        ({"initializer": "zeroes", "shape": ()}, "Did you mean 'zeros'"),
        ({"initializer": 1.0, "dtype": "float31"}, "dtype"),
    ],
)
def test_bad_arguments_are_explained(arguments, message):
    with pytest.raises(ValueError, match=message):
        keras.Variable(**arguments)


def test_no_boolean():
    with pytest.raises(TypeError, match="boolean"):
        bool(keras.Variable(1.0))
