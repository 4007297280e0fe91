"""Spectrograms beyond the rows of the table: first kernels, real sizes, precision, files, training, refusals."""

from __future__ import annotations

import json
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

import kerasmagic as km
from kerasmagic.core.symbolic import KerasTensor

RNG = np.random.default_rng(0)
AUDIO = RNG.normal(size=(2, 4000)).astype("float32")
STEREO = RNG.normal(size=(2, 1000, 2)).astype("float32")
SHORT = {"frame_length": 64, "frame_step": 24, "fft_length": 128}
TINY = {"fft_length": 32, "sequence_stride": 8, "num_mel_bins": 5}


def both(keras, cls, x, **config):
    """Return what the layer makes of ``x`` in either library."""
    return (compiled(getattr(library.layers, cls)(**config), x) for library in (km, keras))


def compiled(layer, x):
    """Return the output of a layer; one program compiles faster than each of its operations."""
    if not layer.built:
        layer.build(x.shape)
    return np.asarray(jax.jit(lambda x: layer(x))(x))


# Short-time Fourier transform


@pytest.mark.parametrize("mode", ["log", "magnitude", "psd", "real", "imag", "stft"])
@pytest.mark.parametrize("window", ["hann", "hamming", None])
def test_an_untrained_layer_gives_the_transform_that_keras_gives(keras, mode, window):
    ours, theirs = both(keras, "STFTSpectrogram", STEREO, mode=mode, window=window, **SHORT)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3 if mode == "log" else 1e-4, atol=1e-4)


def test_angles_are_the_same_on_the_circle(keras):
    angles = both(keras, "STFTSpectrogram", STEREO, mode="angle", **SHORT)
    ours, theirs = (np.stack([np.cos(angle), np.sin(angle)]) for angle in angles)
    # Near power 0 any angle will do.
    assert np.mean(np.abs(ours - theirs) < 1e-3) > 0.999


@pytest.mark.parametrize("scaling", ["density", "spectrum"])
@pytest.mark.parametrize("window", ["hann", "blackman", "tukey"])
def test_the_power_is_that_of_scipy(window, scaling):
    layer = km.layers.STFTSpectrogram("psd", window=window, scaling=scaling, periodic=True, **SHORT)
    values = signal.get_window(window, 64, fftbins=True)
    reference = signal.spectrogram(
        AUDIO, 1.0, values, 64, 40, 128, detrend=False, scaling=scaling, mode="psd"
    )[2]
    np.testing.assert_allclose(layer(AUDIO[..., None]), np.swapaxes(reference, 1, 2), rtol=1e-3, atol=1e-5)


def test_channels_are_transformed_one_by_one_and_stand_one_after_the_other():
    layer = km.layers.STFTSpectrogram("psd", **SHORT)
    left, right = (np.asarray(layer(STEREO[..., i : i + 1])) for i in (0, 1))
    first = {"data_format": "channels_first"}
    options = {
        "flat": ({}, np.concatenate([left, right], -1)),
        "image": ({"expand_dims": True}, np.stack([left, right], -1)),
        "flat, first": (first, np.concatenate([left, right], -1).swapaxes(1, 2)),
        "image, first": ({**first, "expand_dims": True}, np.stack([left, right], 1)),
    }
    for name, (config, expected) in options.items():
        x = STEREO.swapaxes(1, 2) if "first" in name else STEREO
        y = km.layers.STFTSpectrogram("psd", **SHORT, **config)(x)
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    "config", [{"frame_length": 100}, {"frame_length": 64}, {"frame_length": 9, "padding": "same"}], ids=str
)
def test_a_step_is_half_a_frame_and_the_transform_the_next_power_of_two(keras, config):
    layers = [library.layers.STFTSpectrogram(**config) for library in (km, keras)]
    ours, theirs = (tuple(layer(STEREO).shape) for layer in layers)
    assert ours == theirs == tuple(layers[0].compute_output_shape(STEREO.shape))
    assert layers[0].real_kernel.shape == tuple(layers[1].real_kernel.shape)
    assert layers[0].get_config()["frame_step"] is layers[0].get_config()["fft_length"] is None


def test_shapes_with_open_axes_are_those_of_keras(keras):
    for shape in ((None, None, 2), (3, None, 2), (None, 1001, 1)):
        for padding in ("valid", "same"):
            ours, theirs = (
                library.layers.STFTSpectrogram("stft", padding=padding, **SHORT)(library.KerasTensor(shape))
                for library in (km, keras)
            )
            assert ours.shape == tuple(theirs.shape)


