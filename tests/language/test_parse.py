"""Text -> definition: what each form of the language means, and where it stands."""

from __future__ import annotations

import pytest

from kerasmagic.foundation.errors import DefinitionErrors, Span
from kerasmagic.language import definition as d
from kerasmagic.language.parse import parse_layer, parse_model


def step(name: str, *arguments: d.Argument, called: bool = False) -> d.Step:
    return d.Step(name, arguments, called)


def value(thing: d.Value) -> d.Positional:
    return d.Positional(thing)


def number(size: float) -> d.Positional:
    return d.Positional(d.Number(size))


def word(name: str) -> d.Positional:
    return d.Positional(d.Word(name))


def chain(*elements: d.Element) -> d.Chain:
    return d.Chain(elements)


def body(text: str) -> tuple[d.Statement, ...]:
    return parse_model(text).body


def first(text: str) -> d.Element:
    """Return the only element of the only line."""
    (statement,) = body(text)
    assert isinstance(statement, d.Chain)
    (element,) = statement.elements
    return element


VALUES = [
    ("64", d.Number(64)),
    ("-1", d.Number(-1)),
    ("1e-3", d.Number(0.001)),
    (".5", d.Number(0.5)),
    ("2.", d.Number(2.0)),
    ("1_000", d.Number(1000)),
    ("3x3", d.Dims((3, 3))),
    ("28x28x1", d.Dims((28, 28, 1))),
    ('"a b"', d.Text("a b")),
    (r"'it\'s'", d.Text("it's")),
    ('"# -> {"', d.Text("# -> {")),
    ("true", d.Constant(True)),
    ("False", d.Constant(False)),
    ("none", d.Constant(None)),
    ("same", d.Word("same")),
    ("größe", d.Word("größe")),
    ("nn.relu", d.Word("nn.relu")),
    ("l2(1e-4)", d.Call("l2", (d.Positional(d.Number(1e-4)),))),
    ("l1_l2(l1=0.1)", d.Call("l1_l2", (d.Keyword("l1", d.Number(0.1)),))),
    ("()", d.Tuple(())),
    ("(3,)", d.Tuple((d.Number(3),))),
    ("(3, 4,)", d.Tuple((d.Number(3), d.Number(4)))),
    ("(3)", d.Number(3)),
    ("[1, [2]]", d.List((d.Number(1), d.List((d.Number(2),))))),
    ("[]", d.List(())),
    ("{n_classes}", d.Python("n_classes")),
    ("{ {'a': 1}['a'] }", d.Python("{'a': 1}['a']")),
    ("{f('}')}", d.Python("f('}')")),
    ("(4 * f + 1)", d.Arithmetic((d.Arithmetic((d.Number(4), d.Word("f")), ("*",)), d.Number(1)), ("+",))),
    ("(f//2)", d.Arithmetic((d.Word("f"), d.Number(2)), ("//",))),
    ("(f-1)", d.Arithmetic((d.Word("f"), d.Number(1)), ("-",))),
]


@pytest.mark.parametrize(("text", "expected"), VALUES)
def test_values(text, expected):
    assert first(f"dense {text}") == step("dense", value(expected))


@pytest.mark.parametrize(("text", "expected"), [v for v in VALUES if v[0] != "(4 * f + 1)"])
def test_values_are_the_same_in_the_call_form(text, expected):
    assert first(f"Dense(units={text})") == step("Dense", d.Keyword("units", expected), called=True)


STEPS = [
    ("flatten", step("flatten")),
    ("conv 16 3 same relu", step("conv", number(16), number(3), word("same"), word("relu"))),
    (
        "lstm 64 return_sequences dropout=0.2",
        step("lstm", number(64), word("return_sequences"), d.Keyword("dropout", d.Number(0.2))),
    ),
    ("bi lstm 64", step("bi", word("lstm"), number(64))),
    ("maxpool 2 /2", step("maxpool", number(2), d.Strides((2,)))),
    ("conv 8 3 /2x1", step("conv", number(8), number(3), d.Strides((2, 1)))),
    ("dense 10 !use_bias", step("dense", number(10), d.Negated("use_bias"))),
    ("dense units = 10", step("dense", d.Keyword("units", d.Number(10)))),
    ("pool (2, 2)", step("pool", value(d.Tuple((d.Number(2), d.Number(2)))))),
    ("Flatten()", step("Flatten", called=True)),
    (
        'Conv2D(16, 3, padding="same",)',
        step("Conv2D", number(16), number(3), d.Keyword("padding", d.Text("same")), called=True),
    ),
    (
        "Bidirectional(LSTM(64))",
        step("Bidirectional", value(d.Call("LSTM", (number(64),))), called=True),
    ),
    ("input_scale 3", step("input_scale", number(3))),
    ("dense input", step("dense", word("input"))),
    ("conv none...", step("conv", value(d.Constant(None)), value(d.Rest()))),
    ("conv none.x", step("conv", word("none.x"))),
]


