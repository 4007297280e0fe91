"""From tokens to logical lines: brackets, indentation, and words that are keywords only at a line's start."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from lark import Token

from kerasmagic.foundation.errors import DefinitionError, Span
from kerasmagic.language.limits import MAX_ERRORS, MAX_NESTING

MODEL_KEYWORDS = frozenset(
    {"INPUT", "INPUTS", "OUTPUT", "COMPILE", "FOR", "BLOCK", "LAYER", "MODEL", "SEQUENTIAL"}
)
LAYER_KEYWORDS = frozenset({"INPUT", "WEIGHT", "STATE"})
_KEYWORDS = MODEL_KEYWORDS | LAYER_KEYWORDS
_CLOSER = {"LPAR": "RPAR", "LSQB": "RSQB"}
_OPENER = {"RPAR": "LPAR", "RSQB": "LSQB"}
_SPELLED = {"LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]"}


@dataclasses.dataclass(eq=False)
class Line:
    """One logical line and the lines indented below it."""

    tokens: list[Token]
    indent: str
    body: list[Line] = dataclasses.field(default_factory=list)
    broken: bool = False

    @property
    def opens_body(self) -> bool:
        return self.tokens[0].type in ("FOR", "BLOCK", "MODEL")

    def flat(self) -> Iterator[tuple[Token, Line]]:
        """Yield the tokens of the line and its unbroken body, each with the line it is on."""
        yield from ((token, self) for token in self.tokens)
        yield _mark("NEWLINE", self.tokens[-1]), self
        body = [line for line in self.body if not line.broken]
        if body:
            yield _mark("INDENT", body[0].tokens[0]), body[0]
            for line in body:
                yield from line.flat()
            yield _mark("DEDENT", body[-1].tokens[-1]), body[-1]

    def all_lines(self) -> Iterator[Line]:
        yield self
        for line in self.body:
            yield from line.all_lines()


def token_span(token: Token) -> Span:
    """Return where ``token`` stands."""
    return Span(token.line or 0, token.column or 0, token.end_line or 0, token.end_column or 0)


def after(token: Token) -> Span:
    """Return the empty place right behind ``token``."""
    span = token_span(token)
    return Span(span.end_line, span.end_column, span.end_line, span.end_column + 1)


def lay_out(
    tokens: list[Token], source: str, keywords: frozenset[str]
) -> tuple[list[Line], list[DefinitionError]]:
    """Return the lines of the outermost level and the errors of brackets and indentation.

    A line with such an error is marked broken, so that nobody reports it a second time.
    """
    errors: list[DefinitionError] = []
    enclosed, faulty = _match_brackets(tokens, errors)
    lines = _split(tokens, enclosed, faulty, source)
    for line in lines:
        _demote_keywords(line.tokens, keywords)
    return _indent(lines, errors), errors


def _mark(kind: str, beside: Token) -> Token:
    return Token.new_borrow_pos(kind, "", beside)


def _match_brackets(tokens: list[Token], errors: list[DefinitionError]) -> tuple[set[int], set[int]]:
    """Return the positions of newlines inside matched brackets, and of brackets that are wrong."""
    open_at: list[int] = []
    opened = dict.fromkeys(_CLOSER, 0)
    pairs: list[tuple[int, int]] = []
    unmatched: list[int] = []
    too_deep: list[int] = []
    for i, token in enumerate(tokens):
        if token.type in opened:
            open_at.append(i)
            opened[token.type] += 1
            if len(open_at) == MAX_NESTING + 1:
                too_deep.append(i)
        elif token.type in _OPENER:
            opener = _OPENER[token.type]
            if not opened[opener]:
                unmatched.append(i)
                continue
            while tokens[open_at[-1]].type != opener:
                opened[tokens[open_at[-1]].type] -= 1
                unmatched.append(open_at.pop())
            opened[opener] -= 1
            pairs.append((open_at.pop(), i))
    unmatched += open_at
    faulty = {*unmatched, *too_deep}
    errors += [_bracket_error(tokens[i], i in too_deep) for i in sorted(faulty)[:MAX_ERRORS]]
    return _newlines_between(tokens, pairs), faulty


def _bracket_error(token: Token, too_deep: bool) -> DefinitionError:
    span, bracket = token_span(token), _SPELLED[token.type]
    if too_deep:
        return DefinitionError(f"Brackets nest at most {MAX_NESTING} deep here.", span=span)
    if token.type in _CLOSER:
        wanted = _SPELLED[_CLOSER[token.type]]
        return DefinitionError(f"This {bracket!r} is never closed.", span=span, hint=f"Add a {wanted!r}.")
    return DefinitionError(f"This {bracket!r} closes nothing.", span=span)


def _newlines_between(tokens: list[Token], pairs: list[tuple[int, int]]) -> set[int]:
    enclosed: set[int] = set()
    covered = -1
    for start, end in sorted(pairs):
        if end > covered:
            enclosed.update(i for i in range(max(start, covered), end) if tokens[i].type == "NEWLINE")
            covered = end
    return enclosed


def _split(tokens: list[Token], enclosed: set[int], faulty: set[int], source: str) -> list[Line]:
    lines: list[Line] = []
    current: list[Token] = []
    broken = False

    def finish() -> None:
        if current:
            lines.append(Line(list(current), _indentation(current[0], source), broken=broken))
            current.clear()

    for i, token in enumerate(tokens):
        if token.type != "NEWLINE":
            current.append(token)
            broken = broken or i in faulty
        elif current and i not in enclosed and not _joins(current[-1], tokens, i):
            finish()
            broken = False
    finish()
    return lines


def _joins(last: Token, tokens: list[Token], newline: int) -> bool:
    """Say whether a chain goes on over this newline: '->' ends the line or starts the next one."""
    if newline + 1 == len(tokens):
        return False
    following = tokens[newline + 1]
    return following.type == "ARROW" or (last.type == "ARROW" and following.type not in _KEYWORDS)


def _indentation(token: Token, source: str) -> str:
    start = source.rfind("\n", 0, token.start_pos) + 1
    return source[start : token.start_pos]


def _demote_keywords(tokens: list[Token], keywords: frozenset[str]) -> None:
    """Turn keywords into names wherever they do not start a line of their own kind."""
    _promote_keywords(tokens, keywords)
    first, kinds = tokens[0], [token.type for token in tokens[1:3]]
    names_something = bool(kinds) and kinds[0] in ("EQUAL", "WALRUS", "COMMA", "ARROW")
    # These are also plain words; they begin a line of their own only before what such a line needs.
    names_something = names_something or not {
        "LAYER": kinds[:1] == ["NAME"],
        "MODEL": kinds[:1] == ["NAME"],
        "SEQUENTIAL": not kinds,
        "INPUTS": kinds[:1] in (["LSQB"], ["CALLEE"]) or kinds[1:] in (["EQUAL"], ["COMMA"]),
    }.get(first.type, True)
    for i, token in enumerate(tokens):
        if token.type in _KEYWORDS and (i > 0 or names_something or first.type not in keywords):
            tokens[i] = Token.new_borrow_pos("NAME", str(token), token)


def _promote_keywords(tokens: list[Token], keywords: frozenset[str]) -> None:
    """Turn ``output`` of ``output[a, b]`` and ``in`` of ``for f in[1, 2]:`` back into keywords."""
    kind = str(tokens[0]).upper()
    if tokens[0].type == "INDEXED" and kind in keywords - {"SEQUENTIAL"}:
        tokens[0] = Token.new_borrow_pos(kind, str(tokens[0]), tokens[0])
    if tokens[0].type == "FOR":
        for i, token in enumerate(tokens):
            if token.type == "INDEXED" and token == "in":
                tokens[i] = Token.new_borrow_pos("IN", "in", token)


def _indent(lines: list[Line], errors: list[DefinitionError]) -> list[Line]:
    """Nest ``lines`` by their indentation and return the outermost ones."""
    levels = _Levels(errors)
    for line in lines:
        levels.place(line)
    levels.expect_body(None)
    return levels.roots


class _Levels:
    """The bodies that are open where the next line stands, outermost first."""

    def __init__(self, errors: list[DefinitionError]):
        self.roots: list[Line] = []
        self.open: list[tuple[tuple[int, int], list[Line]]] = []
        self.previous: Line | None = None
        self.errors = errors

    def place(self, line: Line) -> None:
        width = _width(line.indent)
        if self.previous is None:
            self.open.append((width, self.roots))
        elif width > self.open[-1][0]:
            self._go_deeper(self.previous, line, width)
        else:
            self._go_back(line, width)
        self.expect_body(line)
        self.open[-1][1].append(line)
        self.previous = line

    def expect_body(self, line: Line | None) -> None:
        """Report a header that ends with ':' and has nothing indented below it."""
        header = self.previous
        if header is None or header.broken or not header.opens_body or header.tokens[-1].type != "COLON":
            return
        if self.open[-1][1] is not header.body or line is None:
            header.broken = True
            if line is None or not line.broken:
                message = (
                    f"The body of this '{header.tokens[0]}' is missing: indent the lines that belong to it."
                )
                self.errors.append(DefinitionError(message, span=token_span(header.tokens[-1])))

    def _go_deeper(self, header: Line, line: Line, width: tuple[int, int]) -> None:
        outer = self.open[-1][0]
        if width[0] == outer[0] or width[1] <= outer[1]:
            self._complain(line, _MIXED)
        elif not header.opens_body and header.tokens[-1].type != "COLON":
            self._complain(line, _UNEXPECTED_INDENT)
        elif len(self.open) > MAX_NESTING:
            self._complain(line, f"Bodies nest at most {MAX_NESTING} deep here.")
        else:
            self.open.append((width, header.body))

    def _go_back(self, line: Line, width: tuple[int, int]) -> None:
        while len(self.open) > 1 and self.open[-1][0] > width:
            self.open.pop()
        if width != self.open[-1][0]:
            self._complain(line, _MIXED if width[0] == self.open[-1][0][0] else _NO_LEVEL)

    def _complain(self, line: Line, message: str) -> None:
        if not line.broken:
            self.errors.append(DefinitionError(message, span=token_span(line.tokens[0])))
        line.broken = True


def _width(indent: str) -> tuple[int, int]:
    """Return the width with tabs of 8 and of 1: where the two disagree, tabs and blanks are mixed."""
    return len(indent.expandtabs(8)), len(indent)


_UNEXPECTED_INDENT = (
    "This line is indented, but the line before it opens no body: only 'for ...:', 'block ...:' and "
    "'model ...:' do."
)
_MIXED = "Tabs and blanks are mixed in this indentation, so its depth is not clear."
_NO_LEVEL = "This indentation fits no line above it."
