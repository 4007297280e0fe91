"""Help in a cell: ``conv?`` on a line, Shift-Tab at a place, ``%%model?``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import kerasmagic as keras
from kerasmagic.magics.help import Inspector, asked, help_at

MODEL = "%%model m\ninput 28x28x1\nconv 16 3 same relu\nx = dense 4\ncompile adam, mse"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (
            "input 28x28x1\nconv?",
            ["conv FILTERS KERNEL_SIZE", "strides", "(batch, 28, 28, 1) -> (batch, 26, 26, 32)"],
        ),
        (
            "?lstm",
            [
                "lstm UNITS",
                "return_sequences",
                "(batch, 10, 8) -> (batch, 64)",
                "LSTM(units, activation='tanh'",
            ],
        ),
        ("input 8\nconv 16 3 strides?", ["strides: an argument of Conv2D", "/2"]),
        ("conv 16 3?", ["conv FILTERS KERNEL_SIZE"]),
        ("relu ?", ["relu: an activation", "dense 64 relu"]),
        ("compile??", ["optimizer, loss, metrics", "compile adam 1e-3"]),
        ("compile adam?", ["adam: an optimizer", "learning_rate"]),
        ("l2?", ["l2: a regularizer", "0.01 if not given"]),
        ("block r(f):\n    dense f\nr?", ["a name of this cell, given on line 2"]),
        ("ops.mean?", ["ops.mean(x, axis=None, keepdims=False)"]),
        ("convv?", ["means nothing"]),
    ],
)
def test_a_line_can_ask(ip: Any, capsys: Any, cell: str, expected: list[str]) -> None:
    ip.run_cell_magic("model", "m", f"{cell}\n")
    shown = capsys.readouterr().out
    assert [part for part in expected if part not in shown] == []
    assert "m" not in ip.user_ns


def test_comments_and_text_do_not_ask() -> None:
    assert asked("# why?\ndense 3 name='a?'\n\"what?\"", {}, "%%model m") is None


def test_a_layer_cell_can_ask(ip: Any, capsys: Any) -> None:
    ip.run_cell_magic("layer", "L", "jnp.tanh?\n")
    assert "jnp.tanh(x" in capsys.readouterr().out


def test_a_layer_of_the_notebook_has_help(ip: Any) -> None:
    ip.run_cell_magic("layer", "Linear(units=3)", "input (..., n)\nweight k (n, units)\nx @ k\n")
    told = help_at("%%model m\ninput 4\nLinear", ip.user_ns)
    assert told is not None
    assert "(batch, 4) -> (batch, 3)" in told


@pytest.mark.parametrize(
    ("word", "expected"), [("conv 16", "conv FILTERS"), ("relu", "relu: an"), ("input", "input: ")]
)
def test_help_at_a_place(word: str, expected: str) -> None:
    told = help_at(MODEL, {}, MODEL.index(word) + 2)
    assert told is not None
    assert told.startswith(expected)


def test_help_everywhere_in_a_cell() -> None:
    for place in range(len(MODEL) + 1):
        help_at(MODEL, {}, place)


class _Kernel:
    def do_inspect(self, code: str, cursor_pos: int, detail_level: int = 0) -> dict[str, Any]:
        return {"status": "ok", "found": False, "data": {}}


def test_the_kernel_answers_and_gets_its_method_back() -> None:
    kernel: Any = _Kernel()
    inspector = Inspector(kernel, SimpleNamespace(user_ns={}))
    inspector.install()
    reply = kernel.do_inspect(MODEL, MODEL.index("conv") + 1, 0)
    assert reply["found"]
    assert "conv FILTERS" in reply["data"]["text/plain"]
    assert not kernel.do_inspect("x = conv", 7)["found"]
    inspector.remove()
    assert "do_inspect" not in kernel.__dict__
    assert not kernel.do_inspect(MODEL, MODEL.index("conv") + 1)["found"]


def test_another_wrapper_stays() -> None:
    kernel: Any = _Kernel()
    inspector = Inspector(kernel, SimpleNamespace(user_ns={}))
    inspector.install()
    ours = kernel.do_inspect
    kernel.do_inspect = lambda *args: ours(*args)
    inspector.remove()
    assert not kernel.do_inspect(MODEL, MODEL.index("conv") + 1)["found"]


@pytest.mark.parametrize(
    ("magic", "part"), [("%%model", "conv 16 3 same relu"), ("%%layer", "weight kernel (n, units)")]
)
def test_the_magics_explain_themselves(ip: Any, magic: str, part: str) -> None:
    told = ip.object_inspect_mime(magic)["text/plain"]
    assert "--traceback" in told
    assert part in told


def test_an_instance_of_the_notebook_is_said_to_be_one(ip, capsys):
    ip.user_ns["head"] = keras.layers.Dense(3)
    ip.run_line_magic("layers", "head")
    assert capsys.readouterr().out == "head\n\nA Dense of this notebook; each use of it is the same layer.\n"
    ip.run_cell_magic("model", "m", "input 4\nrelu\nhead\n")
    assert "   4  dense " in capsys.readouterr().out
