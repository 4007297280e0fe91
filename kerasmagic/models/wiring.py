"""A graph of layers as plain data and back, in the format of Keras' config.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasmagic.core import tree
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.core.symbolic import KerasTensor, Operation, any_symbolic
from kerasmagic.foundation.errors import InvalidArgument


def to_config(model: Any) -> dict[str, Any]:
    """Return the config of a functional model."""
    graph = model._graph
    inside = {id(node) for node in graph.nodes}
    numbers: dict[int, int] = {}
    for operation in graph.operations:
        kept = [node for node in operation._inbound_nodes if id(node) in inside]
        numbers.update((id(node), number) for number, node in enumerate(kept))

    def place(x: KerasTensor) -> tuple[str, int, int]:
        history = x._keras_history
        assert history is not None
        node = history.operation._inbound_nodes[history.node_index]
        return (history.operation.name, numbers[id(node)], history.tensor_index)

    def argument(x: Any) -> Any:
        if not isinstance(x, KerasTensor):
            return serialize_keras_object(x)
        config = {"shape": list(x.shape), "dtype": x.dtype, "keras_history": list(place(x))}
        return {"class_name": "__keras_tensor__", "config": config}

    def layer(operation: Operation) -> dict[str, Any]:
        nodes = [n for n in operation._inbound_nodes if id(n) in inside and not n.is_input]
        calls = [
            {
                "args": list(tree.map_structure(argument, n.args)),
                "kwargs": tree.map_structure(argument, n.kwargs),
            }
            for n in nodes
        ]
        return {**serialize_keras_object(operation), "name": operation.name, "inbound_nodes": calls}

    def places(structure: Any) -> Any:
        result = tree.map_structure(lambda x: _Place(place(x)), structure)
        return _unwrap(result)

    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": [layer(operation) for operation in graph.operations],
        "input_layers": places(graph.inputs_struct),
        "output_layers": places(graph.outputs_struct),
    }


class _Place:
    """A place that nested-structure functions take for a leaf."""

    def __init__(self, parts: tuple[str, int, int]):
        self.parts = parts


def _unwrap(structure: Any) -> Any:
    if isinstance(structure, _Place):
        return list(structure.parts)
    if isinstance(structure, dict):
        return {key: _unwrap(value) for key, value in structure.items()}
    return [_unwrap(item) for item in structure]


def from_config(config: Mapping[str, Any], custom_objects: Any = None) -> tuple[Any, Any, dict[str, Any]]:
    """Make the layers of a config, call them as it says, and return inputs, outputs and options.

    Raises:
        InvalidArgument: If a layer is called on something that no layer gives.
    """
    options = {"name": config.get("name"), "trainable": config.get("trainable")}
    made: dict[str, Operation] = {}
    waiting: list[tuple[Operation, dict[str, Any]]] = []
    for layer in config["layers"]:
        operation = deserialize_keras_object(
            {k: v for k, v in layer.items() if k not in ("name", "inbound_nodes")}, custom_objects
        )
        made[layer["name"]] = operation
        # A layer that was drawn before has nodes already: the config counts from the first new one.
        waiting.extend((operation, call) for call in layer["inbound_nodes"])
    first = {name: len(op._inbound_nodes) if _has_calls(config, name) else 0 for name, op in made.items()}
    _replay(waiting, made, first)

    def tensor(place: list[Any]) -> KerasTensor:
        name, node, index = place
        return made[name]._inbound_nodes[first[name] + node].output_tensors[index]

    def tensors(structure: Any) -> Any:
        if _is_place(structure):
            return tensor(structure)
        if isinstance(structure, dict):
            return {key: tensors(value) for key, value in structure.items()}
        return [tensors(item) for item in structure]

    return tensors(config["input_layers"]), tensors(config["output_layers"]), options


def _has_calls(config: Mapping[str, Any], name: str) -> bool:
    return any(layer["name"] == name and layer["inbound_nodes"] for layer in config["layers"])


def _is_place(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 3 and isinstance(value[0], str)


def _replay(
    waiting: list[tuple[Operation, dict[str, Any]]], made: dict[str, Operation], first: dict[str, int]
) -> None:
    """Make the calls whose inputs exist until none is left."""

    def value(x: Any) -> Any:
        if isinstance(x, dict) and x.get("class_name") == "__keras_tensor__":
            name, node, index = x["config"]["keras_history"]
            nodes = made[name]._inbound_nodes
            if first[name] + node >= len(nodes):
                raise _NotYet
            return nodes[first[name] + node].output_tensors[index]
        if isinstance(x, dict) and "class_name" not in x:
            return {key: value(item) for key, item in x.items()}
        if isinstance(x, (list, tuple)):
            return type(x)(value(item) for item in x)
        return deserialize_keras_object(x)

    while waiting:
        left = []
        blocked: set[int] = set()
        for operation, call in waiting:
            if id(operation) in blocked:
                left.append((operation, call))
                continue
            try:
                args, kwargs = value(call["args"]), value(call["kwargs"])
            except _NotYet:
                # Later calls of the same layer wait too, so that nodes keep their numbers.
                blocked.add(id(operation))
                left.append((operation, call))
                continue
            # A call on plain values would compute at once, and as much as the file says.
            if not any_symbolic(args, kwargs):
                raise InvalidArgument(f"The config is inconsistent: nothing flows into {operation.name!r}.")
            operation(*args, **kwargs)
        if len(left) == len(waiting):
            names = sorted({operation.name for operation, _ in left})
            raise InvalidArgument(
                f"The config is inconsistent: the inputs of the layers {names} are never made."
            )
        waiting = left


class _NotYet(Exception):
    """The tensor that a call needs has not been made."""
