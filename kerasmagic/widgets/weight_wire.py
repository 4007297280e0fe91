"""Histograms as they travel to a page: a description in JSON beside one block of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasmagic.widgets import units
from kerasmagic.widgets.readout import short_name
from kerasmagic.widgets.reducer import RunState, bins
from kerasmagic.widgets.weights import Cell, Rows, caption, cells, heat
from kerasmagic.widgets.wire import float32


def pack_weights(state: RunState) -> tuple[dict[str, Any], list[dict[str, Any]], bytes]:
    """Return what is chosen with the line above it, a description of each histogram, and all numbers.

    The numbers are float32 counts, or where a history is shown its shades, a byte each, row by row: ``offset``
    and ``count`` or ``rows`` and ``columns`` say where.
    """
    weights = state.weights
    choice = weights.choice
    rows = weights.rows.get(choice.kind, Rows())
    shown, fitting = cells(weights, state.histograms)
    known = len(rows.names) if choice.kind != "weights" else len(state.histograms)
    over_time = choice.over_time and rows.newest is not None
    kept = rows.kept()
    view = {
        "kind": choice.kind,
        "over_time": choice.over_time,
        "words": choice.words,
        "caption": caption(weights, len(shown), fitting, known, [row.step for row in kept]),
        "first": units.count(kept[0].step) if kept else "",
        "last": units.count(kept[-1].step) if kept else "",
        "empty": "no name holds these words" if known and not fitting else "",
    }
    index, numbers = _strips(shown, rows) if over_time else _counts(shown)
    return view, index, numbers


def _counts(shown: list[Cell]) -> tuple[list[dict[str, Any]], bytes]:
    index: list[dict[str, Any]] = []
    arrays: list[np.ndarray] = []
    offset = 0
    for cell in shown:
        counts = bins(cell.histogram)
        index.append({**_described(cell), "offset": offset, "count": len(counts)})
        arrays.append(counts)
        offset += len(counts)
    return index, float32(arrays)


def _strips(shown: list[Cell], rows: Rows) -> tuple[list[dict[str, Any]], bytes]:
    index: list[dict[str, Any]] = []
    parts: list[bytes] = []
    offset = 0
    for cell in shown:
        shades, low, high = heat(rows, cell.place)
        size = {"offset": offset, "rows": shades.shape[0], "columns": shades.shape[1]}
        ends = {"low": units.short_number(low), "high": units.short_number(high)}
        index.append({**_described(cell), **ends, **size})
        parts.append(shades.tobytes())
        offset += shades.size
    return index, b"".join(parts)


def _described(cell: Cell) -> dict[str, Any]:
    owner, label = short_name(cell.name)
    return {
        "name": cell.name,
        "owner": owner,
        "label": label,
        "low": units.short_number(cell.histogram.low),
        "high": units.short_number(cell.histogram.high),
        "note": cell.note,
        "summary": cell.summary,
    }
