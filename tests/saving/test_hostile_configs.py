"""Configs that mean harm: one for each kind of attack that was ever reported. All are refused, nothing is touched."""

from __future__ import annotations

import base64
import json
import marshal
from pathlib import Path
from typing import Any

import h5py
import pytest

import kerasmagic as km
from tests.saving.audit import Watch
from tests.saving.hostile import (
    PICKLED,
    config_of,
    layer,
    members_of,
    packed,
    refused,
)

# ---- what a config may not say

CODE = compile("lambda x: __import__('os').system('touch /tmp/harmed')", "<payload>", "eval").co_consts[0]
MARSHALLED = base64.b64encode(marshal.dumps(CODE)).decode()
LAMBDA = {"class_name": "__lambda__", "config": {"value": [MARSHALLED, None, None]}}


def function(module: Any, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def dense(**config: Any) -> dict[str, Any]:
    return layer("keras.layers", "Dense", units=3, **config)


UNSAFE_FIRST = function("keras.config", "enable_unsafe_deserialization")
NO_CLASS, NO_CODE = "no public", "Refusing to read|is refused"
CONFIGS = {
    "marshal in a Lambda": (layer("keras.layers", "Lambda", function=LAMBDA), NO_CODE),
    "marshal in an old Lambda": (
        layer("keras.layers", "Lambda", function=[MARSHALLED, None, None], function_type="lambda"),
        "code|Refusing|lambda",
    ),
    "marshal in an output shape": (
        layer("keras.layers", "Lambda", function="relu", output_shape=LAMBDA, output_shape_type="lambda"),
        NO_CODE,
    ),
    "marshal in an activation": (dense(activation=LAMBDA), NO_CODE),
    "marshal deep in a wrapper": (
        layer("keras.layers", "TimeDistributed", layer=layer("keras.layers", "Lambda", function=LAMBDA)),
        NO_CODE,
    ),
    "a class of another module": (layer("subprocess", "Popen", args=["touch", "/tmp/harmed"]), NO_CLASS),
    "a class of Python": (layer("builtins", "eval"), NO_CLASS),
    "a module that would be imported": (layer("antigravity", "geohash"), NO_CLASS),
    "a function of another module": (dense(activation=function("os", "system")), NO_CLASS),
    "a function of Python": (dense(activation=function("builtins", "exec")), NO_CLASS),
    "a private module of the library": (layer("kerasmagic.saving.atomic", "replacing"), NO_CLASS),
    "a private module of Keras": (layer("keras.src.saving.saving_lib", "H5IOStore"), NO_CLASS),
    "a path through a module": (layer("keras.layers.os", "system"), NO_CLASS),
    "a dotted name": (layer("keras.layers", "core.os.system"), NO_CLASS),
    "a gadget that downloads": (dense(activation=function("keras.utils", "get_file")), NO_CLASS),
    "a gadget that downloads, as a layer": (
        layer("keras.utils", "get_file", fname="x", origin="http://localhost:9/x"),
        NO_CLASS,
    ),
    "a gadget that loads another file": (
        layer("keras.models", "load_model", filepath="/tmp/x.keras"),
        NO_CLASS,
    ),
    "a gadget that loads, as a function": (
        dense(activation=function("keras.saving", "load_model")),
        NO_CLASS,
    ),
    "a gadget that writes": (dense(kernel_initializer=function("keras.utils", "plot_model")), NO_CLASS),
    "a saved model of another library": (layer("keras.layers", "TFSMLayer", filepath="/tmp/x"), NO_CLASS),
    "safe mode off first": (
        dense(activation=UNSAFE_FIRST, kernel_initializer=LAMBDA),
        f"{NO_CLASS}|{NO_CODE}",
    ),
    "a pickle in a layer": (layer("keras.layers", "TorchModuleWrapper", module=PICKLED), NO_CLASS),
    "a pickle of a joblib layer": (layer("keras.layers", "Unpickle", value=PICKLED), NO_CLASS),
    "a reduction": (dense(activation={"class_name": "__reduce__", "config": {"value": PICKLED}}), NO_CODE),
    "a type of another library": (
        dense(
            activation={"class_name": "__typespec__", "module": "os", "spec_name": "system", "config": ["ls"]}
        ),
        NO_CODE,
    ),
    "an array of objects": (
        dense(
            kernel_initializer={
                "class_name": "__numpy__",
                "config": {"value": [[PICKLED]], "dtype": "object"},
            }
        ),
        "type|dtype|object",
    ),
    "a vocabulary of the disk": (
        layer("keras.layers", "StringLookup", vocabulary="/etc/passwd"),
        f"{NO_CLASS}|outside|path|file",
    ),
    "a vocabulary of the net": (
        layer("keras.layers", "TextVectorization", vocabulary="http://localhost:9/words"),
        f"{NO_CLASS}|outside|path|file",
    ),
    "a shadowed class": ({**dense(), "registered_name": "Evil>Dense"}, "registered"),
    "a class for a function": (dense(activation=function("keras.layers", "Dense")), NO_CLASS),
    "a function for a class": (layer("keras.activations", "relu"), NO_CLASS),
    "an attribute of a class": (layer("keras.layers", "__init__"), "Refusing|no public"),
    "a name that is a list": ({**dense(), "class_name": ["Dense"]}, NO_CLASS),
    "a config that is a list": ({**dense(), "config": [1, 2]}, "no object"),
    "a config that is a text": ({**dense(), "config": "Dense"}, "no object"),
    "no layer at all": (3, "does not describe"),
    "no layer but nothing": (None, "does not describe"),
    "an unknown argument": (dense(evil=1), "evil"),
    "a size that is a text": (layer("keras.layers", "Dense", units="3"), "units"),
    "a size that is a layer": (layer("keras.layers", "Dense", units=dense()), "units"),
    "a size beyond all memory": (layer("keras.layers", "Dense", units=10**13), "incompatible"),
    "a size below zero": (layer("keras.layers", "Dense", units=-1), "units"),
    "layers without end": ({}, "nested too deeply|damaged"),
}


def nested(depth: int) -> dict[str, Any]:
    config: dict[str, Any] = dense()
    for _ in range(depth):
        config = layer("keras.layers", "TimeDistributed", layer=config)
    return config


def with_layer(genuine: Path, path: Path, replacement: Any) -> Path:
    """Write a file in which the config of the first hidden layer is another."""
    members = members_of(genuine / "m.keras")
    config = json.loads(members["config.json"])
    layers = config["config"]["layers"]
    if replacement == {}:
        replacement = nested(300)
    if isinstance(replacement, dict):
        replacement = {**replacement, "name": layers[1]["name"], "inbound_nodes": layers[1]["inbound_nodes"]}
    layers[1] = replacement
    members["config.json"] = json.dumps(config).encode()
    return packed(path, members)


@pytest.mark.parametrize("safe_mode", [True, None, False])
@pytest.mark.parametrize("attack", CONFIGS)
def test_a_config_is_refused(genuine, tmp_path, attack, safe_mode):
    replacement, match = CONFIGS[attack]
    path = with_layer(genuine, tmp_path / "m.keras", replacement)
    refused(path, lambda: km.models.load_model(path, safe_mode=safe_mode), match)


@pytest.mark.parametrize("attack", [name for name in CONFIGS if name not in ("a size beyond all memory",)])
def test_an_old_file_is_refused_alike(genuine, tmp_path, attack):
    replacement, match = CONFIGS[attack]
    config = config_of(with_layer(genuine, tmp_path / "m.keras", replacement))
    path = tmp_path / "m.h5"
    path.write_bytes((genuine / "m.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs.modify(
            "model_config", json.dumps({"class_name": "Functional", "config": config["config"]})
        )
    refused(path, lambda: km.models.load_model(path), match)


@pytest.mark.parametrize(
    "attack", ["marshal in an activation", "a function of another module", "a reduction"]
)
def test_plain_data_is_refused_alike(tmp_path, attack):
    replacement, match = CONFIGS[attack]
    refused(tmp_path, lambda: km.saving.deserialize_keras_object(replacement), match)
    refused(tmp_path, lambda: km.layers.Dense.from_config({"name": "x", **replacement["config"]}), match)


@pytest.mark.parametrize(
    ("operation", "args"),
    [
        (layer("keras.src.ops.numpy", "Full", shape=[10**9]), [1.0]),
        (layer("keras.src.ops.numpy", "Arange"), [10**9]),
        (layer("keras.src.ops.core", "Map"), [function("os", "system"), "ls"]),
        (layer("keras.layers", "Dense", units=10**9), [[[1.0]]]),
    ],
)
def test_a_call_on_plain_values_computes_nothing(genuine, tmp_path, operation, args):
    members = members_of(genuine / "m.keras")
    config = json.loads(members["config.json"])
    call = {"args": args, "kwargs": {}}
    config["config"]["layers"].append({**operation, "name": "x", "inbound_nodes": [call]})
    path = packed(tmp_path / "m.keras", {**members, "config.json": json.dumps(config).encode()})
    refused(path, lambda: km.models.load_model(path), f"nothing flows|{NO_CLASS}")


def test_compile_settings_run_nothing(genuine, tmp_path):
    members = members_of(genuine / "m.keras")
    config = json.loads(members["config.json"])
    for loss in (LAMBDA, function("os", "system"), layer("subprocess", "Popen")):
        config["compile_config"] = {"optimizer": "adam", "loss": loss}
        path = packed(tmp_path / "m.keras", {**members, "config.json": json.dumps(config).encode()})
        with Watch(path) as watch, pytest.warns(UserWarning, match="without its compile settings"):
            model = km.models.load_model(path)
        assert watch.touched == []
        assert not model.compiled


def test_the_whole_config_may_be_something_else(genuine, tmp_path):
    members = members_of(genuine / "m.keras")
    for content, match in [
        (b"[]", "no object"),
        (b"{}", "does not describe|no model"),
        (b"\xff\xfe", "damaged"),
        (b'{"class_name": "Dense", "module": "keras.layers", "config": {"units": 3}}', "no model"),
        (b'{"class_name": "__lambda__", "config": {}}', NO_CODE),
        (b"[" * 100_000, "damaged|parts"),
        (b'{"a": ' * 100_000, "damaged"),
        (b'{"a": ' + b"9" * 5000 + b"}", "damaged|no model"),
        (b"[" + b"{}," * 4_500_000 + b"{}]", "millions of parts|far more"),
    ]:
        path = packed(tmp_path / "m.keras", {**members, "config.json": content})
        refused(path, lambda path=path: km.models.load_model(path), match)


def test_a_name_of_the_user_stands_for_what_the_user_says(genuine, tmp_path):
    @km.saving.register_keras_serializable("mine")
    class Dense(km.layers.Dense):
        pass

    try:
        path = with_layer(genuine, tmp_path / "m.keras", dense())
        assert type(km.models.load_model(path).layers[1]) is km.layers.Dense
        path = with_layer(genuine, tmp_path / "m.keras", {**dense(), "registered_name": "mine>Dense"})
        assert type(km.models.load_model(path).layers[1]) is Dense
        # A class that the user did not mean for it: the name alone is not enough.
        loaded = km.models.load_model(with_layer(genuine, tmp_path / "m.keras", dense()), {"Dense": Dense})
        assert type(loaded.layers[1]) is km.layers.Dense
    finally:
        km.saving.get_custom_objects().pop("mine>Dense")
