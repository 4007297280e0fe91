"""Whatever the text: a definition or our own error, soon."""

from __future__ import annotations

import time
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from kerasmagic.foundation.errors import DefinitionErrors
from kerasmagic.language import parse_model, print_model, read_layer, read_model, report_text
from tests.language.test_expand import TOO_MUCH
from tests.language.test_mistakes import CASES
from tests.language.words import VOCABULARY

_WORDS = """input inputs output Sequential x[ dict( list( array( float("inf") :, ::
compile for in block layer model ops.mean weight state
conv dense lstm bi td relu same x y f n add max
( ) [ ] { } , -> + - * / // /2 = == := : ! . ... @ # " ' \\ | ; ? 3 16 -1 1e-3 .5 3x3 28x28x1 3same
l2(1e-4) Dense( {n} {n+} 'text' true none adam mse jnp.sum(x) training lambda é 😀"""
_ALPHABET = [
    *_WORDS.split(),
    "\n",
    "\n    ",
    "\n  ",
    "\n\t",
    "\r\n",
    "\r",
    "\u00a0",
    "\u2028",
    "\ud800",
    "\0",
]
texts = st.lists(st.tuples(st.sampled_from(_ALPHABET), st.sampled_from(["", " "])), max_size=30).map(
    lambda pairs: "".join(word + blank for word, blank in pairs)
)
lines = st.sampled_from([line for cell, *_ in CASES for line in cell.split("\n")[1:]])
cells = st.lists(lines | texts, max_size=6).map("\n".join)


def errors_of(read: Callable[[], object]) -> tuple[DefinitionErrors, ...]:
    try:
        read()
    except DefinitionErrors as errors:
        return (errors,)
    return ()


def read(text: str) -> None:
    """Read a text in every way; anything but our own error is a failure, and its report must work."""
    found = [
        *errors_of(lambda: read_model(text, VOCABULARY)),
        *errors_of(lambda: read_layer("L(units=3)", text, VOCABULARY, first_line=0)),
        *errors_of(lambda: read_layer(text[:20], "x", VOCABULARY)),
    ]
    for errors in found:
        assert all(error.span is not None and error.message for error in errors.errors)
        assert report_text(errors, text, "%%title").startswith("%%title")


@given(cells)
@example("state s () frozen")
@example("{" * 300)
@example('"\\N{foo}"')
def test_any_text_is_read_or_refused(text):
    read(text)


@given(st.text(max_size=80))
def test_any_characters_are_read_or_refused(text):
    read(text)


@given(cells)
def test_what_parses_is_printed_and_parses_again(text):
    try:
        definition = parse_model(text)
    except DefinitionErrors:
        return
    assert parse_model(print_model(definition)) == definition


LONG = {
    **TOO_MUCH,
    "open brackets": "([" * 10_000,
    "closed brackets": ")]" * 10_000,
    "open and closed": "(" * 10_000 + "]" * 10_000,
    "braces": "{a" * 10_000,
    "quotes": '"a' * 10_000,
    "backslashes": '{"' + "\\" * 20_000,
    "one name": "a" * 20_000,
    "dots": "a." * 10_000,
    "a number": "1x" * 10_000,
    "a sum": "a+" * 10_000 + "a",
    "a chain": "relu->" * 4_000 + "relu",
    "wrong lines": "dense )\n" * 2_500,
    "wrong names": "densee 3\n" * 2_500,
    "stairs": "".join(" " * i + "for f in 1:\n" for i in range(200)),
    "powers": "x" + "**x" * 6_000,
    "negations": "-" * 20_000 + "x",
    "indexes": "x" + "[0]" * 6_000,
    "lambdas": "lambda:" * 2_800 + "x",
    "conditions": "x if x else " * 1_700 + "x",
}


@pytest.mark.parametrize("name", LONG)
def test_long_and_deep_texts_take_bounded_time(name):
    start = time.process_time()
    read(LONG[name])
    assert time.process_time() - start < 20


@pytest.mark.slow
def test_many_texts():
    """A million of them: ``python -m tests.language.fuzz``."""
    from tests.language.fuzz import run

    run(10_000_000, 1_500, report_every=0)


def test_some_of_the_million_texts():
    from tests.language.fuzz import run

    run(0, 300, report_every=0)


@pytest.mark.slow
def test_texts_that_grow_towards_new_code():
    """For longer: ``python -m tests.language.guided``."""
    from tests.language.guided import search

    kept, _ = search(200)
    assert kept > 0
