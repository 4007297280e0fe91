"""The script that makes a shape table live, in the same output as the table.

The arithmetic happens in the browser, so the table answers while the kernel is busy and after it is gone.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from kerasmagic.widgets.assets import static
from kerasmagic.widgets.shapes import DEFAULT_BATCH as DEFAULT_BATCH
from kerasmagic.widgets.shapes import ShapeRow, bits, default_sizes, is_shape
from kerasmagic.widgets.step_memory import StepMemory

SCRIPTS = tuple(f"shape_table/{name}.js" for name in ("amounts", "details", "graph", "table"))


def describe(rows: Sequence[ShapeRow], memory: StepMemory | None = None, batch: int = DEFAULT_BATCH) -> str:
    """Return what the script has to know of the rows, as JSON that may stand inside a ``<script>``.

    Example:

    >>> from types import SimpleNamespace
    >>> describe([SimpleNamespace(depth=0, output_shape=("batch", "<b>"), dtype="float16")])
    '{"sizes":{"batch":32,"b":16},"rows":[{"shape":{"shape":["batch","\\\\u003cb>"]},"bits":16,"leaf":true,\
"depth":0,"cost":null}]}'
    """
    described = [
        {
            "shape": _plain(row.output_shape),
            "bits": bits(row.dtype),
            # A block's output is its last layer's: counting both would count it twice.
            "leaf": following is None or following.depth <= row.depth,
            "depth": row.depth,
            "cost": _cost(row),
        }
        for row, following in itertools.zip_longest(rows, rows[1:])
    ]
    data: dict[str, Any] = {"sizes": default_sizes(rows, batch), "rows": described}
    if memory is not None:
        data["memory"] = {
            "fixed": memory.parameters + memory.gradients + memory.slots,
            "parts": memory.fixed_parts(),
            "kept": memory.kept.text(),
            "largest": [amount.text() for amount in memory.largest],
            "limit": memory.limit,
        }
    text = json.dumps(data, separators=(",", ":"))
    # Nothing in the data may look like the end of the script or like a comment.
    return text.replace("<", "\\u003c")


def element(key: str, data: str) -> str:
    """Return the ``<script>`` for the tables whose ``data-table`` is ``key``.

    Args:
        key: Letters and digits.
        data: What ``describe`` returned.
    """
    source = static(*SCRIPTS).strip()
    return f'<script>(() => {{\n"use strict";\n{source}\nenliven("{key}", {data});\n}})();</script>'


def _cost(row: ShapeRow) -> int | str | None:
    cost = getattr(row, "multiply_adds", None)
    return None if cost is None else cost.text() if cost.names() else cost.at({})


def _plain(structure: Any) -> Any:
    # Tells JavaScript a shape from a list of shapes, which look alike in JSON when empty.
    if isinstance(structure, Mapping):
        return {"named": [[str(key), _plain(value)] for key, value in structure.items()]}
    if is_shape(structure):
        return {"shape": list(structure)}
    if isinstance(structure, tuple | list):
        return {"named": [["", _plain(value)] for value in structure]}
    return {"text": str(structure)}
