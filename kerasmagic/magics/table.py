"""A model as the table that a ``%%model`` cell shows."""

from __future__ import annotations

from typing import Any

from kerasmagic.widgets.options import deterministic
from kerasmagic.widgets.shape_table import ShapeTable, Totals, bits
from kerasmagic.widgets.sink import in_kernel


def table_of(model: Any) -> Any:
    """Return what to display for a model: live where there are widgets, else the plain table."""
    table = ShapeTable(rows=model.rows(), title=model.name, totals=_totals(model))
    if not in_kernel() or deterministic():
        return table
    # anywidget takes a quarter of a second to import and is wanted only here.
    from kerasmagic.widgets.shape_table_widget import ShapeTableWidget

    return ShapeTableWidget(table)


def _totals(model: Any) -> Totals:
    trainable = {id(v) for v in model.trainable_weights}
    weights = model.weights
    return Totals(
        trainable=sum(v.size for v in weights if id(v) in trainable),
        non_trainable=sum(v.size for v in weights if id(v) not in trainable),
        size=sum(v.size * bits(v.dtype) for v in weights) // 8,
    )
