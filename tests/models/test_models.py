"""Sequential, functional and subclassed models as structures: shapes, graphs, names, configs, summaries."""

import jax.numpy as jnp
import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic import layers


def two_branches():
    a, b = keras.Input((4,), name="a"), keras.Input((6,), name="b")
    x = layers.Concatenate(name="both")([layers.Dense(3, name="da")(a), layers.Dense(3, name="db")(b)])
    skip = layers.Dense(6, name="mix")(x)
    y = layers.Add(name="sum")([x, skip])
    return keras.Model(
        [a, b], [layers.Dense(1, name="one")(y), layers.Dense(2, name="two")(y)], name="branches"
    )


def test_a_sequential_model_knows_its_shapes():
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(10)]
    )
    assert model.input_shape == (None, 8, 8, 1)
    assert model.output_shape == (None, 10)
    assert [layer.name.split("_")[0] for layer in model.layers] == ["conv2d", "flatten", "dense"]
    assert model(np.ones((2, 8, 8, 1))).shape == (2, 10)
    assert model.count_params() == 4 * 9 + 4 + 144 * 10 + 10


def test_a_sequential_model_without_input_is_built_by_its_first_call():
    model = keras.Sequential([layers.Dense(3), layers.Dense(1)])
    assert not model.built
    assert model(np.ones((2, 5))).shape == (2, 1)
    assert model.input_shape == (2, 5)


def test_input_shape_on_the_first_layer_works():
    with pytest.warns(UserWarning, match="Input"):
        model = keras.Sequential([layers.Dense(3, input_shape=(5,)), layers.Dense(1)])
    assert model.output_shape == (None, 1)


def test_layers_are_added_and_popped():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.add(layers.Dense(2))
    assert model.output_shape == (None, 2)
    model.pop()
    assert model.output_shape == (None, 3)
    with pytest.raises(ValueError, match="Only instances"):
        model.add("dense")


def test_a_graph_with_branches():
    model = two_branches()
    assert model.output_names == ["one", "two"]
    assert [layer.name for layer in model.layers] == [
        "a",
        "b",
        "da",
        "db",
        "both",
        "mix",
        "sum",
        "one",
        "two",
    ]
    one, two = model([np.ones((2, 4)), np.ones((2, 6))])
    assert (one.shape, two.shape) == ((2, 1), (2, 2))
    by_name = model({"a": np.ones((2, 4)), "b": np.ones((2, 6))})
    np.testing.assert_array_equal(one, by_name[0])


def test_a_shared_layer_counts_once():
    x = keras.Input((4,))
    dense = layers.Dense(4)
    model = keras.Model(x, dense(dense(x)))
    assert len(model.weights) == 2
    value = np.ones((1, 4), "float32")
    np.testing.assert_allclose(model(value), dense(dense(jnp.asarray(value))), rtol=1e-6)


def test_a_part_of_a_graph_is_a_model():
    model = two_branches()
    features = keras.Model(model.inputs, model.get_layer("both").output)
    assert features([np.ones((1, 4)), np.ones((1, 6))]).shape == (1, 6)
    head = keras.Model(model.get_layer("both").output, model.get_layer("sum").output)
    assert head(np.ones((1, 6))).shape == (1, 6)


def test_a_model_is_a_layer_of_another():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    x = keras.Input((4,))
    outer = keras.Model(x, layers.Dense(1)(inner(x)))
    assert outer.output_shape == (None, 1)
    assert len(outer.weights) == 4


def test_a_subclassed_model():
    class Twice(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x, training=None):
            return 2 * self.dense(x)

    model = Twice()
    assert model(np.ones((3, 4))).shape == (3, 2)
    assert len(model.weights) == 2


