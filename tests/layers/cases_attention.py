"""Rows of the attention layers."""

from __future__ import annotations

from typing import Any

from tests.layers.case import Case

Q, V, K = (2, 4, 6), (2, 5, 6), (2, 5, 6)
PAIR: dict[str, Any] = {"query": Q, "value": V}
TRIPLE: dict[str, Any] = {"query": Q, "value": (2, 5, 3), "key": (2, 5, 7)}
GRID: dict[str, Any] = {"query": (2, 3, 4, 6), "value": (2, 3, 5, 6)}
HEADS: dict[str, Any] = {"num_heads": 2, "key_dim": 3}
GROUPS: dict[str, Any] = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
OPEN = (0, 1)
SCORES = {"return_attention_scores": True}
CAUSAL = {"use_causal_mask": True}
FLASH = "Keras loses flash_attention in its config."
VALUE_DIM = (
    "Keras fails on JAX where value_dim differs, unless it returns the scores, whose shape it gets wrong."
)
SCORE_SHAPE = (
    "Keras takes the number of keys for that of queries in the shape of the scores, and leaves on them the mask "
    "that it gave its softmax."
)
PENALTIES: dict[str, Any] = {
    "kernel_initializer": "he_normal",
    "bias_initializer": "ones",
    "kernel_regularizer": "l2",
    "bias_regularizer": "l1",
    "activity_regularizer": "l2",
    "kernel_constraint": "non_neg",
    "bias_constraint": "max_norm",
}


def plain(layer: str) -> list[Case]:
    """Return the rows that both layers without projections have."""
    return [
        Case(layer, {}, [Q, V], open_axes=OPEN),
        Case(layer, {}, [Q, V, K], call=SCORES, open_axes=OPEN),
        Case(layer, {"use_scale": True}, [Q, V], mask="all"),
        Case(layer, {"use_scale": False}, [Q, V, K], mask="all", call=CAUSAL),
        Case(layer, {"use_scale": True}, [Q, Q], call={**CAUSAL, **SCORES}),
        Case(layer, {"dropout": 0.4, "seed": 3}, [Q, V], call={"training": True}),
        Case(layer, {"dropout": 0.4}, [Q, V], call={"training": False}),
    ]


def projected(layer: str, config: dict[str, Any]) -> list[Case]:
    """Return the rows that both layers with projections have."""
    return [
        Case(layer, config, PAIR, open_axes=OPEN),
        Case(layer, config, PAIR, mask="all"),
        Case(layer, config, PAIR, mask=True, call=CAUSAL),
        Case(
            layer,
            config,
            PAIR,
            mask="all",
            call={**CAUSAL, **SCORES},
            skip=frozenset({"shape", "mask"}),
            note=SCORE_SHAPE,
        ),
        Case(layer, config, {"query": Q, "value": Q}, call=SCORES),
        Case(layer, {**config, "use_bias": False}, {"query": Q, "value": Q}, call=CAUSAL, open_axes=OPEN),
        Case(layer, {**config, "sliding_window": 2}, PAIR, mask=True),
        Case(layer, {**config, "use_gate": True}, PAIR),
        Case(layer, {**config, **PENALTIES}, PAIR),
        Case(layer, {**config, "dropout": 0.4, "seed": 3}, PAIR, mask="all", call={"training": True}),
        Case(layer, {**config, "dropout": 0.4}, PAIR, call={"training": False}),
        Case(layer, {**config, "flash_attention": False}, PAIR, skip=frozenset({"config"}), note=FLASH),
    ]


CASES: list[Case] = [
    *plain("Attention"),
    Case("Attention", {"score_mode": "concat"}, [Q, V]),
    Case("Attention", {"score_mode": "concat", "use_scale": True}, [Q, V, K], mask="all"),
    *plain("AdditiveAttention"),
    *projected("MultiHeadAttention", HEADS),
    Case(
        "MultiHeadAttention",
        {**HEADS, "value_dim": 5},
        TRIPLE,
        call=SCORES,
        skip=frozenset({"shape"}),
        note=VALUE_DIM,
    ),
    Case("MultiHeadAttention", {**HEADS, "output_shape": 4}, TRIPLE),
    Case("MultiHeadAttention", {**HEADS, "output_shape": [4, 3]}, PAIR),
    Case("MultiHeadAttention", {**HEADS, "attention_axes": 2}, GRID),
    Case(
        "MultiHeadAttention",
        {**HEADS, "attention_axes": [-3], "dropout": 0.1},
        {"query": (2, 3, 4, 6), "value": (2, 5, 4, 6)},
    ),
    Case("MultiHeadAttention", {**HEADS, "attention_axes": [1, 2]}, GRID),
    Case("MultiHeadAttention", HEADS, GRID),
    *projected("GroupQueryAttention", GROUPS),
    Case(
        "GroupQueryAttention",
        {**GROUPS, "num_key_value_heads": 1},
        {"query": Q, "value": V, "key": (2, 5, 7)},
    ),
]
