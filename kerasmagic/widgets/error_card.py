"""An error in a cell, shown where it is: the line, the place in it, what is wrong and what to do."""

from __future__ import annotations

import dataclasses
import unicodedata
from html import escape
from typing import Any

from kerasmagic.widgets.assets import styles


@dataclasses.dataclass(frozen=True)
class ErrorCard:
    """An error that notebooks and terminals can show without a traceback.

    Args:
        place: Where, in words: ``"%%model digits, line 3"``.
        message: What is wrong.
        source: The line of the cell, if there is one to show.
        line: Its number, from 1.
        columns: The first column of the cause, from 1, and the one after its last.
        hint: What to do.

    Example:

    >>> card = ErrorCard("%%model digits, line 3", "There is no layer 'Dens'.",
    ...                  source="  Dens(10)", line=3, columns=(3, 7), hint="Did you mean 'Dense'?")
    >>> print(card.text())
    %%model digits, line 3: There is no layer 'Dens'.
      3 |   Dens(10)
        |   ^^^^
    Did you mean 'Dense'?
    """

    place: str
    message: str
    source: str | None = None
    line: int | None = None
    columns: tuple[int, int] | None = None
    hint: str | None = None

    def text(self) -> str:
        """Return the error as lines of text with a caret under the cause."""
        lines = [f"{self.place}: {self.message}" if self.place else self.message]
        if self.source is not None:
            number = "" if self.line is None else str(self.line)
            lines.append(f"  {number} | {self.source}".rstrip())
            if self.columns is not None:
                before, cause, _ = self._parts()
                lines.append(f"  {' ' * len(number)} | {_blank(before)}{'^' * max(_width(cause), 1)}")
        return "\n".join([*lines, self.hint] if self.hint else lines)

    def html(self) -> str:
        """Return the error as HTML; all text is escaped, nothing is loaded, no script runs."""
        parts = [
            f"<style>{styles('error_card.css')}</style>",
            f'<div class="km-error" role="alert" data-line="{self.line or ""}">',
            f'<div class="km-error-place">{escape(self.place)}</div>' if self.place else "",
            f'<div class="km-error-message">{escape(self.message)}</div>',
            self._html_source(),
            f'<div class="km-error-hint">{escape(self.hint)}</div>' if self.hint else "",
            "</div>",
        ]
        return "".join(parts)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.text()}

    def _html_source(self) -> str:
        if self.source is None:
            return ""
        number = "" if self.line is None else f'<span class="km-error-number">{self.line}</span>'
        before, cause, after = self._parts()
        marked = f"<mark>{escape(cause) or '&nbsp;'}</mark>" if self.columns is not None else ""
        return f'<pre class="km-error-source">{number}{escape(before)}{marked}{escape(after)}</pre>'

    def _parts(self) -> tuple[str, str, str]:
        source = self.source or ""
        if self.columns is None:
            return source, "", ""
        start = min(max(self.columns[0] - 1, 0), len(source))
        stop = min(max(self.columns[1] - 1, start), len(source))
        return source[:start], source[start:stop], source[stop:]


def _blank(text: str) -> str:
    # A tab stays a tab, so that the caret lands below the cause whatever the tab width is.
    return "".join(letter if letter == "\t" else " " * _width(letter) for letter in text)


def _width(text: str) -> int:
    return sum(_letter_width(letter) for letter in text)


def _letter_width(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
