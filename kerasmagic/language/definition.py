"""The syntax tree of the definition language: frozen dataclasses, each with the place it came from.

Two trees are equal when they say the same, wherever they stand: spans, and how a number was
spelled, do not count.
"""

from __future__ import annotations

import dataclasses

from kerasmagic.foundation.errors import Span

NOWHERE = Span(0, 0, 0, 0)


@dataclasses.dataclass(frozen=True)
class Node:
    """Anything in the tree; ``span`` is the text it was read from."""

    span: Span = dataclasses.field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclasses.dataclass(frozen=True)
class Named(Node):
    """A node with a name; ``name_span`` is the place of the name alone."""

    name_span: Span = dataclasses.field(default=NOWHERE, compare=False, repr=False, kw_only=True)


# ---- values ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Number(Node):
    """``64`` or ``1e-3``; ``text`` keeps the spelling for printing."""

    value: int | float
    text: str = dataclasses.field(default="", compare=False)


@dataclasses.dataclass(frozen=True)
class Dims(Node):
    """``28x28x1``: a tuple of sizes."""

    sizes: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Text(Node):
    """``"text"``."""

    value: str


@dataclasses.dataclass(frozen=True)
class Constant(Node):
    """``true``, ``false`` or ``none``."""

    value: bool | None


@dataclasses.dataclass(frozen=True)
class Word(Node):
    """A bare word; what it means depends on where it stands."""

    name: str


@dataclasses.dataclass(frozen=True)
class Call(Named):
    """``l2(1e-4)`` as a value."""

    name: str
    arguments: tuple[Argument, ...]


@dataclasses.dataclass(frozen=True)
class Tuple(Node):
    """``(3, 3)``."""

    items: tuple[Value, ...]


@dataclasses.dataclass(frozen=True)
class List(Node):
    """``[3, 3]``."""

    items: tuple[Value, ...]


@dataclasses.dataclass(frozen=True)
class Arithmetic(Node):
    """``(4 * f + 1)``: operands of one precedence, ``operators`` between them."""

    operands: tuple[Value, ...]
    operators: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Python(Node):
    """``{n_classes}``: source text that nothing here evaluates.

    ``bindings`` are the parameters of blocks and loops that the source may mention, with their values.
    """

    source: str
    bindings: tuple[tuple[str, Value], ...] = ()


@dataclasses.dataclass(frozen=True)
class Rest(Node):
    """``...`` in the shape of a layer's input: any number of leading dimensions."""


@dataclasses.dataclass(frozen=True)
class Slice(Node):
    """``1:-1`` in an index."""

    start: Value | None = None
    stop: Value | None = None
    step: Value | None = None


Value = Number | Dims | Text | Constant | Word | Call | Tuple | List | Arithmetic | Python | Rest | Slice


# ---- arguments ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Positional(Node):
    value: Value


@dataclasses.dataclass(frozen=True)
class Keyword(Named):
    name: str
    value: Value


@dataclasses.dataclass(frozen=True)
class Negated(Node):
    """``!use_bias``: a boolean argument that is false."""

    name: str


@dataclasses.dataclass(frozen=True)
class Strides(Node):
    """``/2`` or ``/2x1``."""

    sizes: tuple[int, ...]


Argument = Positional | Keyword | Negated | Strides


# ---- what flows --------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Step(Named):
    """A name and its arguments: a layer, an activation, a block, or the name of a tensor.

    ``called`` tells the call form ``Dense(3)`` from the command form ``dense 3``.
    """

    name: str
    arguments: tuple[Argument, ...] = ()
    called: bool = False


@dataclasses.dataclass(frozen=True)
class Inflow(Node):
    """``in``: the tensor that flowed into the block."""


@dataclasses.dataclass(frozen=True)
class Current(Node):
    """The left side of a line such as ``+ x``: what flows in."""


@dataclasses.dataclass(frozen=True)
class Chain(Node):
    """``conv 16 3 -> bn -> relu``."""

    elements: tuple[Element, ...]


@dataclasses.dataclass(frozen=True)
class Group(Node):
    """``(conv 16 3 -> bn)``."""

    chain: Chain


@dataclasses.dataclass(frozen=True)
class Repeat(Node):
    """``(conv 16 3 -> bn) * 3``; every round has its own weights."""

    chain: Chain
    count: int
    count_span: Span = dataclasses.field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclasses.dataclass(frozen=True)
class Index(Node):
    """``x[:, 0]``, or ``[:, 0]`` of what flows in, where ``of`` is ``None``.

    One index stands alone; several are items of a ``Tuple``.
    """

    of: Step | Inflow | None
    index: Value


