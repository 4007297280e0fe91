"""From text to definition: lark's LALR parser over the laid-out tokens, line by line where one is wrong.

Parsing executes nothing. Whatever the text, the result is a definition or a ``DefinitionError``.
"""

from __future__ import annotations

import dataclasses
import functools
from importlib import resources
from typing import Any

from lark import Lark, Token
from lark.exceptions import UnexpectedToken
from lark.lark import PostLex

from kerasmagic.foundation.errors import DefinitionError, DefinitionErrors, Span
from kerasmagic.language import definition as d
from kerasmagic.language.build import Builder
from kerasmagic.language.formulas import mark_expression
from kerasmagic.language.layout import LAYER_KEYWORDS, MODEL_KEYWORDS, Line, lay_out
from kerasmagic.language.limits import MAX_CHARACTERS, MAX_ERRORS
from kerasmagic.language.syntax import explain, python_statement


@dataclasses.dataclass(frozen=True)
class Recovered:
    """What could be read of a text.

    Attributes:
        definition: The definition without the lines that could not be read.
        errors: What was wrong with those lines, in the order of the text.
        lost_words: The words on those lines: an error about such a word would only follow from the first.
    """

    definition: Any
    errors: tuple[DefinitionError, ...]
    lost_words: frozenset[str] = frozenset()


def parse_model(text: str, *, first_line: int = 1) -> d.ModelDefinition:
    """Read the body of a ``%%model`` cell.

    Args:
        text: The lines below the magic's own line.
        first_line: The number that the first of them has in the cell.

    Raises:
        DefinitionErrors: The text does not follow the grammar; it holds one error for each wrong line.

    Example:

    >>> model = parse_model("conv 16 3 relu -> flatten")
    >>> [step.name for step in model.body[0].elements]
    ['conv', 'flatten']
    """
    return _certain(recover_model(text, first_line=first_line))


def parse_layer(header: str, body: str, *, first_line: int = 1, header_column: int = 1) -> d.LayerDefinition:
    """Read a ``%%layer`` cell: ``Linear(units=32)`` and the lines below it.

    Args:
        header: The name and the parameters, as they stand on the magic's line.
        body: The lines below.
        first_line: The line of the header; the body starts one line later.
        header_column: The column at which the header starts in its line.

    Raises:
        DefinitionErrors: The text does not follow the grammar; it holds one error for each wrong line.

    Example:

    >>> layer = parse_layer("Linear(units=32)", "weight kernel (8, units)\\nx @ kernel")
    >>> layer.name, [type(line).__name__ for line in layer.body]
    ('Linear', ['Weight', 'Expression'])
    """
    return _certain(recover_layer(header, body, first_line=first_line, header_column=header_column))


def recover_model(text: str, *, first_line: int = 1) -> Recovered:
    """Read what can be read of a ``%%model`` cell; see ``parse_model``."""
    reading = _Reading("statement", MODEL_KEYWORDS)
    body = reading.read(text, first_line)
    definition = d.ModelDefinition(tuple(body), span=Span(first_line, 1, first_line, 2))
    return reading.recovered(definition)


def recover_layer(header: str, body: str, *, first_line: int = 1, header_column: int = 1) -> Recovered:
    """Read what can be read of a ``%%layer`` cell; see ``parse_layer``."""
    top = _Reading("header", frozenset())
    found = top.read(header.strip(), first_line, header_column)
    if len(found) != 1 and not top.errors:
        message = "A layer needs a name, and perhaps parameters: 'Linear(units=32)'."
        top.errors.append(
            DefinitionError(message, span=Span(first_line, header_column, first_line, header_column + 1))
        )
    below = _Reading("layer_statement", LAYER_KEYWORDS)
    statements = tuple(below.read(body, first_line + 1))
    below.errors[:0] = top.errors
    below.lost_words |= top.lost_words
    start = found[0] if found else d.LayerDefinition("", (), ())
    return below.recovered(dataclasses.replace(start, body=statements))


def _certain(recovered: Recovered) -> Any:
    if recovered.errors:
        raise DefinitionErrors(recovered.errors)
    return recovered.definition


class _KeepTokens(PostLex):
    """Names the tokens that no rule uses, so that lark does not drop them from the lexer."""

    always_accept = ("UNKNOWN", "BAD_NUMBER", "EQUALITY")

    def process(self, stream: Any) -> Any:
        return stream


@functools.cache
def _parser() -> Lark:
    grammar = resources.files("kerasmagic.language").joinpath("grammar.lark").read_text(encoding="utf-8")
    parser = Lark(
        grammar,
        parser="lalr",
        lexer="basic",
        start=["statement", "layer_statement", "header", "chain"],
        keep_all_tokens=True,
        maybe_placeholders=False,
        transformer=Builder(),
        postlex=_KeepTokens(),
    )
    # `Lark.lex` compiles its expressions anew for each text unless the object holds a lexer.
    build = getattr(parser, "_build_lexer", None)
    if build is not None:
        parser.lexer = build()
    return parser


