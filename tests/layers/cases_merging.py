"""Rows of the layers that make one tensor of several."""

from __future__ import annotations

from tests.layers.case import Case

ELEMENTWISE = ("Add", "Multiply", "Average", "Maximum", "Minimum")
SAME = [(2, 3, 4), (2, 3, 4), (2, 3, 4)]

CASES: list[Case] = [
    *(Case(layer, {}, SAME, open_axes=(0, 1)) for layer in ELEMENTWISE),
    *(Case(layer, {}, SAME, mask="all") for layer in ELEMENTWISE),
    *(Case(layer, {}, SAME, mask=True) for layer in ELEMENTWISE),
    *(Case(layer, {}, [(2, 3, 4), (2, 4), (2, 1, 4)]) for layer in ELEMENTWISE),
    Case("Subtract", {}, [(2, 3), (2, 3)]),
    Case("Subtract", {}, [(2, 3, 4), (2, 3, 4)], mask="all"),
    Case("Add", {}, [(2, 3)]),
    Case("Concatenate", {}, [(2, 3), (2, 4), (2, 1)]),
    Case("Concatenate", {"axis": 1}, [(2, 3, 4), (2, 5, 4)], open_axes=(0, 1)),
    Case("Concatenate", {"axis": 1}, [(2, 3, 4), (2, 5, 4)], mask="all"),
    Case("Concatenate", {"axis": -1}, [(2, 3, 4), (2, 3, 5)], mask="all"),
    Case("Concatenate", {"axis": -1}, [(2, 3, 4), (2, 3, 5)], mask=True),
    Case("Dot", {"axes": 1}, [(2, 3), (2, 3)]),
    Case("Dot", {"axes": -1, "normalize": True}, [(2, 3), (2, 3)]),
    Case("Dot", {"axes": [1, 2]}, [(2, 3, 4), (2, 5, 3)]),
    Case("Dot", {"axes": [2, 1], "normalize": True}, [(2, 5, 3), (2, 3, 4)], open_axes=(0,)),
    Case("Dot", {"axes": [1, 2]}, [(2, 3), (2, 4, 3)]),
    Case("Dot", {"axes": [2, 1]}, [(2, 4, 3), (2, 3)]),
    Case("Dot", {"axes": [3, 2]}, [(2, 4, 2, 3), (2, 5, 3, 2)]),
]
