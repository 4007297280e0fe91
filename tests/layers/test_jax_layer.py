"""`JaxLayer` and `FlaxLayer` against Keras: weights, numbers, state, random numbers, config.

Flax is heavy, so it is no requirement of the tests: where it is not installed, a small object with the two
methods of a Flax module stands in for it, and the comparison with Keras, which imports Flax, is left out.
"""

from __future__ import annotations

import importlib.util
import types
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasmagic
from kerasmagic import layers
from kerasmagic.foundation.registry import custom_object_scope
from tests.layers.evaluation import oracle, plain, quiet

HAS_FLAX = importlib.util.find_spec("flax") is not None
X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


def affine(params: Any, inputs: Any) -> Any:
    return inputs @ params["w"] + params["b"]


def affine_init(rng: Any, inputs: Any) -> Any:
    return {"w": jax.random.normal(rng, (inputs.shape[-1], 2)), "b": jnp.zeros(2)}


def counting(params: Any, state: Any, rng: Any, inputs: Any, training: Any) -> Any:
    y = inputs * params[0]
    if training:
        y = y * jax.random.bernoulli(rng, 0.5, y.shape)
        state = {"calls": state["calls"] + 1, "mean": 0.9 * state["mean"] + 0.1 * jnp.mean(inputs, 0)}
    return y - state["mean"], state


def counting_init(inputs: Any, rng: Any, training: Any) -> Any:
    assert training
    size = inputs.shape[-1]
    return [jax.random.uniform(rng, (size,))], {"calls": jnp.zeros((), "int32"), "mean": jnp.zeros(size)}


def pair(make: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Return our layer and that of Keras with the same weights; both draw the seeds that `seed` fixes."""
    ours, theirs = make(layers), make(oracle().layers)
    for layer in (ours, theirs):
        layer(X)
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        other.assign(mine.value)
    return ours, theirs


@pytest.fixture(autouse=True)
def keras_without_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Keras make parameters: on JAX too it asks TensorFlow whether that is tracing."""
    with quiet():
        from keras.src.utils import jax_layer
    monkeypatch.setattr(jax_layer, "tf", types.SimpleNamespace(inside_function=lambda: False))


def described(layer: Any) -> list[Any]:
    return [(tuple(v.shape), v.dtype, v.trainable) for v in layer.weights]


def same(ours: Any, theirs: Any) -> None:
    assert described(ours) == described(theirs)
    for mine, other in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(mine, np.asarray(other), rtol=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        {"call_fn": affine, "init_fn": affine_init},
        {"call_fn": affine, "params": {"w": np.ones((3, 2), "float32"), "b": 1.5}},
        {"call_fn": counting, "init_fn": counting_init, "seed": 3},
        {"call_fn": lambda inputs: 2 * inputs},
        {"call_fn": affine, "init_fn": affine_init, "dtype": "mixed_bfloat16"},
    ],
)
def test_it_does_what_that_of_keras_does(arguments: Any) -> None:
    ours, theirs = pair(lambda library: library.JaxLayer(**arguments, name="layer"))
    same(ours, theirs)
    for training in (False, True, True):
        mine, other = ours(X, training=training), theirs(X, training=training)
        assert mine.dtype == other.dtype
        np.testing.assert_allclose(mine.astype("float32"), other.astype("float32"), rtol=1e-5)
    same(ours, theirs)
    assert ours(layers.Input((3,))).shape == (None, *ours(X).shape[1:])


def test_it_trains_and_keeps_its_state() -> None:
    model = kerasmagic.Sequential([kerasmagic.Input((3,)), layers.JaxLayer(counting, counting_init, seed=1)])
    model.compile("sgd", "mse")
    before = [v.numpy() for v in model.layers[0].weights]
    model.fit(X, X, batch_size=2, epochs=3, verbose=0)
    scale, calls, mean = model.layers[0].weights
    assert int(calls.value) == 6
    assert np.abs(mean.numpy()).sum() > 0
    assert not np.allclose(scale.numpy(), before[0])


def test_structures_flow_in_and_out() -> None:
    def call(params: Any, inputs: Any) -> Any:
        left, right = inputs["left"], inputs["right"]
        return {"sum": left + right, "scaled": params * left}

    layer = layers.JaxLayer(call, params=np.float32(2.0))
    y = layer({"left": X, "right": X})
    np.testing.assert_allclose(y["sum"], y["scaled"])
    spec = layer({"left": layers.Input((3,)), "right": layers.Input((3,))})
    assert (spec["sum"].shape, len(layer.trainable_weights)) == ((None, 3), 1)


