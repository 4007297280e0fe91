"""A model as the Keras Python that builds the same one."""

from __future__ import annotations

import keyword
import re
from typing import Any

import numpy as np

from kerasmagic.assembly.description import readable
from kerasmagic.assembly.flow import index_text
from kerasmagic.assembly.outline import Call, calls, uses
from kerasmagic.assembly.python_source import Source, chosen_name
from kerasmagic.core import tree
from kerasmagic.core.layer import Layer
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation.errors import NotSerializable
from kerasmagic.layers import InputLayer
from kerasmagic.models import Functional, Model, Sequential

_TAKEN = {"keras", "layers", "np", "ops", "jnp", "jax", "x", *keyword.kwlist}


def to_python(model: Any) -> str:
    """Return Python that builds the same model under Keras.

    Args:
        model: A model, however it was made; its layers may be of one's own. Of one with a ``call`` of its own
            the class is written as it stands in its file or its cell, in the names of Keras.

    Raises:
        NotSerializable: If something in it cannot be written: a class whose source is not known, a layer
            that does not say how it was made.

    Example:

    >>> import kerasmagic as keras
    >>> print(to_python(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="small")))
    import keras
    from keras import layers
    <BLANKLINE>
    small = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(2),
        ],
        name="small",
    )
    <BLANKLINE>
    """
    writer = _Writer()
    name = writer.model(model)
    writer.compile(model, name)
    return "\n".join([*writer.source.head(), *writer.lines]) + "\n"


def layer_to_python(layer: Any) -> str:
    """Return the expression that makes a layer, below the imports and classes it needs.

    Example:

    >>> import kerasmagic as keras
    >>> print(layer_to_python(keras.layers.Dense(3, activation="relu")))
    import keras
    from keras import layers
    <BLANKLINE>
    layers.Dense(3, activation="relu")
    <BLANKLINE>
    """
    source = Source()
    text = source.layer(layer, chosen_name(layer))
    return "\n".join([*source.head(), text]) + "\n"


