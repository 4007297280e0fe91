"""Whatever is defined: a model or our own error, soon."""

from __future__ import annotations

import contextlib
import random
import time

import pytest

import kerasmagic as km
from kerasmagic.foundation.errors import KerasMagicError

_INPUTS = ["input 8x8x3", "input 6x4", "input 12", "input a 5x3\ninput b 5x3"]
_LINES = [
    *(
        "conv 4 3 same relu",
        "conv 3 2 /2",
        "dense 5",
        "flatten",
        "maxpool 2",
        "lstm 3 return_sequences",
        "mha 2 3",
    ),
    *(
        "bn",
        "+ x",
        "x = dense 4",
        "a + b",
        "[a, b] -> concat",
        "bi gru 3",
        "td dense 3",
        "gap",
        "reshape (2, -1)",
    ),
    *("embed 9 3", "ops.mean axis=1", "ops.reshape (3, 3)", "upsample 3", "pad 1", "crop 1", "output a, x"),
    *("max(a, b)", "a -> lstm 3 initial_state=b", "layer s = dense 3", "s", "a -> m", "dropout 3", "gn 3"),
    *(
        "model m:\n    input 5x3\n    dense 2",
        "dot(a, b, axes=1)",
        "compile adam, mse",
        "ops.concatenate axis=9",
    ),
    *(
        "block r(f):\n    dense f\n    + in",
        "r 3",
        "(dense 3) * 2",
        "for f in 1, 2:\n    dense f",
        "attention",
    ),
    *("ln axis=5", "activation leaky_relu", "Lambda(3)", "RNN(3)", "bi dense 3", "td 3", "ConvLSTM2D(3, 3)"),
]


@pytest.mark.parametrize("seed", range(4))
def test_any_definition_is_a_model_or_our_own_error(seed):
    chosen = random.Random(seed)
    for _ in range(60):
        lines = [chosen.choice(_INPUTS), *(chosen.choice(_LINES) for _ in range(chosen.randint(1, 5)))]
        text = "\n".join(lines)
        began = time.process_time()
        with contextlib.suppress(KerasMagicError):
            km.define(text)
        assert time.process_time() - began < 5, text
