"""A model as rows for tables: each layer with its shape, its weights, its cost, and where it gets its input."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax

from kerasmagic.core import tree
from kerasmagic.core.layer import Layer
from kerasmagic.core.symbolic import FunctionOperation, KerasTensor, infer_call
from kerasmagic.foundation.amount import Amount, total
from kerasmagic.models.cost import Call, multiply_adds

BLOCK = "_definition_block"
# A layer inside a composed one is traced for its row, which takes a while; of more than this they are left out.
MOST_COMPOSED = 200


@dataclasses.dataclass(frozen=True)
class Row:
    """One layer.

    Args:
        name: The layer's name.
        kind: Its class.
        output_shape: Sizes, with the names of open dimensions; nested for several outputs.
        dtype: The type of its output, or of its weights before it was called.
        parameters: The number of values in its weights.
        trainable: Whether training changes any of them.
        connected_to: The names of the layers whose outputs flow in.
        depth: How many models it is inside of, below the one that is shown.
        line: The line of the cell that defined it, if a cell did.
        status: ``"kept"``, ``"changed"`` or ``"new"`` when the cell was run again.
        multiply_adds: How many there are in its calls; ``None`` where that is not known.
        block: The blocks of a definition it is in, outermost first: name, line and number of the use.
        parts: The layers it stands for.
    """

    name: str
    kind: str
    output_shape: Any
    dtype: str
    parameters: int
    trainable: bool
    connected_to: tuple[str, ...] = ()
    depth: int = 0
    line: int | None = None
    status: str | None = None
    multiply_adds: Amount | None = None
    block: tuple[tuple[str, int, int], ...] = ()
    parts: tuple[Any, ...] = dataclasses.field(default=(), repr=False, compare=False)


def rows(model: Any, expand_nested: bool = True, depth: int = 0) -> list[Row]:
    """Return one row per layer of ``model``; those of models inside it below theirs."""

    def inside(operation: Any) -> Iterable[Any]:
        return operation.layers if expand_nested and hasattr(operation, "compile") else ()

    return list(_rows(model, model.layers, inside, depth))


def table_rows(model: Any) -> list[Row]:
    """Return what a table of ``model`` shows: layers and functions, branch after branch, blocks as rows of their own.

    Example:

    >>> import kerasmagic as keras
    >>> model = keras.define('''
    ... block twice(n):
    ...     (dense n) * 2
    ... input 4
    ... twice 3 -> twice 2
    ... ''')
    >>> [(row.depth, row.name, row.parameters) for row in table_rows(model)]  # doctest: +NORMALIZE_WHITESPACE
    [(0, 'input', 0), (0, 'twice', 27), (1, 'dense', 15), (1, 'dense_1', 12),
     (0, 'twice_1', 14), (1, 'dense_2', 8), (1, 'dense_3', 6)]
    """
    budget = [MOST_COMPOSED]

    def inside(operation: Any) -> Iterable[Any]:
        if hasattr(operation, "compile"):
            return operations(operation)
        parts = composed_of(operation)
        budget[0] -= len(parts)
        return parts if budget[0] >= 0 else ()

    return list(_with_blocks(list(_rows(model, operations(model), inside, 0)), 0, {}))


def composed_of(layer: Any) -> list[Any]:
    """Return the layers inside a layer that a user composed; those of the library are one thing."""
    if not isinstance(layer, Layer) or type(layer).__module__.startswith("kerasmagic.layers."):
        return []
    return list(layer._flatten_layers(include_self=False, recursive=False))


def operations(model: Any) -> list[Any]:
    """Return the inputs of a model, its layers and its functions, each after those it needs.

    Of a model without a graph these are the layers as it holds them.
    """
    graph = getattr(model, "_graph", None)
    if graph is None or isinstance(getattr(model, "_stack", None), list):
        return list(model.layers)
    inputs = [x._keras_history.operation for x in graph.inputs if x._keras_history is not None]
    written = [*inputs, *(node.operation for node in graph.written())]
    return list({id(operation): operation for operation in written}.values())


def calls(model: Any) -> list[Any]:
    """Return the calls inside a model: those of its graph, or of a model without one the first of each layer."""
    graph = getattr(model, "_graph", None)
    if graph is not None:
        return list(graph.nodes)
    return [call for layer in model.layers if (call := _first_call(layer)) is not None]


def _rows(
    model: Any, listed: Iterable[Any], inside: Callable[[Any], Iterable[Any]], depth: int
) -> Iterator[Row]:
    graph = getattr(model, "_graph", None)
    nodes: dict[int, list[Any]] = {}
    for node in [] if graph is None else graph.nodes:
        nodes.setdefault(id(node.operation), []).append(node)
    for operation in listed:
        found = nodes.get(id(operation), [])
        if not found and isinstance(operation, Layer):
            made = operation._inbound_nodes[-1:] or [_first_call(operation)]
            found = [call for call in made if call is not None]
        yield _row(operation, found, graph is not None, depth)
        yield from _rows(operation, inside(operation), inside, depth + 1)


def _row(operation: Any, found: Sequence[Any], wired: bool, depth: int) -> Row:
    outputs = found[0].outputs if found else None
    tensors = [] if outputs is None else tree.flatten(outputs)
    parents = [p.operation.name for node in found for p in node.parents] if wired else []
    weights = getattr(operation, "weights", [])
    return Row(
        name=operation.name,
        kind=_kind(operation),
        output_shape="?" if outputs is None else tree.map_structure(_Shape, outputs),
        dtype=tensors[0].dtype if tensors else getattr(operation, "dtype", "float32"),
        parameters=sum(v.size for v in weights),
        trainable=bool(getattr(operation, "trainable_weights", [])),
        connected_to=tuple(dict.fromkeys(parents)),
        depth=depth,
        line=getattr(operation, "_definition_line", None),
        status=getattr(operation, "_definition_status", None),
        multiply_adds=multiply_adds(found) if found else None,
        block=operation.__dict__.get(BLOCK, ()),
        parts=(operation,),
    )


def _kind(operation: Any) -> str:
    if isinstance(operation, FunctionOperation):
        return f"ops.{getattr(operation.function, '__name__', 'function').strip('_')}"
    return type(operation).__name__


class _Shape(tuple[Any, ...]):
    """Sizes as integers and open dimensions as text; a leaf among nested shapes."""

    __slots__ = ()

    def __new__(cls, tensor: Any) -> _Shape:
        return super().__new__(cls, (d if isinstance(d, int) else str(d) for d in tensor.dims))


def _first_call(layer: Any) -> Call | None:
    """Return the first call that a layer saw, for any batch; ``None`` if there was none or it cannot be traced."""
    seen = getattr(layer, "_first_call", None)
    if not seen:
        return None
    arguments = {name: symbolic_arguments(value) for name, value in seen.items()}
    inputs = [x for x in tree.flatten(list(arguments.values())) if isinstance(x, KerasTensor)]
    try:
        outputs = infer_call(layer.call, (), arguments)
    except Exception:
        # A call may want more than its tensors; then all that is known of the layer are its weights.
        return None
    return Call(layer, (), inputs, outputs, jax.tree.leaves(outputs))


def symbolic_arguments(seen: Any) -> Any:
    """Return symbolic tensors for what ``BoundCall.specs`` returned."""
    if seen is None:
        return None
    if isinstance(seen, dict):
        return {name: symbolic_arguments(value) for name, value in seen.items()}
    if len(seen) == 2 and isinstance(seen[1], str):
        shape, dtype = seen
        return KerasTensor((None, *shape[1:]) if shape and isinstance(shape[0], int) else shape, dtype)
    return type(seen)(symbolic_arguments(value) for value in seen)


def _with_blocks(found: Sequence[Row], level: int, names: dict[str, int]) -> Iterator[Row]:
    """Yield the rows with one more before each block, and those inside deeper by one."""

    def use(row: Row) -> Any:
        return row.block[level] if len(row.block) > level else None

    place = 0
    while place < len(found):
        block = use(found[place])
        end = place + 1
        while end < len(found) and (
            found[end].depth > found[place].depth or (block and use(found[end]) == block)
        ):
            end += 1
        members = found[place:end]
        if block is None:
            yield from members
        else:
            yield _block_row(block, members, names)
            deeper = [dataclasses.replace(row, depth=row.depth + 1) for row in members]
            yield from _with_blocks(deeper, level + 1, names)
        place = end


def _block_row(block: tuple[str, int, int], members: Sequence[Row], names: dict[str, int]) -> Row:
    name, line, _ = block
    count = names[name] = names.get(name, -1) + 1
    own = [row for row in members if row.depth == members[0].depth]
    inside = {row.name for row in own}
    outside = dict.fromkeys(p for row in own for p in row.connected_to if p not in inside)
    costs = [row.multiply_adds for row in own]
    statuses = {row.status for row in own if row.status}
    return dataclasses.replace(
        own[-1],
        name=f"{name}_{count}" if count else name,
        kind="block",
        parameters=sum(row.parameters for row in own),
        trainable=any(row.trainable for row in own),
        connected_to=tuple(outside),
        line=line,
        status=statuses.pop() if len(statuses) == 1 else "changed" if statuses else None,
        multiply_adds=None if None in costs else total(cost for cost in costs if cost is not None),
        block=(),
        parts=tuple(part for row in own for part in row.parts),
    )