@pytest.mark.parametrize(("text", "expected"), STEPS)
def test_steps(text, expected):
    assert first(text) == expected


A, B, C = step("a"), step("b"), step("c")
FLOWS = [
    ("a -> b -> c", chain(A, B, C)),
    ("a ->\n  b\n  -> c", chain(A, B, C)),
    ("a + b", chain(d.Merge((A, B), ("+",)))),
    ("a - b + c", chain(d.Merge((A, B, C), ("-", "+")))),
    ("a + b * c", chain(d.Merge((A, d.Merge((B, C), ("*",))), ("+",)))),
    ("a * b -> c", chain(d.Merge((A, B), ("*",)), C)),
    ("+ a", chain(d.Merge((d.Current(), A), ("+",)))),
    ("- a -> b", chain(d.Merge((d.Current(), A), ("-",)), B)),
    ("* a + b", chain(d.Merge((d.Merge((d.Current(), A), ("*",)), B), ("+",)))),
    ("[a, b -> c]", chain(d.Tensors((chain(A), chain(B, C))))),
    ("[a, b] -> c", chain(d.Tensors((chain(A), chain(B))), C)),
    ("+ in -> a", chain(d.Merge((d.Current(), d.Inflow()), ("+",)), A)),
    ("(a -> b) * 3", chain(d.Repeat(chain(A, B), 3))),
    ("(a) * 2 -> c", chain(d.Repeat(chain(A), 2), C)),
    ("(a -> b) + c", chain(d.Merge((d.Group(chain(A, B)), C), ("+",)))),
    ("(a) * n", chain(d.Merge((d.Group(chain(A)), step("n")), ("*",)))),
    ("{layer} -> a", chain(d.Python("layer"), A)),
    ("(a\n -> b) * 2", chain(d.Repeat(chain(A, B), 2))),
    ("a[0] -> b", chain(d.Index(A, d.Number(0)), B)),
    ("a[:, 0]", chain(d.Index(A, d.Tuple((d.Slice(), d.Number(0)))))),
    ("a -> [..., -1]", chain(A, d.Index(None, d.Tuple((d.Rest(), d.Number(-1)))))),
    ("[0,]", chain(d.Index(None, d.Tuple((d.Number(0),))))),
    ("a[1:n:2]", chain(d.Index(A, d.Slice(d.Number(1), d.Word("n"), d.Number(2))))),
    ("a[::-1, none]", chain(d.Index(A, d.Tuple((d.Slice(step=d.Number(-1)), d.Constant(None)))))),
    ("in[:2]", chain(d.Index(d.Inflow(), d.Slice(stop=d.Number(2))))),
    ("a['k'] + b", chain(d.Merge((d.Index(A, d.Text("k")), B), ("+",)))),
    ("[a[0], b] -> c", chain(d.Tensors((chain(d.Index(A, d.Number(0))), chain(B))), C)),
    ("a [0]", chain(step("a", value(d.List((d.Number(0),)))))),
    (
        'dict(x=a, "b c"=[b, c])',
        chain(
            step(
                "dict",
                d.Keyword("x", d.Word("a")),
                d.Keyword("b c", d.List((d.Word("b"), d.Word("c")))),
                called=True,
            )
        ),
    ),
]


@pytest.mark.parametrize(("text", "expected"), FLOWS)
def test_flows(text, expected):
    assert body(text) == (expected,)


