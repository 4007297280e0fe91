"""Rows of the convolutions: plain, transposed, depthwise and separable."""

from __future__ import annotations

from tests.layers.case import Case

FIRST = "channels_first"
OPEN_2D = (0, 1, 2)
OPTIONS = {
    "kernel_initializer": "he_normal",
    "bias_initializer": "ones",
    "kernel_regularizer": "l2",
    "bias_regularizer": "l1",
    "activity_regularizer": "l2",
    "kernel_constraint": "max_norm",
    "bias_constraint": "non_neg",
}
DEPTHWISE_OPTIONS = {
    "depthwise_initializer": "he_normal",
    "bias_initializer": "ones",
    "depthwise_regularizer": "l2",
    "bias_regularizer": "l1",
    "activity_regularizer": "l2",
    "depthwise_constraint": "max_norm",
    "bias_constraint": "non_neg",
}

CASES: list[Case] = [
    Case("Conv1D", {"filters": 4, "kernel_size": 3}, (2, 7, 3), open_axes=(0, 1)),
    Case("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "same", "strides": 2}, (2, 8, 3)),
    Case("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}, (2, 7, 3)),
    Case(
        "Conv1D",
        {"filters": 4, "kernel_size": 2, "padding": "causal", "strides": 2},
        (2, 7, 3),
        open_axes=(0, 1),
    ),
    Case("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal", "data_format": FIRST}, (2, 3, 7)),
    Case("Conv1D", {"filters": 4, "kernel_size": 3, "activation": "tanh", "use_bias": False}, (2, 7, 3)),
    Case("Conv1D", {"filters": 4, "kernel_size": 3, "groups": 2}, (2, 7, 6)),
    Case("Conv2D", {"filters": 4, "kernel_size": 3}, (2, 6, 5, 3), open_axes=OPEN_2D),
    Case("Conv2D", {"filters": 4, "kernel_size": [2, 3], "padding": "same"}, (2, 6, 5, 3), open_axes=OPEN_2D),
    Case(
        "Conv2D",
        {"filters": 4, "kernel_size": 3, "strides": [2, 1], "padding": "same", "activation": "relu"},
        (2, 6, 5, 3),
        open_axes=OPEN_2D,
    ),
    Case("Conv2D", {"filters": 4, "kernel_size": 2, "strides": 2}, (2, 7, 6, 3), open_axes=OPEN_2D),
    Case("Conv2D", {"filters": 4, "kernel_size": 2, "dilation_rate": [2, 3]}, (2, 7, 6, 3)),
    Case("Conv2D", {"filters": 6, "kernel_size": 2, "groups": 3, "padding": "same"}, (2, 4, 4, 6)),
    Case(
        "Conv2D",
        {"filters": 4, "kernel_size": 3, "data_format": FIRST, "strides": 2},
        (2, 3, 7, 6),
        open_axes=(0, 2),
    ),
    Case("Conv2D", {"filters": 4, "kernel_size": 2, "use_bias": False, "data_format": FIRST}, (2, 3, 4, 4)),
    Case("Conv2D", {"filters": 3, "kernel_size": 2, **OPTIONS}, (2, 4, 4, 2)),
    Case("Conv1D", {"filters": 4, "kernel_size": 3, "lora_rank": 2}, (2, 7, 3)),
    Case(
        "Conv2D", {"filters": 4, "kernel_size": 2, "groups": 2, "lora_rank": 2, "lora_alpha": 3}, (2, 4, 4, 6)
    ),
    Case(
        "Conv3D",
        {"filters": 3, "kernel_size": [1, 2, 3], "padding": "same"},
        (2, 4, 3, 4, 2),
        open_axes=(0, 1, 2, 3),
    ),
    Case("Conv3D", {"filters": 3, "kernel_size": 2, "strides": [1, 2, 1]}, (2, 4, 4, 3, 2)),
    Case(
        "Conv3D",
        {"filters": 4, "kernel_size": 2, "groups": 2, "dilation_rate": 2, "data_format": FIRST},
        (2, 2, 4, 4, 3),
    ),
    Case("Conv1DTranspose", {"filters": 4, "kernel_size": 3}, (2, 5, 3), open_axes=(0, 1)),
    Case(
        "Conv1DTranspose",
        {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"},
        (2, 5, 3),
        open_axes=(0, 1),
    ),
    Case("Conv1DTranspose", {"filters": 4, "kernel_size": 2, "strides": 3, "output_padding": 1}, (2, 5, 3)),
    Case(
        "Conv1DTranspose",
        {"filters": 4, "kernel_size": 3, "dilation_rate": 2, "data_format": FIRST},
        (2, 3, 5),
    ),
    Case(
        "Conv2DTranspose",
        {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"},
        (2, 4, 5, 3),
        open_axes=OPEN_2D,
    ),
    Case(
        "Conv2DTranspose",
        {"filters": 4, "kernel_size": [2, 3], "strides": [3, 1]},
        (2, 4, 5, 3),
        open_axes=OPEN_2D,
    ),
    Case(
        "Conv2DTranspose",
        {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": [0, 1]},
        (2, 4, 5, 3),
    ),
    Case(
        "Conv2DTranspose",
        {"filters": 4, "kernel_size": 2, "dilation_rate": [1, 2], "activation": "tanh", "use_bias": False},
        (2, 4, 5, 3),
    ),
    Case("Conv2DTranspose", {"filters": 3, "kernel_size": 2, "data_format": FIRST, **OPTIONS}, (2, 2, 4, 4)),
    Case(
        "Conv3DTranspose",
        {"filters": 3, "kernel_size": 2, "strides": 2},
        (2, 2, 3, 2, 2),
        open_axes=(0, 1, 2, 3),
    ),
    Case(
        "Conv3DTranspose",
        {"filters": 3, "kernel_size": 3, "strides": [1, 2, 3], "padding": "same", "data_format": FIRST},
        (2, 2, 3, 2, 2),
    ),
    Case(
        "Conv3DTranspose",
        {"filters": 3, "kernel_size": 2, "strides": 2, "output_padding": 1},
        (2, 2, 3, 2, 2),
    ),
    Case("DepthwiseConv1D", {"kernel_size": 3}, (2, 7, 3), open_axes=(0, 1)),
    Case(
        "DepthwiseConv1D",
        {"kernel_size": 3, "depth_multiplier": 2, "strides": 2, "padding": "same"},
        (2, 7, 3),
    ),
    Case("DepthwiseConv1D", {"kernel_size": 3, "dilation_rate": 2, "data_format": FIRST}, (2, 3, 7)),
    Case("DepthwiseConv2D", {"kernel_size": 3, "padding": "same"}, (2, 5, 6, 3), open_axes=OPEN_2D),
    Case(
        "DepthwiseConv2D", {"kernel_size": [2, 3], "depth_multiplier": 2, "activation": "relu"}, (2, 5, 6, 3)
    ),
    Case(
        "DepthwiseConv2D",
        {"kernel_size": 2, "strides": 2, "use_bias": False},
        (2, 5, 6, 3),
        open_axes=OPEN_2D,
    ),
    Case("DepthwiseConv2D", {"kernel_size": 2, "dilation_rate": 2, "data_format": FIRST}, (2, 3, 5, 6)),
    Case("DepthwiseConv2D", {"kernel_size": 2, **DEPTHWISE_OPTIONS}, (2, 4, 4, 2)),
    Case("SeparableConv1D", {"filters": 4, "kernel_size": 3}, (2, 7, 3), open_axes=(0, 1)),
    Case(
        "SeparableConv1D",
        {"filters": 4, "kernel_size": 3, "depth_multiplier": 2, "padding": "same", "strides": 2},
        (2, 7, 3),
    ),
    Case(
        "SeparableConv1D",
        {"filters": 4, "kernel_size": 3, "dilation_rate": 2, "data_format": FIRST},
        (2, 3, 7),
    ),
    Case(
        "SeparableConv2D",
        {"filters": 4, "kernel_size": 3, "padding": "same"},
        (2, 5, 6, 3),
        open_axes=OPEN_2D,
    ),
    Case(
        "SeparableConv2D",
        {"filters": 4, "kernel_size": 2, "depth_multiplier": 2, "activation": "relu"},
        (2, 5, 6, 3),
    ),
    Case("SeparableConv2D", {"filters": 4, "kernel_size": 2, "strides": 2, "use_bias": False}, (2, 5, 6, 3)),
    Case(
        "SeparableConv2D",
        {"filters": 4, "kernel_size": 2, "dilation_rate": 2, "data_format": FIRST},
        (2, 3, 5, 6),
    ),
    Case(
        "SeparableConv2D",
        {
            "filters": 4,
            "kernel_size": 2,
            **DEPTHWISE_OPTIONS,
            "pointwise_initializer": "he_uniform",
            "pointwise_regularizer": "l1",
            "pointwise_constraint": "unit_norm",
        },
        (2, 4, 4, 2),
    ),
]
