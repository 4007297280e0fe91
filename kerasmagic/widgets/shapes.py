"""Shapes of layers as views read them: tuples with open dimensions, and structures of several."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from kerasmagic.foundation.amount import Amount, symbols

BATCH = "batch"
DEFAULT_BATCH = 32
DEFAULT_SIZE = 16


class ShapeRow(Protocol):
    """One layer, as the table needs it.

    ``output_shape`` is a tuple of sizes, where an open dimension is a name such as ``"batch"`` or an
    expression such as ``"5*t"``; tuples, lists or dicts of those stand for several outputs, any text for a
    shape that is not known. ``parameters`` includes those of the rows nested below (a larger ``depth``).

    A row may have two more attributes: ``multiply_adds``, an ``Amount`` or ``None``, and ``connected_to``, the
    names of the rows whose outputs flow in.
    """

    @property
    def line(self) -> int | None: ...
    @property
    def depth(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def output_shape(self) -> Any: ...
    @property
    def dtype(self) -> str: ...
    @property
    def parameters(self) -> int: ...
    @property
    def trainable(self) -> bool: ...
    @property
    def status(self) -> str | None: ...


def shape_text(shape: Any) -> str:
    """Return a shape, or a structure of shapes, as text.

    Example:

    >>> shape_text(("batch", 28, 28)), shape_text((4,)), shape_text({"a": (2, 3), "b": ("t",)})
    ('(batch, 28, 28)', '(4,)', 'a: (2, 3)  b: (t,)')
    """
    if isinstance(shape, Mapping):
        return "  ".join(f"{key}: {shape_text(value)}" for key, value in shape.items())
    if not is_shape(shape):
        return str(shape) if isinstance(shape, str) or shape is None else "  ".join(map(shape_text, shape))
    sizes = ", ".join("?" if size is None else str(size) for size in shape)
    return f"({sizes},)" if len(shape) == 1 else f"({sizes})"


def is_shape(value: Any) -> bool:
    """Return whether ``value`` is one shape and not a structure of several."""
    return isinstance(value, tuple | list) and all(
        isinstance(size, int | str) or size is None for size in value
    )


def shapes(structure: Any) -> Iterator[tuple[int | str | None, ...]]:
    """Yield every shape of a structure.

    Example:

    >>> list(shapes({"a": (2, 3), "b": [("t",), (4,)]}))
    [(2, 3), ('t',), (4,)]
    """
    if isinstance(structure, Mapping):
        for value in structure.values():
            yield from shapes(value)
    elif is_shape(structure):
        yield tuple(structure)
    elif isinstance(structure, tuple | list):
        for value in structure:
            yield from shapes(value)


def bits(dtype: str) -> int:
    """Return how many bits a value of ``dtype`` takes, read from the name.

    Example:

    >>> bits("bfloat16"), bits("int4"), bits("bool"), bits("complex64"), bits("float8_e4m3fn")
    (16, 4, 8, 64, 8)
    """
    digits = re.search(r"\d+", dtype)
    return 8 if dtype == "bool" else int(digits.group()) if digits else 32


def open_dimensions(rows: Sequence[ShapeRow]) -> list[str]:
    """Return the names in the rows' shapes, the batch first.

    Example:

    >>> from types import SimpleNamespace
    >>> open_dimensions([SimpleNamespace(output_shape=("batch", "5*t + 1", 10))])
    ['batch', 't']
    """
    names: dict[str, None] = {}
    for row in rows:
        for shape in shapes(row.output_shape):
            for size in shape:
                if isinstance(size, str):
                    names.update(dict.fromkeys(symbols(size)))
    return sorted(names, key=lambda name: name != BATCH)


def default_sizes(rows: Sequence[ShapeRow], batch: int = DEFAULT_BATCH) -> dict[str, int]:
    """Return the sizes of the open dimensions that a table begins with, those of the costs included.

    Example:

    >>> from types import SimpleNamespace
    >>> default_sizes([SimpleNamespace(output_shape=("batch", "5*t + 1", 10))])
    {'batch': 32, 't': 16}
    """
    costs = [getattr(row, "multiply_adds", None) for row in rows]
    names = dict.fromkeys(open_dimensions(rows))
    names.update(dict.fromkeys(n for cost in costs if isinstance(cost, Amount) for n in cost.names()))
    return {name: batch if name == BATCH else DEFAULT_SIZE for name in names}


def sources(row: ShapeRow) -> tuple[str, ...]:
    """Return the names of the rows whose outputs flow into a row, as far as they are known."""
    return tuple(getattr(row, "connected_to", ()))
