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


@pytest.mark.parametrize(
    ("call", "line", "message"),
    [
        ("tiny(np.zeros((2, 5)))", "input 4", "The data has the shape (2, 5); this input takes (batch, 4)."),
        ("tiny(inputs=np.zeros((2, 5)))", "input 4", "The data has the shape (2, 5)"),
        ("tiny(np.array(['a', 'b']))", "input 4", "The data is text"),
        (
            "tiny.fit(np.zeros((2, 4)), np.zeros((2, 5)))",
            "dense 3",
            "The targets have the shape (2, 5); what comes out of this line has (batch, 3).",
        ),
        ("tiny.fit(np.zeros((2, 4)))", "dense 3", "There are no targets for what comes out of this line."),
        (
            "tiny.fit(np.zeros((2, 4)), np.zeros((2, 3)), validation_data=(np.zeros((2, 4)), np.zeros((2, 5))))",
            "dense 3",
            "The validation targets have the shape (2, 5); what comes out of this line has (batch, 3).",
        ),
        (
            "tiny.fit(np.zeros((2, 4)), np.zeros((2, 3)), validation_data=(np.zeros((3, 5)), np.zeros((3, 3))))",
            "input 4",
            "The validation data has the shape (3, 5); this input takes (batch, 4).",
        ),
    ],
)
def test_data_is_looked_at_before_anything_else_is_shown(said, monkeypatch, call, line, message):
    monkeypatch.setattr(failure, "in_kernel", lambda: True)
    text = said(call)
    number = {"input 4": 2, "dense 3": 3}[line]
    assert text.startswith(f"%%model tiny, line {number}: {message}")
    assert f"  {number} | {line}\n" in text
    # The card, then the call in the cell: no view of a run, no frame of the library.
    assert "failed" not in text
    assert "File " not in text
    assert "'%tb' shows" in text


LAYERS = """
class Broken(km.layers.Layer):
    def call(self, x):
        return x.nothing
class Outer(km.layers.Layer):
    def call(self, x):
        return km.layers.Conv2D(3, 2)(x)
"""


@pytest.fixture
def own(ip, said):
    ip.user_ns["km"] = km
    said(LAYERS)
    return said


@pytest.mark.parametrize(
    "cell",
    [
        "%%model net\ninput 4\nBroken",
        "%%layer Inner\ninput (..., n)\nBroken\n",
        "Broken()(np.zeros((2, 4)))",
    ],
)
def test_a_layer_of_ones_own_that_fails_shows_its_line(own, cell):
    text = own(cell)
    if cell.startswith("%%layer"):
        text = own("Inner()(np.zeros((2, 4)))")
        assert "%%layer Inner, line 3\n    Broken\n    ^^^^^^" in text
        assert "What flows in: (2, 4) from 'x' of line 2." in text
    assert "return x.nothing" in text
    assert "nothing" in text
    if cell.startswith("%%"):
        assert "File " not in text


def test_an_error_of_the_library_shows_the_calls_of_the_user(own):
    text = own("def make():\n    return Outer()(np.zeros((2, 4)))\nmake()")
    assert "return km.layers.Conv2D(3, 2)(x)" in text
    assert "return Outer()(np.zeros((2, 4)))" in text
    assert "File " not in text
    assert "input_spec.py" in own("%tb")
    text = own("km.layers.Dense(-3)")
    assert "`units` must be a positive integer. Received: units=-3" in text
    assert len(text.splitlines()) < 10


def test_a_line_of_a_layer_that_fails_in_a_call_is_pointed_at(own):
    own("%%layer Bad\ninput (b, n)\nweight k (n, 3)\nx @ k.T")
    text = own("Bad()(np.zeros((2, 5)))")
    assert "%%layer Bad, line 4\n    x @ k.T\n    ^^^^^^^\n'x @ k.T' failed for k (5, 3), x (2, 5)" in text
    assert "File " not in text


def test_tensors_of_a_call_are_one_list(said):
    said("%%model two --quiet\ninput a 4\ninput b 4\na + b")
    text = said("two(np.zeros((2, 4)), np.zeros((2, 4)))")
    assert "A call takes its tensors as one argument; 2 came, one by one.  Write 'two([a, b])'." in text
    assert "File " not in text


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            "Linear -1",
            "the weight 'kernel' cannot have this shape: units is -1, and a size is a whole number.",
        ),
        ("Linear 'a'", "the weight 'kernel' cannot have this shape: units is 'a'"),
    ],
)
def test_a_size_that_is_none_is_named(said, use, message):
    said("%%layer Linear(units=3)\ninput (..., n)\nweight kernel (n, units)\nx @ kernel")
    text = said(f"%%model net\ninput 4\n{use}")
    assert "%%model net, line 3" in text
    assert message in text


def test_any_error_of_a_constructor_is_an_error_of_the_cell(own):
    own(
        "class Choosy(km.layers.Layer):\n    def __init__(self, **k):\n        raise RuntimeError('not today')"
    )
    text = own("%%model net\ninput 4\nChoosy\ndense 3")
    assert "%%model net, line 3\n    Choosy\n    ^^^^^^\nRuntimeError: not today" in text
    assert "raise RuntimeError('not today')" in text


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
