"""The check of ``%%layer``: weights, the names an expression may use, and which lines are chains of steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from kerasmagic.foundation.errors import DefinitionError, DefinitionErrors, Span
from kerasmagic.language import definition as d
from kerasmagic.language import resolved as r
from kerasmagic.language.check import FlowCheck, Names, in_order
from kerasmagic.language.expand import expand, simplify
from kerasmagic.language.inputs import resolve_input
from kerasmagic.language.parse import recover_layer
from kerasmagic.language.resolve import Resolver
from kerasmagic.language.vocabulary import MERGE_LAYERS, CallWords, Role, Vocabulary, nearest

NAMESPACES = ("jnp", "jax", "nn", "ops")
CALL_NAMES = ("training", "mask", "key")
BUILTINS = (
    *("abs", "bool", "dict", "enumerate", "float", "int", "isinstance", "len", "list", "max", "min"),
    *("range", "reversed", "round", "slice", "sorted", "str", "sum", "tuple", "zip"),
)
"""What an expression may name besides the layer's own names."""


@dataclasses.dataclass(frozen=True)
class _Option:
    name: str
    default: Any = None
    positional: bool = False
    required: bool = False


_WEIGHT_ROLES: dict[str, Role] = {
    "initializer": "initializer",
    "regularizer": "regularizer",
    "constraint": "constraint",
    "dtype": "dtype",
    "frozen": "boolean",
}
_WEIGHT_OPTIONS = tuple(_Option(name) for name in _WEIGHT_ROLES)


def read_layer(
    header: str, body: str, vocabulary: Vocabulary, *, first_line: int = 1, header_column: int = 1
) -> r.ResolvedLayer:
    """Parse and check a ``%%layer`` cell; syntax errors and wrong names come together.

    Args:
        header: The name and the parameters, as they stand on the magic's line.
        body: The lines below.
        vocabulary: What the words mean.
        first_line: The line of the header.
        header_column: The column at which the header starts in its line.

    Raises:
        DefinitionErrors: With every independent error of the cell, in order.
    """
    found = recover_layer(header, body, first_line=first_line, header_column=header_column)
    return _checked_layer(found.definition, vocabulary, found.errors, found.lost_words)


def check_layer(definition: d.LayerDefinition, vocabulary: Vocabulary) -> r.ResolvedLayer:
    """Check a layer that is parsed already.

    Raises:
        DefinitionErrors: With every independent error, in order.

    Example:

    >>> from kerasmagic.language.parse import parse_layer
    >>> layer = check_layer(parse_layer("Scale(by=2)", "x * by"), Vocabulary())
    >>> layer.parameters[0].default, layer.body[0].expression.source
    (2, 'x * by')
    """
    return _checked_layer(definition, vocabulary, (), frozenset())


def _checked_layer(
    definition: d.LayerDefinition,
    vocabulary: Vocabulary,
    errors: tuple[DefinitionError, ...],
    lost_words: frozenset[str],
) -> r.ResolvedLayer:
    check = _LayerCheck(definition, vocabulary, lost_words, broken=bool(errors))
    layer = check.layer()
    found = in_order([*errors, *check.resolver.errors])
    if found:
        raise DefinitionErrors(found)
    return layer


