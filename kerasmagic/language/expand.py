"""Repetition, loops and blocks written out, within limits: what remains is chains, names and scopes."""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kerasmagic.foundation.errors import DefinitionError, Span, did_you_mean
from kerasmagic.language import definition as d
from kerasmagic.language.limits import MAX_NESTING, MAX_STEPS
from kerasmagic.language.print import print_argument, print_element
from kerasmagic.language.resolved import compute

_MAX_DEPTH = 5 * MAX_NESTING
_MAX_VALUE_SIZE = 10_000
_MAX_PARTS = 5 * MAX_STEPS
_WORD = re.compile(r"[^\W\d]\w*")

Names = Mapping[str, d.Value]
_WORDS: Mapping[type, str] = {d.Shared: "layer", d.SubModel: "model"}


def expand(
    body: Iterable[d.Statement], lost_words: frozenset[str] = frozenset()
) -> tuple[tuple[d.Statement, ...], list[DefinitionError]]:
    """Return ``body`` without ``For``, ``Block`` and ``Repeat``, and what was wrong with them.

    A use of a block becomes a ``Scope``. A value that was handed to a block or a loop keeps the
    place where it was written, so that an error about it points there.

    Args:
        body: The statements of a model.
        lost_words: Names that may be blocks whose definition could not be read.
    """
    expander = _Expander(lost_words)
    try:
        statements = tuple(expander.statements(body, {}, top=True))
    except _TooLarge:
        statements = ()
    return statements, expander.errors


@dataclasses.dataclass(frozen=True)
class _Fresh(d.Word):
    """The new name of a block's tensor that would otherwise hide a tensor handed in."""


class _TooLarge(Exception):
    """The limit is passed and reported; nothing more is expanded."""


