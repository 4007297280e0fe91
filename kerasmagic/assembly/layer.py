"""From a resolved ``%%layer`` definition to a ``Layer`` subclass."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp

from kerasmagic.assembly.dimensions import bind_shape
from kerasmagic.assembly.expressions import CompiledExpression, FailedExpression
from kerasmagic.assembly.model import Builder, Place
from kerasmagic.assembly.values import Values
from kerasmagic.assembly.vocabulary import own_layers, vocabulary
from kerasmagic.core import tree
from kerasmagic.core.layer import Layer
from kerasmagic.core.random import SeedGenerator
from kerasmagic.core.symbolic import KerasTensor, infer_call
from kerasmagic.foundation.errors import DefinitionError, InvalidArgument, ShapeMismatch, UnknownName
from kerasmagic.foundation.registry import (
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from kerasmagic.language import resolved as r
from kerasmagic.language.check_layer import read_layer


def define_layer(
    header: str,
    body: str,
    namespace: Mapping[str, Any] | None = None,
    *,
    first_line: int = 1,
    header_column: int = 1,
) -> type[DefinedLayer]:
    """Make a layer class from its definition.

    Args:
        header: Its name and parameters: ``Linear(units=32)``.
        body: The lines below.
        namespace: Variables for ``{...}`` and layers of one's own.
        first_line: The number of the header's line, for messages.
        header_column: The column at which the header starts.

    Raises:
        DefinitionError: With the place of every mistake.

    Example:

    >>> Linear = define_layer("Linear(units=32)", '''
    ... input (..., n)
    ... weight kernel (n, units) glorot_uniform
    ... weight bias (units,) zeros
    ... x @ kernel + bias
    ... ''')
    >>> Linear(4)(jnp.ones((2, 3))).shape
    (2, 4)
    """
    definition = read_layer(
        header, body, vocabulary(namespace), first_line=first_line, header_column=header_column
    )
    made = layer_class(definition, namespace, f"{header}\n{body}", first_line)
    return register_keras_serializable(_PACKAGE, definition.name)(made)


def layer_class(
    definition: r.ResolvedLayer, namespace: Mapping[str, Any] | None, text: str = "", first_line: int = 1
) -> type[DefinedLayer]:
    """Make the class that a resolved definition describes; its text begins on line ``first_line``."""
    values = Values(namespace)
    defaults = {p.name: values.value(p.default) for p in definition.parameters if not p.required}
    expressions = [
        CompiledExpression(line, definition.name) if isinstance(line, r.ResolvedExpression) else None
        for line in definition.body
    ]
    reads = frozenset(name for e in expressions if e is not None for name in e.reads)
    return type(
        definition.name,
        (DefinedLayer,),
        {
            "__doc__": f"Defined by:\n\n{text}",
            "__module__": "__main__",
            "definition": definition,
            "definition_text": text,
            "definition_line": first_line,
            "namespace": namespace,
            "uses": _used(definition, own_layers(namespace or {})),
            "expressions": expressions,
            "reads": reads,
            "__init__": _constructor(definition, defaults),
            "build": _build(definition),
            "call": _call(definition, "mask" in reads),
        },
    )


class DefinedLayer(Layer):
    """The base of the classes that ``%%layer`` makes."""

    definition: ClassVar[r.ResolvedLayer]
    definition_text: ClassVar[str]
    definition_line: ClassVar[int]
    namespace: ClassVar[Mapping[str, Any] | None]
    uses: ClassVar[Mapping[str, Any]]
    expressions: ClassVar[Sequence[CompiledExpression | None]]
    reads: ClassVar[frozenset[str]]
    arguments: Mapping[str, Any]

    @classmethod
    def saved_definition(cls) -> dict[str, Any]:
        """Return the definition as a file keeps it, with those of the layers that it is made of."""
        used = {name: _saved_use(layer) for name, layer in cls.uses.items()}
        return {"name": f"{_PACKAGE}>{cls.definition.name}", "text": cls.definition_text, "uses": used}

    def _prepare(self, arguments: Mapping[str, Any]) -> None:
        object.__setattr__(self, "arguments", dict(arguments))
        for name, value in arguments.items():
            if name not in _RESERVED:
                setattr(self, name, value)
        # Steps inside pass masks on by themselves; an expression says nothing about them.
        self.supports_masking = all(e is None for e in self.expressions) or "mask" in self.reads
        if "key" in self.reads:
            self.seed_generator = SeedGenerator()
        self.steps: list[Layer] = []

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Return nothing: the steps inside have set the masks of the outputs."""
        return None

    def _names(self, shapes: Sequence[Any]) -> dict[str, Any]:
        """Return the parameters and the dimensions that inputs of these shapes give."""
        names = dict(self.arguments)
        for line, shape in zip(self.definition.inputs, shapes, strict=True):
            if isinstance(line.shape, tuple) and shape is not None:
                names.update(bind_shape(line, tuple(shape), names, self.name))
        return names

    def _make_weights(self, shapes: Sequence[Any]) -> None:
        names = self._names(shapes)
        values = Values(self.namespace, names)
        for weight in self.definition.weights:
            shape = tuple(values.value(size) for size in weight.shape)
            _require_sizes(type(self).__name__, weight, shape)
            options = values.arguments(weight.options)
            frozen = options.pop("frozen", False) or weight.state
            variable = self.add_weight(shape=shape, name=weight.name, trainable=not frozen, **options)
            setattr(self, weight.name, variable)

    def _run(self, inputs: Sequence[Any], training: Any = None, mask: Any = None) -> Any:
        """Compute the lines of the definition."""
        names = self._names([x.shape for x in inputs])
        names.update({w.name: getattr(self, w.name) for w in self.definition.weights})
        place = Place({(i.name or "x"): x for i, x in zip(self.definition.inputs, inputs, strict=True)})
        place.tensors.update({w.name: names[w.name] for w in self.definition.weights})
        place.current = inputs[0] if len(inputs) == 1 else None
        builder = _StepBuilder(self, Values(self.namespace, names))
        for line, x in zip(self.definition.inputs, inputs, strict=True):
            builder.origin[id(x)] = (line.name or "x", line.span)
        try:
            for line, expression in zip(self.definition.body, self.expressions, strict=True):
                if expression is None:
                    builder.statements([line], place)  # type: ignore[list-item]
                else:
                    self._evaluate(expression, names, place, training, mask)
        except (DefinitionError, FailedExpression) as error:
            error.__dict__.setdefault(WITHIN, type(self))
            raise
        return place.current

    def _evaluate(
        self, expression: CompiledExpression, names: Mapping[str, Any], place: Place, training: Any, mask: Any
    ) -> None:
        known = {name: getattr(x, "value", x) for name, x in {**names, **place.tensors}.items()}
        known.update(training=bool(training), mask=mask)
        if "key" in expression.reads:
            known["key"] = self.seed_generator.next()
        result = expression.evaluate(known)
        line = expression.line
        if line.update:
            getattr(self, line.names[0]).assign(result)
            return
        place.current = result
        if len(line.names) == 1:
            place.tensors[line.names[0]] = result
        elif line.names:
            place.tensors.update(zip(line.names, result, strict=True))