def test_a_subclass_can_be_a_graph():
    class Wide(keras.Model):
        def __init__(self, units):
            inputs = keras.Input((3,))
            super().__init__(inputs, layers.Dense(units)(inputs))

    model = Wide(5)
    assert model.output_shape == (None, 5)
    assert model(np.ones((2, 3))).shape == (2, 5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: keras.Model(keras.Input((2,)), keras.Input((3,))), "disconnected"),
        (lambda: keras.Model(keras.Input((2,)), np.ones(3)), "KerasTensor"),
        (lambda: two_branches()([np.ones((1, 4))]), r"expects 2 input\(s\)"),
        (
            lambda: two_branches()([np.ones((1, 4)), np.ones((1, 5))]),
            r"input 'b'.*expected shape \(None, 6\)",
        ),
        (lambda: two_branches().get_layer("dA"), "Did you mean 'da'"),
        (lambda: two_branches().get_layer(index=99), "only|has 9 layers"),
    ],
)
def test_bad_graphs_are_explained(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_two_layers_of_one_name_are_refused():
    x = keras.Input((2,))
    with pytest.raises(ValueError, match="unique"):
        keras.Model(x, layers.Dense(1, name="d")(layers.Dense(2, name="d")(x)))


def test_operators_on_symbolic_tensors_are_part_of_the_graph():
    x = keras.Input((4,))
    model = keras.Model(x, (2 * x + 1)[:, :2])
    np.testing.assert_array_equal(model(np.ones((1, 4), "float32")), [[3, 3]])


def test_configs_make_the_same_model_again():
    for model in (
        two_branches(),
        keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dropout(0.5)]),
    ):
        again = type(model).from_config(model.get_config())
        assert again.get_config() == model.get_config()
        again.set_weights(model.get_weights())
        x = [np.ones((2, 4)), np.ones((2, 6))] if len(model.inputs) == 2 else np.ones((2, 4))
        for ours, theirs in zip(keras.tree.flatten(model(x)), keras.tree.flatten(again(x)), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_deep_graph_does_not_exhaust_the_stack():
    x = inputs = keras.Input((1,))
    for _ in range(1200):
        x = layers.Activation("relu")(x)
    assert len(keras.Model(inputs, x).layers) == 1201


def test_rows_name_open_dimensions():
    x = keras.Input((None, 8))
    model = keras.Model(x, layers.Dense(3)(x))
    assert [row.output_shape for row in model.rows()] == [("batch", "time", 8), ("batch", "time", 3)]


def test_a_layer_put_on_top_is_drawn_alone():
    calls = []

    class Counted(layers.Dense):
        def call(self, inputs, training=None):
            calls.append(self.name)
            return super().call(inputs, training)

    names = [f"d{i}" for i in range(6)]
    model = keras.Sequential([keras.Input((3,))])
    for name in names:
        model.add(Counted(2, name=name))
    assert calls == names
    assert [len(layer._inbound_nodes) for layer in model.layers] == [1] * 6
    assert model.weights[-1].path == f"{model.name}/d5/bias"
    x = np.ones((4, 3), "float32")
    expected = x
    for layer in model.layers:
        expected = layer(expected)
    np.testing.assert_allclose(model(x), expected, rtol=1e-6)
    # Layers that were put on without being drawn are drawn with the next.
    model.add(Counted(5, name="silent"), rebuild=False)
    model.add(Counted(7, name="last"))
    assert model.output_shape == (None, 7)
    model.pop()
    assert model.output_shape == (None, 5)
    with pytest.raises(ValueError, match="incompatible"):
        model.add(layers.Conv1D(2, 3, name="wrong"))
    model.pop()
    assert model.output_shape == (None, 5)
    assert model.predict(x, verbose=0).shape == (4, 5)


@pytest.mark.parametrize("kind", ["sequential", "functional", "own call"])
def test_shapes_that_the_graph_knows_are_not_inferred_again(kind):
    calls = []

    class Counted(layers.Dense):
        def call(self, inputs, training=None):
            calls.append(inputs.shape)
            return super().call(inputs, training)

    class Doubled(keras.Sequential):
        def call(self, inputs, training=None, mask=None):
            return jnp.repeat(super().call(inputs, training, mask), 2, axis=-1)

    stack = [keras.Input((None, 3)), Counted(2)]
    if kind == "functional":
        model = keras.Model(stack[0], stack[1](stack[0]))
    else:
        model = (Doubled if kind == "own call" else keras.Sequential)(stack)
    known = model.inputs
    calls.clear()
    outputs = model._outputs_for(keras.KerasTensor(known[0].shape))
    assert outputs.shape == (None, None, 4 if kind == "own call" else 2)
    assert len(calls) == (kind == "own call")
    # Sizes that were open, and sizes that do not fit.
    assert model._outputs_for(keras.KerasTensor((None, 7, 3))).shape[:2] == (None, 7)
    with pytest.raises(ValueError, match="3"):
        model._outputs_for(keras.KerasTensor((None, 7, 5)))
