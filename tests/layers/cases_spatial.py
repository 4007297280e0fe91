"""Rows of cropping, zero padding and up-sampling."""

from __future__ import annotations

from tests.layers.case import Case

FIRST = "channels_first"
SEQUENCE, IMAGE, VOLUME = (2, 7, 3), (2, 6, 5, 3), (2, 4, 5, 4, 3)
OPEN_1D, OPEN_2D, OPEN_3D = (0, 1), (0, 1, 2), (0, 1, 2, 3)

CASES: list[Case] = [
    Case("Cropping1D", {}, SEQUENCE, open_axes=OPEN_1D),
    Case("Cropping1D", {"cropping": 2}, SEQUENCE),
    Case("Cropping1D", {"cropping": [3, 0]}, SEQUENCE),
    Case("Cropping2D", {}, IMAGE),
    Case("Cropping2D", {"cropping": 1}, IMAGE, open_axes=OPEN_2D),
    Case("Cropping2D", {"cropping": [2, 1]}, IMAGE),
    Case("Cropping2D", {"cropping": [[1, 2], [0, 3]], "data_format": FIRST}, (2, 3, 6, 5)),
    Case("Cropping3D", {}, VOLUME, open_axes=OPEN_3D),
    Case("Cropping3D", {"cropping": [1, 2, 0]}, VOLUME),
    Case("Cropping3D", {"cropping": [[1, 0], [2, 2], [0, 1]], "data_format": FIRST}, (2, 3, 4, 5, 4)),
    Case("ZeroPadding1D", {}, SEQUENCE, open_axes=OPEN_1D),
    Case("ZeroPadding1D", {"padding": [2, 0]}, SEQUENCE),
    Case("ZeroPadding1D", {"padding": 2, "data_format": FIRST}, SEQUENCE),
    Case("ZeroPadding2D", {}, IMAGE, open_axes=OPEN_2D),
    Case("ZeroPadding2D", {"padding": [2, 1]}, IMAGE),
    Case("ZeroPadding2D", {"padding": [[1, 2], [0, 3]], "data_format": FIRST}, IMAGE),
    Case("ZeroPadding3D", {}, VOLUME, open_axes=OPEN_3D),
    Case("ZeroPadding3D", {"padding": [1, 2, 0]}, VOLUME),
    Case("ZeroPadding3D", {"padding": [[1, 0], [2, 2], [0, 1]], "data_format": FIRST}, VOLUME),
    Case("UpSampling1D", {}, SEQUENCE, open_axes=OPEN_1D),
    Case("UpSampling1D", {"size": 3}, SEQUENCE),
    Case("UpSampling2D", {}, IMAGE, open_axes=OPEN_2D),
    Case("UpSampling2D", {"size": [2, 3], "data_format": FIRST}, IMAGE),
    *(
        Case("UpSampling2D", {"size": [3, 2], "interpolation": interpolation}, IMAGE, open_axes=OPEN_2D)
        for interpolation in ("bilinear", "bicubic", "lanczos3", "lanczos5")
    ),
    Case("UpSampling2D", {"interpolation": "bilinear", "data_format": FIRST}, IMAGE),
    Case("UpSampling3D", {}, VOLUME, open_axes=OPEN_3D),
    Case("UpSampling3D", {"size": [1, 2, 3], "data_format": FIRST}, VOLUME),
]
