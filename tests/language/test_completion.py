"""What can stand at the cursor."""

from __future__ import annotations

import pytest

from kerasmagic.language.completion import Place, candidates, names_in, place_of
from tests.language.words import VOCABULARY


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("", Place("", "step", starts_line=True)),
        ("co", Place("co", "step", starts_line=True)),
        ("    co", Place("co", "step", starts_line=True)),
        ("conv 3 3 -> ma", Place("ma", "step")),
        ("x = den", Place("den", "step")),
        ("(conv 3 3 -> re", Place("re", "step")),
        ("[a, b -> de", Place("de", "step")),
        ("+ x", Place("x", "step")),
        ("conv 3 ", Place("", "argument", "conv")),
        ("conv 3 3 sa", Place("sa", "argument", "conv")),
        ("a -> dense 3 re", Place("re", "argument", "dense")),
        ("Dense(3, act", Place("act", "argument", "Dense")),
        ("dense 3 activation=re", Place("re", "value", "dense", "activation")),
        ("input image 8x8 ui", Place("ui", "argument", "input")),
        ("compile ad", Place("ad", "compile")),
        ("compile adam, ms", Place("ms", "compile", part=1)),
        ("compile adam cl", Place("cl", "argument", "adam")),
        ("compile adam, loss=ms", Place("ms", "compile", parameter="loss", part=1)),
        ("# a com", None),
        ("dense {n", Place("n", "python")),
        ('dense 3 name="a', None),
    ],
)
def test_the_place_is_known(line, place):
    assert place_of(line) == place


@pytest.mark.parametrize(
    ("line", "expected", "missing"),
    [
        ("con", ["conv"], ["dense"]),
        ("Den", ["Dense"], ["conv"]),
        ("", ["input", "conv", "relu", "hidden"], []),
        ("conv 3 3 sa", ["same"], ["valid"]),
        ("conv 3 3 use", ["use_bias"], []),
        ("conv 3 3 kernel_i", ["kernel_initializer="], []),
        ("conv 3 3 padding=", ["same", "valid"], ["relu"]),
        ("dense 3 activation=re", ["relu"], ["dense"]),
        ("dense 3 use_bias=", ["true", "false"], []),
        ("compile a", ["Adam"], ["mse"]),
        ("compile adam, m", ["mse"], ["adam"]),
        ("output h", ["hidden"], []),
        ("nosuchlayer 3 ", [], ["same"]),
    ],
)
def test_what_fits_is_offered(line, expected, missing):
    place = place_of(line)
    assert place is not None
    found = [each.text for each in candidates(place, VOCABULARY, ["hidden"])]
    assert [word for word in expected if word not in found] == []
    assert [word for word in missing if word in found] == []


def test_names_of_a_cell():
    text = "input image 8x8x1\nblock b(f):\n    y = conv f 3\nlayer e = dense 3\nh, c = lstm 4\ninput 4"
    assert set(names_in(text)) == {"image", "b", "y", "e", "h", "c"}
