"""The table of mistakes: a wrong cell and, word for word, what its writer is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kerasmagic.foundation.errors import DefinitionErrors
from kerasmagic.language import read_layer, read_model, report_text
from tests.language.words import VOCABULARY


def _cases() -> list[tuple[str, str, str]]:
    text = (Path(__file__).parent / "mistakes.txt").read_text(encoding="utf-8")
    _, *cases = text.split("=" * 80 + "\n")
    return [
        (cell, report, mended) for cell, report, mended in (case.split("-" * 40 + "\n") for case in cases)
    ]


CASES = _cases()
IDS = [repr(cell.strip()) for cell, *_ in CASES]


def _report(cell: str) -> str:
    """Return what is said about a cell, or nothing where it is right."""
    top, _, body = cell.partition("\n")
    magic, _, rest = top.partition(" ")
    try:
        if magic == "%%model":
            read_model(body, VOCABULARY, first_line=2)
        else:
            read_layer(rest, body, VOCABULARY, header_column=len(magic) + 2)
    except DefinitionErrors as error:
        return report_text(error, cell, top if magic == "%%model" else "%%layer")
    return ""


@pytest.mark.parametrize(("cell", "report", "mended"), CASES, ids=IDS)
def test_what_is_said(cell, report, mended):
    assert _report(cell) + "\n" == report
    # The cell reads as soon as it says what the report asks for, and needs nothing else.
    assert not _report(mended.rstrip("\n"))
    assert mended != cell


PASTED = [
    (report, mended) for _, report, mended in CASES if re.search(r"(Did you mean|Write) '[^'.…A-Z]+'", report)
]


@pytest.mark.parametrize(("report", "mended"), PASTED, ids=[repr(report) for report, _ in PASTED])
def test_what_is_suggested_is_in_the_cell_that_reads(report, mended):
    # One of several suggestions is followed.
    suggested = re.findall(r"'([^']+)'", " ".join(re.findall(r"(?:Did you mean|Write) .*", report)))
    texts = [re.sub(r"\s", "", each) for each in suggested]
    assert any(text in re.sub(r"\s", "", mended) for text in texts)


def test_the_table_is_long_enough():
    assert len({report.rstrip().split("\n")[-1] for _, report, _ in CASES}) >= 80


def test_most_mistakes_come_with_what_to_write():
    assert len(PASTED) >= 60


def _mended(cell: str) -> str | None:
    """Return a cell with what its first error suggests in the place that it marks."""
    top, _, body = cell.partition("\n")
    magic, _, rest = top.partition(" ")
    try:
        if magic == "%%model":
            read_model(body, VOCABULARY, first_line=2)
        else:
            read_layer(rest, body, VOCABULARY, header_column=len(magic) + 2)
    except DefinitionErrors as error:
        first = error.errors[0]
        found = re.fullmatch(r"Did you mean '(.*)'\?", first.hint or "")
        if found is None or first.span is None:
            return None
        lines = cell.split("\n")
        line = lines[first.span.line - 1]
        lines[first.span.line - 1] = (
            line[: first.span.column - 1] + found.group(1) + line[first.span.end_column - 1 :]
        )
        return "\n".join(lines)
    return None


MENDED = [(cell, new) for cell, *_ in CASES if (new := _mended(cell)) is not None]


def test_many_mistakes_come_with_the_right_spelling():
    assert len(MENDED) >= 20


@pytest.mark.parametrize(("cell", "mended"), MENDED, ids=[repr(cell) for cell, _ in MENDED])
def test_the_spelling_that_is_suggested_works(cell, mended):
    word = re.search(r"Did you mean '(.*?)'\?", _report(cell))
    assert word is not None
    # Another error of the cell may be left, or come to light; the word that was suggested is none.
    assert f"'{word[1]}' is no" not in _report(mended)
    assert _report(cell).split("\n\n")[0] not in _report(mended)
