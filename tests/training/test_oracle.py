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
# Every optimizer, and every option of optimizers, once.
OPTIMIZERS = {
    "SGD": {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "clipnorm": 0.5},
    "RMSprop": {"clipvalue": 0.05},
    "Adam": {"amsgrad": True, "global_clipnorm": 0.5},
    "AdamW": {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3},
    "Adadelta": {"learning_rate": 1.0},
    "Adagrad": {"use_ema": True, "ema_momentum": 0.7},
    "Adamax": {"weight_decay": 0.01},
    "Adafactor": {"relative_step": False},
    "Nadam": {"gradient_accumulation_steps": 3},
    "Ftrl": {"l1_regularization_strength": 0.01},
    "Lion": {"loss_scale_factor": 64.0},
    "Lamb": {},
    "Muon": {},
    "ScheduleFreeAdamW": {"warmup_steps": 4},
}
SCHEDULES = {
    "ExponentialDecay": {"decay_steps": 2, "decay_rate": 0.8, "staircase": True},
    "CosineDecay": {"decay_steps": 8, "warmup_steps": 3, "warmup_target": 0.3},
}


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


def ten_steps(k, optimizer, weights):
    model = k.Sequential(
        [
            k.Input((6,)),
            k.layers.Dense(4, "tanh", kernel_regularizer="l2"),
            k.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.set_weights(weights)
    x, y = data_for("mlp")
    history = model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history
    return [
        *history["loss"],
        *history["accuracy"],
        *model.get_weights(),
        *(np.asarray(v) for v in model.optimizer.variables),
    ]


def compare_optimizers(keras, make):
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=shape).astype("float32") for shape in ((6, 4), (4,), (4, 3), (3,))]
    for ours, theirs in zip(
        ten_steps(km, make(km), weights), ten_steps(keras, make(keras), weights), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_train_as_in_keras(keras, name):
    compare_optimizers(keras, lambda k: getattr(k.optimizers, name)(**OPTIMIZERS[name]))


def test_no_optimizer_is_left_out(keras):
    def steppers(k):
        base = k.optimizers.Optimizer
        return {
            n
            for n, c in vars(k.optimizers).items()
            if isinstance(c, type) and issubclass(c, base) and c is not base
        }

    assert steppers(keras) <= steppers(km)
    assert steppers(keras) - set(OPTIMIZERS) == {"LossScaleOptimizer", "MultiOptimizer"}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_train_as_in_keras(keras, name):
    compare_optimizers(
        keras, lambda k: k.optimizers.SGD(getattr(k.optimizers.schedules, name)(0.1, **SCHEDULES[name]))
    )


def test_a_scaled_loss_trains_as_in_keras(keras):
    # The first steps overflow and are left out, until the scale has halved often enough.
    compare_optimizers(
        keras,
        lambda k: k.optimizers.LossScaleOptimizer(
            k.optimizers.Adam(0.01), initial_scale=2.0**127, dynamic_growth_steps=3
        ),
    )


def two_outputs(k, kind):
    x = k.Input((6,), name="x")
    hidden = k.layers.Dense(4, name="hidden")(x)
    kinds, sizes = k.layers.Dense(3, "softmax", name="a")(hidden), k.layers.Dense(1, name="b")(hidden)
    names, outputs = (
        (["kind", "size"], {"kind": kinds, "size": sizes}) if kind == "dict" else (["a", "b"], [kinds, sizes])
    )
    model = k.Model(x, outputs)
    model.compile(
        "sgd",
        dict(zip(names, ["sparse_categorical_crossentropy", "mse"], strict=True)),
        loss_weights=dict(zip(names, [1.0, 0.25], strict=True)),
        metrics=dict(zip(names, [["accuracy"], ["mae"]], strict=True)),
        weighted_metrics={names[0]: ["accuracy"]},
    )
    return model, names


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_several_outputs_train_as_in_keras(keras, kind):
    x, y = data_for("mlp")
    targets, weights = [y, x[:, :1]], [np.linspace(0, 1, 75), np.linspace(1, 2, 75)]
    results, start = [], two_outputs(km, kind)[0].get_weights()
    for k in (km, keras):
        model, names = two_outputs(k, kind)
        model.set_weights(start)
        by_name = kind == "dict"
        data = (
            (dict(zip(names, targets, strict=True)), dict(zip(names, weights, strict=True)))
            if by_name
            else (targets, weights)
        )
        history = model.fit(
            x, data[0], sample_weight=data[1], batch_size=16, epochs=2, shuffle=False, verbose=0
        ).history
        results.append((history, model.evaluate(x, data[0], batch_size=16, verbose=0), model.get_weights()))
    assert list(results[0][0]) == list(results[1][0])
    for ours, theirs in zip(*map(flattened, results), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def flattened(result):
    history, measured, weights = result
    return [*history.values(), *measured, *weights]


def test_weights_of_samples_count_as_in_keras(keras):
    compare(keras, "mlp", "sgd", sample_weight=np.linspace(0.1, 2, 75))


def test_weights_of_classes_count_as_in_keras(keras):
    compare(keras, "mlp", "sgd", class_weight={0: 0.5, 2: 3.0})