def _require_sizes(layer: str, weight: r.ResolvedWeight, shape: tuple[Any, ...]) -> None:
    """Refuse the shape of a weight that has no memory: an open size, or something that is no size."""
    what = f"{layer}: the {'state' if weight.state else 'weight'} {weight.name!r}"
    for written, size in zip(weight.shape, shape, strict=True):
        name = getattr(written, "name", None)
        if size is None:
            raise ShapeMismatch(f"{what} needs a size for {name or '?'!r}, which is open in the input.")
        if not isinstance(size, int) or size < 0:
            named = f"{name} is {size!r}" if name else f"{size!r} is one of its sizes"
            raise InvalidArgument(f"{what} cannot have this shape: {named}, and a size is a whole number.")


_RESERVED = frozenset(dir(Layer)) | {"steps", "arguments", "seed_generator"}


# Under what name an error keeps the layer class in whose text it arose.
WITHIN = "_within"
# Where the registered names of defined layers begin.
_PACKAGE = "notebook"


def _used(definition: Any, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the layers of the notebook that a definition names as steps."""
    found: dict[str, Any] = {}

    def walk(part: Any) -> None:
        if isinstance(part, r.ResolvedStep):
            found.update({name: own[name] for name in part.layers.values() if name in own})
        if dataclasses.is_dataclass(part):
            walk(tuple(getattr(part, field.name) for field in dataclasses.fields(part)))
        elif isinstance(part, (tuple, list)):
            for item in part:
                walk(item)

    if own:
        walk(definition.body)
    return found


def _saved_use(layer: Any) -> dict[str, Any]:
    cls = layer if isinstance(layer, type) else type(layer)
    if isinstance(layer, type) and issubclass(layer, DefinedLayer):
        return layer.saved_definition()
    return {"name": get_registered_name(cls)}


def read_definition(saved: Mapping[str, Any]) -> Any:
    """Make the class of a definition in a file: its expressions are code, so only with the user's consent.

    Args:
        saved: What ``DefinedLayer.saved_definition`` returned.

    Raises:
        DefinitionError: If the text is no definition.
        UnknownName: If it uses a layer that is neither in the file nor registered.
    """
    name, text = str(saved.get("name")), saved.get("text")
    known = get_registered_object(name) or get_registered_object(name.rpartition(">")[2])
    if known is not None:
        return known
    if not isinstance(text, str):
        raise UnknownName(
            f"The definition in the file uses the layer {name!r}, which is not in the file. "
            "Pass it in `custom_objects`, or register it."
        )
    namespace = {key: read_definition(use) for key, use in dict(saved.get("uses") or {}).items()}
    header, _, body = text.partition("\n")
    return define_layer(header, body, namespace)


class _StepBuilder(Builder):
    """Runs the chains of a layer on arrays; its layers are made at the first run and kept."""

    def __init__(self, owner: DefinedLayer, values: Values):
        super().__init__(values)
        self.owner = owner
        self.count = 0

    def layer(self, step: Any, x: Any, name: str | None = None) -> Layer:
        if self.count == len(self.owner.steps):
            rank = tree.flatten(x)[0].ndim - 2
            self.owner.steps.append(self.make(step, rank, name))
        self.count += 1
        return self.owner.steps[self.count - 1]


def _constructor(definition: r.ResolvedLayer, defaults: Mapping[str, Any]) -> Any:
    names = [p.name for p in definition.parameters]
    own = [
        inspect.Parameter(
            p.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if p.required else defaults[p.name],
        )
        for p in definition.parameters
    ]
    signature = inspect.Signature(
        [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
            *own,
            inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
        ]
    )

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError as error:
            given = any(hasattr(each, "shape") for each in (*args, *kwargs.values()))
            hint = f"Make the layer before it is called: '{definition.name}()(x)'." if given else None
            raise InvalidArgument(f"{definition.name}{_spelled(signature)}: {error}", hint=hint) from None
        bound.apply_defaults()
        Layer.__init__(self, **bound.arguments["kwargs"])
        self._prepare({name: bound.arguments[name] for name in names})

    __init__.__signature__ = signature
    return __init__


def _spelled(signature: inspect.Signature) -> str:
    own = [p for name, p in signature.parameters.items() if name not in ("self", "kwargs")]
    return f"({', '.join(map(str, own))})"


def _build(definition: r.ResolvedLayer) -> Any:
    names = [f"{line.name or 'x'}_shape" for line in definition.inputs]

    def build(self: Any, *args: Any, **kwargs: Any) -> None:
        shapes = [*args, *(kwargs[name] for name in names[len(args) :])]
        self._make_weights(shapes)
        if any(expression is None for expression in self.expressions):
            tensors = tuple(KerasTensor(shape, self.compute_dtype) for shape in shapes)
            infer_call(lambda *xs: self._run(xs, training=False), tensors, {})

    parameters = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in ("self", *names)]
    build.__signature__ = inspect.Signature(parameters)
    return build


def _call(definition: r.ResolvedLayer, wants_mask: bool) -> Any:
    names = [line.name or "x" for line in definition.inputs]

    def call(self: Any, *args: Any, training: Any = None, mask: Any = None, **kwargs: Any) -> Any:
        inputs = [*args, *(kwargs[name] for name in names[len(args) :])]
        return self._run([jnp.asarray(x) for x in inputs], training, mask)

    parameters = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in ("self", *names)]
    extra = ["training", *(["mask"] if wants_mask else [])]
    parameters += [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None) for n in extra]
    call.__signature__ = inspect.Signature(parameters)
    return call
