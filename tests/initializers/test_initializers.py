"""Initializers against Keras: the same values for the same seed, configs, names and errors."""

from __future__ import annotations

import logging
import random

import jax
import jax.numpy as jnp
import ml_dtypes  # noqa: F401 - makes "bfloat16" a NumPy type
import numpy as np
import pytest

from kerasmagic import initializers
from kerasmagic.core.random import SeedGenerator
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import UnknownName
from kerasmagic.foundation.registry import INITIALIZERS
from kerasmagic.initializers import drawn
from tests.tools import public_names
from tests.tools.halves import machine_rounding

# The host rounds the multiplication and the addition of a range once, as XLA does where it fuses them.
pytestmark = pytest.mark.usefixtures("optimized")

EXACT = {
    "Constant": [{}, {"value": 2.5}, {"value": [1.0, 2.0, 3.0, 4.0]}],
    "Zeros": [{}],
    "Ones": [{}],
    "RandomUniform": [{}, {"minval": -2.0, "maxval": 3.0}],
    "GlorotUniform": [{}, {"input_axes": [0], "output_axes": [1]}],
    "HeUniform": [{}],
    "LecunUniform": [{}],
    "VarianceScaling": [
        {"distribution": "uniform"},
        {"distribution": "uniform", "mode": "fan_out", "scale": 3.0},
        {"distribution": "uniform", "mode": "fan_avg", "input_axes": [1], "output_axes": [0]},
    ],
}
ROUNDED = {
    "RandomNormal": [{}, {"mean": 1.0, "stddev": 2.0}],
    "TruncatedNormal": [{}, {"mean": 1.0, "stddev": 2.0}],
    "GlorotNormal": [{}],
    "HeNormal": [{}],
    "LecunNormal": [{}],
    "VarianceScaling": [
        {},
        {"distribution": "untruncated_normal", "mode": "fan_out"},
        {"distribution": "NORMAL"},
    ],
}
SEEDLESS = {"Constant", "Zeros", "Ones", "Identity", "STFT"}
SHAPES = [(3, 4), (2, 3, 5, 4)]


def rows(table):
    return [
        pytest.param(name, config, id=f"{name}-{config}") for name, all_ in table.items() for config in all_
    ]


def pair(keras, name, config, seed=3):
    seeded = config if name in SEEDLESS else {**config, "seed": seed}
    return getattr(initializers, name)(**seeded), getattr(keras.initializers, name)(**seeded)


def as_float(x) -> np.ndarray:
    return np.asarray(x).astype(np.float64)


def test_public_names(keras):
    public_names.check(initializers, keras.initializers)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("name", "config"), rows(EXACT))
def test_values_are_those_of_keras(keras, name, config, dtype):
    ours, theirs = pair(keras, name, config)
    for shape in SHAPES:
        value, expected = ours(shape, dtype), theirs(shape, dtype)
        assert isinstance(value, np.ndarray)
        assert value.dtype == expected.dtype
        np.testing.assert_allclose(
            as_float(value), as_float(expected), rtol=0, atol=machine_rounding(expected)
        )


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("name", "config"), rows(ROUNDED))
def test_normals_are_those_of_keras_up_to_rounding(keras, name, config, dtype):
    ours, theirs = pair(keras, name, config)
    for shape in SHAPES:
        value, expected = ours(shape, dtype), theirs(shape, dtype)
        assert isinstance(value, np.ndarray)
        assert value.dtype == expected.dtype
        # The last bit of the logarithm in the inverse error function differs; at its ends the function is steep.
        tolerance = max(5e-7, machine_rounding(expected, growth=10))
        np.testing.assert_allclose(as_float(value), as_float(expected), rtol=1e-6, atol=tolerance)


def test_the_default_type_and_odd_shapes(keras):
    for shape in [(), (5,), (0, 3), [2, 3], 3]:
        ours, theirs = pair(keras, "RandomUniform", {})
        assert ours(shape).dtype == np.float32
        np.testing.assert_array_equal(ours(shape), np.asarray(theirs(shape)))
    for name in ("GlorotUniform", "LecunUniform"):
        for shape in [(), (5,)]:
            ours, theirs = pair(keras, name, {})
            np.testing.assert_array_equal(ours(shape), np.asarray(theirs(shape)))


def test_without_64_bits_there_are_none():
    for name in ("zeros", "ones", "glorot_uniform", "he_normal", "orthogonal", "identity"):
        assert initializers.get(name)((2, 3), "float64").dtype == np.float32


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32"])
def test_constants_of_other_types(keras, dtype):
    for name in ("Zeros", "Ones", "Constant"):
        ours, theirs = pair(keras, name, {"value": 3} if name == "Constant" else {})
        assert ours((2,), dtype).dtype == theirs((2,), dtype).dtype
        np.testing.assert_array_equal(ours((2,), dtype), np.asarray(theirs((2,), dtype)))
    with pytest.raises(ValueError, match="float"):
        initializers.RandomUniform(seed=1)((2,), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32"])
@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (4, 1)])
def test_identity(keras, shape, dtype):
    ours, theirs = pair(keras, "Identity", {"gain": 0.3})
    assert ours(shape, dtype).dtype == theirs(shape, dtype).dtype
    np.testing.assert_array_equal(ours(shape, dtype), np.asarray(theirs(shape, dtype)))


