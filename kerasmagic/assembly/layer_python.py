"""A ``%%layer`` class as the ``keras.layers.Layer`` subclass that a person would have written."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from kerasmagic.core.layer import Layer
from kerasmagic.foundation import registry
from kerasmagic.foundation.errors import NotSerializable
from kerasmagic.foundation.naming import to_snake_case
from kerasmagic.language import resolved as r

_NAMESPACES = {
    "jnp": "import jax.numpy as jnp",
    "jax": "import jax",
    "nn": "from jax import nn",
    "ops": "from keras import ops",
}
_LISTS = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot")
_ATTENTIONS = ("Attention", "AdditiveAttention")
_HEADS = ("MultiHeadAttention", "GroupedQueryAttention")
_MODULES = {"schedule": "keras.optimizers.schedules"}


@dataclasses.dataclass
class ClassSource:
    """The source of a class, the imports and the other classes it needs."""

    text: str
    imports: list[str]
    own_classes: list[type]


def class_source(cls: Any) -> ClassSource:
    """Return the source of a class that ``%%layer`` made.

    Args:
        cls: A subclass of ``DefinedLayer``.

    Raises:
        NotSerializable: If a line of it cannot be written: a layer of the notebook in braces, or a name such
            as ``conv`` where the rank of the input is not known.
    """
    return _ClassWriter(cls).source()


class _ClassWriter:
    def __init__(self, cls: Any):
        self.cls = cls
        self.definition: r.ResolvedLayer = cls.definition
        self.imports: dict[str, None] = {"import keras": None}
        self.own_classes: list[type] = []
        self.parameters = {p.name for p in self.definition.parameters}
        self.weights = {w.name: w for w in self.definition.weights}
        self.dimensions = self._dimensions()
        self.early: list[str] = []
        self.late: list[str] = []
        self.attributes: set[str] = {*self.parameters, *self.weights}
        self.fresh = 0

    def _dimensions(self) -> dict[str, tuple[str, int]]:
        """Return the input and the axis that each dimension's name is read from."""
        found: dict[str, tuple[str, int]] = {}
        for line in self.definition.inputs:
            shape = line.shape if isinstance(line.shape, tuple) else ()
            rest = shape.index(...) if ... in shape else len(shape)
            for axis, size in enumerate(shape):
                if isinstance(size, str) and size not in self.parameters:
                    found.setdefault(size, (line.name or "x", axis if axis < rest else axis - len(shape)))
        return found

    # ---- the class

    def source(self) -> ClassSource:
        call = list(self.call_lines())
        build = self.build_lines()
        name = self.definition.name
        lines = [f"class {name}(keras.layers.Layer):", *_indented(self.constructor())]
        if build:
            shapes = [f"{i.name or 'x'}_shape" for i in self.definition.inputs]
            shapes = ["input_shape"] if len(shapes) == 1 else shapes
            lines += ["", *_indented([f"def build(self, {', '.join(shapes)}):", *_indented(build)])]
        lines += ["", *_indented([self.call_header(), *_indented(call)])]
        if self.parameters:
            shown = ", ".join(f'"{p.name}": self.{p.name}' for p in self.definition.parameters)
            config = ["def get_config(self):", f"    return {{**super().get_config(), {shown}}}"]
            lines += ["", *_indented(config)]
        return ClassSource("\n".join(lines), list(self.imports), self.own_classes)

    def constructor(self) -> list[str]:
        signature = ["self"]
        for p in self.definition.parameters:
            signature.append(p.name if p.required else f"{p.name}={self.value(p.default, {})}")
        lines = [f"def __init__({', '.join([*signature, '**kwargs'])}):", "    super().__init__(**kwargs)"]
        lines += [f"    self.{p.name} = {p.name}" for p in self.definition.parameters]
        if all(not isinstance(line, r.ResolvedExpression) for line in self.definition.body) or self.reads(
            "mask"
        ):
            lines.append("    self.supports_masking = True")
        if self.reads("key"):
            lines.append("    self.seed_generator = keras.random.SeedGenerator()")
        return [*lines, *_indented(self.early)]

    def reads(self, name: str) -> bool:
        return name in self.cls.reads

    def build_lines(self) -> list[str]:
        names = {p: f"self.{p}" for p in self.parameters} | {d: d for d in self.dimensions}
        made = []
        for weight in self.weights.values():
            shape = tuple(self.value(size, names) for size in weight.shape)
            parts = [f"shape=({', '.join(shape)}{',' if len(shape) == 1 else ''})"]
            options = {o.name: o.value for o in weight.options}
            frozen = bool(options.pop("frozen", False)) or weight.state
            parts += [f"{name}={self.value(value, names)}" for name, value in options.items()]
            parts += ["trainable=False"] if frozen else []
            made.append(f'self.{weight.name} = self.add_weight({", ".join(parts)}, name="{weight.name}")')
        made += self.late
        used = [d for d in self.dimensions if any(_mentions(line, d) for line in made)]
        return [*[f"{d} = {self.shape_of(d, build=True)}" for d in used], *made]

    def shape_of(self, dimension: str, *, build: bool) -> str:
        name, axis = self.dimensions[dimension]
        if not build:
            return f"{name}.shape[{axis}]"
        return f"{'input' if len(self.definition.inputs) == 1 else name}_shape[{axis}]"

    # ---- the call

    def call_header(self) -> str:
        names = [i.name or "x" for i in self.definition.inputs]
        extra = [
            f"{n}={'False' if n == 'training' else 'None'}" for n in ("training", "mask") if self.reads(n)
        ]
        return f"def call(self, {', '.join([*names, *extra])}):"

    def call_lines(self) -> Iterator[str]:
        names = {p: f"self.{p}" for p in self.parameters} | {w: f"self.{w}" for w in self.weights}
        current: Any = (self.definition.inputs[0].name or "x") if len(self.definition.inputs) == 1 else None
        body: list[str] = []
        for index, line in enumerate(self.definition.body):
            last = index == len(self.definition.body) - 1
            if isinstance(line, r.ResolvedExpression):
                current = self.expression(line, names, body)
            else:
                current = self.statement(line, current, names, body)
            if last:
                body.append(f"return {self.spelled(current)}")
        used = [d for d in self.dimensions if any(_mentions(line, d) for line in body)]
        yield from (f"{d} = {self.shape_of(d, build=False)}" for d in used)
        yield from body

    def expression(self, line: r.ResolvedExpression, names: dict[str, str], body: list[str]) -> str:
        text = self.rewritten(line.expression.source.strip(), names)
        if "key" in {name for name, _ in line.expression.names}:
            body.append("key = self.seed_generator.next()")
        if line.update:
            body.append(f"self.{line.names[0]}.assign({text})")
            return f"self.{line.names[0]}"
        if not line.names:
            return text if "\n" not in text else f"({text})"
        for name in line.names:
            names.pop(name, None)
        body.append(f"{', '.join(line.names)} = {text}")
        return line.names[0] if len(line.names) == 1 else f"({', '.join(line.names)})"

    def rewritten(self, source: str, names: Mapping[str, str]) -> str:
        """Return an expression with ``self.`` before what the layer holds."""
        tree = ast.parse(source, mode="eval")
        inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute | ast.Subscript)}
        places = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id in _NAMESPACES:
                self.imports.setdefault(_NAMESPACES[node.id])
            if isinstance(node, ast.Name) and node.id in names:
                whole = names[node.id] + (".value" if node.id in self.weights and id(node) in inner else "")
                places.append((node.lineno - 1, node.col_offset, node.end_col_offset or 0, whole))
        lines = [line.encode() for line in source.split("\n")]
        for row, start, end, new in sorted(places, reverse=True):
            lines[row] = lines[row][:start] + new.encode() + lines[row][end:]
        return b" ".join(line.strip() for line in lines).decode()

    # ---- steps

    def statement(self, line: Any, current: Any, names: dict[str, str], body: list[str]) -> Any:
        chain = line.chain if isinstance(line, r.ResolvedAssignment) else line
        found = self.chain(chain, current, names, body)
        if isinstance(line, r.ResolvedAssignment):
            body.append(f"{', '.join(line.names)} = {self.spelled(found)}")
            for name in line.names:
                names.pop(name, None)
            return line.names[0] if len(line.names) == 1 else list(line.names)
        return found

    def chain(self, chain: r.ResolvedChain, current: Any, names: dict[str, str], body: list[str]) -> Any:
        for element in chain.elements:
            match element:
                case r.ResolvedStep():
                    current = self.step(element, current, names)
                case r.Tensor(name):
                    current = names.get(name, name)
                case r.Flowing():
                    pass
                case r.Gather(items):
                    current = [self.kept(self.chain(item, current, names, body), body) for item in items]
                case _:
                    raise NotSerializable(
                        f"%%layer {self.definition.name}, line {element.span.line}: this step cannot be written."
                    )
        return current

    def kept(self, value: Any, body: list[str]) -> Any:
        """Put what a branch gives into a variable where it is more than a name."""
        if isinstance(value, list) or value.isidentifier() or value.startswith("self."):
            return value
        self.fresh += 1
        body.append(f"branch_{self.fresh} = {value}")
        return f"branch_{self.fresh}"

    def step(self, step: r.ResolvedStep, current: Any, names: Mapping[str, str]) -> str:
        options = [f"{a.name}={self.call_value(a.value, names)}" for a in step.arguments if a.in_call]
        if step.name.startswith("ops."):
            self.imports.setdefault(_NAMESPACES["ops"])
            options = [f"{a.name}={self.call_value(a.value, names)}" for a in step.arguments]
            tensors = ", ".join(current) if isinstance(current, list) else current
            return f"{step.name}({', '.join([tensors, *options])})"
        kind, made, needs_shape = self.construction(step)
        attribute = self.attribute(kind)
        (self.late if needs_shape else self.early).append(f"self.{attribute} = {made}")
        return f"self.{attribute}({', '.join([*self.flows(kind, current), *options])})"

    def call_value(self, value: Any, names: Mapping[str, str]) -> str:
        if isinstance(value, r.Tensor):
            return names.get(value.name, value.name)
        if isinstance(value, tuple | list):
            return f"[{', '.join(self.call_value(item, names) for item in value)}]"
        return self.value(value, names)

    def flows(self, kind: str, current: Any) -> list[str]:
        """Return what a layer is called with."""
        if kind in _HEADS:
            tensors = list(current) if isinstance(current, list) else [current]
            return tensors if len(tensors) > 1 else [tensors[0], tensors[0]]
        if kind in _ATTENTIONS and not isinstance(current, list):
            return [f"[{current}, {current}]"]
        if not isinstance(current, list):
            return [current]
        if kind in (*_LISTS, *_ATTENTIONS):
            return [f"[{', '.join(current)}]"]
        return [f"keras.layers.concatenate([{', '.join(current)}])"]

    def attribute(self, kind: str) -> str:
        base = to_snake_case(kind)
        name, count = base, 1
        while name in self.attributes:
            name, count = f"{base}_{count}", count + 1
        self.attributes.add(name)
        return name

    def construction(self, step: r.ResolvedStep) -> tuple[str, str, bool]:
        """Return the class of a step, the source that makes it, and whether that needs the input's shape."""
        public = step.layer(self.rank())
        if public is None:
            raise NotSerializable(
                f"%%layer {self.definition.name}, line {step.span.line}: {step.name!r} depends on the rank of the "
                "input, which its 'input' line leaves open."
            )
        given = {a.name: a.value for a in step.arguments if not a.in_call}
        needs_shape = any(_refers(value, set(self.dimensions)) for value in given.values())
        own = "self." if needs_shape else ""
        names = {p: f"{own}{p}" for p in self.parameters} | {d: d for d in self.dimensions}
        shown = ", ".join(f"{name}={self.value(value, names)}" for name, value in given.items())
        return public, f"{self.address(public)}({shown})", needs_shape

    def address(self, public: str) -> str:
        own = (self.cls.namespace or {}).get(public)
        if isinstance(own, type) and issubclass(own, Layer):
            self.own_classes.append(own)
            return public
        return f"keras.layers.{public}"

    def rank(self) -> int | None:
        shape = self.definition.inputs[0].shape
        return len(shape) - 2 if isinstance(shape, tuple) and ... not in shape else None

    # ---- values

    def value(self, value: Any, names: Mapping[str, str]) -> str:
        match value:
            case r.Reference(name):
                return names.get(name, name)
            case r.Computed(operands, operators):
                shown = [self.value(o, names) for o in operands]
                exact = ["//" if operator == "/" else operator for operator in operators]
                rest = "".join(f" {o} {right}" for o, right in zip(exact, shown[1:], strict=True))
                return f"({shown[0]}{rest})"
            case r.ResolvedCall(kind, name, arguments):
                module = _MODULES.get(kind, f"keras.{kind}s")
                target = getattr(registry, f"{kind.upper()}S").find(name)
                inner = ", ".join(f"{a.name}={self.value(a.value, names)}" for a in arguments)
                return f"{module}.{target.__name__}({inner})"
            case r.ResolvedStep():
                return self.construction(value)[1]
            case r.PythonValue(source):
                raise NotSerializable(
                    f"%%layer {self.definition.name}, line {value.span.line}: {{{source}}} is a value of the "
                    "notebook; make it a parameter of the layer."
                )
            case tuple() | list():
                inner = ", ".join(self.value(item, names) for item in value)
                return (
                    f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"
                )
        return f'"{value}"' if isinstance(value, str) and '"' not in value else repr(value)

    def spelled(self, current: Any) -> str:
        return ", ".join(current) if isinstance(current, list) else str(current)


def _refers(value: Any, names: set[str]) -> bool:
    match value:
        case r.Reference(name):
            return name in names
        case r.Computed(operands):
            return any(_refers(o, names) for o in operands)
        case tuple() | list():
            return any(_refers(item, names) for item in value)
        case r.ResolvedStep(arguments=arguments) | r.ResolvedCall(arguments=arguments):
            return any(_refers(a.value, names) for a in arguments)
    return False


def _mentions(line: str, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(ast.parse(line)))


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" if line else line for line in lines]