class _LayerCheck:
    def __init__(
        self,
        definition: d.LayerDefinition,
        vocabulary: Vocabulary,
        lost_words: frozenset[str],
        *,
        broken: bool,
    ):
        self.definition = definition
        self.broken = broken
        self.resolver = Resolver(vocabulary, lost_words=lost_words)
        self.flow = FlowCheck(self.resolver, Names({}))
        self.taken: dict[str, str] = {}
        self.states: set[str] = set()

    def layer(self) -> r.ResolvedLayer:
        parameters = tuple(self.parameter(p) for p in self.definition.parameters)
        inputs = self.inputs([s for s in self.definition.body if isinstance(s, d.Input)])
        self.resolver.locals = frozenset(self.taken) - {i.name or "x" for i in inputs}
        variables = [s for s in self.definition.body if isinstance(s, d.Weight | d.State)]
        weights = tuple(self.weight(statement) for statement in variables)
        body = [self.line(s) for s in self.definition.body if not isinstance(s, d.Input | d.Weight | d.State)]
        lines = tuple(line for line in body if line is not None)
        if not body and not self.broken:
            message = (
                "This layer computes nothing: its last line says what it returns, for example 'x @ kernel'."
            )
            span = self.definition.body[-1].span if self.definition.body else self.definition.name_span
            self.resolver.complain(message, span)
        name, span = self.definition.name, self.definition.name_span
        return r.ResolvedLayer(name, parameters, inputs, weights, lines, span)

    # ---- names

    def take(self, name: str, what: str, span: Span) -> None:
        """Give ``name`` its one meaning."""
        if name in self.taken:
            self.resolver.complain(f"{name!r} is {self.taken[name]} already.", span)
        elif name in (*NAMESPACES, *CALL_NAMES):
            self.resolver.complain(
                f"{name!r} has a meaning of its own in a layer; choose another name.", span
            )
        self.taken[name] = what

    def parameter(self, parameter: d.Parameter) -> r.ResolvedParameter:
        if parameter.name == "self":
            message = "'self' does not belong here: the header names what a user of the layer gives."
            self.resolver.complain(message, parameter.span, "Leave it out.")
        self.take(parameter.name, "a parameter", parameter.span)
        if parameter.default is None:
            return r.ResolvedParameter(parameter.name, True, span=parameter.span)
        value = self.resolver.plain(self.simple(parameter.default), text=True)
        return r.ResolvedParameter(parameter.name, False, value, parameter.span)

    def simple(self, value: d.Value) -> d.Value:
        return simplify(value, self.resolver.errors.append)

    def inputs(self, statements: list[d.Input]) -> tuple[r.ResolvedInput, ...]:
        found = [i for s in statements if (i := resolve_input(s, self.resolver, pattern=True)) is not None]
        if not statements:
            found = [r.ResolvedInput("x", None, span=self.definition.name_span)]
        for each in found:
            if each.name is None and len(statements) > 1:
                hint = "Write 'input NAME (..., n)'."
                self.resolver.complain("Where there are several inputs, each needs a name.", each.span, hint)
            name = each.name or "x"
            self.take(name, "an input", each.span)
            self.flow.names.tensors[name] = each.span
        for each in found:
            self.dimensions(each)
        self.flow.names.flows = len(found) <= 1
        return tuple(found)

    def dimensions(self, found: r.ResolvedInput) -> None:
        shape = found.shape if isinstance(found.shape, tuple) else ()
        for name in shape:
            if isinstance(name, str) and self.taken.get(name, "") not in ("a dimension", "a parameter"):
                self.take(name, "a dimension", found.span)

    # ---- weights

    def weight(self, statement: d.Weight | d.State) -> r.ResolvedWeight:
        state = isinstance(statement, d.State)
        kind = "state" if state else "weight"
        shape = self.shape(statement.shape)
        parameters = tuple(o for o in _WEIGHT_OPTIONS if not (state and o.name == "frozen"))
        words = CallWords(f"the {kind} {statement.name!r}", parameters, _WEIGHT_ROLES)
        options = self.resolver.bind(words, statement.arguments, kind, statement.name_span)
        self.take(statement.name, f"a {kind}", statement.name_span)
        self.flow.names.tensors[statement.name] = statement.name_span
        if state:
            self.states.add(statement.name)
        return r.ResolvedWeight(statement.name, shape, state, options, statement.span)

    def shape(self, value: d.Value) -> Any:
        """Return a weight's shape: sizes, parameters, dimensions and arithmetic over them."""
        items = value.items if isinstance(value, d.Tuple | d.List) else (value,)
        if isinstance(value, d.Dims):
            return value.sizes
        return tuple(self.size(self.simple(item)) for item in items)

    def size(self, item: d.Value) -> Any:
        match item:
            case d.Number(size) if isinstance(size, int) and size > 0:
                return size
            case d.Word(name) if name in self.resolver.locals:
                return r.Reference(name, item.span)
            case d.Word(name) if name not in self.resolver.lost_words:
                message = f"{name!r} is no parameter and no dimension of an input."
                hint = nearest(name, sorted(self.resolver.locals))
                hint = hint or f"Name it in an input line, as in 'input (..., {name})'."
                return self.resolver.complain(message, item.span, hint)
            case d.Arithmetic() | d.Python() | d.Word():
                return self.resolver.plain(item, text=False)
        return self.resolver.complain("A size is a whole number from 1 on, or a name.", item.span)

    # ---- lines of the call

    def line(self, statement: Any) -> Any:
        match statement:
            case d.Expression():
                return self.expression(statement, (), ())
            case d.Binding(names, expression):
                return self.expression(expression, names, statement.name_spans)
            case d.Update(name, expression):
                return self.update(statement, name, expression)
            case d.Assignment(names):
                for name, span in zip(names, statement.name_spans, strict=True):
                    self.rename(name, span)
        return self.steps(statement)

    def update(self, statement: d.Update, name: str, expression: d.Expression) -> r.ResolvedExpression:
        if name not in self.states and name not in self.resolver.lost_words:
            hint = nearest(name, sorted(self.states)) or f"Declare it: 'state {name} () zeros'."
            self.resolver.complain(f"{name!r} is no state of this layer.", statement.name_span, hint)
        self.known(expression)
        return r.ResolvedExpression(expression, (name,), True, statement.span)

    def expression(self, expression: d.Expression, names: tuple[str, ...], spans: tuple[Span, ...]) -> Any:
        """Resolve a line that Python can read: where its names mean nothing, it may be a chain of steps."""
        for name, span in zip(names, spans, strict=True):
            self.rename(name, span)
        if expression.chain is not None and self.is_chain(expression, expression.chain):
            chain = expression.chain
            found = self.steps(
                d.Assignment(names, chain, name_spans=spans, span=chain.span) if names else chain
            )
        else:
            self.known(expression)
            found = r.ResolvedExpression(expression, names, span=expression.span)
        self.flow.names.tensors.update(zip(names, spans, strict=True))
        self.flow.names.flows = True
        return found

    def is_chain(self, expression: d.Expression, chain: d.Chain) -> bool:
        first = chain.elements[0]
        step = first if isinstance(first, d.Step) else None
        if step is not None and step.called and step.name in MERGE_LAYERS and "." not in step.name:
            return step.name not in ("min", "max") or len(step.arguments) > 1
        if all(self.is_known(name) for name, _ in expression.names):
            return False
        vocabulary = self.resolver.vocabulary
        return any(vocabulary.find_layer(n) or n in vocabulary.activations for n in _step_names(chain))

    def is_known(self, name: str) -> bool:
        return (
            name in self.flow.names.tensors
            or name in self.resolver.locals
            or name in (*NAMESPACES, *CALL_NAMES, *BUILTINS)
        )

    def known(self, expression: d.Expression) -> None:
        """Complain about the names of an expression that mean nothing here."""
        for name, span in expression.names:
            if not self.is_known(name) and name not in self.resolver.lost_words:
                candidates = [
                    *self.flow.names.tensors,
                    *sorted(self.resolver.locals),
                    *NAMESPACES,
                    *CALL_NAMES,
                ]
                if expression.chain is not None:
                    candidates += self.resolver.vocabulary.step_names
                message = f"{name!r} is no input, weight, parameter or earlier line of this layer."
                self.resolver.complain(message, span, nearest(name, candidates))

    def rename(self, name: str, span: Span) -> None:
        """Let an earlier line's name or an input's be given again, and nothing else's."""
        if self.taken.get(name, "an input") != "an input":
            self.resolver.complain(f"{name!r} is {self.taken[name]} already.", span)
        elif name in (*NAMESPACES, *CALL_NAMES):
            self.resolver.complain(
                f"{name!r} has a meaning of its own in a layer; choose another name.", span
            )

    def steps(self, statement: d.Chain | d.Assignment) -> r.ResolvedStatement | None:
        body, errors = expand([statement], self.resolver.lost_words)
        self.resolver.errors += errors
        return self.flow.statement(body[0]) if body else None


def _step_names(chain: d.Chain) -> Iterable[str]:
    for element in chain.elements:
        operands = element.operands if isinstance(element, d.Merge) else (element,)
        yield from (o.name for o in operands if isinstance(o, d.Step))
