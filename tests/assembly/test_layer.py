"""%%layer definitions become Layer subclasses."""

import jax
import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.assembly import define, define_layer
from kerasmagic.foundation.errors import DefinitionError

LINEAR = """input (..., n)
weight kernel (n, units) glorot_uniform
weight bias (units,) zeros
x @ kernel + bias"""


@pytest.fixture
def linear():
    return define_layer("Linear(units=32)", LINEAR)


def test_a_defined_layer_is_a_layer(linear):
    layer = linear(4)
    y = layer(np.ones((2, 3), "float32"))
    assert issubclass(linear, keras.layers.Layer)
    assert linear.__name__ == "Linear"
    assert [(w.name, w.shape) for w in layer.weights] == [("kernel", (3, 4)), ("bias", (4,))]
    np.testing.assert_allclose(y, np.ones((2, 3)) @ layer.kernel.numpy(), rtol=1e-6)


def test_its_config_makes_it_again(linear):
    layer = linear(units=5, name="five")
    config = layer.get_config()
    assert config["units"] == 5
    assert linear.from_config(config).get_config() == config


def test_it_works_symbolically_in_models_and_in_files(linear, tmp_path):
    model = define("input 3\nLinear 4 -> relu -> Linear 2", {"Linear": linear})
    assert model.output_shape == (None, 2)
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 3)), np.zeros((4, 2)), verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", custom_objects={"Linear": linear})
    np.testing.assert_array_equal(again(np.ones((1, 3))), model(np.ones((1, 3))))


def test_chains_of_steps_and_other_layers(linear):
    block = define_layer("MLPBlock", "Linear 32 -> relu -> Linear 32 -> relu -> Linear 1", {"Linear": linear})
    layer = block()
    assert layer(np.ones((3, 64), "float32")).shape == (3, 1)
    assert len(layer.weights) == 6


def test_named_chains_parameters_and_dimensions():
    swiglu = define_layer(
        "SwiGLU(hidden, dropout=0.0)",
        "input (..., d)\ngate = dense hidden silu\nup = x -> dense hidden\ngate * up -> drop dropout -> dense d",
    )
    layer = swiglu(8)
    assert layer(np.ones((2, 5, 3), "float32")).shape == (2, 5, 3)
    assert layer(keras.Input((None, 3))).shape == (None, None, 3)
    assert len(layer.weights) == 6


def test_state_is_assigned_and_not_trained():
    counter = define_layer("Counter", "state total () zeros\ntotal := total + jnp.sum(x)\nx")
    layer = counter()
    layer(np.ones((2, 3), "float32"))
    layer(np.ones((2, 3), "float32"))
    assert float(layer.total.value) == 12.0
    assert layer.trainable_weights == []
    _, (total,) = jax.jit(layer.stateless_call)([], [layer.total.value], np.ones((1, 1), "float32"))
    assert float(total) == 13.0


def test_key_training_and_frozen():
    noise = define_layer(
        "Noise(scale=1.0)",
        "input (..., n)\nweight shift (n,) ones frozen\nx + shift + scale * training * jax.random.normal(key, x.shape)",
    )
    layer = noise()
    x = np.zeros((2, 3), "float32")
    np.testing.assert_array_equal(layer(x, training=False), np.ones((2, 3)))
    assert not np.array_equal(layer(x, training=True), layer(x, training=True))
    assert layer.trainable_weights == []


def test_several_inputs():
    bilinear = define_layer(
        "Bilinear",
        "input a (..., n)\ninput b (..., m)\nweight w (n, m)\njnp.einsum('...i,ij,...j->...', a, w, b)",
    )
    layer = bilinear()
    assert layer(np.ones((2, 3), "float32"), np.ones((2, 4), "float32")).shape == (2,)


def test_gradients_flow(linear):
    layer = linear(2)
    layer.build((None, 3))

    def loss(values):
        return (layer.stateless_call(values, [], np.ones((4, 3), "float32"))[0] ** 2).sum()

    gradients = jax.grad(loss)([v.value for v in layer.trainable_variables])
    assert [g.shape for g in gradients] == [(3, 2), (2,)]


@pytest.mark.parametrize(
    ("header", "body", "message"),
    [
        ("Linear(units=3)", "input (..., n)\nweight k (n, unit)\nx @ k", "Did you mean 'units'"),
        ("Linear", "x @ kernal", "kernal"),
        ("Linear", "", "computes nothing"),
        ("Linear(", "x", "."),
        ("1Linear", "x", "."),
    ],
)
def test_mistakes_in_the_text(header, body, message):
    with pytest.raises(DefinitionError, match=message):
        define_layer(header, body)


def test_a_failing_expression_shows_its_line_and_shapes():
    wrong = define_layer("Wrong", "input (..., n)\nweight k (7, 2)\nx @ k")
    with pytest.raises(ValueError, match=r"%%layer Wrong, line 4: 'x @ k' failed for k \(7, 2\), x \(2, 3\)"):
        wrong()(np.ones((2, 3), "float32"))


def test_a_shape_that_does_not_fit_the_pattern():
    layer = define_layer("Pairs", "input (..., 2)\nx[..., 0]")()
    with pytest.raises(ValueError, match=r"must have the shape \(\.\.\., 2\), but \(5, 3\) came"):
        layer(np.ones((5, 3), "float32"))


def test_an_open_dimension_cannot_size_a_weight(linear):
    with pytest.raises(ValueError, match="'n', which is open"):
        linear(3)(keras.Input((4, None)))


def test_arguments_are_checked(linear):
    with pytest.raises(ValueError, match="Linear"):
        linear(1, 2, 3)
