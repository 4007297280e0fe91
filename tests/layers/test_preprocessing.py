"""Rescaling and Normalization beyond the rows of the table: statistics of data, files, other axes, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest

import kerasmagic as km
from kerasmagic.foundation.config import image_data_format, set_image_data_format

RNG = np.random.default_rng(0)
DATA = RNG.normal(3.0, 2.0, (12, 4, 3)).astype("float32")
FORMS = {
    "array": lambda x: x,
    "list of batches": lambda x: [x[:5], x[5:7], x[7:]],
    "generator with targets": lambda x: ((x[i : i + 4], np.zeros(4)) for i in range(0, 12, 4)),
}


def outputs(keras, data, **config):
    layer = keras.layers.Normalization(**config)
    layer.adapt(data)
    return layer, np.asarray(layer(DATA[:2]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("axis", [-1, None, (1, 2), 1])
def test_adapt_finds_the_statistics_that_keras_finds(keras, form, axis):
    ours, y = outputs(km, FORMS[form](DATA), axis=axis)
    # Keras reads batches only where TensorFlow is installed; those of the whole array are the same.
    theirs, z = outputs(keras, DATA, axis=axis)
    np.testing.assert_allclose(y, z, rtol=1e-5, atol=1e-5)
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        assert (a.name, a.dtype, a.trainable) == (b.name, b.dtype, b.trainable)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5)
    assert tuple(ours.mean.shape) == tuple(theirs.mean.shape)
    np.testing.assert_allclose(ours.variance, theirs.variance, rtol=1e-5)


def test_adapt_reads_data_sets_by_number_and_counts_ragged_batches_by_their_size():
    class Batches(km.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return DATA[[slice(0, 1), slice(1, 9), slice(9, 12)][index]], np.zeros(1)

    layer, _ = outputs(km, Batches())
    np.testing.assert_allclose(layer.adapt_mean.numpy(), DATA.mean((0, 1)), rtol=1e-6)
    np.testing.assert_allclose(layer.adapt_variance.numpy(), DATA.var((0, 1)), rtol=1e-6)


def test_large_values_lose_no_digits():
    layer = km.layers.Normalization(axis=None)
    x = 1e4 + np.arange(1000.0, dtype="float32")[:, None]
    layer.adapt([x[i : i + 10] for i in range(0, 1000, 10)])
    np.testing.assert_allclose(layer.adapt_variance.numpy(), np.var(np.arange(1000.0)), rtol=1e-6)


def test_adapting_again_and_setting_weights_count_at_once():
    layer, before = outputs(km, DATA)
    layer.adapt(2 * DATA)
    again = np.asarray(layer(2 * DATA[:2]))
    np.testing.assert_allclose(again, before, rtol=1e-5, atol=1e-5)
    layer.set_weights([np.zeros(3), np.ones(3), 0])
    np.testing.assert_allclose(layer(DATA[:2]), DATA[:2])


def test_invert_undoes_it():
    _, y = outputs(km, DATA)
    inverse, _ = outputs(km, DATA, invert=True)
    np.testing.assert_allclose(inverse(y), DATA[:2], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_files_go_to_keras_and_back(keras, tmp_path, suffix):
    def make(library):
        layers = library.layers
        given = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0])
        steps = [layers.Rescaling(0.5, offset=1.0), layers.Normalization(), given]
        return library.Sequential([library.Input((4, 3)), *steps])

    def through_a_file(model, reader, path):
        if suffix == ".keras":
            model.save(path)
            return reader.models.load_model(path)
        model.save_weights(path)
        read = make(reader)
        read.load_weights(path)
        return read

    for writer, reader in ((km, keras), (keras, km)):
        model = make(writer)
        model.layers[1].adapt(DATA)
        read = through_a_file(model, reader, tmp_path / f"{writer.__name__}{suffix}")
        np.testing.assert_allclose(read(DATA[:2]), model(DATA[:2]), rtol=1e-5, atol=1e-5)


def test_numbers_by_channel_fit_channels_that_come_first(keras):
    images = RNG.normal(size=(2, 3, 4, 5)).astype("float32")
    before = image_data_format()
    try:
        for library in (km, keras):
            library.config.set_image_data_format("channels_first")
        y = km.layers.Rescaling([1.0, 2.0, 3.0])(images)
        np.testing.assert_allclose(y, keras.layers.Rescaling([1.0, 2.0, 3.0])(images), rtol=1e-6)
        # Keras forgets the offset here, and refuses it or adds it along the wrong axis.
        shifted = km.layers.Rescaling(1.0, offset=[1.0, 2.0, 3.0])(images)
        np.testing.assert_allclose(shifted, images + np.array([1, 2, 3])[:, None, None], rtol=1e-6)
    finally:
        keras.config.set_image_data_format(before)
        set_image_data_format(before)


def test_arrays_as_arguments_come_back_from_the_config(keras):
    given = {"mean": np.array([1.0, 2.0]), "variance": np.array([1.0, 4.0])}
    for cls, arguments in (("Normalization", given), ("Rescaling", {"scale": np.array([1.0, 2.0])})):
        layer, theirs = (getattr(k.layers, cls)(**arguments) for k in (km, keras))
        config = json.loads(json.dumps(layer.get_config()))
        assert {**config, "dtype": 0, "name": 0} == {
            **json.loads(json.dumps(theirs.get_config())),
            "dtype": 0,
            "name": 0,
        }
        again = type(layer).from_config(config)
        np.testing.assert_allclose(again(np.ones((1, 2))), layer(np.ones((1, 2))))


def test_integers_become_the_compute_type():
    image = np.array([[0, 255]], "uint8")
    assert str(km.layers.Rescaling(1 / 255, dtype="mixed_bfloat16")(image).dtype) == "bfloat16"
    assert str(km.layers.Normalization(mean=1, variance=4)(image).dtype) == "float32"
    assert km.layers.Normalization(mean=0, variance=0)(image).tolist() == [[0.0, pytest.approx(2.55e9)]]


N = km.layers.Normalization
REFUSED = {
    "only one": (lambda: N(mean=1.0), "mean=1.0, variance=None"),
    "shapes": (lambda: N(mean=[1.0, 2.0], variance=1.0), "same shape"),
    "axes": (lambda: N(mean=[[1.0]], variance=[[1.0]]), "only 1 to keep"),
    "no axis": (lambda: N(axis=3)(np.ones((2, 3))), "from -2 to 1"),
    "open": (lambda: N(axis=1)(km.Input((None, 3))), "must have a known size"),
    "wide": (lambda: N(mean=[1.0, 2.0], variance=[1.0, 2.0])(np.ones((2, 3))), r"\(3,\)"),
    "given": (lambda: N(mean=1.0, variance=1.0).adapt(DATA), "nothing to read"),
    "empty": (lambda: N().adapt([]), "no batches"),
    "numbers": (lambda: N().adapt([1.0, 2.0]), "type float"),
    "text": (lambda: N().adapt("data"), "array or batches"),
    "number": (lambda: N().adapt(3), "array or batches"),
    "other sizes": (lambda: N().adapt([DATA, DATA[..., :2]]), r"\(None, None, 3\), but .* \(12, 4, 2\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    make, message = REFUSED[case]
    with pytest.raises((ValueError, TypeError), match=message):
        make()
