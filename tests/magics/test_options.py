"""The options of all magics: one way to write, to refuse and to explain them."""

from __future__ import annotations

import re

import pytest

from kerasmagic.magics import doctor, layer, layers, model

MAGICS = {"%%model": model, "%%layer": layer, "%layers": layers, "%kerasmagic": doctor}
SUBJECTS = {"%%model": "m", "%%layer": "L", "%layers": "dense", "%kerasmagic": "doctor"}
_COLORS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def said(ip, capsys):
    """Return what a magic prints."""

    def run(magic: str, line: str) -> str:
        capsys.readouterr()
        ip.run_cell(f"{magic} {line}" + ("\ninput 4\ndense 2" if magic.startswith("%%") else ""))
        return _COLORS.sub("", "".join(capsys.readouterr()))

    return run


@pytest.mark.parametrize("magic", MAGICS)
def test_help_lists_the_options_and_is_the_documentation(ip, said, magic):
    text = said(magic, "--help")
    for option in (*MAGICS[magic].OPTIONS, "--help"):
        assert f"[{getattr(option, 'spelled', option)}]" in text
    assert said(magic, f"{SUBJECTS[magic]} --help") == text
    kind = "cell" if magic.startswith("%%") else "line"
    documented = ip.find_magic(magic.strip("%"), magic_kind=kind).__doc__
    assert documented.startswith(text.rstrip())
    assert "Example" in documented


@pytest.mark.parametrize("magic", MAGICS)
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--tracebak", "has no option --tracebak. It has .*--help.  Did you mean '--traceback'?"),
        ("-h", "has no option -h. .*Did you mean '--help'?"),
        ("--traceback=yes", "--traceback takes no value.  Write '--traceback'."),
    ],
)
def test_an_option_that_does_not_exist_is_pointed_at(said, magic, option, message):
    subject = SUBJECTS[magic]
    text = said(magic, f"{subject} {option}")
    caret = "^" * len(option.partition("=")[0])
    assert f"    {magic} {subject} {option}\n    {' ' * len(f'{magic} {subject} ')}{caret}\n" in text
    assert re.search(message.replace("?", r"\?"), text)
    assert "Traceback" not in text


@pytest.mark.parametrize(("magic", "line"), [("%layers", "dens"), ("%kerasmagic", "doctr")])
def test_a_wrong_word_is_an_error_without_a_traceback_unless_it_is_wanted(ip, said, magic, line):
    assert re.search(r"\^\^\^+\nThere is no .*Did you mean '", said(magic, line))
    assert "Traceback" not in said(magic, line)
    assert "Traceback" in said(magic, f"{line} --traceback")
    ip.run_line_magic("config", "KerasMagic.traceback = True")
    found = said(magic, line)
    ip.run_line_magic("config", "KerasMagic.traceback = False")
    assert "Traceback" in found


def test_values_of_options_are_written_with_a_blank_or_a_sign(ip, said):
    for written in ("--try 2x4", "--try=2x4"):
        assert "(2, 4)" in said("%%layer", f"L {written}")


def test_a_signature_may_hold_what_looks_like_an_option(ip):
    ip.user_ns["f"] = abs
    cell = "input (..., d)\nweight k (d, units)\nx @ k"
    ip.run_cell(f"%%layer Lin(units={{1 + 2}}, shift= -1, f={{f}})\n{cell}")
    made = ip.user_ns["Lin"]()
    assert (made.units, made.shift, made.f) == (3, -1, abs)


def test_ipython_leaves_the_braces_and_dollars_of_a_cell_alone(ip):
    ip.user_ns.update(n=3, kernel="he_normal")
    ip.run_cell(
        '%%model m --quiet\ninput 4 # $n {n}\ndense {n} kernel_initializer={kernel}\ndense {dict(a=2)["a"]}'
    )
    assert [layer.units for layer in ip.user_ns["m"].layers[1:]] == [3, 2]
    # The name on the line of the magic is IPython's to fill in, as in any magic.
    ip.run_cell("%%model m_$n --quiet\ninput 4\ndense 2")
    assert "m_3" in ip.user_ns