def test_half_precision(keras):
    config = {"mode": "magnitude", **SHORT}
    exact, _ = both(keras, "STFTSpectrogram", STEREO, **config)
    half, theirs = both(keras, "STFTSpectrogram", STEREO, dtype="mixed_float16", **config)
    assert half.dtype == theirs.dtype == "float16"
    np.testing.assert_allclose(half, theirs, rtol=0.01, atol=0.01)
    # Where the kernels are in half precision, too, Keras computes their angles in it, and is off by up to 0.1.
    half, theirs = both(keras, "STFTSpectrogram", STEREO, dtype="float16", **config)
    assert half.dtype == theirs.dtype == "float16"
    np.testing.assert_allclose(half, exact, rtol=0.01, atol=0.01)
    for library in (km, keras):
        with pytest.raises(TypeError, match="float16"):
            library.layers.STFTSpectrogram(dtype="mixed_bfloat16")(STEREO)


def test_no_and_one_sample():
    layer = km.layers.STFTSpectrogram(**SHORT)
    assert layer(STEREO[:0]).shape == (0, 40, 130)
    np.testing.assert_allclose(layer(STEREO[:1]), layer(STEREO)[:1], rtol=1e-3, atol=1e-5)
    assert layer(STEREO[:, :64]).shape == (2, 1, 130)


def test_silence_has_a_gradient():
    for mode in ("log", "magnitude", "psd"):
        layer = km.layers.STFTSpectrogram(mode, **SHORT)
        layer.build((1, 100, 1))
        gradient = jax.jit(jax.grad(lambda x, layer=layer: layer(x).sum()))(jnp.zeros((1, 100, 1)))
        assert np.isfinite(gradient).all()


def test_training_changes_the_kernels_as_in_keras(keras):
    y = RNG.integers(0, 2, 2)
    kernel = RNG.normal(size=(130, 2)).astype("float32")
    fitted = []
    for library in (km, keras):
        layers = library.layers
        steps = [
            layers.STFTSpectrogram("magnitude", **SHORT),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2),
        ]
        model = library.Sequential([library.Input((None, 2)), *steps])
        steps[-1].set_weights([kernel, np.zeros(2)])
        before = [np.asarray(w) for w in steps[0].get_weights()]
        loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(library.optimizers.SGD(0.5), loss)
        history = model.fit(STEREO, y, epochs=3, batch_size=2, shuffle=False, verbose=0)
        moved = [np.asarray(b) - a for a, b in zip(before, steps[0].get_weights(), strict=True)]
        fitted.append((moved, history.history["loss"]))
    (ours, loss), (theirs, their_loss) = fitted
    np.testing.assert_allclose(loss, their_loss, rtol=1e-4)
    for a, b in zip(ours, theirs, strict=True):
        assert np.abs(b).max() > 1e-3
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * np.abs(b).max())


def test_frozen_kernels_stay():
    layer = km.layers.STFTSpectrogram(trainable=False, **SHORT)
    layer.build((None, None, 1))
    assert [w.name for w in layer.non_trainable_weights] == ["real_kernel", "imag_kernel"]
    assert layer.trainable_weights == []


def test_an_odd_length_of_the_transform_warns_where_the_user_is():
    with pytest.warns(UserWarning, match="power of two. Received: fft_length=100") as caught:
        km.layers.STFTSpectrogram(frame_length=64, fft_length=100)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        km.layers.STFTSpectrogram(frame_length=64, fft_length=64)


# Mel scale

SIZES = [
    {"num_mel_bins": 40, "sampling_rate": 8000, "sequence_stride": 128},
    {"fft_length": 512, "sampling_rate": 32000, "mag_exp": 1.0},
    {"min_freq": 0.0, "max_freq": 4000.0, "sequence_length": 1000, "window": "hamming"},
]


@pytest.mark.parametrize("config", SIZES, ids=str)
def test_mel_spectrograms_of_real_size(keras, config):
    ours, theirs = both(keras, "MelSpectrogram", AUDIO, **config)
    # Keras computes the filters in single precision; a filter that hardly meets a frequency shows it in decibels.
    np.testing.assert_allclose(ours, theirs, atol=0.01)
    one, theirs = both(keras, "MelSpectrogram", AUDIO[0], **config)
    np.testing.assert_allclose(one, theirs, atol=0.01)


def test_filters_are_those_of_keras_in_double_precision(keras):
    arguments = {"num_mel_bins": 80, "num_spectrogram_bins": 257, "sampling_rate": 16000, "dtype": "float64"}
    with jax.enable_x64(True):
        ours, theirs = (
            np.asarray(library.layers.MelSpectrogram().linear_to_mel_weight_matrix(**arguments))
            for library in (km, keras)
        )
    assert ours.dtype == theirs.dtype == "float64"
    np.testing.assert_allclose(ours, theirs, atol=1e-10)


