"""The values of a run by epoch, as a real table: it is read aloud, copied, and kept where pictures are not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from kerasmagic.widgets import units
from kerasmagic.widgets.chart import metric_names, words
from kerasmagic.widgets.curve import Curve
from kerasmagic.widgets.reducer import RunState

MAX_ROWS = 12

Row = tuple[int, Sequence[float | None]]


def epoch_rows(state: RunState, limit: int = MAX_ROWS) -> tuple[list[str], list[Row]]:
    """Return the names of the columns, and for some epochs their number (from 1) and values.

    Args:
        limit: How many epochs: they are spread evenly, the first, the best and the last always among them.
    """
    columns: dict[str, Mapping[float, float]] = {}
    for name in metric_names(state):
        for prefix, curves in (("", state.train_epochs), ("val_", state.validation)):
            if name in curves:
                columns[prefix + name] = _by_place(curves[name])
    places = sorted({x for column in columns.values() for x in column})
    if len(places) > limit:
        kept = {round(index * (len(places) - 1) / (limit - 1)) for index in range(limit)}
        best = {state.best.x} if state.best is not None else set()
        places = [x for index, x in enumerate(places) if index in kept or x in best]
    rows: list[Row] = [(_epoch(state, x), [column.get(x) for column in columns.values()]) for x in places]
    return list(columns), rows


def epoch_table(state: RunState) -> str:
    """Return the table in HTML, folded away; nothing where no epoch has ended."""
    names, rows = epoch_rows(state)
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(words(name))}</th>' for name in ("epoch", *names))
    best = None if state.best is None else state.best.epoch + 1
    body = "".join(
        f'<tr{" class=km-best" if number == best else ""}><th scope="row">{units.count(number)}</th>'
        + "".join(f"<td>{units.number(value)}</td>" for value in values)
        + "</tr>"
        for number, values in rows
    )
    return (
        '<details class="km-values"><summary>values by epoch</summary>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></details>"
    )


def _by_place(curve: Curve) -> dict[float, float]:
    return dict(zip(*(points.tolist() for points in curve.points()), strict=True))


def _epoch(state: RunState, x: float) -> int:
    first = state.plan.initial_epoch if state.plan is not None else 0
    return first + math.ceil(x / (state.steps or 1) - 1e-9)
