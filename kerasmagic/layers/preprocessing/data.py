"""What ``adapt`` reads: one array, or arrays that come in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kerasmagic.foundation.errors import UnexpectedArgument


def is_array(data: Any) -> bool:
    """Whether ``data`` is one array, of any library, and not batches of them.

    >>> import numpy as np
    >>> is_array(np.zeros(3)), is_array([np.zeros(3)])
    (True, False)
    """
    return hasattr(data, "shape") and hasattr(data, "dtype")


def batches_of(data: Any) -> Iterator[Any]:
    """Yield the batches of an iterable, or of a ``PyDataset`` that knows them by number.

    Of a batch that is a tuple of arrays, as ``(x, y)``, it is the first one.

    Raises:
        UnexpectedArgument: If ``data`` has no batches.

    >>> list(batches_of([[1, 2], [3]]))
    [[1, 2], [3]]
    """
    if not hasattr(data, "__iter__") and hasattr(data, "num_batches"):
        data = (data[number] for number in range(data.num_batches))
    if isinstance(data, (str, bytes, dict)) or not hasattr(data, "__iter__"):
        raise UnexpectedArgument(
            f"`adapt` takes an array or batches of arrays: a list, a generator or a dataset. Received: {type(data)}"
        )
    for batch in data:
        yield batch[0] if isinstance(batch, tuple) and batch and is_array(batch[0]) else batch
