"""Rows of the layers that change images; their draws are Keras' to the last bit."""

from __future__ import annotations

from typing import Any

from tests.layers.case import Case

X = (3, 5, 4, 3)
DRAWN = frozenset({"mixed_precision"})
WHOLE = frozenset({"mixed_precision", "shape"})
CONFIG = frozenset({"config"})
OTHER_DRAW = "What is drawn in bfloat16 is another number."
NO_SEED = "Keras' RandomGrayscale loses its seed."
ROUNDED = "What is rounded in bfloat16 falls into another bin; Keras calls the floats it makes of integers integers."
MOVED: dict[str, Any] = {
    "forward": 1e-4,
    "gradient": 1e-3,
    "skip": DRAWN,
    "note": "Where a pixel is read is a difference of rounded numbers, and in bfloat16 another place.",
}
NEAREST: dict[str, Any] = {"interpolation": "nearest", "fill_value": 2.0}
FIRST: dict[str, Any] = {"data_format": "channels_first"}
UNIT: dict[str, Any] = {"value_range": [0, 1]}
TRAINING: dict[str, Any] = {"training": True}


def image_rows(layer: str, config: dict[str, Any], whole: Any = None, **options: Any) -> list[Case]:
    """Return a layer on a batch, on one image, on whole numbers (with options of their own) and without training."""
    whole = {**options, **(whole or {})}
    return [
        Case(layer, config, X, call=TRAINING, **options),
        Case(layer, config, X[1:], call=TRAINING, open_axes=(), **options),
        Case(layer, config, X, dtype="int32", high=256, call=TRAINING, open_axes=(0, 1, 2), **whole),
        Case(layer, config, X, call={"training": False}, **{**options, "skip": frozenset(), "note": ""}),
    ]


