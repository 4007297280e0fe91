"""A text of several cells: ``%%layer`` definitions and the ``%%model`` that uses them."""

from __future__ import annotations

import dataclasses

from kerasmagic.foundation.errors import DefinitionError, Span

_MAGICS = ("%%layer", "%%model")


@dataclasses.dataclass(frozen=True)
class Section:
    """One definition of a text.

    Attributes:
        kind: ``"%%layer"`` or ``"%%model"``.
        header: What stands behind that.
        header_column: Where it starts.
        body: The lines below.
        first_line: The number of the header's line; the body starts one line later.
    """

    kind: str
    header: str
    header_column: int
    body: str
    first_line: int


def split_sections(text: str, first_line: int = 1) -> list[Section]:
    """Return the definitions of a text; one without ``%%`` is the body of one model.

    Raises:
        DefinitionError: For an unknown ``%%`` line, and for text before the first of them.

    Example:

    >>> [(s.kind, s.header) for s in split_sections("%%layer Twice\\n2 * x\\n%%model m\\ninput 3\\nTwice")]
    [('%%layer', 'Twice'), ('%%model', 'm')]
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff").split("\n")
    starts = [i for i, line in enumerate(lines) if line.startswith("%%")]
    if not starts:
        return [Section("%%model", "", 1, text, first_line - 1)]
    before = [
        i for i, line in enumerate(lines[: starts[0]]) if line.strip() and not line.lstrip().startswith("#")
    ]
    if before:
        raise DefinitionError(
            "This stands before the first '%%layer' or '%%model'.", span=_whole(lines, before[0], first_line)
        )
    return [
        _section(lines, start, end, first_line)
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    ]


def _section(lines: list[str], start: int, end: int, first_line: int) -> Section:
    kind, _, header = lines[start].partition(" ")
    if kind not in _MAGICS:
        raise DefinitionError(
            f"{kind!r} begins nothing here; only '%%layer' and '%%model' do.",
            span=_whole(lines, start, first_line),
        )
    column = len(kind) + 2 + len(header) - len(header.lstrip())
    return Section(kind, header.strip(), column, "\n".join(lines[start + 1 : end]), first_line + start)


def _whole(lines: list[str], index: int, first_line: int) -> Span:
    line = first_line + index
    return Span(line, 1, line, len(lines[index]) + 1)
