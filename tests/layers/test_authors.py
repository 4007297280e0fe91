"""The layer API as authors use it: layers written as Keras' guides write them, for both libraries."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasmagic

X = np.arange(12, dtype="float32").reshape(3, 4) / 10


@pytest.fixture(params=["kerasmagic", "keras"])
def library(request: pytest.FixtureRequest, keras: ModuleType) -> Any:
    """Return each library in turn: what a guide's code does in one, it must do in the other."""
    return kerasmagic if request.param == "kerasmagic" else keras


def linear(library: Any) -> Any:
    """Return the guides' first layer."""

    class Linear(library.layers.Layer):
        def __init__(self, units: int = 32, **kwargs: Any):
            super().__init__(**kwargs)
            self.units = units

        def build(self, input_shape: Any) -> None:
            shape = (input_shape[-1], self.units)
            self.w = self.add_weight(shape=shape, initializer="ones", trainable=True, name="w")
            self.b = self.add_weight(shape=(self.units,), initializer="zeros", trainable=True, name="b")

        def call(self, inputs: Any) -> Any:
            return library.ops.matmul(inputs, self.w) + self.b

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    return Linear


def paths(variables: list[Any]) -> list[str]:
    return [v.path.partition("/")[2] for v in variables]


def test_several_inputs_are_built_by_name(library: Any) -> None:
    class Pair(library.layers.Layer):
        def build(self, a_shape: Any, b_shape: Any) -> None:
            self.w = self.add_weight(shape=(a_shape[-1], b_shape[-1]), initializer="ones")

        def call(self, a: Any, b: Any) -> Any:
            return library.ops.matmul(library.ops.matmul(a, self.w), library.ops.transpose(b))

    layer = Pair()
    assert layer(X, b=X[:, :2]).shape == (3, 3)
    assert layer.get_build_config() == {"shapes_dict": {"a_shape": (3, 4), "b_shape": (3, 2)}}
    other = Pair()
    other.build_from_config(layer.get_build_config())
    assert tuple(other.w.shape) == (4, 2)
    assert other.compute_output_spec(library.KerasTensor((5, 4)), library.KerasTensor((7, 2))).shape == (
        5,
        7,
    )