class _Reading:
    """One pass over one text: its statements, its errors, the words on its wrong lines."""

    def __init__(self, start: str, keywords: frozenset[str]):
        self.start = start
        self.keywords = keywords
        self.errors: list[DefinitionError] = []
        self.lost_words: set[str] = set()

    def recovered(self, definition: Any) -> Recovered:
        errors = sorted(self.errors, key=_position)[:MAX_ERRORS]
        return Recovered(definition, tuple(errors), frozenset(self.lost_words))

    def read(self, text: str, first_line: int, first_column: int = 1) -> list[Any]:
        text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        if len(text) > MAX_CHARACTERS:
            message = f"The text has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read."
            self.errors.append(DefinitionError(message, span=Span(first_line, 1, first_line, 2)))
            return []
        tokens = _tokens(text, first_line, first_column)
        lines, layout_errors = lay_out(tokens, text, self.keywords)
        self.errors += layout_errors
        for line in lines:
            self._prepare(line, text)
        return [s for line in lines if (s := self._statement(line, text)) is not None]

    def _prepare(self, line: Line, text: str) -> None:
        for each in line.all_lines():
            if self.start == "layer_statement" and not each.broken:
                statement = python_statement(each)
                if statement is not None:
                    self.errors.append(statement)
                    each.broken = True
                each.tokens = mark_expression(each.tokens, text)
            if each.broken:
                self._lose(each)

    def _lose(self, line: Line) -> None:
        line.broken = True
        self.lost_words.update(str(t) for t in line.tokens if t.type in ("NAME", "CALLEE", "INDEXED"))

    def _statement(self, line: Line, text: str) -> Any:
        """Parse one line with its body; leave out one wrong line of it after the other."""
        while not line.broken and len(self.errors) < MAX_ERRORS:
            if line.body and all(inner.broken for inner in line.body):
                self._lose(line)
                return None
            try:
                statement = _parse(self.start, line)
            except _Wrong as wrong:
                self.errors.append(wrong.error)
                self._lose(wrong.line)
                if wrong.line is not line:
                    self._bodies_of(wrong.line, text)
            else:
                return _with_chain(statement, line, text)
        self._bodies_of(line, text)
        return None

    def _bodies_of(self, line: Line, text: str) -> None:
        """Read what is below a wrong header, for its errors only."""
        for inner in line.body:
            self._statement(inner, text)


class _Wrong(Exception):
    def __init__(self, error: DefinitionError, line: Line):
        self.error = error
        self.line = line


def _tokens(text: str, first_line: int, first_column: int) -> list[Token]:
    tokens = list(_parser().lex(text))
    for token in tokens:
        if token.line == 1 and first_column > 1:
            token.column = (token.column or 1) + first_column - 1
            token.end_column = (token.end_column or 1) + first_column - 1
        token.line = (token.line or 1) + first_line - 1
        token.end_line = (token.end_line or 1) + first_line - 1
    return tokens


def _parse(start: str, line: Line) -> Any:
    tokens = list(line.flat())
    if start in ("header", "chain"):
        tokens = [(token, on) for token, on in tokens if token.type != "NEWLINE"]
    tokens.append((Token.new_borrow_pos("$END", "", line.tokens[-1]), line))
    parser, result = _parser().parse_interactive("", start=start), None
    for i, (token, on) in enumerate(tokens):
        try:
            result = parser.feed_token(token)
        except UnexpectedToken:
            raise _Wrong(_unexpected(start, [t for t, _ in tokens[: i + 1]], on), on) from None
        except DefinitionError as error:
            raise _Wrong(error, on) from None
    return result


def _unexpected(start: str, tokens: list[Token], line: Line) -> DefinitionError:
    """Read up to the wrong token once more: only before it was fed does the parser know what would fit."""
    parser = _parser().parse_interactive("", start=start)
    for token in tokens[:-1]:
        parser.feed_token(token)
    wrong = tokens[-1]
    if wrong.type == "$END":
        wrong = Token.new_borrow_pos("NEWLINE", "", wrong)
    return explain(wrong, parser.accepts(), line, header=start == "header")


def _with_chain(statement: Any, line: Line, text: str) -> Any:
    """Add to an expression its reading as a chain of steps, where it has one."""
    if isinstance(statement, d.Expression):
        chain = _chain(line.tokens[-1], text)
        return dataclasses.replace(statement, chain=chain)
    if isinstance(statement, d.Binding):
        chain = _chain(line.tokens[-1], text)
        return dataclasses.replace(
            statement, expression=dataclasses.replace(statement.expression, chain=chain)
        )
    return statement


def _chain(expression: Token, text: str) -> d.Chain | None:
    tokens = _tokens(str(expression), expression.line or 1, expression.column or 1)
    lines, errors = lay_out(tokens, str(expression), frozenset())
    if errors or len(lines) != 1:
        return None
    try:
        return _parse("chain", lines[0])
    except _Wrong:
        return None


def _position(error: DefinitionError) -> tuple[int, int]:
    return (error.span.line, error.span.column) if error.span is not None else (0, 0)
