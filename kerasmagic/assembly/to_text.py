"""A model as text of the definition language: what ``define`` reads back to the same model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasmagic.assembly.compile_text import compile_line
from kerasmagic.assembly.flow import Flow, flow_of, index_text, operator_of
from kerasmagic.assembly.layer import DefinedLayer
from kerasmagic.assembly.outline import Call, calls, uses
from kerasmagic.assembly.own_model import drawn, handed_over
from kerasmagic.assembly.python_source import chosen_name
from kerasmagic.assembly.record import written_text
from kerasmagic.assembly.text_source import TextSource, key_text
from kerasmagic.assembly.vocabulary import vocabulary
from kerasmagic.core import tree
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation.errors import NotSerializable
from kerasmagic.language import resolved as r
from kerasmagic.layers import InputLayer
from kerasmagic.models import Functional, Sequential

_RESERVED = frozenset(
    (
        "input",
        "inputs",
        "output",
        "compile",
        "Sequential",
        "for",
        "in",
        "block",
        "layer",
        "model",
        "weight",
        "state",
        "true",
        "false",
        "none",
        "max",
        "min",
        "mean",
        "dot",
        "concat",
        "list",
        "tuple",
        "dict",
        "array",
        "float",
    )
)
# Layers that change a tensor a little stand on the line of the layer before them.
_SMALL = frozenset(
    (
        "Activation",
        "BatchNormalization",
        "LayerNormalization",
        "Dropout",
        "ReLU",
        "LeakyReLU",
        "Flatten",
        "SpatialDropout2D",
        "MaxPooling1D",
        "MaxPooling2D",
        "AveragePooling2D",
        "ZeroPadding2D",
        "GroupNormalization",
    )
)
_WIDTH = 88


def to_text(model: Any) -> str:
    """Return the definition of a model.

    A model that a text defined, and that was not changed since, gives that text back. Any other graph or
    stack of layers is written anew: shared layers as ``layer NAME = ...``, models inside as ``model NAME:``.
    A model with a ``call`` of its own is its inputs and one step by the name of its class, which ``define`` finds
    in its ``namespace``.

    Args:
        model: The model. One with a ``call`` of its own was called or built before: else its inputs are not known.

    Raises:
        NotSerializable: If the language cannot say something in it; the message says what.

    Example:

    >>> import kerasmagic as keras
    >>> layers = [keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten()]
    >>> print(to_text(keras.Sequential([*layers, keras.layers.Dense(10, use_bias=False)])), end="")
    Sequential
    input 8x8x1
    conv 4 3 relu -> flatten
    dense 10 !use_bias
    """
    written = written_text(model)
    if written is not None:
        return written
    with drawn(model) as graph:
        own: dict[str, type] = {}
        _own_classes(graph, own)
        writer = _Writer(TextSource(vocabulary(own), {}), {})
        lines = writer.model(graph)
    compiled = compile_line(model, writer.source)
    lines += [compiled] if compiled is not None else []
    defined = {name: cls for name, cls in own.items() if issubclass(cls, DefinedLayer)}
    text = "\n".join(lines) + "\n"
    if not defined:
        return text
    sections = [f"%%layer {cls.definition_text.strip()}\n\n" for cls in defined.values()]
    return "".join(sections) + f"%%model {_identifier(model.name)}\n{text}"


def _own_classes(model: Any, found: dict[str, type]) -> None:
    """Collect the classes of one's own that a model needs, each after those it needs itself."""
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, DefinedLayer):
            _defined(type(layer), found)
        elif not type(layer).__module__.startswith("kerasmagic."):
            found.setdefault(type(layer).__name__, type(layer))


def _defined(cls: type[DefinedLayer], found: dict[str, type]) -> None:
    steps = [
        e for line in cls.definition.body if not isinstance(line, r.ResolvedExpression) for e in _steps(line)
    ]
    for step in steps:
        for name in step.layers.values():
            inner = (cls.namespace or {}).get(name)
            if isinstance(inner, type) and issubclass(inner, DefinedLayer) and inner is not cls:
                _defined(inner, found)
    found.setdefault(cls.__name__, cls)