def test_its_config_is_that_of_keras() -> None:
    ours, theirs = pair(lambda library: library.JaxLayer(affine, affine_init, name="layer"))
    mine, other = plain(ours.get_config()), plain(theirs.get_config())
    # Keras writes every function as one of module `builtins`, and finds it by its name alone.
    for name in ("call_fn", "init_fn"):
        assert mine.pop(name)["config"] == other.pop(name)["config"]
    assert mine == other
    with custom_object_scope({"affine": affine, "affine_init": affine_init}):
        again = layers.JaxLayer.from_config(plain(ours.get_config()))
    assert (again.call_fn, again.init_fn) == (affine, affine_init)
    again(X)
    again.set_weights(ours.get_weights())
    np.testing.assert_array_equal(again(X), ours(X))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"call_fn": lambda params: params, "params": 1.0}, "inputs"),
        ({"call_fn": lambda params, inputs, key: inputs, "params": 1.0}, "key"),
        ({"call_fn": affine}, "cannot all be"),
        ({"call_fn": affine, "init_fn": lambda rng: rng}, "inputs"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: Any, match: str) -> None:
    for library in (layers, oracle().layers):
        with pytest.raises(ValueError, match=match):
            library.JaxLayer(**arguments)


def test_a_state_of_another_structure_is_refused() -> None:
    layer = layers.JaxLayer(lambda state, inputs: (inputs, {"other": 1.0}), state={"count": 0.0})
    with pytest.raises(ValueError, match="Structure mismatch"):
        layer(X)


class StandIn:
    """What `FlaxLayer` needs of a Flax module: `init`, `apply` and a `__call__` to read the arguments from."""

    def __call__(self, inputs: Any, training: bool) -> Any: ...

    def init(self, rngs: Any, inputs: Any, method: Any = None, training: bool = True) -> Any:
        assert set(rngs) == {"params", "dropout"}
        size = inputs.shape[-1]
        return {"params": {"w": jnp.full(size, 2.0)}, "stats": {"mean": jnp.zeros(size)}}

    def apply(self, variables: Any, inputs: Any, rngs: Any, method: Any, mutable: Any, training: bool) -> Any:
        mean = variables["stats"]["mean"]
        if not training:
            assert rngs == {}
            return inputs * variables["params"]["w"] - mean, {"stats": {"mean": mean}}
        drawn = jax.random.uniform(rngs["dropout"], inputs.shape)
        kept = {name: {"mean": mean + jnp.mean(inputs, 0)} for name in mutable}
        return inputs * variables["params"]["w"] * drawn, kept

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> StandIn:
        return cls(**config)


def test_a_module_with_state() -> None:
    layer = layers.FlaxLayer(StandIn(), seed=1)
    np.testing.assert_allclose(layer(X), 2 * X)
    w, mean = layer.weights
    assert ([v.trainable for v in (w, mean)], w.shape) == ([True, False], (3,))
    first, second = layer(X, training=True), layer(X, training=True)
    assert not np.allclose(first, second)
    np.testing.assert_allclose(mean.numpy(), 2 * X.mean(0), rtol=1e-5)
    given = {"params": {"w": jnp.ones(3)}, "stats": {"mean": jnp.ones(3)}}
    np.testing.assert_allclose(layers.FlaxLayer(StandIn(), variables=given)(X), X - 1)


def test_a_module_is_made_again() -> None:
    layer = layers.FlaxLayer(StandIn())
    with custom_object_scope({"StandIn": StandIn}):
        again = layers.FlaxLayer.from_config(plain(layer.get_config()))
        with pytest.raises(ValueError, match="public methods"):
            layers.FlaxLayer.from_config({**plain(layer.get_config()), "method": "__init_subclass__"})
    assert isinstance(again.module, StandIn)
    np.testing.assert_allclose(again(X), layer(X))


@pytest.mark.skipif(not HAS_FLAX, reason="flax is not installed")
@pytest.mark.filterwarnings("ignore")
def test_flax_modules_as_in_keras() -> None:
    import flax.linen as nn

    class Net(nn.Module):
        @nn.compact
        def __call__(self, inputs: Any, training: bool) -> Any:
            x = nn.BatchNorm(use_running_average=not training)(nn.Dense(5)(inputs))
            return nn.Dense(2)(nn.Dropout(0.5, deterministic=not training)(x))

        def forward(self, inputs: Any) -> Any:
            return self(inputs, False)

    module = Net()
    for method in (None, module.forward):
        both = pair(lambda library, m=method: library.FlaxLayer(module, method=m, seed=3, name="layer"))
        for training in (False, True, True):
            mine, other = (layer(X, training=training) for layer in both)
            np.testing.assert_allclose(mine, other, rtol=1e-5)
        same(*both)
