"""Boxes with their labels: a dict of ``"boxes"`` ``(..., boxes, 4)`` and ``"labels"`` ``(..., boxes)``.

Labels may have one axis more, ``(..., boxes, classes)``. A label of -1 stands beside a box that is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.numerics import boxes as geometry

NO_BOX = 0
"""What fills up the boxes."""
NO_LABEL = -1
"""What fills up the labels."""


def densify(
    bounding_boxes: Mapping[str, Any],
    max_boxes: int | None = None,
    boxes_default_value: Any = NO_BOX,
    labels_default_value: Any = NO_LABEL,
) -> dict[str, Any]:
    """Return boxes and labels as arrays, checked; images with fewer boxes are filled up.

    Args:
        bounding_boxes: A dict. ``"boxes"`` is an array ``(boxes, 4)`` or ``(batch, boxes, 4)``, or a list: of
            boxes, or of one list or array ``(boxes, 4)`` for each image, in any number. ``"labels"`` has the same
            form, without the last axis or with one number for each class there.
        max_boxes: How many boxes each image has afterwards: others are filled up or cut off. As many as
            there are, or as the image with the most has, when ``None``.
        boxes_default_value: What is in a box that was not there.
        labels_default_value: Its label.

    Returns:
        A new dict; ``"boxes"`` are float32 ``(boxes, 4)`` or ``(batch, boxes, 4)``, ``"labels"`` integers where
        lists were given and of the type that they had where arrays were. What else is in the dict stays.

    Raises:
        InvalidArgument: If this is no such dict, only one of the two is a list, or labels in lists are no integers.
        ShapeMismatch: If the shapes do not fit.

    >>> ragged = {"boxes": [[[0, 0, 2, 2], [1, 1, 3, 3]], [[5, 5, 6, 6]]], "labels": [[7, 8], [9]]}
    >>> densify(ragged)["labels"].tolist(), densify(ragged, max_boxes=1)["boxes"].shape
    ([[7, 8], [9, -1]], (2, 1, 4))
    """
    boxes, labels = _parts(bounding_boxes)
    if isinstance(boxes, (list, tuple)):
        boxes, labels = _rectangular(boxes, labels, boxes_default_value, labels_default_value)
    boxes, labels = jnp.asarray(boxes, "float32"), jnp.asarray(labels)
    _check_shapes(boxes.shape, labels.shape)
    if max_boxes is not None:
        axis = boxes.ndim - 2
        boxes = _resized(boxes, axis, max_boxes, boxes_default_value)
        labels = _resized(labels, axis, max_boxes, labels_default_value)
    return {**bounding_boxes, "boxes": boxes, "labels": labels}


def clip(boxes: jax.Array, labels: jax.Array | None, height: Any, width: Any) -> tuple[jax.Array, Any]:
    """Return corners cut off at the edges of the image, and -1 as the label of those that lie outside.

    Args:
        boxes: Corners ``(..., 4)``.
        labels: ``(...)``, ``(..., classes)`` or ``None``.
        height: The height of the image, or ``(batch,)``.
        width: Its width, or ``(batch,)``.

    >>> clip(jnp.array([[0, 0, 20, 20], [12, 0, 20, 20]]), jnp.array([1, 2]), 10, 10)[1].tolist()
    [1, -1]
    """
    boxes = geometry.clip_to_size(boxes, height, width)
    if labels is None:
        return boxes, None
    inside = geometry.area(boxes) > 0
    classes = (1,) * (labels.ndim - inside.ndim)
    return boxes, jnp.where(inside.reshape(*inside.shape, *classes), labels, NO_LABEL)


def _parts(bounding_boxes: Any) -> tuple[Any, Any]:
    if not isinstance(bounding_boxes, Mapping) or not {"boxes", "labels"} <= set(bounding_boxes):
        given = sorted(map(str, bounding_boxes)) if isinstance(bounding_boxes, Mapping) else bounding_boxes
        raise InvalidArgument(f"Bounding boxes are a dict with keys 'boxes' and 'labels'. Received: {given}")
    boxes, labels = bounding_boxes["boxes"], bounding_boxes["labels"]
    if isinstance(boxes, (list, tuple)):
        if not isinstance(labels, (list, tuple)):
            raise InvalidArgument(
                f"If 'boxes' is a list, 'labels' must be a list too. Received: {type(labels).__name__}"
            )
        if len(boxes) != len(labels):
            raise ShapeMismatch(
                "The lists 'boxes' and 'labels' must have the same length. "
                f"Received: {len(boxes)} and {len(labels)}"
            )
    return boxes, labels


def _rectangular(boxes: Sequence[Any], labels: Sequence[Any], fill: Any, label_fill: Any) -> tuple[Any, Any]:
    """Return lists as arrays: of boxes ``(boxes, 4)``, or of images ``(batch, boxes, 4)``."""
    boxes, labels = [_array(each) for each in boxes], [_array(each) for each in labels]
    for each in labels:
        if each.size and not jnp.issubdtype(each.dtype, jnp.integer):
            raise InvalidArgument(f"Labels in lists must be integers. Received labels of type {each.dtype}.")
    # An image without boxes is an empty list, which does not say how many numbers a box has.
    if not boxes or all(each.shape == (4,) for each in boxes):
        return _stacked(boxes, (4,)), _stacked(labels, labels[0].shape if labels else ()).astype("int32")
    boxes = [each.reshape(0, 4) if each.size == 0 else each for each in boxes]
    item = next((each.shape[1:] for each in labels if each.size), ())
    labels = [each.reshape(0, *item) if each.size == 0 else each for each in labels]
    for box, label in zip(boxes, labels, strict=True):
        _check_shapes(box.shape, label.shape, images=False)
    most = max(map(len, boxes))
    boxes = [_resized(each, 0, most, fill) for each in boxes]
    labels = [_resized(each, 0, most, label_fill) for each in labels]
    return _stacked(boxes, (most, 4)), _stacked(labels, (most, *item)).astype("int32")


def _array(value: Any) -> Any:
    return value if isinstance(value, jax.Array) else np.asarray(value)


def _stacked(arrays: Sequence[Any], shape: tuple[int, ...]) -> Any:
    if any(each.shape != shape for each in arrays):
        raise ShapeMismatch(f"Labels of different shapes: {sorted({each.shape for each in arrays})}.")
    xp = jnp if any(isinstance(each, jax.Array) for each in arrays) else np
    return xp.stack(arrays) if arrays else np.zeros((0, *shape))


def _resized(x: Any, axis: int, size: int, fill: Any) -> Any:
    """Return ``x`` with ``size`` elements along ``axis``: cut off, or filled up at the end."""
    xp = jnp if isinstance(x, jax.Array) else np
    kept = x[(slice(None),) * axis + (slice(size),)]
    missing = size - kept.shape[axis]
    widths = [(0, missing if each == axis else 0) for each in range(x.ndim)]
    return xp.pad(kept, widths, constant_values=fill)


def _check_shapes(boxes: tuple[int, ...], labels: tuple[int, ...], images: bool = True) -> None:
    if len(boxes) not in ((2, 3) if images else (2,)) or boxes[-1] != 4:
        wanted = "(boxes, 4) or (batch, boxes, 4)" if images else "(boxes, 4) for each image"
        raise ShapeMismatch(f"'boxes' must have the shape {wanted}. Received: {boxes}")
    rank = len(boxes)
    if len(labels) not in (rank - 1, rank) or labels[: rank - 1] != boxes[:-1]:
        raise ShapeMismatch(
            f"'labels' must have one label for each box, the shape {boxes[:-1]} or {(*boxes[:-1], 'classes')}. "
            f"Received: {labels}"
        )
