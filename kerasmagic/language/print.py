"""From definition to text: what is printed reads back as the same definition."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from kerasmagic.language import definition as d

_INDENT = "    "
# Words that stand before no `=`, in whatever letters.
_NO_KEYS = frozenset({"true", "false", "none", "in"})


def print_model(definition: d.ModelDefinition) -> str:
    """Return the text of a model, one statement a line.

    Example:

    >>> from kerasmagic.language.parse import parse_model
    >>> print_model(parse_model("conv  16 3   same->relu"))
    'conv 16 3 same -> relu\\n'
    """
    return _lines(definition.body)


def print_layer(definition: d.LayerDefinition) -> tuple[str, str]:
    """Return the header and the body of a layer.

    Example:

    >>> from kerasmagic.language.parse import parse_layer
    >>> print_layer(parse_layer("Scale( by = 2 )", "x*by"))
    ('Scale(by=2)', 'x*by\\n')
    """
    return definition.name + _parameters(definition.parameters), _lines(definition.body)


def print_value(value: d.Value | d.Slice) -> str:
    """Return the text of one value."""
    match value:
        case d.Number(number, text):
            return text or repr(number)
        case d.Dims(sizes):
            return "x".join(map(str, sizes))
        case d.Text(text):
            return repr(text)
        case d.Constant(constant):
            return {True: "true", False: "false", None: "none"}[constant]
        case d.Word(name):
            return name
        case d.Call(name, arguments):
            return f"{name}({', '.join(map(print_argument, arguments))})"
        case d.Tuple(items):
            return f"({', '.join(map(print_value, items))}{',' if len(items) == 1 else ''})"
        case d.List(items):
            return f"[{', '.join(map(print_value, items))}]"
        case d.Arithmetic(operands, operators):
            return f"({_interleaved([print_value(o) for o in operands], operators)})"
        case d.Python(source):
            return f"{{{source}}}"
        case d.Rest():
            return "..."
        case d.Slice(start, stop, step):
            shown = ["" if part is None else print_value(part) for part in (start, stop, step)]
            return ":".join(shown if step is not None else shown[:2])


def print_argument(argument: d.Argument) -> str:
    """Return the text of one argument."""
    match argument:
        case d.Positional(value):
            return print_value(value)
        case d.Keyword(name, value):
            return f"{_key(name)}={print_value(value)}"
        case d.Negated(name):
            return f"!{name}"
        case d.Strides(sizes):
            return "/" + "x".join(map(str, sizes))


def print_element(element: d.Element) -> str:
    """Return the text of one element of a chain."""
    match element:
        case d.Step(name, arguments, called):
            shown = [print_argument(argument) for argument in arguments]
            return f"{name}({', '.join(shown)})" if called else " ".join([name, *shown])
        case d.Group(chain):
            return f"({print_chain(chain)})"
        case d.Repeat(chain, count):
            return f"({print_chain(chain)}) * {count}"
        case d.Tensors(items):
            return f"[{', '.join(map(print_chain, items))}]"
        case d.Index(of, index):
            return f"{'' if of is None else print_element(of)}[{_index(index)}]"
        case d.Merge(operands, operators):
            return _interleaved([print_element(o) for o in operands], operators).lstrip()
        case d.Inflow():
            return "in"
        case d.Current():
            return ""
        case d.Number() | d.Python():
            return print_value(element)
        case d.Scope(name):
            return name


def print_chain(chain: d.Chain) -> str:
    """Return the text of a chain."""
    return " -> ".join(map(print_element, chain.elements))


def _key(name: str) -> str:
    return name if re.fullmatch(r"[^\W\d]\w*", name) and name.lower() not in _NO_KEYS else repr(name)


def _index(index: d.Value | d.Slice) -> str:
    if isinstance(index, d.Tuple):
        return ", ".join(map(print_value, index.items)) + ("," if len(index.items) == 1 else "")
    return print_value(index)


def _results(chains: Iterable[d.Chain], keys: tuple[str, ...]) -> str:
    names = [f"{_key(key)}=" for key in keys] or [""] * len(tuple(chains))
    return ", ".join(name + print_chain(chain) for name, chain in zip(names, chains, strict=True))


def _interleaved(operands: list[str], operators: Iterable[str]) -> str:
    return operands[0] + "".join(f" {o} {right}" for o, right in zip(operators, operands[1:], strict=True))


def _parameters(parameters: tuple[d.Parameter, ...]) -> str:
    shown = [p.name if p.default is None else f"{p.name}={print_value(p.default)}" for p in parameters]
    return f"({', '.join(shown)})" if parameters else ""


def _lines(body: Iterable[Any], indent: str = "") -> str:
    return "".join(f"{indent}{line}\n" for statement in body for line in _statement(statement))


def _statement(statement: Any) -> list[str]:
    """Return the lines of a statement, those of its body indented."""
    match statement:
        case d.For(names, values, body):
            return [f"for {', '.join(names)} in {', '.join(map(print_value, values))}:", *_body(body)]
        case d.Block(name, parameters, body):
            return [f"block {name}{_parameters(parameters)}:", *_body(body)]
        case d.SubModel(name, body):
            return [f"model {name}:", *_body(body)]
    return [_simple(statement)]


def _body(body: Iterable[Any]) -> list[str]:
    return _lines(body, _INDENT).removesuffix("\n").split("\n")


def _simple(statement: Any) -> str:
    match statement:
        case d.Chain():
            return print_chain(statement)
        case d.Assignment(names, chain):
            return f"{', '.join(names)} = {print_chain(chain)}"
        case d.Shared(name, chain):
            return f"layer {name} = {print_chain(chain)}"
        case d.Input(arguments):
            return " ".join(["input", *map(print_argument, arguments)])
        case d.Inputs(chains, keys) | d.Output(chains, keys):
            return f"{type(statement).__name__.lower()} {_results(chains, keys)}"
        case d.Sequential():
            return "Sequential"
        case d.Compile(parts):
            return "compile " + ", ".join(" ".join(map(print_argument, part)) for part in parts)
        case d.Weight(name, shape, arguments) | d.State(name, shape, arguments):
            word = type(statement).__name__.lower()
            return " ".join([word, name, print_value(shape), *map(print_argument, arguments)])
        case d.Update(name, expression):
            return f"{name} := {expression.source}"
        case d.Binding(names, expression):
            return f"{', '.join(names)} = {expression.source}"
        case d.Expression(source):
            return source
    raise TypeError(f"{type(statement).__name__} is no statement")
