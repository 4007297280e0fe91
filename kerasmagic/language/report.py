"""An error and the cell it is in, as lines for the terminal and as fields for a card."""

from __future__ import annotations

import dataclasses
import unicodedata
from typing import Any

from kerasmagic.foundation.errors import DefinitionError, DefinitionErrors, KerasMagicError

_WIDEST = 100
_INDENT = "    "


@dataclasses.dataclass(frozen=True)
class Finding:
    """One error, ready to be shown; nothing in it is escaped for HTML.

    Attributes:
        title: What the cell defines: ``"%%model digits"``.
        line: The number of the line in the cell, or ``None`` where the error has no place.
        source: That line without its indentation, shortened where it is very long.
        start: The first wrong character, counted in ``source`` from 0.
        length: How many characters are wrong, at least 1; it may reach one behind the end.
        message: What is wrong and what was expected.
        hint: What to do, or ``None``.
    """

    title: str
    line: int | None
    source: str
    start: int
    length: int
    message: str
    hint: str | None

    @property
    def parts(self) -> tuple[str, str, str]:
        """The source before the wrong characters, these, and the rest."""
        end = self.start + self.length
        return self.source[: self.start], self.source[self.start : end], self.source[end:]


def findings(error: KerasMagicError, cell: str, title: str, *, first_line: int = 1) -> tuple[Finding, ...]:
    """Return what to show for an error, one finding for each that it holds.

    Args:
        error: The error; its spans count lines like ``first_line``.
        cell: The whole text that the spans are in.
        title: What the cell defines, for the first line of each report.
        first_line: The number of the first line of ``cell``.
    """
    errors = error.errors if isinstance(error, DefinitionErrors) else (error,)
    lines = cell.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff").split("\n")
    return tuple(_finding(each, lines, title, first_line) for each in errors)


def report_text(error: KerasMagicError, cell: str, title: str, *, first_line: int = 1) -> str:
    """Return the text that a person reads about an error.

    Example:

    >>> from kerasmagic.foundation.errors import DefinitionError, Span
    >>> place = Span(2, 10, 2, 14)
    >>> wrong = DefinitionError("'rleu' is no activation.", span=place, hint="Did you mean 'relu'?")
    >>> print(report_text(wrong, "%%model tiny\\ndense 10 rleu", "%%model tiny"))
    %%model tiny, line 2
        dense 10 rleu
                 ^^^^
    'rleu' is no activation.  Did you mean 'relu'?
    """
    return "\n\n".join(map(_text, findings(error, cell, title, first_line=first_line)))


def rows_of(error: BaseException | None) -> tuple[Any, ...]:
    """Return the rows of the table up to the line of an error, if it holds any."""
    return tuple(getattr(error, "rows", ()))


class RefusedText(DefinitionErrors):
    """The errors of a text, shown with their lines wherever the exception is shown.

    Args:
        error: What was found.
        text: The text.
        title: What to call it.
        first_line: The number of its first line.
    """

    def __init__(self, error: DefinitionError, text: str, title: str, first_line: int = 1):
        super().__init__(error.errors if isinstance(error, DefinitionErrors) else [error])
        self.report = report_text(error, text, title, first_line=first_line)
        self.rows = rows_of(error)

    def __str__(self) -> str:
        return self.report


def _finding(error: KerasMagicError, lines: list[str], title: str, first_line: int) -> Finding:
    span = error.span
    if span is None or not first_line <= span.line < first_line + len(lines):
        return Finding(title, None, "", 0, 1, error.message, error.hint)
    whole = lines[span.line - first_line].expandtabs(1).rstrip()
    indent = len(whole) - len(whole.lstrip())
    end = span.end_column - 1 if span.end_line == span.line else len(whole)
    start = min(max(span.column - 1 - indent, 0), len(whole) - indent)
    length = max(min(end - indent, len(whole) - indent) - start, 1)
    source, start = _shortened(whole[indent:], start, length)
    return Finding(title, span.line, source, start, min(length, _WIDEST), error.message, error.hint)


def _shortened(source: str, start: int, length: int) -> tuple[str, int]:
    """Cut a very long line around the wrong characters."""
    if len(source) <= _WIDEST:
        return source, start
    left = max(0, min(start - _WIDEST // 4, len(source) - _WIDEST))
    right = max(left + _WIDEST, min(start + length, left + _WIDEST))
    cut = source[left:right]
    before, after = ("..." if left else ""), ("..." if right < len(source) else "")
    return before + cut + after, start - left + len(before)


def _text(finding: Finding) -> str:
    message = finding.message if finding.hint is None else f"{finding.message}  {finding.hint}"
    if finding.line is None:
        return f"{finding.title}\n{message}"
    if not finding.source:
        return f"{finding.title}, line {finding.line}\n{message}"
    before, wrong, _ = finding.parts
    caret = " " * _columns(before) + "^" * max(_columns(wrong), 1)
    return f"{finding.title}, line {finding.line}\n{_INDENT}{finding.source}\n{_INDENT}{caret}\n{message}"


def _columns(text: str) -> int:
    """Return how many columns of a terminal ``text`` fills: wide characters two, combining ones none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )
