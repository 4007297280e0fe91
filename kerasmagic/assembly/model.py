"""From a resolved definition to a model: layers are made and called on symbolic tensors, line by line."""

from __future__ import annotations

import collections
import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from kerasmagic.assembly.inference import remembered
from kerasmagic.assembly.refusal import UnfitTensor, arrived, axes, row_of, unfit, way_to_rank
from kerasmagic.assembly.values import Values, constructed
from kerasmagic.core import tree
from kerasmagic.core.layer import Layer
from kerasmagic.core.symbolic import KerasTensor, is_symbolic
from kerasmagic.foundation import registry
from kerasmagic.foundation.errors import DefinitionError, DefinitionErrors, Span
from kerasmagic.foundation.naming import to_snake_case
from kerasmagic.foundation.signature import parameter_names
from kerasmagic.language import resolved as r
from kerasmagic.language.check import TAKE
from kerasmagic.layers import Input
from kerasmagic.models import Model, Sequential
from kerasmagic.models.rows import BLOCK


def build_model(definition: r.ResolvedModel, namespace: Mapping[str, Any] | None, name: str | None) -> Any:
    """Make the model that a resolved definition describes, and compile it if it says how."""
    values = Values(namespace)
    if not definition.inputs:
        model = _open_stack(definition, values, name)
    else:
        model = Builder(values).model(definition, name)
    if definition.compile is not None:
        _compile(model, definition.compile, values)
    return model


def _open_stack(
    definition: r.ResolvedModel, values: Values, name: str | None, builder: Builder | None = None
) -> Any:
    """Make a stack whose input is not known yet: its weights are made when data comes."""
    builder = Builder(values) if builder is None else builder
    steps = definition.steps
    if steps is None:
        raise DefinitionError(
            "A model with branches needs an input.", hint="Begin with a line such as 'input 28x28x1'."
        )
    named = [s for s in definition.body if isinstance(s, r.ResolvedShared | r.ResolvedSubModel)]
    builder.statements(named, Place({}))
    return Sequential([builder.layer(step, None) for step in steps], name=name)


def _compile(model: Any, line: r.ResolvedCompile, values: Values) -> None:
    options = values.arguments(line.options)
    optimizer, loss = values.value(line.optimizer), values.value(line.loss)
    metrics = values.value(line.metrics) or None
    metrics = list(metrics) if isinstance(metrics, tuple) else metrics
    constructed(lambda: model.compile(optimizer, loss, metrics=metrics, **options), line.span)


@dataclasses.dataclass
class Place:
    """What the names mean at one place, and what flows."""

    tensors: dict[str, Any]
    current: Any = None
    inflow: Any = None

    def values(self, value: Any, values: Values) -> Any:
        """Return an argument of a call, with the tensors that it names."""
        match value:
            case r.Tensor(name):
                return self.tensors[name]
            case r.BlockInput():
                return self.inflow
            case tuple() | list():
                return type(value)(self.values(item, values) for item in value)
            case dict():
                return {key: self.values(item, values) for key, item in value.items()}
            case r.Slice(start, stop, step):
                return slice(*(self.values(part, values) for part in (start, stop, step)))
        return values.value(value)


@dataclasses.dataclass
class Whole:
    """A structure of tensors that is handed over as it is."""

    value: Any


class Builder:
    """Calls the layers of a definition, one statement after the other."""

    def __init__(self, values: Values):
        self.values = values
        self.names: collections.Counter[str] = collections.Counter()
        self.taken: set[str] = set()
        self.origin: dict[int, tuple[str, Span]] = {}
        self.instances: dict[int, Layer] = {}
        self.shared: dict[str, Any] = {}
        self.rows: list[tuple[Any, Any, Span]] = []
        self.made: dict[int, Mapping[str, Any]] = {}
        self.block: tuple[tuple[str, int, int], ...] = ()
        self.uses = 0

    def model(self, definition: r.ResolvedModel, name: str | None) -> Any:
        inputs = [self.input(line) for line in definition.inputs]
        named = zip(definition.inputs, inputs, strict=True)
        place = Place({line.name: x for line, x in named if line.name is not None})
        place.current = inputs[0] if len(inputs) == 1 else None
        self.statements(definition.body, place)
        given, keys = definition.given, definition.keys
        outputs = self.structure(definition.outputs, keys[1], place) if definition.outputs else place.current
        span = definition.inputs[0].span
        if definition.sequential is not None:
            return self.stack(inputs[0], outputs, name, definition.sequential)
        taken: Any = inputs[0] if len(inputs) == 1 else inputs
        if given:
            taken = self.structure(given, keys[0], place)
            if sorted(map(id, tree.flatten(taken))) != sorted(map(id, inputs)):
                raise DefinitionError("An 'inputs' line holds each input once.", span=given[0].span)
        return constructed(lambda: Model(taken, outputs, name=name), span)

    def structure(self, chains: Sequence[r.ResolvedChain], keys: Sequence[str], place: Place) -> Any:
        """Return what comes out of chains: one thing, a list, or a dict where there are keys."""
        found = [self.chain(chain, place) for chain in chains]
        return dict(zip(keys, found, strict=True)) if keys else found[0] if len(found) == 1 else found

    def stack(self, x: KerasTensor, y: Any, name: str | None, span: Span) -> Any:
        """Return the layers that were called one after the other as one stack."""
        layers = [layer for layer, _, _ in self.rows]
        calls = [node for layer in layers[1:] for node in layer._inbound_nodes]
        if any(len(node.args) + len(node.kwargs) > 1 or is_list(node.args[0]) for node in calls):
            message = "A layer of a Sequential model takes one tensor, and one of these takes several."
            raise DefinitionError(message, span=span, hint="Leave 'Sequential' out: a graph needs no word.")
        return constructed(lambda: Sequential.drawn(layers, x, y, name), span)

    def input(self, line: r.ResolvedInput) -> KerasTensor:
        shape = self.values.value(line.shape)
        sized = {} if shape is None else {"shape": tuple(shape if is_list(shape) else (shape,))}
        options = self.values.arguments(line.options)
        dtype = self.values.value(line.dtype)
        name = self.name(line.name or "input", exact=line.name is not None)
        x = constructed(lambda: Input(**sized, dtype=dtype, name=name, **options), line.span)
        assert x._keras_history is not None
        _mark(x._keras_history.operation, line.span)
        self.origin[id(x)] = (name, line.span)
        self.rows.append((x._keras_history.operation, x, line.span))
        return x

    # ---- statements

    def statements(self, body: Sequence[r.ResolvedStatement], place: Place) -> None:
        for statement in body:
            match statement:
                case r.ResolvedAssignment():
                    self.assign(statement, place)
                case r.ResolvedShared(name, step):
                    self.shared[name] = step
                case r.ResolvedSubModel(name, model):
                    self.shared[name] = self.submodel(name, model, statement.span)
                case _:
                    place.current = self.chain(statement, place)

    def submodel(self, name: str, definition: r.ResolvedModel, span: Span) -> Any:
        """Make a model inside this one; it sees the named layers that are there."""
        if definition.inputs:
            model = self.within().model(definition, self.name(name, exact=True))
        else:
            model = _open_stack(definition, self.values, self.name(name, exact=True), self.within())
        _mark(model, span)
        return model

    def within(self) -> Builder:
        """Return a builder for a model inside, which sees the layers that have names."""
        inner = Builder(self.values)
        inner.shared = self.shared
        return inner

    def assign(self, statement: r.ResolvedAssignment, place: Place) -> None:
        wanted = statement.names[0] if len(statement.names) == 1 else None
        place.current = self.chain(statement.chain, place, wanted)
        if wanted is not None:
            place.tensors[wanted] = place.current
            return
        parts = tree.flatten(place.current)
        if len(parts) != len(statement.names):
            raise DefinitionError(
                f"This gives {len(parts)} tensors, but {len(statement.names)} names stand before '='.",
                span=statement.span,
            )
        place.tensors.update(zip(statement.names, parts, strict=True))

    def chain(self, chain: r.ResolvedChain, place: Place, name: str | None = None) -> Any:
        """Return what comes out of a chain; its last layer takes ``name``."""
        x = place.current
        for index, element in enumerate(chain.elements):
            last = index == len(chain.elements) - 1
            x = self.element(element, x, place, name if last else None)
        return x.value if isinstance(x, Whole) else x

    def element(self, element: Any, x: Any, place: Place, name: str | None) -> Any:
        match element:
            case r.ResolvedStep() | r.PythonValue() | r.SharedUse():
                return self.step(element, x, name, place)
            case r.Tensor(tensor):
                return place.tensors[tensor]
            case r.Flowing():
                return x
            case r.BlockInput():
                return place.inflow
            case r.Structure(value):
                return Whole(place.values(value, self.values))
            case r.Gather(items):
                inner = Place(place.tensors, x, place.inflow)
                return [self.chain(item, inner) for item in items]
            case r.ResolvedScope(body=body):
                inner = Place(dict(place.tensors), x, x)
                outside = self.block
                self.uses += 1
                self.block = (*outside, (element.name, element.span.line, self.uses))
                self.statements(body, inner)
                self.block = outside
                return inner.current
        raise DefinitionError(f"{type(element).__name__} cannot stand in a chain.", span=element.span)

    # ---- one step

    def step(self, step: Any, x: Any, name: str | None, place: Place) -> Any:
        given = () if isinstance(step, r.PythonValue) else step.arguments
        options = {a.name: place.values(a.value, self.values) for a in given if a.in_call}
        if isinstance(step, r.ResolvedStep) and step.name.startswith("ops."):
            layer: Any = registry.OPERATIONS.find(step.name.removeprefix("ops."))
            options |= {a.name: place.values(a.value, self.values) for a in given}
            if step.name == TAKE and not isinstance(x, KerasTensor) and is_structure(x):
                return self.member(step, x, options["key"])
            inputs = operands(layer, x, options)
        else:
            layer = self.layer(step, x.value if isinstance(x, Whole) else x, name)
            inputs = self.inputs(layer, x, step.span, options)
        try:
            with remembered(layer, self.made.pop(id(layer), None), inputs, options):
                y = layer(*inputs, **options)
        except Exception as error:
            raise self.failure(layer, step.span, inputs, error) from error
        if isinstance(layer, Layer):
            layer.__dict__.setdefault(BLOCK, self.block)
        if isinstance(layer, Layer) and is_symbolic(tree.flatten(y)[0]):
            self.rows.append((layer, y, step.span))
        self.came_from(y, step, layer.name if isinstance(layer, Layer) else str(getattr(step, "name", "")))
        parts = tree.flatten(y)
        # A structure with one tensor in it is that tensor: there is nothing to tell apart.
        return parts[0] if len(parts) == 1 else y

    def member(self, step: r.ResolvedStep, x: Any, key: Any) -> Any:
        """Return the part of a structure of tensors that ``parts["mean"]`` names."""
        try:
            return x[key]
        except (LookupError, TypeError):
            known = ", ".join(map(repr, x)) if isinstance(x, dict) else f"numbers from 0 to {len(x) - 1}"
            message = f"Several tensors flow here, and {key!r} is none of them."
            raise DefinitionError(message, span=step.span, hint=f"They are named by {known}.") from None

    def came_from(self, y: Any, step: Any, name: str) -> None:
        """Remember where tensors come from, and give a function among them a name of this model."""
        for tensor in tree.flatten(y):
            history = getattr(tensor, "_keras_history", None)
            if history is not None and not isinstance(history.operation, Layer) and not history.tensor_index:
                history.operation.name = self.name(step.name.removeprefix("ops."))
                history.operation.__dict__[BLOCK] = self.block
                _mark(history.operation, step.span)
            self.origin[id(tensor)] = (name, step.span)

    def inputs(
        self, layer: Layer, x: Any, span: Span, options: Mapping[str, Any] = MappingProxyType({})
    ) -> tuple[Any, ...]:
        """Return what to call ``layer`` with: a list for layers of lists, several arguments, or one tensor."""
        kind = type(layer).__name__
        if isinstance(x, Whole):
            return (x.value,)
        if "value" in options and not isinstance(x, list):
            return (x,)
        if kind in ("MultiHeadAttention", "GroupedQueryAttention"):
            tensors = list(x) if isinstance(x, list) else [x, x]
            return tuple(tensors) if len(tensors) > 1 else (tensors[0], tensors[0])
        if kind in ("Attention", "AdditiveAttention") and not isinstance(x, list):
            return ([x, x],)
        if not isinstance(x, list) or takes_list(layer):
            return (x,)
        if arity(layer) == len(x):
            return tuple(x)
        merge = registry.LAYERS.find("Concatenate")(name=self.name("concatenate"))
        _mark(merge, span)
        try:
            return (merge(x),)
        except Exception as error:
            raise self.failure(merge, span, (x,), error) from error

    def layer(self, step: Any, x: Any, name: str | None = None) -> Layer:
        """Return the layer of a step: a new one, one with a name, or the notebook's own instance."""
        if isinstance(step, r.SharedUse):
            found = self.shared[step.name]
            if not isinstance(found, Layer):
                found = self.shared[step.name] = self.layer(found, x, step.name)
            return found
        tensors = tree.flatten(x)
        rank = tensors[0].ndim - 2 if tensors and isinstance(tensors[0], KerasTensor) else None
        return self.make(step, rank, name, tensors)

    def make(
        self, step: Any, rank: int | None, name: str | None = None, tensors: Sequence[Any] = ()
    ) -> Layer:
        """Make the layer of a step for an input of ``rank`` spatial dimensions."""
        if isinstance(step, r.PythonValue):
            return self.python_layer(step)
        public = step.layer(rank)
        if public is None and rank in step.refused:
            raise DefinitionErrors(step.refused[rank])
        if public is None:
            raise self.no_layer(step, rank, tensors)
        target = self.target(public)
        if isinstance(target, Layer):
            _mark(target, step.span)
            return self.own_instance(target)
        arguments = {a.name: self.argument(a.value, rank) for a in step.arguments if not a.in_call}
        if "name" in arguments or "name" in parameter_names(target):
            arguments.setdefault("name", self.new_name(target, name))
            layer = constructed(lambda: target(**arguments), step.span, step.arguments)
        else:
            # A class of one's own may leave it to others to name its layers.
            layer = constructed(lambda: target(**arguments), step.span, step.arguments)
            layer.name = self.new_name(target, name)
        self.made[id(layer)] = arguments
        _mark(layer, step.span)
        return layer

    def new_name(self, target: type, name: str | None) -> str:
        return self.name(name or to_snake_case(target.__name__), exact=name is not None)

    def argument(self, value: Any, rank: int | None) -> Any:
        """Return an argument of a constructor; a layer in it is made here."""
        match value:
            case r.ResolvedStep():
                return self.make(_at_rank(value, rank), None)
            case r.SharedUse():
                return self.layer(value, None)
            case list() | tuple():
                return type(value)(self.argument(item, rank) for item in value)
            case dict():
                return {key: self.argument(item, rank) for key, item in value.items()}
        return self.values.value(value)

    def target(self, public: str) -> Any:
        namespace = self.values.namespace or {}
        own = namespace.get(public)
        if isinstance(own, Layer) or (isinstance(own, type) and issubclass(own, Layer)):
            return own
        return registry.LAYERS.find(public)

    def python_layer(self, step: r.PythonValue) -> Layer:
        found = self.values.python(step)
        if isinstance(found, type) and issubclass(found, Layer):
            found = constructed(found, step.span)
        if not isinstance(found, Layer):
            kind = type(found).__name__
            hint = f"A number of repetitions is written out: '* {found}'." if kind == "int" else None
            article = "an" if kind[0] in "aeiou" else "a"
            message = f"{{{step.source}}} is {article} {kind}; a layer is needed here."
            raise DefinitionError(message, span=step.span, hint=hint)
        return self.own_instance(found)

    def own_instance(self, layer: Layer) -> Layer:
        """Take in a layer that exists; a name that it did not choose gives way to those of this model."""
        if id(layer) not in self.instances:
            self.instances[id(layer)] = layer
            if layer.name in self.taken and "name" not in layer.__dict__["_given"][1]:
                layer.name = self.name(to_snake_case(type(layer).__name__))
            self.taken.add(layer.name)
        return layer

    def name(self, base: str, *, exact: bool = False) -> str:
        """Return a name that is new in this model: ``dense``, then ``dense_1``."""
        while True:
            count = self.names[base]
            self.names[base] += 1
            name = f"{base}_{count}" if count else base
            if name not in self.taken:
                self.taken.add(name)
                return name

    def failure(self, layer: Layer, span: Span, inputs: Any, error: Exception) -> DefinitionError:
        """Return an error that names the layer, its place, what arrived and where that came from."""
        return self.with_rows(unfit(layer, span, inputs, error, self.origin))

    def with_rows(self, refusal: UnfitTensor) -> UnfitTensor:
        """Return the error with the rows of the layers before it."""
        refusal.rows = tuple(row_of(*made) for made in self.rows)
        return refusal

    def no_layer(self, step: r.ResolvedStep, rank: int | None, tensors: Sequence[Any]) -> UnfitTensor:
        """Return the error of a name that stands for no layer at this rank."""
        wanted = sorted(known + 2 for known in step.layers if known is not None)
        hint = way_to_rank(tensors[0], min(wanted), self.origin) if tensors and wanted else None
        message = f"{_no_layer(step, rank, tensors)}{arrived(tensors, self.origin)}"
        return self.with_rows(UnfitTensor(message, span=step.name_span, hint=hint))


def is_list(value: Any) -> bool:
    """Say whether a value holds several."""
    return isinstance(value, list | tuple)


def is_structure(value: Any) -> bool:
    """Say whether a value is a structure of tensors."""
    return isinstance(value, list | tuple | dict)


def _mark(layer: Any, span: Span) -> None:
    layer.__dict__["_definition_line"] = span.line


def operands(function: Any, x: Any, options: dict[str, Any]) -> tuple[Any, ...]:
    """Return what flows into a function of tensors as its arguments: a list is one of several, or several."""
    own = inspect.signature(function).parameters.values()
    several = any(p.kind is p.VAR_POSITIONAL for p in own)
    needed = [p.name for p in own if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty]
    open_ = [name for name in needed if name not in options]
    if isinstance(x, Whole):
        values = [x.value]
    else:
        values = x if isinstance(x, list) and (several or len(open_) > 1) else [x]
    if not open_ and not several:
        open_ = [p.name for p in own if p.name not in options][:1]
    if several and not open_:
        # What stands before any number of tensors has its place, even if it was given by name.
        return (*(options.pop(name) for name in needed), *values)
    if not several and open_ and open_[0] != next(iter(own)).name:
        # What comes before is given by name, so this is, too.
        options.update(zip(open_, values, strict=False))
        return ()
    return tuple(values)


