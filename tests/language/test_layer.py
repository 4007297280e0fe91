"""``%%layer``: parameters, inputs, weights, and what each line of the call is."""

from __future__ import annotations

from typing import Any

import pytest

from kerasmagic.foundation.errors import DefinitionError, DefinitionErrors
from kerasmagic.language import check_layer, parse_layer, read_layer
from kerasmagic.language import resolved as r
from tests.language.test_check import bound, flow
from tests.language.words import VOCABULARY


def lines(header: str, body: str) -> list[Any]:
    """Return every line of the call: the source of an expression, or a chain as names of layers."""
    out: list[Any] = []
    for line in read_layer(header, body, VOCABULARY).body:
        match line:
            case r.ResolvedExpression(expression, names, update):
                mark = " := " if update else " = "
                out.append(", ".join(names) + mark + expression.source if names else expression.source)
            case r.ResolvedAssignment(names, chain):
                out.append((names, flow(chain)))
            case _:
                out.append(flow(line))
    return out


def test_the_layer_of_weights_and_an_expression():
    text = "input (..., n)\nweight kernel (n, units) glorot_uniform\nweight bias (units,) zeros\nx @ kernel + bias"
    layer = read_layer("Linear(units=32)", text, VOCABULARY)
    assert layer.name == "Linear"
    assert [(p.name, p.required, p.default) for p in layer.parameters] == [("units", False, 32)]
    assert [(i.name, i.shape) for i in layer.inputs] == [(None, (..., "n"))]
    kernel, bias = layer.weights
    assert [size.value({"n": 4, "units": 32}) for size in kernel.shape] == [4, 32]
    assert (kernel.name, kernel.state, bound(kernel.options)) == (
        "kernel",
        False,
        {"initializer": "glorot_uniform"},
    )
    assert (bias.name, [size.name for size in bias.shape]) == ("bias", ["units"])
    assert lines("Linear(units=32)", text) == ["x @ kernel + bias"]


def test_the_layer_of_a_chain():
    text = "dense 32 -> relu -> dense 32 -> relu -> dense 1"
    assert lines("MLPBlock", text) == [["Dense", "Activation", "Dense", "Activation", "Dense"]]


def test_the_layer_of_both():
    text = "input (..., d)\ngate = dense hidden silu\nup = x -> dense hidden\ngate * up -> drop dropout -> dense d"
    layer = read_layer("SwiGLU(hidden, dropout=0.0)", text, VOCABULARY)
    assert [(p.name, p.required, p.default) for p in layer.parameters] == [
        ("hidden", True, None),
        ("dropout", False, 0.0),
    ]
    assert lines("SwiGLU(hidden, dropout=0.0)", text) == [
        (("gate",), ["Dense"]),
        (("up",), ["x", "Dense"]),
        [[["gate"], ["up"]], "Multiply", "Dropout", "Dense"],
    ]
    gate = layer.body[0]
    assert isinstance(gate, r.ResolvedAssignment)
    (dense,) = gate.chain.elements
    assert isinstance(dense, r.ResolvedStep)
    units, activation = (argument.value for argument in dense.arguments)
    assert (units.name, activation) == ("hidden", "silu")


BOTH_READINGS = [
    # Python could read each of these; what the names mean decides.
    ("Dense(3)", [["Dense"]]),
    ("relu", [["Activation"]]),
    ("dense (3)", [["Dense"]]),
    ("lstm -3", [["LSTM"]]),
    ("x", ["x"]),
    ("x * 2", ["x * 2"]),
    ("y = relu", [(("y",), ["Activation"])]),
    ("y = x * 2\ny + x", ["y = x * 2", "y + x"]),
    ("y = relu\nmax(x, y)", [(("y",), ["Activation"]), [[["x"], ["y"]], "Maximum"]]),
    ("max(x.shape)", ["max(x.shape)"]),
    ("x + relu", [[[["x"], ["Activation"]], "Add"]]),
    ("nn.relu(x)", ["nn.relu(x)"]),
    ("[i for i in range(3)]", ["[i for i in range(3)]"]),
    ("x = x + 1\nx", ["x = x + 1", "x"]),
    ("x if training else x * mask", ["x if training else x * mask"]),
    ("jax.random.normal(key, x.shape)", ["jax.random.normal(key, x.shape)"]),
    ("(dense 3 -> relu) * 2", [["Dense", "Activation", "Dense", "Activation"]]),
    ("{wide} -> relu", [["{wide}", "Activation"]]),
]


@pytest.mark.parametrize(("text", "expected"), BOTH_READINGS)
def test_expression_or_chain(text, expected):
    assert lines("L", text) == expected


def test_a_bound_name_wins_over_a_layer():
    assert lines("L", "weight relu 3\nrelu") == ["relu"]


def test_several_inputs_by_their_names():
    layer = read_layer("L", "input q (..., n)\ninput kv (..., m) int32\nq @ kv.T", VOCABULARY)
    assert [(i.name, i.shape, i.dtype) for i in layer.inputs] == [
        ("q", (..., "n"), None),
        ("kv", (..., "m"), "int32"),
    ]


def test_without_an_input_line_there_is_x():
    assert [(i.name, i.shape) for i in read_layer("L", "x", VOCABULARY).inputs] == [("x", None)]


def test_states_and_their_updates():
    text = "state total (3, 3) zeros float32\ntotal := total + jnp.sum(x)\nx / total"
    (total,) = read_layer("L", text, VOCABULARY).weights
    assert (total.state, total.shape, bound(total.options)) == (
        True,
        (3, 3),
        {"initializer": "zeros", "dtype": "float32"},
    )
    assert lines("L", text) == ["total := total + jnp.sum(x)", "x / total"]


def test_the_options_of_a_weight():
    text = "weight k 3x3 he_normal regularizer=l2(0.1) constraint=non_neg frozen\nx @ k"
    (weight,) = read_layer("L", text, VOCABULARY).weights
    assert weight.shape == (3, 3)
    assert bound(weight.options) == {
        "initializer": "he_normal",
        "regularizer": ("regularizer", "l2", {"l2": 0.1}),
        "constraint": "non_neg",
        "frozen": True,
    }


def test_arithmetic_over_parameters_waits_for_their_values():
    text = "input (..., n)\nweight k (n // heads, (2 * heads + 1))\nx -> dense (4 * n)"
    layer = read_layer("L(heads=4)", text, VOCABULARY)
    assert [size.value({"n": 12, "heads": 4}) for size in layer.weights[0].shape] == [3, 9]
    (chain,) = layer.body
    assert isinstance(chain, r.ResolvedChain)
    dense = chain.elements[1]
    assert isinstance(dense, r.ResolvedStep)
    assert dense.arguments[0].value.value({"n": 12}) == 48


def test_a_computed_size_says_what_is_wrong_with_it():
    layer = read_layer("L(a)", "weight k (1 / a, 2)\nx", VOCABULARY)
    size = layer.weights[0].shape[0]
    for value in (0, None, "three"):
        with pytest.raises(DefinitionError, match=r"divides by zero|Only numbers"):
            size.value({"a": value})


def test_check_works_on_a_parsed_layer():
    with pytest.raises(DefinitionErrors, match="'kernl'"):
        check_layer(parse_layer("L", "weight kernel 3\nx @ kernl"), VOCABULARY)
