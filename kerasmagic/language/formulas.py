"""Python inside the language: found, checked for its syntax, never run."""

from __future__ import annotations

import ast
import re
import warnings

from lark import Token

from kerasmagic.foundation.errors import DefinitionError, Span
from kerasmagic.language.layout import token_span

_ODD_BLANK = re.compile(r"[^\S\n\t ]")


def read_expression(source: str, span: Span) -> ast.Expression:
    """Return the syntax tree of one Python expression that starts at ``span``.

    Raises:
        DefinitionError: The source is no expression; the span is the place that Python names.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source, mode="eval")
    except SyntaxError as error:
        reason = (error.msg or "invalid syntax").split(" (<unknown>")[0]
        place = _place_of(error, source, span)
        raise DefinitionError(f"This is no Python expression: {reason}.", span=place) from None
    except (ValueError, MemoryError, RecursionError):
        raise DefinitionError("This is no Python expression that can be read.", span=span) from None


def free_names(tree: ast.Expression, source: str, span: Span) -> tuple[tuple[str, Span], ...]:
    """Return the names that an expression reads from outside, in order, each where it first stands."""
    lines = source.split("\n")
    found: dict[str, Span] = {}
    for node in _reads(tree):
        row = lines[node.lineno - 1]
        column = len(row.encode()[: node.col_offset].decode(errors="replace"))
        found.setdefault(node.id, _shift(node.lineno, column, len(node.id), span))
    return tuple(found.items())


def mark_expression(tokens: list[Token], source: str) -> list[Token]:
    """Replace what is a Python expression on a layer's line by one EXPRESSION token.

    A line with '->' is a chain. Any other line is an expression when Python can read it, and
    also when it could be neither but holds characters that only Python knows.
    """
    start = _start_of_value(tokens)
    value = tokens[start:]
    keyword = tokens[0].type in ("INPUT", "WEIGHT", "STATE")
    if not value or keyword or any(token.type == "ARROW" for token in value):
        return tokens
    text = _plainly_spaced(value, source)
    updates = start > 1 and tokens[start - 1].type == "WALRUS"
    if not updates and not _foreign(value):
        try:
            read_expression(text, token_span(value[0]))
        except DefinitionError:
            return tokens
    expression = Token.new_borrow_pos("EXPRESSION", text, value[0])
    expression.end_line, expression.end_column = value[-1].end_line, value[-1].end_column
    expression.end_pos = value[-1].end_pos
    return [*tokens[:start], expression]


def _plainly_spaced(tokens: list[Token], source: str) -> str:
    """Return the text of ``tokens`` with blanks that Python does not know, as from a web page, made plain."""
    pieces, end = [], tokens[0].start_pos
    for token in tokens:
        pieces += [
            _ODD_BLANK.sub(" ", source[end : token.start_pos]),
            source[token.start_pos : token.end_pos],
        ]
        end = token.end_pos
    return "".join(pieces)


def _start_of_value(tokens: list[Token]) -> int:
    """Return the position behind ``NAME =``, ``NAME, NAME =`` or ``NAME :=``, or 0."""
    for i, token in enumerate(tokens):
        if token.type in ("EQUAL", "WALRUS") and i % 2 == 1:
            return i + 1
        if token.type != ("COMMA" if i % 2 else "NAME"):
            break
    return 0


_ONLY_PYTHON = frozenset("@%^&|~<>:.")


def _foreign(value: list[Token]) -> bool:
    """Say whether a line holds what no chain can: an operator or an attribute of Python."""
    return any(
        token.type == "EQUALITY"
        or (token.type in ("UNKNOWN", "COLON") and token in _ONLY_PYTHON)
        or (
            token.type in ("NAME", "CALLEE", "INDEXED")
            and token.partition(".")[0] in ("jnp", "jax", "nn", "ops")
        )
        for token in value
    )


def _reads(tree: ast.Expression) -> list[ast.Name]:
    """Return the names read in ``tree`` but for those that a lambda or a comprehension binds."""
    bound = {
        arg.arg for node in ast.walk(tree) if isinstance(node, ast.arguments) for arg in _arguments(node)
    }
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    bound |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
    reads = [node for node in names if isinstance(node.ctx, ast.Load) and node.id not in bound]
    return sorted(reads, key=lambda node: (node.lineno, node.col_offset))


def _arguments(node: ast.arguments) -> list[ast.arg]:
    extra = [arg for arg in (node.vararg, node.kwarg) if arg is not None]
    return [*node.posonlyargs, *node.args, *node.kwonlyargs, *extra]


def _place_of(error: SyntaxError, source: str, span: Span) -> Span:
    line, column = error.lineno or 1, max((error.offset or 1) - 1, 0)
    rows = source.split("\n")
    if line > len(rows):
        line, column = len(rows), len(rows[-1])
    return _shift(line, min(column, len(rows[line - 1])), 1, span)


def _shift(line: int, column: int, length: int, span: Span) -> Span:
    """Place row ``line`` (from 1), ``column`` (from 0) of a source that starts at ``span``."""
    start = column + (span.column if line == 1 else 1)
    row = span.line + line - 1
    return Span(row, start, row, start + length)