class _Expander:
    def __init__(self, lost_words: frozenset[str]):
        self.errors: list[DefinitionError] = []
        self.blocks: dict[str, d.Block] = {}
        self.lost_words = lost_words
        self.active: list[str] = []
        self.parts_left = _MAX_PARTS
        self.steps_left = MAX_STEPS
        self.depth = 0
        self.fresh = 0

    # ---- limits

    def spend(self, parts: int, steps: int, span: Span) -> None:
        self.parts_left -= parts
        self.steps_left -= steps
        if self.steps_left < 0 or self.parts_left < 0:
            message = f"Written out, this model has more than {MAX_STEPS:,} steps."
            self.errors.append(DefinitionError(message, span=span))
            raise _TooLarge

    def deeper(self, span: Span) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            self.errors.append(DefinitionError("This is nested too deeply.", span=span))
            raise _TooLarge

    def complain(self, message: str, span: Span, hint: str | None = None) -> None:
        self.errors.append(DefinitionError(message, span=span, hint=hint))

    # ---- statements

    def statements(
        self, body: Iterable[d.Statement], names: Names, *, top: bool = False
    ) -> list[d.Statement]:
        out: list[d.Statement] = []
        for statement in body:
            match statement:
                case d.Chain():
                    out.append(self.chain(statement, names))
                case d.Assignment():
                    out.append(self.assignment(statement, names))
                case d.For():
                    out += self.loop(statement, names)
                case _ if not top:
                    kind = _WORDS.get(type(statement), type(statement).__name__.lower())
                    self.complain(f"'{kind}' stands at the outermost level only.", statement.span)
                    if isinstance(statement, d.Block):
                        # Uses of it are right as soon as it stands where it should.
                        self.define(statement)
                case d.Block():
                    self.define(statement)
                case d.Inputs() | d.Output():
                    chains = tuple(self.chain(chain, names) for chain in statement.chains)
                    out.append(dataclasses.replace(statement, chains=chains))
                case d.Shared():
                    out.append(dataclasses.replace(statement, chain=self.chain(statement.chain, names)))
                case d.SubModel():
                    self.deeper(statement.span)
                    body = tuple(self.statements(statement.body, {}, top=True))
                    out.append(dataclasses.replace(statement, body=body))
                    self.depth -= 1
                case _:
                    out.append(statement)
        return out

    def define(self, block: d.Block) -> None:
        if block.name in self.blocks:
            self.complain(f"There is a block {block.name!r} already.", block.name_span)
        self.blocks[block.name] = block

    def assignment(self, statement: d.Assignment, names: Names) -> d.Assignment:
        renamed = tuple(v.name if isinstance(v := names.get(n), _Fresh) else n for n in statement.names)
        for i, name in enumerate(statement.names):
            if name in names and not isinstance(names[name], _Fresh):
                self.complain(
                    f"{name!r} is a parameter here and cannot name a tensor.", statement.name_spans[i]
                )
        return dataclasses.replace(statement, names=renamed, chain=self.chain(statement.chain, names))

    def loop(self, loop: d.For, names: Names) -> list[d.Statement]:
        out: list[d.Statement] = []
        if len(loop.values) == 1 and isinstance(loop.values[0], d.Python):
            message = "A loop needs its values written out; Python in braces is one value."
            self.complain(message, loop.values[0].span, "Write for example 'for f in 64, 128:'.")
            return out
        for value in self.counted(loop, names):
            self.spend(1, 0, loop.span)
            bound = self.unpack(loop, value)
            if bound is not None:
                self.deeper(loop.span)
                out += self.statements(loop.body, {**names, **bound})
                self.depth -= 1
        return out

    def counted(self, loop: d.For, names: Names) -> Iterator[d.Value]:
        """Give the values of a loop, with the numbers that ``range(1, 4)`` stands for."""
        for value in loop.values:
            new = self.value(value, names)
            if not isinstance(new, d.Call) or new.name != "range":
                yield new
                continue
            bounds = [
                a.value.value
                for a in new.arguments
                if isinstance(a, d.Positional) and isinstance(a.value, d.Number)
            ]
            whole = [bound for bound in bounds if isinstance(bound, int)]
            if len(whole) != len(new.arguments) or not 1 <= len(whole) <= 3 or whole[2:] == [0]:
                self.complain(
                    "'range' takes one to three whole numbers.", new.span, "Write for example 'range(1, 4)'."
                )
                continue
            yield from (d.Number(number, span=new.span) for number in range(*whole))

    def unpack(self, loop: d.For, value: d.Value) -> dict[str, d.Value] | None:
        if len(loop.names) == 1:
            return {loop.names[0]: value}
        items: tuple[Any, ...] = ()
        if isinstance(value, d.Tuple | d.List):
            items = value.items
        elif isinstance(value, d.Dims):
            items = tuple(d.Number(size, span=value.span) for size in value.sizes)
        if len(items) != len(loop.names):
            wanted = ", ".join(loop.names)
            self.complain(f"Each round of this loop takes {len(loop.names)} values: ({wanted}).", value.span)
            return None
        return dict(zip(loop.names, items, strict=True))

    # ---- what flows

    def chain(self, chain: d.Chain, names: Names) -> d.Chain:
        self.deeper(chain.span)
        elements: list[d.Element] = []
        for element in chain.elements:
            elements += self.element(element, names)
        self.depth -= 1
        return dataclasses.replace(chain, elements=tuple(elements))

    def element(self, element: d.Element, names: Names) -> list[d.Element]:
        self.spend(1, _is_step(element), element.span)
        match element:
            case d.Step():
                return [self.step(element, names)]
            case d.Group():
                return [dataclasses.replace(element, chain=self.chain(element.chain, names))]
            case d.Repeat():
                return self.repeat(self.chain(element.chain, names), element.count, element.count_span)
            case d.Tensors():
                return [
                    dataclasses.replace(element, items=tuple(self.chain(c, names) for c in element.items))
                ]
            case d.Index(of, index):
                taken = self.element(of, names)[0] if isinstance(of, d.Step) else of
                return [dataclasses.replace(element, of=taken, index=self.value(index, names))]
            case d.Merge():
                return self.merge(element, names)
            case d.Python():
                return [self.python(element, names)]
        return [element]

    def repeat(self, chain: d.Chain, count: int, span: Span) -> list[d.Element]:
        parts, steps = _size(chain.elements)
        self.spend((count - 1) * parts, (count - 1) * steps, span)
        return list(chain.elements) * count

    def merge(self, merge: d.Merge, names: Names) -> list[d.Element]:
        """Expand the operands; a group times a number, known only now, is a repetition."""
        operands: list[d.Element] = []
        sized: d.Element | None = None
        for i, operand in enumerate(merge.operands):
            new = _as_one(self.element(operand, names), operand.span)
            if isinstance(new, d.Number) and i and (sized or _ends_in_a_size(merge.operands[i - 1])):
                # One report for `dense 4*4*8`.
                sized = sized or self.size_in_brackets(merge, i)
            elif isinstance(new, d.Number):
                self.repeat_last(operands, new)
            else:
                operands.append(new)
        match operands:
            case [d.Group(chain)]:
                return list(chain.elements)
            case [] | [_]:
                return operands
        operators = merge.operators[: len(operands) - 1]
        return [dataclasses.replace(merge, operands=tuple(operands), operators=operators)]

    def size_in_brackets(self, merge: d.Merge, place: int) -> d.Element:
        """Complain of a size that is computed without brackets; the number at ``place`` is a part of it."""
        step = merge.operands[place - 1]
        assert isinstance(step, d.Step)
        size = step.arguments[-1]
        parts, last = print_argument(size), size.span
        for operator_, operand in zip(merge.operators[place - 1 :], merge.operands[place:], strict=True):
            if isinstance(operand, d.Step) and operand.arguments:
                break
            parts, last = f"{parts} {operator_} {print_element(operand)}", operand.span
        span = Span(size.span.line, size.span.column, last.end_line, last.end_column)
        count = merge.operands[place]
        hint = f"Write '({parts})'; or '({print_element(step)}) * {print_element(count)}' to repeat the step."
        self.complain("A size that is computed stands in brackets.", span, hint)
        return step

    def repeat_last(self, operands: list[d.Element], count: d.Number) -> None:
        last = operands[-1] if operands else None
        if isinstance(last, d.Group) and isinstance(count.value, int) and count.value > 0:
            elements = tuple(self.repeat(last.chain, count.value, count.span))
            operands[-1] = d.Group(d.Chain(elements, span=last.span), span=last.span)
        else:
            self.complain("Only a group is repeated, a whole number of times: '(dense 8) * 3'.", count.span)

    def step(self, step: d.Step, names: Names) -> d.Element:
        bound = names.get(step.name)
        if bound is not None:
            return self.bound_step(step, bound, names)
        arguments = self.arguments(step.arguments, names)
        if arguments is not step.arguments:
            step = dataclasses.replace(step, arguments=arguments)
        return self.use(step, self.blocks[step.name]) if step.name in self.blocks else step

    def bound_step(self, step: d.Step, bound: d.Value, names: Names) -> d.Element:
        """A parameter where a step stands: a layer's or a tensor's name was handed in, or a count."""
        arguments = self.arguments(step.arguments, names)
        match bound:
            case d.Word(name):
                new = dataclasses.replace(step, name=name, arguments=arguments, name_span=bound.span)
                return self.use(new, self.blocks[name]) if name in self.blocks else new
            case d.Call(name, inner) if not arguments:
                return d.Step(name, inner, True, name_span=bound.name_span, span=bound.span)
            case d.Python() | d.Number() if not arguments:
                return bound
        self.complain(f"{step.name!r} holds a value here, not a step.", step.name_span)
        return d.Scope(step.name, (), span=step.span)

    def use(self, step: d.Step, block: d.Block) -> d.Element:
        scope = d.Scope(block.name, (), span=step.span)
        bound = self.bind(step, block)
        if bound is None:
            return scope
        if block.name in self.active or len(self.active) >= MAX_NESTING:
            problem = "uses itself" if block.name in self.active else "is nested too deeply"
            self.complain(f"The block {block.name!r} {problem}.", step.name_span)
            raise _TooLarge
        self.active.append(block.name)
        body = self.statements(block.body, {**bound, **self.renames(block, bound)})
        self.active.pop()
        return dataclasses.replace(scope, body=tuple(body))

    def renames(self, block: d.Block, bound: Names) -> dict[str, d.Value]:
        """Give new names to those of the block's tensors that are also the names of what is handed in."""
        handed_in = {value.name for value in bound.values() if isinstance(value, d.Word)}
        renames: dict[str, d.Value] = {}
        for name in sorted(handed_in & _assigned(block.body)):
            self.fresh += 1
            renames[name] = _Fresh(f"{name}__{self.fresh}")
        return renames

    def bind(self, step: d.Step, block: d.Block) -> dict[str, d.Value] | None:
        """Return the value of every parameter of ``block``, or ``None`` after complaining."""
        parameters = {p.name: p.default for p in block.parameters}
        given: dict[str, d.Value] = {}
        before = len(self.errors)
        for argument in step.arguments:
            match argument:
                case d.Keyword(name, value) if name in parameters:
                    self.give(block, given, name, value, argument.span)
                case d.Negated(name) if name in parameters:
                    self.give(block, given, name, d.Constant(False, span=argument.span), argument.span)
                case d.Positional(value):
                    free = next((name for name in parameters if name not in given), None)
                    if free is None:
                        self.complain(_too_many(block), argument.span)
                    else:
                        given[free] = value
                case d.Keyword(name) | d.Negated(name):
                    hint = did_you_mean(name, parameters)
                    self.complain(f"The block {block.name!r} has no parameter {name!r}.", argument.span, hint)
                case d.Strides():
                    self.complain(f"The block {block.name!r} takes no strides.", argument.span)
        missing = [name for name, default in parameters.items() if default is None and name not in given]
        if missing and len(self.errors) == before:
            shown = " ".join([*map(print_argument, step.arguments), *(name.upper() for name in missing)])
            hint = f"Write '{step.name} {shown}'."
            self.complain(f"The block {block.name!r} needs {' and '.join(missing)}.", step.name_span, hint)
        if len(self.errors) > before:
            return None
        defaults = {name: value for name, value in parameters.items() if value is not None}
        return {**defaults, **given}

    def give(self, block: d.Block, given: dict[str, d.Value], name: str, value: d.Value, span: Span) -> None:
        if name in given:
            self.complain(f"{name} of the block {block.name!r} is given twice.", span)
        given[name] = value

    # ---- values

    def arguments(self, arguments: tuple[d.Argument, ...], names: Names) -> tuple[d.Argument, ...]:
        new = tuple(
            self.argument(a, names) if isinstance(a, d.Positional | d.Keyword) else a for a in arguments
        )
        # What is as it was stays the same object, so that it is read once however often it is repeated.
        return arguments if all(map(operator.is_, new, arguments)) else new

    def argument(self, argument: Any, names: Names) -> Any:
        value = self.value(argument.value, names)
        return argument if value is argument.value else dataclasses.replace(argument, value=value)

    def value(self, value: Any, names: Names) -> Any:
        new = self.substituted(value, names)
        if names and _value_size(new, _MAX_VALUE_SIZE) <= 0:
            self.complain("This value is too large.", value.span)
            raise _TooLarge
        return new

    def substituted(self, value: Any, names: Names) -> Any:
        match value:
            case d.Slice():
                parts = [
                    p if p is None else self.value(p, names) for p in (value.start, value.stop, value.step)
                ]
                return d.Slice(*parts, span=value.span)
            case d.Word(name):
                return names.get(name, value)
            case d.Tuple(items) | d.List(items):
                return dataclasses.replace(value, items=tuple(self.value(item, names) for item in items))
            case d.Call():
                return dataclasses.replace(value, arguments=self.arguments(value.arguments, names))
            case d.Arithmetic():
                return self.arithmetic(value, names)
            case d.Python():
                return self.python(value, names)
        return value

    def python(self, python: d.Python, names: Names) -> d.Python:
        mentioned = set(_WORD.findall(python.source)) if names else ()
        bindings = tuple((name, names[name]) for name in names if name in mentioned)
        return dataclasses.replace(python, bindings=(*python.bindings, *bindings))

    def arithmetic(self, value: d.Arithmetic, names: Names) -> d.Value:
        operands = tuple(self.value(operand, names) for operand in value.operands)
        if not all(isinstance(o, d.Number) for o in operands):
            return dataclasses.replace(value, operands=operands)
        try:
            numbers = [o.value for o in operands if isinstance(o, d.Number)]
            return d.Number(compute(numbers, value.operators, value.span), span=value.span)
        except DefinitionError as error:
            self.errors.append(error)
            return d.Number(1, span=value.span)


