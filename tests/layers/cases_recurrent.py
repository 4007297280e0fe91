"""Rows of the recurrent layers and their wrappers."""

from __future__ import annotations

from typing import Any

from tests.layers.case import Case, nested

X = (3, 5, 2)
BOTH_OPEN = (0, 1)
NO_SEED = "Keras' SimpleRNN loses its seed."
UNROLLED = "An unrolled loop needs a fixed time, and Keras cannot unroll over an open one either."
PARTS: list[dict[str, Any]] = [
    {},
    {"return_sequences": True},
    {"return_sequences": True, "return_state": True},
    {"go_backwards": True, "return_sequences": True},
    {"go_backwards": True, "return_state": True},
    {"return_sequences": True, "zero_output_for_mask": True},
    {"use_bias": False},
    {"activation": "relu"},
    {"activation": None},
]


def rows(layer: str, **config: Any) -> list[Case]:
    """Return the rows that every layer with a cell of its own has."""
    return [
        *(Case(layer, {"units": 4, **config, **part}, X, open_axes=BOTH_OPEN) for part in PARTS),
        *(Case(layer, {"units": 4, **config, **part}, X, mask=True, open_axes=BOTH_OPEN) for part in PARTS[:6]),
        Case(layer, {"units": 4, "unroll": True, "return_sequences": True}, X, note=UNROLLED),
        Case(layer, {"units": 4, "unroll": True, "go_backwards": True}, X, mask=True, note=UNROLLED),
        Case(layer, {"units": 3, "kernel_initializer": "he_normal", "bias_initializer": "ones"}, X),
        Case(layer, {"units": 3, "recurrent_initializer": "glorot_uniform"}, X),
        Case(
            layer,
            {"units": 3, "kernel_regularizer": "l2", "recurrent_regularizer": "l1", "bias_regularizer": "l2"},
            X,
        ),
        Case(layer, {"units": 3, "kernel_constraint": "non_neg", "recurrent_constraint": "max_norm"}, X),
        Case(layer, {"units": 3, "bias_constraint": "unit_norm"}, X),
    ]


def dropouts(layer: str, **more: Any) -> list[Case]:
    """Return rows with dropout: our masks are Keras' masks, so the numbers agree in training too."""
    configs = [{"dropout": 0.3}, {"recurrent_dropout": 0.4}, {"dropout": 0.3, "recurrent_dropout": 0.4}]
    return [Case(layer, {"units": 4, **config}, X, call={"training": True}, **more) for config in configs]


def cells() -> list[Case]:
    """Return the cells inside a walk, alone and stacked."""
    found = []
    for name in ("SimpleRNNCell", "LSTMCell", "GRUCell"):
        cell = nested(name, units=3)
        stack = nested("StackedRNNCells", cells=[cell, nested("LSTMCell", units=4)])
        found += [
            Case("RNN", {"cell": cell, "return_sequences": True}, X, open_axes=BOTH_OPEN),
            Case("RNN", {"cell": cell, "return_state": True, "go_backwards": True}, X, mask=True),
            Case("RNN", {"cell": stack, "return_sequences": True}, X),
            Case("RNN", {"cell": stack}, X, mask=True, open_axes=BOTH_OPEN),
        ]
    return found


def bidirectional() -> list[Case]:
    """Return every mode of merging, with and without states and masks."""
    found = []
    for mode in ("concat", "sum", "mul", "ave", None):
        for layer in (
            nested("LSTM", units=3, return_sequences=True),
            nested("GRU", units=3),
            nested("SimpleRNN", units=3, return_state=True, return_sequences=True),
        ):
            config = {"layer": layer, "merge_mode": mode}
            found += [
                Case("Bidirectional", config, X, open_axes=BOTH_OPEN),
                Case("Bidirectional", config, X, mask=True),
            ]
    different = {
        "layer": nested("LSTM", units=3),
        "backward_layer": nested("GRU", units=2, go_backwards=True),
    }
    return [*found, Case("Bidirectional", different, X)]


def states() -> list[Case]:
    """Return rows with an initial state."""
    return [
        Case("SimpleRNN", {"units": 4}, {"sequences": X, "initial_state": [(3, 4)]}),
        Case("GRU", {"units": 4}, {"sequences": X, "initial_state": [(3, 4)]}),
        Case("LSTM", {"units": 4}, {"sequences": X, "initial_state": [(3, 4), (3, 4)]}),
        Case("LSTM", {"units": 4, "unroll": True}, {"sequences": X, "initial_state": [(3, 4), (3, 4)]}),
        Case(
            "Bidirectional",
            {"layer": nested("LSTM", units=4, return_sequences=True)},
            {"sequences": X, "initial_state": [(3, 4), (3, 4), (3, 4), (3, 4)]},
        ),
    ]


CASES: list[Case] = [
    *rows("SimpleRNN"),
    *rows("LSTM"),
    *rows("GRU"),
    *dropouts("SimpleRNN"),
    *dropouts("LSTM"),
    *dropouts("GRU"),
    Case("SimpleRNN", {"units": 2, "seed": 3}, X, skip=frozenset({"config"}), note=NO_SEED),
    Case("LSTM", {"units": 4, "recurrent_activation": "relu", "seed": 3}, X),
    Case("LSTM", {"units": 4, "unit_forget_bias": False}, X),
    Case("LSTM", {"units": 4, "use_cudnn": False, "activity_regularizer": "l2"}, X),
    Case("GRU", {"units": 4, "recurrent_activation": "relu"}, X),
    Case("GRU", {"units": 4, "reset_after": False, "return_sequences": True}, X, mask=True),
    Case("GRU", {"units": 4, "reset_after": False, "use_bias": False}, X),
    Case("GRU", {"units": 4, "reset_after": False, "recurrent_dropout": 0.4}, X, call={"training": True}),
    *cells(),
    *bidirectional(),
    *states(),
    Case("TimeDistributed", {"layer": nested("Dense", units=4, activation="relu")}, X),
    Case("TimeDistributed", {"layer": nested("Dense", units=4)}, X, mask=True),
    Case("TimeDistributed", {"layer": nested("LSTM", units=3)}, (2, 3, 4, 2)),
    Case("TimeDistributed", {"layer": nested("Conv2D", filters=3, kernel_size=2)}, (2, 3, 5, 4, 2)),
    Case("TimeDistributed", {"layer": nested("BatchNormalization")}, X, call={"training": True}),
    Case("TimeDistributed", {"layer": nested("BatchNormalization")}, X, call={"training": False}),
]
