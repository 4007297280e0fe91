"""The table of mistakes: a wrong cell and, word for word, what its writer is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kerasmagic.foundation.errors import DefinitionErrors
from kerasmagic.language import read_layer, read_model, report_text
from tests.language.words import VOCABULARY


def _cases() -> list[tuple[str, str]]:
    text = (Path(__file__).parent / "mistakes.txt").read_text(encoding="utf-8")
    _, *cases = text.split("=" * 80 + "\n")
    return [(cell, report) for cell, report in (case.split("-" * 40 + "\n") for case in cases)]


CASES = _cases()


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


@pytest.mark.parametrize(("cell", "report"), CASES, ids=[repr(cell.strip()) for cell, _ in CASES])
def test_what_is_said(cell, report):
    assert _report(cell) + "\n" == report


def test_the_table_is_long_enough():
    assert len({report.rstrip().split("\n")[-1] for _, report in CASES}) >= 80


FIXES = [
    ("conv 16 3 same rleu", "conv 16 3 same relu"),
    ("densee 10", "dense 10"),
    ("dense 10 use_bais=false", "dense 10 use_bias=false"),
    ("doubtful same", "doubtful padding=same"),
    ("bn he_normal", "bn beta_initializer=he_normal"),
    ("dense 3 true", "dense 3 use_bias=true"),
    ("conv 16 3same", "conv 16 3 same"),
    ("conv 16 3X3", "conv 16 3x3"),
    ("input timex64\nflatten", "input (time, 64)\nflatten"),
    ("input 28 28 1\nflatten", "input 28x28x1\nflatten"),
    ("dense 3\ncompile adam mse", "dense 3\ncompile adam, mse"),
    ("input a 3\ninput b 3\ndense 3", "input a 3\ninput b 3\na -> dense 3"),
    ("x = relu\nrelu -> x", "x = relu\nrelu\n+ x"),
]


@pytest.mark.parametrize(("wrong", "right"), FIXES)
def test_the_fix_that_is_named_works(wrong, right):
    assert _report(f"%%model m\n{wrong}")
    assert not _report(f"%%model m\n{right}")


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


MENDED = [(cell, new) for cell, _ in CASES if (new := _mended(cell)) is not None]


def test_many_mistakes_come_with_the_right_spelling():
    assert len(MENDED) >= 20


@pytest.mark.parametrize(("cell", "mended"), MENDED, ids=[repr(cell) for cell, _ in MENDED])
def test_the_spelling_that_is_suggested_works(cell, mended):
    word = re.search(r"Did you mean '(.*?)'\?", _report(cell))
    assert word is not None
    # Another error of the cell may be left, or come to light; the word that was suggested is none.
    assert f"'{word[1]}' is no" not in _report(mended)
    assert _report(cell).split("\n\n")[0] not in _report(mended)
