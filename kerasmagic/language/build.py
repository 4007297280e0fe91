"""One function a grammar rule: what the parser read of it becomes a node of the syntax tree.

lark calls these while it parses, with every token and every finished node of the rule, so no
second walk over a tree is needed and depth costs no recursion.
"""

from __future__ import annotations

import ast
import dataclasses
import keyword
import math
import warnings
from typing import Any

from lark import Token, Transformer

from kerasmagic.foundation.errors import DefinitionError, Span
from kerasmagic.language import definition as d
from kerasmagic.language.formulas import free_names, read_expression
from kerasmagic.language.layout import token_span
from kerasmagic.language.limits import MAX_DIGITS

_LAYOUT = ("NEWLINE", "INDENT", "DEDENT")
_CONSTANTS = {"true": True, "false": False, "none": None}


def _nodes(children: list[Any]) -> tuple[Any, ...]:
    return tuple(child for child in children if not isinstance(child, Token))


def _names(children: list[Any]) -> list[Token]:
    return [
        child for child in children if isinstance(child, Token) and child.type in ("NAME", "CALLEE", "IN")
    ]


def _plain(token: Token) -> str:
    """Return the name that ``token`` gives to something; it must be one that Python can use too."""
    name = str(token)
    if not name.isidentifier() or keyword.iskeyword(name):
        reason = "is a word of Python" if keyword.iskeyword(name) else "is not a plain name"
        raise DefinitionError(f"{name!r} {reason}, so nothing can be called that.", span=token_span(token))
    return name


def _span_of(child: Any) -> Span:
    return token_span(child) if isinstance(child, Token) else child.span


def _span(children: list[Any]) -> Span:
    """Return the stretch from the first to the last child that is text."""
    shown = [
        c for c in children if not (isinstance(c, Token) and c.type in _LAYOUT) and not isinstance(c, tuple)
    ]
    if not shown:
        return d.NOWHERE
    first, last = _span_of(shown[0]), _span_of(shown[-1])
    return Span(first.line, first.column, last.end_line, last.end_column)


def _bounded(token: Token) -> Token:
    if len(token) > MAX_DIGITS:
        raise DefinitionError("This number is too long.", span=token_span(token))
    return token


def _sizes(token: Token, text: str) -> tuple[int, ...]:
    return tuple(int(_bounded(Token.new_borrow_pos("NUMBER", size, token))) for size in text.split("x"))


def _evaluated_text(token: Token) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(str(token))
    except (SyntaxError, ValueError):
        raise DefinitionError(
            "This text cannot be read: look at its backslashes.", span=token_span(token)
        ) from None


def _interleaved(children: list[Any]) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    return tuple(children[0::2]), tuple(str(operator) for operator in children[1::2])


