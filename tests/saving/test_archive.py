"""Files: what is written comes back, from us and from Keras, and a bad file is refused whole."""

import contextlib
import io
import json
import os
import zipfile

import h5py
import numpy as np
import pytest

import kerasmagic as km
from kerasmagic.saving import archive, weights
from kerasmagic.saving.hdf5 import File


def convnet(keras, optimizer="adam"):
    layers = keras.layers
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.3)(x)
    outputs = layers.Dense(3, activation="softmax")(x)
    model = keras.Model(inputs, outputs)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def recurrent(keras, optimizer="adam"):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(10, 4, mask_zero=True),
            layers.LSTM(5),
            layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    return model


MODELS = {"convnet": convnet, "recurrent": recurrent}


def inputs_of(model):
    shape = (6, *model.input_shape[1:])
    rng = np.random.default_rng(0)
    return rng.integers(1, 10, shape) if len(shape) == 2 else rng.normal(size=shape).astype("float32")


@pytest.fixture(params=MODELS)
def make(request):
    return MODELS[request.param]


def trained(keras, make):
    model = make(keras)
    model.fit(inputs_of(model), np.arange(6) % 3, epochs=2, verbose=0)
    return model


def test_a_model_comes_back_whole(make, tmp_path):
    model = trained(km, make)
    model.save(tmp_path / "m.keras")
    again = km.models.load_model(tmp_path / "m.keras")
    x = inputs_of(model)
    np.testing.assert_array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))
    for a, b in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    again.fit(x, np.arange(6) % 3, verbose=0)


@pytest.mark.parametrize("direction", ["to keras", "from keras"])
def test_files_go_to_keras_and_back(make, tmp_path, keras, direction):
    first, second = (km, keras) if direction == "to keras" else (keras, km)
    model = trained(first, make)
    model.save(tmp_path / "m.keras")
    again = second.models.load_model(tmp_path / "m.keras")
    x = inputs_of(model)
    np.testing.assert_allclose(model.predict(x, verbose=0), again.predict(x, verbose=0), atol=1e-5)
    assert int(again.optimizer.iterations) == int(model.optimizer.iterations) == 2
    for a, b in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-6)
    # Dropout draws differ between the two: without it, training goes on alike.
    if make is recurrent:
        for each in (model, again):
            each.fit(x, np.arange(6) % 3, epochs=2, verbose=0, shuffle=False)
        np.testing.assert_allclose(model.predict(x, verbose=0), again.predict(x, verbose=0), atol=1e-4)


def test_weights_alone_go_to_keras_and_back(make, tmp_path, keras):
    ours, theirs = trained(km, make), trained(keras, make)
    ours.save_weights(tmp_path / "m.weights.h5")
    theirs.load_weights(tmp_path / "m.weights.h5")
    x = inputs_of(ours)
    np.testing.assert_allclose(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), atol=1e-5)
    fresh = make(km)
    theirs.save_weights(tmp_path / "k.weights.h5")
    fresh.load_weights(tmp_path / "k.weights.h5")
    np.testing.assert_allclose(fresh.predict(x, verbose=0), ours.predict(x, verbose=0), atol=1e-5)