def test_a_dict_and_a_list_of_inputs(library: Any) -> None:
    class Select(library.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight(shape=(input_shape["left"][-1], 2), initializer="ones")

        def call(self, inputs: Any) -> Any:
            return library.ops.matmul(inputs["left"], self.w), inputs["right"][0] + inputs["right"][1]

    inputs = {"left": X, "right": [X, X]}
    a, b = Select()(inputs)
    assert (a.shape, b.shape) == ((3, 2), (3, 4))
    symbols = {"left": library.Input((4,)), "right": [library.Input((4,)), library.Input((4,))]}
    assert [tuple(t.shape) for t in Select()(symbols)] == [(None, 2), (None, 4)]


def test_nested_and_shared_layers_in_lists_and_dicts(library: Any) -> None:
    class Block(library.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.shared = library.layers.Dense(4, name="shared")
            self.many = [library.layers.Dense(4, name="first"), self.shared]
            self.heads = {"out": library.layers.Dense(2, name="out")}
            self.scales: list[Any] = []

        def build(self, input_shape: Any) -> None:
            self.scales.append(self.add_weight(shape=(), initializer="ones", name="scale"))
            self.shared.build(input_shape)

        def call(self, x: Any) -> Any:
            for layer in self.many:
                x = layer(self.shared(x)) * self.scales[0]
            return self.heads["out"](x)

    block = Block()
    assert block(X).shape == (3, 2)
    wanted = [
        "scale",
        *(f"{name}/{part}" for name in ("shared", "first", "out") for part in ("kernel", "bias")),
    ]
    assert paths(block.weights) == wanted
    assert len(block.trainable_variables) == 7
    block.trainable = False
    assert block.trainable_variables == []
    assert not block.shared.trainable
    block.trainable = True
    block.shared.trainable = False
    assert paths(block.trainable_variables) == [w for w in wanted if "shared" not in w]
    assert len(block.non_trainable_variables) == 2


def test_losses_are_those_of_the_last_call(library: Any) -> None:
    class Sparse(library.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.dense = library.layers.Dense(2, kernel_initializer="ones", kernel_regularizer="l2")

        def call(self, x: Any) -> Any:
            self.add_loss(0.5 * library.ops.sum(x))
            return self.dense(x)

    layer = Sparse()
    for _ in range(2):
        layer(X)
    assert [float(loss) for loss in layer.losses] == pytest.approx([0.5 * X.sum(), 0.08])
    with pytest.raises(ValueError, match="add_loss"):
        layer.add_loss("none")


def test_metrics_in_a_layer(library: Any) -> None:
    class Endpoint(library.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.seen = library.metrics.Mean(name="seen")

        def call(self, x: Any) -> Any:
            self.seen.update_state(x)
            return x

    layer = Endpoint()
    layer(X)
    layer(X + 1)
    assert [m.name for m in layer.metrics] == ["seen"]
    assert float(layer.seen.result()) == pytest.approx(X.mean() + 0.5)
    assert layer.weights == []
    assert len(layer.metrics_variables) == 2


def test_masks_are_passed_and_computed(library: Any) -> None:
    class Last(library.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.supports_masking = True
            self.seen: Any = "nothing"

        def call(self, x: Any, mask: Any = None) -> Any:
            self.seen = mask
            return x[:, 1:]

        def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
            return None if mask is None else mask[:, 1:]

    layer = Last()
    x = library.layers.Embedding(5, 2, mask_zero=True)(np.array([[1, 0, 2], [3, 4, 0]]))
    y = layer(x)
    np.testing.assert_array_equal(layer.seen, [[True, False, True], [True, True, False]])
    np.testing.assert_array_equal(y._keras_mask, [[False, True], [True, False]])
    given = np.array([[True, True, True], [False, True, True]])
    layer(x, mask=given)
    np.testing.assert_array_equal(layer.seen, given)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        linear(library)(2)(x)
    assert any("does not support masking" in str(w.message) for w in caught)


def test_keywords_of_a_call(library: Any) -> None:
    class Scale(library.layers.Layer):
        def call(self, x: Any, factor: float = 1.0, *, shift: Any = None, training: bool = False) -> Any:
            x = x * factor if shift is None else x * factor + shift
            return -x if training else x

    layer = Scale()
    np.testing.assert_allclose(layer(X, factor=2.0, shift=X), 3 * X)
    np.testing.assert_allclose(layer(X, training=True), -X)
    assert layer(library.Input((4,)), factor=3.0).shape == (None, 4)
    with pytest.raises(ValueError, match="positional"):
        layer(X, 2.0)
    with pytest.raises(TypeError, match="faktor"):
        layer(X, faktor=2.0)


def test_a_declared_spec_is_the_result_of_a_symbolic_call(library: Any) -> None:
    class Table(library.layers.Layer):
        def call(self, x: Any) -> Any:
            return np.zeros((len(np.asarray(x)), 7))

        def compute_output_spec(self, x: Any) -> Any:
            return library.KerasTensor((x.shape[0], 7), dtype="int32")

    class Declared(library.layers.Layer):
        def call(self, x: Any) -> Any:
            return library.ops.concatenate([x, x], axis=-1)

        def compute_output_shape(self, input_shape: Any) -> Any:
            return (*input_shape[:-1], 2 * input_shape[-1])

    table = Table()(library.Input((3,)))
    assert (tuple(table.shape), table.dtype) == ((None, 7), "int32")
    assert Declared()(library.Input((3,))).shape == (None, 6)
    assert Declared().compute_output_shape((None, 5)) == (None, 10)


def test_every_argument_of_a_weight(library: Any) -> None:
    layer = library.layers.Layer(dtype="mixed_bfloat16")
    weight = layer.add_weight(
        shape=(2, 3),
        initializer=library.initializers.Constant(2.0),
        dtype="float16",
        trainable=False,
        autocast=False,
        regularizer=library.regularizers.L2(0.5),
        constraint="non_neg",
        aggregation="mean",
        overwrite_with_gradient=True,
        name="special",
    )
    assert (tuple(weight.shape), str(weight.dtype), weight.name) == ((2, 3), "float16", "special")
    assert (weight.trainable, weight.aggregation) == (False, "mean")
    assert weight.overwrite_with_gradient
    assert float(weight.regularizer(jnp.ones(()))) == 0.5
    assert type(weight.constraint).__name__ == "NonNeg"
    np.testing.assert_array_equal(weight, np.full((2, 3), 2.0))
    default = layer.add_weight()
    assert (tuple(default.shape), str(default.dtype), default.trainable) == ((), "float32", True)
    counter = layer.add_weight((4,), "zeros", "int32", trainable=False)
    assert str(counter.dtype) == "int32"
    assert [w is v for w, v in zip(layer.weights, [default, weight, counter], strict=True)] == [True] * 3
    frozen = library.layers.Layer(trainable=False)
    frozen.add_weight(shape=(2,))
    assert frozen.trainable_weights == []


def test_a_layer_in_plain_jax(library: Any) -> None:
    layer = linear(library)(2)
    layer.build((None, 4))
    trainable, state = [v.value for v in layer.trainable_variables], []

    def loss(weights: Any, x: Any) -> Any:
        outputs, _ = layer.stateless_call(weights, state, x)
        return jnp.sum(outputs**2)

    by_w, by_b = jax.jit(jax.grad(loss))(trainable, X)
    y = X @ np.ones((4, 2))
    np.testing.assert_allclose(by_w, 2 * X.T @ y, rtol=1e-5)
    np.testing.assert_allclose(by_b, 2 * y.sum(axis=0), rtol=1e-5)
    each = jax.vmap(lambda x: loss(trainable, x[None]))(X)
    np.testing.assert_allclose(each, (y**2).sum(axis=1), rtol=1e-5)
    moved = [w + 1 for w in trainable]
    np.testing.assert_allclose(layer.stateless_call(moved, state, X)[0], 2 * y + 1, rtol=1e-5)
    np.testing.assert_allclose(layer(X), y, rtol=1e-5)


def test_state_leaves_a_pure_call_and_stays_in_the_layer(library: Any) -> None:
    class Count(library.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.total = self.add_weight(shape=(4,), initializer="zeros", trainable=False)
            self.seeds = library.random.SeedGenerator(3)

        def call(self, x: Any) -> Any:
            self.total.assign_add(library.ops.sum(x, axis=0))
            return x + library.random.uniform(x.shape, seed=self.seeds)

    layer = Count()
    layer.build((3, 4))
    state = [v.value for v in layer.non_trainable_variables]
    step: Callable[[Any], Any] = jax.jit(lambda state: layer.stateless_call([], state, X))
    first, state = step(state)
    second, state = step(state)
    np.testing.assert_allclose(state[0], 2 * X.sum(axis=0), rtol=1e-6)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(layer.total, np.zeros(4))
    np.testing.assert_allclose(layer(X), first, rtol=1e-6)
    assert len(layer.weights) == 1


def test_each_layer_has_its_own_dtype(library: Any) -> None:
    class Mixed(library.layers.Layer):
        def __init__(self) -> None:
            super().__init__(dtype="mixed_float16")
            self.wide = library.layers.Dense(2, dtype="float32")
            self.narrow = library.layers.Dense(2, dtype="float16")
            self.same = library.layers.Dense(2, dtype=self.dtype_policy)

        def call(self, x: Any) -> Any:
            return x, self.wide(x), self.narrow(x), self.same(x)

    layer = Mixed()
    assert [str(y.dtype) for y in layer(X)] == ["float16", "float32", "float16", "float16"]
    parts = (layer.wide, layer.narrow, layer.same)
    assert [str(part.kernel.dtype) for part in parts] == ["float32", "float16", "float32"]
    assert (
        str(linear(library)(2, autocast=False, dtype="float16")(np.ones((1, 2), "int32")).dtype) == "float16"
    )


def test_a_config_makes_the_layer_again(library: Any) -> None:
    layer = linear(library)(5, name="mine", trainable=False, dtype="mixed_bfloat16")
    again = type(layer).from_config(layer.get_config())
    assert (again.units, again.name, again.trainable, again.dtype_policy.name) == (
        5,
        "mine",
        False,
        "mixed_bfloat16",
    )
    layer.build((None, 3))
    assert layer.get_build_config() == {"input_shape": (None, 3)}
    again.build_from_config(layer.get_build_config())
    assert tuple(again.w.shape) == (3, 5)


def test_names_that_clash(library: Any) -> None:
    class Twice(library.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.one = library.layers.Dense(4, name="same")
            self.two = library.layers.Dense(4, name="same")

        def call(self, x: Any) -> Any:
            return self.two(self.one(x))

    layer = Twice()
    layer(X)
    assert paths(layer.weights) == ["same/kernel", "same/bias"] * 2
    inputs = library.Input((4,))
    with pytest.raises(ValueError, match="same"):
        library.Model(inputs, layer.two(layer.one(inputs)))


def test_weights_made_at_the_wrong_time_are_refused(library: Any) -> None:
    layer = linear(library)(2)
    layer(X)
    with pytest.raises(ValueError, match="already built"):
        layer.more = library.layers.Dense(2)
    with pytest.raises(ValueError, match="weight"):
        layer.set_weights([np.ones((4, 2))])
    with pytest.raises(ValueError, match="shape"):
        layer.set_weights([np.ones((4, 3)), np.ones(2)])