def _steps(line: Any) -> list[r.ResolvedStep]:
    match line:
        case r.ResolvedAssignment(chain=chain):
            return _steps(chain)
        case r.ResolvedChain(elements) | r.Gather(elements):
            return [step for element in elements for step in _steps(element)]
        case r.ResolvedStep():
            return [line]
    return []


def _identifier(name: str) -> str:
    base = re.sub(r"\W", "_", name)
    return base if base.isidentifier() else f"_{base}"


class _Writer:
    """Writes one model; those inside it with the same names for layers."""

    def __init__(self, source: TextSource, places: dict[int, str]):
        self.source = source
        self.places = places
        self.source.places = places
        self.lines: list[str] = []
        self.open = ""
        self.taken: set[str] = set()
        self.reserved: set[str] = set()
        self.names: dict[int, str] = {}
        self.current: int | None = None

    def model(self, model: Any) -> list[str]:
        """Return the lines of a model."""
        if isinstance(model, Sequential):
            self.stack(model)
        else:
            self.graph(model)
        self.flush()
        return self.lines

    # ---- lines

    def say(self, text: str, layer: Any = None) -> None:
        """Add a step to the open line, or begin a new one."""
        joined = f"{self.open} -> {text}"
        if self.open and type(layer).__name__ in _SMALL and len(joined) <= _WIDTH:
            self.open = joined
        else:
            self.flush()
            self.open = text

    def flush(self) -> None:
        if self.open:
            self.lines.append(self.open)
        self.open = ""

    def unique(self, wanted: str) -> str:
        """Return a name for a tensor that means nothing else."""
        base, count = _identifier(wanted), 1
        name = base
        while name in self.taken or name in self.reserved or self.means_something(name):
            name, count = f"{base}_{count}", count + 1
        self.taken.add(name)
        return name

    def means_something(self, name: str) -> bool:
        words = self.source.vocabulary
        return name in _RESERVED or name in words.activations or bool(words.find_layer(name))

    # ---- stacks

    def stack(self, model: Sequential) -> None:
        x: Any = None
        if model._stack and isinstance(model._stack[0], InputLayer):
            self.lines.append("Sequential")
        for layer in model._stack:
            if isinstance(layer, InputLayer):
                self.input(layer, model.inputs[0] if model._graph is not None else layer.output, None)
                x = layer.output
                continue
            self.prepare(layer)
            rank = x.ndim - 2 if isinstance(x, KerasTensor) else None
            self.say(self.places.get(id(layer)) or self.source.step(layer, rank, chosen_name(layer)), layer)
            x = layer._inbound_nodes[-1].outputs if model._graph is not None else None

    # ---- graphs

    def graph(self, model: Any) -> None:
        every = calls(model)
        counts = uses(every)
        self.reserved = {name for layer in model.layers if (name := chosen_name(layer)) is not None}
        needed = self.needed(every, model)
        given = _single(model._graph.inputs_struct)
        structured = not isinstance(given, KerasTensor) and not _is_flat(given)
        for x in model.inputs:
            named = id(x) in needed or len(model.inputs) > 1 or structured
            self.input(x._keras_history.operation, x, x if named else None)
        if structured:
            self.lines.append(f"inputs {self.results(given)}")
        self.current = id(model.inputs[0]) if len(model.inputs) == 1 else None
        for call in every:
            self.call(call, needed, counts)
        self.flush()
        outputs = _single(model._graph.outputs_struct)
        if not isinstance(outputs, KerasTensor) or id(outputs) != self.current:
            self.lines.append(f"output {self.results(outputs)}")

    def results(self, structure: Any) -> str:
        """Return what an ``inputs`` or ``output`` line says: tensors, or names with tensors."""
        if isinstance(structure, dict) and structure:
            return ", ".join(f"{key_text(key)}={self.structure(x)}" for key, x in structure.items())
        if _is_flat(structure):
            return ", ".join(self.names[id(x)] for x in structure)
        return self.structure(structure)

    def structure(self, value: Any, source: Any = None) -> str:
        """Return tensors in a structure, which is handed over as it is."""
        if isinstance(value, KerasTensor):
            return self.names[id(value)]
        if isinstance(value, Mapping):
            return (
                f"dict({', '.join(f'{key_text(k)}={self.structure(v, source)}' for k, v in value.items())})"
            )
        if isinstance(value, list | tuple):
            kind = "list" if isinstance(value, list) else "tuple"
            return f"{kind}({', '.join(self.structure(item, source) for item in value)})"
        return (source or self.source.value)(value)

    def needed(self, every: list[Call], model: Any) -> set[int]:
        """Return the tensors that need a name: those that do not only flow into the next line."""
        needed: set[int] = set()
        previous = id(model.inputs[0]) if len(model.inputs) == 1 else None
        result = _single(model._graph.outputs_struct)
        for call in every:
            flow = flow_of(call)
            flows = flow.tensors
            leads = isinstance(flow.value, KerasTensor) or operator_of(call) is not None
            rest = [id(x) for x in call.inputs]
            alone = rest.count(previous) if previous is not None else 0
            if previous is not None and leads and id(flows[0]) == previous and alone == 1:
                rest.remove(previous)
            needed.update(rest)
            if len(call.outputs) > 1:
                needed.update(id(x) for x in call.outputs)
            previous = id(call.outputs[0]) if len(call.outputs) == 1 else None
        if not isinstance(result, KerasTensor) or id(result) != previous:
            needed.update(id(x) for x in model.outputs)
        return needed

    def input(self, layer: InputLayer, x: KerasTensor, named: Any) -> None:
        given = None if re.fullmatch(r"input(_layer)?(_\d+)?", layer.name) else layer.name
        if named is not None or given is not None:
            self.names[id(x)] = given if given and given.isidentifier() else self.unique(given or "x")
            self.taken.add(self.names[id(x)])
        parts = ["input", *([self.names[id(x)]] if id(x) in self.names else [])]
        parts += [_shape_text(x.dims[1:])] if x.shape else ["batch_shape=()"]
        parts += [layer.dtype] if layer.dtype != "float32" else []
        parts += [f"batch_size={x.shape[0]}"] if x.shape and x.shape[0] is not None else []
        parts += ["optional=true"] if layer.optional else []
        self.flush()
        self.lines.append(" ".join(parts))

    def prepare(self, layer: Any, shared: bool = False, rank: int | None = None) -> None:
        """Write what must stand before a layer: a model that it is or holds, or its one name."""
        if id(layer) in self.places:
            return
        if isinstance(layer, Functional | Sequential):
            self.reserved.discard(layer.name)
            name = self.unique(layer.name)
            self.places[id(layer)] = name
            inner = _Writer(self.source, self.places).model(layer)
            self.flush()
            self.lines += [f"model {name}:", *(f"    {line}" for line in inner)]
            return
        for inside in handed_over(layer):
            if isinstance(inside, Functional | Sequential):
                self.prepare(inside)
        if shared:
            self.reserved.discard(layer.name)
            name = self.unique(layer.name)
            self.flush()
            self.lines.append(f"layer {name} = {self.source.step(layer, rank)}")
            self.places[id(layer)] = name

    def call(self, call: Call, needed: set[int], counts: Mapping[int, int]) -> None:
        flow = flow_of(call)
        layer = call.operation
        rank = flow.tensors[0].ndim - 2
        if call.function is None:
            shared = counts[id(layer)] > 1 or self.source.collides(
                layer, set(call.arguments) - set(flow.parameters)
            )
            self.prepare(layer, shared, rank)
        names = [n for n in [chosen_name(layer)] if n is not None and call.function is None]
        wanted = [x for x in call.outputs if id(x) in needed]
        operator = operator_of(call)
        assigned = ""
        if wanted or (names and operator):
            self.give_names(call, names)
            assigned = f"{', '.join(self.names[id(x)] for x in call.outputs)} = "
        # A name before '=' goes to the layer; another one is given in the step.
        explicit = (
            names[0] if names and not (assigned and self.names[id(call.outputs[0])] == names[0]) else None
        )
        start = self.start(flow, operator)
        step = "" if operator else self.step(call, flow, rank, explicit)
        if step.startswith("["):
            start = start.removesuffix(" -> ")
        text = f"{assigned}{start}{step}"
        if assigned and not start and type(layer).__name__ in _SMALL and self.open:
            # The name of a line is the name of what comes out at its end.
            text, self.open = f"{assigned}{self.open} -> {step}", ""
        if assigned or start:
            self.flush()
            self.open = text
        else:
            self.say(text, layer)
        if assigned:
            self.flush()
        self.current = id(call.outputs[0]) if len(call.outputs) == 1 else None

    def give_names(self, call: Call, names: list[str]) -> None:
        single = len(call.outputs) == 1
        for x in call.outputs:
            own = names[0] if names and single else call.operation.name
            if (
                names
                and single
                and own.isidentifier()
                and own not in self.taken
                and not self.means_something(own)
            ):
                self.taken.add(own)
                self.names[id(x)] = own
            else:
                self.names[id(x)] = self.unique(own)

    def start(self, flow: Flow, operator: str | None) -> str:
        """Return where a step's input comes from; nothing where it is what flows."""
        flows = flow.tensors
        if operator:
            others = [self.names[id(x)] for x in flows[1:]]
            first = (
                ""
                if id(flows[0]) == self.current and id(flows[0]) not in self.names
                else self.names[id(flows[0])]
            )
            return f"{first} {operator} ".lstrip() + f" {operator} ".join(others)
        if flow.whole:
            return f"{self.structure(flow.value)} -> "
        if flow.listed:
            return f"[{', '.join(self.names[id(x)] for x in flows)}] -> "
        return "" if id(flows[0]) == self.current else f"{self.names[id(flows[0])]} -> "

    def step(self, call: Call, flow: Flow, rank: int, name: str | None) -> str:
        options = {n: v for n, v in call.arguments.items() if n not in flow.parameters}
        if call.function == "get_item" and "key" in options:
            return f"[{index_text(options['key'], lambda item: self.operand(item, call))}]"
        shown = [f"{n}={self.operand(v, call)}" for n, v in options.items()]
        if call.function is not None:
            return " ".join([f"ops.{call.function}", *shown])
        layer: Any = call.operation
        written = self.places.get(id(layer)) or self.source.step(layer, rank, name)
        if written.endswith(")") and "(" in written.split(" ")[0] and shown:
            return f"{written[:-1]}, {', '.join(shown)})"
        return " ".join([written, *shown])

    def operand(self, value: Any, call: Call) -> str:
        if isinstance(value, KerasTensor):
            return self.names[id(value)]
        if isinstance(value, np.generic):
            # A number with a dtype of its own decides the dtype of what is computed with it.
            return self.source.array(value)
        if any(isinstance(x, KerasTensor) for x in tree.flatten(value)):
            if isinstance(value, list):
                return f"[{', '.join(self.operand(item, call) for item in value)}]"
            return self.structure(value, lambda item: self.operand(item, call))
        try:
            return self.source.value(value)
        except NotSerializable as error:
            what = f"ops.{call.function}" if call.function else call.operation.name
            raise NotSerializable(
                f"An argument of {what!r} cannot be said in the language: {error.message}", hint=error.hint
            ) from None


def _single(structure: Any) -> Any:
    return structure[0] if isinstance(structure, list) and len(structure) == 1 else structure


def _is_flat(structure: Any) -> bool:
    """Say whether a structure is a list of two tensors or more, which needs no word for it."""
    return (
        isinstance(structure, list)
        and len(structure) > 1
        and all(isinstance(x, KerasTensor) for x in structure)
    )


def _shape_text(dims: Any) -> str:
    shown = [str(d) if isinstance(d, int) or str(d).isidentifier() else "none" for d in dims]
    if len(shown) == 1:
        return shown[0]
    if shown and all(isinstance(d, int) for d in dims):
        return "x".join(shown)
    return f"({', '.join(shown)})"
