"""What a checked definition says: layers by name with bound arguments, and how tensors flow between them.

Repetition, loops and blocks are gone; merges have become a list of tensors that flows into a merging
layer. A step that stands in several places is one object here and a layer of its own in each place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from kerasmagic.foundation.errors import DefinitionError, Span
from kerasmagic.language.definition import NOWHERE, Expression

# ---- values: plain Python values (numbers, text, tuples, lists, True, False, None), or one of these ----


@dataclasses.dataclass(frozen=True)
class PythonValue:
    """``{source}``, still not evaluated; ``bindings`` are values that the source may mention by name."""

    source: str
    bindings: tuple[tuple[str, Any], ...] = ()
    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class Reference:
    """A parameter or a dimension of the layer that is being defined."""

    name: str
    span: Span = NOWHERE

    def value(self, names: Mapping[str, Any]) -> Any:
        return names[self.name]


@dataclasses.dataclass(frozen=True)
class Computed:
    """``(4 * hidden)``: arithmetic over references, computed once they have values."""

    operands: tuple[Any, ...]
    operators: tuple[str, ...]
    span: Span = NOWHERE

    def value(self, names: Mapping[str, Any]) -> Any:
        """Return the result, with ``names`` for the references.

        Raises:
            DefinitionError: A division by zero.

        Example:

        >>> Computed((4, Reference("hidden")), ("*",)).value({"hidden": 8})
        32
        """
        operands = [o.value(names) if isinstance(o, Reference | Computed) else o for o in self.operands]
        return compute(operands, self.operators, self.span)


@dataclasses.dataclass(frozen=True)
class Array:
    """``array([[1, 0]], int8)``: numbers with the dtype they have."""

    numbers: Any
    dtype: str | None = None
    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class Slice:
    """``1:-1`` in an index."""

    start: Any = None
    stop: Any = None
    step: Any = None
    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class ResolvedCall:
    """``l2(1e-4)``: ``kind`` is initializer, regularizer, constraint, schedule, optimizer, loss or metric."""

    kind: str
    name: str
    arguments: tuple[BoundArgument, ...]
    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class BoundArgument:
    """A value and the parameter it is for: one of the constructor, or one of the call (``in_call``)."""

    name: str
    value: Any
    span: Span = NOWHERE
    in_call: bool = False


# ---- what flows ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ResolvedStep:
    """A layer with its arguments.

    Attributes:
        name: The name as it was written.
        layers: The layer's public name by rank of what flows in; ``None`` is the rank of one that fits any.
        arguments: The arguments, bound to parameters.
        span: The whole step; ``name_span`` is its name alone.
        refused: What is wrong with the arguments for the ranks that ``layers`` lacks because of them.
    """

    name: str
    layers: Mapping[int | None, str]
    arguments: tuple[BoundArgument, ...] = ()
    name_span: Span = NOWHERE
    span: Span = NOWHERE
    refused: Mapping[int | None, tuple[DefinitionError, ...]] = dataclasses.field(
        default_factory=dict, compare=False
    )

    def layer(self, rank: int | None = None) -> str | None:
        """Return the layer for an input of ``rank`` spatial dimensions, or ``None`` where none fits."""
        return self.layers.get(None) or self.layers.get(rank)


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor by its name."""

    name: str
    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class Flowing:
    """What flows in at this place of a chain."""

    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class BlockInput:
    """``in``: what flowed into the block."""

    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class SharedUse:
    """A layer or a model that has a name: the same one in every place."""

    name: str
    arguments: tuple[BoundArgument, ...] = ()
    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class Gather:
    """Several tensors; a chain that starts with a step starts from what flows in."""

    items: tuple[ResolvedChain, ...]
    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class Structure:
    """``list(a, b)``, ``tuple(a, b)`` or ``dict(left=a)``: handed over whole, as one argument.

    ``value`` is the list, tuple or dict itself, with ``Tensor`` and ``BlockInput`` in it.
    """

    value: Any
    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class ResolvedScope:
    """One use of a block: its statements see the names outside, and nothing outside sees theirs."""

    name: str
    body: tuple[ResolvedStatement, ...]
    span: Span = NOWHERE


ResolvedElement = (
    ResolvedStep
    | SharedUse
    | Tensor
    | Flowing
    | BlockInput
    | Gather
    | Structure
    | ResolvedScope
    | PythonValue
)


@dataclasses.dataclass(frozen=True)
class ResolvedChain:
    elements: tuple[ResolvedElement, ...]
    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class ResolvedAssignment:
    """``names`` for the output of a chain, or for its several outputs."""

    names: tuple[str, ...]
    chain: ResolvedChain
    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class ResolvedShared:
    """A name for one layer; it is made at its first use, where its input is known."""

    name: str
    step: ResolvedStep | PythonValue
    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class ResolvedSubModel:
    """A name for a model inside the model."""

    name: str
    model: ResolvedModel
    span: Span = NOWHERE