STATEMENTS = [
    ("input 28x28x1", d.Input((value(d.Dims((28, 28, 1))),))),
    ("input image 784 uint8", d.Input((word("image"), number(784), word("uint8")))),
    ("input 3 batch_size=32", d.Input((number(3), d.Keyword("batch_size", d.Number(32))))),
    ("Input(shape=(3,))", d.Input((d.Keyword("shape", d.Tuple((d.Number(3),))),))),
    (
        "x = Input((3,))",
        d.Input((value(d.Tuple((d.Number(3),))), d.Keyword("name", d.Text("x")))),
    ),
    ("x = a", d.Assignment(("x",), chain(A))),
    ("x, y = a -> b", d.Assignment(("x", "y"), chain(A, B))),
    ("input = a", d.Assignment(("input",), chain(A))),
    ("output a, b -> c", d.Output((chain(A), chain(B, C)))),
    ("output[a, b]", d.Output((chain(d.Tensors((chain(A), chain(B)))),))),
    ('output a=b, "b c"=b -> c', d.Output((chain(B), chain(B, C)), ("a", "b c"))),
    ("output 'None'=a, 'in'=b", d.Output((chain(A), chain(B)), ("None", "in"))),
    ("inputs a, b", d.Inputs((chain(A), chain(B)))),
    ("inputs left=a, right=b", d.Inputs((chain(A), chain(B)), ("left", "right"))),
    ("inputs [a, b]", d.Inputs((chain(d.Tensors((chain(A), chain(B)))),))),
    ("inputs -> a", chain(step("inputs"), A)),
    ("inputs = a", d.Assignment(("inputs",), chain(A))),
    ("inputs", chain(step("inputs"))),
    ("Sequential", d.Sequential()),
    ("for f in[1, 2]: a", d.For(("f",), (d.List((d.Number(1), d.Number(2))),), (chain(A),))),
    ("compile adam 1e-3, mse", d.Compile(((word("adam"), number(1e-3)), (word("mse"),)))),
    (
        "compile adam(clipnorm=1) loss=mse",
        d.Compile(
            (
                (
                    value(d.Call("adam", (d.Keyword("clipnorm", d.Number(1)),))),
                    d.Keyword("loss", d.Word("mse")),
                ),
            )
        ),
    ),
    (
        "for f in 64, 128:\n  dense f",
        d.For(("f",), (d.Number(64), d.Number(128)), (chain(step("dense", word("f"))),)),
    ),
    ("for f in 1: a", d.For(("f",), (d.Number(1),), (chain(A),))),
    (
        "for f, n in (1, 2):\n\ta",
        d.For(("f", "n"), (d.Tuple((d.Number(1), d.Number(2))),), (chain(A),)),
    ),
    ("block r:\n  a\n  b", d.Block("r", (), (chain(A), chain(B)))),
    (
        "block r(f, k=3):\n  a",
        d.Block("r", (d.Parameter("f"), d.Parameter("k", d.Number(3))), (chain(A),)),
    ),
]


@pytest.mark.parametrize(("text", "expected"), STATEMENTS)
def test_statements(text, expected):
    assert body(text) == (expected,)


def test_bodies_nest_and_end():
    text = "for f in 1, 2:\n    for g in 3, 4:\n        a\n    b\nc"
    inner = d.For(("g",), (d.Number(3), d.Number(4)), (chain(A),))
    outer = d.For(("f",), (d.Number(1), d.Number(2)), (inner, chain(B)))
    assert body(text) == (outer, chain(C))


