"""Data that does not fit a model: which line of its definition says so."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from kerasmagic.assembly.expressions import FailedExpression
from kerasmagic.assembly.layer import WITHIN
from kerasmagic.assembly.record import record_of
from kerasmagic.core import tree
from kerasmagic.foundation.errors import DefinitionError, KerasMagicError, Span
from kerasmagic.language.report import report_text


class Blame(NamedTuple):
    """The line of a definition that data does not fit.

    Attributes:
        told: What is wrong, with its place.
        source: The text of the definition.
        title: What it defines.
        first_line: The number of its first line.
    """

    told: DefinitionError
    source: str
    title: str
    first_line: int

    def text(self) -> str:
        """Return it as lines of text."""
        return report_text(self.told, self.source, self.title, first_line=self.first_line)


Presenter = Callable[[Exception, Blame], None]
_presenters: list[Presenter] = []
# Under what name an error keeps the note that a line is blamed in.
_NOTE = "_blaming_note"


def set_presenter(presenter: Presenter | None) -> None:
    """Let ``presenter`` prepare an error of ``fit`` and its like for being shown; without one it has a note only."""
    _presenters[:] = [] if presenter is None else [presenter]


class _Finding(NamedTuple):
    """A line that the data does not fit, and why; ``compile`` stands for the line that begins so."""

    line: int | str
    message: str
    hint: str | None = None


_LOSSES = {"softmax": "sparse_categorical_crossentropy", "sigmoid": "binary_crossentropy"}


def pointing(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``fit``, a call and their like: an error about the data gets a note with the line it breaks."""
    signature = inspect.signature(method)
    trains, calls = "y" in signature.parameters, method.__name__ == "__call__"

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            try:
                given = signature.bind(self, *args, **kwargs).arguments
                x = given.get("x") if not calls else args[0] if args else kwargs.get("inputs")
                apart = len(args) if calls and len(args) > 1 and hasattr(args[1], "shape") else 0
                held_out = given.get("validation_data")
                y = given.get("y")
                blame = blamed(self, x, y, trains=trains, error=error, held_out=held_out, apart=apart)
            except Exception:
                # A note must not hide the error that it is about.
                blame = None
            if blame is not None:
                _note(error, blame)
            raise

    return wrapper


def _note(error: Exception, blame: Blame) -> None:
    """Let an error say which line it is about, in the place of what a call inside has said of that."""
    notes = getattr(error, "__notes__", [])
    said = error.__dict__.get(_NOTE)
    # JAX tells of frames it left out: our own error has said what it is about.
    ours = isinstance(error, KerasMagicError)
    notes[:] = [n for n in notes if n != said and not (ours and "JAX has removed its internal frames" in n)]
    error.add_note(blame.text())
    error.__dict__[_NOTE] = blame.text()
    for presenter in _presenters:
        presenter(error, blame)


def where_defined(error: BaseException) -> Blame | None:
    """Return the line of the ``%%layer`` cell in which an error arose, or ``None`` if it was in none.

    Example:

    >>> from kerasmagic.assembly.layer import define_layer
    >>> import jax.numpy as jnp
    >>> try:
    ...     define_layer("Twice", "x @ x")()(jnp.ones((2, 3)))
    ... except ValueError as error:
    ...     print(where_defined(error).title)
    %%layer Twice
    """
    layer = error.__dict__.get(WITHIN)
    if layer is None or not isinstance(error, KerasMagicError):
        return None
    told = DefinitionError(_told_alone(error), span=error.span, hint=error.hint)
    text, title = f"%%layer {layer.definition_text}", f"%%layer {layer.__name__}"
    return Blame(told, text, title, layer.definition_line)


def _told_alone(error: KerasMagicError) -> str:
    """Return what an error says without the layers that it came through."""
    return error.told if isinstance(error, FailedExpression) else error.reason


