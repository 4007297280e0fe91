"""The good files that the tests of hostile ones spoil."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest

import kerasmagic as km
from tests.saving.hostile import config_of, made


@pytest.fixture(scope="session")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of good files; reading each of them once imports and compiles what that takes."""
    folder = tmp_path_factory.mktemp("genuine")
    model = made()
    model.save(folder / "m.keras")
    for name in ("m.weights.h5", "m.weights.json", "m.safetensors"):
        model.save_weights(folder / name)
        model.load_weights(folder / name)
    with h5py.File(folder / "m.h5", "w") as file:
        config = {"class_name": "Functional", "config": config_of(folder / "m.keras")["config"]}
        file.attrs["model_config"] = json.dumps(config)
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [b"first", b"second"]
        for name, layer in zip(("first", "second"), model.layers[1:], strict=True):
            root.create_group(name).attrs["weight_names"] = [b"kernel", b"bias"]
            root[name]["kernel"], root[name]["bias"] = layer.kernel.numpy(), layer.bias.numpy()
    for name in ("m.keras", "m.h5"):
        km.models.load_model(folder / name)
    return folder
