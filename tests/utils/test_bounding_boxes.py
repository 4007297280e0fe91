"""Boxes in images against Keras: formats, moves, agreement, deltas."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasmagic as km
from kerasmagic.numerics import boxes as geometry
from kerasmagic.numerics import labelled_boxes
from kerasmagic.utils import bounding_boxes as ours
from tests.tools.boxes import HEIGHT, RNG, SHAPES, WIDTH, assert_same, corners

FORMATS = tuple(geometry.FORMATS)
BOXES = np.ones((2, 4), "float32")


@pytest.fixture(scope="module")
def theirs(keras):
    return keras.utils.bounding_boxes


def in_format(name: str, *shape: int, dtype: Any = "float32") -> np.ndarray:
    return np.asarray(ours.convert_format(corners(*shape), "xyxy", name, HEIGHT, WIDTH)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32", None])
@pytest.mark.parametrize("source", FORMATS)
def test_boxes_are_converted_as_in_keras(theirs, source, dtype):
    for target, shape in itertools.product(FORMATS, SHAPES):
        boxes = in_format(source, *shape[:-1]) * RNG.choice([1, 3])
        given = (source.upper(), target, HEIGHT, WIDTH, dtype)
        assert_same(ours.convert_format(boxes, *given), theirs.convert_format(boxes, *given))


@pytest.mark.parametrize("given", ["int32", "float16", "uint8"])
def test_the_type_of_given_boxes_counts_where_none_is_asked_for(theirs, given):
    for source, target in itertools.product(FORMATS, FORMATS):
        boxes = RNG.integers(0, 9, (2, 4)).astype(given)
        for dtype in (None, "float32"):
            args = (source, target, 7, 9, dtype)
            assert_same(ours.convert_format(boxes, *args), theirs.convert_format(boxes, *args))


@pytest.mark.parametrize("target", FORMATS)
def test_a_conversion_and_back_changes_nothing(target):
    boxes = corners(5)
    there = ours.convert_format(boxes, "xyxy", target, HEIGHT, WIDTH)
    np.testing.assert_allclose(ours.convert_format(there, target, "xyxy", HEIGHT, WIDTH), boxes, atol=2e-5)


def test_what_the_numbers_of_each_format_say():
    expected = {
        "xyxy": [10, 20, 30, 60],
        "yxyx": [20, 10, 60, 30],
        "xywh": [10, 20, 20, 40],
        "center_xywh": [20, 40, 20, 40],
        "center_yxhw": [40, 20, 40, 20],
        "rel_xyxy": [0.1, 0.1, 0.3, 0.3],
        "rel_yxyx": [0.1, 0.1, 0.3, 0.3],
        "rel_xywh": [0.1, 0.1, 0.2, 0.2],
        "rel_center_xywh": [0.2, 0.2, 0.2, 0.2],
    }
    assert tuple(expected) == FORMATS
    for name, numbers in expected.items():
        np.testing.assert_allclose(
            ours.convert_format([10, 20, 30, 60], "xyxy", name, 200, 100), numbers, rtol=1e-6
        )


def test_the_table_has_the_formats_of_keras(keras):
    from keras.src.layers.preprocessing.image_preprocessing.bounding_boxes import bounding_box

    assert bounding_box.SUPPORTED_FORMATS == FORMATS


@pytest.mark.parametrize("form", [np.float64, np.int32, jnp.float32])
def test_each_image_may_have_its_own_size(theirs, form):
    boxes = corners(2, 3)
    height, width = form([10, 20]), form([30, 5])
    for pair in (("xyxy", "rel_xywh"), ("rel_center_xywh", "yxyx")):
        args = (boxes, *pair, height[:, None, None], width[:, None, None])
        expected = theirs.convert_format(*args)
        assert_same(ours.convert_format(*args), expected)
        assert_same(ours.convert_format(boxes, *pair, height, width), expected)
        assert_same(ours.convert_format(boxes[0], *pair, height[0], width[0]), expected[0])
        for image in range(2):
            alone = ours.convert_format(boxes[image], *pair, height[image], width[image])
            assert_same(alone, expected[image])


def test_sizes_may_be_traced():
    boxes = corners(2, 3)
    jitted = jax.jit(lambda *args: ours.convert_format(args[0], "xyxy", "rel_xywh", *args[1:]))
    expected = ours.convert_format(boxes, "xyxy", "rel_xywh", HEIGHT, WIDTH)
    np.testing.assert_allclose(jitted(boxes, HEIGHT, WIDTH), expected, rtol=1e-6)
    clipped = jax.jit(ours.clip_to_image_size)({"boxes": boxes, "labels": jnp.ones((2, 3))}, HEIGHT, WIDTH)
    assert_same(clipped, ours.clip_to_image_size({"boxes": boxes, "labels": jnp.ones((2, 3))}, HEIGHT, WIDTH))


def test_variables_and_lists_are_boxes():
    boxes = corners(3)
    expected = ours.convert_format(boxes, "xyxy", "xywh")
    for form in (boxes.tolist(), tuple(map(tuple, boxes)), km.Variable(boxes), jnp.asarray(boxes)):
        assert_same(ours.convert_format(form, "xyxy", "xywh"), expected)


def test_a_dict_comes_back_as_another_one(theirs):
    boxes = corners(2, 3)
    given = {"boxes": boxes, "labels": np.ones((2, 3)), "more": "kept"}
    before = dict(given)
    converted = ours.convert_format(given, "xyxy", "xywh")
    assert_same(converted["boxes"], theirs.convert_format(boxes, "xyxy", "xywh"))
    assert converted["more"] == "kept"
    assert converted["labels"] is given["labels"]
    clipped = ours.clip_to_image_size(given, HEIGHT, WIDTH)
    assert clipped["more"] == "kept"
    dense = labelled_boxes.densify(given, max_boxes=2)
    assert dense["more"] == "kept"
    assert given.keys() == before.keys()
    assert all(given[key] is before[key] for key in given)


@pytest.mark.parametrize("labels", ["int32", "float32", "uint8", None])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_boxes_are_clipped_as_in_keras(theirs, shape, dtype, labels):
    for _ in range(3):
        given = {"boxes": corners(*shape[:-1], dtype=dtype, beyond=80.0)}
        if labels is not None:
            given["labels"] = RNG.integers(0, 5, shape[:-1]).astype(labels)
        for size in ((HEIGHT, WIDTH), (jnp.asarray(HEIGHT), np.float32(WIDTH + 0.5))):
            mine = ours.clip_to_image_size(given, *size)
            assert_same(mine, theirs.clip_to_image_size(given, *size))
        given["boxes"] = (given["boxes"] / 40).astype(dtype)
        mine = ours.clip_to_image_size(given, bounding_box_format="rel_xyxy")
        assert_same(mine, theirs.clip_to_image_size(given, bounding_box_format="rel_xyxy"))


def test_images_of_a_batch_are_clipped_each_to_its_size(theirs):
    given = {"boxes": corners(2, 4, beyond=80.0), "labels": RNG.integers(0, 5, (2, 4))}
    height, width = np.array([10, 30]), np.array([20, 15])
    expected = theirs.clip_to_image_size(given, height[:, None, None], width[:, None, None])
    assert_same(ours.clip_to_image_size(given, height, width), expected)


def test_labels_with_classes_are_blanked_whole():
    given = {"boxes": [[0, 0, 5, 5], [50, 50, 60, 60]], "labels": [[0, 1, 0], [1, 0, 0]]}
    clipped = ours.clip_to_image_size(given, 10, 10)
    assert clipped["labels"].tolist() == [[0, 1, 0], [-1, -1, -1]]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_boxes_are_cropped_and_padded_as_in_keras(theirs, shape, dtype):
    offsets = (3, 4.5, np.float32(2.5), jnp.asarray(3), np.int32(-2))
    for _ in range(6):
        boxes = corners(*shape[:-1], dtype=dtype)
        top, left, height, width = RNG.choice(len(offsets), 4)
        place = (offsets[top], offsets[left])
        size = (offsets[height] * 4, offsets[width] * 7)
        assert_same(ours.pad(boxes, *place), theirs.pad(boxes, *place))
        assert_same(ours.crop(boxes, *place, *size), theirs.crop(boxes, *place, *size))
        assert_same(ours.crop(boxes, *place, None, None), theirs.crop(boxes, *place, None, None))
    assert_same(ours.pad(boxes, 1, 2, 3, 4), ours.pad(boxes, 1, 2))


def test_each_image_may_be_cropped_elsewhere(theirs):
    boxes, top, height = corners(2, 3), np.array([1, 9]), np.array([12, 3])
    expected = theirs.crop(boxes, top[:, None, None], 2, height[:, None, None], 8)
    assert_same(ours.crop(boxes, top, 2, height, 8), expected)
    assert_same(ours.pad(boxes, top, 2), theirs.pad(boxes, top[:, None, None], 2))


def transformation(batch: int, dtype: Any = "float32") -> list[np.ndarray]:
    ranges = ((-180, 180), (-0.5, 0.5), (-0.5, 0.5), (0.3, 2.0), (-40, 40), (-40, 40))
    return [RNG.uniform(low, high, batch).astype(dtype) for low, high in ranges]


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize(("batch", "transformations"), [(1, 1), (3, 3), (3, 1), (1, 3)])
def test_boxes_are_transformed_as_in_keras(theirs, batch, transformations, dtype):
    for _ in range(5):
        boxes, numbers = corners(batch, 4, dtype=dtype), transformation(transformations)
        center = tuple(RNG.uniform(0, 1, (2, transformations)).astype("float32"))
        for more in ((), center):
            args = (boxes, *numbers, HEIGHT, WIDTH, *more)
            assert_same(ours.affine_transform(*args), theirs.affine_transform(*args), 2e-4)


def test_a_transformation_in_half_precision_is_as_in_keras(theirs):
    boxes, numbers = corners(2, 4, dtype="float16"), transformation(2, "float16")
    mine, other = (k.affine_transform(boxes, *numbers, HEIGHT, WIDTH) for k in (ours, theirs))
    assert mine.dtype == other.dtype == "float16"
    np.testing.assert_allclose(mine, other, atol=1.0)


def test_one_image_is_transformed_like_a_batch():
    boxes, numbers = corners(4), [float(each[0]) for each in transformation(1)]
    alone = ours.affine_transform(boxes, *numbers, HEIGHT, WIDTH)
    batch = ours.affine_transform(boxes[None], *(np.array([n]) for n in numbers), HEIGHT, WIDTH)
    assert alone.shape == (4, 4)
    np.testing.assert_allclose(alone, batch[0], rtol=1e-4, atol=1e-3)


def test_a_translation_moves_and_a_scale_grows_about_the_center():
    box = np.array([[4.0, 2.0, 6.0, 8.0]])
    moved = ours.affine_transform(box, 0.0, 0.1, -0.2, 1.0, 0.0, 0.0, height=11, width=11)
    np.testing.assert_allclose(moved, [[5.0, 0.0, 7.0, 6.0]], atol=1e-5)
    grown = ours.affine_transform(box, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, height=11, width=11)
    np.testing.assert_allclose(grown, [[3.0, -1.0, 7.0, 11.0]], atol=1e-5)


RANKS = (((3,), (5,)), ((2, 3), (2, 5)), ((2, 3), (5,)), ((3,), (2, 5)), ((1, 3), (2, 5)), ((3,), (0,)))


@pytest.mark.parametrize("name", FORMATS)
def test_iou_is_as_in_keras(theirs, name):
    shape = (HEIGHT, WIDTH, 3) if name.startswith("rel") else None
    for first, second in RANKS:
        args = (in_format(name, *first), in_format(name, *second), name)
        assert_same(ours.compute_iou(*args, image_shape=shape), theirs.compute_iou(*args, image_shape=shape))


def half_empty(*shape: int) -> np.ndarray:
    boxes = corners(*shape)
    boxes[..., ::2, :] -= 200.0
    return boxes


@pytest.mark.parametrize(("first", "second"), [((3,), (5,)), ((2, 3), (2, 5))])
def test_masked_iou_is_as_in_keras(theirs, first, second):
    for mask_val in (-1, -2.5):
        args = (half_empty(*first), half_empty(*second), "xyxy", True, mask_val)
        mine = ours.compute_iou(*args)
        assert_same(mine, theirs.compute_iou(*args))
        assert {True, False} == set(np.unique(mine == mask_val).tolist())


def test_masks_of_different_ranks_fit():
    first, second = half_empty(2, 3), half_empty(5)
    expected = np.stack([ours.compute_iou(each, second, "xyxy", use_masking=True) for each in first])
    np.testing.assert_array_equal(ours.compute_iou(first, second, "xyxy", use_masking=True), expected)
    turned = ours.compute_iou(second, first, "xyxy", use_masking=True)
    np.testing.assert_array_equal(turned, expected.transpose(0, 2, 1))


def test_iou_follows_its_definition():
    boxes = corners(6).astype("float64")
    for (i, a), (j, b) in itertools.product(enumerate(boxes), enumerate(boxes)):
        wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
        shared = wide * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
        either = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
        assert float(ours.compute_iou(boxes, boxes, "xyxy")[i, j]) == pytest.approx(shared / either, abs=1e-5)


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.startswith("rel")])
def test_ciou_is_as_in_keras(theirs, name):
    for first, second in (((3,), (3,)), ((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), (2, 3)), ((), ())):
        args = (in_format(name, *first), in_format(name, *second), name)
        assert_same(ours.compute_ciou(*args), theirs.compute_ciou(*args))


def test_ciou_takes_relative_boxes_with_the_size_of_the_image():
    absolute = [corners(4), corners(4)]
    relative = [ours.convert_format(boxes, "xyxy", "rel_yxyx", HEIGHT, WIDTH) for boxes in absolute]
    mine = ours.compute_ciou(*relative, "rel_yxyx", image_shape=(HEIGHT, WIDTH, 3))
    np.testing.assert_allclose(mine, ours.compute_ciou(*absolute, "xyxy"), rtol=1e-4, atol=1e-5)


def test_ciou_has_the_gradient_of_keras(theirs):
    first, second = corners(4), corners(4)
    mine, other = (
        jax.grad(lambda boxes, k=k: k.compute_ciou(boxes, second, "xyxy").sum())(first)
        for k in (ours, theirs)
    )
    np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-6)
    assert np.abs(mine).min() > 0


VARIANCES = (None, [0.1, 0.1, 0.2, 0.2], np.array([[0.5, 1.0, 2.0, 4.0]]))


@pytest.mark.parametrize("encoding", ["center_xywh", "center_yxhw"])
@pytest.mark.parametrize("shape", [(5,), (2, 5)])
def test_deltas_are_as_in_keras_and_lead_back(theirs, shape, encoding):
    pairs = [(name, RNG.choice(FORMATS)) for name in FORMATS]
    for (anchor_format, box_format), variance in zip(pairs, itertools.cycle(VARIANCES), strict=False):
        anchors, boxes = in_format(anchor_format, 5), in_format(box_format, *shape)
        args = (anchor_format, box_format, encoding, variance, (HEIGHT, WIDTH, 3))
        deltas = ours.encode_box_to_deltas(anchors, boxes, *args)
        assert_same(deltas, theirs.encode_box_to_deltas(anchors, boxes, *args), 2e-4)
        back = ours.decode_deltas_to_boxes(anchors, deltas, *args)
        assert_same(back, theirs.decode_deltas_to_boxes(anchors, np.asarray(deltas), *args), 2e-4)
        np.testing.assert_allclose(back, boxes, rtol=1e-3, atol=1e-3)


def test_boxes_without_a_size_have_finite_deltas(theirs):
    flat = np.array([[5.0, 5.0, 5.0, 9.0]])
    args = (flat, corners(1), "xyxy", "xyxy")
    mine = ours.encode_box_to_deltas(*args)
    assert np.isfinite(mine).all()
    np.testing.assert_allclose(mine, theirs.encode_box_to_deltas(*args), rtol=1e-5)


def test_deltas_by_level_are_as_in_keras(theirs):
    anchors = {"P3": corners(5), "P4": corners(2)}
    deltas = {"P4": RNG.normal(size=(3, 2, 4)).astype("float16"), "P3": RNG.normal(size=(3, 5, 4))}
    deltas["P3"] = deltas["P3"].astype("float32")
    mine, other = (k.decode_deltas_to_boxes(anchors, deltas, "xyxy", "xywh") for k in (ours, theirs))
    assert list(mine) == list(other)
    assert_same(mine, other, 2e-3)


@pytest.mark.parametrize(
    ("refused", "error", "message"),
    [
        (lambda b: b.convert_format(BOXES, "xyxz", "xywh"), ValueError, "Did you mean 'xyxy'"),
        (lambda b: b.convert_format(BOXES, "xywh", "centre_xywh"), ValueError, "Did you mean 'center_xywh'"),
        (lambda b: b.convert_format(BOXES, "xyxy", "rel_xyxy"), ValueError, "`height` and `width`"),
        (lambda b: b.convert_format(BOXES, "rel_xyxy", "xyxy", height=3), ValueError, "width=None"),
        (lambda b: b.convert_format(BOXES, "rel_xyxy", "rel_xywh"), ValueError, "`height` and `width`"),
        (lambda b: b.convert_format(np.ones((2, 5)), "xyxy", "xywh"), ValueError, r"\(2, 5\)"),
        (lambda b: b.convert_format(np.ones((2, 5)), "xyxy", "xyxy"), ValueError, r"\(2, 5\)"),
        (lambda b: b.clip_to_image_size({"boxes": BOXES}, 3), ValueError, "`height` and `width`"),
        (
            lambda b: b.clip_to_image_size({"boxes": BOXES}, 3, 3, "xywh"),
            NotImplementedError,
            "convert_format",
        ),
        (lambda b: b.crop(BOXES, 1, 1, 1, 1, "yxyx"), NotImplementedError, "convert_format"),
        (lambda b: b.pad(BOXES, 1, 1, bounding_box_format="yxyx"), NotImplementedError, "'yxyx'"),
        (
            lambda b: b.affine_transform(BOXES[None], *np.ones((6, 1)), 3, 3, bounding_box_format="rel_xyxy"),
            NotImplementedError,
            "convert_format",
        ),
        (lambda b: b.compute_iou(BOXES[None, None], BOXES, "xyxy"), ValueError, r"\(1, 1, 2, 4\)"),
        (lambda b: b.compute_iou(BOXES, BOXES[0], "xyxy"), ValueError, r"\(4,\)"),
        (lambda b: b.compute_iou(BOXES, BOXES, "rel_xyxy"), ValueError, "image_shape"),
        (lambda b: b.compute_iou(BOXES, BOXES, "xyxx"), ValueError, "Did you mean"),
        (lambda b: b.compute_ciou(BOXES, BOXES, "rel_xyxy"), ValueError, "image_shape"),
        (lambda b: b.compute_iou(BOXES, BOXES, "xyxy", image_shape=(3,)), ValueError, "image_shape"),
        (
            lambda b: b.encode_box_to_deltas(BOXES, BOXES, "xyxy", "xyxy", "xywh"),
            ValueError,
            "encoding_format",
        ),
        (
            lambda b: b.decode_deltas_to_boxes(BOXES, BOXES, "xyxy", "xyxy", "xywh"),
            ValueError,
            "encoded_format",
        ),
        (
            lambda b: b.encode_box_to_deltas(BOXES, BOXES, "xyxy", "xyxy", variance=np.ones(5)),
            ValueError,
            "variance",
        ),
    ],
)
def test_keras_refuses_this_too_and_we_say_why(theirs, refused, error, message):
    with pytest.raises(error):
        refused(theirs)
    with pytest.raises(error, match=message):
        refused(ours)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: ours.convert_format(BOXES, None, "xywh"), "source"),
        (lambda: ours.convert_format(3.0, "xyxy", "xywh"), r"\(\.\.\., 4\)"),
        (lambda: ours.convert_format({"box": BOXES}, "xyxy", "xywh"), "key 'boxes'"),
        (lambda: ours.convert_format(np.ones((3, 2, 4)), "xyxy", "rel_xyxy", np.ones(2), 1), "does not fit"),
        (lambda: ours.crop(BOXES, np.ones(2), 1, 1, 1), "does not fit"),
        (lambda: ours.clip_to_image_size(BOXES, 1, 1), "key 'boxes'"),
        (lambda: ours.affine_transform([[1, 2, 3]], 0, 0, 0, 1, 0, 0, 3, 3), r"\(1, 3\)"),
        (lambda: ours.encode_box_to_deltas(BOXES, BOXES, "xyxy", "xyxy", variance=0.1), "variance"),
        (lambda: ours.decode_deltas_to_boxes({"a": BOXES}, BOXES, "xyxy", "xyxy"), "same keys"),
        (lambda: ours.decode_deltas_to_boxes({"a": BOXES}, {"b": BOXES}, "xyxy", "xyxy"), "same keys"),
    ],
)
def test_what_keras_stumbles_over_is_refused(refused, message):
    with pytest.raises(ValueError, match=message):
        refused()
