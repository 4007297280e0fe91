"""Batches in the form that ``fit`` takes, and sequences of one length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasmagic.core import tree
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.training.data.source import step_parts


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Return ``(x, y, sample_weight)`` of a batch; what is missing is ``None``.

    Raises:
        InvalidArgument: If the batch is a tuple of more parts.

    >>> unpack_x_y_sample_weight((1, 2))
    (1, 2, None)
    """
    return step_parts(data)


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Return a batch for ``fit``: ``x`` alone, ``(x, y)`` or ``(x, y, sample_weight)``.

    >>> pack_x_y_sample_weight("x"), pack_x_y_sample_weight("x", "y")
    ('x', ('x', 'y'))
    """
    if y is None:
        return (x,) if isinstance(x, (list, tuple)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Return sequences of different lengths as one array.

    Args:
        sequences: Lists or arrays ``(length, ...)``.
        maxlen: The length of all of them; that of the longest when ``None``.
        dtype: The type of the array.
        padding: Whether ``"pre"`` or ``"post"`` is filled up.
        truncating: Whether ``"pre"`` or ``"post"`` is cut off.
        value: What stands where nothing was.

    Returns:
        An array ``(sequences, maxlen, ...)``.

    Raises:
        InvalidArgument: If a sequence has no length, two differ in the shape of their items, or an option
            is unknown.

    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2).tolist()
    [[0, 1], [2, 3], [5, 6]]
    """
    for name, given in (("padding", padding), ("truncating", truncating)):
        if given not in ("pre", "post"):
            raise InvalidArgument(f"`{name}` must be 'pre' or 'post'. Received: {name}={given!r}")
    if not all(hasattr(sequence, "__len__") for sequence in sequences):
        raise InvalidArgument("`sequences` must be a list of sequences.")
    length = max(map(len, sequences), default=0) if maxlen is None else maxlen
    item = next((np.shape(s)[1:] for s in sequences if len(s)), ())
    result = np.full((len(sequences), length, *item), value, dtype=dtype)
    for row, sequence in zip(result, sequences, strict=True):
        if not len(sequence) or not length:
            continue
        kept = np.asarray(sequence[-length:] if truncating == "pre" else sequence[:length], dtype=dtype)
        if kept.shape[1:] != item:
            raise InvalidArgument(f"Items of shape {kept.shape[1:]} come after items of shape {item}.")
        place = slice(length - len(kept), None) if padding == "pre" else slice(None, len(kept))
        row[place] = kept
    return result


def get_source_inputs(tensor: Any) -> list[Any]:
    """Return the symbolic inputs that ``tensor`` was made from, each once.

    >>> import kerasmagic as keras
    >>> x = keras.Input((3,))
    >>> get_source_inputs(keras.layers.Dense(2)(2 * x))[0] is x
    True
    """
    found: dict[int, Any] = {}
    waiting = tree.flatten(tensor)
    seen: set[int] = set()
    while waiting:
        x = waiting.pop()
        history = getattr(x, "_keras_history", None)
        if id(x) in seen or history is None:
            continue
        seen.add(id(x))
        node = history.operation._inbound_nodes[history.node_index]
        if node.is_input:
            found[id(x)] = x
        waiting.extend(node.input_tensors)
    return list(found.values())
