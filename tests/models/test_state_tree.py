"""Variables by path, and the loss as a pure function, as Keras gives them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import jax
import numpy as np
import pytest

import kerasmagic


def model_of(library: Any) -> Any:
    layers = library.layers
    model = library.Sequential(
        [
            layers.Input((3,)),
            layers.BatchNormalization(name="norm"),
            layers.Dense(2, kernel_regularizer="l2", name="head"),
        ],
        name="net",
    )
    model.compile(library.optimizers.Adam(name="adam"), "mse", metrics=["mae"])
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    return model


def test_the_tree_is_that_of_keras(keras: ModuleType) -> None:
    ours, theirs = model_of(kerasmagic), model_of(keras)
    mine, expected = (model.get_state_tree("numpy_array") for model in (ours, theirs))
    assert jax.tree.structure(mine) == jax.tree.structure(expected)
    ours.set_state_tree(expected)
    for x, y in zip(
        jax.tree.leaves(ours.get_state_tree()), jax.tree.leaves(theirs.get_state_tree()), strict=True
    ):
        np.testing.assert_array_equal(x, y)


def test_a_part_may_be_set_and_a_wrong_part_is_named() -> None:
    model = model_of(kerasmagic)
    before = model.get_layer("norm").gamma.numpy()
    model.set_state_tree({"trainable_variables": {"net": {"head": {"kernel": np.zeros((3, 2))}}}})
    assert not model.get_layer("head").kernel.numpy().any()
    np.testing.assert_array_equal(model.get_layer("norm").gamma.numpy(), before)
    with pytest.raises(ValueError, match="Unknown variable name: trainable"):
        model.set_state_tree({"trainable": {}})
    with pytest.raises(ValueError, match="value_format=list"):
        model.get_state_tree("list")


def test_two_variables_of_one_path_are_refused() -> None:
    class Twins(kerasmagic.Model):
        def build(self, input_shape: Any) -> None:
            self.first, self.second = (self.add_weight((), name="same") for _ in range(2))

        def call(self, x: Any) -> Any:
            return x * self.first * self.second

    model = Twins(name="twins")
    model(np.ones(2))
    with pytest.raises(ValueError, match="found twice in the model: 'twins/same'"):
        model.get_state_tree()


def test_the_loss_is_a_pure_function(keras: ModuleType) -> None:
    ours, theirs = model_of(kerasmagic), model_of(keras)
    ours.set_state_tree(theirs.get_state_tree("numpy_array"))
    x, y = np.ones((4, 3), "float32"), np.zeros((4, 2), "float32")
    results = []
    for model in (ours, theirs):
        kinds = (model.trainable_variables, model.non_trainable_variables, model.metrics_variables)
        values = [[v.value for v in kind] for kind in kinds]
        loss, new = model.stateless_compute_loss(*values, x=x, y=y, y_pred=model(x))
        results.append((np.asarray(loss), [[np.asarray(v) for v in kind] for kind in new]))
    (loss, new), (their_loss, their_new) = results
    np.testing.assert_allclose(loss, their_loss, rtol=1e-6)
    for x, y in zip(jax.tree.leaves(new), jax.tree.leaves(their_new), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6)