class Builder(Transformer):
    """The callbacks; methods are named after the rules of grammar.lark."""

    # ---- values

    def number(self, children: list[Any]) -> d.Number:
        token = _bounded(children[0])
        plain = token.replace("_", "")
        value = float(plain) if any(c in plain for c in ".eE") else int(plain)
        if not math.isfinite(value):
            raise DefinitionError("This number is too large.", span=token_span(token))
        return d.Number(value, str(token), span=token_span(token))

    def dims(self, children: list[Any]) -> d.Dims:
        return d.Dims(_sizes(children[0], str(children[0])), span=_span(children))

    def text(self, children: list[Any]) -> d.Text:
        return d.Text(_evaluated_text(children[0]), span=_span(children))

    def constant(self, children: list[Any]) -> d.Constant:
        return d.Constant(_CONSTANTS[children[0].lower()], span=_span(children))

    def word(self, children: list[Any]) -> d.Word:
        return d.Word(str(children[0]), span=_span(children))

    def call(self, children: list[Any]) -> d.Call:
        name = children[0]
        return d.Call(str(name), _nodes(children), name_span=token_span(name), span=_span(children))

    def parenthesis(self, children: list[Any]) -> Any:
        return dataclasses.replace(children[1], span=_span(children))

    def tuple(self, children: list[Any]) -> d.Tuple:
        return d.Tuple(_nodes(children), span=_span(children))

    def list(self, children: list[Any]) -> d.List:
        return d.List(_nodes(children), span=_span(children))

    def python(self, children: list[Any]) -> d.Python:
        span = _span(children)
        source = children[0][1:-1].replace("\n", " ").strip()
        read_expression(source, Span(span.line, span.column + 1, span.end_line, span.end_column))
        return d.Python(source, span=span)

    def rest(self, children: list[Any]) -> d.Rest:
        return d.Rest(span=_span(children))

    def arithmetic(self, children: list[Any]) -> d.Arithmetic:
        return d.Arithmetic(*_interleaved(children), span=_span(children))

    term = arithmetic

    # ---- arguments

    def positional(self, children: list[Any]) -> d.Positional:
        return d.Positional(children[0], span=_span(children))

    def keyword(self, children: list[Any]) -> d.Keyword:
        name = children[0]
        return d.Keyword(_key(name), children[2], name_span=token_span(name), span=_span(children))

    def negated(self, children: list[Any]) -> d.Negated:
        return d.Negated(str(children[1]), span=_span(children))

    def strides(self, children: list[Any]) -> d.Strides:
        return d.Strides(_sizes(children[0], children[0][1:]), span=_span(children))

    # ---- what flows

    def step(self, children: list[Any]) -> d.Step:
        name = children[0]
        return d.Step(str(name), _nodes(children), name_span=token_span(name), span=_span(children))

    def call_step(self, children: list[Any]) -> d.Step:
        name = children[0]
        return d.Step(str(name), _nodes(children), True, name_span=token_span(name), span=_span(children))

    def group(self, children: list[Any]) -> d.Group:
        return d.Group(children[1], span=_span(children))

    def slice(self, children: list[Any]) -> d.Slice:
        parts: list[Any] = [None]
        for child in children:
            if isinstance(child, Token):
                parts.append(None)
            else:
                parts[-1] = child
        return d.Slice(*parts, span=_span(children))

    def index(self, children: list[Any], of: Any = None) -> d.Index:
        items = _nodes(children)
        several = any(isinstance(child, Token) and child.type == "COMMA" for child in children)
        index = d.Tuple(items, span=_span(children)) if several else items[0]
        return d.Index(of, index, span=_span(children))

    def indexed(self, children: list[Any]) -> d.Index:
        name, *rest = children
        span = token_span(name)
        of = d.Inflow(span=span) if name == "in" else d.Step(str(name), name_span=span, span=span)
        return dataclasses.replace(self.index(rest, of), span=_span(children))

    def tensors(self, children: list[Any]) -> d.Tensors:
        return d.Tensors(_nodes(children), span=_span(children))

    def inflow(self, children: list[Any]) -> d.Inflow:
        return d.Inflow(span=_span(children))

    def chain(self, children: list[Any]) -> d.Chain:
        return d.Chain(_nodes(children), span=_span(children))

    def sum(self, children: list[Any]) -> d.Merge:
        return d.Merge(*_interleaved(children), span=_span(children))

    def product(self, children: list[Any]) -> d.Element:
        first, *rest = children
        while isinstance(first, d.Group) and rest and isinstance(rest[1], d.Number):
            first, rest = _repeat(first, rest[1]), rest[2:]
        return self.sum([first, *rest]) if rest else first

    def onward_product(self, children: list[Any]) -> d.Merge:
        return self.sum([d.Current(span=_span(children[:1])), *children])

    def onward_sum(self, children: list[Any]) -> d.Merge:
        if isinstance(children[0], Token):
            return self.onward_product(children)
        return self.sum(children) if len(children) > 1 else children[0]

    # ---- statements

    def input(self, children: list[Any]) -> d.Input:
        return d.Input(_nodes(children), span=_span(children))

    def named(self, children: list[Any]) -> Any:
        return children[0], children[2]

    def output(self, children: list[Any], kind: Any = d.Output) -> Any:
        return kind(*_results(children), span=_span(children))

    def inputs(self, children: list[Any]) -> d.Inputs:
        return self.output(children, d.Inputs)

    def sequential(self, children: list[Any]) -> d.Sequential:
        return d.Sequential(span=_span(children))

    def compile(self, children: list[Any]) -> d.Compile:
        return d.Compile(_nodes(children), span=_span([c for c in children if isinstance(c, Token)]))

    def part(self, children: list[Any]) -> Any:
        return tuple(children)

    def assignment(self, children: list[Any]) -> d.Assignment:
        names = _names(children)
        spans = tuple(token_span(name) for name in names)
        return d.Assignment(tuple(map(_plain, names)), children[-1], name_spans=spans, span=_span(children))

    def body(self, children: list[Any]) -> Any:
        return _nodes(children)

    def statement(self, children: list[Any]) -> Any:
        return _as_input(children[0])

    layer_statement = statement

    def for_loop(self, children: list[Any]) -> d.For:
        names = [_plain(name) for name in _names(children) if name.type != "IN"]
        *values, body = _nodes(children)
        return d.For(tuple(names), tuple(values), body, span=_span(children[:-1]))

    def parameter(self, children: list[Any]) -> d.Parameter:
        default = children[2] if len(children) > 1 else None
        return d.Parameter(_plain(children[0]), default, span=token_span(children[0]))

    def parameters(self, children: list[Any]) -> Any:
        return _distinct(_nodes(children))

    def block(self, children: list[Any]) -> d.Block:
        name = children[1]
        *parameters, body = _nodes(children)
        header = _span([c for c in children if isinstance(c, Token)])
        given = parameters[0] if parameters else ()
        return d.Block(_plain(name), given, body, name_span=token_span(name), span=header)

    def shared(self, children: list[Any]) -> d.Shared:
        name = children[1]
        return d.Shared(_plain(name), children[-1], name_span=token_span(name), span=_span(children))

    def submodel(self, children: list[Any]) -> d.SubModel:
        name = children[1]
        header = _span([c for c in children if isinstance(c, Token)])
        return d.SubModel(_plain(name), children[-1], name_span=token_span(name), span=header)

    def header(self, children: list[Any]) -> d.LayerDefinition:
        name = children[0]
        parameters = children[1] if len(children) > 1 else ()
        return d.LayerDefinition(
            _plain(name), parameters, (), name_span=token_span(name), span=token_span(name)
        )

    # ---- statements of %%layer

    def weight(self, children: list[Any]) -> d.Weight:
        name, shape, *arguments = children[1:]
        return d.Weight(
            _plain(name), shape, tuple(arguments), name_span=token_span(name), span=_span(children)
        )

    def state(self, children: list[Any]) -> d.State:
        name, shape, *arguments = children[1:]
        return d.State(
            _plain(name), shape, tuple(arguments), name_span=token_span(name), span=_span(children)
        )

    def formula(self, children: list[Any]) -> d.Expression:
        token, span = children[0], _span(children)
        tree = read_expression(str(token), span)
        return d.Expression(str(token), names=free_names(tree, str(token), span), span=span)

    def update(self, children: list[Any]) -> d.Update:
        name, _, expression = children
        return d.Update(
            _plain(name), self.formula([expression]), name_span=token_span(name), span=_span(children)
        )

    def binding(self, children: list[Any]) -> d.Binding:
        names = _names(children)
        spans = tuple(token_span(name) for name in names)
        expression = self.formula(children[-1:])
        return d.Binding(tuple(map(_plain, names)), expression, name_spans=spans, span=_span(children))


