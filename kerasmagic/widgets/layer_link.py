"""Connects shape tables on a page with the kernel that has their models: a row that is clicked shows its weights.

The tables are plain HTML that needs no kernel. One widget for each kernel, which no output names, tells the
tables on its page that their models are there, and answers for them. After a cell, and when a run begins, it tells
them to ask once more for the rows that are open: there may be weights now, or others.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from kerasmagic.widgets.assets import static
from kerasmagic.widgets.placed import answer_while_busy
from kerasmagic.widgets.sink import NotebookSink

# Takes a row, and whether it was just opened; returns HTML for it, and whether that will be another in a moment.
Look = Callable[[int, bool], tuple[str, bool]]

_SORRY = '<p class="km-soft">This model is no longer there.</p>'


class LayerLink(anywidget.AnyWidget):
    """Answers what the tables of some models are asked.

    Example:

    >>> class Model: pass
    >>> link, model = LayerLink(), Model()
    >>> link.offer("abc", model, lambda row, first: (f"row {row}", False))
    >>> link.tables, link.look("abc", 2)
    (['abc'], ('row 2', False))
    """

    _esm = static("kernel.js", "layer_link.js")

    tables = traitlets.List().tag(sync=True)

    def __init__(self) -> None:
        super().__init__()
        self._looks: dict[str, tuple[weakref.ref[Any], Look]] = {}
        self._asked = False
        self.on_msg(self._on_message)
        answer_while_busy(self)
        NotebookSink.openings.add(self.stir)
        if (shell := _shell()) is not None:
            shell.events.register("post_execute", self.stir)

    def offer(self, table: str, model: Any, look: Look) -> None:
        """Answer for a table as long as its model lives; ``look`` must not keep that alive.

        Args:
            table: The key of the table.
            model: The model.
            look: Called with the number of a row and whether that was just opened.
        """
        self._looks = {key: kept for key, kept in self._looks.items() if kept[0]() is not None}
        self._looks[table] = weakref.ref(model), look
        self.tables = list(self._looks)

    def stir(self) -> None:
        """Let the rows that are open be asked for once more."""
        # A page that never asked has none.
        if self._asked:
            self.send({"kind": "stir"})

    def close(self) -> None:
        """Answer nothing any more."""
        NotebookSink.openings.discard(self.stir)
        if (shell := _shell()) is not None and self.stir in shell.events.callbacks["post_execute"]:
            shell.events.unregister("post_execute", self.stir)
        super().close()

    def look(self, table: str, row: int, first: bool = True) -> tuple[str, bool]:
        """Return HTML for a row of a table, and whether to ask again in a moment."""
        model, look = self._looks.get(table, (lambda: None, None))
        if look is None or model() is None:
            return _SORRY, False
        return look(row, first)

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if not isinstance(content, dict) or content.get("kind") != "look":
            return
        table, row, ask = content.get("table"), content.get("row"), content.get("ask")
        if not isinstance(table, str) or not isinstance(row, int) or isinstance(row, bool):
            return
        self._asked = True
        try:
            html, again = self.look(table, row, content.get("first") is True)
        except Exception as error:
            # There is nowhere else to say it; the names in it are those of classes.
            html, again = f'<p class="km-soft">This cannot be shown: {type(error).__name__}.</p>', False
        self.send({"kind": "look", "ask": ask, "html": html, "again": again})


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()
