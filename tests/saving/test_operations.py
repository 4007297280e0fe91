"""Functions in a graph: their place in a file is Keras' own, read by both."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest

import kerasmagic as km
from kerasmagic.core import tree
from tests.ops.row import Row, words
from tests.ops.rows import ROWS
from tests.ops.test_ops import SYMBOLIC, UNDEFINED, assert_close, call, leaves

FIRST = {ROWS[number].name: number for number in reversed(SYMBOLIC)}
# Keras cannot write these, or not read again what it wrote.
NOT_IN_KERAS = set(
    words("average bincount digitize histogram linspace adaptive_max_pool adaptive_average_pool")
)
# Where Keras has two classes for one function.
ALIASES = {"TrueDivide": "Divide", "BitwiseNot": "BitwiseInvert"}
ALIASES |= {"LeftShift": "BitwiseLeftShift", "RightShift": "BitwiseRightShift"}
# What an argument stands for where it is left out.
SPELLED_OUT = {"image.extract_patches"}  # Keras writes a pair for one number
DEFAULTS = {"data_format": "channels_last", "dtype": "float32", "rms_scaling": False}
# Functions of the user in the graph: a file holds none that is not registered.
FUNCTIONS = set(words("associative_scan fori_loop jvp map scan switch vectorized_map while_loop"))
NAMES = [name for name in FIRST if name not in FUNCTIONS]


def graph(keras: Any, each: Row) -> tuple[Any, list[np.ndarray]]:
    """Return a model that makes the call of a row, with an input for each array in it, and the arrays."""
    inputs, arrays = [], []

    def replace(x: Any) -> Any:
        if isinstance(x, np.ndarray) and x.ndim:
            inputs.append(keras.Input(batch_shape=x.shape, dtype=str(x.dtype)))
            arrays.append(x)
            return inputs[-1]
        return type(x)(map(replace, x)) if isinstance(x, (list, tuple)) else x

    args, kwargs = replace(each.args), {key: replace(value) for key, value in each.kwargs.items()}
    outputs = leaves(call(keras.ops, Row(each.name, args, kwargs)))
    return keras.Model(inputs, outputs), arrays


def plain(model: Any) -> dict[str, Any]:
    return json.loads(json.dumps(model.get_config()))


def described(config: dict[str, Any]) -> list[Any]:
    """Return what a config says of each function, names apart: address, fixed arguments, and how many flow."""
    result = []
    for layer in config["layers"]:
        if layer["class_name"] == "InputLayer":
            continue
        fixed = {key: value for key, value in layer["config"].items() if key != "name"}
        fixed = {key: value for key, value in fixed.items() if value not in (None, DEFAULTS.get(key))}
        name = ALIASES.get(layer["class_name"], layer["class_name"])
        node = layer["inbound_nodes"][0]
        flowing = [x for x in tree.flatten([node["args"], node["kwargs"]]) if x == "__keras_tensor__"]
        assert layer["registered_name"] == layer["class_name"]
        result.append((layer["module"], name, fixed, len(flowing)))
    return result


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_what_keras_would_say(keras, name):
    number = FIRST[name]
    ours, arrays = graph(km, ROWS[number])
    config = plain(ours)
    again = type(ours).from_config(config)
    assert plain(again) == config
    for a, b in zip(tree.flatten(again(arrays)), leaves(call(km.ops, ROWS[number])), strict=True):
        if name not in UNDEFINED:
            assert_close(ROWS[number], a, b)
    if name in NOT_IN_KERAS:
        return
    theirs, _ = graph(keras, ROWS[number])
    assert name in SPELLED_OUT or described(plain(theirs)) == described(config)
    read = type(ours).from_config(plain(theirs))
    assert [(x.shape, x.dtype) for x in read.outputs] == [(x.shape, x.dtype) for x in ours.outputs]
    their_reading = type(theirs).from_config(config)
    assert len(their_reading.outputs) == len(ours.outputs)
