"""The calls of operations on windows, images and losses."""

from __future__ import annotations

import numpy as np

from tests.ops.row import HOT, SIGNAL, N, Row, U, X, real, row, unit, whole

I2, I3, K2 = real(2, 7, 6, 4), real(2, 5, 4, 5, 2), real(3, 2, 4, 5)
sliding = [
    *(row(name, I2, (2, 2), 2) for name in ("max_pool", "average_pool")),
    *(row(name, I2, 2, 1) for name in ("max_pool", "average_pool")),
    *(row(name, I2, (3, 2), strides=(2, 1), padding="same") for name in ("max_pool", "average_pool")),
    *(
        row(name, I2.transpose(0, 3, 1, 2), 2, 2, data_format="channels_first", padding="SAME")
        for name in ("max_pool", "average_pool")
    ),
    *(row(name, I2, (3, 2)) for name in ("adaptive_max_pool", "adaptive_average_pool")),
    *(row(name, SIGNAL[..., None], 5) for name in ("adaptive_max_pool", "adaptive_average_pool")),
    row("conv", I2, K2),
    row("conv", I2, K2, strides=2, padding="SAME"),
    row("conv", I2, real(2, 2, 2, 6), dilation_rate=2),
    row("conv", I2.transpose(0, 3, 1, 2), K2, data_format="channels_first"),
    row("conv", SIGNAL[..., None], real(3, 1, 2), strides=2),
    row("conv", I3, real(2, 2, 2, 2, 3)),
    row("depthwise_conv", I2, real(3, 2, 4, 2), padding="same"),
    row("separable_conv", I2, real(3, 2, 4, 2), real(1, 1, 8, 3), strides=2),
    row("conv_transpose", I2, real(3, 2, 5, 4), strides=2),
    row("conv_transpose", I2, real(3, 2, 5, 4), strides=2, padding="same", output_padding=1),
    row("conv_transpose", SIGNAL[..., None], real(3, 2, 1), dilation_rate=2),
]

Q4, KV4 = real(2, 5, 4, 8), real(2, 6, 2, 8)
nn = [
    row("one_hot", N[0], 10),
    row("one_hot", N, 6, axis=0, dtype="int32"),
    row("multi_hot", N, 10),
    row("multi_hot", N[0], num_classes=10, dtype="bool"),
    row("binary_crossentropy", HOT, U),
    row("binary_crossentropy", HOT, X, from_logits=True),
    row("categorical_crossentropy", HOT, U),
    row("categorical_crossentropy", HOT, X, from_logits=True),
    row("categorical_crossentropy", HOT.T, U.T, axis=0),
    row("sparse_categorical_crossentropy", np.int32([0, 2, 1]), U),
    row("sparse_categorical_crossentropy", np.int32([[0], [2], [1]]), X, from_logits=True),
    row("ctc_loss", whole(2, 3, low=1, high=5), real(2, 9, 5), np.int32([3, 2]), np.int32([9, 7])),
    row("ctc_decode", real(2, 9, 5), np.int32([9, 6])),
    row("ctc_decode", real(2, 9, 5), np.int32([9, 6]), merge_repeated=False, mask_index=None),
    row(
        "ctc_decode",
        real(2, 9, 5),
        np.int32([9, 6]),
        strategy="beam_search",
        beam_width=5,
        top_paths=3,
        mask_index=3,
    ),
    row("batch_normalization", I2, real(4), unit(4), -1),
    row("batch_normalization", I2, real(7), unit(7), 1, offset=real(7), scale=real(7), epsilon=0.1),
    row("layer_normalization", I2),
    row("layer_normalization", I2, gamma=real(4), beta=real(4), epsilon=0.01),
    row("layer_normalization", I2, gamma=real(7, 6), beta=real(7, 6), axis=(1, 2)),
    row("layer_normalization", I2.astype("float16"), gamma=real(4)),
    row("rms_normalization", I2),
    row("rms_normalization", I2, scale=real(4), epsilon=0.01),
    row("rms_normalization", I2, axis=(1, 2)),
    row("normalize", X),
    row("normalize", X, axis=0, order=3),
    row("dot_product_attention", Q4, KV4, KV4),
    row("dot_product_attention", Q4, Q4, Q4, is_causal=True, scale=0.3, flash_attention=False),
    row("dot_product_attention", Q4, KV4, KV4, bias=real(2, 4, 5, 6), mask=real(2, 1, 5, 6) > 0),
    row("psnr", U, U + 0.1, 1.0),
]

