"""The graph between symbolic inputs and outputs: its calls in order, and how to run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.core import tree
from kerasmagic.core.masking import get_keras_mask, set_keras_mask
from kerasmagic.core.symbolic import KerasTensor, Node, Operation
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch


class Graph:
    """The calls that lead from ``inputs`` to ``outputs``.

    Args:
        inputs: A structure of symbolic tensors.
        outputs: A structure of symbolic tensors made from them.

    Raises:
        InvalidArgument: If an output does not come from the inputs, or two operations share a name.
    """

    def __init__(self, inputs: Any, outputs: Any):
        self.inputs_struct, self.outputs_struct = inputs, outputs
        self.inputs: list[KerasTensor] = _symbolic_leaves("inputs", inputs)
        self.outputs: list[KerasTensor] = _symbolic_leaves("outputs", outputs)
        self.nodes: list[Node] = _ordered_nodes(self.inputs, self.outputs)
        self.operations: list[Operation] = list({id(n.operation): n.operation for n in self.nodes}.values())
        _check_names(self.operations)

    def written(self) -> list[Node]:
        """Return the nodes as a person would write them: a branch to its end before the next one begins."""
        ordered = list(_in_writing_order(self.outputs, {id(node) for node in self.nodes}))
        seen = {id(node) for node in ordered}
        return ordered + [node for node in self.nodes if id(node) not in seen]

    def run(self, values: list[Any], apply: Callable[..., Any]) -> Any:
        """Return the outputs for ``values`` of the inputs; ``apply(operation, *args)`` makes each call."""
        table = {id(x): value for x, value in zip(self.inputs, values, strict=True)}
        for node in self.nodes:
            if all(id(x) in table for x in node.output_tensors):
                continue
            args, kwargs = node.fill_in(table)
            outputs = tree.flatten(apply(node.operation, *args, **kwargs))
            table.update((id(x), value) for x, value in zip(node.output_tensors, outputs, strict=True))
        return tree.pack_sequence_as(self.outputs_struct, [table[id(x)] for x in self.outputs])

    def known_outputs(self, inputs: Any) -> Any:
        """Return the symbolic outputs for inputs of the very shapes the graph was drawn with, else ``None``."""

        def shapes(structure: Any) -> Any:
            return tree.map_structure(lambda x: x.shape, structure)

        return self.outputs_struct if shapes(inputs) == shapes(self.inputs_struct) else None

    def fed(self, data: Any) -> Iterator[tuple[Operation, Any]]:
        """Yield what is called on an input itself, with the data for that input where it is there.

        Args:
            data: One array, a list of them, or a dictionary by the names of the inputs.
        """
        values = [data.get(x.name) for x in self.inputs] if isinstance(data, dict) else tree.flatten(data)
        table = {id(x): value for x, value in zip(self.inputs, values, strict=False) if value is not None}
        for node in self.nodes:
            first = node.args[0] if len(node.args) == 1 and not node.kwargs else None
            if id(first) in table:
                yield node.operation, table[id(first)]

    def standardize_inputs(self, inputs: Any, owner: str) -> list[Any]:
        """Return the tensors for the graph's inputs as a list, in their rank and type.

        Raises:
            ShapeMismatch: If structure, rank or sizes do not fit.
        """
        flat = _match_structure(self.inputs_struct, self.inputs, inputs, owner)
        return [_fit(reference, x, owner) for reference, x in zip(self.inputs, flat, strict=True)]


def _symbolic_leaves(name: str, structure: Any) -> list[KerasTensor]:
    leaves = tree.flatten(structure)
    for leaf in leaves:
        if not isinstance(leaf, KerasTensor):
            raise InvalidArgument(
                f"All `{name}` values must be KerasTensors. Received: {leaf!r} of type {type(leaf)}. "
                "Make inputs with `Input(shape)` and outputs by calling layers on them."
            )
    if not leaves:
        raise InvalidArgument(f"`{name}` is empty.")
    return leaves


def _ordered_nodes(inputs: list[KerasTensor], outputs: list[KerasTensor]) -> list[Node]:
    """Return the nodes from the inputs on, deepest first, as Keras orders a model's layers."""
    given = {id(x) for x in inputs}
    finished: dict[int, Node] = {}
    for output in outputs:
        for node in _walk(output, given, finished):
            finished[id(node)] = node
    order = list(finished.values())
    for x in inputs:
        history = x._keras_history
        node = history.operation._inbound_nodes[history.node_index] if history else None
        if node is not None and node.is_input and id(node) not in finished:
            order.append(node)
    return _by_depth(order)


