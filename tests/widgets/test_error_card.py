"""The error card points at the place, and shows any text as text."""

from __future__ import annotations

import pytest

from kerasmagic.widgets.error_card import ErrorCard
from tests.widgets.markup import Tags
from tests.widgets.runs import HOSTILE


def test_text_points_at_the_cause():
    card = ErrorCard(
        "%%model m, line 12", "No such layer.", "  a -> Dens(3)", 12, (8, 12), "Did you mean 'Dense'?"
    )
    assert card.text().splitlines() == [
        "%%model m, line 12: No such layer.",
        "  12 |   a -> Dens(3)",
        "     |        ^^^^",
        "Did you mean 'Dense'?",
    ]


@pytest.mark.parametrize(
    ("source", "columns", "caret"),
    [
        ("\tDens", (2, 6), "\t^^^^"),
        ("层 -> 丙", (6, 7), "      ^^"),
        ("abc", (4, 4), "   ^"),
        ("abc", (90, 99), "   ^"),
        ("abc", (0, 2), "^"),
    ],
)
def test_the_caret_is_below_the_cause(source, columns, caret):
    lines = ErrorCard("", "m", source, 1, columns).text().splitlines()
    assert lines[1] == f"  1 | {source}"
    assert lines[2].removeprefix("    | ") == caret


def test_html_marks_the_cause_and_is_inert():
    card = ErrorCard(HOSTILE, HOSTILE, f"x -> {HOSTILE}", 3, (6, 9), HOSTILE)
    html = card.html()
    assert "<mark>&lt;im</mark>" in html
    found = Tags(html).found
    assert {tag for tag, _ in found} <= {"style", "div", "pre", "span", "mark"}
    assert ("div", {"class": "km-error", "role": "alert", "data-line": "3"}) in found


def test_a_message_alone():
    assert ErrorCard("", "The cell is empty.").text() == "The cell is empty."
    Tags(ErrorCard("", "The cell is empty.").html())


def test_both_forms_are_offered():
    card = ErrorCard("a", "b")
    assert card._repr_mimebundle_() == {"text/html": card.html(), "text/plain": "a: b"}
