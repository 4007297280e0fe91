"""Rows of the normalization layers."""

from __future__ import annotations

from tests.layers.case import Case

TRAIN = {"training": True}
CLIPPING = {"rmax": 1.1, "rmin": 0.9, "dmax": 0.2}

OPTIONS = {
    "beta_initializer": "ones",
    "gamma_initializer": "zeros",
    "beta_regularizer": "l2",
    "gamma_regularizer": "l1",
    "beta_constraint": "non_neg",
    "gamma_constraint": "non_neg",
}
STATISTICS = {"moving_mean_initializer": "ones", "moving_variance_initializer": "zeros"}

BATCH: list[Case] = [
    Case("BatchNormalization", {}, (4, 5)),
    Case("BatchNormalization", {}, (4, 5), call=TRAIN),
    Case("BatchNormalization", {"axis": 1, "momentum": 0.5}, (2, 3, 4, 4), call=TRAIN),
    Case("BatchNormalization", {"scale": False, "epsilon": 0.1}, (4, 3, 5), call=TRAIN),
    Case("BatchNormalization", {"center": False}, (4, 3, 5), call=TRAIN),
    Case("BatchNormalization", {}, (4, 3, 5), call=TRAIN, mask=True, open_axes=(0, 1)),
    Case("BatchNormalization", {}, (4, 3, 5), mask=True),
    Case("BatchNormalization", {"trainable": False}, (4, 5), call=TRAIN),
    Case("BatchNormalization", {**OPTIONS, **STATISTICS}, (4, 5), call=TRAIN),
    Case("BatchNormalization", {"renorm": True}, (4, 5), call=TRAIN),
    Case("BatchNormalization", {"renorm": True}, (4, 5)),
    Case(
        "BatchNormalization",
        {"renorm": True, "renorm_clipping": CLIPPING, "scale": False},
        (4, 5),
        call=TRAIN,
    ),
    Case(
        "BatchNormalization",
        {"renorm": True, "renorm_clipping": CLIPPING, "center": False, "renorm_momentum": 0.8},
        (4, 5),
        call=TRAIN,
    ),
]

OTHERS: list[Case] = [
    Case("LayerNormalization", {}, (4, 5)),
    Case("LayerNormalization", {"axis": 1, "epsilon": 0.1}, (2, 3, 4), mask=True),
    Case("LayerNormalization", {"axis": [1, 2]}, (2, 3, 4)),
    Case("LayerNormalization", {"axis": [-1, -2], "center": False}, (2, 3, 4)),
    Case("LayerNormalization", {"scale": False}, (2, 3, 4), open_axes=(0, 1)),
    Case("LayerNormalization", {"rms_scaling": True}, (2, 4)),
    Case("LayerNormalization", OPTIONS, (2, 4)),
    Case("GroupNormalization", {"groups": 2}, (2, 3, 4)),
    Case("GroupNormalization", {"groups": 2}, (2, 4, 4, 6), open_axes=(0, 1, 2)),
    Case("GroupNormalization", {"groups": -1}, (2, 4, 4, 6)),
    Case("GroupNormalization", {"groups": 3, "axis": 1, "center": False}, (2, 6, 4, 4)),
    Case("GroupNormalization", {"groups": 2, **OPTIONS}, (2, 4)),
    Case("GroupNormalization", {"groups": 1, "scale": False, "epsilon": 0.1}, (2, 4), mask=True),
    Case("RMSNormalization", {}, (4, 5)),
    # An axis that is not among the last ones fails in Keras: its scale does not broadcast.
    Case("RMSNormalization", {"axis": 1, "epsilon": 0.1}, (2, 4)),
    Case("RMSNormalization", {"axis": [1, 2]}, (2, 3, 4)),
    Case("UnitNormalization", {}, (4, 5)),
    Case("UnitNormalization", {"axis": [1, 2]}, (2, 3, 4), mask=True),
]

CASES = BATCH + OTHERS
