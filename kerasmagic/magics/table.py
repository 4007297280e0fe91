"""A model as the table that a ``%%model`` cell shows."""

from __future__ import annotations

from typing import Any

from kerasmagic.widgets.shape_table import ShapeTable, Totals
from kerasmagic.widgets.shapes import bits


def table_of(model: Any) -> ShapeTable:
    """Return what to display for a model."""
    return ShapeTable(rows=model.rows(), title=model.name, totals=_totals(model))


def _totals(model: Any) -> Totals:
    trainable = {id(v) for v in model.trainable_weights}
    weights = model.weights
    return Totals(
        trainable=sum(v.size for v in weights if id(v) in trainable),
        non_trainable=sum(v.size for v in weights if id(v) not in trainable),
        size=sum(v.size * bits(v.dtype) for v in weights) // 8,
    )
