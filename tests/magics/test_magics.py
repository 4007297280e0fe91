"""The magics as a user of IPython meets them."""

import numpy as np
import pytest
from IPython.core.error import UsageError

import kerasmagic as keras
from kerasmagic.magics.failure import CellError
from kerasmagic.magics.line import Option, read_line

DIGITS = """input 8x8x1
conv 4 3 same relu
flatten
dense 10 softmax
compile adam 1e-3, sparse_categorical_crossentropy, accuracy
"""


def test_a_model_is_bound_and_shown(ip, capsys):
    ip.run_cell_magic("model", "digits", DIGITS)
    digits = ip.user_ns["digits"]
    assert digits.output_shape == (None, 10)
    printed = capsys.readouterr().out
    assert "conv2d" in printed
    assert "batch" in printed
    digits.fit(np.ones((4, 8, 8, 1)), np.zeros(4), verbose=0)


def test_quiet_shows_nothing(ip, capsys):
    ip.run_cell_magic("model", "digits --quiet", DIGITS)
    assert capsys.readouterr().out == ""


def test_a_layer_is_bound_and_is_a_step(ip):
    ip.run_cell_magic("layer", "Linear(units=32)", "input (..., n)\nweight kernel (n, units)\nx @ kernel\n")
    assert issubclass(ip.user_ns["Linear"], keras.layers.Layer)
    ip.run_cell_magic("model", "small --quiet", "input 4\nLinear 7\n")
    assert ip.user_ns["small"].output_shape == (None, 7)


def test_python_values_come_from_the_notebook(ip):
    ip.user_ns["classes"] = 6
    ip.run_cell_magic("model", "m --quiet", "input 4\ndense {classes}\n")
    assert ip.user_ns["m"].output_shape == (None, 6)


def test_running_a_cell_again_rebinds(ip):
    ip.run_cell_magic("model", "m --quiet", "input 4\ndense 2\n")
    first = ip.user_ns["m"]
    ip.run_cell_magic("model", "m --quiet", "input 4\ndense 3\n")
    assert ip.user_ns["m"] is not first
    assert [layer.name for layer in ip.user_ns["m"].layers] == ["input", "dense"]


@pytest.mark.parametrize(
    ("line", "cell", "expected"),
    [
        (
            "m",
            "input 8x8x1\nconv 16 3 same rleu\n",
            ["%%model m, line 3", "same rleu", "^^^^", "Did you mean 'relu'"],
        ),
        ("m", "input 8\nconvv 3\n", ["line 3", "Did you mean 'conv'"]),
        ("m", "\n", ["%%model m", "needs at least one step"]),
        ("m", "# nothing here\n", ["needs at least one step"]),
        ("", "input 8\ndense 1\n", ["needs a name"]),
        ("1m", "input 8\ndense 1\n", ["cannot be the name"]),
        ("m --loud", "input 8\ndense 1\n", ["no option --loud"]),
        ("m", "input 4\ndense 2 rate=1\n", ["line 3", "rate"]),
        ("m", "input 4x4x1\nconv 4 9\n", ["line 3", "from 'input' of line 2"]),
        ("m", "input 4\ndense -2\n", ["line 3", "units"]),
        ("m", "input 4\ndense 2\ncompile adam, mze\n", ["line 4", "Did you mean 'mse'"]),
        ("m", "input 4\ndens 2\ndropot 0.5\n", ["line 3", "line 4"]),
    ],
)
def test_a_mistake_is_explained_and_the_old_model_stays(ip, line, cell, expected):
    ip.run_cell_magic("model", "m --quiet", "input 4\ndense 2\n")
    good = ip.user_ns["m"]
    with pytest.raises(CellError) as caught:
        ip.run_cell_magic("model", line, cell)
    shown = "\n".join(caught.value._render_traceback_())
    for part in expected:
        assert part in shown
    assert ip.user_ns["m"] is good


@pytest.mark.parametrize(
    ("line", "cell", "expected"),
    [
        (
            "Linear(units=3)",
            "input (..., n)\nweight k (n, unit)\nx @ k\n",
            ["%%layer Linear, line 3", "'units'"],
        ),
        ("Linear", "\n", ["computes nothing"]),
        ("", "x\n", ["name"]),
        ("Linear --foo", "x\n", ["no option --foo"]),
    ],
)
def test_mistakes_in_layers_are_explained(ip, line, cell, expected):
    with pytest.raises(CellError) as caught:
        ip.run_cell_magic("layer", line, cell)
    shown = "\n".join(caught.value._render_traceback_())
    for part in expected:
        assert part in shown


@pytest.mark.parametrize("magic", ["model", "layer"])
def test_a_cell_without_a_body_is_one_line_by_ipython(ip, magic):
    with pytest.raises(UsageError, match="cell body is empty"):
        ip.run_cell_magic(magic, "m", "")


def test_the_whole_traceback_on_request(ip):
    with pytest.raises(keras.foundation.errors.DefinitionError):
        ip.run_cell_magic("model", "m --traceback", "input 4\ndens 2\n")


def test_loading_twice_and_unloading(ip):
    ip.run_line_magic("load_ext", "kerasmagic")
    ip.run_line_magic("reload_ext", "kerasmagic")
    ip.run_cell_magic("model", "m --quiet", "input 4\ndense 2\n")
    ip.run_line_magic("unload_ext", "kerasmagic")
    assert "model" not in ip.magics_manager.magics["cell"]
    assert ip.user_ns["m"].output_shape == (None, 2)
    ip.run_line_magic("load_ext", "kerasmagic")
    assert "model" in ip.magics_manager.magics["cell"]


def test_layers_lists_and_explains(ip, capsys):
    ip.run_cell_magic("layer", "Mine", "x * 2\n")
    ip.run_line_magic("layers", "")
    printed = capsys.readouterr().out
    assert "Mine  (of this notebook)" in printed
    assert any(line.split() == ["Dense", "fc"] for line in printed.splitlines())
    ip.run_line_magic("layers", "conv")
    assert "Conv1D(filters" in capsys.readouterr().out


def test_training_shows_plain_progress_in_the_terminal(ip, capsys):
    ip.run_cell_magic("model", "m --quiet", "input 4\ndense 2\ncompile sgd, mse\n")
    ip.user_ns["m"].fit(np.ones((4, 4)), np.ones((4, 2)), epochs=2)
    assert "Epoch 2/2" in capsys.readouterr().out


def test_the_line_of_a_magic():
    options = (Option("quiet", "show nothing"), Option("try", "run it", "4x16"))
    parsed = read_line("%%model", "  digits --quiet", options)
    assert (parsed.subject, parsed.column, parsed.options) == ("digits", 11, {"quiet": ""})
    parsed = read_line("%%layer", "L(a=1, b='--x') --try 4x8,2x2 --quiet", options)
    assert (parsed.subject, parsed.options) == ("L(a=1, b='--x')", {"try": "4x8,2x2", "quiet": ""})
    with pytest.raises(
        keras.foundation.errors.DefinitionError, match="--try needs a value: write '--try 4x16'"
    ):
        read_line("%%layer", "L --try", options)
