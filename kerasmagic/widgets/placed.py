"""Widgets that are drawn over outputs which do not name them; see ``place``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import traitlets


class PlacedWidget(anywidget.AnyWidget):
    """A widget whose script draws it wherever the mark of its place is on a page; see ``static/mount.js``."""

    place = traitlets.Unicode().tag(sync=True)

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        # Called when a page draws over the output of the widget, and when one shows a view that an output names.
        self.placed: Callable[[], object] = lambda: None
        self.shown: Callable[[], object] = lambda: None
        self.on_msg(self._on_placed)
        answer_while_busy(self)

    def close(self) -> None:
        """Take the view off the page, and forget all of it."""
        layout = self.layout
        super().close()
        # A widget leaves its layout behind, which is a widget of its own.
        layout.close()

    def _on_placed(self, _widget: Any, content: Any, _buffers: Any) -> None:
        kind = content.get("kind") if isinstance(content, dict) else None
        if kind == "placed":
            self.placed()
        elif kind == "shown":
            self.shown()


def answer_while_busy(widget: anywidget.AnyWidget) -> None:
    """Let messages of ``widget`` be delivered while a cell runs, where the kernel can do that.

    ipykernel 7.4 sends them to the busy main shell unless this private attribute is unset;
    other versions either do it by themselves or not at all.
    """
    comm: Any = widget.comm
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = None