IMAGES, IMAGE, FIRST = unit(2, 8, 9, 3), unit(8, 9, 3), unit(2, 3, 8, 9)
BYTES = whole(2, 8, 9, 3, high=256, dtype="uint8")
AFFINE = np.float32([[1.1, 0.2, -1.0, -0.1, 0.9, 0.5, 0, 0], [0.8, 0, 2, 0.3, 1, -2, 0, 0]])
CORNERS = np.float32([[[0, 0], [8, 0], [0, 7], [8, 7]]] * 2)
image = [
    *(
        row(f"image.{name}", IMAGES)
        for name in ("rgb_to_grayscale", "rgb_to_hsv", "hsv_to_rgb", "sobel_edges")
    ),
    *(
        row(f"image.{name}", FIRST, data_format="channels_first")
        for name in ("rgb_to_grayscale", "rgb_to_hsv", "hsv_to_rgb", "sobel_edges", "gaussian_blur")
    ),
    row("image.rgb_to_grayscale", BYTES),
    row("image.rgb_to_hsv", IMAGE),
    row("image.gaussian_blur", IMAGES, data_format="channels_last"),
    row("image.gaussian_blur", IMAGE, (5, 3), (2.0, 0.5), data_format="channels_last"),
    row("image.resize", IMAGES, (5, 12)),
    row("image.resize", IMAGE, (16, 4), interpolation="nearest"),
    row("image.resize", BYTES, (5, 12), interpolation="bicubic"),
    row("image.resize", IMAGES, (5, 5), antialias=True, crop_to_aspect_ratio=True),
    row("image.resize", IMAGES, (5, 9), pad_to_aspect_ratio=True, fill_value=0.5),
    row("image.resize", FIRST, (10, 5), crop_to_aspect_ratio=True, data_format="channels_first"),
    row("image.affine_transform", IMAGES, AFFINE),
    row("image.affine_transform", IMAGE, AFFINE[0], interpolation="nearest", fill_mode="reflect"),
    row("image.affine_transform", FIRST, AFFINE, fill_value=2, data_format="channels_first"),
    row("image.perspective_transform", IMAGES, CORNERS, CORNERS + real(2, 4, 2)),
    row("image.perspective_transform", IMAGE, CORNERS[0], CORNERS[1] + real(4, 2), interpolation="nearest"),
    row(
        "image.elastic_transform", IMAGES[..., :1], alpha=3.0, sigma=1.0, seed=3, data_format="channels_last"
    ),
    row(
        "image.elastic_transform",
        IMAGE[..., :2],
        sigma=1.0,
        seed=3,
        fill_mode="constant",
        data_format="channels_last",
    ),
    row("image.map_coordinates", X, 2 * unit(2, 5), 1),
    row("image.map_coordinates", N, 4 * real(2, 5, 2), 0, fill_mode="wrap"),
    row(
        "image.scale_and_translate",
        IMAGE,
        (6, 6, 3),
        np.float32([0.7, 0.9]),
        np.float32([1, -1]),
        (0, 1),
        "linear",
    ),
    row("image.ssim", unit(2, 14, 13, 3), unit(2, 14, 13, 3)),
    row("image.ssim", unit(9, 9, 3), unit(9, 9, 3), filter_size=5, max_val=2.0),
    row("image.extract_patches", IMAGES, 3),
    row("image.extract_patches", IMAGE, (2, 3), strides=(1, 2), padding="same"),
    row("image.extract_patches", I3, (2, 2, 3)),
    row("image.extract_patches_3d", I3, 2, strides=1),
    row("image.pad_images", IMAGES, top_padding=1, left_padding=2, target_height=12, target_width=13),
    row("image.pad_images", FIRST, 1, 2, 3, 0, data_format="channels_first"),
    row("image.crop_images", IMAGES, top_cropping=1, left_cropping=2, target_height=4, target_width=5),
    row("image.crop_images", IMAGE, 1, 2, 3, 0),
]

NETWORKS: list[Row] = [*sliding, *nn, *image]
