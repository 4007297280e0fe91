"""The other files: shards, safetensors, and what earlier versions of Keras wrote."""

from __future__ import annotations

import json
import os
import warnings

import h5py
import numpy as np
import pytest

import kerasmagic as km
from tests.tools import public_names

X = np.random.default_rng(0).normal(size=(6, 8, 8, 1)).astype("float32")


def small(keras, optimizer="adam"):
    """Return a trained model with functions in its graph, a nested model and non-trainable weights."""
    layers = keras.layers
    inner = keras.Sequential([keras.Input((8, 8, 4)), layers.BatchNormalization(), layers.Flatten()])
    inputs = keras.Input((8, 8, 1))
    x = inner(layers.Conv2D(4, 3, padding="same", activation="relu", kernel_regularizer="l2")(inputs))
    x = layers.Dense(3)(x * 2.0) + keras.ops.mean(x, axis=1, keepdims=True)
    model = keras.Model(inputs, layers.Softmax()(x[:, 1:]))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def trained(keras):
    model = small(keras)
    model.fit(X, np.arange(6) % 2, epochs=1, verbose=0)
    return model


def assert_same(a, b, exact=False):
    x, y = (np.asarray(m.predict(X, verbose=0)) for m in (a, b))
    np.testing.assert_allclose(x, y, atol=0 if exact else 1e-5)


@pytest.fixture(scope="module")
def ours():
    return trained(km)


@pytest.fixture(scope="module")
def theirs(keras):
    return trained(keras)


def test_public_names(keras):
    absent = {"KerasFileEditor": "a file is changed by loading the model, changing that, and saving it"}
    present = {name: reason for name, reason in absent.items() if not hasattr(km.saving, name)}
    public_names.check(km.saving, keras.saving, present)


def test_registered_names():
    @km.saving.register_keras_serializable("shop", "Till")
    class Register(km.layers.Layer):
        pass

    try:
        assert km.saving.get_registered_name(Register) == "shop>Till"
        assert km.saving.get_registered_object("shop>Till") is Register
        with km.saving.custom_object_scope({"Other": Register}):
            assert km.saving.get_registered_object("Other") is Register
        assert km.saving.get_registered_object("Other") is None
        config = km.saving.serialize_keras_object(Register(name="a"))
        assert type(km.saving.deserialize_keras_object(config)) is Register
    finally:
        km.saving.get_custom_objects().pop("shop>Till")


@pytest.mark.parametrize("name", ["m.weights.h5", "m.weights.json", "m.safetensors"])
def test_weights_come_back(ours, tmp_path, name):
    ours.save_weights(tmp_path / name)
    fresh = small(km)
    fresh.load_weights(tmp_path / name)
    assert_same(ours, fresh, exact=True)


def test_shards_go_to_keras_and_back(ours, theirs, keras, tmp_path):
    # In gigabytes: a few thousand bytes a shard, less than the largest variable and its neighbours.
    size = 3e-6
    ours.save_weights(tmp_path / "a.weights.json", max_shard_size=size)
    names = sorted(os.listdir(tmp_path))
    assert len(names) > 3
    assert names[0] == "a.weights.json"
    assert names[1] == "a_00000.weights.h5"
    fresh = small(keras)
    with warnings.catch_warnings():
        # A fresh optimizer has no place for the state yet.
        warnings.simplefilter("ignore")
        fresh.load_weights(tmp_path / "a.weights.json")
    assert_same(ours, fresh)
    theirs.save_weights(tmp_path / "b.weights.json", max_shard_size=size)
    fresh = small(km)
    fresh.load_weights(tmp_path / "b.weights.json")
    assert_same(theirs, fresh)


def test_a_shard_size_turns_one_file_into_several(ours, tmp_path):
    ours.save_weights(tmp_path / "a.weights.h5", max_shard_size=1)
    assert sorted(os.listdir(tmp_path)) == ["a.weights.json", "a_00000.weights.h5"]
    with pytest.raises(ValueError, match="Increase `max_shard_size`"):
        ours.save_weights(tmp_path / "a.weights.json", max_shard_size=1e-9)


