"""Rematerialized layers compute, learn and write what the others do, and say `remat` in their program."""

from __future__ import annotations

import re
import threading
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.core import remat
from kerasmagic.core.masking import get_keras_mask, set_keras_mask


def checkpoints(layer: Any, x: Any) -> int:
    """Return how many stretches of the layer's program are computed again."""

    def loss(state: Any, x: Any) -> Any:
        return jnp.sum(layer.stateless_call(state, fixed, x, training=True)[0])

    state, fixed = (
        [v.value for v in vs] for vs in (layer.trainable_variables, layer.non_trainable_variables)
    )
    return len(re.findall(r"\b(?:remat2|checkpoint)\[", str(jax.make_jaxpr(loss)(state, x))))


class TestModes:
    def made(self, **config: Any) -> dict[str, int]:
        x = jnp.ones((4, 3))
        with keras.RematScope(**config):
            found = {
                "small": keras.layers.Dense(2, activation="tanh", name="small"),
                "large": keras.layers.Dense(64, activation="tanh", name="large"),
                "bare": keras.layers.Identity(name="bare"),
            }
        for layer in found.values():
            layer(x)
        return {name: checkpoints(layer, x) for name, layer in found.items()}

    def test_full(self) -> None:
        assert self.made() == {"small": 1, "large": 1, "bare": 1}

    def test_larger_than(self) -> None:
        found = self.made(mode="larger_than", output_size_threshold=100)
        assert found == {"small": 0, "large": 1, "bare": 0}

    def test_list_of_layers(self) -> None:
        found = self.made(mode="list_of_layers", layer_names=["small"])
        assert found == {"small": 1, "large": 0, "bare": 0}

    def test_activations(self) -> None:
        assert self.made(mode="activations") == {"small": 1, "large": 1, "bare": 0}

    def test_none_inside_of_full(self) -> None:
        x = jnp.ones((4, 3))
        with keras.RematScope():
            with keras.RematScope(mode=None):
                inner = keras.layers.Dense(2)
            outer = keras.layers.Dense(2)
        inner(x), outer(x)
        assert (checkpoints(inner, x), checkpoints(outer, x)) == (0, 1)

    def test_an_unknown_mode_is_refused(self) -> None:
        with pytest.raises(ValueError, match="'all'"):
            keras.RematScope(mode="all")

    def test_threads_do_not_see_the_scope(self) -> None:
        found: list[Any] = []
        with keras.RematScope():
            thread = threading.Thread(target=lambda: found.append(remat.current_mode()))
            thread.start()
            thread.join()
        assert found == [None]
        assert remat.current_mode() is None


class Everything(keras.layers.Layer):
    """Writes statistics, draws numbers, adds a loss, and keeps the mask of what it calls."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.normalize = keras.layers.BatchNormalization()
        self.drop = keras.layers.Dropout(0.5, seed=1)
        self.dense = keras.layers.Dense(4, activity_regularizer="l2", name="dense")
        self.supports_masking = True

    def call(self, x: Any, scale: float = 1.0, training: bool | None = None) -> Any:
        x = self.drop(self.normalize(x))
        self.add_loss(jnp.sum(x))
        return {"y": scale * self.dense(x), "note": "plain"}["y"]


def test_state_losses_and_masks_come_out() -> None:
    random = np.random.default_rng(0)
    x = jnp.asarray(random.normal(size=(3, 5, 4)), "float32")
    mask = jnp.asarray(random.integers(0, 2, (3, 5)).astype(bool))
    results = []
    for mode in (None, "full"):
        with keras.RematScope(mode=mode):
            layer = Everything()
        layer.build(x.shape)
        layer(x)
        for variable in layer.weights:
            variable.assign(np.random.default_rng(variable.size).uniform(0.5, 1, variable.shape))
        set_keras_mask(x, mask)
        y = layer(x, scale=2.0, training=True)
        np.testing.assert_array_equal(get_keras_mask(y), mask)
        results.append([y, layer.losses, [v.value for v in layer.variables]])
        state, fixed = (
            [v.value for v in vs] for vs in (layer.trainable_variables, layer.non_trainable_variables)
        )

        def loss(state: Any, layer: Any = layer, fixed: Any = fixed) -> Any:
            y, written, losses = layer.stateless_call(state, fixed, x, training=True, return_losses=True)
            return jnp.sum(y**2) + sum(losses), (written, losses)

        results[-1].append(jax.grad(loss, has_aux=True)(state))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *results)
    assert len(results[0][1]) == 2


def test_a_model_of_such_layers_learns_the_same() -> None:
    x = np.random.default_rng(0).normal(size=(16, 6)).astype("float32")
    losses = []
    for mode in (None, "full", "activations", "larger_than"):
        keras.utils.set_random_seed(0)
        with keras.RematScope(mode=mode, output_size_threshold=10):
            model = keras.Sequential(
                [
                    keras.Input((6,)),
                    keras.layers.Dense(8, activation="relu"),
                    keras.layers.BatchNormalization(),
                    keras.layers.Dropout(0.2, seed=3),
                    keras.layers.Dense(1),
                ]
            )
        model.compile("sgd", "mse")
        losses.append(model.fit(x, x[:, :1], epochs=2, verbose=0, shuffle=False).history["loss"])
    np.testing.assert_allclose(losses, [losses[0]] * 4, rtol=1e-5)


def test_remat_of_a_function_in_a_layer() -> None:
    class Twice(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(3)
            self.again = keras.remat(self.steps)

        def build(self, input_shape: Any) -> None:
            self.dense.build(input_shape)

        def steps(self, x: Any, times: int, name: str | None = None) -> Any:
            for _ in range(times):
                x = jnp.tanh(self.dense(x))
            return x, name

        def call(self, x: Any) -> Any:
            return self.again(x, 2, name="kept")[0]

    layer = Twice()
    x = jnp.ones((2, 3))
    assert layer(keras.Input((3,))).shape == (None, 3)
    np.testing.assert_allclose(layer(x), layer.steps(x, 2)[0], rtol=1e-6)
    assert checkpoints(layer, x) == 1
