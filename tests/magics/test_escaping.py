"""Whatever stands in a cell: nothing of it becomes part of the page."""

from __future__ import annotations

import contextlib
import re
from html import escape
from typing import Any

import pytest
from IPython.utils.capture import capture_output

from kerasmagic.magics import failure
from kerasmagic.magics.failure import CellError

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</style><svg onload=alert(1)>",
    '"><b x="',
]
# What a page would run or read as markup, had it come from the text.
_LIVE = re.compile(r"<(?:script>alert|img src=x|svg onload|b x=)")


def _pages(ip: Any, magic: str, line: str, cell: str) -> str:
    """Return all HTML that a cell displays."""
    with capture_output() as captured, contextlib.suppress(CellError):
        ip.run_cell_magic(magic, line, cell)
    return "\n".join(output.data.get("text/html", "") for output in captured.outputs)


@pytest.fixture(autouse=True)
def notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failure, "in_kernel", lambda: True)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "cell",
    [
        "input 4\ndense {0}\n",
        "{0}\n",
        "input 4\ndense 3 name='{0}'\ndense\n",
        "input 4\ndense 3 activation='{0}'\n",
        "input 8x8x1\nconv 4 3 name='{0}'\nconv 4 99\n",
        "# {0}\nrleu\n",
    ],
)
def test_an_error_is_text(ip: Any, text: str, cell: str) -> None:
    page = _pages(ip, "model", "m", cell.format(text.replace("'", "")))
    assert "km-error" in page
    assert not _LIVE.search(page)
    if cell.startswith("{0}"):
        assert escape(text) in re.sub("</?mark>", "", page)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("magic", ["model", "layer"])
def test_the_line_of_the_magic_is_text(ip: Any, magic: str, text: str) -> None:
    assert not _LIVE.search(_pages(ip, magic, text, "dense 3\n"))


@pytest.mark.parametrize("text", HOSTILE)
def test_names_in_the_table_are_text(ip: Any, text: str) -> None:
    name = text.replace("/", "")
    page = _pages(ip, "model", "m", f"input 4\ndense 3 name='{name}'\ndense 2\n")
    assert "m" in ip.user_ns
    assert not _LIVE.search(page)


def test_words_of_a_trial_are_text(ip: Any) -> None:
    page = _pages(ip, "layer", "L(note='<script>alert(1)</script>') --try 2x3", "input (..., n)\nx * 2\n")
    assert not _LIVE.search(page)