@pytest.mark.parametrize("shape", [(4, 4), (7, 3), (3, 7), (2, 3, 5), (3, 3, 2, 40)])
def test_orthogonal(keras, shape):
    ours, theirs = pair(keras, "Orthogonal", {"gain": 1.5})
    value = ours(shape)
    # Two ways to factor the same matrix.
    np.testing.assert_allclose(value, np.asarray(theirs(shape)), atol=2e-6)
    matrix = value.reshape(-1, shape[-1]) / 1.5
    gram = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=2e-6)


@pytest.mark.parametrize("shape", [(64, 256), (60, 60), (5, 0)])
def test_orthogonal_matrices_of_any_size_are_made_alike(shape, monkeypatch):
    small = initializers.Orthogonal(seed=2)(shape)
    monkeypatch.setattr(drawn, "LARGEST_BY_ROWS", -1)
    np.testing.assert_allclose(small, initializers.Orthogonal(seed=2)(shape), atol=2e-5)


def test_orthogonal_in_half_precision():
    # Keras has no factorization of 16-bit floats: ours is the float32 one of the same draw, rounded.
    value = initializers.Orthogonal(seed=1)((6, 4), "float16")
    assert value.dtype == np.float16
    np.testing.assert_allclose(as_float(value.T) @ as_float(value), np.eye(4), atol=3e-3)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"side": "imag"},
        {"side": "imag", "scaling": "spectrum", "window": "hamming", "periodic": True},
        {"scaling": None},
        {"window": None},
        {"window": [0.5, 1.0, 2.0, 1.0, 0.5, 0.1, 0.2, 0.3], "scaling": "spectrum"},
    ],
)
def test_stft(keras, config):
    ours, theirs = pair(keras, "STFT", config)
    np.testing.assert_allclose(ours((8, 1, 9)), np.asarray(theirs((8, 1, 9))), atol=2e-6)


@pytest.mark.parametrize(("name", "config"), [*rows(EXACT), *rows(ROUNDED)])
def test_config_is_that_of_keras(keras, name, config):
    ours, theirs = pair(keras, name, config)
    assert ours.get_config() == theirs.get_config()
    assert initializers.serialize(ours) == keras.initializers.serialize(theirs)
    again = initializers.deserialize(keras.initializers.serialize(theirs))
    assert type(again) is type(ours)
    np.testing.assert_array_equal(again((3, 4)), ours((3, 4)))
    np.testing.assert_array_equal(ours.clone()((3, 4)), ours((3, 4)))


@pytest.mark.parametrize("name", ["Orthogonal", "STFT", "GlorotUniform", "HeNormal", "RandomNormal"])
def test_config_of_the_defaults(keras, name):
    assert getattr(initializers, name)().get_config() == getattr(keras.initializers, name)().get_config()


def test_the_config_of_the_identity_keeps_the_gain(keras):
    # Keras forgets it.
    config = initializers.serialize(initializers.Identity(gain=2.0))
    assert config["config"] == {"gain": 2.0}
    assert keras.initializers.deserialize(config).gain == 2.0
    assert initializers.Identity.from_config(keras.initializers.Identity().get_config()).gain == 1.0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_nothing_is_compiled(caplog, dtype):
    names = sorted(INITIALIZERS.public_names().keys() - {"Initializer", "STFT"})
    with caplog.at_level(logging.WARNING, logger="jax"), jax.log_compiles(True):
        for name in names:
            assert initializers.get(name)((17, 19), dtype).shape == (17, 19)
        assert not [record.message for record in caplog.records if "ompil" in record.message]
        jax.jit(lambda x: x + len(names))(np.ones((17, 19)))
        assert [record.message for record in caplog.records if "ompil" in record.message]


def test_every_name_that_keras_knows(keras):
    from keras.src.initializers import ALL_OBJECTS_DICT

    for name, cls in ALL_OBJECTS_DICT.items():
        assert INITIALIZERS.find(name).__name__ == cls.__name__
    for name in ("zeros", "glorot_uniform", "he_normal", "orthogonal", "OrthogonalInitializer", "uniform"):
        assert type(initializers.get(name)).__name__ == type(keras.initializers.get(name)).__name__


