"""Quantized layers against Keras: variables, numbers, gradients, files, low-rank updates on top."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerasmagic import layers, quantizers
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.core.symbolic import KerasTensor
from tests.layers.evaluation import plain, quiet

DENSE = ("Dense", {"units": 5, "activation": "tanh", "bias_initializer": "ones"}, (3, 4, 7), {})
WITHOUT_BIAS = ("Dense", {"units": 4, "use_bias": False}, (3, 6), {})
EINSUM = (
    "EinsumDense",
    {"equation": "abc,cde->abde", "output_shape": [4, 3, 5], "bias_axes": "de", "bias_initializer": "ones"},
    (2, 4, 6),
    {},
)
HEADS = ("EinsumDense", {"equation": "abcd,cde->abe", "output_shape": [None, 5]}, (2, 3, 2, 4), {})
TURNED = ("EinsumDense", {"equation": "ab,cb->ac", "output_shape": [5]}, (3, 6), {})
EMBEDDING = ("Embedding", {"input_dim": 9, "output_dim": 7}, (2, 5), {})
TIED = (
    "ReversibleEmbedding",
    {"input_dim": 9, "output_dim": 7, "logit_soft_cap": 2.0},
    (2, 7),
    {"reverse": True},
)
UNTIED = (
    "ReversibleEmbedding",
    {"input_dim": 9, "output_dim": 7, "tie_weights": False},
    (2, 7),
    {"reverse": True},
)
WIDE = ("ReversibleEmbedding", {"input_dim": 9, "output_dim": 7, "reverse_dtype": "float32"}, (2, 5), {})

LAYERS = [DENSE, WITHOUT_BIAS, EINSUM, HEADS, TURNED, EMBEDDING, TIED, UNTIED, WIDE]
TRAINED = [DENSE, WITHOUT_BIAS, EINSUM]


def name_of(value: Any) -> str:
    return value if isinstance(value, str) else "-".join([value[0], *map(str, value[1].values())])


def int4(module: Any, **options: Any) -> Any:
    return module.quantizers.Int4QuantizationConfig(**options)


def int8(module: Any, **options: Any) -> Any:
    return module.quantizers.Int8QuantizationConfig(**options)


def per_axis(module: Any, *axes: Any) -> list[Any]:
    return [module.quantizers.AbsMaxQuantizer(axis=axis) for axis in axes]


CONFIGS: dict[str, Any] = {
    "int8": "int8",
    "int8 weights only": lambda k: int8(k, activation_quantizer=None),
    "int4": "int4",
    "int4 in threes": lambda k: int4(k, block_size=3),
    "int4 whole": lambda k: int4(k, block_size=None),
    "int4 with inputs": lambda k: int4(k, block_size=-1, activation_quantizer=per_axis(k, -1)[0]),
}


@functools.cache
def oracle() -> Any:
    with quiet():
        import keras
    return keras


class Ours:
    """The package, with the names that `keras` has."""

    layers = layers
    quantizers = quantizers
    KerasTensor = KerasTensor


def inputs_of(case: Any) -> Any:
    name, config, shape, call = case
    random = np.random.default_rng(0)
    if "Embedding" in name and not call.get("reverse"):
        return random.integers(0, config["input_dim"], shape).astype("int32")
    return random.normal(size=shape).astype("float32")


def pair(case: Any, dtype: Any = None, **extra: Any) -> tuple[Any, Any]:
    """Return our layer and that of Keras, with the same random weights."""
    name, config, *_ = case
    built = []
    for module in (Ours, oracle()):
        layer = getattr(module.layers, name)(**config, **extra, dtype=dtype, name="layer")
        # Symbolically: a call on values compiles each operation.
        x = inputs_of(case)
        layer(module.KerasTensor(x.shape, str(x.dtype)), **case[3])
        built.append(layer)
    ours, theirs = built
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]
    random = np.random.default_rng(1)
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        value = random.normal(size=mine.shape)
        mine.assign(value)
        other.assign(value)
    return ours, theirs


def quantize(case: Any, config: Any, **kwargs: Any) -> tuple[Any, Any]:
    both = pair(case, **kwargs)
    for module, layer in zip((Ours, oracle()), both, strict=True):
        if callable(config):
            layer.quantize(config=config(module))
        else:
            layer.quantize(config)
    return both


def described(layer: Any) -> list[Any]:
    return [(v.path, tuple(v.shape), v.dtype, v.trainable) for v in layer.weights]


def stored(layer: Any) -> list[Any]:
    store: dict[str, Any] = {}
    layer.save_own_variables(store)
    return [np.asarray(store[str(i)]) for i in range(len(store))]


def assert_same_files(ours: Any, theirs: Any) -> None:
    for mine, other in zip(stored(ours), stored(theirs), strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_allclose(mine, other, rtol=1e-6)


OF_ALL = ["int8", "int4", "int4 in threes", "int4 whole"]
OF_PRODUCTS = ["int8 weights only", "int4 with inputs"]


@pytest.mark.parametrize(
    ("case", "config"),
    [*itertools.product(LAYERS, OF_ALL), *itertools.product([DENSE, EINSUM, TIED], OF_PRODUCTS)],
    ids=name_of,
)
def test_variables_files_and_numbers_are_those_of_keras(case: Any, config: str) -> None:
    ours, theirs = quantize(case, CONFIGS[config])
    assert described(ours) == described(theirs)
    assert ours.dtype_policy.name == theirs.dtype_policy.name
    assert_same_files(ours, theirs)
    x = inputs_of(case)
    values = [jax.jit(functools.partial(layer, **case[3]))(x) for layer in (ours, theirs)]
    np.testing.assert_allclose(*values, rtol=1e-5, atol=1e-5)
    mine, other = (
        plain(serialize(layer))
        for serialize, layer in (
            (serialize_keras_object, ours),
            (oracle().saving.serialize_keras_object, theirs),
        )
    )
    assert mine["config"] == other["config"]


@pytest.mark.parametrize("config", ["int8", "int4", "int4 in threes"])
@pytest.mark.parametrize("case", [DENSE, EINSUM, EMBEDDING, UNTIED], ids=name_of)
def test_a_config_makes_the_quantized_layer_again(case: Any, config: str) -> None:
    ours, theirs = quantize(case, CONFIGS[config])
    again = deserialize_keras_object(plain(oracle().saving.serialize_keras_object(theirs)))
    x = inputs_of(case)
    again(x, **case[3])
    assert described(again) == described(ours)
    again.load_own_variables({str(i): value for i, value in enumerate(stored(theirs))})
    np.testing.assert_array_equal(again(x, **case[3]), ours(x, **case[3]))
    back = oracle().saving.deserialize_keras_object(plain(serialize_keras_object(ours)))
    back(x, **case[3])
    back.load_own_variables({str(i): value for i, value in enumerate(stored(ours))})
    np.testing.assert_allclose(back(x, **case[3]), ours(x, **case[3]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("config", ["int8", "int4", "int4 in threes", "float8"])
@pytest.mark.parametrize("case", [DENSE, EINSUM, EMBEDDING], ids=name_of)
def test_sixteen_bits(case: Any, config: str) -> None:
    if config == "float8" and case is EMBEDDING:
        return
    ours, theirs = quantize(case, CONFIGS.get(config, config), dtype="mixed_bfloat16")
    assert described(ours) == described(theirs)
    x = inputs_of(case)
    mine, other = ours(x), theirs(x)
    assert mine.dtype == other.dtype
    np.testing.assert_allclose(mine.astype("float32"), other.astype("float32"), rtol=2e-2, atol=5e-2)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("case", [DENSE, EINSUM], ids=name_of)
def test_the_gradient_passes_through_the_rounding(case: Any, config: str) -> None:
    ours, theirs = quantize(case, CONFIGS[config])
    x = jnp.asarray(inputs_of(case))
    weight = jnp.asarray(np.random.default_rng(2).normal(size=ours(x).shape))
    mine, other = (
        jax.jit(jax.grad(lambda x, layer=layer: jnp.sum(weight * layer(x))))(x) for layer in (ours, theirs)
    )
    np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", TRAINED, ids=name_of)
def test_float8_trains_its_scales(case: Any, training: bool) -> None:
    ours, theirs = quantize(case, "float8")
    assert described(ours) == described(theirs)
    assert_same_files(ours, theirs)
    x = jnp.asarray(inputs_of(case))
    weight = jnp.asarray(np.random.default_rng(2).normal(size=ours(x).shape))
    values = []
    for layer in (ours, theirs):
        state = [v.value for v in layer.trainable_variables]
        fixed = [v.value for v in layer.non_trainable_variables]

        def loss(state: Any, x: Any, layer: Any = layer, fixed: Any = fixed) -> Any:
            y, _ = layer.stateless_call(state, fixed, x, training=training)
            return jnp.sum(weight * y), y

        slopes, found = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True)), []
        for factor in (1.0, 3.0, 0.5):
            gradients, y = slopes(state, factor * x)
            found.append([y, *jax.tree.leaves(gradients)])
            # What the optimizer does: scales and histories become their gradient.
            state = [
                g if v.overwrite_with_gradient else s - 0.1 * g
                for v, s, g in zip(layer.trainable_variables, state, gradients[0], strict=True)
            ]
        values.append(found)
    # One unit of an 8-bit float is a quarter to an eighth: the same rounding, or the numbers are far apart.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), *values)


@pytest.mark.parametrize("config", ["int8", "int4", "int4 in threes"])
@pytest.mark.parametrize(
    ("case", "first"),
    [*itertools.product([DENSE, EINSUM, EMBEDDING], ["quantize"]), (DENSE, "lora")],
    ids=name_of,
)
def test_a_low_rank_update_on_top(case: Any, config: str, first: str) -> None:
    if first == "quantize":
        ours, theirs = quantize(case, CONFIGS[config])
        for layer in (ours, theirs):
            layer.enable_lora(2, lora_alpha=3)
    else:
        ours, theirs = quantize(case, CONFIGS[config], lora_rank=2, lora_alpha=3)
    assert described(ours) == described(theirs)
    random = np.random.default_rng(3)
    for mine, other in zip(ours.trainable_weights, theirs.trainable_weights, strict=True):
        value = random.normal(size=mine.shape)
        mine.assign(value)
        other.assign(value)
    if first == "lora":
        # With `lora_rank` as an argument, `Dense` and `Embedding` of Keras forget `lora_alpha`.
        theirs.lora_alpha = 3
    x = inputs_of(case)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    assert_same_files(ours, theirs)
    merged = getattr(layers, case[0])(**case[1])
    merged(x)
    merged.quantize(ours.quantization_mode, config=ours.quantization_config)
    merged.load_own_variables({str(i): value for i, value in enumerate(stored(ours))})
    ours.load_own_variables({str(i): value for i, value in enumerate(stored(ours))})
    np.testing.assert_array_equal(ours(x), merged(x))


def test_a_policy_given_later_quantizes() -> None:
    for module in (Ours, oracle()):
        layer = module.layers.Dense(3, name="layer")
        layer(np.ones((2, 4), "float32"))
        layer.dtype_policy = "int8_from_float32"
        assert (layer.kernel.dtype, layer.quantization_mode) == ("int8", "int8")


def test_an_ellipsis_is_quantized_too() -> None:
    # Keras fails on it: it asks for the length of a number of axes.
    x = np.random.default_rng(0).normal(size=(2, 3, 8)).astype("float32")
    for equation in ("...x,xy->...y", "ab...,bc->ac..."):
        layer = layers.EinsumDense(equation, output_shape=4)
        before = layer(x)
        layer.quantize("int8")
        np.testing.assert_allclose(layer(x), before, atol=0.05)


def test_a_layer_of_ones_own_can_say_how() -> None:
    class Scale(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones")

        def call(self, x: Any) -> Any:
            return x * self.factor.value.astype(x.dtype)

        def quantize(self, mode: Any = None, type_check: bool = True, config: Any = None) -> None:
            value = self.factor.value
            del self.factor
            self.factor = self.add_weight(shape=value.shape, dtype=mode, trainable=False, initializer="zeros")
            self.factor.assign(value)

    layer = Scale(name="scale")
    layer(jnp.ones((2, 3)))
    layer.quantize("int8")
    assert [(v.dtype, v.path) for v in layer.weights] == [("int8", f"scale/{layer.factor.name}")]
    assert layer(jnp.ones((2, 3))).tolist() == [[1, 1, 1]] * 2


def test_open_sizes_flow_through() -> None:
    for config in (*CONFIGS.values(), "float8"):
        layer = layers.Dense(4)
        layer.build((None, 6))
        layer.quantize(config=config(Ours) if callable(config) else config)
        assert layer(layers.Input((None, 6))).shape == (None, None, 4)


REFUSED: list[Any] = [
    ({"mode": "int3"}, ValueError, "mode"),
    ({}, ValueError, "mode"),
    ({"mode": "int8", "config": "both"}, ValueError, "[Cc]ontradict"),
    ({"config": 3}, ValueError, "config"),
    ({"mode": "gptq"}, (ValueError, NotImplementedError), "(?i)gptq"),
]


@pytest.mark.parametrize(("arguments", "error", "match"), REFUSED)
def test_what_contradicts_itself_is_refused(arguments: Any, error: Any, match: str) -> None:
    for module in (Ours, oracle()):
        given = {**arguments, **({"config": int4(module)} if arguments.get("config") == "both" else {})}
        layer = module.layers.Dense(3)
        layer.build((2, 4))
        with pytest.raises(error, match=match):
            layer.quantize(**given)


def test_layers_that_cannot_say_so() -> None:
    for module in (Ours, oracle()):

        class Mine(module.layers.Dense):  # type: ignore[name-defined]
            """A layer whose call might know nothing of it."""

        unbuilt, dropout, mine = module.layers.Dense(3), module.layers.Dropout(0.1), Mine(3)
        half, embedding = module.layers.Dense(3, dtype="float16"), module.layers.Embedding(3, 4)
        for layer in (dropout, mine, half, embedding):
            layer.build((2, 4))
        with pytest.raises(ValueError, match="built"):
            unbuilt.quantize("int8")
        for layer, mode in ((dropout, "int8"), (mine, "int8"), (embedding, "float8")):
            with pytest.raises(NotImplementedError):
                layer.quantize(mode)
        with pytest.raises(ValueError, match="float16"):
            half.quantize("int8")
        mine.quantize("int8", type_check=False)
        with pytest.raises(ValueError, match="already"):
            mine.quantize("int8")
