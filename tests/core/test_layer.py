"""The base layer as authors of layers use it; the examples are written like Keras tutorials."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.core.masking import get_keras_mask


class Linear(keras.layers.Layer):
    def __init__(self, units=32, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="random_normal", trainable=True
        )
        self.b = self.add_weight(shape=(self.units,), initializer="random_normal", trainable=True)

    def call(self, inputs):
        return jnp.matmul(inputs, self.w) + self.b


class MLPBlock(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.linear_1 = Linear(32)
        self.linear_2 = Linear(32)
        self.linear_3 = Linear(1)

    def call(self, inputs):
        x = self.linear_1(inputs)
        x = keras.activations.relu(x)
        x = self.linear_2(x)
        x = keras.activations.relu(x)
        return self.linear_3(x)


def test_weights_come_with_the_first_call():
    layer = Linear(4)
    assert layer.weights == []
    y = layer(np.ones((2, 3), "float32"))
    assert y.shape == (2, 4)
    assert [w.shape for w in layer.weights] == [(3, 4), (4,)]
    np.testing.assert_allclose(y, np.ones((2, 3)) @ layer.w.numpy() + layer.b.numpy(), rtol=1e-6, atol=1e-6)


def test_nested_layers_share_their_weights_with_the_outer_one():
    block = MLPBlock()
    block(np.ones((3, 64), "float32"))
    assert len(block.weights) == len(block.trainable_weights) == 6
    assert block.weights[0].path.startswith(f"{block.name}/{block.linear_1.name}/")


def test_eager_and_symbolic_calls_agree_on_shape_and_weights():
    eager, symbolic = MLPBlock(), MLPBlock()
    y = eager(np.ones((3, 64), "float32"))
    t = symbolic(keras.KerasTensor((None, 64)))
    assert t.shape == (None, 1)
    assert y.shape == (3, 1)
    assert [w.shape for w in eager.weights] == [w.shape for w in symbolic.weights]


def test_a_symbolic_call_draws_no_initial_values():
    layer = Linear(1000)
    layer(keras.KerasTensor((None, 1000)))
    assert not layer.w.initialized
    assert layer.w.numpy().shape == (1000, 1000)


def test_layers_in_lists_and_dicts_are_owned():
    class Towers(keras.Layer):
        def __init__(self):
            super().__init__()
            self.tower = [keras.layers.Dense(2), keras.layers.Dense(2)]
            self.heads = {"a": keras.layers.Dense(1)}

        def call(self, x):
            for layer in self.tower:
                x = layer(x)
            return self.heads["a"](x)

    towers = Towers()
    towers.tower.append(keras.layers.Dense(2))
    towers(np.ones((1, 2)))
    assert len(towers.weights) == 8


def test_state_cannot_be_added_once_built():
    layer = Linear(2)
    layer(np.ones((1, 2)))
    with pytest.raises(ValueError, match="already built"):
        layer.extra = keras.layers.Dense(1)


def test_forgetting_super_init_is_explained():
    class Bad(keras.Layer):
        def __init__(self):
            pass

        def call(self, x):
            return x

    with pytest.raises(RuntimeError, match=r"super\(\).__init__\(\)"):
        Bad()(np.ones(2))


def test_unknown_keywords_are_refused():
    with pytest.raises(ValueError, match="Unrecognized keyword arguments"):
        Linear(2, colour="red")


def test_config_of_a_custom_layer_is_what_it_was_given():
    layer = Linear(7, name="seven", trainable=False)
    config = layer.get_config()
    assert config["units"] == 7
    again = Linear.from_config(config)
    assert (again.units, again.name, again.trainable) == (7, "seven", False)


def test_config_of_a_layer_with_its_own_get_config():
    class Scaled(Linear):
        def get_config(self):
            return {**super().get_config(), "units": 3}

    assert Scaled(9).get_config()["units"] == 3


def test_config_that_is_no_data_is_refused():
    class Odd(keras.Layer):
        def __init__(self, thing, **kwargs):
            super().__init__(**kwargs)

    with pytest.raises(NotImplementedError, match="get_config"):
        Odd(object()).get_config()


def test_trainable_reaches_the_layers_inside():
    block = MLPBlock()
    block(np.ones((1, 4)))
    block.trainable = False
    assert block.trainable_weights == []
    assert len(block.non_trainable_weights) == 6
    block.trainable = True
    assert len(block.trainable_weights) == 6


def test_training_reaches_the_layers_inside():
    seen = []

    class Inner(keras.Layer):
        def call(self, x, training=False):
            seen.append(training)
            return x

    class Outer(keras.Layer):
        def __init__(self):
            super().__init__()
            self.inner = Inner()

        def call(self, x):
            return self.inner(x)

    outer = Outer()
    outer(np.ones(2), training=True)
    outer(np.ones(2))
    assert seen == [True, False]


def test_losses_are_collected_and_cleared():
    class Penalized(keras.Layer):
        def call(self, x):
            self.add_loss(jnp.sum(x))
            return x

    layer = Penalized()
    layer(np.ones(3))
    layer(np.ones(3))
    assert [float(v) for v in layer.losses] == [3.0]


def test_weight_regularizers_are_losses():
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", kernel_regularizer="l2")
    layer(np.ones((1, 4)))
    assert float(sum(layer.losses)) == pytest.approx(0.04)


def test_activity_regularizer_is_divided_by_the_batch():
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", activity_regularizer="l1")
    layer(np.ones((4, 2)))
    assert float(sum(layer.losses)) == pytest.approx(0.01 * 2)


def test_stateless_call_works_under_jit_and_grad():
    block = MLPBlock()
    block.build((None, 8))
    values = [v.value for v in block.trainable_variables]

    def loss(values):
        y, _ = block.stateless_call(values, [], jnp.ones((2, 8)))
        return jnp.sum(y**2)

    gradients = jax.jit(jax.grad(loss))(values)
    assert [g.shape for g in gradients] == [v.shape for v in values]


def test_stateless_call_checks_its_lists():
    layer = keras.layers.Dense(2)
    with pytest.raises(ValueError, match="must be built"):
        layer.stateless_call([], [], np.ones((1, 1)))
    layer.build((None, 1))
    with pytest.raises(ValueError, match="expected 2 variables"):
        layer.stateless_call([], [], np.ones((1, 1)))


def test_masks_pass_through_and_stop_with_a_warning():
    embedding = keras.layers.Embedding(5, 2, mask_zero=True)
    x = embedding(np.array([[1, 0]]))
    np.testing.assert_array_equal(get_keras_mask(x), [[True, False]])
    assert get_keras_mask(keras.layers.Dense(3)(x)) is not None
    with pytest.warns(UserWarning, match="does not support masking"):
        Linear(2)(x)


def test_two_inputs_build_by_name():
    class Bilinear(keras.Layer):
        def build(self, a_shape, b_shape):
            self.w = self.add_weight(shape=(a_shape[-1], b_shape[-1]))

        def call(self, a, b):
            return jnp.einsum("bi,ij,bj->b", a, self.w.value, b)

    layer = Bilinear()
    assert layer(np.ones((2, 3)), np.ones((2, 4))).shape == (2,)
    assert layer.w.shape == (3, 4)
    assert layer.get_build_config() == {"shapes_dict": {"a_shape": (2, 3), "b_shape": (2, 4)}}


def test_mixed_precision_computes_in_16_bits_and_keeps_weights_in_32():
    layer = keras.layers.Dense(2, dtype="mixed_bfloat16")
    y = layer(np.ones((1, 2)))
    assert y.dtype == "bfloat16"
    assert layer.kernel.dtype == "float32"


def test_compute_output_shape_builds_no_values():
    layer = Linear(3)
    assert layer.compute_output_shape((None, 5, 2)) == (None, 5, 3)
    assert not layer.w.initialized


def test_input_shape_argument_still_works_and_warns():
    with pytest.warns(UserWarning, match="Input"):
        layer = keras.layers.Dense(2, input_shape=(3,))
    assert keras.Sequential([layer, keras.layers.Dense(1)]).output_shape == (None, 1)


def test_an_eager_layer_call_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MLPBlock()(np.ones((1, 4), "float32"))
