"""The cells that the description of the language shows are right, and what they define reads back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import kerasmagic as km
import kerasmagic.language
from kerasmagic.core.layer import Layer
from tests.assembly.structures import structure

TEXT = (Path(kerasmagic.language.__path__[0]) / "README.md").read_text(encoding="utf-8")
CELLS = re.findall(r"^```\n(%%(?:model|layer) .*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.split("\n")[0])
def test_a_cell_of_the_description(cell):
    made = km.define(cell)
    if cell.startswith("%%layer"):
        assert issubclass(made, Layer)
        assert made()(km.Input((5, 3))).shape == (None, 5, 4)
        return
    made.__dict__.pop("_definition")
    assert structure(km.define(made.to_text())) == structure(made)


def test_there_are_cells():
    assert len(CELLS) >= 6


STEPS = [
    code
    for row in re.findall(r"^\| (`.*?) \|", TEXT, flags=re.MULTILINE)
    for code in re.findall(r"`([^`]+)`", row)
]
SHAPES = {"conv": "8x8x3", "lstm": "6x4", "bi": "6x4", "td": "6x4", "ops.concatenate": "6x4"}


@pytest.mark.parametrize(
    "step", [step for step in STEPS if re.match(r"[a-z_.{]+( |$)", step) and step not in ("true", "none")]
)
def test_a_step_of_the_description(step):
    names = {"f": 2, "n_classes": 3, "layer": km.layers.Dense(3)}
    step = step.replace("(4 * f)", "(4 * 2)")
    if step.startswith("ops.concatenate"):
        step = f"[x, x] -> {step}"
    model = km.define(
        f"input x {SHAPES.get(step.split()[0], '6')}\nx -> {step}".replace("x -> [x", "[x"), names
    )
    assert len(model.layers) >= 1
