"""Loops, blocks and repetition written out, and their limits."""

from __future__ import annotations

import pytest

from kerasmagic.foundation.errors import DefinitionErrors, Span
from kerasmagic.language import definition as d
from kerasmagic.language import parse_model, print_model, read_model
from kerasmagic.language import resolved as r
from kerasmagic.language.expand import expand
from kerasmagic.language.limits import MAX_STEPS
from tests.language.test_check import bound, flow
from tests.language.words import VOCABULARY


def written_out(text: str) -> str:
    """Return the text of the expanded model; a block's use stands as its name."""
    body, errors = expand(parse_model(text).body)
    assert not errors
    return print_model(d.ModelDefinition(body))


CASES = [
    ("for f in 64, 128:\n  dense f -> relu", "dense 64 -> relu\ndense 128 -> relu\n"),
    ("for f, n in (8, 1), 4x2:\n  (dense f) * n", "dense 8\ndense 4 -> dense 4\n"),
    ("for f in 1, 2:\n  for g in 3, 4:\n    dense f g", "dense 1 3\ndense 1 4\ndense 2 3\ndense 2 4\n"),
    ("for a in relu, tanh:\n  dense 3 activation=a", "dense 3 activation=relu\ndense 3 activation=tanh\n"),
    ("for a in relu, tanh:\n  a", "relu\ntanh\n"),
    ("for l in dense, lstm:\n  l 3", "dense 3\nlstm 3\n"),
    ("for l in Dense(3), {layer}:\n  l", "Dense(3)\n{layer}\n"),
    ("for f in 8, 16:\n  dense (4*f) [f, f]", "dense 32 [8, 8]\ndense 64 [16, 16]\n"),
    ("for f in 9:\n  dense (f//2) l2(f)", "dense 4 l2(9)\n"),
    ("for f in 1, 2:\n  x = dense f", "x = dense 1\nx = dense 2\n"),
    ("for i in range(3), 9:\n  dense (i + 1)", "dense 1\ndense 2\ndense 3\ndense 10\n"),
    ("for i in range(6, 0, -3):\n  dense i", "dense 6\ndense 3\n"),
    ("block b(n):\n  relu\nfor n in 3:\n  for i in range(1, n):\n    dense i", "dense 1\ndense 2\n"),
    ("(a -> b) * 3", "a -> b -> a -> b -> a -> b\n"),
    ("((a) * 2 -> b) * 2", "a -> a -> b -> a -> a -> b\n"),
    ("(a) * 2 + b", "(a -> a) + b\n"),
    ("for n in 2: c -> (a) * n", "c -> a -> a\n"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_written_out(text, expected):
    # A repetition inside a chain stays a group only where something is merged with it.
    assert written_out(text) == expected


def scopes(text: str) -> list[list[object]]:
    model = read_model(text, VOCABULARY)
    return [flow(s if isinstance(s, r.ResolvedChain) else s.chain) for s in model.body]


def inside(text: str) -> list[list[r.ResolvedStep]]:
    """Return the steps of the first line of every block that is used."""
    scopes = [
        e for s in read_model(text, VOCABULARY).body if isinstance(s, r.ResolvedChain) for e in s.elements
    ]
    firsts = [scope.body[0] for scope in scopes if isinstance(scope, r.ResolvedScope)]
    lines = [line for line in firsts if isinstance(line, r.ResolvedChain)]
    return [[e for e in line.elements if isinstance(e, r.ResolvedStep)] for line in lines]


def test_a_block_is_a_scope_with_its_arguments():
    text = "block b(f, k=3, act=relu):\n  dense f -> lstm k act\n  + in\nb 8\nb 4 k=5 act=tanh\nb(2, 1)"
    found = [[bound(step.arguments) for step in steps] for steps in inside(text)]
    assert found == [
        [{"units": 8}, {"units": 3, "activation": "relu"}],
        [{"units": 4}, {"units": 5, "activation": "tanh"}],
        [{"units": 2}, {"units": 1, "activation": "relu"}],
    ]


def test_blocks_use_blocks():
    text = "block one(f): dense f\nblock two(f):\n  one f\n  one (2*f)\ntwo 4"
    assert scopes(text) == [[("two", [[("one", [["Dense"]])], [("one", [["Dense"]])]])]]


def test_a_tensor_can_be_handed_to_a_block():
    text = "input a 3\nb = relu\nblock join(t):\n  [in, t] -> add\njoin b"
    assert scopes(text)[-1] == [("join", [[[["in"], ["b"]], "Add"]])]


def test_a_tensor_of_the_block_does_not_hide_the_one_handed_in():
    text = "input a 3\ny = relu\nblock join(t):\n  y = dense 3\n  y + t\njoin y"
    assert scopes(text)[-1] == [("join", [["Dense"], [[["y__1"], ["y"]], "Add"]])]


def test_python_in_a_block_knows_the_parameters():
    [[dense]] = inside("block wide(f, g):\n  dense {f * 2 + len(gs)}\nwide 8 9")
    value = dense.arguments[0].value
    assert (value.source, value.bindings) == ("f * 2 + len(gs)", (("f", 8),))


def test_an_error_about_a_value_points_at_the_value():
    with pytest.raises(DefinitionErrors) as caught:
        read_model("block r(act):\n  dense 3 act\nr relu\nr rleu", VOCABULARY)
    (error,) = caught.value.errors
    assert error.span == Span(4, 3, 4, 7)


TOO_MUCH = {
    "repeat": "(dense 1) * 1000000000",
    "nested repeat": "(" * 15 + "dense 1" + ") * 999" * 15,
    "repeat of repeats": "(dense 1)" + " * 2" * 60,
    "loops": "".join(f"{' ' * i}for v{i} in 1, 2, 3, 4:\n" for i in range(15)) + " " * 15 + "dense v0",
    "loops of nothing": "".join(f"{' ' * i}for v{i} in 1, 2, 3:\n" for i in range(15)) + " " * 15 + "input 3",
    "blocks": "block b0: dense 1\n"
    + "".join(f"block b{i}: b{i - 1} -> b{i - 1}\n" for i in range(1, 19))
    + "b18",
    "blocks of no step": "block b0: + in\n"
    + "".join(f"block b{i}: b{i - 1} -> b{i - 1}\n" for i in range(1, 19))
    + "b18",
    "a block in itself": "block a: b\nblock b: a\na",
    "a deep block": "".join(f"block b{i}: b{i + 1}\n" for i in range(30)) + "block b30: relu\nb0",
    "deep brackets in deep blocks": f"block b0: {'(' * 18}relu{')' * 18}\n"
    + "".join(f"block b{i}: {'(' * 18}b{i - 1}{')' * 18}\n" for i in range(1, 19))
    + "b18",
    "values": "block b0(x): dense x\n"
    + "".join(f"block b{i}(x): b{i - 1} [x, x]\n" for i in range(1, 19))
    + "b18 3",
    "python values": "block b0(x, y): dense x\n"
    + "".join(f"block b{i}(x, y): b{i - 1} {{x+y}} {{y-x}}\n" for i in range(1, 19))
    + "b18 {p} {q}",
    "numbers": "block b0(x): dense x\n"
    + "".join(f"block b{i}(x): b{i - 1} (x*x)\n" for i in range(1, 19))
    + "b18 99999",
    "brackets": "dense " + "(" * 60 + "1" + ")" * 60,
    "bodies": "".join(" " * i + "for f in 1:\n" for i in range(60)) + " " * 60 + "relu",
    "text": "a" * 100_001,
    "digits": "dense " + "9" * 5000,
    "infinity": "dense 1e999",
    "size": "input 9" + "9" * 5000 + "x3",
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_too_much_is_refused(name):
    with pytest.raises(DefinitionErrors) as caught:
        read_model(TOO_MUCH[name], VOCABULARY)
    words = ("more than", "uses itself", "too", "at most", "outermost")
    assert any(word in error.message for error in caught.value.errors for word in words)


def test_the_limit_itself_is_allowed():
    model = read_model(f"(relu) * {MAX_STEPS}", VOCABULARY)
    assert model.steps is not None
    assert len(model.steps) == MAX_STEPS
    with pytest.raises(DefinitionErrors, match="more than 10,000 steps"):
        read_model(f"(relu) * {MAX_STEPS + 1}", VOCABULARY)