def _as_one(elements: list[d.Element], span: Span) -> d.Element:
    return elements[0] if len(elements) == 1 else d.Group(d.Chain(tuple(elements), span=span), span=span)


def _too_many(block: d.Block) -> str:
    if not block.parameters:
        return f"The block {block.name!r} takes no arguments."
    return f"The block {block.name!r} takes only {', '.join(p.name for p in block.parameters)}."


def _assigned(body: Iterable[d.Statement]) -> set[str]:
    found: set[str] = set()
    for statement in body:
        if isinstance(statement, d.Assignment):
            found.update(statement.names)
        elif isinstance(statement, d.For):
            found |= _assigned(statement.body)
    return found


def _ends_in_a_size(element: Any) -> bool:
    """Say whether a number behind an element can only be meant for its last argument."""
    if not isinstance(element, d.Step) or element.called or not element.arguments:
        return False
    last = element.arguments[-1]
    return isinstance(last, d.Positional) and isinstance(last.value, d.Number | d.Word | d.Arithmetic)


def _is_step(element: Any) -> bool:
    return isinstance(element, d.Step | d.Python)


def _size(elements: Iterable[Any]) -> tuple[int, int]:
    """Return how many elements a chain has with everything inside them, and how many are steps."""
    parts = steps = 0
    for element in elements:
        inner_parts, inner_steps = _size(_inside(element))
        parts += 1 + inner_parts
        steps += _is_step(element) + inner_steps
    return parts, steps


