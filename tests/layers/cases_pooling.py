"""Rows of the pooling layers: over windows, over everything, adaptive."""

from __future__ import annotations

from tests.layers.case import Case

FIRST = "channels_first"
INPUTS = {1: (2, 7, 3), 2: (2, 6, 5, 3), 3: (2, 4, 5, 4, 2)}
OPEN = {1: (0, 1), 2: (0, 1, 2), 3: (0, 1, 2, 3)}


def _windowed(kind: str) -> list[Case]:
    """Return the rows that each windowed pooling has, for every rank."""
    return [
        case
        for rank, shape in INPUTS.items()
        for case in (
            Case(f"{kind}{rank}D", {"pool_size": 2}, shape, open_axes=OPEN[rank]),
            Case(
                f"{kind}{rank}D",
                {"pool_size": 3, "strides": 2, "padding": "same"},
                shape,
                open_axes=OPEN[rank],
            ),
            Case(f"{kind}{rank}D", {"pool_size": 2, "strides": 1, "data_format": FIRST}, shape),
        )
    ]


CASES: list[Case] = [
    *_windowed("MaxPooling"),
    *_windowed("AveragePooling"),
    Case("MaxPooling1D", {}, (2, 7, 3)),
    Case("MaxPooling2D", {}, (2, 6, 5, 3)),
    Case("MaxPooling3D", {}, (2, 4, 5, 4, 2)),
    Case("MaxPooling1D", {"pool_size": 70, "strides": 3}, (2, 80, 2)),
    Case("MaxPooling2D", {"pool_size": [3, 2], "strides": [1, 3], "padding": "same"}, (2, 6, 5, 3)),
    Case("AveragePooling2D", {"pool_size": [3, 2], "strides": [1, 3], "padding": "same"}, (2, 6, 5, 3)),
    Case("AveragePooling2D", {"pool_size": [1, 3], "padding": "same", "data_format": FIRST}, (2, 3, 6, 5)),
    *(
        Case(f"Global{kind}Pooling{rank}D", config, shape, open_axes=OPEN[rank])
        for kind in ("Average", "Max")
        for rank, shape in INPUTS.items()
        for config in ({}, {"keepdims": True}, {"data_format": FIRST})
    ),
    Case("GlobalAveragePooling1D", {}, (2, 7, 3), mask=True),
    Case("GlobalAveragePooling1D", {"keepdims": True}, (2, 7, 3), mask=True),
    *(
        Case(f"Adaptive{kind}Pooling{rank}D", config, shape, open_axes=axes)
        for kind in ("Average", "Max")
        for rank, shape in INPUTS.items()
        for config, axes in (
            ({"output_size": 2}, OPEN[rank]),
            ({"output_size": 3}, (0,)),
            ({"output_size": 3, "data_format": FIRST}, (0,)),
        )
    ),
    Case("AdaptiveAveragePooling2D", {"output_size": [8, 1]}, (2, 6, 5, 3)),
    Case("AdaptiveMaxPooling2D", {"output_size": [8, 1]}, (2, 6, 5, 3)),
    Case("AdaptiveMaxPooling3D", {"output_size": [1, 4, 3]}, (2, 4, 5, 4, 2)),
]
