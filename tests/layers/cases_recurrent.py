"""Rows of the recurrent layers and their wrappers."""

from __future__ import annotations

from typing import Any

from tests.layers.case import Case, nested

X = (3, 5, 2)
BOTH_OPEN = (0, 1)
NO_SEED = "Keras' SimpleRNN loses its seed."
OPTIONS: dict[str, Any] = {
    "kernel_initializer": "he_normal",
    "recurrent_initializer": "glorot_uniform",
    "bias_initializer": "ones",
    "kernel_regularizer": "l2",
    "recurrent_regularizer": "l1",
    "bias_regularizer": "l2",
    "kernel_constraint": "non_neg",
    "recurrent_constraint": "max_norm",
    "bias_constraint": "unit_norm",
}
UNROLLED = "An unrolled loop needs a fixed time, and Keras cannot unroll over an open one either."
PARTS: list[dict[str, Any]] = [
    {},
    {"return_sequences": True, "return_state": True, "use_bias": False},
    {"go_backwards": True, "return_sequences": True, "activation": None},
    {"go_backwards": True, "return_state": True, "activation": "relu"},
]
MASKED_PARTS: list[dict[str, Any]] = [
    {},
    {"return_sequences": True, "return_state": True},
    {"go_backwards": True, "return_sequences": True, "zero_output_for_mask": True},
]


def rows(layer: str) -> list[Case]:
    """Return the rows that every layer with a cell of its own has."""
    return [
        *(Case(layer, {"units": 4, **part}, X, open_axes=BOTH_OPEN) for part in PARTS),
        *(Case(layer, {"units": 4, **part}, X, mask=True, open_axes=BOTH_OPEN) for part in MASKED_PARTS),
        Case(layer, {"units": 4, "unroll": True, "return_sequences": True}, X, note=UNROLLED),
        Case(layer, {"units": 4, "unroll": True, "go_backwards": True}, X, mask=True, note=UNROLLED),
        Case(layer, {"units": 3, **OPTIONS}, X),
    ]


def dropouts(layer: str, **more: Any) -> list[Case]:
    """Return rows with dropout: our masks are Keras' masks, so the numbers agree in training too."""
    configs = [{"dropout": 0.3}, {"recurrent_dropout": 0.4}, {"dropout": 0.3, "recurrent_dropout": 0.4}]
    return [Case(layer, {"units": 4, **config}, X, call={"training": True}, **more) for config in configs]


OF_CELL: dict[str, dict[str, Any]] = {
    "LSTMCell": {"recurrent_activation": "tanh", "unit_forget_bias": False},
    "GRUCell": {"recurrent_activation": "tanh", "reset_after": False},
}


def cells() -> list[Case]:
    """Return the cells inside a walk, alone and stacked."""
    found = []
    for name in ("SimpleRNNCell", "LSTMCell", "GRUCell"):
        cell = nested(name, units=3)
        stack = nested("StackedRNNCells", cells=[cell, nested("LSTMCell", units=4)])
        with_options = nested(name, units=3, activation="relu", **OPTIONS, **OF_CELL.get(name, {}))
        dropping = nested(name, units=3, use_bias=False, dropout=0.3, recurrent_dropout=0.4, seed=1)
        found += [
            Case("RNN", {"cell": cell, "return_state": True, "go_backwards": True}, X, mask=True),
            Case("RNN", {"cell": with_options, "return_sequences": True, "unroll": True}, X, note=UNROLLED),
            Case("RNN", {"cell": dropping}, X, call={"training": True}),
            Case("RNN", {"cell": stack}, X, mask=True, open_axes=BOTH_OPEN),
        ]
    return found


def bidirectional() -> list[Case]:
    """Return every mode of merging, with and without states and masks."""
    lstm = nested("LSTM", units=3, return_sequences=True)
    gru = nested("GRU", units=3, return_state=True)
    found = [
        Case("Bidirectional", {"layer": lstm, "merge_mode": mode}, X, mask=True, open_axes=BOTH_OPEN)
        for mode in ("concat", "sum", "mul", "ave", None)
    ]
    found += [Case("Bidirectional", {"layer": gru, "merge_mode": mode}, X) for mode in ("concat", None)]
    different = {
        "layer": nested("LSTM", units=3),
        "backward_layer": nested("GRU", units=3, go_backwards=True),
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


def convolutional() -> list[Case]:
    """Return the rows of the convolutional layers."""
    line, image, volume = (2, 3, 6, 2), (2, 3, 5, 6, 2), (2, 3, 4, 4, 5, 2)
    small = {"filters": 3, "kernel_size": 2}
    return [
        Case("ConvLSTM1D", small, line, open_axes=BOTH_OPEN),
        Case("ConvLSTM1D", {**small, "strides": 2, "return_sequences": True, "return_state": True}, line),
        Case("ConvLSTM1D", {**small, "dilation_rate": 2, "use_bias": False, "unit_forget_bias": False}, line),
        Case(
            "ConvLSTM1D", {**small, "padding": "same", "go_backwards": True, "return_sequences": True}, line
        ),
        Case(
            "ConvLSTM1D",
            {**small, "activation": "relu", "recurrent_activation": "tanh", "kernel_regularizer": "l2"},
            line,
        ),
        Case("ConvLSTM1D", {**small, **OPTIONS, "activity_regularizer": "l2"}, line),
        *(
            Case("ConvLSTM1D", {**small, **config}, line, call={"training": True})
            for config in ({"dropout": 0.3, "seed": 1}, {"dropout": 0.3, "recurrent_dropout": 0.4})
        ),
        Case("ConvLSTM2D", {"filters": 3, "kernel_size": [3, 2], "strides": [1, 2]}, image),
        Case("ConvLSTM3D", {**small, "padding": "same", "return_sequences": True}, volume),
        *(
            Case(name, {**small, "data_format": "channels_first"}, shape)
            for name, shape in (("ConvLSTM1D", (2, 3, 2, 6)), ("ConvLSTM2D", (2, 3, 2, 5, 6)))
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
    Case("GRU", {"units": 4, "recurrent_activation": "relu", "use_cudnn": False, "seed": 3}, X),
    Case("GRU", {"units": 4, "activity_regularizer": "l2"}, X),
    Case(
        "RNN",
        {"cell": nested("GRUCell", units=3), "return_sequences": True, "zero_output_for_mask": True},
        X,
        mask=True,
    ),
    Case("GRU", {"units": 4, "reset_after": False, "return_sequences": True}, X, mask=True),
    Case("GRU", {"units": 4, "reset_after": False, "use_bias": False}, X),
    Case("GRU", {"units": 4, "reset_after": False, "recurrent_dropout": 0.4}, X, call={"training": True}),
    *cells(),
    *bidirectional(),
    *states(),
    *convolutional(),
    Case("TimeDistributed", {"layer": nested("Dense", units=4, activation="relu")}, X),
    Case("TimeDistributed", {"layer": nested("Dense", units=4)}, X, mask=True),
    Case("TimeDistributed", {"layer": nested("LSTM", units=3)}, (2, 3, 4, 2)),
    Case("TimeDistributed", {"layer": nested("Conv2D", filters=3, kernel_size=2)}, (2, 3, 5, 4, 2)),
    Case("TimeDistributed", {"layer": nested("BatchNormalization")}, X, call={"training": True}),
    Case("TimeDistributed", {"layer": nested("BatchNormalization")}, X, call={"training": False}),
]
