"""What a notebook shows of an object at the end of a cell: HTML that needs nothing, a picture where it helps, text.

No bundle names a widget: a front end that finds its name in a saved notebook says "model not found" in place of
everything beside it. What can be pointed at is live by a script of its own.
"""

from __future__ import annotations

import sys
from html import escape
from typing import Any

from kerasmagic.foundation import options
from kerasmagic.widgets import layer_view, static_run, variable_view
from kerasmagic.widgets.past_run import state_of
from kerasmagic.widgets.readout import readout
from kerasmagic.widgets.reducer import RunState
from kerasmagic.widgets.static_table import epoch_rows, epoch_table
from kerasmagic.widgets.units import number, plural

Bundle = dict[str, Any]


def variable(shown: Any, include: Any = None, exclude: Any = None) -> Bundle:
    """Return a variable as HTML and text."""
    seen = variable_view.look_at(shown)
    return {"text/html": variable_view.html(seen), "text/plain": variable_view.text(seen)}


def layer(shown: Any, include: Any = None, exclude: Any = None) -> Bundle:
    """Return a layer as HTML and text; a class that says itself how it looks has the last word."""
    if hasattr(type(shown), "_repr_html_"):
        return {}
    return {"text/html": layer_view.html(shown), "text/plain": layer_view.text(shown)}


def history(shown: Any, include: Any = None, exclude: Any = None) -> Bundle:
    """Return the curves of a ``History`` as HTML and, in a kernel, PNG; its values as text."""
    state = state_of(shown)
    title = f"History of {plural(state.ended, 'epoch')}"
    # Terminals ask for all forms and show the text.
    picture = static_run.png(state) if "ipykernel" in sys.modules else None
    bundle: Bundle = {} if picture is None else {"image/png": picture}
    if options.deterministic():
        return {**bundle, "text/plain": title}
    return {**bundle, "text/html": _history_html(state, title), "text/plain": _history_text(state, title)}


def _history_html(state: RunState, title: str) -> str:
    shown = readout(state)
    main = shown.main[0]
    about = " · ".join(part for part in (title, f"{main.label} {main.value}", main.note) if part)
    head = (
        f'<div class="km-head"><span class="km-title">{escape(shown.title)}</span> '
        f'<span class="km-about">{escape(about)}</span></div>'
    )
    return static_run.framed(
        state, shown, title, head + static_run.chart_html(state, shown) + epoch_table(state)
    )


def _history_text(state: RunState, title: str) -> str:
    names, rows = epoch_rows(state)
    cells = [["epoch", *names]] + [[str(epoch), *map(number, values)] for epoch, values in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join([title, *lines]) if rows else title
