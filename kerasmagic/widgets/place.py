"""An output of a widget that never needs the widget: what is kept in the notebook, and the widget drawn over it.

A front end that finds the name of a widget in a saved notebook says "model not found" in place of everything
beside it. So the output is plain HTML and text with a mark, and the widget's script looks for the mark.
"""

from __future__ import annotations

import contextlib
import contextvars
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any

from kerasmagic.foundation import options

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# How long a page may take to draw over an output, in seconds.
PATIENCE = 2.0

Bundle = dict[str, Any]
Display = Callable[[Bundle], Any]


class Place:
    """The output of one widget.

    Some front ends make no widget that no output names. Where no page has drawn over this one for two seconds,
    the output names the widget after all.

    Args:
        widget: What is drawn over it, a ``PlacedWidget``.
        display: Shows a bundle and returns its handle.
        insists: Whether to name the widget where no page answers.
    """

    # Whether some page of this kernel draws over outputs: then all do.
    _known = False

    def __init__(self, widget: Any, display: Display, *, insists: bool = True):
        self._widget = widget
        self._display = display
        self._insists = insists
        self._handle: Any = None
        self._kept: Bundle = {}
        self._named = self._shown = False
        self._closed = False
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None
        self._mark = "" if options.deterministic() else f"km-at-{secrets.token_hex(8)}"
        widget.placed, widget.shown = self._answered, self._show_on
        # The widget's script begins with this, and answers.
        widget.place = self._mark

    def show(self, kept: Mapping[str, Any]) -> None:
        """Display the widget over ``kept``, a bundle of HTML and text.

        Where output must be equal on every run there is no mark, and the widget is named at once.
        """
        self._kept = dict(kept)
        self._named = not self._mark
        self._handle = self._display(self._bundle())
        if self._insists and not self._named and not Place._known:
            # What is printed or shown by another thread belongs to this cell.
            run = contextvars.copy_context().run
            self._timer = threading.Timer(PATIENCE, run, (self._name,))
            self._timer.daemon = True
            self._timer.start()

    def keep(self, kept: Mapping[str, Any]) -> None:
        """Let ``kept`` be what stays in the notebook; a page that shows the widget goes on showing it."""
        with self._lock:
            self._kept = dict(kept)
            # A view of an output that names the widget would begin anew.
            if not (self._named and self._shown):
                self._update()

    def end(self, bundle: Mapping[str, Any] | None = None) -> None:
        """Let go of the output, and leave ``bundle`` in it if there is one; nothing changes it later."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if self._closed:
                return
            try:
                if bundle is not None and self._handle is not None:
                    self._handle.update(dict(bundle), raw=True)
            finally:
                self._closed = True

    def _answered(self) -> None:
        Place._known = True
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if self._named and self._mark:
                self._named = False
                self._update()

    def _show_on(self) -> None:
        self._shown = True

    def _name(self) -> None:
        with self._lock, contextlib.suppress(Exception):
            if not Place._known and not self._closed:
                self._named = True
                self._update()

    def _update(self) -> None:
        if self._handle is not None and not self._closed:
            self._handle.update(self._bundle(), raw=True)

    def _bundle(self) -> Bundle:
        bundle = dict(self._kept)
        if self._named:
            reference = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
            return {**bundle, WIDGET_VIEW: reference}
        if "text/html" in bundle:
            bundle["text/html"] = f'<div class="{self._mark}"><div>{bundle["text/html"]}</div></div>'
        return bundle
