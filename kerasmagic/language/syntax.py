"""What to say when a line does not parse: what stands there, and what was expected at that place."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence, Set

from lark import Token

from kerasmagic.foundation.errors import DefinitionError, Span
from kerasmagic.language.layout import Line, after, token_span

_ELEMENT = {"CALLEE", "LSQB", "LPAR", "NAME"}
_VALUE = {"NUMBER", "STRING", "DIMS", "CONSTANT"}
_LITERAL = {
    "COLON": "':'",
    "COMMA": "','",
    "EQUAL": "'='",
    "RPAR": "')'",
    "RSQB": "']'",
    "IN": "'in'",
}
_NEEDS = {
    "INPUT": "an input needs a shape, as in 'input 28x28x1'",
    "OUTPUT": "'output' needs the names of tensors, as in 'output a, b'",
    "COMPILE": "'compile' needs an optimizer, as in 'compile adam, mse'",
    "FOR": "a loop reads 'for f in 64, 128:'",
    "BLOCK": "a block needs a name, as in 'block residual(f):'",
    "LAYER": "a shared layer reads 'layer encode = dense 64'",
    "MODEL": "a model inside reads 'model encoder:'",
    "WEIGHT": "a weight needs a name and a shape, as in 'weight kernel (n, units)'",
    "STATE": "a state needs a name and a shape, as in 'state total ()'",
}
_HINTS = {
    "$": "A variable of the notebook is put in braces: '{units}'.",
    "%": "A part of a whole is a number between 0 and 1: '0.5'.",
    ";": "A step stands on a line of its own, or behind '->'.",
}
_HINTS.update(dict.fromkeys("\u2212\u2013\u2014", "Write '-'."))
_HINTS.update(dict.fromkeys("\u201c\u201d\u201e\u2018\u2019", 'Text stands between plain quotes: "text".'))
_HINTS["\u00d7"] = "Sizes are joined by 'x', as in '28x28'; a group is repeated by '* 3'."
_PLAIN = ("NAME", "EQUAL", "NUMBER", "STRING", "CONSTANT", "COMMA")
_OTHER_ARROWS = ("=>", ">", "|", "→", "—>", "–>")


def explain(token: Token, expected: Set[str], line: Line, *, header: bool = False) -> DefinitionError:
    """Return the error for ``token``, the first of ``line`` that fits no rule.

    Args:
        token: The token; NEWLINE stands for the end of the line.
        expected: The kinds of token that would have fitted.
        line: The line it is on.
        header: Whether the line is what stands behind ``%%layer``.
    """
    before = _before(token, line)
    special = _of_unknown(token, line) or _of_place(token, before, expected, line)
    if special is None and header:
        special = _of_header(line.tokens)
    if special is not None:
        return special
    wanted = _wanted(expected, before)
    if token.type == "NEWLINE":
        return DefinitionError(f"The line ends here, but {wanted} is missing.", span=after(line.tokens[-1]))
    return DefinitionError(
        f"{_shown(token)} does not fit here: {wanted} is expected.", span=token_span(token)
    )


_STATEMENTS = frozenset(
    (
        "if",
        "for",
        "while",
        "with",
        "def",
        "class",
        "return",
        "import",
        "from",
        "try",
        "del",
        "assert",
        "raise",
    )
)


def python_statement(line: Line) -> DefinitionError | None:
    """Return the error for a line of a layer that is a statement of Python, not an expression."""
    first = line.tokens[0]
    if str(first) not in _STATEMENTS or (len(line.tokens) > 1 and line.tokens[1].type in ("EQUAL", "WALRUS")):
        return None
    message = (
        f"A layer has no {str(first)!r}: its lines are expressions, 'name = expression' and chains of steps."
    )
    hint = "The last line is what the layer returns; leave 'return' out." if first == "return" else None
    return DefinitionError(message, span=token_span(first), hint=hint)


def _before(token: Token, line: Line) -> Token | None:
    if token.type == "NEWLINE":
        return line.tokens[-1]
    i = next((i for i, other in enumerate(line.tokens) if other is token), 0)
    return line.tokens[i - 1] if i else None


def _shown(token: Token) -> str:
    return repr(str(token)) if len(token) <= 40 else repr(token[:37] + "...")


def _of_unknown(token: Token, line: Line) -> DefinitionError | None:
    """Return the error for text that is no token of the language at all."""
    span = token_span(token)
    if token.type == "BAD_NUMBER":
        return _bad_number(token, span)
    if token.type == "EQUALITY":
        return DefinitionError("'==' compares; here only '=' has a meaning.", span=span)
    if token.type != "UNKNOWN":
        return None
    if token in ('"', "'"):
        end = line.tokens[-1]
        whole = Span(span.line, span.column, end.end_line or span.line, end.end_column or span.column)
        return DefinitionError(f"This text has no closing {token}.", span=whole)
    if token in "{}":
        closing = "opens Python that is never closed" if token == "{" else "closes nothing"
        return DefinitionError(f"This {str(token)!r} {closing}.", span=span)
    hint = "Steps are joined by '->'." if token in _OTHER_ARROWS else None
    plain = unicodedata.normalize("NFKC", token)
    if plain != token and plain.isascii() and plain.isprintable():
        hint = f"Write {plain!r}."
    if token in _HINTS:
        hint = _HINTS[token]
    if token == "@":
        hint = "'@' belongs in the expressions of %%layer."
    return DefinitionError(f"The character {str(token)!r} has no meaning here.", span=span, hint=hint)


def _bad_number(token: Token, span: Span) -> DefinitionError:
    digits = token[: len(token) - len(token.lstrip("0123456789."))]
    word = token[len(digits) :]
    hint, sizes = None, token.lower().split("x")
    if len(sizes) > 1 and all(size.isdigit() for size in sizes):
        hint = f"Did you mean '{token.lower()}'?"
    elif "x" in token:
        hint = f"A shape with words is written ({', '.join(token.split('x'))})."
    elif (bounds := token.split("..")) and len(bounds) == 2 and all(each.isdigit() for each in bounds):
        hint = f"Write 'range({bounds[0]}, {int(bounds[1]) + 1})'."
    elif word.isidentifier() and digits.isdigit():
        hint = f"Did you mean '{digits} {word}'?"
    return DefinitionError(f"{_shown(token)} is neither a number nor a name.", span=span, hint=hint)


def _of_place(token: Token, before: Token | None, expected: Set[str], line: Line) -> DefinitionError | None:
    """Return the error for a mistake that the place alone makes clear."""
    span, first = token_span(token), line.tokens[0]
    ends = token.type == "NEWLINE"
    if first.type in ("FOR", "BLOCK", "MODEL") and expected == {"COLON"} | expected & {"COMMA"} and ends:
        return DefinitionError(
            f"A '{first}' line ends with ':'.", span=after(line.tokens[-1]), hint="Add a ':'."
        )
    if token.type == "INDENT":
        return DefinitionError(
            "The body is on the line of the ':' already; nothing is indented below it.", span=span
        )
    if before is not None and before.type == "ARROW":
        what = "the line ends" if ends else f"{_shown(token)} stands there"
        place = token_span(before) if ends else span
        return DefinitionError(f"A step is expected after '->', but {what}.", span=place)
    if token.type == "ARROW" and before is None:
        return DefinitionError("'->' starts the cell, so nothing flows into it.", span=span)
    if ends and before is not None and before.type in _NEEDS and before is first:
        return DefinitionError(f"This line is not complete: {_NEEDS[before.type]}.", span=token_span(before))
    special = _of_numbers(token, before, expected, line)
    if special is not None:
        return special
    if token.type == "COMMA" and "ARROW" in expected and first.type in ("NAME", "CALLEE"):
        hint = f"Write 'conv 16 3' with blanks, or '{_name_before(token, line)}(…)' with commas."
        return DefinitionError("The arguments of a step are separated by blanks.", span=span, hint=hint)
    if token.type == "EQUAL" and before is not None and before.type not in ("NAME", "CALLEE"):
        message = f"Only a name can stand before '=', not {_shown(before)}."
        return DefinitionError(message, span=token_span(before))
    if token.type == "SLASH":
        return DefinitionError(
            "'/' has no meaning here.", span=span, hint="Strides are written '/2', without a blank."
        )
    return None


def _of_numbers(token: Token, before: Token | None, expected: Set[str], line: Line) -> DefinitionError | None:
    """Return the error for numbers and brackets that stand as they would elsewhere."""
    tokens, first = line.tokens, line.tokens[0]
    place = next((i for i, other in enumerate(tokens) if other is token), 0)
    if first.type == "INPUT" and token.type in ("COMMA", "STAR") and "RPAR" not in expected:
        start = place - 1
        while place + 1 < len(tokens) and tokens[place].type in ("COMMA", "STAR"):
            place += 2
        sizes = tokens[start : min(place, len(tokens))][::2]
        if before is not None and all(size.type == "NUMBER" for size in sizes):
            hint = f"Write '{'x'.join(map(str, sizes))}'."
            return DefinitionError("A shape is one word.", span=_over(before, sizes[-1]), hint=hint)
    if token.type == "COLON" and expected >= {"RPAR", "COMMA", "EQUAL"} and before is not None:
        return _typed_parameter(tokens, place)
    if token.type in ("NUMBER", "DIMS", "NAME", "STRING") and {"RPAR", "COMMA"} <= expected:
        message, hint = f"A ',' is missing before {token}.", f"Write ', {token}'."
        return DefinitionError(message, span=token_span(token), hint=hint)
    start = _start_of_product(tokens, place)
    if before is not None and start < place - 1:
        hint = f"Write '({_source(tokens[start:place])})'."
        span = _over(tokens[start], before)
        return DefinitionError("A size that is computed stands in brackets.", span=span, hint=hint)
    if before is None or before.type != "RPAR":
        if first is token and token.type == "NUMBER" and [t.type for t in tokens[1:3]] == ["STAR", "LPAR"]:
            hint = f"Write '{_source(tokens[2:])} * {token}'."
            return DefinitionError(
                "The number of repetitions stands behind the group.", span=_over(token, tokens[-1]), hint=hint
            )
        return None
    if str(token) in ("x", "X") and place + 1 < len(tokens) and tokens[place + 1].type == "NUMBER":
        hint = f"Write '* {tokens[place + 1]}'."
        return DefinitionError("A group is repeated by '*'.", span=_over(token, tokens[place + 1]), hint=hint)
    if token.type == "LPAR":
        hint = f"Leave '{_source(tokens[place:])}' out."
        return DefinitionError(
            "What flows into a step is known: it is not called again.",
            span=_over(token, tokens[-1]),
            hint=hint,
        )
    return None


def _typed_parameter(tokens: Sequence[Token], colon: int) -> DefinitionError:
    """Return the error for ``units: int = 3`` among parameters."""
    end = next((i for i in range(colon, len(tokens)) if tokens[i].type in ("COMMA", "RPAR", "EQUAL")), colon)
    default = f" = {tokens[end + 1]}" if tokens[end].type == "EQUAL" and end + 1 < len(tokens) else ""
    hint = f"Write '{tokens[colon - 1]}{default}'."
    span = _over(tokens[colon], tokens[max(colon, end - 1)])
    return DefinitionError("A parameter has a name and perhaps a default, and no type.", span=span, hint=hint)


def _of_header(tokens: Sequence[Token]) -> DefinitionError | None:
    """Return the error for a header that is written as a class of Python is, or as a step."""
    kept = [*tokens[1:]] if str(tokens[0]) in ("class", "def") else [*tokens]
    if len(kept) > 1 and kept[-1].type == "COLON":
        kept = kept[:-1]
    name, rest = kept[0], kept[1:]
    if rest and rest[0].type in ("LSQB", "COMMA"):
        rest = [t for t in rest[1:] if t.type != "RSQB"]
    if any(t.type == "EQUAL" for t in rest) and all(t.type in _PLAIN for t in rest):
        starts = [
            i for i, t in enumerate(rest) if t.type == "NAME" and (not i or rest[i - 1].type != "EQUAL")
        ]
        if starts[:1] != [0]:
            return None
        parts = [rest[a:b] for a, b in zip(starts, [*starts[1:], len(rest)], strict=True)]
        shown = ", ".join("".join(t for t in part if t.type != "COMMA") for part in parts)
        message, hint = "The parameters of a layer stand in brackets.", f"Write '{name}({shown})'."
        return DefinitionError(message, span=_over(rest[0], rest[-1]), hint=hint)
    if len(kept) == len(tokens) or name.type not in ("NAME", "CALLEE"):
        return None
    wrong = tokens[-1] if kept[0] is tokens[0] else tokens[0]
    message = f"{str(wrong)!r} does not belong here: a header is a name and perhaps parameters."
    return DefinitionError(message, span=token_span(wrong), hint=f"Write '{_source(kept)}'.")


def _start_of_product(tokens: Sequence[Token], end: int) -> int:
    """Return where ``7*7*8`` begins among the arguments of a step, if it ends before ``end``."""
    start = end - 1
    sizes = ("NUMBER", "NAME")
    while start >= 3 and tokens[start - 1].type == "STAR" and tokens[start - 2].type in sizes:
        start -= 2
    return start if start > 0 and tokens[start - 1].type in sizes else end - 1


def _over(first: Token, last: Token) -> Span:
    start, end = token_span(first), token_span(last)
    return Span(start.line, start.column, end.end_line, end.end_column)


def _source(tokens: Sequence[Token]) -> str:
    """Return the text of tokens of one line, with the blanks between them."""
    text, end = "", tokens[0].column or 1
    for token in tokens:
        text += " " * ((token.column or end) - end) + str(token)
        end = token.end_column or end
    return text.strip()


def _name_before(token: Token, line: Line) -> str:
    names = [t for t in line.tokens if t.type == "NAME" and (t.start_pos or 0) < (token.start_pos or 0)]
    return str(names[0]) if names else "conv"


def _wanted(expected: Set[str], before: Token | None) -> str:
    """Say in the reader's words what fits."""
    kinds: list[str] = []
    if expected >= _VALUE and "ARROW" in expected:
        kinds.append("an argument, '->' or the end of the line")
    elif expected >= _VALUE:
        kinds.append("a value")
    elif expected >= _ELEMENT:
        kinds.append("a step")
    elif "EXPRESSION" in expected:
        kinds.append("an expression")
    elif "NAME" in expected:
        kinds.append("a name")
    elif "ARROW" in expected:
        kinds.append("'->' or the end of the line")
    literals = (
        ("RPAR", "RSQB", "COMMA", "COLON", "EQUAL")
        if kinds
        else ("RPAR", "RSQB", "COMMA", "COLON", "IN", "EQUAL")
    )
    shown = [_LITERAL[kind] for kind in literals if kind in expected]
    if not kinds or len(shown) <= 2:
        kinds += shown
    if not kinds:
        return "the end of the line" if before is not None else "a step"
    return kinds[0] if len(kinds) == 1 else ", ".join(kinds[:-1]) + " or " + kinds[-1]
