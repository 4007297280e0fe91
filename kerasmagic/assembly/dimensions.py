"""The names of dimensions in ``input (..., n)``, matched to the shape that arrives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasmagic.foundation.errors import ShapeMismatch
from kerasmagic.language.resolved import Computed, PythonValue, Reference, ResolvedInput


def bind_shape(
    line: ResolvedInput, shape: tuple[Any, ...], names: Mapping[str, Any], layer: str
) -> dict[str, Any]:
    """Return what the names in an input's pattern stand for.

    Args:
        line: The input line; its shape has sizes, names, ``None`` and at most one ``...``.
        shape: The shape that arrives, batch included; ``None`` is an open dimension.
        names: What names stand for already; a name that is there must agree.
        layer: The layer's name, for messages.

    Raises:
        ShapeMismatch: If rank or sizes do not fit the pattern.

    Example:

    >>> bind_shape(ResolvedInput("x", (..., "n")), (None, 7, 3), {}, "linear")
    {'n': 3}
    """
    pattern = line.shape
    wrong = ShapeMismatch(
        f"The input {line.name or 'x'!r} of layer {layer!r} must have the shape {_spelled(pattern)}, "
        f"but {_spelled(shape)} came."
    )
    aligned = _align(pattern, shape)
    if aligned is None:
        raise wrong
    found: dict[str, Any] = {}
    for want, have in aligned:
        if isinstance(want, str):
            known = found.get(want, names.get(want))
            if known is not None and have is not None and isinstance(have, int) and known != have:
                raise wrong
            found[want] = have if known is None else known
        elif isinstance(want, int) and isinstance(have, int) and want != have:
            raise wrong
    return found


def _align(pattern: tuple[Any, ...], shape: tuple[Any, ...]) -> list[tuple[Any, Any]] | None:
    if ... not in pattern:
        return list(zip(pattern, shape, strict=True)) if len(pattern) == len(shape) else None
    place = pattern.index(...)
    behind = len(pattern) - place - 1
    if len(shape) < len(pattern) - 1:
        return None
    last = list(zip(pattern[place + 1 :], shape[len(shape) - behind :], strict=True))
    return [*zip(pattern[:place], shape[:place], strict=True), *last]


def _spelled(shape: tuple[Any, ...]) -> str:
    sizes = ", ".join("..." if d is ... else str(d) for d in shape)
    return f"({sizes},)" if len(shape) == 1 else f"({sizes})"


def symbolic_shape(shape: tuple[Any, ...]) -> str:
    """Return the shape of a weight in the names of its definition.

    Example:

    >>> symbolic_shape((Reference("n"), Computed((4, Reference("units")), ("*",)), 3))
    '(n, 4 * units, 3)'
    """
    return _spelled(tuple(_symbolic(size) for size in shape))


def _symbolic(size: Any) -> str:
    match size:
        case Reference(name):
            return name
        case Computed(operands, operators):
            shown = [_symbolic(o) if not isinstance(o, Computed) else f"({_symbolic(o)})" for o in operands]
            return shown[0] + "".join(f" {o} {right}" for o, right in zip(operators, shown[1:], strict=True))
        case PythonValue(source):
            return f"{{{source}}}"
    return str(size)