def _key(token: Token) -> str:
    return _evaluated_text(token) if token.type == "STRING" else str(token)


def _results(children: list[Any]) -> tuple[tuple[d.Chain, ...], tuple[str, ...]]:
    """Return the chains between commas, and their keys where they have any."""
    parts = [child for child in children if not isinstance(child, Token)]
    named = [part for part in parts if isinstance(part, tuple)]
    if not named:
        return tuple(parts), ()
    if len(named) < len(parts):
        plain = next(part for part in parts if not isinstance(part, tuple))
        message = "Either all of these have a name before '=', or none has."
        raise DefinitionError(message, span=plain.span, hint="Write for example 'output digit=a, sign=b'.")
    keys = [_key(token) for token, _ in named]
    for i, (token, _) in enumerate(named):
        if keys[i] in keys[:i]:
            raise DefinitionError(f"The name {keys[i]!r} is there twice.", span=token_span(token))
    return tuple(chain for _, chain in named), tuple(keys)


def _repeat(group: d.Group, count: d.Number) -> d.Repeat:
    if not isinstance(count.value, int) or count.value < 1:
        raise DefinitionError("A group is repeated a whole number of times, at least once.", span=count.span)
    first, last = group.span, count.span
    span = Span(first.line, first.column, last.end_line, last.end_column)
    return d.Repeat(group.chain, count.value, count_span=count.span, span=span)


def _distinct(parameters: tuple[d.Parameter, ...]) -> tuple[d.Parameter, ...]:
    seen: set[str] = set()
    optional = None
    for parameter in parameters:
        if parameter.name in seen:
            raise DefinitionError(f"The parameter {parameter.name!r} is there twice.", span=parameter.span)
        if parameter.default is None and optional:
            message = f"{parameter.name!r} needs a default, because {optional!r} before it has one."
            raise DefinitionError(message, span=parameter.span)
        optional = parameter.name if parameter.default is not None else optional
        seen.add(parameter.name)
    return parameters


def _as_input(statement: Any) -> Any:
    """Read ``Input(shape=(28, 28, 1))``, the way Keras says it, as an ``input`` line."""
    match statement:
        case d.Chain((d.Step("Input" | "input", arguments, True),)):
            return d.Input(arguments, span=statement.span)
        case d.Assignment((name,), d.Chain((d.Step("Input" | "input", arguments, True),))):
            label = d.Keyword("name", d.Text(name), name_span=statement.span, span=statement.span)
            return d.Input((*arguments, label), span=statement.span)
    return statement
