"""Ten steps of fit give the numbers that Keras gives, from the same weights on the same data."""

import numpy as np
import pytest

import kerasmagic as km


def mlp(k):
    regularized = k.layers.Dense(16, activation="relu", kernel_regularizer="l2", activity_regularizer="l1")
    return k.Sequential([k.Input((6,)), regularized, k.layers.Dense(3, activation="softmax")])


def convnet(k):
    layers = [
        k.layers.Conv2D(6, 3, activation="relu", kernel_constraint=k.constraints.MaxNorm(1.0)),
        k.layers.BatchNormalization(),
        k.layers.MaxPooling2D(),
        k.layers.AveragePooling2D(2, padding="same"),
        k.layers.Flatten(),
        k.layers.Dense(3, activation="softmax"),
    ]
    return k.Sequential([k.Input((9, 9, 1)), *layers])


def recurrent(k):
    layers = [k.layers.Embedding(12, 5, mask_zero=True), k.layers.LSTM(7), k.layers.LayerNormalization()]
    return k.Sequential([k.Input((8,), dtype="int32"), *layers, k.layers.Dense(3, activation="softmax")])


def branches(k):
    x = k.Input((6,))
    left, right = k.layers.Dense(8, activation="elu")(x), k.layers.Dense(8, activation="tanh")(x)
    merged = k.layers.Concatenate()([k.layers.Add()([left, right]), left])
    return k.Model(x, k.layers.Dense(3, activation="softmax")(merged))


KINDS = {"mlp": mlp, "convnet": convnet, "recurrent": recurrent, "branches": branches}
OPTIMIZERS = ["sgd", "adam", "rmsprop", "adagrad", "adamw", "nadam"]


def data_for(kind):
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 75)
    if kind == "recurrent":
        return rng.integers(0, 12, (75, 8)), y
    shape = (75, 9, 9, 1) if kind == "convnet" else (75, 6)
    return rng.normal(size=shape).astype("float32"), y


def run(k, kind, optimizer, weights, **fit_options):
    model = KINDS[kind](k)
    model.compile(
        optimizer,
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighted_metrics=[k.metrics.SparseCategoricalAccuracy(name="weighted")],
    )
    model.set_weights(weights)
    x, y = data_for(kind)
    # 75 samples in batches of 16: five steps an epoch, the last of 11 samples.
    history = model.fit(
        x,
        y,
        epochs=2,
        batch_size=16,
        shuffle=False,
        verbose=0,
        validation_data=(x[:20], y[:20]),
        **fit_options,
    )
    return model, history.history


def compare(keras, kind, optimizer, **fit_options):
    weights = KINDS[kind](km).get_weights()
    ours, our_history = run(km, kind, optimizer, weights, **fit_options)
    theirs, their_history = run(keras, kind, optimizer, weights, **fit_options)
    assert list(our_history) == list(their_history)
    for name, values in their_history.items():
        np.testing.assert_allclose(our_history[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    x, y = data_for(kind)
    np.testing.assert_allclose(ours.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=1e-4)
    np.testing.assert_allclose(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_models_train_as_in_keras(keras, kind):
    compare(keras, kind, "adam")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers_train_as_in_keras(keras, optimizer):
    compare(keras, "mlp", optimizer)


def test_weights_of_samples_count_as_in_keras(keras):
    compare(keras, "mlp", "sgd", sample_weight=np.linspace(0.1, 2, 75))


def test_weights_of_classes_count_as_in_keras(keras):
    compare(keras, "mlp", "sgd", class_weight={0: 0.5, 2: 3.0})