def takes_list(layer: Any) -> bool:
    """Say whether a layer takes a list of tensors as its one argument."""
    if isinstance(layer, Model):
        graph = getattr(layer, "_graph", None)
        return graph is not None and len(graph.inputs) > 1
    return registry.LAYERS.name_of(type(layer)) in (
        *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot"),
        *("Attention", "AdditiveAttention"),
    )


def arity(layer: Any) -> int:
    """Return how many tensors ``call`` takes by position."""

    optional = ("training", "mask", "initial_state")
    own = inspect.signature(layer.call).parameters.values()
    return sum(p.kind is not p.KEYWORD_ONLY and p.name not in optional and p.default is p.empty for p in own)


def _at_rank(step: r.ResolvedStep, rank: int | None) -> r.ResolvedStep:
    """Fix the layer of a wrapped step: inside ``td`` it sees one axis fewer."""
    inner = None if rank is None else max(rank - 1, 1)
    name = step.layer(inner) or step.layer(rank)
    return step if name is None else dataclasses.replace(step, layers={None: name})


def _no_layer(step: r.ResolvedStep, rank: int | None, tensors: Sequence[Any]) -> str:
    ranks = sorted((known, name) for known, name in step.layers.items() if known is not None)
    if rank is None:
        names = ", ".join(f"{name} (rank {known + 2})" for known, name in ranks)
        return f"{step.name!r} depends on the rank of what flows in, and there is no input line. It can be {names}."
    takes = "; ".join(f"{name} takes rank {known + 2}, {axes(known + 2)}" for known, name in ranks)
    return f"{step.name!r} does not fit a tensor of rank {rank + 2}. {takes}."
