"""Loops that users write in plain JAX, as Keras' guides write them."""

from __future__ import annotations

import jax
import numpy as np

import kerasmagic as keras

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 5)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")


def make_model():
    inputs = keras.Input(shape=(5,))
    x = keras.layers.Dense(8, activation="relu")(inputs)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(inputs, keras.layers.Dense(2)(x))


def test_a_loop_of_ones_own_gives_what_fit_gives():
    model = make_model()
    start = model.get_weights()
    optimizer = keras.optimizers.Adam(1e-2)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metric = keras.metrics.SparseCategoricalAccuracy()

    def compute_loss_and_updates(trainable, non_trainable, metric_variables, x, y):
        y_pred, non_trainable = model.stateless_call(trainable, non_trainable, x, training=True)
        metric_variables = metric.stateless_update_state(metric_variables, y, y_pred)
        return loss_fn(y, y_pred), (non_trainable, metric_variables)

    grad_fn = jax.value_and_grad(compute_loss_and_updates, has_aux=True)

    @jax.jit
    def train_step(state, data):
        trainable, non_trainable, optimizer_variables, metric_variables = state
        (loss, (non_trainable, metric_variables)), grads = grad_fn(
            trainable, non_trainable, metric_variables, *data
        )
        trainable, optimizer_variables = optimizer.stateless_apply(optimizer_variables, grads, trainable)
        return loss, (trainable, non_trainable, optimizer_variables, metric_variables)

    optimizer.build(model.trainable_variables)
    state = (
        [v.value for v in model.trainable_variables],
        [v.value for v in model.non_trainable_variables],
        [v.value for v in optimizer.variables],
        [v.value for v in metric.variables],
    )
    for begin in range(0, 64, 16):
        _, state = train_step(state, (X[begin : begin + 16], Y[begin : begin + 16]))
    accuracy = float(metric.stateless_result(state[3]))

    fitted = keras.models.clone_model(model)
    fitted.set_weights(start)
    fitted.compile(keras.optimizers.Adam(1e-2), loss_fn, metrics=["accuracy"])
    history = fitted.fit(X, Y, batch_size=16, shuffle=False, verbose=0)
    for variable, value in zip(model.trainable_variables, state[0], strict=True):
        variable.assign(value)
    for variable, value in zip(model.non_trainable_variables, state[1], strict=True):
        variable.assign(value)
    for ours, theirs in zip(model.get_weights(), fitted.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert accuracy == history.history["accuracy"][0]


class ByHand(keras.Model):
    """A training step as the guide to custom steps writes it."""

    def train_step(self, state, data):
        trainable, non_trainable, optimizer_variables, metrics_variables = state
        x, y = data

        def loss_of(trainable, non_trainable):
            y_pred, non_trainable = self.stateless_call(trainable, non_trainable, x, training=True)
            return self.compute_loss(x, y, y_pred), (y_pred, non_trainable)

        (loss, (y_pred, non_trainable)), grads = jax.value_and_grad(loss_of, has_aux=True)(
            trainable, non_trainable
        )
        trainable, optimizer_variables = self.optimizer.stateless_apply(optimizer_variables, grads, trainable)
        logs, new_metrics = {}, []
        for metric in self.metrics:
            values = metrics_variables[len(new_metrics) : len(new_metrics) + len(metric.variables)]
            seen = (loss,) if metric.name == "loss" else (y, y_pred)
            values = metric.stateless_update_state(values, *seen)
            logs[metric.name] = metric.stateless_result(values)
            new_metrics += values
        return logs, (trainable, non_trainable, optimizer_variables, new_metrics)


def test_a_training_step_of_ones_own_gives_what_the_built_in_one_gives():
    built_in = make_model()
    copy = keras.models.clone_model(built_in)
    by_hand = ByHand(copy.input, copy.output)
    by_hand.set_weights(built_in.get_weights())
    results = []
    for model in (built_in, by_hand):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=["accuracy"])
        history = model.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0)
        results.append([*model.get_weights(), *history.history["loss"], *history.history["accuracy"]])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_the_loss_and_its_updates_are_a_pure_function():
    model = make_model()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X, Y, verbose=0)
    values = [
        [v.value for v in group]
        for group in (model.trainable_variables, model.non_trainable_variables, model.metrics_variables)
    ]
    loss, (unscaled, y_pred, _, _) = model.compute_loss_and_updates(*values, X, Y, None)
    np.testing.assert_allclose(loss, model.evaluate(X, Y, verbose=0), rtol=1e-5)
    assert float(loss) == float(unscaled)
    np.testing.assert_allclose(y_pred, model.predict(X, verbose=0), rtol=1e-4, atol=1e-5)