@dataclasses.dataclass(frozen=True)
class Tensors(Node):
    """``[a, b]`` where a tensor is expected."""

    items: tuple[Chain, ...]


@dataclasses.dataclass(frozen=True)
class Merge(Node):
    """``a + b - c``: operands of one precedence, ``operators`` between them.

    A number is an operand only behind ``*``: ``(…) * n`` is a repetition once ``n`` is known.
    """

    operands: tuple[Element, ...]
    operators: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Scope(Node):
    """A block or one of its uses, expanded: ``body`` with its own names and its own ``in``."""

    name: str
    body: tuple[Statement, ...]


Element = Step | Python | Inflow | Current | Group | Repeat | Tensors | Index | Merge | Number | Scope


# ---- statements of %%model ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Input(Node):
    """``input image 28x28x1 uint8``; what each word is, the vocabulary decides."""

    arguments: tuple[Argument, ...]


@dataclasses.dataclass(frozen=True)
class Inputs(Node):
    """``inputs left=a, right=b``: the structure in which the model takes its inputs."""

    chains: tuple[Chain, ...]
    keys: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Output(Node):
    """``output a, b``, or ``output digit=a, sign=b`` with the ``keys`` of a dict."""

    chains: tuple[Chain, ...]
    keys: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Sequential(Node):
    """``Sequential``: the model is a stack of layers, as Keras' class of that name."""


@dataclasses.dataclass(frozen=True)
class Compile(Node):
    """``compile adam 1e-3, mse, mae``: the arguments of each part between commas."""

    parts: tuple[tuple[Argument, ...], ...]


@dataclasses.dataclass(frozen=True)
class Assignment(Node):
    """``x = conv 16 3``, or ``out, h, c = lstm 16 return_state``."""

    names: tuple[str, ...]
    chain: Chain
    name_spans: tuple[Span, ...] = dataclasses.field(default=(), compare=False, repr=False, kw_only=True)


@dataclasses.dataclass(frozen=True)
class Parameter(Node):
    """A parameter of a block or a layer; ``default`` is ``None`` where there is none."""

    name: str
    default: Value | None = None


@dataclasses.dataclass(frozen=True)
class For(Node):
    """``for f, n in (16, 1), (32, 2):`` and its body."""

    names: tuple[str, ...]
    values: tuple[Value, ...]
    body: tuple[Statement, ...]


@dataclasses.dataclass(frozen=True)
class Block(Named):
    """``block residual(f, k=3):`` and its body."""

    name: str
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]


@dataclasses.dataclass(frozen=True)
class Shared(Named):
    """``layer encode = dense 64``: one layer with a name; every use of the name is that layer."""

    name: str
    chain: Chain


@dataclasses.dataclass(frozen=True)
class SubModel(Named):
    """``model encoder:`` and its body: a model inside the model, used by its name."""

    name: str
    body: tuple[Statement, ...]


Statement = (
    Input | Inputs | Output | Compile | Sequential | Assignment | Chain | For | Block | Shared | SubModel
)


@dataclasses.dataclass(frozen=True)
class ModelDefinition(Node):
    body: tuple[Statement, ...]


# ---- statements of %%layer ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Expression(Node):
    """A JAX expression as Python source.

    ``chain`` is the other reading of the same text, where it has one: ``Dense(3)`` is a Python call
    and a step. ``names`` are the names that the source reads from outside, each where it first stands.
    """

    source: str
    chain: Chain | None = dataclasses.field(default=None, compare=False, repr=False)
    names: tuple[tuple[str, Span], ...] = dataclasses.field(default=(), compare=False, repr=False)


@dataclasses.dataclass(frozen=True)
class Weight(Named):
    """``weight kernel (n, units) glorot_uniform``."""

    name: str
    shape: Value
    arguments: tuple[Argument, ...] = ()


@dataclasses.dataclass(frozen=True)
class State(Named):
    """``state total () zeros``: a weight that no gradient reaches."""

    name: str
    shape: Value
    arguments: tuple[Argument, ...] = ()


@dataclasses.dataclass(frozen=True)
class Update(Named):
    """``total := total + jnp.sum(x)``."""

    name: str
    expression: Expression


@dataclasses.dataclass(frozen=True)
class Binding(Node):
    """``y = x @ kernel``: a name for the value of an expression."""

    names: tuple[str, ...]
    expression: Expression
    name_spans: tuple[Span, ...] = dataclasses.field(default=(), compare=False, repr=False, kw_only=True)


LayerStatement = Input | Weight | State | Update | Binding | Expression | Assignment | Chain


@dataclasses.dataclass(frozen=True)
class LayerDefinition(Named):
    name: str
    parameters: tuple[Parameter, ...]
    body: tuple[LayerStatement, ...]
