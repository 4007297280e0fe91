"""Shapes that were inferred before: the same layer over the same shape gives the same shape.

A cell is run again with one line changed, and a deep network repeats a few layers many times. Tracing is
nearly all that inference costs, so what it found is remembered.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from kerasmagic.core import tree
from kerasmagic.core.layer import Layer
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.core.work import Work
from kerasmagic.foundation import config

_LIMIT = 4096
_KNOWN: collections.OrderedDict[Any, Any] = collections.OrderedDict()
# These change values and weights, and no shape.
_SILENT = ("initializer", "regularizer", "constraint", "name", "seed")


@dataclasses.dataclass(frozen=True)
class _Known:
    """What is remembered of a symbolic tensor."""

    dims: tuple[Any, ...]
    dtype: str
    work: Work | None

    def tensor(self) -> KerasTensor:
        x = KerasTensor(self.dims, self.dtype)
        x.work = self.work
        return x


@contextlib.contextmanager
def remembered(layer: Any, arguments: Mapping[str, Any] | None, inputs: Any, options: Any) -> Iterator[None]:
    """Let a call of ``layer`` in this block take the shapes that the same call gave before.

    Args:
        layer: A new layer.
        arguments: What it was made with; ``None`` for one that is not to be remembered.
        inputs: What it will be called on.
        options: The other arguments of the call.
    """
    key = None if arguments is None else _key(layer, arguments, inputs, options)
    if key is None:
        yield
        return
    infer = layer.compute_output_spec

    def known(*args: Any, **kwargs: Any) -> Any:
        if layer._layers:
            return infer(*args, **kwargs)
        if key not in _KNOWN:
            result = infer(*args, **kwargs)
            _KNOWN[key] = tree.map_structure(lambda x: _Known(x.dims, x.dtype, x.work), result)
            while len(_KNOWN) > _LIMIT:
                _KNOWN.popitem(last=False)
            return result
        _KNOWN.move_to_end(key)
        return tree.map_structure(_Known.tensor, _KNOWN[key])

    layer.__dict__["compute_output_spec"] = known
    try:
        yield
    finally:
        del layer.__dict__["compute_output_spec"]


def _key(layer: Any, arguments: Mapping[str, Any], inputs: Any, options: Mapping[str, Any]) -> Any:
    """Return what the shapes depend on, or ``None`` where that is not plain to see."""
    if not isinstance(layer, Layer) or not type(layer).__module__.startswith("kerasmagic.layers."):
        return None
    given = {n: v for n, v in arguments.items() if not n.endswith(_SILENT)}
    if not _is_plain(list(given.values())) or not _is_plain(list(options.values())):
        return None
    tensors = tree.flatten(list(inputs))
    if not all(isinstance(x, KerasTensor) for x in tensors):
        return None
    shapes = tuple((x.dims, x.dtype) for x in tensors)
    structure = tuple(len(x) if isinstance(x, list) else -1 for x in inputs)
    types = (layer.dtype_policy.name, layer.compute_dtype, config.image_data_format(), config.floatx())
    return type(layer), repr(given), repr(dict(options)), structure, shapes, types


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return isinstance(value, (bool, int, float, str, type(None)))
