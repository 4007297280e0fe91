"""Setting a part of the data aside for validation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from kerasmagic.core import tree
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.training.data.arrays import as_array, is_array_data, unlist


def train_validation_split(arrays: tuple[Any, ...], validation_split: float) -> tuple[Any, Any]:
    """Split structures of arrays ``(samples, ...)`` into a first and a last part.

    Args:
        arrays: Structures of arrays; ``None`` stays ``None``.
        validation_split: The share of the last part, between 0 and 1.

    Raises:
        InvalidArgument: If a part would be empty or the data are no arrays.

    >>> train, validation = train_validation_split(([1, 2, 3, 4],), 0.25)
    >>> train[0].tolist(), validation[0].tolist()
    ([1, 2, 3], [4])
    """
    if not 0 < validation_split < 1:
        raise InvalidArgument(
            f"`validation_split` must be between 0 and 1. Received: validation_split={validation_split}"
        )
    if isinstance(arrays[0], Iterator) or not is_array_data(arrays[0]):
        raise InvalidArgument(
            f"`validation_split` takes the last samples of arrays, and `x` is a {type(arrays[0]).__name__}. "
            "Pass `validation_data`."
        )
    arrays = tuple(tree.map_structure(as_array, unlist(part)) for part in arrays)
    samples = next(leaf.shape[0] for leaf in tree.flatten(list(arrays)) if leaf is not None)
    kept = math.floor(samples * (1.0 - validation_split))
    if kept == 0 or kept == samples:
        raise InvalidArgument(
            f"Training data contains {samples} samples, which is not sufficient to split it into a validation "
            f"and training set as specified by `validation_split={validation_split}`."
        )

    def part(rows: slice) -> Any:
        return tree.map_structure(lambda leaf: None if leaf is None else leaf[rows], arrays)

    return part(slice(None, kept)), part(slice(kept, None))
