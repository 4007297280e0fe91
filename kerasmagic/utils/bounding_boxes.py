"""Boxes in images: ``keras.utils.bounding_boxes``.

A box is four numbers, written in one of nine formats, capitals or not. With the same four numbers from 0 to 1 as
fractions of the image's width and height, the format is a relative one:

- ``"xyxy"``, ``"rel_xyxy"``: left, top, right, bottom;
- ``"yxyx"``, ``"rel_yxyx"``: top, left, bottom, right;
- ``"xywh"``, ``"rel_xywh"``: left, top, width, height;
- ``"center_xywh"``, ``"rel_center_xywh"``: x and y of the center, width, height;
- ``"center_yxhw"``: y and x of the center, height, width.

Boxes of an image are ``(boxes, 4)``, those of a batch ``(batch, boxes, 4)``; boxes with labels are a dict of
``"boxes"`` and ``"labels"``, which is never changed: the result is a new one. Arrays, variables and nested lists
will all do. What depends on the image, like its ``height``, is a number, or an array ``(batch,)`` or
``(batch, 1, 1)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from kerasmagic.core.dtypes import standardize_dtype
from kerasmagic.foundation.arguments import one_of
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch, Unsupported
from kerasmagic.numerics import boxes as geometry
from kerasmagic.numerics import labelled_boxes
from kerasmagic.ops.forms import as_array

_ENCODINGS = ("center_xywh", "center_yxhw")


def convert_format(
    boxes: Any, source: str, target: str, height: Any = None, width: Any = None, dtype: Any = "float32"
) -> Any:
    """Return boxes written in another format.

    Args:
        boxes: ``(..., 4)``, or a dict with such ``"boxes"``.
        source: The format they are in.
        target: The format to write them in.
        height: The height of the image in pixels; needed if one of the formats is relative.
        width: Its width.
        dtype: The type of the result. ``None`` leaves it as it is; halves and fractions of integers are float32.

    Returns:
        The boxes ``(..., 4)``, or a new dict with these.

    Raises:
        InvalidArgument: If a format is unknown, or a size is missing.
        ShapeMismatch: If the shapes are others.

    >>> convert_format([[10, 20, 30, 60]], source="xyxy", target="xywh").tolist()
    [[10.0, 20.0, 20.0, 40.0]]
    >>> convert_format([[10, 20, 30, 60]], "xyxy", "rel_xyxy", height=200, width=100).tolist()
    [[0.1, 0.1, 0.3, 0.3]]
    """
    if isinstance(boxes, Mapping):
        converted = convert_format(_boxes_of(boxes), source, target, height, width, dtype)
        return {**boxes, "boxes": converted}
    dtype = None if dtype is None else standardize_dtype(dtype)
    boxes, height, width = (
        None if value is None else jnp.asarray(as_array(value), dtype) for value in (boxes, height, width)
    )
    return geometry.convert(boxes, source, target, height, width)


def clip_to_image_size(
    bounding_boxes: Mapping[str, Any],
    height: Any = None,
    width: Any = None,
    bounding_box_format: str = "xyxy",
) -> dict[str, Any]:
    """Return boxes cut off at the edges of the image; a box of which nothing is left has the label -1.

    Args:
        bounding_boxes: A dict with ``"boxes"`` ``(..., 4)`` and, if it likes, ``"labels"`` ``(...)`` or
            ``(..., classes)``.
        height: The height of the image in pixels; not used for relative boxes.
        width: Its width.
        bounding_box_format: ``"xyxy"`` or ``"rel_xyxy"``.

    Returns:
        A new dict; the types of boxes and labels stay, but relative boxes are floats.

    Raises:
        InvalidArgument: If a size is missing, or there are no boxes in the dict.
        Unsupported: If it is another format.
        ShapeMismatch: If the shapes are others.

    >>> clipped = clip_to_image_size({"boxes": [[-5, 2, 9, 99], [30, 0, 40, 5]], "labels": [3, 4]}, 10, 20)
    >>> clipped["boxes"].tolist(), clipped["labels"].tolist()
    ([[0, 2, 9, 10], [20, 0, 20, 5]], [3, -1])
    """
    name = _supported(bounding_box_format, ("xyxy", "rel_xyxy"))
    boxes, labels = as_array(_boxes_of(bounding_boxes)), bounding_boxes.get("labels")
    if name == "rel_xyxy":
        height, width = 1.0, 1.0
    elif height is None or width is None:
        raise InvalidArgument("`height` and `width` must be given for boxes in pixels, the format 'xyxy'.")
    else:
        height, width = (jnp.asarray(as_array(size), boxes.dtype) for size in (height, width))
    labels = None if labels is None else as_array(labels)
    boxes, labels = labelled_boxes.clip(boxes, labels, height, width)
    return {**bounding_boxes, "boxes": boxes} | ({} if labels is None else {"labels": labels})


def affine_transform(
    boxes: Any,
    angle: Any,
    translate_x: Any,
    translate_y: Any,
    scale: Any,
    shear_x: Any,
    shear_y: Any,
    height: Any,
    width: Any,
    center_x: Any = None,
    center_y: Any = None,
    bounding_box_format: str = "xyxy",
) -> Any:
    """Return the smallest upright boxes around rotated, sheared, scaled and shifted ones.

    What is given for a box may be a number, or an array ``(batch,)`` with one number for each image.

    Args:
        boxes: ``(batch, boxes, 4)``, or with numbers for all the rest ``(boxes, 4)``.
        angle: The rotation in degrees, counterclockwise to the eye.
        translate_x: How far to shift, a fraction of the width.
        translate_y: The same, of the height.
        scale: The factor of all lengths.
        shear_x: The shear along x in degrees.
        shear_y: The shear along y in degrees.
        height: The height of the image in pixels.
        width: Its width.
        center_x: The x of the center that stays in place, a fraction of the width; the middle when ``None``.
        center_y: Its y, a fraction of the height.
        bounding_box_format: ``"xyxy"``.

    Returns:
        Floats ``(batch, boxes, 4)``, or the shape of ``boxes``.

    Raises:
        Unsupported: If it is another format.
        ShapeMismatch: If ``boxes`` has another shape.

    >>> turned = affine_transform([[0, 0, 2, 1]], 90.0, 0, 0, 1, 0, 0, height=3, width=3)
    >>> (turned.round(3) + 0.0).tolist()
    [[0.0, 0.0, 1.0, 2.0]]
    """
    _supported(bounding_box_format)
    center_x = 0.5 if center_x is None else center_x
    center_y = 0.5 if center_y is None else center_y
    numbers = (angle, translate_x, translate_y, scale, shear_x, shear_y, height, width, center_x, center_y)
    return geometry.affine(as_array(boxes), geometry.affine_matrix(*map(as_array, numbers)))


def crop(boxes: Any, top: Any, left: Any, height: Any, width: Any, bounding_box_format: str = "xyxy") -> Any:
    """Return the boxes in a part of the image, cut off at its edges.

    Args:
        boxes: ``(..., 4)``.
        top: The first row of the part.
        left: Its first column.
        height: Its height; ``None`` cuts nothing off below.
        width: Its width; ``None`` cuts nothing off on the right.
        bounding_box_format: ``"xyxy"``.

    Returns:
        ``(..., 4)``.

    Raises:
        Unsupported: If it is another format.
        ShapeMismatch: If the shapes are others.

    >>> crop([[10, 20, 50, 60]], top=30, left=20, height=20, width=100).tolist()
    [[0, 0, 30, 20]]
    """
    _supported(bounding_box_format)
    return geometry.crop(as_array(boxes), *_values(top, left, height, width))


def pad(
    boxes: Any, top: Any, left: Any, height: Any = None, width: Any = None, bounding_box_format: str = "xyxy"
) -> Any:
    """Return the boxes in an image to which rows and columns were added.

    Args:
        boxes: ``(..., 4)``.
        top: How many rows were added before the first one.
        left: How many columns.
        height: Not used: what is added behind moves no box.
        width: Not used.
        bounding_box_format: ``"xyxy"``.

    Returns:
        ``(..., 4)``.

    Raises:
        Unsupported: If it is another format.
        ShapeMismatch: If the shapes are others.

    >>> pad([[1, 2, 3, 4]], top=10, left=20).tolist()
    [[21, 12, 23, 14]]
    """
    _supported(bounding_box_format)
    return geometry.pad(as_array(boxes), *_values(top, left))


def compute_iou(
    boxes1: Any,
    boxes2: Any,
    bounding_box_format: str,
    use_masking: bool = False,
    mask_val: Any = -1,
    image_shape: Sequence[int] | None = None,
) -> Any:
    """Return the area that two boxes share, as a fraction of the area that they cover, for each pair.

    Args:
        boxes1: ``(m, 4)`` or ``(batch, m, 4)``.
        boxes2: ``(n, 4)`` or ``(batch, n, 4)``.
        bounding_box_format: The format of both.
        use_masking: Whether boxes that are below 0 in all four corners' numbers count as no boxes.
        mask_val: The result for those.
        image_shape: ``(height, width, channels)``, needed for relative boxes.

    Returns:
        ``(m, n)``, or ``(batch, m, n)`` if one of the two is a batch; from 0 to 1.

    Raises:
        InvalidArgument: If the format is unknown, or a relative one without ``image_shape``.
        ShapeMismatch: If the shapes are others.

    >>> compute_iou([[0, 0, 2, 2]], [[0, 0, 2, 2], [0, 1, 2, 3]], "xyxy").round(3).tolist()
    [[1.0, 0.333]]
    """
    boxes1, boxes2 = as_array(boxes1), as_array(boxes2)
    if not {boxes1.ndim, boxes2.ndim} <= {2, 3}:
        raise ShapeMismatch(
            "`compute_iou` takes boxes (boxes, 4) or (batch, boxes, 4). "
            f"Received: boxes1.shape={boxes1.shape}, boxes2.shape={boxes2.shape}"
        )
    boxes1, boxes2 = _corners(boxes1, boxes2, bounding_box_format, image_shape)
    iou = geometry.pairwise_iou(boxes1, boxes2)
    if not use_masking:
        return iou
    empty1, empty2 = ((boxes < 0).all(axis=-1) for boxes in (boxes1, boxes2))
    no_pair = empty1[..., :, None] | empty2[..., None, :]
    return jnp.where(no_pair, jnp.asarray(mask_val, iou.dtype), iou)


def compute_ciou(
    boxes1: Any, boxes2: Any, bounding_box_format: str, image_shape: Sequence[int] | None = None
) -> Any:
    """Return how far two boxes agree in place and form: the complete IoU (arXiv:1911.08287).

    Args:
        boxes1: ``(..., 4)``.
        boxes2: A shape that broadcasts with it: the boxes are taken in pairs.
        bounding_box_format: The format of both.
        image_shape: ``(height, width, channels)``, needed for relative boxes.

    Returns:
        ``(...)``: 1 for equal boxes, below 0 for boxes far from each other.

    Raises:
        InvalidArgument: If the format is unknown, or a relative one without ``image_shape``.
        ShapeMismatch: If the shapes are others.

    >>> compute_ciou([[0, 0, 2, 2], [0, 0, 2, 2]], [[0, 0, 2, 2], [6, 6, 8, 8]], "xyxy").round(3).tolist()
    [1.0, -0.562]
    """
    boxes1, boxes2 = _corners(as_array(boxes1), as_array(boxes2), bounding_box_format, image_shape)
    return geometry.ciou(boxes1, boxes2)


def encode_box_to_deltas(
    anchors: Any,
    boxes: Any,
    anchor_format: str,
    box_format: str,
    encoding_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Sequence[int] | None = None,
) -> Any:
    """Return boxes as differences from anchors, which a detector learns (arXiv:1311.2524, appendix C).

    Args:
        anchors: ``(n, 4)``.
        boxes: ``(n, 4)`` or ``(batch, n, 4)``.
        anchor_format: The format of the anchors.
        box_format: The format of the boxes.
        encoding_format: ``"center_yxhw"`` or ``"center_xywh"``: the order of the result.
        variance: Four numbers by which the result is divided.
        image_shape: ``(height, width, channels)``, needed for relative formats.

    Returns:
        float32, the shape of ``boxes``: shifts of the center in terms of the anchor's size, and the logarithms
        of the ratios of sizes.

    Raises:
        InvalidArgument: If a format is none of these, or a relative one without ``image_shape``.
        ShapeMismatch: If the shapes are others.

    >>> encode_box_to_deltas([[8, 8, 12, 12]], [[9, 8, 13, 12]], "xyxy", "xyxy", "center_xywh").tolist()
    [[0.25, 0.0, 0.0, 0.0]]
    """
    variance = _four(variance)
    one_of("encoding_format", encoding_format, _ENCODINGS)
    size = _size(image_shape)
    deltas = geometry.encode_deltas(
        convert_format(anchors, anchor_format, encoding_format, *size),
        convert_format(boxes, box_format, encoding_format, *size),
    )
    return deltas if variance is None else deltas / variance


def decode_deltas_to_boxes(
    anchors: Any,
    boxes_delta: Any,
    anchor_format: str,
    box_format: str,
    encoded_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Sequence[int] | None = None,
) -> Any:
    """Return the boxes that differ from anchors by ``boxes_delta``: the inverse of ``encode_box_to_deltas``.

    Args:
        anchors: ``(n, 4)``, or a dict of these by level.
        boxes_delta: ``(n, 4)`` or ``(batch, n, 4)``, or a dict of these with the same keys.
        anchor_format: The format of the anchors.
        box_format: The format of the result.
        encoded_format: ``"center_yxhw"`` or ``"center_xywh"``: the order of the differences.
        variance: Four numbers by which the differences are multiplied.
        image_shape: ``(height, width, channels)``, needed for relative formats.

    Returns:
        float32, the shape of ``boxes_delta``, or a dict of these.

    Raises:
        InvalidArgument: If a format is none of these, a relative one without ``image_shape``, or the keys of the
            two dicts differ.
        ShapeMismatch: If the shapes are others.

    >>> decode_deltas_to_boxes([[8, 8, 12, 12]], [[0.25, 0, 0, 0]], "xyxy", "xyxy", "center_xywh").tolist()
    [[9.0, 8.0, 13.0, 12.0]]
    """
    variance = _four(variance)
    one_of("encoded_format", encoded_format, _ENCODINGS)
    size = _size(image_shape)

    def decoded(anchors: Any, deltas: Any) -> Any:
        deltas = as_array(deltas) if variance is None else as_array(deltas) * variance
        centered = convert_format(anchors, anchor_format, encoded_format, *size)
        boxes = geometry.decode_deltas(centered, deltas)
        return convert_format(boxes, encoded_format, box_format, *size)

    return _by_level(decoded, anchors, boxes_delta)


def _by_level(function: Callable[[Any, Any], Any], anchors: Any, deltas: Any) -> Any:
    levels, others = (set(each) if isinstance(each, Mapping) else None for each in (anchors, deltas))
    if levels != others:
        raise InvalidArgument(
            "`anchors` and `boxes_delta` must both be arrays, or dicts with the same keys. "
            f"Received keys: {_keys(anchors)} and {_keys(deltas)}"
        )
    if levels is None:
        return function(anchors, deltas)
    return {level: function(each, deltas[level]) for level, each in anchors.items()}


def _keys(levels: Any) -> Any:
    return list(levels) if isinstance(levels, Mapping) else None


def _supported(name: Any, supported: Sequence[str] = ("xyxy",)) -> str:
    known = geometry.format_named(name)
    if known not in supported:
        raise Unsupported(
            f"This works on the format {' or '.join(map(repr, supported))}. Received: bounding_box_format={name!r}.",
            hint="`convert_format` writes boxes in another format.",
        )
    return known


def _boxes_of(bounding_boxes: Any) -> Any:
    if not isinstance(bounding_boxes, Mapping) or "boxes" not in bounding_boxes:
        given = _keys(bounding_boxes) or type(bounding_boxes).__name__
        raise InvalidArgument(f"Bounding boxes are a dict with the key 'boxes'. Received: {given}")
    return bounding_boxes["boxes"]


def _values(*values: Any) -> list[Any]:
    return [None if value is None else as_array(value) for value in values]


def _size(image_shape: Sequence[int] | None) -> tuple[Any, Any]:
    if image_shape is None:
        return None, None
    if len(image_shape) not in (2, 3):
        raise InvalidArgument(f"`image_shape` must be (height, width, channels). Received: {image_shape}")
    return image_shape[0], image_shape[1]


def _corners(boxes1: Any, boxes2: Any, name: str, image_shape: Sequence[int] | None) -> list[Any]:
    size = _size(image_shape)
    if geometry.FORMATS[geometry.format_named(name)].relative and image_shape is None:
        raise InvalidArgument(
            f"Boxes in the relative format {name!r} need `image_shape`: (height, width, channels)."
        )
    return [convert_format(boxes, name, "xyxy", *size) for boxes in (boxes1, boxes2)]


def _four(variance: Any) -> Any:
    if variance is None:
        return None
    variance = jnp.asarray(as_array(variance), "float32")
    if variance.shape[-1:] != (4,):
        raise ShapeMismatch(f"`variance` must be four numbers. Received an array of shape {variance.shape}.")
    return variance
