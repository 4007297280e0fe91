"""Quantized models: all layers at once, training, and `.keras` files that Keras reads and writes too."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import kerasmagic

X = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")
IDS = np.random.default_rng(1).integers(0, 11, (8, 3)).astype("int32")


def build(keras: Any) -> Any:
    ids, x = keras.Input((3,), dtype="int32", name="ids"), keras.Input((6,), name="x")
    tokens = keras.layers.Embedding(11, 8, name="tokens")(ids)
    mixed = keras.layers.EinsumDense("abc,cd->abd", output_shape=(None, 6), bias_axes="d", name="mixed")(
        tokens
    )
    joined = keras.layers.Add(name="add")([keras.layers.GlobalAveragePooling1D(name="pool")(mixed), x])
    hidden = keras.layers.Dense(7, activation="relu", name="hidden")(joined)
    return keras.Model([ids, x], keras.layers.Dense(2, name="scores")(hidden), name="model")


@pytest.fixture(scope="module")
def quantized(keras: ModuleType) -> dict[str, tuple[Any, Any]]:
    """Return our model and that of Keras, of the same weights, by mode."""
    made = {}
    for mode in ("int8", "int4", "float8"):
        both = build(kerasmagic), build(keras)
        both[1].set_weights(both[0].get_weights())
        for model in both:
            with pytest.warns(UserWarning, match="quantiz"):
                model.quantize(mode)
        made[mode] = both
    return made


def predict(model: Any) -> Any:
    return np.asarray(model([IDS, X]))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_files_are_interchanged(
    mode: str, quantized: dict[str, Any], keras: ModuleType, tmp_path: Path
) -> None:
    ours, theirs = quantized[mode]
    np.testing.assert_allclose(predict(ours), predict(theirs), rtol=1e-5, atol=1e-5)
    ours.save(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    for library in (kerasmagic, keras):
        for name in ("ours", "theirs"):
            again = library.models.load_model(tmp_path / f"{name}.keras")
            assert [v.dtype for v in again.weights] == [v.dtype for v in ours.weights]
            np.testing.assert_allclose(predict(again), predict(ours), rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_filters_choose_layers() -> None:
    wanted: list[tuple[Any, set[str]]] = [
        ("hid", {"hidden"}),
        (["hid", "^sc"], {"hidden", "scores"}),
        (lambda layer: layer.name == "tokens", {"tokens"}),
        (None, {"tokens", "mixed", "hidden", "scores"}),
    ]
    for filters, names in wanted:
        model = build(kerasmagic)
        model.quantize("int8", filters=filters)
        assert {layer.name for layer in model.layers if layer.quantization_mode} == names
    with pytest.raises(ValueError, match="filters"):
        model.quantize("int8", filters=3)
    with pytest.raises(ValueError, match="already"):
        model.quantize("int8")


@pytest.mark.filterwarnings("ignore")
def test_layers_inside_of_layers_are_quantized() -> None:
    x = kerasmagic.Input((5, 8))
    attention = kerasmagic.layers.MultiHeadAttention(2, 4, name="attention")
    model = kerasmagic.Model(x, attention(x, x))
    values = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
    before = model(values)
    model.quantize("int8")
    assert attention.query_dense.kernel.dtype == attention.output_dense.kernel.dtype == "int8"
    np.testing.assert_allclose(model(values), before, atol=0.05)


@pytest.mark.filterwarnings("ignore")
def test_float8_training_follows_keras(keras: ModuleType) -> None:
    """Ten steps of SGD: scales and histories are assigned, weights follow their gradient."""
    models = []
    for library in (kerasmagic, keras):
        model = library.Sequential(
            [library.Input((6,)), library.layers.Dense(5, activation="tanh"), library.layers.Dense(1)]
        )
        models.append(model)
    models[1].set_weights(models[0].get_weights())
    for model in models:
        model.quantize("float8")
        model.compile(optimizer="sgd", loss="mse")
        model.fit(X, X[:, :1], batch_size=4, epochs=5, shuffle=False, verbose=0)
    for mine, other in zip(models[0].weights, models[1].weights, strict=True):
        assert mine.name == other.name
        # One product that rounds the other way moves a weight by a thousandth of itself.
        np.testing.assert_allclose(mine.numpy(), np.asarray(other), rtol=2e-3, atol=1e-4)
    histories = [v for v in models[0].weights if v.name.endswith("amax_history")]
    assert len(histories) == 6
    assert all(np.count_nonzero(v.numpy()) == 10 for v in histories)


@pytest.mark.filterwarnings("ignore")
def test_only_the_low_rank_update_learns(keras: ModuleType) -> None:
    models = []
    for library in (kerasmagic, keras):
        dense = library.layers.Dense(3, name="dense")
        model = library.Sequential([library.Input((6,)), dense])
        model.quantize("int4")
        dense.enable_lora(2)
        models.append(model)
    models[1].set_weights(models[0].get_weights())
    for model in models:
        model.compile(optimizer="sgd", loss="mse")
        model.fit(X, X[:, :3], batch_size=4, epochs=3, shuffle=False, verbose=0)
    for mine, other in zip(models[0].weights, models[1].weights, strict=True):
        np.testing.assert_allclose(mine.numpy(), np.asarray(other), rtol=1e-4, atol=1e-5)
    assert len(models[0].trainable_weights) == 3
