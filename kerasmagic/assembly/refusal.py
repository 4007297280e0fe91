"""A step that cannot take what flows into it: what arrived, from where, what was expected, and a way out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kerasmagic.core import tree
from kerasmagic.core.layer import Layer
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation.errors import DefinitionError, KerasMagicError, Span
from kerasmagic.models.rows import Row

_AXES: Mapping[int, tuple[str, ...]] = {
    2: ("batch", "features"),
    3: ("batch", "steps", "features"),
    4: ("batch", "height", "width", "channels"),
    5: ("batch", "depth", "height", "width", "channels"),
}
# A layer says its own name in front of some messages; the report has said it already.
_OWN_NAME = re.compile(r"^Layer '[^']*'(?: \(\w+\))?: ")
_ARTICLE = re.compile(r"\b([Aa])(?= `[AEIOU])")
_RANK = re.compile(r"expected (?:m\w+_)?ndim=(\d+), found ndim=(\d+)")

Origin = Mapping[int, tuple[str, Span]]
"""The layer and the place that each tensor comes from, by the ``id`` of the tensor."""


class UnfitTensor(DefinitionError):
    """A step that cannot take what flows into it.

    Attributes:
        rows: The layers up to this line, for the table.
    """

    rows: tuple[Row, ...] = ()


def unfit(layer: Any, span: Span, inputs: Any, error: Exception, origin: Origin) -> UnfitTensor:
    """Return what to say when calling ``layer`` on ``inputs`` raised ``error``.

    Args:
        layer: The layer or the function of tensors.
        span: The place of the step.
        inputs: What it was called on.
        error: What it said.
        origin: Where tensors come from.
    """
    tensors = [x for x in tree.flatten(list(inputs)) if hasattr(x, "shape")]
    said = error.message if isinstance(error, KerasMagicError) else f"{type(error).__name__}: {error}"
    hint = error.hint if isinstance(error, KerasMagicError) else None
    kind = type(layer).__name__ if isinstance(layer, Layer) else f"ops.{layer.__name__}"
    rank = _RANK.search(said)
    if rank is not None and len(tensors) == 1 and isinstance(layer, Layer):
        wanted = int(rank[1])
        said = f"It takes rank {wanted}, {axes(wanted, layer)}, and this has rank {rank[2]}"
        hint = hint or way_to_rank(tensors[0], wanted, origin, channels=hasattr(layer, "data_format"))
    else:
        hint = hint or _way_to_merge(kind, tensors, origin)
    text = _ARTICLE.sub(r"\1n", _capital(_OWN_NAME.sub("", said)))
    text = text if text.endswith((".", "!", "?")) else f"{text}."
    return UnfitTensor(f"{kind} cannot take this. {text}{arrived(tensors, origin)}", span=span, hint=hint)


def arrived(tensors: Sequence[Any], origin: Origin) -> str:
    """Say what flows in and which line it comes from."""
    came = []
    for tensor in tensors:
        name, place = origin.get(id(tensor), (getattr(tensor, "name", "?"), None))
        line = f" of line {place.line}" if place is not None else ""
        came.append(f"{spelled(_dims(tensor))} from {name!r}{line}")
    return f" What flows in: {'; '.join(came)}." if came else ""


def _dims(x: Any) -> tuple[Any, ...]:
    """Return the sizes of a symbolic tensor by their names, those of an array as they are."""
    return tuple(getattr(x, "dims", None) or getattr(x, "shape", ()))


def spelled(dims: Sequence[Any]) -> str:
    """Return a shape as a person writes it.

    >>> spelled(("batch", 4)), spelled((4,))
    ('(batch, 4)', '(4,)')
    """
    return f"({', '.join(map(str, dims))}{',' if len(dims) == 1 else ''})"


def axes(rank: int, layer: Any = None) -> str:
    """Return what the axes of a tensor of ``rank`` are."""
    names = _AXES.get(rank, ("batch", *(f"axis {i}" for i in range(1, rank))))
    if getattr(layer, "data_format", None) == "channels_first" and rank in _AXES:
        names = (names[0], names[-1], *names[1:-1])
    return f"({', '.join(names)})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# ---- ways out


def way_to_rank(x: Any, wanted: int, origin: Origin, *, channels: bool = True) -> str | None:
    """Say what line would bring ``x`` to the rank ``wanted``, or nothing; images have ``channels``."""
    dims = _dims(x)
    name, place = origin.get(id(x), ("", None))
    maker = _maker(x)
    line = "" if place is None else f" of line {place.line}"
    kind = type(maker).__name__
    if wanted == len(dims) + 1 and getattr(maker, "return_sequences", None) is False:
        return f"Write 'return_sequences' behind {name!r}{line}: then it gives every step."
    if wanted > len(dims) and (kind == "Flatten" or kind.startswith("Global")):
        return f"{name!r}{line} takes these axes away: put this step before it."
    sizes: tuple[int, ...] = tuple(size for size in dims[1:] if isinstance(size, int))
    if not sizes or len(sizes) + 1 != len(dims):
        return None
    if channels and wanted == len(dims) + 1 and kind == "InputLayer" and wanted > 3:
        return f"Give the input its channels: 'input {_x((*sizes, 1))}'."
    if wanted == 2:
        return "Put 'flatten' before it, or a pooling such as 'gap'."
    shape = _reshaped(sizes, wanted - 1)
    return None if shape is None else f"Change the shape before it, as in 'reshape {_x(shape)}'."


def _maker(x: Any) -> Any:
    history = getattr(x, "_keras_history", None)
    return None if history is None else history.operation


def _x(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _reshaped(sizes: Sequence[int], axes_wanted: int) -> tuple[int, ...] | None:
    """Return a likely shape of as many values with that many axes."""
    if axes_wanted < len(sizes):
        return (*sizes[: axes_wanted - 1], math.prod(sizes[axes_wanted - 1 :]))
    if axes_wanted == 3 and len(sizes) == 1:
        side = max(s for s in range(1, math.isqrt(sizes[0]) + 1) if sizes[0] % (s * s) == 0)
        return (side, side, sizes[0] // (side * side))
    return (*sizes, *(1,) * (axes_wanted - len(sizes)))


_MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")


def _way_to_merge(kind: str, tensors: Sequence[Any], origin: Origin) -> str | None:
    if kind not in (*_MERGES, "Concatenate", "Dot"):
        return None
    if len(tensors) == 1:
        return f"Give it several tensors by name: '[a, b] -> {kind.lower()}'."
    shapes = [_dims(x) for x in tensors]
    if len(shapes) != 2 or len(shapes[0]) != len(shapes[1]):
        return None
    differing = [i for i, (m, n) in enumerate(zip(*shapes, strict=True)) if m != n]
    last = len(shapes[0]) - 1
    if differing == [last] and kind in _MERGES:
        return _to_one_width(tensors, shapes, origin)
    if differing and last not in differing and len(shapes[0]) > 3:
        return "A convolution or pooling with padding=same and no strides keeps height and width."
    return None


def _to_one_width(tensors: Sequence[Any], shapes: Sequence[tuple[Any, ...]], origin: Origin) -> str | None:
    narrow: Callable[[int], bool] = lambda i: shapes[i][-1] < shapes[1 - i][-1]  # noqa: E731
    if not all(isinstance(shape[-1], int) for shape in shapes):
        return None
    index = 0 if narrow(0) else 1
    width = shapes[1 - index][-1]
    step = f"conv {width} 1" if len(shapes[0]) > 3 else f"dense {width}"
    name, place = origin.get(id(tensors[index]), ("?", None))
    line = "" if place is None else f" of line {place.line}"
    return f"Bring {name!r}{line} to the width of the other: '{step}' behind it."


def row_of(layer: Any, y: Any, span: Span) -> Row:
    """Return the row of a layer that was just called."""
    tensors = [x for x in tree.flatten(y) if isinstance(x, KerasTensor)]
    shapes = [tuple(d if isinstance(d, int) else str(d) for d in x.dims) for x in tensors]
    return Row(
        name=layer.name,
        kind=type(layer).__name__,
        output_shape=shapes[0] if len(shapes) == 1 else shapes,
        dtype=tensors[0].dtype if tensors else layer.dtype,
        parameters=sum(v.size for v in layer.weights),
        trainable=bool(layer.trainable_weights),
        line=span.line,
    )