def test_filters_by_default(keras):
    ours, theirs = (library.layers.MelSpectrogram().linear_to_mel_weight_matrix() for library in (km, keras))
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    half = km.layers.MelSpectrogram().linear_to_mel_weight_matrix(dtype="float16")
    assert half.dtype == "float16"
    np.testing.assert_allclose(half, ours, atol=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "mixed_float16", "bfloat16", "mixed_bfloat16"])
def test_the_spectra_are_computed_in_single_precision(keras, dtype):
    rounded = AUDIO.astype(jnp.dtype(dtype.removeprefix("mixed_")))
    ours, theirs = both(keras, "MelSpectrogram", rounded, dtype=dtype)
    assert ours.dtype == theirs.dtype == rounded.dtype
    # At most the last digit differs.
    np.testing.assert_allclose(ours.astype("float32"), theirs.astype("float32"), rtol=0.008, atol=0.01)


def test_numbers_of_a_microphone_and_lists_are_signals(keras):
    whole = (1000 * AUDIO).astype("int16")
    ours, theirs = both(keras, "MelSpectrogram", whole)
    np.testing.assert_allclose(ours, theirs, atol=0.01)
    listed = [0.0, 1.0, 0.0, -1.0] * 10
    ours, theirs = (library.layers.MelSpectrogram(**TINY)(listed) for library in (km, keras))
    np.testing.assert_allclose(ours, theirs, atol=0.01)


def test_mel_shapes_with_open_axes_are_those_of_keras(keras):
    for shape in ((None, None), (None,), (3, None), (None, 100), (100,)):
        ours, theirs = (
            library.layers.MelSpectrogram(**TINY)(library.KerasTensor(shape)) for library in (km, keras)
        )
        assert ours.shape == tuple(theirs.shape)


def test_the_known_number_of_frames_is_true(keras):
    """Keras promises 14 frames of 103 samples and makes 13; an odd length of the transform makes one less, too."""
    assert keras.layers.MelSpectrogram(**TINY)(keras.KerasTensor((2, 103))).shape[-1] == 14
    assert keras.layers.MelSpectrogram(**TINY)(AUDIO[:, :103]).shape[-1] == 13
    for samples, fft_length in ((103, 32), (104, 32), (104, 31), (105, 31)):
        layer = km.layers.MelSpectrogram(**{**TINY, "fft_length": fft_length})
        assert layer(KerasTensor((2, samples))).shape == compiled(layer, AUDIO[:, :samples]).shape


def test_an_open_length_stays_open_through_the_operation(keras):
    for library in (km, keras):
        real, imag = library.ops.stft(library.KerasTensor((None, None)), 32, 8, 32)
        assert tuple(real.shape) == tuple(imag.shape) == (None, None, 17)


def test_mel_spectrograms_of_nothing_of_little_and_of_more_axes(keras):
    layer = km.layers.MelSpectrogram(**TINY)
    assert compiled(layer, AUDIO[:0, :100]).shape == (0, 5, 13)
    ours, theirs = both(keras, "MelSpectrogram", AUDIO[:, :5], **TINY)
    np.testing.assert_allclose(ours, theirs, atol=0.01)
    np.testing.assert_allclose(compiled(layer, AUDIO[None]), compiled(layer, AUDIO)[None], atol=1e-3)


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0])
def test_silence_has_a_gradient_on_the_mel_scale(exponent):
    layer = km.layers.MelSpectrogram(**TINY, mag_exp=exponent)
    silent = jnp.zeros((1, 100))
    assert compiled(layer, silent).tolist() == [[[pytest.approx(-100.0)] * 13] * 5]
    gradient = jax.jit(jax.grad(lambda x: layer(x).sum()))(silent)
    assert np.isfinite(gradient).all()


# Both

