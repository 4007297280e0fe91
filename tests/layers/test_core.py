"""What the table cannot show: inputs, functions as layers, LoRA, and what is refused."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerasmagic import layers
from kerasmagic.core.masking import get_keras_mask, set_keras_mask
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation.errors import KerasMagicError
from kerasmagic.foundation.registry import custom_object_scope
from kerasmagic.numerics.contraction import plan_einsum
from tests.layers.evaluation import oracle, plain, quiet


def double(x: Any) -> Any:
    return 2 * x


def without_mask(x: Any, mask: Any = None) -> Any:
    return x if mask is None else jnp.where(mask[..., None], x, 0)


def shifted(x: Any, by: float = 0) -> Any:
    return x + by


class TestInput:
    def test_it_remembers_the_layer_it_came_from(self) -> None:
        x = layers.Input((3,), name="features")
        history = x._keras_history
        assert isinstance(history.operation, layers.InputLayer)
        assert history.operation._inbound_nodes[history.node_index].is_input
        assert (x.shape, x.name, history.operation.name) == ((None, 3), "features", "features")

    @pytest.mark.parametrize(
        "arguments",
        [
            {"shape": (None, 3)},
            {"shape": (3,), "batch_size": 4, "dtype": "int32"},
            {"batch_shape": (2, 3), "optional": True},
            {"shape": ()},
        ],
    )
    def test_its_config_is_that_of_keras(self, arguments: dict[str, Any]) -> None:
        config = layers.InputLayer(**arguments, name="x").get_config()
        assert plain(config) == plain(oracle().layers.InputLayer(**arguments, name="x").get_config())
        assert layers.InputLayer.from_config(plain(config)).get_config() == config

    def test_named_sizes_flow_through_layers(self) -> None:
        x = layers.Input(("tokens", 4))
        assert str(layers.Dense(3)(x).dims) == "(batch, tokens, 3)"
        assert layers.Flatten()(x).shape == (None, None)
        assert x._keras_history.operation.get_config()["batch_shape"] == (None, None, 4)

    def test_a_given_tensor_is_taken_over(self) -> None:
        tensor = KerasTensor((None, 3), "int32")
        assert layers.Input(tensor=tensor) is tensor

    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"shape": 3},
            {"shape": (-1,)},
            {"shape": (2.5,)},
            {"shape": (3,), "batch_shape": (2, 3)},
            {"batch_size": 2, "batch_shape": (2, 3)},
            {"shape": (3,), "sparse": True},
            {"shape": (3,), "dtype": "flaot32"},
            {"tensor": np.zeros((2, 3))},
            {"tensor": KerasTensor((None, 3)), "shape": (4,)},
            {"tensor": KerasTensor((None, 3)), "dtype": "int32"},
        ],
    )
    def test_what_contradicts_itself_is_refused(self, arguments: dict[str, Any]) -> None:
        with pytest.raises((ValueError, TypeError)) as refused:
            layers.Input(**arguments)
        assert isinstance(refused.value, KerasMagicError)


class TestLambda:
    def test_masks_and_arguments_reach_the_function(self) -> None:
        layer = layers.Lambda(without_mask, mask=lambda inputs, mask: mask)
        x = jnp.ones((2, 3, 4))
        mask = jnp.array([[True, False, True], [True, True, False]])
        set_keras_mask(x, mask)
        y = layer(x)
        np.testing.assert_array_equal(y, np.where(mask[..., None], 1, 0) * np.ones(4))
        np.testing.assert_array_equal(get_keras_mask(y), mask)
        assert layers.Lambda(shifted, arguments={"by": 3})(jnp.ones(2)).tolist() == [4, 4]

    def test_a_declared_shape_is_not_inferred(self) -> None:
        x = KerasTensor((None, 3))
        assert layers.Lambda(double, output_shape=(7,))(x).shape == (None, 7)
        assert layers.Lambda(double, output_shape=lambda shape: (*shape, 2))(x).shape == (None, 3, 2)
        assert layers.Lambda(double)(x).shape == (None, 3)

    def test_a_named_function_is_written_by_name(self) -> None:
        config = plain(serialize_keras_object(layers.Lambda(double, output_shape=(3,))))
        with pytest.raises(ValueError, match="double"):
            deserialize_keras_object(config)
        with custom_object_scope({"double": double}):
            layer = deserialize_keras_object(config)
        assert layer.function is double
        assert layer(jnp.ones((2, 3))).tolist() == [[2, 2, 2]] * 2

    def test_code_is_neither_written_nor_read(self) -> None:
        with pytest.raises(NotImplementedError, match="lambda"):
            layers.Lambda(lambda x: x).get_config()
        config = plain(oracle().layers.Lambda(lambda x: x).get_config())
        with pytest.raises(ValueError, match="Lambda"):
            layers.Lambda.from_config(config)


class TestWrapper:
    def test_the_inner_layer_is_saved_with_it(self) -> None:
        layer = layers.Wrapper(layers.Dense(3, name="inner"), name="outer")
        with quiet():
            theirs = oracle().layers.Wrapper(oracle().layers.Dense(3, name="inner"), name="outer")
        assert plain(layer.get_config()) == plain(theirs.get_config())
        layer.build((None, 4))
        assert [v.path for v in layer.weights] == ["outer/inner/kernel", "outer/inner/bias"]
        assert layers.Wrapper.from_config(plain(layer.get_config())).layer.units == 3

    def test_only_layers_are_wrapped(self) -> None:
        with pytest.raises(ValueError, match="valid Keras layer"):
            layers.Wrapper("dense")


LORA = [
    (layers.Dense, {"units": 6}, (3, 5), "float32"),
    (layers.EinsumDense, {"equation": "ab,bcd->acd", "output_shape": (2, 6)}, (3, 5), "float32"),
    (layers.Embedding, {"input_dim": 7, "output_dim": 6}, (3, 5), "int32"),
]


@pytest.mark.parametrize(("cls", "config", "shape", "dtype"), LORA)
class TestLora:
    def test_it_changes_nothing_until_it_is_trained(
        self, cls: Any, config: Any, shape: Any, dtype: Any
    ) -> None:
        x = jnp.ones(shape, dtype)
        layer = cls(**config)
        before = layer(x)
        layer.enable_lora(2)
        np.testing.assert_allclose(layer(x), before, rtol=1e-6)
        bias = int(getattr(layer, "bias", None) is not None)
        assert len(layer.trainable_weights) == 2 + bias
        assert not layer.weights[0].trainable

    def test_the_scale_is_alpha_over_rank(self, cls: Any, config: Any, shape: Any, dtype: Any) -> None:
        x = jnp.ones(shape, dtype)
        layer = cls(**config, lora_rank=2, lora_alpha=6)
        plain_layer = cls(**config)
        plain_layer(x), layer(x)
        assert (layer.get_config()["lora_rank"], layer.get_config()["lora_alpha"]) == (2, 6)
        assert cls.from_config(layer.get_config()).lora_alpha == 6
        a, b = layer.trainable_weights[-2:]
        b.assign(jnp.ones(b.shape))
        kernel, *rest = (v for v in layer.weights if v is not a and v is not b)
        plain_layer.set_weights([kernel.value + 3.0 * a.value @ b.value, *(v.value for v in rest)])
        np.testing.assert_allclose(layer(x), plain_layer(x), rtol=1e-5, atol=1e-6)

    def test_it_is_saved_as_one_plain_weight(self, cls: Any, config: Any, shape: Any, dtype: Any) -> None:
        x = jnp.ones(shape, dtype)
        layer = cls(**config, lora_rank=2)
        wanted = layer(x)
        b = layer.trainable_weights[-1]
        b.assign(jnp.ones(b.shape))
        wanted = layer(x)
        store: dict[str, Any] = {}
        layer.save_own_variables(store)
        other = cls(**config)
        other(x)
        other.load_own_variables(store)
        np.testing.assert_allclose(other(x), wanted, rtol=1e-5, atol=1e-6)
        layer.load_own_variables(store)
        np.testing.assert_allclose(layer(x), wanted, rtol=1e-5, atol=1e-6)

    def test_it_is_enabled_once_on_a_built_layer(self, cls: Any, config: Any, shape: Any, dtype: Any) -> None:
        layer = cls(**config)
        with pytest.raises(ValueError, match="built"):
            layer.enable_lora(2)
        layer(jnp.ones(shape, dtype))
        layer.enable_lora(2)
        with pytest.raises(ValueError, match="already"):
            layer.enable_lora(2)
        name = "embeddings_constraint" if cls is layers.Embedding else "kernel_constraint"
        with pytest.raises(ValueError, match="constraint"):
            cls(**config, lora_rank=2, **{name: "non_neg"})(jnp.ones(shape, dtype))


def test_a_second_call_with_other_channels_is_refused() -> None:
    for layer in (
        layers.Dense(3),
        layers.BatchNormalization(),
        layers.GroupNormalization(1),
        layers.PReLU(shared_axes=[1]),
    ):
        layer(jnp.zeros((2, 3, 4)))
        with pytest.raises(ValueError, match=rf"{layer.name}.*axis"):
            layer(jnp.zeros((2, 3, 5)))


def test_embeddings_begin_with_given_weights() -> None:
    values = np.arange(6.0, dtype="float32").reshape(3, 2)
    np.testing.assert_array_equal(layers.Embedding(3, 2, weights=values)(jnp.array([2])), values[[2]])
    np.testing.assert_array_equal(layers.Embedding(3, 2, weights=[values])(jnp.array([0])), values[[0]])


def test_open_sizes_that_must_agree_are_taken_to_agree() -> None:
    fixed, opened = KerasTensor((8, "left", 4)), KerasTensor((None, "right", 4))
    assert layers.add([fixed, opened]).shape == (8, None, 4)
    assert layers.concatenate([fixed, opened]).shape == (8, None, 8)
    assert layers.concatenate([fixed, opened], axis=1).shape == (8, None, 4)
    assert layers.dot([fixed, opened], axes=2).shape == (8, None, None)


def test_a_reshape_divides_an_open_size() -> None:
    x = layers.Reshape((-1, 8))(KerasTensor((None, None, 4)))
    assert x.shape == (None, None, 8)
    assert layers.Reshape((-1, 8))(jnp.zeros((2, 6, 4))).shape == (2, 3, 8)


def test_empty_batches_pass() -> None:
    for layer in (layers.Flatten(), layers.Dense(3), layers.Reshape((-1, 2)), layers.LayerNormalization()):
        assert layer(jnp.zeros((0, 3, 4))).shape[0] == 0


def test_inference_statistics_follow_the_batches() -> None:
    layer = layers.BatchNormalization(momentum=0.5)
    x = jnp.asarray(np.random.default_rng(0).normal(3.0, 2.0, (64, 5)), "float32")
    for _ in range(20):
        layer(x, training=True)
    np.testing.assert_allclose(layer(x, training=False), layer(x, training=True), atol=1e-4)


def test_the_gradient_at_zero_is_a_number() -> None:
    layer = layers.UnitNormalization()
    assert jnp.isfinite(jax.grad(lambda x: layer(x).sum())(jnp.zeros((1, 3)))).all()


def test_an_einsum_initializer_counts_the_right_axes() -> None:
    equation, shape = "abc,cde->abde", (None, 10, 640)
    layer = layers.EinsumDense(equation, (10, 8, 4), kernel_initializer="lecun_normal")
    layer.build(shape)
    plan = plan_einsum(equation, shape, (10, 8, 4), None)
    assert (plan.input_axes, plan.output_axes) == ((0,), (1, 2))
    assert float(layer.kernel.value.std()) == pytest.approx(640**-0.5, rel=0.05)
