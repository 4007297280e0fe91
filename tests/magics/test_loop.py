"""Running a cell again and again: kept weights, differences, trials, help, settings, completion."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from IPython.core.completer import provisionalcompleter

from kerasmagic.foundation.errors import KerasMagicError
from kerasmagic.magics import doctor
from kerasmagic.magics.failure import CellError

TEXT = "input 4\ndense 3 relu\ndense 2\ncompile adam, mse\n"


def _train(ip):
    ip.run_cell_magic("model", "m --quiet", TEXT)
    ip.user_ns["m"].fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)
    return ip.user_ns["m"].layers[1].get_weights()[0]


def test_weights_are_kept_and_the_table_says_so(ip, capsys):
    kernel = _train(ip)
    ip.run_cell_magic("model", "m", TEXT.replace("dense 2", "dropout 0.5\ndense 5"))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    said = {row[1]: row[-1] for row in rows if len(row) > 2 and row[0].isdigit()}
    assert (said["dense"], said["dropout"], said["dense_1"]) == ("kept", "new", "changed")
    np.testing.assert_array_equal(ip.user_ns["m"].layers[1].get_weights()[0], kernel)


@pytest.mark.parametrize("how", ["option", "setting"])
def test_a_fresh_start(ip, how):
    kernel = _train(ip)
    if how == "setting":
        ip.run_line_magic("config", "KerasMagic.keep_weights = False")
    ip.run_cell_magic("model", "m --quiet --fresh" if how == "option" else "m --quiet", TEXT)
    assert np.any(ip.user_ns["m"].layers[1].get_weights()[0] != kernel)


def test_the_difference_is_shown(ip, capsys):
    ip.run_cell_magic("model", "m --quiet", TEXT)
    ip.run_cell_magic("model", "m --quiet --diff", TEXT.replace("dense 3", "dense 7"))
    assert capsys.readouterr().out == "- dense 3 relu\n+ dense 7 relu\n"


def test_a_layer_is_tried(ip, capsys):
    cell = "input (..., n)\nweight kernel (n, units)\nx @ kernel\n"
    ip.run_cell_magic("layer", "Linear(units=3) --try 4x5", cell)
    shown = capsys.readouterr().out
    assert "Linear: (4, 5) -> (4, 3)" in shown
    assert "(n, units)" in shown
    assert shown.count("agrees") == 2


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("L --try 4y5", "is no shape"),
        ("L --try 4x5,4x5", "has 1 input; 2 shapes"),
        ("L(u) --try 3", "give u a default"),
    ],
)
def test_a_trial_that_cannot_be(ip, line, expected):
    with pytest.raises(CellError) as caught:
        ip.run_cell_magic("layer", line, "2 * x\n")
    assert expected in "\n".join(caught.value._render_traceback_())
    assert "L" not in ip.user_ns


@pytest.mark.parametrize("magic", ["model", "layer"])
def test_help(ip, capsys, magic):
    ip.run_line_magic(magic, "--help")
    assert "--traceback" in capsys.readouterr().out


def test_the_table_up_to_a_wrong_line(ip):
    with pytest.raises(CellError) as caught:
        ip.run_cell_magic("model", "m", "input 8x8x1\nconv 4 3\nmaxpool 2\nconv 8 7\n")
    text = "\n".join(caught.value._render_traceback_())
    assert "Up to this line:" in text
    assert "max_pooling2d" in text


def test_the_doctor(ip, capsys, monkeypatch):
    ip.run_line_magic("kerasmagic", "doctor")
    shown = capsys.readouterr().out
    for name in ("kerasmagic", "jax", "devices", "memory limit", "compile cache", "front end"):
        assert name in shown
    monkeypatch.setenv("KERASMAGIC_MEMORY_LIMIT", "2G")
    assert "2.0 GiB" in doctor.report("1")
    monkeypatch.setenv("KERASMAGIC_MEMORY_LIMIT", "none")
    assert "not known" in doctor.report("1")


def _completions(ip, text):
    with provisionalcompleter():
        return [each.text for each in ip.Completer.completions(text, len(text))]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("%%model m\ninput 8x8x1\nmax", "maxpool"),
        ("%%model m\ninput 8\nden", "dense"),
        ("%%model m\ninput 8x8x1\nconv 4 3 sa", "same"),
        ("%%model m\ninput 8x8x1\nconv 4 3 kernel_in", "kernel_initializer="),
        ("%%model m\ninput 4\nhidden = dense 3\nhid", "hidden"),
        ("%%model m\ninput 4\ndense 3\ncompile ad", "adam"),
        ("%%layer L\nwei", "weight"),
    ],
)
def test_tab(ip, text, first):
    assert _completions(ip, text)[0] == first


def test_tab_knows_the_shape_and_leaves_other_cells_alone(ip):
    with provisionalcompleter():
        found = {c.text: c.type for c in ip.Completer.completions("%%model m\ninput 8x8x1\nmax", 25)}
    assert found["maxpool"].replace("\u00a0", " ") == "(batch, 4, 4, 1)"
    assert "maxpool" not in _completions(ip, "x = 1\nmaxp")


def test_unloading_leaves_nothing(ip):
    before = len(ip.configurables)
    for _ in range(3):
        ip.run_line_magic("reload_ext", "kerasmagic")
    assert len(ip.configurables) == before
    ip.run_line_magic("unload_ext", "kerasmagic")
    assert not [m for m in ip.Completer.custom_matchers if getattr(m, "of_kerasmagic", False)]
    assert "KerasMagic" not in {type(c).__name__ for c in ip.configurables}
    tables = ip.magics_manager.magics
    assert not {"model", "layer", "layers", "kerasmagic"} & {*tables["cell"], *tables["line"]}
    ip.run_line_magic("load_ext", "kerasmagic")


def _state(ip):
    """Return everything of a shell that an extension could leave something in."""
    return {
        "magics": {kind: sorted(names) for kind, names in ip.magics_manager.magics.items()},
        "registry": sorted(ip.magics_manager.registry),
        "configurables": [type(each).__name__ for each in ip.configurables],
        "matchers": list(ip.Completer.custom_matchers),
        "events": {name: list(found) for name, found in ip.events.callbacks.items()},
        "transformers": [*ip.input_transformers_cleanup, *ip.input_transformers_post, *ip.ast_transformers],
        "exceptions": ip.custom_exceptions,
        "attributes": sorted(ip.__dict__),
        "printers": {
            name: (len(each.type_printers), len(each.deferred_printers))
            for name, each in ip.display_formatter.formatters.items()
        },
        "hooks": (sys.excepthook, sys.displayhook),
        "names": sorted(name for name in ip.user_ns if not name.startswith("_")),
        "settings": repr(ip.config),
        "errors": "_render_traceback_" in vars(KerasMagicError),
    }


def test_unloading_restores_the_shell(ip):
    # IPython makes its own magics as they are first used.
    ip.run_line_magic("config", "KerasMagic")
    ip.run_line_magic("unload_ext", "kerasmagic")
    before = _state(ip)
    ip.run_line_magic("load_ext", "kerasmagic")
    assert _state(ip) != before
    ip.run_line_magic("config", "KerasMagic.table = False")
    ip.run_cell_magic("model", "m --quiet", TEXT)
    ip.run_line_magic("reload_ext", "kerasmagic")
    ip.run_line_magic("unload_ext", "kerasmagic")
    del ip.user_ns["m"]
    assert _state(ip) == before
    ip.run_line_magic("load_ext", "kerasmagic")


@pytest.mark.parametrize("magic", ["model", "layer"])
def test_braces_and_dollars_are_the_cells_own(ip, magic):
    ip.user_ns.update(units=3, HOME="x")
    cell = "input 4\n# $HOME {units}\ndense {units} name='a$HOME'\n"
    if magic == "layer":
        cell = "input (..., n)\nweight kernel (n, {units})\n# $HOME {units}\nx @ kernel\n"
    ip.run_cell(f"%%{magic} Mine\n{cell}")
    assert "Mine" in ip.user_ns