def blamed(
    model: Any,
    x: Any,
    y: Any,
    *,
    trains: bool = True,
    error: Exception | None = None,
    held_out: Any = None,
    apart: int = 0,
) -> Blame | None:
    """Return which line of a model's definition the data does not fit, and why.

    Args:
        model: The model; one that no text defined has no lines.
        x: The inputs that were given.
        y: The targets that were given, or ``None``.
        trains: Whether the method needs targets.
        error: What went wrong, where the data alone does not tell.
        held_out: The data to validate with, ``(x, y)``.
        apart: How many tensors a call got one by one, in the place of one argument.

    Example:

    >>> import kerasmagic as keras
    >>> model = keras.define("input 4\\ndense 2", name="tiny")
    >>> blame = blamed(model, np.zeros((8, 5)), None, trains=False)
    >>> print("" if blame is None else blame.text())
    %%model tiny, line 1
        input 4
        ^^^^^^^
    The data has the shape (8, 5); this input takes (batch, 4).
    """
    record = record_of(model)
    if record is None:
        return None
    found = _without_compile(model, trains)
    if found is None and getattr(model, "_graph", None) is not None:
        found = _wrong_call(model, apart) if apart else _wrong_data(model, x, y, trains, _GIVEN)
        if found is None and isinstance(held_out, tuple) and len(held_out) > 1:
            found = _wrong_data(model, held_out[0], held_out[1], True, _HELD_OUT)
    if found is None and "label" in str(error).lower():
        found = _wrong_labels(model, y)
    found = found or _named_in(model, error)
    if found is None:
        return None
    lines = record.source.split("\n")
    number = _compile_line(lines) if found.line == "compile" else int(found.line) - record.first_line
    if number is None or not 0 <= number < len(lines):
        return None
    text, line = lines[number], number + record.first_line
    span = Span(line, len(text) - len(text.lstrip()) + 1, line, len(text.rstrip()) + 1)
    told = DefinitionError(found.message, span=span, hint=found.hint)
    return Blame(told, record.source, f"%%model {model.name}", record.first_line)


def _compile_line(lines: list[str]) -> int | None:
    return next((i for i, line in enumerate(lines) if re.match(r"\s*compile\b", line)), None)


def _without_compile(model: Any, trains: bool) -> _Finding | None:
    """Say what is missing to train at all."""
    if not trains:
        return None
    if not getattr(model, "compiled", False):
        last = model.layers[-1] if model.layers else None
        activation = getattr(getattr(last, "activation", None), "__name__", "")
        line = f"'compile adam, {_LOSSES.get(activation, 'mse')}'"
        message = "No line says how to train what comes out here."
        return None if last is None else _Finding(_line(last), message, f"Add {line} below it.")
    if (model.get_compile_config() or {}).get("loss") is None and not model.losses:
        return _Finding(
            "compile", "This line names no loss.", "Write it behind a comma: 'compile adam, mse'."
        )
    return None


class _Words(NamedTuple):
    """How messages begin that are about some data."""

    data: str
    targets: str
    there: str


_GIVEN = _Words("The data", "The targets", "There")
_HELD_OUT = _Words("The validation data", "The validation targets", "In the validation data there")


def _wrong_call(model: Any, apart: int) -> _Finding:
    message = f"A call takes its tensors as one argument; {apart} came, one by one."
    return _Finding(_line(_maker(model.inputs[-1])), message, f"Write '{model.name}([a, b])'.")


def _wrong_data(model: Any, x: Any, y: Any, trains: bool, words: _Words) -> _Finding | None:
    found = None if x is None else _wrong_input(model, x, words)
    return found or (_wrong_target(model, x, y, words) if trains else None)