def test_safetensors_are_those_of_the_library(ours, tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    ours.save_weights(tmp_path / "m.safetensors")
    tensors = library.load_file(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(tensors["layers/conv2d/vars/0"], ours.layers[1].kernel.numpy())
    library.save_file({name: 2 * value for name, value in tensors.items()}, tmp_path / "n.safetensors")
    fresh = small(km)
    fresh.load_weights(tmp_path / "n.safetensors")
    np.testing.assert_array_equal(fresh.layers[1].kernel.numpy(), 2 * ours.layers[1].kernel.numpy())


@pytest.mark.parametrize("dtype", ["bfloat16", "mixed_bfloat16", "float16"])
def test_narrow_types_go_to_keras_and_back(keras, tmp_path, dtype):
    def make(keras):
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype=dtype)])

    ours, theirs = make(km), make(keras)
    for suffix in (".keras", ".weights.h5", ".safetensors"):
        path = tmp_path / f"m{suffix}"
        (ours.save if suffix == ".keras" else ours.save_weights)(path)
        fresh = make(km)
        fresh.load_weights(path)
        np.testing.assert_array_equal(*(np.asarray(m.weights[0].value, "float32") for m in (ours, fresh)))
    theirs.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(*(np.asarray(m.weights[0].value, "float32") for m in (ours, theirs)))
    theirs.save(tmp_path / "k.keras")
    again = km.models.load_model(tmp_path / "k.keras")
    np.testing.assert_array_equal(*(np.asarray(m.weights[0].value, "float32") for m in (ours, again)))


def test_a_recurrent_layer_of_cells_goes_to_keras_and_back(keras, tmp_path):
    def make(keras):
        layers = keras.layers
        cells = [layers.LSTMCell(3), layers.GRUCell(4), layers.SimpleRNNCell(2)]
        return keras.Sequential([keras.Input((5, 2)), layers.RNN(cells, return_sequences=True)])

    x = X[:, :5, :2, 0]
    for first, second in ((km, keras), (keras, km)):
        model = make(first)
        model.save(tmp_path / "m.keras")
        again = second.models.load_model(tmp_path / "m.keras")
        np.testing.assert_allclose(model(x), again(x), atol=1e-5)


# ---- what earlier versions wrote


def saved_by_keras(model, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path)
    return path


def test_a_whole_model_in_h5(theirs, tmp_path):
    path = saved_by_keras(theirs, tmp_path / "m.h5")
    again = km.models.load_model(path)
    assert_same(theirs, again)
    assert int(again.optimizer.iterations) == int(theirs.optimizer.iterations) == 1
    for a, b in zip(again.optimizer.variables, theirs.optimizer.variables, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-7)
    assert not km.models.load_model(path, compile=False).compiled


def test_weights_of_h5(theirs, tmp_path):
    path = saved_by_keras(theirs, tmp_path / "m.h5")
    fresh = small(km)
    fresh.load_weights(path)
    assert_same(theirs, fresh)
    other = km.Sequential([km.Input((8, 8, 1)), km.layers.Conv2D(4, 3, name="other")])
    with pytest.raises(ValueError, match="do not fit"):
        other.load_weights(path)
    named = km.Sequential([km.Input((8, 8, 1)), km.layers.Conv2D(4, 3, name=theirs.layers[1].name)])
    named.load_weights(path, by_name=True)
    np.testing.assert_allclose(named.layers[0].kernel.numpy(), np.asarray(theirs.layers[1].kernel))


def old_layer(name, kind, config, inbound=None):
    made = {"class_name": kind, "config": {"name": name, "trainable": True, "dtype": "float32", **config}}
    return made if inbound is None else {**made, "name": name, "inbound_nodes": inbound}


