"""What the rows of a model's table show when they are opened: the kernel has the weights, the page asks for them."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kerasmagic.foundation import options
from kerasmagic.widgets import layer_look, units
from kerasmagic.widgets.shape_table import ShapeTable
from kerasmagic.widgets.sink import NotebookSink, has_widgets, in_kernel
from kerasmagic.widgets.variable_view import look_at

if TYPE_CHECKING:
    from kerasmagic.widgets.layer_link import LayerLink

# The models of each table, by their number among equal ones.
_MODELS: dict[str, list[weakref.ref[Any]]] = {}
_LINK: list[LayerLink] = []


def linked(model: Any, table: ShapeTable) -> ShapeTable:
    """Return the table with a key of its own, where another model that is still there has an equal one."""
    if not in_kernel() or options.deterministic():
        return table
    known = _MODELS.setdefault(table.key, [])
    for copy, one in enumerate(known):
        if one() is model or one() is None:
            known[copy] = weakref.ref(model)
            return dataclasses.replace(table, copy=copy)
    known.append(weakref.ref(model))
    return dataclasses.replace(table, copy=len(known) - 1)


def answer_for(model: Any, table: ShapeTable) -> None:
    """Answer what the page asks about the rows of a table, where there is a page to ask."""
    if not in_kernel() or options.deterministic() or not has_widgets():
        return
    if not _LINK or _LINK[0].comm is None:
        from kerasmagic.widgets.layer_link import LayerLink

        _LINK[:] = [LayerLink()]
    parts = [tuple(map(weakref.ref, getattr(row, "parts", ()))) for row in table.rows]
    owner = weakref.ref(model)

    def look(row: int, first: bool) -> tuple[str, bool]:
        model = owner()
        if model is None or not 0 <= row < len(parts):
            return layer_look.html([], 0), False
        return look_into(model, [part for one in parts[row] if (part := one()) is not None], follow=first)

    _LINK[0].offer(table.key, model, look)


def look_into(model: Any, parts: Sequence[Any], *, follow: bool = False) -> tuple[str, bool]:
    """Return the histograms of some layers of a model as HTML, and whether a run goes on changing them.

    While a run is on they are what that saw last.

    Args:
        model: The model.
        parts: Layers of it.
        follow: Whether the view of a run that is on is to show the histograms of the same layer.
    """
    variables = list({id(v): v for part in parts for v in getattr(part, "weights", ())}.values())
    sink = NotebookSink.of(model.name)
    if sink is None:
        seen = [(look_at(variable), None) for variable in variables[: layer_look.MAX_SHOWN]]
        return layer_look.html(seen, len(variables)), False
    state = sink.state
    names = {part.name for part in parts}
    if follow and len(parts) == 1 and variables:
        sink.follow(f"{parts[0].name}/")
    running = [(look_at(v), state.histograms.get(v.path)) for v in variables[: layer_look.MAX_SHOWN]]
    outputs = [(name, layer) for name, layer in state.weights.layers.items() if name in names]
    note = f"after step {units.count(state.position)}"
    return layer_look.html(running, len(variables), outputs, note), True
