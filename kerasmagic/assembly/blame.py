"""Data that does not fit a model: which line of its definition says so."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

from kerasmagic.assembly.record import record_of
from kerasmagic.core import tree
from kerasmagic.foundation.errors import DefinitionError, Span
from kerasmagic.language.report import report_text


def pointing(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``fit``, ``evaluate`` or ``predict``: an error about the data gets a note with the line it breaks."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            try:
                given = signature.bind(self, *args, **kwargs).arguments
                note = explanation(self, given.get("x"), given.get("y"))
            except Exception:
                # A note must not hide the error that it is about.
                note = None
            if note is not None and note not in getattr(error, "__notes__", ()):
                error.add_note(note)
            raise

    return wrapper


def explanation(model: Any, x: Any, y: Any) -> str | None:
    """Return which line of a model's definition the data does not fit, and why.

    Args:
        model: The model; one that no text defined has no lines.
        x: The inputs that were given.
        y: The targets that were given, or ``None``.

    Example:

    >>> import numpy as np
    >>> import kerasmagic as keras
    >>> model = keras.define("input 4\\ndense 2", name="tiny")
    >>> print(explanation(model, np.zeros((8, 5)), None))
    %%model tiny, line 1
        input 4
        ^^^^^^^
    The data has the shape (8, 5); this input takes (batch, 4).
    """
    record = record_of(model)
    if record is None:
        return None
    found = _wrong_input(model, x) or _wrong_target(model, y)
    if found is None:
        return None
    line, message = found
    lines = record.source.split("\n")
    number = line - record.first_line
    if not 0 <= number < len(lines):
        return None
    text = lines[number]
    start = len(text) - len(text.lstrip())
    error = DefinitionError(message, span=Span(line, start + 1, line, len(text.rstrip()) + 1))
    return report_text(error, record.source, f"%%model {model.name}", first_line=record.first_line)


def _wrong_input(model: Any, x: Any) -> tuple[int, str] | None:
    if getattr(model, "_graph", None) is None:
        return None
    values = (
        [x[i.name] for i in model.inputs] if isinstance(x, dict) and _has_all(x, model) else tree.flatten(x)
    )
    last = model.inputs[-1]._keras_history.operation
    if len(values) != len(model.inputs) and all(hasattr(v, "shape") for v in values):
        names = ", ".join(repr(i.name) for i in model.inputs)
        return _line(
            last
        ), f"The data has {len(values)} parts; the model has {len(model.inputs)} inputs: {names}."
    for value, tensor in zip(values, model.inputs, strict=False):
        shape = getattr(value, "shape", None)
        if shape is not None and not _fits(tuple(shape), tensor.shape):
            wanted = f"({', '.join(map(str, tensor.dims))}{',' if len(tensor.dims) == 1 else ''})"
            message = f"The data has the shape {tuple(shape)}; this input takes {wanted}."
            return _line(tensor._keras_history.operation), message
    return None


def _has_all(x: dict[str, Any], model: Any) -> bool:
    return all(i.name in x for i in model.inputs)


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    if len(shape) != len(wanted):
        # A missing last axis of size 1 is added.
        return (*shape, 1) == wanted or (len(shape) + 1 == len(wanted) and wanted[-1] == 1)
    return all(w is None or w == s for s, w in zip(shape[1:], wanted[1:], strict=True))


def _wrong_target(model: Any, y: Any) -> tuple[int, str] | None:
    if y is None or getattr(model, "_graph", None) is None:
        return None
    targets: list[Any] = tree.flatten(y)
    outputs: list[Any] = model.outputs
    last = outputs[-1]._keras_history.operation
    if len(targets) != len(outputs):
        message = f"There are {len(targets)} parts of targets; the model has {len(outputs)} outputs."
        return _line(last), message
    sparse = "sparse" in re.sub(r"[^a-z]", "", str((model.get_compile_config() or {}).get("loss")).lower())
    for target, output in zip(targets, outputs, strict=True):
        shape: tuple[Any, ...] = tuple(getattr(target, "shape", ()))
        rest = (*shape[1:-1], output.shape[-1]) if sparse and shape and shape[-1:] == (1,) else shape[1:]
        fitting = (*rest, output.shape[-1]) if sparse and len(rest) + 2 == len(output.shape) else rest
        if not _fits((0, *fitting), output.shape):
            gives = f"({', '.join(map(str, output.dims))})"
            message = f"The targets have the shape {shape}; what comes out of this line has {gives}."
            return _line(output._keras_history.operation), message
    return None


def _line(operation: Any) -> int:
    return operation.__dict__.get("_definition_line", 0)