def test_get():
    class Mine(initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return np.full(shape, 7.0)

    assert initializers.get(None) is None
    assert isinstance(initializers.get(initializers.HeNormal), initializers.HeNormal)
    instance = initializers.Ones()
    assert initializers.get(instance) is instance
    assert initializers.get(len) is len
    assert initializers.get({"class_name": "Constant", "config": {"value": 3.0}}).value == 3.0
    assert initializers.deserialize("zeros")((1,)).tolist() == [0.0]
    config = {"class_name": "Mine", "config": {}}
    assert isinstance(initializers.deserialize(config, custom_objects={"Mine": Mine}), Mine)
    with pytest.raises(ValueError, match="glorot_uniform"):
        initializers.get("gloret_uniform")
    with pytest.raises(UnknownName):
        initializers.deserialize(config)
    for wrong in (3, [1.0], object()):
        with pytest.raises(ValueError, match="initializer"):
            initializers.get(wrong)


@pytest.mark.parametrize("make", [np.asarray, jnp.asarray, Variable])
def test_an_array_is_its_own_initial_value(make):
    initializer = initializers.get(make(np.float32([1, 2])))
    np.testing.assert_array_equal(initializer((2,), "int32"), [1, 2])
    assert initializer([2]).dtype == np.float32
    with pytest.raises(ValueError, match=r"\(2,\)"):
        initializer((3,))


def test_a_seed_is_drawn_once(keras):
    random.seed(5)
    ours = [initializers.GlorotUniform() for _ in range(2)]
    random.seed(5)
    theirs = [keras.initializers.GlorotUniform() for _ in range(2)]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one((3, 4)), np.asarray(other((3, 4))))
        np.testing.assert_array_equal(one((3, 4)), one((3, 4)))
        assert one.get_config()["seed"] is None
    assert not np.array_equal(ours[0]((3, 4)), ours[1]((3, 4)))
    assert not np.array_equal(ours[0].clone()((3, 4)), ours[0]((3, 4)))


def test_a_seed_generator_gives_new_values(keras):
    ours = initializers.HeNormal(seed=SeedGenerator(3))
    theirs = keras.initializers.HeNormal(seed=keras.random.SeedGenerator(3))
    for _ in range(3):
        np.testing.assert_allclose(ours((3, 4)), np.asarray(theirs((3, 4))), rtol=1e-6, atol=1e-7)
    assert not np.array_equal(ours((3, 4)), ours((3, 4)))
    config = ours.get_config()["seed"]
    assert config["class_name"] == "SeedGenerator"
    assert config["config"]["seed"] == 3
    again = initializers.HeNormal.from_config(ours.get_config())
    np.testing.assert_array_equal(again((2,)), initializers.HeNormal(seed=SeedGenerator(3))((2,)))


def test_in_a_variable():
    variable = Variable("glorot_uniform", shape=(3, 4), dtype="bfloat16")
    assert variable.value.dtype == jnp.bfloat16
    assert np.abs(as_float(variable.value)).max() > 0


def test_in_a_traced_function():
    value = jax.jit(lambda: jnp.asarray(initializers.HeNormal(seed=1)((3, 4))))()
    np.testing.assert_array_equal(value, initializers.HeNormal(seed=1)((3, 4)))


WRONG = [
    ("VarianceScaling", {"scale": 0.0}, "scale"),
    ("VarianceScaling", {"scale": -1.0}, "scale"),
    ("VarianceScaling", {"mode": "fan"}, "mode"),
    ("VarianceScaling", {"distribution": "cauchy"}, "distribution"),
    ("GlorotUniform", {"seed": "3"}, "seed"),
    ("GlorotUniform", {"seed": 1.5}, "seed"),
    ("STFT", {"side": "left"}, "side"),
    ("STFT", {"window": "no such window"}, "window"),
    ("STFT", {"scaling": "loud"}, "(?i)scaling"),
]


@pytest.mark.parametrize(("name", "config", "word"), WRONG)
def test_wrong_arguments(keras, name, config, word):
    for library in (initializers, keras.initializers):
        with pytest.raises(ValueError, match=word):
            getattr(library, name)(**config)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("Identity", (3,)), ("Identity", (2, 2, 2)), ("Orthogonal", (3,)), ("STFT", (9, 1, 5))],
)
def test_wrong_shapes(keras, name, shape):
    config = {"window": [1.0, 2.0]} if name == "STFT" else {}
    for library in (initializers, keras.initializers):
        with pytest.raises(ValueError, match=r"\(2,\)" if name == "STFT" else r"\(.*,.*\)"):
            getattr(library, name)(**config)(shape)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_does_not_fit(keras, seed):
    for library in (initializers, keras.initializers):
        with pytest.raises(OverflowError):
            library.GlorotUniform(seed=seed)((2,))


def test_the_base_has_no_values():
    with pytest.raises(NotImplementedError):
        initializers.Initializer()((2,))
    assert initializers.Initializer().get_config() == {}
