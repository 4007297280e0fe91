"""Rows of the preprocessing layers."""

from __future__ import annotations

from tests.layers.case import Case

RESCALING: list[Case] = [
    Case("Rescaling", {"scale": 0.25}, (3, 5)),
    Case("Rescaling", {"scale": 1 / 127.5, "offset": -1.0}, (2, 4, 4, 3), dtype="int32", open_axes=(0, 1, 2)),
    Case("Rescaling", {"scale": [0.5, 1.0, 2.0], "offset": [1.0, 0.0, -1.0]}, (2, 4, 4, 3)),
    Case("Rescaling", {"scale": 2.0}, (2, 3, 5), mask=True),
]

STALE = "Keras goes on with the weights it was built with when others are set: test_preprocessing.py"
ADAPTED = frozenset({"forward", "gradient"})
NORMALIZATION: list[Case] = [
    Case("Normalization", {}, (3, 5), skip=ADAPTED, note=STALE),
    Case("Normalization", {"axis": None}, (2, 3, 4), open_axes=(0, 1), skip=ADAPTED, note=STALE),
    Case("Normalization", {"axis": [1, -1]}, (2, 3, 4, 2), open_axes=(0, 2), skip=ADAPTED, note=STALE),
    Case("Normalization", {"mean": 3.0, "variance": 2.0}, (3, 5)),
    Case("Normalization", {"mean": [1.0, 2.0, 3.0], "variance": [1.0, 4.0, 0.25]}, (2, 4, 4, 3), mask=False),
    Case(
        "Normalization",
        {"axis": [1, 2], "mean": [[1.0, 2.0]], "variance": [[1.0, 4.0]], "invert": True},
        (2, 3, 2),
        mask=True,
    ),
    Case("Normalization", {"axis": 1, "mean": [1, 2], "variance": [1, 4]}, (3, 2), dtype="int32"),
]

CASES = [*RESCALING, *NORMALIZATION]
