"""A model as a list of calls in the order in which a person would write them."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from kerasmagic.core import addresses, tree
from kerasmagic.core.layer import Layer
from kerasmagic.core.symbolic import FunctionOperation, KerasTensor, Node, Operation
from kerasmagic.foundation.errors import NotSerializable
from kerasmagic.foundation.registry import OPERATIONS


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a layer or a function on symbolic tensors.

    Attributes:
        operation: What is called.
        function: The public name of the function, where it is one.
        arguments: What it is called with, by parameter, in order; defaults are left out.
        variadic: The parameter that takes any number of arguments, if there is one: its value is a tuple.
        outputs: The tensors that come out.
        required: The parameters without a default, which are given by position.
        result: The structure in which the outputs come.
    """

    operation: Operation
    function: str | None
    arguments: dict[str, Any]
    variadic: str | None
    outputs: tuple[KerasTensor, ...]
    required: tuple[str, ...] = ()
    result: Any = None

    @property
    def inputs(self) -> list[KerasTensor]:
        """The tensors that go in, in order."""
        return [x for x in tree.flatten(list(self.arguments.values())) if isinstance(x, KerasTensor)]


def calls(model: Any) -> list[Call]:
    """Return the calls between the inputs and the outputs of a graph, each after those it needs.

    A branch is written to its end before the next one begins.

    Raises:
        NotSerializable: If a function of the graph has no public name.
    """
    return [_call(node) for node in model._graph.written() if not node.is_input]


def _call(node: Node) -> Call:
    operation = node.operation
    if isinstance(operation, FunctionOperation):
        return _function_call(operation, node)
    if not isinstance(operation, Layer):
        raise NotSerializable(f"The operation {operation.name!r} is neither a layer nor a function of `ops`.")
    signature = operation._call_signature
    return _bound(operation, None, signature, node.args, node.kwargs, node)


def _function_call(operation: FunctionOperation, node: Node) -> Call:
    function = operation.function
    name = OPERATIONS.name_of(function)
    if name is None:
        raise NotSerializable(
            f"The function {operation.name!r} has no public name, so it can be written neither as text nor as "
            "Python. Put what it does into a layer."
        )
    args, kwargs = addresses.join(function, operation.fixed, node.args, node.kwargs)
    return _bound(operation, name, inspect.signature(function), tuple(args), kwargs, node)


def _bound(
    operation: Operation, name: str | None, signature: inspect.Signature, args: Any, kwargs: Any, node: Node
) -> Call:
    bound = signature.bind(*args, **kwargs)
    given: dict[str, Any] = {}
    variadic = None
    required = tuple(p.name for p in signature.parameters.values() if p.default is p.empty)
    for parameter in signature.parameters.values():
        if parameter.name not in bound.arguments:
            continue
        value = bound.arguments[parameter.name]
        if parameter.kind is parameter.VAR_KEYWORD:
            given.update(value)
        elif parameter.kind is parameter.VAR_POSITIONAL:
            variadic = parameter.name
            given[variadic] = value
        elif parameter.default is parameter.empty or not _same(value, parameter.default):
            given[parameter.name] = value
    return Call(operation, name, given, variadic, tuple(node.output_tensors), required, node.outputs)


def _same(value: Any, default: Any) -> bool:
    if isinstance(value, KerasTensor):
        return False
    return value is default or (type(value) is type(default) and value == default)


def uses(all_calls: list[Call]) -> dict[int, int]:
    """Return how often each operation is called, by its ``id``."""
    found: dict[int, int] = {}
    for call in all_calls:
        found[id(call.operation)] = found.get(id(call.operation), 0) + 1
    return found
