"""What to say when a line does not parse: what stands there, and what was expected at that place."""

from __future__ import annotations

from collections.abc import Set

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
_OTHER_ARROWS = ("=>", ">", "|", "→", "—>", "–>")


def explain(token: Token, expected: Set[str], line: Line) -> DefinitionError:
    """Return the error for ``token``, the first of ``line`` that fits no rule.

    Args:
        token: The token; NEWLINE stands for the end of the line.
        expected: The kinds of token that would have fitted.
        line: The line it is on.
    """
    before = _before(token, line)
    special = _of_unknown(token, line) or _of_place(token, before, expected, line)
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
