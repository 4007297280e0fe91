"""An error as text in the terminal and as the fields of a card."""

from __future__ import annotations

import pytest

from kerasmagic.foundation.errors import DefinitionError, DefinitionErrors, ShapeMismatch, Span
from kerasmagic.language.report import findings, report_text

CELL = "%%model digits\ninput 8x8x1\n    conv 16 3 same rleu\r\n\tdense\t10 rleu\n'日本' relu"


def at(line: int, start: int, end: int, message: str = "wrong", hint: str | None = None) -> DefinitionError:
    return DefinitionError(message, span=Span(line, start, line, end), hint=hint)


def test_the_form_of_the_design():
    error = at(3, 20, 24, "'rleu' is no word.", "Did you mean 'relu'?")
    assert report_text(error, CELL, "%%model digits") == (
        "%%model digits, line 3\n"
        "    conv 16 3 same rleu\n"
        "                   ^^^^\n"
        "'rleu' is no word.  Did you mean 'relu'?"
    )


def test_tabs_and_wide_characters_keep_the_caret_in_place():
    assert report_text(at(4, 11, 15), CELL, "m") == "m, line 4\n    dense 10 rleu\n             ^^^^\nwrong"
    assert report_text(at(5, 6, 10), CELL, "m") == "m, line 5\n    '日本' relu\n           ^^^^\nwrong"


def test_several_errors_come_one_after_the_other():
    both = DefinitionErrors([at(2, 1, 6, "one"), at(3, 5, 9, "two")])
    text = report_text(both, CELL, "m")
    assert (
        text
        == "m, line 2\n    input 8x8x1\n    ^^^^^\none\n\nm, line 3\n    conv 16 3 same rleu\n    ^^^^\ntwo"
    )
    assert [f.line for f in findings(both, CELL, "m")] == [2, 3]


def test_an_error_of_another_kind_is_shown_the_same_way():
    error = ShapeMismatch("does not fit", span=Span(2, 7, 2, 12))
    assert report_text(error, CELL, "m") == "m, line 2\n    input 8x8x1\n          ^^^^^\ndoes not fit"


@pytest.mark.parametrize("span", [None, Span(99, 1, 99, 2), Span(0, 0, 0, 0)])
def test_an_error_without_a_place_shows_none(span):
    assert report_text(DefinitionError("wrong", span=span), CELL, "m") == "m\nwrong"


def test_the_first_line_can_have_any_number():
    assert report_text(at(12, 1, 2), "relu", "m", first_line=12) == "m, line 12\n    relu\n    ^\nwrong"


def test_a_place_behind_the_end_and_one_over_several_lines():
    assert report_text(at(2, 12, 13), CELL, "m").split("\n")[2] == " " * 4 + " " * 11 + "^"
    over = DefinitionError("wrong", span=Span(2, 7, 4, 3))
    assert report_text(over, CELL, "m").split("\n")[2] == " " * 10 + "^^^^^"


def test_the_fields_for_a_card():
    (finding,) = findings(at(3, 20, 24, "no", "yes?"), CELL, "%%model digits")
    assert finding.parts == ("conv 16 3 same ", "rleu", "")
    assert (finding.title, finding.message, finding.hint) == ("%%model digits", "no", "yes?")


@pytest.mark.parametrize("start", [1, 500, 4990])
def test_a_very_long_line_is_cut_around_the_place(start):
    line = "".join(chr(97 + i % 26) for i in range(5000))
    (finding,) = findings(at(1, start, start + 5), line, "m")
    assert finding.parts[1] == line[start - 1 : start + 4]
    assert len(finding.source) <= 106