WINDOW = signal.windows.kaiser(64, 4.0).astype("float32")
MAKERS = {
    "names": lambda layers: [layers.STFTSpectrogram("psd", **SHORT)],
    "values": lambda layers: [layers.STFTSpectrogram("psd", window=WINDOW.tolist(), **SHORT)],
    "mel": lambda layers: [
        layers.Flatten(),
        layers.MelSpectrogram(fft_length=64, window=WINDOW.tolist(), num_mel_bins=5),
    ],
}


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
@pytest.mark.parametrize("name", MAKERS)
def test_files_go_to_keras_and_back(keras, tmp_path, name, suffix):
    def make(library):
        return library.Sequential([library.Input((1000, 2)), *MAKERS[name](library.layers)])

    for writer, reader in ((km, keras), (keras, km), (km, km)):
        model = make(writer)
        for weight in model.weights:
            weight.assign(RNG.normal(size=weight.shape))
        path = tmp_path / f"{writer.__name__}{suffix}"
        if suffix == ".keras":
            model.save(path)
            read = reader.models.load_model(path)
        else:
            model.save_weights(path)
            read = make(reader)
            read.load_weights(path)
        np.testing.assert_allclose(read(STEREO), model(STEREO), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("cls", ["STFTSpectrogram", "MelSpectrogram"])
def test_an_array_for_a_window_comes_back_from_the_config(cls, tmp_path):
    config = {"frame_length": 64} if cls == "STFTSpectrogram" else {"fft_length": 64}
    x = STEREO if cls == "STFTSpectrogram" else AUDIO
    layer = getattr(km.layers, cls)(window=WINDOW, **config)
    again = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    np.testing.assert_array_equal(again.window, WINDOW)
    np.testing.assert_allclose(again(x), layer(x), rtol=1e-5)
    model = km.Sequential([km.Input(x.shape[1:]), layer])
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(
        km.models.load_model(tmp_path / "model.keras")(x), model(x), rtol=1e-4, atol=1e-4
    )


def test_a_network_on_a_mel_spectrogram_learns():
    time = np.arange(1024) / 8000
    pitch = RNG.uniform(300, 3000, 64)
    x = np.sin(2 * np.pi * pitch[:, None] * time).astype("float32")
    inputs = km.Input((None,))
    y = km.layers.MelSpectrogram(256, 128, sampling_rate=8000, num_mel_bins=16)(inputs)
    y = km.layers.GlobalAveragePooling1D(data_format="channels_first")(km.layers.Rescaling(1 / 40)(y))
    model = km.Model(inputs, km.layers.Dense(1)(y))
    model.compile(km.optimizers.Adam(0.05), "mse")
    losses = model.fit(x, pitch / 3000, epochs=60, verbose=0).history["loss"]
    assert losses[-1] < 0.01 < losses[0]
    assert model.predict(x[:3, :512], verbose=0).shape == (3, 1)


# What both libraries refuse, as the same kind of error.
REFUSED = {
    "mode": (lambda k: k.layers.STFTSpectrogram("spectrogram"), ValueError, "spectrogram"),
    "scaling": (lambda k: k.layers.STFTSpectrogram(scaling="l2"), ValueError, "scaling=l2"),
    "window": (lambda k: k.layers.STFTSpectrogram(window="unknowable"), ValueError, "(?i)window"),
    "padding": (lambda k: k.layers.STFTSpectrogram(padding="causal"), ValueError, "padding"),
    "step above": (lambda k: k.layers.STFTSpectrogram(frame_step=257), ValueError, "frame_step=257"),
    "step 0": (lambda k: k.layers.STFTSpectrogram(frame_step=0), ValueError, "frame_step=0"),
    "fft": (lambda k: k.layers.STFTSpectrogram(fft_length=128), ValueError, "fft_length=128"),
    "frame 0": (lambda k: k.layers.STFTSpectrogram(frame_length=0), ValueError, None),
    "data format": (lambda k: k.layers.STFTSpectrogram(data_format="last"), ValueError, "last"),
    "values": (lambda k: k.layers.STFTSpectrogram(window=[1.0, 2.0])(STEREO), ValueError, r"\(2,\)"),
    "a function": (lambda k: k.layers.STFTSpectrogram(window=np.hanning)(STEREO), TypeError, "function"),
    "integers": (lambda k: k.layers.STFTSpectrogram()(STEREO.astype("int32")), TypeError, "int32"),
    "axes": (lambda k: k.layers.STFTSpectrogram()(AUDIO), ValueError, "ndim=3"),
    "short": (lambda k: k.layers.STFTSpectrogram()(STEREO[:, :255]), ValueError, None),
    "short symbol": (lambda k: k.layers.STFTSpectrogram()(k.Input((255, 1))), ValueError, None),
    "mel fft": (lambda k: k.layers.MelSpectrogram(256, sequence_length=512), ValueError, "`fft_length` must"),
    "mel stride": (lambda k: k.layers.MelSpectrogram(sequence_stride=0)(AUDIO), ValueError, None),
    "mel window": (lambda k: k.layers.MelSpectrogram(window="blackman")(AUDIO), ValueError, "blackman"),
    "mel values": (lambda k: k.layers.MelSpectrogram(window=[1.0])(AUDIO), ValueError, r"\(1,\)"),
    "mel empty": (lambda k: k.layers.MelSpectrogram()(AUDIO[:, :0]), ValueError, "empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(keras, case):
    make, kind, message = REFUSED[case]
    for library in (km, keras):
        with pytest.raises(kind, match=message):
            make(library)


def test_refusals_of_our_own():
    """Keras makes filters of NaN, and builds networks that it cannot call."""
    with pytest.raises(ValueError, match=r"from 4000\.0 to 4000\.0 hertz"):
        km.layers.MelSpectrogram(min_freq=4000.0, max_freq=4000.0)(AUDIO)
    with pytest.raises(TypeError, match="bfloat16"):
        km.layers.STFTSpectrogram(dtype="bfloat16")(km.Input((None, 1)))