SPELLINGS = [
    "a\nb 1\n",
    "a\r\nb 1\r\n",
    "a\rb 1",
    "\n\n  # first\n\na   # the a\n# between\n\nb\t1   \n\n",
    "   a\n   b 1",
    "\ufeffa\nb 1",
    "a\nb\u00a01",
    'a\n   \t \nb 1  # -> ( { "',
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_blanks_comments_and_line_ends_do_not_count(text):
    assert body(text) == (chain(A), chain(step("b", number(1))))


def test_every_node_knows_its_place():
    (_, second) = parse_model("a\r\n  # c\r\nx = conv 16  l2(1)", first_line=2).body
    assert isinstance(second, d.Assignment)
    conv = second.chain.elements[0]
    assert isinstance(conv, d.Step)
    assert second.span == Span(4, 1, 4, 19)
    assert second.name_spans == (Span(4, 1, 4, 2),)
    assert (conv.name_span, conv.span) == (Span(4, 5, 4, 9), Span(4, 5, 4, 19))
    assert [a.span for a in conv.arguments] == [Span(4, 10, 4, 12), Span(4, 14, 4, 19)]


LAYER_LINES = [
    ("x @ kernel + bias", d.Expression("x @ kernel + bias")),
    ("jnp.where(x > 0, x, a * x)", d.Expression("jnp.where(x > 0, x, a * x)")),
    ("(x\n   + 1)", d.Expression("(x\n   + 1)")),
    ("x[..., None]  # c", d.Expression("x[..., None]")),
    ("x\u00a0+ 1", d.Expression("x + 1")),
    ("x + '\u00a0'", d.Expression("x + '\u00a0'")),
    ("lambda: {'a': x}", d.Expression("lambda: {'a': x}")),
    ("y = x * 2", d.Binding(("y",), d.Expression("x * 2"))),
    ("y = x == 2", d.Binding(("y",), d.Expression("x == 2"))),
    ("x == 2", d.Expression("x == 2")),
    ("a, b = jnp.split(x, 2)", d.Binding(("a", "b"), d.Expression("jnp.split(x, 2)"))),
    ("total := total + 1", d.Update("total", d.Expression("total + 1"))),
    ("gate = dense hidden silu", d.Assignment(("gate",), chain(step("dense", word("hidden"), word("silu"))))),
    ("x -> dense 3", chain(step("x"), step("dense", number(3)))),
    ("dense 3 relu", chain(step("dense", number(3), word("relu")))),
    ("input (..., n)", d.Input((value(d.Tuple((d.Rest(), d.Word("n")))),))),
    (
        "weight k (n, 3) zeros frozen",
        d.Weight("k", d.Tuple((d.Word("n"), d.Number(3))), (word("zeros"), word("frozen"))),
    ),
    ("weight k 3x3", d.Weight("k", d.Dims((3, 3)))),
    ("state total () zeros", d.State("total", d.Tuple(()), (word("zeros"),))),
    ("weight = x + 1", d.Binding(("weight",), d.Expression("x + 1"))),
]


@pytest.mark.parametrize(("text", "expected"), LAYER_LINES)
def test_lines_of_a_layer(text, expected):
    assert parse_layer("L", text).body == (expected,)


def test_an_expression_keeps_its_other_reading_and_its_names():
    (line,) = parse_layer("L", "dense(units, [y for y in z])").body
    assert isinstance(line, d.Expression)
    assert [name for name, _ in line.names] == ["dense", "units", "z"]
    assert line.names[1][1] == Span(2, 7, 2, 12)
    assert line.chain is None
    (line,) = parse_layer("L", "größe(units)").body
    assert isinstance(line, d.Expression)
    assert line.names[1] == ("units", Span(2, 7, 2, 12))
    assert line.chain == chain(step("größe", word("units"), called=True))


HEADERS = [
    ("Linear", ()),
    ("Linear()", ()),
    ("Linear (units)", (d.Parameter("units"),)),
    (
        "L(a, units=32, act='relu', f=none, s=(1, 2))",
        (
            d.Parameter("a"),
            d.Parameter("units", d.Number(32)),
            d.Parameter("act", d.Text("relu")),
            d.Parameter("f", d.Constant(None)),
            d.Parameter("s", d.Tuple((d.Number(1), d.Number(2)))),
        ),
    ),
]


@pytest.mark.parametrize(("header", "expected"), HEADERS)
def test_headers(header, expected):
    assert parse_layer(header, "x").parameters == expected


def test_parsing_runs_nothing():
    parse_model("dense {1/0} -> {print('never')}")
    parse_layer("L", "1 / 0")


def test_the_line_that_is_wrong_hides_no_other():
    text = "conv (\nblock 3:\n    dense ]\n    dense 3\nx -> ->\ndense 4"
    with pytest.raises(DefinitionErrors) as caught:
        parse_model(text, first_line=2)
    assert [error.span.line for error in caught.value.errors if error.span] == [2, 3, 4, 6]