def _walk(tensor: KerasTensor, given: set[int], finished: dict[int, Node]) -> Iterator[Node]:
    """Yield the nodes that ``tensor`` needs, parents first; a stack, since graphs may be deep."""
    seen: set[int] = set(finished)
    stack: list[tuple[KerasTensor, bool]] = [(tensor, False)]
    while stack:
        x, ready = stack.pop()
        history = x._keras_history
        if id(x) in given and (history is None or not _node(x).is_input):
            continue
        if history is None:
            raise InvalidArgument(f"Graph disconnected: {x} does not come from the model's inputs.")
        node = _node(x)
        if ready:
            yield node
        elif id(node) not in seen:
            if node.is_input and not any(id(t) in given for t in node.output_tensors):
                raise InvalidArgument(
                    f"Graph disconnected: cannot find parent for tensor {x} at operation {node.operation.name!r}. "
                    "It comes from an `Input` that is not among the model's `inputs`."
                )
            seen.add(id(node))
            stack.append((x, True))
            stack.extend((parent, False) for parent in reversed(node.input_tensors))


def _node(x: KerasTensor) -> Node:
    history = x._keras_history
    assert history is not None
    return history.operation._inbound_nodes[history.node_index]


def _in_writing_order(outputs: list[KerasTensor], inside: set[int]) -> Iterator[Node]:
    """Yield nodes, parents first: the longest way to a node is written right before it."""
    seen: set[int] = set()
    stack = [(_node(x), False) for x in reversed(outputs)]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif id(node) not in seen and id(node) in inside:
            seen.add(id(node))
            stack.append((node, True))
            # The first operand is the one that a line goes on from, so it is written last.
            onward = type(node.operation).__name__ in ("Add", "Subtract", "Multiply")
            inputs = node.input_tensors if onward else reversed(node.input_tensors)
            stack.extend((_node(x), False) for x in inputs)


def _by_depth(order: list[Node]) -> list[Node]:
    depths: dict[int, int] = {}
    of_operation: dict[int, int] = {}
    for node in reversed(order):
        depth = max(depths.get(id(node), 0), of_operation.get(id(node.operation), 0))
        depths[id(node)] = of_operation[id(node.operation)] = depth
        for parent in node.parents:
            depths[id(parent)] = max(depth + 1, depths.get(id(parent), 0))
    return sorted(order, key=lambda node: -depths[id(node)])


def _check_names(operations: list[Operation]) -> None:
    names = [operation.name for operation in operations]
    for name in names:
        if names.count(name) > 1:
            raise InvalidArgument(
                f'The name "{name}" is used {names.count(name)} times in the model. '
                "All operation names should be unique."
            )


def _match_structure(reference: Any, tensors: list[KerasTensor], inputs: Any, owner: str) -> list[Any]:
    names = [x.name for x in tensors]
    if isinstance(inputs, dict) and not isinstance(reference, dict):
        missing = [name for name in names if name not in inputs]
        if missing:
            raise ShapeMismatch(
                f"{owner!r} has the inputs {names}, but the data has the keys {list(inputs)}."
            )
        return [inputs[name] for name in names]
    if isinstance(reference, dict) and isinstance(inputs, dict):
        missing = [key for key in reference if key not in inputs]
        if missing:
            raise ShapeMismatch(
                f"{owner!r} has the inputs {list(reference)}, but the data has the keys {list(inputs)}."
            )
        inputs = {key: inputs[key] for key in reference}
    flat = tree.flatten(inputs)
    if len(flat) != len(tensors):
        shapes = [getattr(x, "shape", x) for x in flat]
        raise ShapeMismatch(
            f"{owner!r} expects {len(tensors)} input(s) {names}, but it received {len(flat)} with shapes {shapes}."
        )
    return flat


def _fit(reference: KerasTensor, x: Any, owner: str) -> Any:
    if x is None:
        return None
    mask = get_keras_mask(x)
    original = x
    if not isinstance(x, KerasTensor):
        x = jnp.asarray(x)
    if x.ndim == reference.ndim + 1 and x.shape[-1] == 1:
        x = x.squeeze(-1)
    elif x.ndim == reference.ndim - 1 and reference.shape[-1] == 1:
        x = x[..., None]
    wrong = x.ndim != reference.ndim or any(
        isinstance(have, int) and want not in (None, have)
        for want, have in zip(reference.shape[1:], x.shape[1:], strict=False)
    )
    if wrong:
        shape = tuple(d if isinstance(d, int) else None for d in original.shape)
        raise ShapeMismatch(
            f"The data does not fit the input {reference.name!r} of {owner!r}: expected shape {reference.shape}, "
            f"but received shape {shape}."
        )
    if isinstance(x, jax.Array) and x.dtype != reference.dtype:
        x = x.astype(reference.dtype)
    if mask is not None and x is not original:
        set_keras_mask(x, mask)
    return x