class _Writer:
    def __init__(self) -> None:
        self.source = Source()
        self.lines: list[str] = []
        self.taken = set(_TAKEN)

    def model(self, model: Any) -> str:
        """Write a model; return the variable that holds it."""
        if isinstance(model, Sequential):
            text = self.sequential(model)
        elif isinstance(model, Functional):
            text = self.functional(model)
        else:
            text = self.own(model)
        variable = self.variable(chosen_name(model) or "model")
        self.lines.append(f"{variable} = {text}")
        self.source.layers[id(model)] = variable
        if not isinstance(model, Sequential | Functional):
            self.lines += _building(model, variable, self.source)
        return variable

    def own(self, model: Any) -> str:
        """Return what makes a model with a ``call`` of its own; its class is written above.

        Raises:
            NotSerializable: If its source is not known, or it does not say what it was made with.
        """
        try:
            for inner in model._layers:
                self.prepare_argument(model, inner)
            return self.layer(model)
        except NotSerializable as error:
            raise NotSerializable(
                f"{type(model).__name__} is a model with a `call` of its own, so the source of its class and the "
                f"arguments of its constructor are written. {error.message}",
                hint=error.hint or "Let the class return its arguments in `get_config`.",
            ) from None

    def prepare_argument(self, model: Any, inner: Any) -> None:
        """Write a model that was handed to the constructor; what the constructor makes, the class makes again."""
        given = model.__dict__["_given"]
        if any(inner is value for value in tree.flatten([given[0], given[1]])):
            self.prepare(inner)

    def variable(self, wanted: str) -> str:
        """Return a variable that is not in use."""
        base = re.sub(r"\W", "_", wanted)
        base = base if base.isidentifier() else f"_{base}"
        name, count = base, 1
        while name in self.taken:
            name, count = f"{base}_{count}", count + 1
        self.taken.add(name)
        return name

    # ---- stacks

    def sequential(self, model: Sequential) -> str:
        for layer in model._stack:
            self.prepare(layer)
        shown = [
            self.input(layer) if isinstance(layer, InputLayer) else self.layer(layer)
            for layer in model._stack
        ]
        name = chosen_name(model)
        items = [f"        {text}," for text in shown]
        tail = [f"    name={self.source.value(name)},"] if name else []
        return "\n".join(["keras.Sequential(", "    [", *items, "    ],", *tail, ")"])

    def prepare(self, layer: Any) -> None:
        """Write the models inside a layer, which must stand before it."""
        if id(layer) in self.source.layers:
            return
        if isinstance(layer, Sequential | Functional):
            self.model(layer)
            return
        for inner in layer._layers if not isinstance(layer, Model) else ():
            if isinstance(inner, Model) or inner._layers:
                self.prepare(inner)

    def layer(self, layer: Layer) -> str:
        return self.source.layer(layer, chosen_name(layer))

    def input(self, layer: InputLayer) -> str:
        batch, *sizes = layer.batch_shape or (None,)
        parts = [self.source.value(tuple(sizes)) if layer.batch_shape else "batch_shape=()"]
        if batch is not None:
            parts.append(f"batch_size={batch}")
        if layer.dtype != "float32":
            parts.append(f'dtype="{layer.dtype}"')
        if chosen_name(layer) is not None and not re.fullmatch(r"input(_\d+)?", layer.name):
            parts.append(f"name={self.source.value(layer.name)}")
        if layer.optional:
            parts.append("optional=True")
        return f"keras.Input({', '.join(parts)})"

    # ---- graphs

    def functional(self, model: Any) -> str:
        every = calls(model)
        counts = uses(every)
        # Models inside come first: their lines use the variable that passes from line to line, too.
        for call in every:
            if isinstance(call.operation, Layer):
                self.prepare(call.operation)
        names: dict[int, str] = {}
        for x in model.inputs:
            history = x._keras_history
            names[id(x)] = self.variable(x.name)
            self.lines.append(f"{names[id(x)]} = {self.input(history.operation)}")
        readers = _readers(every, model.outputs)
        for index, call in enumerate(every):
            self.call(call, index, names, readers, counts)
        inputs, outputs = (
            self.structure(s, names) for s in (model._graph.inputs_struct, model._graph.outputs_struct)
        )
        name = chosen_name(model)
        named = f", name={self.source.value(name)}" if name else ""
        return f"keras.Model({inputs}, {outputs}{named})"

    def call(
        self,
        call: Call,
        index: int,
        names: dict[int, str],
        readers: dict[int, set[int]],
        counts: dict[int, int],
    ) -> None:
        text = self.called(call, names, counts)
        if not isinstance(call.result, KerasTensor) and not _unpacks(call.result):
            variable = self.variable(call.operation.name)
            names.update(self.members(call.result, variable))
            self.lines.append(f"{variable} = {text}")
            return
        for x in call.outputs:
            passing = readers[id(x)] <= {index + 1}
            names[id(x)] = "x" if passing and len(call.outputs) == 1 else self.variable(call.operation.name)
        targets = ", ".join(names[id(x)] for x in call.outputs)
        self.lines.append(f"{targets} = {text}")

    def members(self, result: Any, path: str) -> dict[int, str]:
        """Return the source of each tensor of a structure that is called ``path``, by the tensor's ``id``."""
        if isinstance(result, KerasTensor):
            return {id(result): path}
        items = result.items() if isinstance(result, dict) else enumerate(result)
        inner = [self.members(item, f"{path}[{self.source.value(key)}]") for key, item in items]
        return {number: source for found in inner for number, source in found.items()}

    def called(self, call: Call, names: dict[int, str], counts: dict[int, int]) -> str:
        """Return the source of one call."""
        arguments = []
        for name, value in call.arguments.items():
            if name == call.variadic:
                arguments += [self.operand(item, names) for item in value]
                continue
            shown = self.operand(value, names)
            arguments.append(shown if name in call.required else f"{name}={shown}")
        if call.function == "get_item":
            key = index_text(call.arguments["key"], lambda item: self.operand(item, names))
            return f"{arguments[0]}[{key}]"
        if call.function is not None:
            self.source.imports.setdefault("from keras import ops")
            return f"ops.{call.function}({', '.join(arguments)})"
        layer: Any = call.operation
        self.prepare(layer)
        if counts[id(layer)] > 1 and id(layer) not in self.source.layers:
            variable = self.variable(layer.name)
            self.lines.append(f"{variable} = {self.layer(layer)}")
            self.source.layers[id(layer)] = variable
        return f"{self.layer(layer)}({', '.join(arguments)})"

    def operand(self, value: Any, names: dict[int, str]) -> str:
        if isinstance(value, KerasTensor):
            return names[id(value)]
        if isinstance(value, np.generic):
            # A number with a dtype of its own decides the dtype of what is computed with it.
            return self.source.value(np.asarray(value))
        if isinstance(value, dict):
            items = ", ".join(f"{self.source.value(k)}: {self.operand(v, names)}" for k, v in value.items())
            return f"{{{items}}}"
        if isinstance(value, (list, tuple)):
            items = ", ".join(self.operand(item, names) for item in value)
            comma = "," if len(value) == 1 and isinstance(value, tuple) else ""
            return f"[{items}]" if isinstance(value, list) else f"({items}{comma})"
        return self.source.value(value)

    def structure(self, structure: Any, names: dict[int, str]) -> str:
        single = isinstance(structure, list) and len(structure) == 1
        return self.operand(structure[0] if single else structure, names)

    # ---- compile

    def compile(self, model: Any, variable: str) -> None:
        config = model.get_compile_config()
        if config is None:
            return
        shown = {name: readable(value) for name, value in config.items()}
        usual = {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": True, "auto_scale_loss": True}
        parts = [
            f"{name}={self.source.value(value)}"
            for name, value in shown.items()
            if value is not None
            and value != usual.get(name)
            and not (name == "jit_compile" and value == "auto")
        ]
        self.lines.append(f"{variable}.compile({', '.join(parts)})")


def _unpacks(result: Any) -> bool:
    """Say whether a structure is one of two tensors or more that stand before '='."""
    several = isinstance(result, list | tuple) and len(result) > 1
    return several and all(isinstance(x, KerasTensor) for x in result)


def _building(model: Any, variable: str, source: Source) -> list[str]:
    """Return the line that makes the weights of a model whose shapes are known."""
    config = model.get_build_config() if model.built else None
    shape = None if config is None else config.get("input_shape")
    if shape is None:
        return [f"# {variable} has a `call` of its own: its weights come with the first call on data."]
    return [f"{variable}.build({source.value(_shape(shape))})"]


def _shape(shape: Any) -> Any:
    return tuple(shape) if tree.is_shape(shape) else shape


def _readers(every: list[Call], outputs: Any) -> dict[int, set[int]]:
    """Return which calls read each tensor; an output of the model is read after the last one."""
    found: dict[int, set[int]] = {id(x): set() for call in every for x in call.outputs}
    for index, call in enumerate(every):
        for x in call.inputs:
            found.setdefault(id(x), set()).add(index)
    for x in tree.flatten(outputs):
        found.setdefault(id(x), set()).add(len(every))
    return found
