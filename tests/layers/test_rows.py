"""The table shows every argument: a row sets it to something other than its default, or a reason says why not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kerasmagic.foundation.registry import LAYERS
from kerasmagic.foundation.signature import parameters
from tests.layers.case import Case
from tests.layers.cases import CASES
from tests.layers.test_names import WITHOUT_ROW

OF_EVERY_LAYER = {
    "name": "every row sets it",
    "dtype": "test_mixed_precision sets it for every row",
    "trainable": "tests/core/test_layer.py",
    "autocast": "tests/core/test_layer.py",
}
INITIAL = "initial values are no part of the config: tests/layers/test_core.py, test_recurrent.py"
QUANTIZED = "says how to quantize later: tests/layers/test_quantized.py"
ALPHA = "Keras takes it only in `enable_lora`: tests/layers/test_core.py"
SPARSE = "only its default is possible: tests/layers/test_encoding.py"
STATES = "its states are variables here and none in Keras: tests/layers/test_recurrent.py"
NOT_SHOWN: dict[tuple[str, str], str] = {
    **dict.fromkeys([("Embedding", "weights"), ("Bidirectional", "weights")], INITIAL),
    **dict.fromkeys([("Dense", "lora_alpha"), ("Embedding", "lora_alpha")], ALPHA),
    **{(layer, "quantization_config"): QUANTIZED for layer in ("Dense", "EinsumDense", "Embedding")},
    ("EinsumDense", "gptq_unpacked_column_size"): QUANTIZED,
    ("BatchNormalization", "synchronized"): "changes nothing here, and Keras refuses it on JAX",
    ("SimpleRNN", "activity_regularizer"): "Keras loses it: tests/layers/test_recurrent.py",
    **{(layer, "sparse"): SPARSE for layer in ("CategoryEncoding", "Discretization")},
    ("Discretization", "num_bins"): "needs data first: tests/layers/test_encoding.py",
    **{(layer, "stateful"): STATES for layer in ("RNN", "SimpleRNN", "LSTM", "GRU", "_ConvLSTM")},
}
"""Arguments without a row, by the class whose constructor has them, and why."""


def _layers_in(layer: str, config: dict[str, Any]) -> Iterator[tuple[type, dict[str, Any]]]:
    """Yield the class and config of a layer and of each layer in its arguments."""
    yield LAYERS.find(layer), config
    for value in config.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and item.get("module") == "keras.layers":
                yield from _layers_in(item["class_name"], item["config"])


def _shown() -> set[tuple[type, str]]:
    """Return the arguments that rows set, by the class whose constructor has them: ranks share one."""
    return {
        (p.owner, p.name)
        for case in CASES
        for cls, config in _layers_in(case.layer, case.config)
        for p in parameters(cls)
        if p.name in config and config[p.name] != p.default
    }


def test_every_argument_has_a_row_or_a_reason() -> None:
    shown = _shown()
    missing = {
        (p.owner.__name__, p.name)
        for name, cls in LAYERS.public_names().items()
        for p in parameters(cls)
        if name not in WITHOUT_ROW and p.name not in OF_EVERY_LAYER and (p.owner, p.name) not in shown
    }
    assert missing == set(NOT_SHOWN), "shown after all, or without a row and a reason"


@pytest.mark.parametrize("case", [case for case in CASES if case.skip], ids=lambda case: case.id)
def test_what_a_row_skips_has_a_reason(case: Case) -> None:
    assert case.note
