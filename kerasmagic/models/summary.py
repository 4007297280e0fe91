"""A model as a table: one row per layer, and the text that ``summary()`` prints."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
import shutil
import sys
from typing import Any

from kerasmagic.core import tree
from kerasmagic.core.dtypes import standardize_dtype
from kerasmagic.core.symbolic import FunctionOperation
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.models.plain_table import boxed, shared_widths

_BITS = {"bool": 1, "int4": 4}


def text(
    model: Any,
    line_length: int | None = None,
    positions: Any = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Any = None,
) -> str:
    """Return the table that ``summary()`` prints, in the form that Keras prints.

    Args:
        model: The model.
        line_length: The width of the table; as the terminal has room when ``None``.
        positions: Where each column ends, as shares of the width.
        expand_nested: Whether to list the layers of models inside.
        show_trainable: Whether to mark the layers that training changes.
        layer_range: Names, or patterns of names, of the first and last layer to list.

    Raises:
        InvalidArgument: If the width does not suffice, or no layer matches ``layer_range``.
    """
    graph = model._graph if isinstance(getattr(model, "operations", None), list) else None
    chain = graph is None or _is_chain(graph)
    header = ["Layer (type)", "Output Shape", "Param #", *([] if chain else ["Connected to"])]
    ends = list(positions or ([0.45, 0.80, 1.0] if chain else [0.3, 0.56, 0.74, 1.0]))
    sides, width = "<<>" if chain else "<<><", 88 if chain else 108
    if show_trainable:
        header, sides, width = [*header, "Trainable"], f"{sides}^", width + 12
        ends = [*(0.9 * end for end in ends), 1.0]
    total = line_length or min(width, shutil.get_terminal_size().columns - 4)
    widths = shared_widths(total, ends)
    if min(widths) < 1 or len(ends) != len(header):
        raise InvalidArgument("Insufficient console width to print summary.")
    listed = model.layers if graph is None else graph.operations
    cells = _Cells(None if chain else graph, show_trainable)
    table = [
        row for layer in _in_range(listed, layer_range) for row in cells.rows(layer, expand_nested, depth=0)
    ]
    return "\n".join([f'Model: "{model.name}"', boxed(header, table, widths, sides), *_totals(model)]) + "\n"


def show(content: str) -> None:
    """Write the table to standard output."""
    sys.stdout.write(content)


@dataclasses.dataclass
class _Cells:
    """Makes the cells of a layer; ``graph`` is given where the table says what is connected to what."""

    graph: Any
    show_trainable: bool

    def rows(self, layer: Any, expand_nested: bool, depth: int) -> list[list[str]]:
        prefix = "   " * depth + "└ " if depth else ""
        found = [[f"{prefix}{layer.name} ({_kind(layer)})", _output_shape(layer), _parameters(layer)]]
        if self.graph is not None:
            found[0].append(self._connections(layer) or "-")
        if self.show_trainable:
            found[0].append("-" if not getattr(layer, "weights", None) else "Y" if layer.trainable else "N")
        for inner in getattr(layer, "layers", []) if expand_nested else []:
            found.extend(self.rows(inner, expand_nested, depth + 1))
        return found

    def _connections(self, layer: Any) -> str:
        inside = {id(node) for node in self.graph.nodes}
        histories = [
            tensor._keras_history
            for node in layer._inbound_nodes
            if id(node) in inside
            for tensor in node.input_tensors
        ]
        return ", ".join(f"{h.operation.name}[{h.node_index}][{h.tensor_index}]" for h in histories)


def _kind(layer: Any) -> str:
    if isinstance(layer, FunctionOperation):
        return "".join(part.capitalize() for part in layer.function.__name__.split("_"))
    return type(layer).__name__


def _output_shape(layer: Any) -> str:
    if layer._inbound_nodes:
        shapes = [_Sizes(x.shape) for x in layer._inbound_nodes[-1].output_tensors]
    elif getattr(layer, "_build_shapes_dict", None):
        try:
            inputs = layer._build_shapes_dict.values()
            shapes = tree.map_shapes(_Sizes, layer.compute_output_shape(*inputs))
        except (NotImplementedError, TypeError, ValueError):
            return "?"
    else:
        return "?"
    flat = tree.flatten(shapes)
    return repr(flat[0]) if len(flat) == 1 else str(shapes).replace("'", "")


class _Sizes:
    """A shape among nested shapes."""

    def __init__(self, sizes: Any):
        self.sizes = sizes

    def __repr__(self) -> str:
        return f"({', '.join(map(str, self.sizes))})"


def _parameters(layer: Any) -> str:
    if not getattr(layer, "built", True):
        return "0 (unbuilt)"
    return f"{sum(v.size for v in getattr(layer, 'weights', [])):,}"


def _is_chain(graph: Any) -> bool:
    """Whether each call of the graph takes the one output of the call before it, and no layer is called twice."""
    if len({id(node.operation) for node in graph.nodes}) < len(graph.nodes):
        return False
    return all(
        len(node.input_tensors) == 1 and node.parents == [before]
        for before, node in itertools.pairwise(graph.nodes)
    )


def _in_range(layers: list[Any], layer_range: Any) -> list[Any]:
    if layer_range is None:
        return layers
    if len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise InvalidArgument(f"`layer_range` must be two names of layers. Received: {layer_range}")
    first, last = (
        [place for place, layer in enumerate(layers) if re.match(pattern, layer.name)]
        for pattern in layer_range
    )
    if not first or not last:
        names = [layer.name for layer in layers]
        raise InvalidArgument(f"No layers match layer_range={layer_range}. The layers are {names}.")
    if min(first) > max(last):
        first, last = last, first
    return layers[min(first) : max(last) + 1]


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