ResolvedStatement = ResolvedChain | ResolvedAssignment | ResolvedShared | ResolvedSubModel


# ---- whole cells -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ResolvedInput:
    """One input.

    ``shape`` holds sizes, names of open dimensions and ``None``; in a layer it is the whole shape, may
    hold one ``...``, and is ``None`` where the line gives none. It may be one ``PythonValue``.
    """

    name: str | None
    shape: Any
    dtype: Any = None
    options: tuple[BoundArgument, ...] = ()
    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class ResolvedCompile:
    optimizer: Any
    loss: Any = None
    metrics: Any = ()
    options: tuple[BoundArgument, ...] = ()
    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class ResolvedModel:
    """A model.

    Attributes:
        inputs: Its inputs, in the order of the text.
        body: Its lines.
        outputs: What comes out; ``()`` for what flows at the end.
        compile: How it is compiled.
        given: The chains that say how the inputs are handed over; ``()`` for a list of them.
        keys: The keys of a dict of ``given`` and of ``outputs``, where they are one.
        sequential: Where the text says that it is a stack of layers and not a graph; ``None`` where it does not.
    """

    inputs: tuple[ResolvedInput, ...]
    body: tuple[ResolvedStatement, ...]
    outputs: tuple[ResolvedChain, ...] = ()
    compile: ResolvedCompile | None = None
    given: tuple[ResolvedChain, ...] = ()
    keys: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    sequential: Span | None = None

    @property
    def steps(self) -> tuple[ResolvedStep | SharedUse | PythonValue, ...] | None:
        """The steps in order, where the model is one straight line of layers; otherwise ``None``."""
        if len(self.inputs) > 1 or self.outputs:
            return None
        found = list(_straight(self.body))
        return None if None in found else tuple(step for step in found if step is not None)


def _straight(
    body: tuple[ResolvedStatement, ...],
) -> Iterator[ResolvedStep | SharedUse | PythonValue | None]:
    for statement in body:
        if isinstance(statement, ResolvedShared | ResolvedSubModel):
            continue
        if not isinstance(statement, ResolvedChain):
            yield None
            continue
        for element in statement.elements:
            if isinstance(element, ResolvedScope):
                yield from _straight(element.body)
            else:
                yield _layer_in(element)


def _layer_in(element: Any) -> ResolvedStep | SharedUse | PythonValue | None:
    """Return an element that is a layer and takes nothing but what flows."""
    if isinstance(element, ResolvedStep):
        plain = not element.name.startswith("ops.") and not any(a.in_call for a in element.arguments)
        return element if plain else None
    named = isinstance(element, SharedUse) and not element.arguments
    return element if named or isinstance(element, PythonValue) else None


@dataclasses.dataclass(frozen=True)
class ResolvedParameter:
    """A parameter of a layer; ``default`` means something only where ``required`` is false."""

    name: str
    required: bool
    default: Any = None
    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class ResolvedWeight:
    """A weight or, where ``state`` is true, a state; ``options`` are initializer, regularizer and so on."""

    name: str
    shape: Any
    state: bool = False
    options: tuple[BoundArgument, ...] = ()
    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class ResolvedExpression:
    """A JAX expression; ``names`` take its value, ``update`` says that the one name is a state."""

    expression: Expression
    names: tuple[str, ...] = ()
    update: bool = False
    span: Span = NOWHERE


@dataclasses.dataclass(frozen=True)
class ResolvedLayer:
    name: str
    parameters: tuple[ResolvedParameter, ...]
    inputs: tuple[ResolvedInput, ...]
    weights: tuple[ResolvedWeight, ...]
    body: tuple[ResolvedExpression | ResolvedChain | ResolvedAssignment, ...]
    span: Span = NOWHERE


_LARGEST = 10**18


def compute(operands: list[Any], operators: tuple[str, ...], span: Span) -> int | float:
    """Return the result of operands of one precedence, from left to right; exact division stays whole.

    Raises:
        DefinitionError: A division by zero, an operand that is no number, or a result that is too large.
    """
    result = operands[0]
    for operator, operand in zip(operators, operands[1:], strict=True):
        if not all(isinstance(o, int | float) for o in (result, operand)):
            raise DefinitionError("Only numbers can be computed with.", span=span)
        if operator in ("/", "//") and operand == 0:
            raise DefinitionError("This divides by zero.", span=span)
        result = _apply(operator, result, operand)
        if not abs(result) <= _LARGEST:
            raise DefinitionError("The result of this is too large.", span=span)
    return result


def _apply(operator: str, left: Any, right: Any) -> int | float:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/" if isinstance(left, int) and isinstance(right, int) and left % right == 0:
            return left // right
        case "/":
            return left / right
        case _:
            return left // right