def _inside(element: Any) -> Iterable[Any]:
    match element:
        case d.Group(chain):
            return chain.elements
        case d.Tensors(items):
            return [e for chain in items for e in chain.elements]
        case d.Merge(operands):
            return operands
        case d.Scope(body=body):
            chains = [s.chain if isinstance(s, d.Assignment) else s for s in body]
            return [e for c in chains if isinstance(c, d.Chain) for e in c.elements]
    return ()


def _value_size(value: Any, budget: int) -> int:
    """Return what is left of ``budget`` after counting the parts of ``value``, or 0."""
    budget -= 1
    parts: tuple[Any, ...] = ()
    match value:
        case d.Tuple(items) | d.List(items):
            parts = items
        case d.Slice(start, stop, step):
            parts = tuple(part for part in (start, stop, step) if part is not None)
        case d.Arithmetic(operands):
            parts = operands
        case d.Call(arguments=arguments):
            parts = tuple(a.value for a in arguments if isinstance(a, d.Positional | d.Keyword))
        case d.Python(bindings=bindings):
            parts = tuple(bound for _, bound in bindings)
    for part in parts:
        if budget <= 0:
            return 0
        budget = _value_size(part, budget)
    return max(budget, 0)


def simplify(value: d.Value, report: Callable[[DefinitionError], None]) -> d.Value:
    """Return ``value`` with arithmetic over plain numbers computed; errors go to ``report``."""
    expander = _Expander(frozenset())
    new = expander.value(value, {})
    for error in expander.errors:
        report(error)
    return new
