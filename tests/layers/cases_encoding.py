"""Rows of CategoryEncoding and Discretization."""

from __future__ import annotations

from tests.layers.case import Case

RANK = (
    "Keras says (batch, n, tokens) for inputs of rank 3 and returns (batch, last, tokens): test_encoding.py"
)
CATEGORIES: list[Case] = [
    Case("CategoryEncoding", {"num_tokens": 12}, (3, 5), dtype="int32"),
    Case("CategoryEncoding", {"num_tokens": 12}, (5,), dtype="int32"),
    Case("CategoryEncoding", {"num_tokens": 7}, (3, 5), dtype="int32"),
    Case("CategoryEncoding", {"num_tokens": 10}, (3, 5), dtype="int32", open_axes=(0, 1)),
    Case(
        "CategoryEncoding", {"num_tokens": 12}, (2, 5, 3), dtype="int32", skip=frozenset({"shape"}), note=RANK
    ),
    Case("CategoryEncoding", {"num_tokens": 10, "output_mode": "one_hot"}, (4,), dtype="int32"),
    Case("CategoryEncoding", {"num_tokens": 10, "output_mode": "one_hot"}, (4, 1), dtype="int32"),
    Case(
        "CategoryEncoding",
        {"num_tokens": 10, "output_mode": "one_hot"},
        (4, 3),
        dtype="uint8",
        open_axes=(0, 1),
    ),
    Case("CategoryEncoding", {"num_tokens": 10, "output_mode": "one_hot"}, (2, 3, 1), dtype="int32"),
    Case("CategoryEncoding", {"num_tokens": 10, "output_mode": "count"}, (3, 8), dtype="int32"),
    Case("CategoryEncoding", {"num_tokens": 6, "output_mode": "count"}, (8,), dtype="int32"),
    Case(
        "CategoryEncoding",
        {"num_tokens": 10, "output_mode": "count"},
        {"inputs": (3, 8), "count_weights": (3, 8)},
        dtype="int32",
        open_axes=(0, 1),
    ),
]

BOUNDARIES = [-1.0, -0.25, 0.5]
DISCRETIZATION: list[Case] = [
    Case("Discretization", {"bin_boundaries": BOUNDARIES}, (3, 5)),
    Case("Discretization", {"bin_boundaries": BOUNDARIES}, (2, 3, 4), open_axes=(0, 1, 2)),
    Case("Discretization", {"bin_boundaries": [i / 16 - 1 for i in range(40)]}, (3, 5)),
    Case("Discretization", {"bin_boundaries": [2, 5], "epsilon": 0.1}, (3, 5), dtype="int32"),
    Case("Discretization", {"bin_boundaries": [0.5, -0.25, -1.0]}, (3, 5)),
    Case("Discretization", {"bin_boundaries": []}, (3, 5)),
    Case(
        "Discretization", {"bin_boundaries": BOUNDARIES, "output_mode": "one_hot"}, (4, 3), open_axes=(0, 1)
    ),
    Case("Discretization", {"bin_boundaries": BOUNDARIES, "output_mode": "one_hot"}, (4, 1)),
    Case("Discretization", {"bin_boundaries": BOUNDARIES, "output_mode": "one_hot"}, (3,)),
    Case("Discretization", {"bin_boundaries": BOUNDARIES, "output_mode": "multi_hot"}, (2, 5, 3)),
    Case("Discretization", {"bin_boundaries": BOUNDARIES, "output_mode": "multi_hot"}, (5,)),
    Case("Discretization", {"bin_boundaries": BOUNDARIES, "output_mode": "count"}, (4, 6), open_axes=(0, 1)),
    Case(
        "Discretization",
        {"bin_boundaries": BOUNDARIES, "output_mode": "count"},
        (2, 5, 3),
        open_axes=(0, 1, 2),
    ),
]

CASES = [*CATEGORIES, *DISCRETIZATION]
