"""Data that does not fit, as IPython shows it: the line of the model first, the traceback when it is asked for."""

from __future__ import annotations

import re

import numpy as np
import pytest

import kerasmagic as km
from kerasmagic.magics import failure

CELL = "input 4\ndense 3\ncompile sgd, mse\n"
_COLORS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def said(ip, capsys):
    """Return what running Python in the shell prints."""
    ip.user_ns["np"] = np
    ip.run_cell_magic("model", "tiny --quiet", CELL)
    ip.user_ns["define"] = km.define

    def run(source: str) -> str:
        capsys.readouterr()
        ip.run_cell(source)
        return _COLORS.sub("", "".join(capsys.readouterr()))

    return run


WRONG = "def train():\n    tiny.fit(np.zeros((2, 5)), np.zeros((2, 3)), verbose=0)\ntrain()"


def test_in_a_terminal_the_line_is_the_last_thing_on_the_screen(said):
    text = said(WRONG)
    assert "    input 4\n    ^^^^^^^\nThe data has the shape (2, 5); this input takes (batch, 4)." in text
    assert "train()" in text
    assert "tiny.fit" in text
    assert "trainer.py" not in text
    assert len(text.splitlines()) < 25
    full = said("%tb")
    assert "trainer.py" in full


def test_in_a_notebook_a_card_comes_first(said, monkeypatch):
    monkeypatch.setattr(failure, "in_kernel", lambda: True)
    text = said(WRONG)
    card = "%%model tiny, line 2: The data has the shape (2, 5); this input takes (batch, 4).\n  2 | input 4"
    assert text.startswith(card)
    assert text.count("The data has the shape") == 1
    assert "tiny.fit" in text
    assert "trainer.py" not in text


def test_what_is_caught_shows_nothing(said):
    text = said("try:\n    tiny.predict(np.zeros((2, 5)))\nexcept ValueError as error:\n    print('caught')")
    assert text == "caught\n"


def test_code_of_the_user_keeps_its_traceback(said, monkeypatch):
    monkeypatch.setattr(failure, "in_kernel", lambda: True)
    said("def data():\n    yield np.zeros((2, 4)), np.zeros((2, 3))\n    raise ValueError('mine')")
    text = said("tiny.fit(data(), verbose=0, steps_per_epoch=2)")
    assert "raise ValueError('mine')" in text
    # An error of the library that comes out of a function of the user's is about that function.
    text = said(
        "def loss(y, p):\n    return define('input 4\\ndnse 2')\n"
        "tiny.compile('sgd', loss)\ntiny.fit(np.zeros((2, 5)), np.zeros((2, 3)), verbose=0)"
    )
    assert "line 2: The data has the shape" in text
    text = said("tiny.fit(np.zeros((2, 4)), np.zeros((2, 3)), verbose=0)")
    assert "return define(" in text


def test_the_setting_shows_all_of_it_and_unloading_ends_it(ip, said):
    said("%config KerasMagic.traceback = True")
    assert "trainer.py" in said(WRONG)
    said("%config KerasMagic.traceback = False")
    ip.run_line_magic("unload_ext", "kerasmagic")
    assert "trainer.py" in said(WRONG)
    ip.run_line_magic("load_ext", "kerasmagic")
    assert "trainer.py" not in said(WRONG)


def test_a_line_that_fails_when_it_is_tried_is_pointed_at(ip, capsys):
    ip.run_cell("%%layer Bad --try 2x3\ninput (..., n)\nweight k (n, 4)\nx @ k.T")
    text = _COLORS.sub("", "".join(capsys.readouterr()))
    assert "%%layer Bad, line 4\n    x @ k.T\n    ^^^^^^^\n'x @ k.T' failed for k (3, 4), x (2, 3): " in text
    assert "Traceback" not in text
    assert "Bad" not in ip.user_ns
