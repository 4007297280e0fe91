"""Boxes in images: the formats they are written in, how they move with an image, how far two of them agree.

Boxes are arrays ``(..., 4)``. Where nothing else is said they are *corners*, ``"xyxy"``: left, top, right and
bottom in pixels. Heights, widths and offsets are numbers, or arrays that broadcast with ``(..., 1)``;
beside boxes ``(batch, boxes, 4)`` an array ``(batch,)`` has one value for each image.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kerasmagic.foundation.arguments import one_of
from kerasmagic.foundation.config import epsilon
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch

Columns = tuple[jax.Array, ...]


def _same(*columns: jax.Array) -> Columns:
    return columns


def _corner_to_corners(x: jax.Array, y: jax.Array, width: jax.Array, height: jax.Array) -> Columns:
    return x, y, x + width, y + height


def _corners_to_corner(x1: jax.Array, y1: jax.Array, x2: jax.Array, y2: jax.Array) -> Columns:
    return x1, y1, x2 - x1, y2 - y1


def _center_to_corners(x: jax.Array, y: jax.Array, width: jax.Array, height: jax.Array) -> Columns:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _corners_to_center(x1: jax.Array, y1: jax.Array, x2: jax.Array, y2: jax.Array) -> Columns:
    return x1 + (x2 - x1) / 2, y1 + (y2 - y1) / 2, x2 - x1, y2 - y1


class Format(NamedTuple):
    """What the four numbers of a box say.

    Args:
        to_corners: Takes the four columns, those along x first, and returns left, top, right and bottom.
        from_corners: The way back.
        y_first: Whether in each pair the number along y comes first.
        relative: Whether the numbers are fractions of the image's width and height.
    """

    to_corners: Callable[..., Columns]
    from_corners: Callable[..., Columns]
    y_first: bool = False
    relative: bool = False


FORMATS: dict[str, Format] = {
    "xyxy": Format(_same, _same),
    "yxyx": Format(_same, _same, y_first=True),
    "xywh": Format(_corner_to_corners, _corners_to_corner),
    "center_xywh": Format(_center_to_corners, _corners_to_center),
    "center_yxhw": Format(_center_to_corners, _corners_to_center, y_first=True),
    "rel_xyxy": Format(_same, _same, relative=True),
    "rel_yxyx": Format(_same, _same, y_first=True, relative=True),
    "rel_xywh": Format(_corner_to_corners, _corners_to_corner, relative=True),
    "rel_center_xywh": Format(_center_to_corners, _corners_to_center, relative=True),
}
"""The formats by name."""


def format_named(name: Any, argument: str = "bounding_box_format") -> str:
    """Return the name of a format in small letters.

    Raises:
        InvalidArgument: If there is no such format.

    >>> format_named("REL_xyxy")
    'rel_xyxy'
    """
    return one_of(argument, name.lower() if isinstance(name, str) else name, FORMATS)


def convert(boxes: jax.Array, source: str, target: str, height: Any = None, width: Any = None) -> jax.Array:
    """Return boxes written in another format.

    Args:
        boxes: ``(..., 4)``.
        source: The format they are in, a key of ``FORMATS``; capitals do not matter.
        target: The format to write them in.
        height: The height of the image; needed when one of the formats is relative.
        width: Its width.

    Returns:
        ``(..., 4)``, in the type of ``boxes`` if that is a float type.

    Raises:
        InvalidArgument: If a format is unknown, or a size is missing.
        ShapeMismatch: If the shapes are others.

    >>> convert(jnp.array([10.0, 20.0, 30.0, 60.0]), "xyxy", "center_xywh").tolist()
    [20.0, 40.0, 20.0, 40.0]
    >>> convert(jnp.array([10.0, 20.0, 30.0, 60.0]), "xyxy", "rel_yxyx", height=200, width=100).tolist()
    [0.1, 0.1, 0.3, 0.3]
    """
    source, target = format_named(source, "source"), format_named(target, "target")
    start, end = FORMATS[source], FORMATS[target]
    if (start.relative or end.relative) and (height is None or width is None):
        raise InvalidArgument(
            f"The conversion from {source!r} to {target!r} must receive `height` and `width` of the image. "
            f"Received: height={height}, width={width}"
        )
    columns = _columns(boxes)
    if source == target:
        return boxes
    columns = start.to_corners(*_turned(columns, start.y_first))
    height, width = _beside(boxes, height, width)
    if start.relative and not end.relative:
        columns = _by_axis(operator.mul, columns, width, height)
    columns = end.from_corners(*columns)
    if end.relative and not start.relative:
        columns = _by_axis(operator.truediv, columns, width, height)
    return _joined(_turned(columns, end.y_first))


def clip_to_size(boxes: jax.Array, height: Any, width: Any) -> jax.Array:
    """Return corners ``(..., 4)`` cut off at the edges of the image; its height and width are ``(..., 1)``.

    >>> clip_to_size(jnp.array([-10.0, 5.0, 150.0, 20.0]), height=10, width=100).tolist()
    [0.0, 5.0, 100.0, 10.0]
    """
    height, width = _beside(boxes, height, width)
    return _joined(_by_axis(lambda x, end: jnp.clip(x, 0, end), _columns(boxes), width, height))


def pad(boxes: jax.Array, top: Any, left: Any) -> jax.Array:
    """Return corners ``(..., 4)`` in an image that has ``top`` rows and ``left`` columns more before it.

    >>> pad(jnp.array([1, 2, 3, 4]), top=10, left=20).tolist()
    [21, 12, 23, 14]
    """
    top, left = _beside(boxes, top, left)
    return _joined(_by_axis(operator.add, _columns(boxes), left, top))


def crop(boxes: jax.Array, top: Any, left: Any, height: Any, width: Any) -> jax.Array:
    """Return corners ``(..., 4)`` in the part of the image that begins at ``top``, ``left``.

    Args:
        boxes: Corners ``(..., 4)``.
        top: The first row of the part.
        left: Its first column.
        height: Its height; ``None`` cuts nothing off below.
        width: Its width; ``None`` cuts nothing off on the right.

    >>> crop(jnp.array([10, 20, 50, 60]), top=30, left=20, height=20, width=100).tolist()
    [0, 0, 30, 20]
    """
    top, left = _beside(boxes, top, left)
    moved = _joined(_by_axis(operator.sub, _columns(boxes), left, top))
    return clip_to_size(moved, height, width)


def area(boxes: jax.Array) -> jax.Array:
    """Return the areas of corners: ``(..., 4) -> (...)``."""
    x1, y1, x2, y2 = _unstacked(boxes)
    return (x2 - x1) * (y2 - y1)


def affine_matrix(
    angle: Any,
    translate_x: Any,
    translate_y: Any,
    scale: Any,
    shear_x: Any,
    shear_y: Any,
    height: Any,
    width: Any,
    center_x: Any = 0.5,
    center_y: Any = 0.5,
) -> jax.Array:
    """Return the map of points that rotates, shears, scales and shifts about a center.

    With ``shift`` in pixels, a point goes to ``center + scale * linear @ (point - center + shift)``. All arguments
    are numbers or arrays that broadcast with ``(batch,)``.

    Args:
        angle: The rotation in degrees, counterclockwise to the eye.
        translate_x: How far to shift, a fraction of the width less one.
        translate_y: The same, of the height less one.
        scale: The factor of all lengths.
        shear_x: The shear along x in degrees.
        shear_y: The shear along y in degrees.
        height: The height of the image in pixels.
        width: Its width.
        center_x: The center, a fraction of the width less one.
        center_y: The center, a fraction of the height less one.

    Returns:
        ``(batch, 2, 3)``: ``(x, y)`` goes to ``(a0 x + a1 y + a2, b0 x + b1 y + b2)``.

    >>> (affine_matrix(90.0, 0, 0, 1, 0, 0, height=3, width=3).round(4) + 0.0).tolist()
    [[0.0, 1.0, 0.0], [-1.0, 0.0, 2.0]]
    """
    turn, slant_x, slant_y = (
        jnp.multiply(degrees, -math.pi / 180.0) for degrees in (angle, shear_x, shear_y)
    )
    center = jnp.multiply(center_x, width - 1), jnp.multiply(center_y, height - 1)
    from_x = center[0] - jnp.multiply(translate_x, width - 1)
    from_y = center[1] - jnp.multiply(translate_y, height - 1)
    # The linear part is the inverse of [[a, b], [c, d]], whose determinant is one.
    a = jnp.cos(turn - slant_y) / jnp.cos(slant_y)
    b = a * jnp.tan(slant_x) + jnp.sin(turn)
    c = -jnp.sin(turn - slant_y) / jnp.cos(slant_y)
    d = jnp.cos(turn) - c * jnp.tan(slant_x)
    a0, a1, b0, b1 = (jnp.multiply(element, scale) for element in (d, -b, -c, a))
    a2 = center[0] - a0 * from_x - a1 * from_y
    b2 = center[1] - b0 * from_x - b1 * from_y
    elements = jnp.broadcast_arrays(a0, a1, a2, b0, b1, b2)
    return jnp.stack(elements, axis=-1).reshape(*elements[0].shape, 2, 3)


def affine(boxes: jax.Array, matrix: jax.Array) -> jax.Array:
    """Return the smallest upright boxes around transformed ones.

    Args:
        boxes: Corners ``(batch, boxes, 4)``.
        matrix: ``(batch, 2, 3)``, as ``affine_matrix`` returns it.

    Returns:
        Corners ``(batch, boxes, 4)`` in the type of ``matrix``.

    >>> affine(jnp.array([[0, 0, 2, 1]]), jnp.array([[0.0, 1.0, 5.0], [-1.0, 0.0, 2.0]])).tolist()
    [[5.0, 0.0, 6.0, 2.0]]
    """
    x1, y1, x2, y2 = _unstacked(boxes.astype(matrix.dtype))
    x, y = jnp.stack([x1, x2, x2, x1], axis=-1), jnp.stack([y1, y1, y2, y2], axis=-1)
    (a0, a1, a2), (b0, b1, b2) = (
        [matrix[..., row, column, None, None] for column in range(3)] for row in range(2)
    )
    x, y = a0 * x + a1 * y + a2, b0 * x + b1 * y + b2
    return jnp.stack([x.min(-1), y.min(-1), x.max(-1), y.max(-1)], axis=-1)


def pairwise_iou(boxes1: jax.Array, boxes2: jax.Array) -> jax.Array:
    """Return the area that two boxes share, as a fraction of the area that they cover, for each pair.

    Args:
        boxes1: Corners ``(..., m, 4)``.
        boxes2: Corners ``(..., n, 4)``.

    Returns:
        ``(..., m, n)``, from 0 to 1.

    >>> pairwise_iou(jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[1.0, 0.0, 3.0, 2.0]])).tolist()
    [[0.333...]]
    """
    first, second = boxes1[..., :, None, :], boxes2[..., None, :, :]
    shared = _shared_area(first, second)
    return shared / (area(first) + area(second) - shared + epsilon())


def ciou(boxes1: jax.Array, boxes2: jax.Array) -> jax.Array:
    """Return how far two boxes agree in place and form: the complete IoU (arXiv:1911.08287, section 4).

    It is the IoU, less the squared distance of the centers in terms of the diagonal around both boxes, less a
    term for how far their ratios of width to height differ.

    Args:
        boxes1: Corners ``(..., 4)``.
        boxes2: Corners of a shape that broadcasts with it.

    Returns:
        ``(...)``: 1 for equal boxes, below 0 for boxes far from each other.

    >>> float(ciou(jnp.array([0.0, 0.0, 2.0, 2.0]), jnp.array([0.0, 0.0, 2.0, 2.0])))
    1.0
    """
    tiny = epsilon()
    (left1, top1, right1, bottom1), (left2, top2, right2, bottom2) = _unstacked(boxes1), _unstacked(boxes2)
    width1, height1 = right1 - left1, bottom1 - top1 + tiny
    width2, height2 = right2 - left2, bottom2 - top2 + tiny
    shared = _shared_area(boxes1, boxes2)
    iou = shared / (width1 * height1 + width2 * height2 - shared + 2 * tiny)
    around = jnp.maximum(right1, right2) - jnp.minimum(left1, left2)
    around_y = jnp.maximum(bottom1, bottom2) - jnp.minimum(top1, top2)
    apart = ((left1 + right1) - (left2 + right2)) / 2
    apart_y = ((top1 + bottom1) - (top2 + bottom2)) / 2
    # v = 4 / pi^2 (atan(w2 / h2) - atan(w1 / h1))^2, alpha = v / (1 - iou + v)
    v = 4 / math.pi**2 * (jnp.arctan(width2 / height2) - jnp.arctan(width1 / height1)) ** 2
    alpha = v / (v - iou + (1 + tiny))
    return iou - (apart**2 + apart_y**2) / (around**2 + around_y**2 + tiny) - alpha * v


def encode_deltas(anchors: jax.Array, boxes: jax.Array) -> jax.Array:
    """Return boxes as differences from anchors (arXiv:1311.2524, appendix C).

    Args:
        anchors: ``(n, 4)``: center and size, in either order of x and y.
        boxes: ``(n, 4)`` or ``(batch, n, 4)`` in the same order.

    Returns:
        The shape of ``boxes``: the shift in terms of the anchor's size, and the logarithm of the ratio of sizes.

    >>> encode_deltas(jnp.array([10.0, 10.0, 4.0, 2.0]), jnp.array([12.0, 10.0, 4.0, 2.0])).tolist()
    [0.5, 0.0, 0.0, 0.0]
    """
    size, unit = (jnp.maximum(each[..., 2:], epsilon()) for each in (boxes, anchors))
    shift, growth = (boxes[..., :2] - anchors[..., :2]) / unit, jnp.log(size / unit)
    return _joined((shift, growth))


def decode_deltas(anchors: jax.Array, deltas: jax.Array) -> jax.Array:
    """Return the boxes that differ from anchors by ``deltas``: the inverse of ``encode_deltas``.

    Args:
        anchors: ``(n, 4)``: center and size, in either order of x and y.
        deltas: ``(n, 4)`` or ``(batch, n, 4)`` in the same order.

    Returns:
        Boxes of the shape of ``deltas``, centers and sizes in that order.

    >>> decode_deltas(jnp.array([10.0, 10.0, 4.0, 2.0]), jnp.array([0.5, 0.0, 0.0, 0.0])).tolist()
    [12.0, 10.0, 4.0, 2.0]
    """
    place, unit = anchors[..., :2], anchors[..., 2:]
    return _joined((deltas[..., :2] * unit + place, jnp.exp(deltas[..., 2:]) * unit))


def _shared_area(boxes1: jax.Array, boxes2: jax.Array) -> jax.Array:
    begin = jnp.maximum(boxes1[..., :2], boxes2[..., :2])
    end = jnp.minimum(boxes1[..., 2:], boxes2[..., 2:])
    size = jnp.maximum(end - begin, 0)
    return size[..., 0] * size[..., 1]


def _columns(boxes: jax.Array) -> Columns:
    """Return the four numbers, each ``(..., 1)``.

    Raises:
        ShapeMismatch: If there are not four of them.
    """
    if jnp.ndim(boxes) == 0 or boxes.shape[-1] != 4:
        raise ShapeMismatch(
            "`boxes` must have the shape (..., 4): a last axis of four numbers for each box. "
            f"Received: boxes.shape={jnp.shape(boxes)}"
        )
    return tuple(jnp.split(boxes, 4, axis=-1))


def _unstacked(boxes: jax.Array) -> Columns:
    return tuple(column[..., 0] for column in _columns(boxes))


def _joined(columns: Columns) -> jax.Array:
    return jnp.concatenate(jnp.broadcast_arrays(*columns), axis=-1)


def _turned(columns: Columns, y_first: bool) -> Columns:
    a, b, c, d = columns
    return (b, a, d, c) if y_first else columns


def _by_axis(function: Callable[..., Any], columns: Columns, along_x: Any, along_y: Any) -> Columns:
    return tuple(map(function, columns, (along_x, along_y, along_x, along_y)))


def _beside(boxes: jax.Array, *values: Any) -> list[Any]:
    """Return heights, widths or offsets in a shape that broadcasts with ``(..., 1)``.

    Raises:
        ShapeMismatch: If there is none.
    """
    return [None if value is None else _fitting(jnp.shape(boxes), value) for value in values]


def _fitting(shape: tuple[int, ...], value: Any) -> Any:
    if jnp.ndim(value) == 1 and len(shape) == 3:
        value = jnp.asarray(value)[:, None, None]
    try:
        fits = jnp.broadcast_shapes(jnp.shape(value), (*shape[:-1], 1))[-1] == 1
    except ValueError:
        fits = False
    if not fits:
        raise ShapeMismatch(
            f"A height, width or offset of shape {jnp.shape(value)} does not fit boxes of shape {shape}.",
            hint="Give one number, or one for each image: an array of shape (batch,).",
        )
    return value