def old_file(path, config, weights, training=None):
    """Write a file as Keras 2 wrote it."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.11.0"
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = json.dumps(config)
        if training:
            file.attrs["training_config"] = json.dumps(training)
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [name.encode() for name in weights]
        root.attrs["keras_version"] = b"2.11.0"
        for name, arrays in weights.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [key.encode() for key in arrays]
            for key, value in arrays.items():
                group.create_dataset(key, data=value)
    return path


KERNEL, BIAS = np.arange(12, dtype="float32").reshape(4, 3), np.ones(3, "float32")
ZEROS = {"class_name": "Zeros", "config": {}}


def dense(name, units, inbound=None, **config):
    glorot = {"class_name": "GlorotUniform", "config": {"seed": None}}
    return old_layer(
        name,
        "Dense",
        {"units": units, "kernel_initializer": glorot, "bias_initializer": ZEROS, **config},
        inbound,
    )


def test_a_graph_of_keras_2(tmp_path):
    layers = [
        {
            "class_name": "InputLayer",
            "config": {
                "batch_input_shape": [None, 4],
                "dtype": "float32",
                "sparse": False,
                "ragged": False,
                "name": "a",
            },
            "name": "a",
            "inbound_nodes": [],
        },
        dense("d", 3, [[["a", 0, 0, {}]], [["a", 0, 0, {}]]], activation="relu"),
        old_layer("add", "Add", {}, [[["d", 0, 0, {}], ["d", 1, 0, {}]]]),
    ]
    inner = {
        "name": "model",
        "layers": layers,
        "input_layers": [["a", 0, 0]],
        "output_layers": [["add", 0, 0]],
    }
    training = {
        "loss": "mse",
        "metrics": [["mae"]],
        "optimizer_config": {"class_name": "SGD", "config": {"lr": 0.25, "decay": 0.0, "momentum": 0.9}},
    }
    path = old_file(
        tmp_path / "old.h5",
        {"class_name": "Functional", "config": inner},
        {"a": {}, "d": {"d/kernel:0": KERNEL, "d/bias:0": BIAS}, "add": {}},
        training,
    )
    model = km.models.load_model(path)
    x = np.ones((2, 4), "float32")
    np.testing.assert_allclose(model(x), 2 * np.maximum(x @ KERNEL + BIAS, 0))
    assert float(model.optimizer.learning_rate) == 0.25
    model.fit(x, np.zeros((2, 3)), verbose=0)


def test_a_stack_of_keras_2(tmp_path):
    config = {
        "class_name": "Sequential",
        "config": {
            "name": "s",
            "layers": [
                dense("d", 3, batch_input_shape=[None, 4]),
                old_layer("drop", "Dropout", {"rate": 0.5}),
            ],
        },
    }
    path = old_file(
        tmp_path / "old.hdf5", config, {"d": {"d/kernel:0": KERNEL, "d/bias:0": BIAS}, "drop": {}}
    )
    model = km.models.load_model(path)
    assert model.input_shape == (None, 4)
    np.testing.assert_allclose(model(np.ones((2, 4))), np.ones((2, 4)) @ KERNEL + BIAS)


def test_weights_by_an_earlier_keras_come_under_a_new_name(tmp_path):
    path = old_file(tmp_path / "m.weights.h5", {}, {"d": {"d/kernel:0": KERNEL, "d/bias:0": BIAS}})
    model = km.Sequential([km.Input((4,)), km.layers.Dense(3)])
    model.load_weights(path)
    np.testing.assert_array_equal(model.layers[0].kernel.numpy(), KERNEL)


# ---- parts of a file


def test_what_does_not_fit_may_be_skipped(ours, tmp_path):
    ours.save_weights(tmp_path / "m.weights.h5")
    other = km.Sequential(
        [km.Input((8, 8, 1)), km.layers.Conv2D(4, 3), km.layers.Flatten(), km.layers.Dense(5)]
    )
    with pytest.warns(UserWarning, match="Skipped: .*dense"):
        other.load_weights(tmp_path / "m.weights.h5", skip_mismatch=True)
    np.testing.assert_array_equal(other.layers[0].kernel.numpy(), ours.layers[1].kernel.numpy())
    fresh = small(km)
    before = fresh.layers[1].kernel.numpy()
    fresh.load_weights(tmp_path / "m.weights.h5", objects_to_skip=[fresh.layers[1]])
    np.testing.assert_array_equal(fresh.layers[1].kernel.numpy(), before)


def test_a_loss_scale_goes_to_keras_and_back(keras, tmp_path):
    def make(keras):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), "mse")
        return model

    x, y = np.ones((4, 4), "float32"), np.ones((4, 2), "float32")
    for first, second in ((km, keras), (keras, km)):
        model = make(first)
        model.fit(x, y, verbose=0)
        model.save(tmp_path / "m.keras")
        again = second.models.load_model(tmp_path / "m.keras")
        values = [[np.asarray(v, "float64") for v in m.optimizer.variables] for m in (model, again)]
        for a, b in zip(*values, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-7)
