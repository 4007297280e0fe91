"""What is printed reads back as the same definition."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from kerasmagic.language import definition as d
from kerasmagic.language.parse import parse_layer, parse_model
from kerasmagic.language.print import print_layer, print_model
from tests.language.test_parse import FLOWS, LAYER_LINES, STATEMENTS, STEPS, VALUES

names = st.sampled_from(["a", "b2", "relu", "größe", "use_bias"])
numbers = st.builds(
    d.Number,
    st.integers(-(10**9), 10**9)
    | st.floats(-1e9, 1e9, allow_subnormal=False).filter(lambda x: str(x) != "-0.0"),
)
sizes = st.sampled_from([(3, 3), (28, 28, 1), (0, 10)])
texts = st.text(st.characters(codec="utf-8"), max_size=8)
sources = st.sampled_from(["n", "f(x)[0]", "{'a': 1}['a']", "'}'", "lambda: 3"])
atoms = st.one_of(
    numbers,
    st.builds(d.Dims, sizes),
    st.builds(d.Text, texts),
    st.builds(d.Constant, st.sampled_from([True, False, None])),
    st.builds(d.Word, names),
    st.builds(d.Python, sources),
)


def _items(inner: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(inner, max_size=3).map(tuple)


def _operands(inner: st.SearchStrategy, operators: str) -> st.SearchStrategy:
    pairs = st.lists(st.tuples(st.sampled_from(operators), inner), min_size=1, max_size=3)
    return st.tuples(inner, pairs).map(lambda f: ((f[0], *(x for _, x in f[1])), tuple(o for o, _ in f[1])))


def arguments(inner: st.SearchStrategy) -> st.SearchStrategy:
    return _items(
        st.one_of(
            st.builds(d.Positional, inner),
            st.builds(d.Keyword, names, inner),
            st.builds(d.Negated, names),
            st.builds(d.Strides, sizes),
        )
    )


def _bigger(inner: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(
        st.builds(d.Tuple, _items(inner)),
        st.builds(d.List, _items(inner)),
        st.builds(d.Call, names, arguments(inner)),
        _operands(inner, "+-").map(lambda parts: d.Arithmetic(*parts)),
        _operands(inner, "*/").map(lambda parts: d.Arithmetic(*parts)),
    )


values = st.recursive(atoms, _bigger, max_leaves=4)
steps = st.builds(d.Step, names, arguments(values), st.booleans())


def _chains(elements: st.SearchStrategy) -> st.SearchStrategy:
    return st.builds(d.Chain, st.lists(elements, min_size=1, max_size=3).map(tuple))


slices = st.builds(d.Slice, *[st.none() | numbers | st.builds(d.Word, names)] * 3)
# Without a name before the bracket the first index is no word: that would begin a list of tensors.
first_indices = st.one_of(
    numbers,
    st.builds(d.Slice, st.none() | numbers, st.none() | atoms, st.none() | numbers),
    st.builds(d.Text, texts),
    st.builds(d.Rest),
    st.builds(d.Constant, st.sampled_from([True, None])),
)
any_indices = st.one_of(atoms, slices, st.builds(d.List, st.lists(numbers, max_size=2).map(tuple)))
several_indices = st.tuples(first_indices, st.lists(any_indices, max_size=2)).map(
    lambda f: d.Tuple((f[0], *f[1]))
)
named_things = st.builds(d.Step, names) | st.builds(d.Inflow)
indices = st.one_of(
    st.builds(d.Index, st.none() | named_things, first_indices | several_indices),
    st.builds(d.Index, named_things, any_indices),
)


def _elements(inner: st.SearchStrategy) -> st.SearchStrategy:
    groups = st.builds(d.Group, _chains(inner))
    operands = st.one_of(steps, groups, indices, st.builds(d.Inflow), st.builds(d.Python, sources))
    products = _operands(operands, "*").map(lambda parts: d.Merge(*parts))
    onward = _operands(operands, "+-").map(lambda p: d.Merge((d.Current(), *p[0]), ("+", *p[1])))
    return st.one_of(
        groups,
        st.builds(d.Tensors, st.lists(_chains(inner), min_size=1, max_size=3).map(tuple)),
        st.builds(d.Repeat, _chains(inner), st.integers(1, 9)),
        products,
        onward,
        _operands(st.one_of(operands, products), "+-").map(lambda parts: d.Merge(*parts)),
    )


elements = st.recursive(
    st.one_of(steps, indices, st.builds(d.Inflow), st.builds(d.Python, sources)), _elements, max_leaves=3
)
chains = _chains(elements)
some_keys = st.lists(names | texts, min_size=1, max_size=3, unique=True)
keyed = some_keys.flatmap(lambda keys: st.tuples(st.tuples(*[chains] * len(keys)), st.just(tuple(keys))))
some_names = st.lists(names, min_size=1, max_size=2).map(tuple)
simple = st.one_of(
    chains,
    st.builds(d.Assignment, some_names, chains),
    st.builds(d.Output, st.lists(chains, min_size=1, max_size=2).map(tuple)),
    keyed.map(lambda parts: d.Output(*parts)),
    keyed.map(lambda parts: d.Inputs(*parts)),
    st.just(d.Sequential()),
    st.builds(d.Input, arguments(values).filter(bool)),
    st.builds(d.Compile, st.lists(arguments(values).filter(bool), min_size=1, max_size=3).map(tuple)),
)


def _bodies(inner: st.SearchStrategy) -> st.SearchStrategy:
    body = st.lists(inner, min_size=1, max_size=3).map(tuple)
    parameters = st.lists(names, unique=True, max_size=2).map(lambda found: tuple(map(d.Parameter, found)))
    return st.one_of(
        st.builds(d.For, some_names, st.lists(values, min_size=1, max_size=3).map(tuple), body),
        st.builds(d.Block, names, parameters, body),
    )


models = st.builds(
    d.ModelDefinition,
    st.lists(st.recursive(simple, _bodies, max_leaves=3), min_size=1, max_size=4).map(tuple),
)


# Building such a tree takes hypothesis long; reading it does not.
@settings(max_examples=max(settings.default.max_examples // 10, 1))
@given(models)
def test_a_printed_model_reads_back(model):
    assert parse_model(print_model(model)) == model


@given(st.lists(st.sampled_from([text for text, _ in FLOWS + STATEMENTS + STEPS]), min_size=1, max_size=6))
def test_printing_is_the_identity_after_one_round(lines):
    once = print_model(parse_model("\n".join(lines)))
    assert print_model(parse_model(once)) == once


@pytest.mark.parametrize("text", [f"dense {text}" for text, _ in VALUES])
def test_every_value_is_printed_so_that_it_reads_back(text):
    assert parse_model(print_model(parse_model(text))) == parse_model(text)


@given(st.lists(st.sampled_from([text for text, _ in LAYER_LINES]), min_size=1, max_size=6))
def test_a_printed_layer_reads_back(lines):
    layer = parse_layer("Linear(units=32, act='relu')", "\n".join(lines))
    assert parse_layer(*print_layer(layer)) == layer


def test_the_text_of_the_design_is_printed_as_it_is():
    text = (
        "input 8x8x1\n"
        "conv 16 3 same relu\n"
        "maxpool 2\n"
        "block residual(f, k=3):\n"
        "    conv f k same -> bn -> relu\n"
        "    + in -> relu\n"
        "for f in 64, 128:\n"
        "    residual f\n"
        "(conv 64 3 -> bn -> relu) * 3\n"
        "x = dense 10 softmax\n"
        "output x, [a, b] -> add\n"
        "compile adam 1e-3, sparse_categorical_crossentropy, accuracy\n"
    )
    assert print_model(parse_model(text)) == text