def _wrong_input(model: Any, x: Any, words: _Words) -> _Finding | None:
    if isinstance(x, dict) and not _has_all(x, model):
        missing = next(i for i in model.inputs if i.name not in x)
        parts = ", ".join(map(repr, x))
        message = f"{words.data} has no part {missing.name!r} for this input; its parts are {parts}."
        return _Finding(_line(_maker(missing)), message)
    values = [x[i.name] for i in model.inputs] if isinstance(x, dict) else tree.flatten(x)
    if len(values) != len(model.inputs) and all(hasattr(v, "shape") for v in values):
        names = ", ".join(repr(i.name) for i in model.inputs)
        parts = "1 part" if len(values) == 1 else f"{len(values)} parts"
        message = f"{words.data} has {parts}; the model has {len(model.inputs)} inputs: {names}."
        return _Finding(_line(_maker(model.inputs[-1])), message, f"Pass a list or a dict with {names}.")
    for value, tensor in zip(values, model.inputs, strict=False):
        found = _unfit_part(value, tensor, words)
        if found is not None:
            return _Finding(_line(_maker(tensor)), found)
    lengths = [shape[0] for value in values if (shape := getattr(value, "shape", ()))]
    for length, tensor in zip(lengths, model.inputs, strict=False):
        if length != lengths[0]:
            first = f"that for {model.inputs[0].name!r} has {lengths[0]}"
            message = f"{words.data} for this input has {length} samples, {first}."
            return _Finding(_line(_maker(tensor)), message)
    return None


def _unfit_part(value: Any, tensor: Any, words: _Words) -> str | None:
    """Return why an array cannot flow into an input."""
    shape = getattr(value, "shape", None)
    if shape is None:
        return None
    if _is_text(value):
        return f"{words.data} is text ({value.dtype}, as {_sample(value)}); this input takes {tensor.dtype}."
    if tuple(shape[:1]) == (0,):
        return f"{words.data} has the shape {tuple(shape)}: there is no sample in it."
    if not _fits(tuple(shape), tensor.shape):
        wanted = f"({', '.join(map(str, tensor.dims))}{',' if len(tensor.dims) == 1 else ''})"
        return f"{words.data} has the shape {tuple(shape)}; this input takes {wanted}."
    return None


def _is_text(value: Any) -> bool:
    return getattr(getattr(value, "dtype", None), "kind", "") in ("U", "S")


def _sample(value: Any) -> str:
    return repr(str(np.asarray(value).ravel()[0]))


def _has_all(x: dict[str, Any], model: Any) -> bool:
    return all(i.name in x for i in model.inputs)


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    if len(shape) + 1 == len(wanted) and wanted[-1] == 1:
        # A missing last axis of size 1 is added.
        return _fits((*shape, 1), wanted)
    return len(shape) == len(wanted) and all(
        w is None or w == s for s, w in zip(shape[1:], wanted[1:], strict=True)
    )


def _wrong_target(model: Any, x: Any, y: Any, words: _Words) -> _Finding | None:
    outputs: list[Any] = model.outputs
    line = _line(_maker(outputs[-1]))
    if y is None:
        if not hasattr(x, "shape"):
            return None
        message = f"{words.there} are no targets for what comes out of this line."
        return _Finding(line, message, "Pass them: 'fit(x, y)'.")
    if isinstance(y, dict) and all(_maker(out).name in y for out in outputs):
        y = [y[_maker(out).name] for out in outputs]
    targets: list[Any] = tree.flatten(y)
    if len(targets) != len(outputs):
        names = ", ".join(repr(_maker(out).name) for out in outputs)
        parts = "is 1 array" if len(targets) == 1 else f"are {len(targets)} arrays"
        message = f"{words.there} {parts} of targets; the model has {len(outputs)} outputs: {names}."
        return _Finding(line, message, "Pass a list of one array for each.")
    samples = next((v.shape[0] for v in tree.flatten(x) if getattr(v, "shape", ())), None)
    for target, output in zip(targets, outputs, strict=True):
        found = _unfit_target(target, output, _is_sparse(model, output), samples, words)
        if found is not None:
            return _Finding(_line(_maker(output)), *found)
    return None


