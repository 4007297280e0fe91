"""A model as a table: one row per layer, and the text that ``summary()`` prints."""

from __future__ import annotations

import dataclasses
import itertools
import math
import sys
from typing import Any

from kerasmagic.core import tree
from kerasmagic.core.dtypes import standardize_dtype
from kerasmagic.foundation.errors import InvalidArgument

_BITS = {"bool": 1, "int4": 4}


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
        status: ``"kept"`` or ``"new"`` when the cell was run again.
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


def rows(model: Any, expand_nested: bool = True, depth: int = 0) -> list[Row]:
    """Return one row per layer of ``model``; those of models inside it below theirs."""
    graph = getattr(model, "_graph", None)
    nodes = {} if graph is None else {id(n.operation): n for n in graph.nodes}
    found: list[Row] = []
    for layer in model.layers:
        found.append(_row(layer, nodes.get(id(layer)), depth))
        if expand_nested and hasattr(layer, "compile"):
            found.extend(rows(layer, expand_nested, depth + 1))
    return found


def _row(layer: Any, node: Any, depth: int) -> Row:
    outputs = None if node is None else node.outputs
    if outputs is None and layer._inbound_nodes:
        outputs = layer._inbound_nodes[-1].outputs
    tensors = [] if outputs is None else tree.flatten(outputs)
    parents = [] if node is None else [p.operation.name for p in node.parents]
    return Row(
        name=layer.name,
        kind=type(layer).__name__,
        output_shape="?" if outputs is None else tree.map_structure(_Shape, outputs),
        dtype=tensors[0].dtype if tensors else layer.dtype,
        parameters=sum(v.size for v in layer.weights),
        trainable=bool(layer.trainable_weights),
        connected_to=tuple(dict.fromkeys(parents)),
        depth=depth,
        line=getattr(layer, "_definition_line", None),
        status=getattr(layer, "_definition_status", None),
    )


class _Shape(tuple[Any, ...]):
    """Sizes as integers and open dimensions as text; a leaf among nested shapes."""

    __slots__ = ()

    def __new__(cls, tensor: Any) -> _Shape:
        return super().__new__(cls, (d if isinstance(d, int) else str(d) for d in tensor.dims))


def text(
    model: Any, expand_nested: bool = False, show_trainable: bool = False, layer_range: Any = None
) -> str:
    """Return the table that ``summary()`` prints."""
    listed = _in_range(rows(model, expand_nested), layer_range)
    header = ["Layer (type)", "Output Shape", "Param #"]
    table = [
        [f"{'   ' * r.depth}{r.name} ({r.kind})", _shape(r.output_shape), f"{r.parameters:,}"] for r in listed
    ]
    if _has_branches(listed):
        header.append("Connected to")
        for cells, row in zip(table, listed, strict=True):
            cells.append(", ".join(row.connected_to) or "-")
    if show_trainable:
        header.append("Trainable")
        for cells, row in zip(table, listed, strict=True):
            cells.append("Y" if row.trainable else "N")
    return "\n".join([f'Model: "{model.name}"', _box(header, table), *_totals(model)])


def show(content: str) -> None:
    """Write the table to standard output."""
    sys.stdout.write(content + "\n")


def _in_range(listed: list[Row], layer_range: Any) -> list[Row]:
    if layer_range is None:
        return listed
    names = [row.name for row in listed]
    if len(layer_range) != 2 or any(name not in names for name in layer_range):
        raise InvalidArgument(
            f"`layer_range` must be two names of layers. Received: {layer_range}; layers: {names}"
        )
    return listed[names.index(layer_range[0]) : names.index(layer_range[1]) + 1]


def _has_branches(listed: list[Row]) -> bool:
    if any(len(row.connected_to) > 1 for row in listed):
        return True
    flat = [row for row in listed if row.depth == 0]
    return any(b.connected_to not in ((), (a.name,)) for a, b in itertools.pairwise(flat))


def _shape(shape: Any) -> str:
    if isinstance(shape, _Shape):
        sizes = ", ".join("None" if isinstance(d, str) else str(d) for d in shape)
        return f"({sizes},)" if len(shape) == 1 else f"({sizes})"
    if isinstance(shape, dict):
        return ", ".join(f"{key}: {_shape(value)}" for key, value in shape.items())
    return shape if isinstance(shape, str) else ", ".join(_shape(s) for s in shape)


def _box(header: list[str], table: list[list[str]]) -> str:
    columns = list(zip(header, *table, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]

    def line(cells: list[str], bar: str) -> str:
        padded = [
            cell.rjust(width) if header[i] == "Param #" else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"{bar} " + f" {bar} ".join(padded) + f" {bar}"

    def rule(left: str, fill: str, cross: str, right: str) -> str:
        return left + cross.join(fill * (width + 2) for width in widths) + right

    body = [line(cells, "│") for cells in table]
    between = rule("├", "─", "┼", "┤")
    return "\n".join(
        [
            rule("┏", "━", "┳", "┓"),
            line(header, "┃"),
            rule("┡", "━", "╇", "┩"),
            f"\n{between}\n".join(body),
            rule("└", "─", "┴", "┘"),
        ]
    )


def _totals(model: Any) -> list[str]:
    trainable = {id(v) for v in model.trainable_weights}
    groups = {
        "Total params": model.weights,
        "Trainable params": [v for v in model.weights if id(v) in trainable],
        "Non-trainable params": [v for v in model.weights if id(v) not in trainable],
    }
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and optimizer.built:
        groups["Optimizer params"] = optimizer.variables
        groups["Total params"] = [*model.weights, *optimizer.variables]
    return [f" {name}: {sum(v.size for v in vs):,} ({memory(vs)})" for name, vs in groups.items()]


def memory(variables: Any) -> str:
    """Return the memory of variables with its unit, ``"2.54 KB"`` for one."""
    size = sum(v.size * _bits(v.dtype) for v in variables) / 8
    units = ["B", "KB", "MB", "GB", "TB"]
    power = min(int(math.log(size, 1024)), len(units) - 1) if size >= 1 else 0
    return f"{size / 1024**power:.2f} {units[power]}"


def _bits(dtype: str) -> int:
    name = standardize_dtype(dtype)
    digits = "".join(c for c in name.split("_")[0] if c.isdigit())
    return _BITS.get(name) or int(digits or 32)
