"""What makes two models the same: their calls, in order, with the arguments that differ from the defaults."""

from __future__ import annotations

from typing import Any

from kerasmagic.assembly.description import Described, describe
from kerasmagic.assembly.outline import calls
from kerasmagic.core import tree
from kerasmagic.core.layer import Layer
from kerasmagic.core.symbolic import KerasTensor


def structure(model: Any) -> Any:
    """Return a value that is equal for two models of the same structure; names do not count."""
    numbers = {id(x): f"input {i} {x.shape} {x.dtype}" for i, x in enumerate(model.inputs)}
    layers: dict[int, int] = {}
    lines = []
    for call in calls(model):
        place = layers.setdefault(id(call.operation), len(layers))
        given = {name: _flat(value, numbers) for name, value in call.arguments.items()}
        what = call.function or _made(call.operation)
        lines.append((place, what, given))
        numbers.update({id(x): f"call {len(lines)} {i}" for i, x in enumerate(call.outputs)})
    return lines, [numbers[id(x)] for x in model.outputs]


def _flat(value: Any, numbers: dict[int, str]) -> Any:
    return [numbers[id(x)] if isinstance(x, KerasTensor) else _constant(x) for x in tree.flatten(value)]


def _constant(value: Any) -> Any:
    """Return what does not depend on the library that holds an array."""
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        return str(value.dtype), repr(value.tolist())
    return repr(value)


def _made(layer: Any) -> Any:
    if getattr(layer, "_graph", None) is not None:
        return structure(layer)
    return _shown(describe(layer))


def _shown(value: Any) -> Any:
    if isinstance(value, Described):
        return value.target.__name__, {k: _shown(v) for k, v in value.arguments.items()}
    if isinstance(value, Layer):
        return _made(value)
    return [_shown(v) for v in value] if isinstance(value, (list, tuple)) else value