def _is_sparse(model: Any, output: Any) -> bool:
    """Say whether the loss of an output takes the numbers of classes."""
    loss = (model.get_compile_config() or {}).get("loss")
    if isinstance(loss, dict) and "class_name" not in loss:
        loss = loss.get(_maker(output).name)
    elif isinstance(loss, list | tuple):
        index = next(i for i, each in enumerate(model.outputs) if each is output)
        loss = loss[index] if index < len(loss) else None
    return "sparse" in re.sub(r"[^a-z]", "", str(loss).lower())


def _unfit_target(
    target: Any, output: Any, sparse: bool, samples: int | None, words: _Words
) -> tuple[str, str | None] | None:
    """Return why an array is no target for an output, and what to do."""
    shape: tuple[Any, ...] = tuple(getattr(target, "shape", ()))
    if not shape:
        return None
    if _is_text(target):
        hint = "Number the classes, as 'np.unique(y, return_inverse=True)[1]' does."
        return f"{words.targets} are text, as {_sample(target)}; this line gives numbers.", hint
    if samples is not None and shape[0] != samples:
        return f"{words.there} are {shape[0]} targets for {samples} samples.", None
    gives = f"({', '.join(map(str, output.dims))})"
    message = f"{words.targets} have the shape {shape}; what comes out of this line has {gives}."
    if not sparse:
        return None if _fits((0, *shape[1:]), output.shape) else (message, _whole_hint(target, output))
    if len(shape) == len(output.shape) and shape[-1] == output.shape[-1] != 1:
        hint = "Targets with one column per class are for the loss 'categorical_crossentropy'."
        return f"{message} A sparse loss takes the number of the class.", hint
    rest = shape[1:-1] if len(shape) == len(output.shape) and shape[-1] == 1 else shape[1:]
    if not _fits((0, *rest, output.shape[-1]), output.shape):
        return message, None
    return None


def _wrong_labels(model: Any, y: Any) -> _Finding | None:
    """Return the output whose labels are out of range."""
    if getattr(model, "_graph", None) is None:
        return None
    for target, output in zip(tree.flatten(y), model.outputs, strict=False):
        if _is_sparse(model, output) and (found := _wrong_label(np.asarray(target), output)) is not None:
            return _Finding(_line(_maker(output)), *found)
    return None


def _whole_hint(target: Any, output: Any) -> str | None:
    whole = np.asarray(target)
    if output.shape[-1] not in (None, 1) and whole.ndim == 1 and np.all(whole == np.floor(whole)):
        return "Numbers of classes are for the loss 'sparse_categorical_crossentropy'."
    return f"Give the last layer {target.shape[-1]} units." if whole.ndim == len(output.shape) else None


def _wrong_label(labels: Any, output: Any) -> tuple[str, str | None] | None:
    classes = output.shape[-1]
    low, high = labels.min(), labels.max()
    if low >= 0 and (classes is None or high < classes):
        return None
    hint = f"Give it {high + 1:g} units, or count the labels from 0." if low >= 0 else "Count them from 0."
    takes = f"this line gives {classes} values, for the labels 0 to {classes - 1}"
    return f"The labels go from {low:g} to {high:g}; {takes}.", hint


def _named_in(model: Any, error: Exception | None) -> _Finding | None:
    """Return the line of the layer that an error names, for data that can be read only once."""
    if not isinstance(error, KerasMagicError):
        return None
    names = re.findall(r"(?:layer|input|output) '([^']+)'", error.message)
    lines = {layer.name: _line(layer) for layer in model._flatten_layers(include_self=False)}
    line = next((lines[name] for name in names if lines.get(name)), None)
    return None if line is None else _Finding(line, error.message)


def _maker(tensor: Any) -> Any:
    return tensor._keras_history.operation


def _line(operation: Any) -> int:
    return operation.__dict__.get("_definition_line", 0)
