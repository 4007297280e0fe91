"""Boxes with their labels, as image layers take them: checked, and filled up to one number of boxes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerasmagic.numerics import labelled_boxes
from tests.tools.boxes import RNG, SHAPES, assert_same, corners

BOXES = np.ones((2, 4), "float32")


@pytest.fixture(scope="module")
def validation(keras):
    from keras.src.layers.preprocessing.image_preprocessing.bounding_boxes import validation

    return validation


@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("labels", ["int32", "float32"])
def test_arrays_pass_as_in_keras(validation, shape, labels):
    for classes in ((), (3,)):
        boxes, numbers = corners(*shape[:-1]), RNG.integers(0, 5, (*shape[:-1], *classes)).astype(labels)
        mine = labelled_boxes.densify({"boxes": boxes, "labels": numbers})
        assert_same(mine, validation.densify_bounding_boxes({"boxes": boxes, "labels": numbers}))


@pytest.mark.parametrize("max_boxes", [None, 1, 2, 5])
def test_lists_of_images_become_arrays_with_as_many_boxes(max_boxes):
    boxes, counts = corners(4, 3), (2, 0, 3, 1)
    given = {
        "boxes": [boxes[i, :count].tolist() for i, count in enumerate(counts)],
        "labels": [list(range(1, count + 1)) for count in counts],
    }
    dense = labelled_boxes.densify(given, max_boxes)
    size = 3 if max_boxes is None else max_boxes
    expected = np.zeros((4, size, 4), "float32")
    labels = np.full((4, size), -1, "int32")
    for i, count in enumerate(counts):
        kept = min(count, size)
        expected[i, :kept], labels[i, :kept] = boxes[i, :kept], np.arange(1, kept + 1)
    assert_same(dense, {"boxes": expected, "labels": labels})
    for form in (np.asarray, jnp.asarray):
        arrays = {key: [form(each) for each in value] for key, value in given.items()}
        arrays["labels"] = [each.astype("int32") for each in arrays["labels"]]
        assert_same(labelled_boxes.densify(arrays, max_boxes), dense)


def test_a_list_of_full_images_is_as_in_keras(validation):
    given = {"boxes": corners(2, 3).tolist(), "labels": [[1, 2, 3], [4, 5, 6]]}
    assert_same(labelled_boxes.densify(given), validation.densify_bounding_boxes(dict(given), max_boxes=3))


@pytest.mark.parametrize(
    ("boxes", "labels", "shape"),
    [
        ([], [], (0, 4)),
        ([[]], [[]], (1, 0, 4)),
        ([[], []], [[], []], (2, 0, 4)),
        ([[1, 2, 3, 4]], [7], (1, 4)),
        (((1, 2, 3, 4), (1, 2, 3, 4)), (7, 8), (2, 4)),
        ([[1, 2, 3, 4]], [[0, 1]], (1, 4)),
        ([[[1, 2, 3, 4]], []], [[[0, 1]], []], (2, 1, 4)),
        (np.zeros((0, 4)), np.zeros(0), (0, 4)),
    ],
)
def test_few_or_no_boxes_have_a_shape(boxes, labels, shape):
    dense = labelled_boxes.densify({"boxes": boxes, "labels": labels})
    assert dense["boxes"].shape == shape
    assert dense["labels"].shape[: len(shape) - 1] == shape[:-1]
    filled = labelled_boxes.densify({"boxes": boxes, "labels": labels}, 3)
    assert filled["boxes"].shape == (*shape[:-2], 3, 4)
    assert (filled["labels"] == -1).any()


def test_what_fills_up_can_be_chosen_also_for_arrays():
    given = {"boxes": np.ones((1, 4)), "labels": np.array([5], "int32")}
    dense = labelled_boxes.densify(given, 3, boxes_default_value=-7, labels_default_value=9)
    assert dense["boxes"].tolist() == [[1] * 4, [-7] * 4, [-7] * 4]
    assert dense["labels"].tolist() == [5, 9, 9]


def test_arrays_and_lists_of_arrays_are_filled_up_when_traced():
    given = {"boxes": [corners(2), corners(1)], "labels": [np.array([1, 2]), np.array([3])]}
    expected = labelled_boxes.densify(given, 3)
    assert_same(jax.jit(lambda each: labelled_boxes.densify(each, 3))(given), expected)
    dense = labelled_boxes.densify(given)
    assert_same(jax.jit(lambda each: labelled_boxes.densify(each, 3))(dense), expected)


@pytest.mark.parametrize(
    "given",
    [
        BOXES,
        {"boxes": BOXES},
        {"labels": [1, 2]},
        {"boxes": BOXES.tolist(), "labels": np.array([1, 2])},
        {"boxes": BOXES.tolist(), "labels": [1]},
        {"boxes": [BOXES.tolist()], "labels": [[0.5, 1.0]]},
        {"boxes": BOXES[0], "labels": np.array([1])},
        {"boxes": BOXES, "labels": np.array(1)},
        {"boxes": BOXES[None], "labels": np.array([1, 2])},
        {"boxes": BOXES[None, None], "labels": np.ones((1, 1, 2))},
    ],
)
def test_what_keras_finds_no_boxes_we_do_too(validation, given):
    with pytest.raises(ValueError):
        validation.densify_bounding_boxes(dict(given) if isinstance(given, dict) else given)
    with pytest.raises(ValueError):
        labelled_boxes.densify(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"boxes": BOXES, "labels": np.ones(3)}, "one label for each box"),
        ({"boxes": np.ones((2, 3)), "labels": np.ones(2)}, "must have the shape"),
        ({"boxes": [[[1, 2, 3, 4]], [[1, 2, 3]]], "labels": [[1], [2]]}, "for each image"),
        ({"boxes": [[[1, 2, 3, 4]], [[1, 2, 3, 4]]], "labels": [[1], [2, 3]]}, "one label for each box"),
        ({"boxes": [[1, 2, 3, 4], [1, 2, 3, 4]], "labels": [[1], [2, 3]]}, "[Ll]abels"),
        ({"boxes": [[[1, 2, 3, 4]]] * 2, "labels": [[[1, 0]], [[1, 0, 0]]]}, "[Ll]abels"),
    ],
)
def test_labels_that_belong_to_other_boxes_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        labelled_boxes.densify(given)
