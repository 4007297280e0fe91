"""The live editor: text on one side, what it means on the other, while it is typed.

The widget knows nothing of models: two functions are given to it, one that reads a text and one that builds it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import traitlets
from IPython.core.getipython import get_ipython
from IPython.display import display

from kerasmagic.widgets.assets import static, styles
from kerasmagic.widgets.place import Bundle, Place
from kerasmagic.widgets.placed import PlacedWidget
from kerasmagic.widgets.shape_script import SCRIPTS
from kerasmagic.widgets.shape_table import ShapeTable

# Seconds without an answer after which the newest is put into the notebook.
PAUSE = 1.0


@dataclasses.dataclass(frozen=True)
class Mistake:
    """An error and its place.

    Args:
        message: What is wrong, and what to do.
        line: The line, from 1; ``None`` for an error without a place.
        start: The first wrong character of the line, from 0.
        stop: The one behind the last.
    """

    message: str
    line: int | None = None
    start: int = 0
    stop: int = 0


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a text means.

    Args:
        table: The layers, up to the first error; ``None`` if there is nothing to show.
        mistakes: The errors, in order.
        note: What else there is to say.
        model: The model, where one was built.
    """

    table: ShapeTable | None = None
    mistakes: Sequence[Mistake] = ()
    note: str = ""
    model: Any = None


class EditorWidget(PlacedWidget):
    """An editor whose table and errors follow the typing.

    Args:
        read: Returns what a text means; called a moment after the typing stops, in the thread that takes messages.
        build: Builds the model of a text and binds it; called for Ctrl-Enter and the button.
        text: What to begin with.
        title: The name of what is defined.
        first: What the text that it begins with means, where that is known.

    Example:

    >>> widget = EditorWidget(lambda text: Answer(note=f"{len(text)} letters"), lambda text: Answer(), "abc", "m")
    >>> widget.reply["note"]
    '3 letters'
    """

    _esm = static("kernel.js", "mount.js", *SCRIPTS, "editor.js")
    _css = styles("shape_table.css", "graph.css", "editor.css")

    text = traitlets.Unicode().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    reply = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        read: Callable[[str], Answer],
        build: Callable[[str], Answer],
        text: str = "",
        title: str = "model",
        first: Answer | None = None,
    ):
        super().__init__(text=text, title=title)
        self.model: Any = None
        self._read, self._build = read, build
        self._newest = -1
        self._lock = threading.Lock()
        self._place: Place | None = None
        self._given = text, Answer()
        self._keeper: threading.Timer | None = None
        self.on_msg(self._on_message)
        self._answer(0, text, read if first is None else lambda _: first)

    def _ipython_display_(self, **kwargs: Any) -> None:
        """Display the editor over what stays in a notebook without its kernel: the text, the table, the errors."""
        if self._place is None:
            # Nobody but a front end tells which cell it is; without one nobody is to see a widget.
            self._place = Place(self, self._displayed, insists=has_front_end())
        self._place.show(self.kept())

    def _displayed(self, bundle: Bundle) -> Any:
        # Wherever it is shown, it is the same.
        return display(bundle, raw=True, display_id=self.model_id)

    def kept(self) -> Bundle:
        """Return what there is to read of the editor as it is now: HTML and text."""
        text, answer = self._given
        mistakes = [_told(mistake) for mistake in answer.mistakes]
        items = "".join(f"<li>{escape(told)}</li>" for told in mistakes)
        listed = f'<ul class="km-editor-mistakes">{items}</ul>' if items else ""
        html = f'<pre class="km-editor-kept">{escape(text)}</pre>{listed}'
        parts = [text, *mistakes]
        if answer.table is not None:
            html += answer.table.html()
            parts += ["", answer.table.text()]
        return {"text/html": html, "text/plain": "\n".join(parts)}

    def close(self) -> None:
        """Take the editor off the page; what it shows there stays."""
        if self._keeper is not None:
            self._keeper.cancel()
        if self._place is not None:
            with contextlib.suppress(Exception):
                self._place.end(self.kept())
        super().close()

    def _keep_soon(self) -> None:
        """Put the newest answer into the notebook when no other comes for a moment."""
        if self._place is None:
            return
        if self._keeper is not None:
            self._keeper.cancel()
        place = self._place
        self._keeper = threading.Timer(PAUSE, lambda: place.keep(self.kept()))
        self._keeper.daemon = True
        self._keeper.start()

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        kind = content.get("kind") if isinstance(content, dict) else None
        if kind not in ("read", "build"):
            return
        revision, text = content.get("revision"), content.get("text")
        if isinstance(revision, int) and isinstance(text, str):
            self._answer(revision, text, self._build if kind == "build" else self._read)

    def _answer(self, revision: int, text: str, work: Callable[[str], Answer]) -> None:
        """Answer for one revision of the text, unless a newer one was answered meanwhile."""
        with self._lock:
            self._newest = max(self._newest, revision)
        try:
            answer = work(text)
        except Exception as error:
            # Whatever a text leads to is shown in the editor; there is nowhere else.
            answer = Answer(mistakes=(Mistake(f"{type(error).__name__}: {error}"),))
        with self._lock:
            if revision < self._newest:
                return
            if answer.model is not None:
                self.model = answer.model
            self.reply = _packed(revision, answer, built=work is self._build)
            self._given = text, answer
            self._keep_soon()


def _packed(revision: int, answer: Answer, built: bool) -> dict[str, Any]:
    return {
        "revision": revision,
        "built": built and not answer.mistakes,
        "note": answer.note,
        "mistakes": [dataclasses.asdict(mistake) for mistake in answer.mistakes],
        "page": "" if answer.table is None else answer.table.page(),
        "data": "" if answer.table is None else answer.table.data(),
        # A model that is there can be looked into.
        "table": "" if answer.table is None or answer.model is None else answer.table.key,
    }


def _told(mistake: Mistake) -> str:
    return mistake.message if mistake.line is None else f"line {mistake.line}: {mistake.message}"


def has_front_end() -> bool:
    """Return whether what runs was asked for by a front end: those send more with it than the code."""
    shell: Any = get_ipython()
    parent = shell.get_parent() if shell is not None and hasattr(shell, "get_parent") else {}
    return bool(parent.get("metadata"))
