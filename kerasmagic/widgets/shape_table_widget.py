"""The shape table with a field for each open dimension: shapes and memory follow as one types.

The arithmetic happens in the browser, so the table answers while the kernel is busy.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import anywidget
import traitlets

from kerasmagic.widgets.shape_table import ShapeRow, ShapeTable, bits, is_shape, shapes

BATCH = "batch"
DEFAULT_BATCH = 32
DEFAULT_SIZE = 16
FUNCTIONS = frozenset({"floordiv", "mod", "max", "min"})

_STATIC = pathlib.Path(__file__).parent / "static"


class ShapeTableWidget(anywidget.AnyWidget):
    """A live ``ShapeTable``.

    Args:
        table: The table; its HTML and text are in the same output, for front ends without widgets.
        sizes: Sizes to begin with, by the name of an open dimension; the batch size is 32 by default.

    ``sizes`` follows what the reader types.

    Example:

    >>> from types import SimpleNamespace
    >>> row = SimpleNamespace(line=1, depth=0, name="dense", kind="Dense", output_shape=("batch", 10),
    ...                       dtype="float32", parameters=650, trainable=True, status=None)
    >>> ShapeTableWidget(ShapeTable([row]), {"batch": 64}).sizes
    {'batch': 64}
    """

    _esm = _STATIC / "shape_table.js"
    _css = _STATIC / "shape_table.css"

    table = traitlets.Dict().tag(sync=True)
    sizes = traitlets.Dict().tag(sync=True)

    def __init__(self, table: ShapeTable, sizes: Mapping[str, int] | None = None, **kwargs: Any):
        chosen = {
            name: DEFAULT_BATCH if name == BATCH else DEFAULT_SIZE for name in open_dimensions(table.rows)
        }
        super().__init__(table=_describe(table), sizes={**chosen, **(sizes or {})}, **kwargs)
        self._static = table

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        shown = super()._repr_mimebundle_(**kwargs)
        data, metadata = shown if isinstance(shown, tuple) else (shown or {}, {})
        return {**data, **self._static._repr_mimebundle_()}, metadata


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
                    names.update(dict.fromkeys(re.findall(r"[^\W\d]\w*", size)))
    found = [name for name in names if name not in FUNCTIONS]
    return sorted(found, key=lambda name: name != BATCH)


def _describe(table: ShapeTable) -> dict[str, Any]:
    totals = table.counted()
    return {
        "title": table.title,
        "rows": [
            _describe_row(row, rest) for row, rest in zip(table.rows, [*table.rows[1:], None], strict=True)
        ],
        "trainable": totals.trainable,
        "non_trainable": totals.non_trainable,
        "size": totals.size,
    }


def _describe_row(row: ShapeRow, following: ShapeRow | None) -> dict[str, Any]:
    return {
        "line": row.line,
        "depth": row.depth,
        "name": row.name,
        "kind": row.kind,
        "shape": _plain(row.output_shape),
        "dtype": row.dtype,
        "bits": bits(row.dtype),
        "parameters": row.parameters,
        "trainable": row.trainable,
        "status": row.status,
        # A block's output is its last layer's: counting both would count it twice.
        "leaf": following is None or following.depth <= row.depth,
    }


def _plain(structure: Any) -> Any:
    # Tells JavaScript a shape from a list of shapes, which look alike in JSON when empty.
    if isinstance(structure, Mapping):
        return {"named": [[str(key), _plain(value)] for key, value in structure.items()]}
    if is_shape(structure):
        return {"shape": list(structure)}
    if isinstance(structure, tuple | list):
        return {"named": [["", _plain(value)] for value in structure]}
    return {"text": str(structure)}