CASES = [
    *image_rows(
        "RandomBrightness",
        {"factor": 0.4, "seed": 1, "value_range": [-1, 1]},
        whole={"skip": frozenset({"shape", "mixed_precision"}), "note": "Keras calls whole numbers floats."},
    ),
    Case("RandomBrightness", {"factor": [0.1, 0.3]}, X, call=TRAINING),
    *image_rows(
        "RandomContrast", {"factor": [0.2, 0.9], "value_range": [-3, 3]}, skip=DRAWN, note=OTHER_DRAW
    ),
    Case(
        "RandomContrast",
        {"factor": 0.5, "seed": 2, **FIRST},
        (2, 3, 5, 4),
        call=TRAINING,
        skip=DRAWN,
        note=OTHER_DRAW,
    ),
    *(
        row
        for row in image_rows("RandomSaturation", {"factor": [0.3, 0.8], "seed": 2, **UNIT}, gradient=1e-3)
        if row.dtype != "int32"
    ),
    Case("RandomSaturation", {"factor": 0.6, **UNIT, **FIRST}, (2, 3, 5, 4), call=TRAINING, gradient=1e-3),
    *image_rows("RandomHue", {"factor": 0.7, "value_range": [-4, 4]}, forward=1e-4, gradient=1e-3),
    Case("RandomHue", {"factor": [0.2, 0.4], **UNIT, **FIRST}, (2, 3, 5, 4), call=TRAINING, gradient=1e-3),
    *image_rows("RandomColorDegeneration", {"factor": [0.2, 0.9], "value_range": [-1, 1]}),
    Case("RandomColorDegeneration", {"factor": 0.5, **FIRST}, (2, 3, 5, 4), call=TRAINING),
    Case(
        "RandomGrayscale",
        {"data_format": "channels_first"},
        (2, 3, 5, 4),
        call=TRAINING,
        skip=CONFIG,
        note=NO_SEED,
    ),
    *(
        Case(
            "RandomGrayscale",
            {"factor": 0.4, "seed": 2},
            shape,
            call=call,
            open_axes=(),
            skip=CONFIG,
            note=NO_SEED,
        )
        for shape, call in ((X, TRAINING), (X[1:], TRAINING), (X, {"training": False}))
    ),
    *image_rows("RandomInvert", {"factor": [0.3, 0.8], **UNIT}),
    Case("RandomInvert", {"seed": 2, "bounding_box_format": "xyxy", **FIRST}, (2, 3, 5, 4), call=TRAINING),
    *image_rows(
        "RandomPosterization", {"factor": [2, 6], "value_range": [-4, 4]}, skip=DRAWN, note=OTHER_DRAW
    ),
    Case("RandomPosterization", {"factor": [3, 3], **UNIT}, X, dtype="int32", high=2, call=TRAINING),
    *image_rows("RandomSharpness", {"factor": [0.1, 0.9], "value_range": [-1, 1]}),
    Case("RandomSharpness", {"factor": 1.0, **FIRST}, (2, 3, 5, 4), call=TRAINING),
    *image_rows("RandomGaussianBlur", {"factor": [0.4, 0.9], "sigma": 0.8}, skip=DRAWN, note=OTHER_DRAW),
    Case(
        "RandomGaussianBlur",
        {"kernel_size": [5, 3], "sigma": [0.5, 1.0], "value_range": [-9, 9], "seed": 2, **FIRST},
        (2, 3, 5, 4),
        call=TRAINING,
        skip=DRAWN,
        note=OTHER_DRAW,
    ),
    *image_rows(
        "Solarization",
        {"addition_factor": 0.3, "threshold_factor": [0.1, 0.6], "value_range": [-2, 2]},
        skip=DRAWN,
        note=OTHER_DRAW,
    ),
    Case("Solarization", {"seed": 2}, X, dtype="int32", high=256, call=TRAINING),
    *image_rows("AutoContrast", {}),
    Case("AutoContrast", {"value_range": [-2, 2], "data_format": "channels_first"}, X),
    *image_rows("Equalization", {"value_range": [-3, 3], "bins": 16}, skip=WHOLE, note=ROUNDED),
    Case(
        "Equalization", FIRST, (2, 3, 5, 4), dtype="int32", high=256, call=TRAINING, skip=WHOLE, note=ROUNDED
    ),
    *image_rows(
        "RandomColorJitter",
        {
            "value_range": [0, 1],
            "brightness_factor": 0.2,
            "contrast_factor": 0.4,
            "saturation_factor": 0.6,
            "hue_factor": 0.3,
        },
        gradient=1e-3,
        skip=DRAWN,
        note=OTHER_DRAW,
    ),
    Case(
        "RandomColorJitter",
        {"hue_factor": [0.1, 0.3], "seed": 5, "data_format": "channels_last"},
        X,
        call=TRAINING,
        forward=1e-4,
    ),
    *image_rows("RandomFlip", {"seed": 1}),
    *(
        Case("RandomFlip", {"mode": mode, **FIRST}, (4, 3, 5, 4), call=TRAINING)
        for mode in ("horizontal", "vertical")
    ),
    *image_rows("RandomRotation", {"factor": 0.4, "seed": 2}, **MOVED),
    *(
        Case(
            "RandomRotation", {"factor": [0.1, 0.3], "fill_mode": mode, **NEAREST}, X, call=TRAINING, **MOVED
        )
        for mode in ("wrap", "constant", "nearest")
    ),
    Case("RandomRotation", {"factor": 0.2, **FIRST}, (2, 3, 5, 4), call=TRAINING, **MOVED),
    *image_rows("RandomTranslation", {"height_factor": 0.4, "width_factor": [-0.1, 0.6]}, **MOVED),
    Case(
        "RandomTranslation",
        {
            "height_factor": [0.2, 0.4],
            "width_factor": 0.0,
            "fill_mode": "constant",
            "seed": 2,
            **NEAREST,
            **FIRST,
        },
        (2, 3, 5, 4),
        call=TRAINING,
        **MOVED,
    ),
    *image_rows("RandomZoom", {"height_factor": 0.4, "seed": 4}, **MOVED),
    Case(
        "RandomZoom",
        {"height_factor": [0.2, 0.4], "width_factor": [-0.5, 0.1], "fill_mode": "wrap", **NEAREST, **FIRST},
        (2, 3, 5, 4),
        call=TRAINING,
        **MOVED,
    ),
]
