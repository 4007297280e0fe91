"""Completion while somebody types: at every place of every cell, soon, and without an error."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from kerasmagic.magics.complete import CellCompleter
from tests.language.test_mistakes import CASES

ARCHITECTURES = sorted((Path(__file__).parents[1] / "assembly" / "architectures").glob("*.km"))
NAMESPACE = {"n_classes": 10, "n_heads": 2, "name": "x", "_hidden": 1}
SECONDS = 0.05


def _found(text: str, namespace: dict[str, object] | None = None) -> dict[str, str]:
    """Return what is offered at the end of a cell."""
    lines = text.split("\n")
    _, found = CellCompleter().at(text, len(lines) - 1, len(lines[-1]), namespace or NAMESPACE)
    return {each.text: each.meaning for each in found}


@pytest.mark.parametrize("path", ARCHITECTURES, ids=lambda path: path.stem)
def test_every_prefix_completes(path: Path) -> None:
    completer = CellCompleter()
    # Shapes have tests of their own; what is read here is the text.
    completer.previews.flowing = lambda *_, **__: None  # type: ignore[method-assign]
    lines = f"%%model m\n{path.read_text()}".split("\n")
    for row in range(1, len(lines)):
        text = "\n".join(lines[: row + 1])
        for column in range(len(lines[row]) + 1):
            completer.at(text, row, column, NAMESPACE)


@pytest.mark.parametrize("magic", ["%%model m", "%%layer L(units=3)"])
def test_every_place_of_a_wrong_cell_completes(magic: str) -> None:
    rng = random.Random(0)
    completer = CellCompleter()
    for cell, *_ in CASES:
        text = "\n".join([magic, *cell.split("\n")[1:]])
        lines = text.split("\n")
        row = rng.randrange(1, len(lines))
        completer.at(text, row, rng.randrange(len(lines[row]) + 1), NAMESPACE)


def test_a_step_that_needs_arguments_shows_usual_ones_and_the_shape() -> None:
    found = _found("%%model m\ninput 28x28x1\nco")
    assert found["conv"] == "conv 32 3 gives (batch, 26, 26, 32)"
    found = _found("%%model m\ninput 10x8\nlst")
    assert found["lstm"] == "lstm 64 gives (batch, 64)"


def test_what_fits_comes_first() -> None:
    found = list(_found("%%model m\ninput 8x8x1\nmax"))
    assert found[0] == "maxpool"
    assert found.index("maxpooling2d") < found.index("maxpooling1d")
    found = list(_found("%%model m\ninput 8x8x1\nflatten\nglobal"))
    assert "globalmaxpooling2d" in found


@pytest.mark.parametrize(
    ("line", "shape"),
    [
        ("conv 4 3 -> ma", "(batch, 3, 3, 4)"),
        ("x = ma", "(batch, 4, 4, 1)"),
        ("x = conv 4 3 -> ma", "(batch, 3, 3, 4)"),
        ("(ma", "(batch, 4, 4, 1)"),
        ("(conv 4 3 -> ma", "(batch, 3, 3, 4)"),
        ("conv {n_classes} 3 -> ma", "(batch, 3, 3, 10)"),
    ],
)
def test_the_shape_is_that_of_this_place(line: str, shape: str) -> None:
    assert _found(f"%%model m\ninput 8x8x1\n{line}")["maxpool"] == shape


def test_a_wrong_line_above_does_not_stop_it() -> None:
    assert _found("%%model m\ninput 8x8x1\nconvv 3\nma")["maxpool"] == "(batch, 4, 4, 1)"


@pytest.mark.parametrize(
    ("text", "expected", "missing"),
    [
        ("%%model m\ndense {n_c", ["n_classes"], ["_hidden", "conv"]),
        ("%%model m\nfor f in 1, 2:\n    conv ", ["f", "filters="], []),
        ("%%model m\nblock r(width):\n    dense wi", ["width"], []),
        ("%%model m\nblock residual(f):\n    dense f\nres", ["residual", "reshape"], []),
        ("%%model m\nhidden = dense 3\n[hi", ["hidden"], []),
        ("%%model m\nconv 3 3 activation=", ["relu"], ["same"]),
        ("%%model m\nconv 3 3 kernel_initializer=he", ["he_normal", "he_uniform"], ["relu"]),
        ("%%layer L(units=3)\ninput (..., n)\nweight kernel (n, un", ["units"], []),
        ("%%layer L(units=3)\ninput (..., n)\nweight kernel (n, units)\nx @ ke", ["kernel"], []),
        ("%%layer L\njnp.tan", ["jnp.tanh", "jnp.tan"], []),
        ("%%layer L\nx * jn", ["jnp"], []),
    ],
)
def test_what_is_offered(text: str, expected: list[str], missing: list[str]) -> None:
    found = _found(text)
    assert [word for word in expected if word not in found] == []
    assert [word for word in missing if word in found] == []


def test_nobody_waits() -> None:
    """Every key, from the second on, at any length of the cell."""
    slow = []
    for path in ARCHITECTURES:
        completer = CellCompleter()
        text = f"%%model m\n{path.read_text().partition('compile')[0].rstrip()}\n"
        lines = text.split("\n")
        for key in ("", "d", "de"):
            began = time.process_time()
            completer.at(text + key, len(lines) - 1, len(key), NAMESPACE)
            if key:
                slow.append(time.process_time() - began)
    assert sorted(slow)[len(slow) // 2] < SECONDS
