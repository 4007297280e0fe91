"""What can be seen to go wrong before the first step: missing numbers, labels that no output stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kerasmagic.core import tree
from kerasmagic.foundation.errors import InvalidArgument


def first_missing(structure: Any) -> tuple[int, int] | None:
    """Return the first sample that holds NaN and how many do, or ``None``.

    Args:
        structure: Arrays ``(samples, ...)`` in any structure.

    >>> first_missing([np.ones((3, 2)), np.array([1.0, np.nan, np.nan])])
    (1, 2)
    """
    for leaf in tree.flatten(structure):
        array = leaf if isinstance(leaf, np.ndarray) else None
        # The greatest is NaN if anything is; most data are done with after this.
        if (
            array is None
            or array.dtype.kind != "f"
            or array.ndim == 0
            or not np.isnan(np.max(array, initial=-np.inf))
        ):
            continue
        missing = np.isnan(array).reshape(len(array), -1).any(1)
        if missing.any():
            return int(missing.argmax()), int(missing.sum())
    return None


def refuse_missing(data: tuple[Any, ...], loss_of: Callable[[int], float]) -> None:
    """Raise if NaN in the data makes the loss NaN: a step on it would destroy the weights.

    Args:
        data: ``(x, y, sample_weight)``, or fewer, of arrays.
        loss_of: Returns the loss of a batch that begins with a given sample.

    Raises:
        InvalidArgument: If that is so.
    """
    for name, part in zip(("x", "y", "sample_weight"), data, strict=False):
        found = None if part is None else first_missing(part)
        if found is not None and np.isnan(loss_of(found[0])):
            first, count = found
            raise InvalidArgument(
                f"`{name}` holds NaN in {count} of its samples, the first is sample {first}, and the loss is NaN "
                "with it: a step would destroy the weights. Leave these samples out, or fill in numbers "
                f"(`np.nan_to_num({name})`)."
            )


def refuse_labels(y: Any, classes: int, ignored: int | None, owner: str) -> None:
    """Raise if class numbers have no output that stands for them.

    Args:
        y: Class numbers, of any shape.
        classes: How many outputs there are.
        ignored: The class number that the loss leaves out, if any.
        owner: Whose labels they are, for the message.

    Raises:
        InvalidArgument: If that is so.

    >>> refuse_labels(np.array([0, 3]), 3, None, "the output")
    Traceback (most recent call last):
    kerasmagic.foundation.errors.InvalidArgument: The labels go from 0 to 3, but the output has 3 values, ...
    """
    if not isinstance(y, np.ndarray) or y.dtype.kind not in "iuf" or y.size == 0:
        return
    kept = y if ignored is None else y[y != ignored]
    low, high = (kept.min(), kept.max()) if kept.size else (0, 0)
    if low < 0 or high >= classes:
        raise InvalidArgument(
            f"The labels go from {low:g} to {high:g}, but {owner} has {classes} values, for the labels 0 to "
            f"{classes - 1}. Give the last layer {int(high) + 1} units, or count the labels from 0."
            if low >= 0
            else f"The labels go from {low:g} to {high:g}, but labels of classes are counted from 0."
        )
