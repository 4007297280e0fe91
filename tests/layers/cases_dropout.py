"""Rows of the layers that only work while training: with the same seed the same numbers as Keras."""

from __future__ import annotations

from tests.layers.case import Case

TRAIN = {"training": True}
DRAWN = {"skip": frozenset({"mixed_precision"}), "note": "a normal draw in 16 bits is another draw"}

CASES: list[Case] = [
    Case("Dropout", {"rate": 0.4}, (3, 5)),
    Case("Dropout", {"rate": 0.4, "seed": 3}, (8, 5), call=TRAIN),
    Case("Dropout", {"rate": 0.4, "noise_shape": [None, 1, None]}, (4, 6, 5), call=TRAIN, mask=True),
    Case("Dropout", {"rate": 0}, (3, 5), call=TRAIN),
    Case("Dropout", {"rate": 1.0}, (3, 5), call=TRAIN),
    Case("AlphaDropout", {"rate": 0.3}, (3, 5)),
    Case("AlphaDropout", {"rate": 0.3, "seed": 3}, (8, 5), call=TRAIN),
    Case("AlphaDropout", {"rate": 0.3, "noise_shape": [None, 1]}, (8, 5), call=TRAIN),
    Case("GaussianDropout", {"rate": 0.3}, (3, 5)),
    Case("GaussianDropout", {"rate": 0.3, "seed": 1}, (8, 5), call=TRAIN, **DRAWN),
    Case("GaussianNoise", {"stddev": 0.3}, (3, 5)),
    Case("GaussianNoise", {"stddev": 0.3, "seed": 4}, (8, 5), call=TRAIN, **DRAWN),
    Case("SpatialDropout1D", {"rate": 0.5, "seed": 5}, (3, 4, 6), call=TRAIN, mask=True),
    Case("SpatialDropout2D", {"rate": 0.5, "seed": 6}, (3, 4, 4, 6), call=TRAIN, open_axes=(0, 1, 2)),
    Case("SpatialDropout2D", {"rate": 0.5, "data_format": "channels_first"}, (3, 6, 4, 4), call=TRAIN),
    Case("SpatialDropout3D", {"rate": 0.5, "seed": 2}, (3, 2, 2, 2, 6), call=TRAIN),
    Case("SpatialDropout3D", {"rate": 0.5, "data_format": "channels_first"}, (3, 6, 2, 2, 2), call=TRAIN),
    Case("ActivityRegularization", {"l1": 0.1, "l2": 0.2}, (3, 5)),
    Case("ActivityRegularization", {}, (3, 5)),
]