def test_a_failed_save_leaves_the_old_file(make, tmp_path, monkeypatch):
    path = tmp_path / "m.keras"
    model = make(km)
    model.save(path)
    before = path.read_bytes()

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        model.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.keras"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, p: m.save(p / "m.h5"), ".keras"),
        (lambda m, p: m.save_weights(p / "m.keras"), ".weights.h5"),
        (lambda m, p: km.models.load_model(p / "m.txt"), ".keras"),
        (lambda m, p: (m.save(p / "m.keras"), m.save(p / "m.keras", overwrite=False)), "exists"),
    ],
)
def test_wrong_paths_are_explained(call, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        call(convnet(km), tmp_path)


def test_a_missing_file_is_no_surprise(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.keras"):
        km.models.load_model(tmp_path / "nothing.keras")


def test_weights_that_do_not_fit_change_nothing(tmp_path):
    model = convnet(km)
    other = km.Sequential([km.Input((2,)), km.layers.Dense(3)])
    other.save_weights(tmp_path / "o.weights.h5")
    before = model.get_weights()
    with pytest.raises(ValueError, match="do not fit"):
        model.load_weights(tmp_path / "o.weights.h5")
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def rewritten(path, **members):
    """Write a copy of a .keras file with other members."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content.update({name.replace("__", "."): value for name, value in members.items()})
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in content.items():
            archive.writestr(name, value)
    return path


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "m.keras"
    convnet(km).save(path)
    return path


def config_of(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("keras.utils", "get_file"),
        ("kerasmagic.saving", "load_model"),
        ("subprocess", "Popen"),
    ],
)
def test_a_config_imports_nothing(saved, module, name):
    config = config_of(saved)
    layer = {"module": module, "class_name": name, "config": {}, "registered_name": None}
    config["config"]["layers"][1] = {**layer, "name": "x", "inbound_nodes": []}
    with pytest.raises(ValueError, match="no public class"):
        km.models.load_model(rewritten(saved, config__json=json.dumps(config)))


@pytest.mark.parametrize("kind", ["__lambda__", "__typespec__", "__reduce__"])
def test_code_in_a_config_is_refused(saved, kind):
    config = config_of(saved)
    config["config"]["layers"][1]["config"]["activation"] = {"class_name": kind, "config": {"value": "x"}}
    with pytest.raises(ValueError, match="Refusing"):
        km.models.load_model(rewritten(saved, config__json=json.dumps(config)))


def h5_with(change):
    model = convnet(km)
    buffer = io.BytesIO()
    archive.write_weights(model, buffer)
    with h5py.File(buffer, "r+") as h5:
        change(h5, h5["layers/conv2d/vars"])
    return model, buffer


def replaced(value):
    """Return a change that puts ``value`` in the place of the first variable."""

    def change(h5, group):
        del group["0"]
        group["0"] = value

    return change


def created(**arguments):
    """Return a change that puts another dataset in the place of the first variable."""

    def change(h5, group):
        del group["0"]
        group.create_dataset("0", **arguments)

    return change


def linked_group(h5, group):
    h5.move("layers/conv2d", "real")
    h5["layers/conv2d"] = h5py.SoftLink("/real")


def missing(h5, group):
    del group["1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (created(shape=(10**6, 10**6), dtype="f4", chunks=(1, 1)), "has shape"),
        (replaced(h5py.ExternalLink("/etc/passwd", "/x")), "Refusing to follow"),
        (replaced(h5py.SoftLink("/layers/dense/vars/0")), "Refusing to follow"),
        (linked_group, "Refusing to follow"),
        (created(shape=(3, 3, 1, 4), dtype="f4", external=[("/etc/passwd", 0, 144)]), "outside the file"),
        (replaced(np.zeros((3, 3, 1, 4), "S4")), "no numbers"),
        (missing, "expects 2 variables, but the file has 1"),
    ],
)
def test_hostile_weights_are_refused(change, message):
    model, buffer = h5_with(change)
    with pytest.raises(ValueError, match=message), File(buffer) as file:
        weights.load(model, weights.Hdf5Source(file))


def test_a_bomb_is_refused_before_it_is_read(saved):
    with pytest.raises(ValueError, match="far more than the model can need"):
        km.models.load_model(rewritten(saved, model__weights__h5=b"\0" * 2**26))


@pytest.mark.parametrize("cut", [0, 10, 1000, -100])
def test_truncated_files_are_refused(saved, cut):
    content = saved.read_bytes()
    saved.write_bytes(content[:cut])
    with pytest.raises(ValueError, match=r"damaged|no \.keras"):
        km.models.load_model(saved)


def test_flipped_bits_never_crash(saved):
    content = saved.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(40):
        broken = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            broken[place] ^= 1 << int(rng.integers(8))
        saved.write_bytes(bytes(broken))
        with contextlib.suppress(ValueError, TypeError):
            km.models.load_model(saved)
