"""The live editor: text on one side, what it means on the other, while it is typed.

The widget knows nothing of models: two functions are given to it, one that reads a text and one that builds it.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import Any

import anywidget
import traitlets

from kerasmagic.widgets.assets import static
from kerasmagic.widgets.shape_script import SCRIPTS
from kerasmagic.widgets.shape_table import ShapeTable
from kerasmagic.widgets.training import answer_while_busy


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


class EditorWidget(anywidget.AnyWidget):
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

    _esm = static(*SCRIPTS, "editor.js")
    _css = static("shape_table.css", "graph.css", "editor.css")

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
        self.on_msg(self._on_message)
        answer_while_busy(self)
        self._answer(0, text, read if first is None else lambda _: first)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the widget, with the table as it is now for where there are no widgets."""
        shown = super()._repr_mimebundle_(**kwargs)
        if shown is None:
            return None
        bundle, metadata = shown if isinstance(shown, tuple) else (shown, {})
        table = self._read(self.text).table
        if table is not None:
            bundle["text/html"] = table.html()
        bundle["text/plain"] = self.text
        return bundle, metadata

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


def _packed(revision: int, answer: Answer, built: bool) -> dict[str, Any]:
    return {
        "revision": revision,
        "built": built and not answer.mistakes,
        "note": answer.note,
        "mistakes": [dataclasses.asdict(mistake) for mistake in answer.mistakes],
        "page": "" if answer.table is None else answer.table.page(),
        "data": "" if answer.table is None else answer.table.data(),
    }
