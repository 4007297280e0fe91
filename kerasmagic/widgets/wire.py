"""Charts as they travel to a page: a description in JSON beside one block of numbers."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasmagic.widgets.assets import static
from kerasmagic.widgets.chart import Chart

# Headers and signature of a message.
ENVELOPE = 700
# What most parts are: to ask of each whether it is a dataclass takes longer than all the rest.
_SCALARS = frozenset({str, int, float, bool, type(None)})
_SCRIPTS = tuple(f"training/{name}.js" for name in ("page", "charts", "reading", "saved"))


def plain(value: Any) -> Any:
    """Return dataclasses as dicts and tuples as lists, as JSON has them; nothing else is copied.

    Many times as fast as ``dataclasses.asdict``, which copies every text.

    >>> @dataclasses.dataclass
    ... class Point:
    ...     name: str
    ...     place: tuple[int, ...]
    >>> plain(Point("a", (1, 2)))
    {'name': 'a', 'place': [1, 2]}
    """
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind in (tuple, list):
        return [plain(part) for part in value]
    return (
        {name: plain(part) for name, part in vars(value).items()} if dataclasses.is_dataclass(kind) else value
    )


def pack_charts(shown: Sequence[Chart]) -> tuple[list[dict[str, Any]], bytes]:
    """Return a description of each chart, and all points as float32: for each series ``x`` then ``y``.

    ``offset`` and ``count`` of a series are in numbers, not bytes.
    """
    index: list[dict[str, Any]] = []
    arrays: list[np.ndarray] = []
    offset = 0
    for chart in shown:
        series = []
        for line in chart.series:
            series.append({"kind": line.kind, "offset": offset, "count": len(line.x)})
            arrays += [line.x, line.y]
            offset += 2 * len(line.x)
        index.append(
            {
                "name": chart.name,
                "series": series,
                "x": plain(chart.x),
                "y": plain(chart.y),
                "log": None if chart.log is None else plain(chart.log),
                "best": chart.best,
                "summary": chart.summary,
            }
        )
    return index, float32(arrays)


def float32(arrays: Sequence[np.ndarray]) -> bytes:
    """Return the arrays, one after the other, as float32 in the byte order of pages."""
    # What is too large for the type is infinite, and a curve breaks there.
    with np.errstate(over="ignore"):
        return np.concatenate(arrays).astype("<f4").tobytes() if arrays else b""


def as_text(value: Any, _widget: Any = None) -> str:
    """Return a trait as the text of its JSON, which the page reads.

    What keeps a widget's state and its page alike looks at every part of it several times; a text has no parts.
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def message_size(message: Any, buffers: Any = None) -> int:
    """Return about how many bytes a message to a page takes, its envelope included."""
    state = message.get("state") or {}
    texts = sum(len(value) for value in state.values() if isinstance(value, str))
    return ENVELOPE + texts + sum(memoryview(part).nbytes for part in buffers or ())


def script(shown: Sequence[Chart]) -> tuple[str, str]:
    """Return a key, and a ``<script>`` that makes saved charts live in the elements of that ``data-charts``.

    Equal charts have equal keys: the script of either then makes both live, and only once.
    """
    index, numbers = pack_charts(shown)
    # Nothing in the data may look like the end of the script or like a comment.
    data = as_text(index).replace("<", "\\u003c")
    key = hashlib.sha256(data.encode() + numbers).hexdigest()[:12]
    call = f'enliven("{key}", {data}, "{base64.b64encode(numbers).decode()}");'
    return key, f'<script>(() => {{\n"use strict";\n{_source()}\n{call}\n}})();</script>'


def _source() -> str:
    lines = (line.strip() for line in static(*_SCRIPTS).splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))
