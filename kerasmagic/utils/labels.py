"""Arrays of labels and features."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasmagic.foundation.errors import InvalidArgument


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Return class numbers as one-hot vectors.

    Args:
        x: Integers ``(...)`` from 0 on; a last axis of size 1 is dropped.
        num_classes: The number of classes; one more than the largest when ``None``.

    Returns:
        Floats ``(..., num_classes)``.

    Raises:
        InvalidArgument: If a number is outside ``0 ... num_classes - 1``.

    >>> to_categorical([0, 2]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    labels = np.asarray(x, dtype="int64")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    size = int(labels.max(initial=-1)) + 1 if num_classes is None else num_classes
    if labels.size and not 0 <= labels.min() <= labels.max() < size:
        raise InvalidArgument(
            f"Class numbers must lie between 0 and {size - 1}. Received: {labels.min()} ... {labels.max()}"
        )
    return np.eye(size)[labels]


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray:
    """Return ``x`` ``(...)`` divided by its norm along ``axis``.

    >>> normalize([[3.0, 4.0]]).tolist()
    [[0.6, 0.8]]
    """
    x = np.asarray(x)
    if not np.issubdtype(x.dtype, np.number):
        raise InvalidArgument(f"`normalize` needs numbers. Received an array of type {x.dtype}.")
    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    norm[norm == 0] = 1
    return x / np.expand_dims(norm, axis)
