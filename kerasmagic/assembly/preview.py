"""What flows at a line of a cell that is being written, and what a step would make of it."""

from __future__ import annotations

import collections
import time
from collections.abc import Iterable, Mapping
from typing import Any

from kerasmagic.assembly.model import Builder, Place
from kerasmagic.assembly.record import record_of
from kerasmagic.assembly.values import Values
from kerasmagic.core import tree
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation import registry
from kerasmagic.foundation.errors import DefinitionErrors, KerasMagicError
from kerasmagic.language.check import read_model
from kerasmagic.language.vocabulary import CallWords, Vocabulary
from kerasmagic.models import Model

_TRIED = 40
_REMEMBERED = 16
_SHAPES = 2048
# Together the most that a key press may wait for.
_SECONDS_FOR_LINES = 0.02
_SECONDS_FOR_STEPS = 0.015

_TYPICAL: Mapping[str, str] = {
    "units": "64",
    "filters": "32",
    "kernel_size": "3",
    "rate": "0.5",
    "stddev": "0.1",
    "input_dim": "1000",
    "output_dim": "64",
    "num_heads": "4",
    "key_dim": "16",
    "head_dim": "16",
    "num_query_heads": "4",
    "num_key_value_heads": "2",
    "n": "4",
    "output_size": "4",
    "pool_size": "2",
    "target_shape": "(-1,)",
    "activation": "relu",
}
_WRAPPED = {"Bidirectional": "lstm 64"}


def typical_step(written: str, words: CallWords, rank: int | None = None) -> str | None:
    """Return a step with a usual value for every argument that it needs, or ``None`` where there is none.

    Args:
        written: The name that the step begins with.
        words: What it takes.
        rank: The rank of what flows in, for layers whose arguments depend on it.

    >>> from kerasmagic.assembly import vocabulary
    >>> typical_step("conv", vocabulary().find_layer("conv")[2]), typical_step("relu", CallWords("relu"))
    ('conv 32 3', 'relu')
    """
    values = []
    for parameter in words.parameters:
        if not parameter.required:
            continue
        value = _TYPICAL.get(parameter.name)
        if parameter.name == "dims" and rank is not None and rank > 1:
            value = f"({', '.join(map(str, range(rank - 1, 0, -1)))},)"
        if words.role(parameter.name) == "layer" and words.wraps == parameter.name:
            value = _WRAPPED.get(words.name, "dense 64")
        if value is None:
            return None
        values.append(value)
    return " ".join([written, *values])


class TooLong(Exception):
    """There are more lines than can be worked out while somebody types."""


class _Hurried(Builder):
    """A builder that gives up at a point of time."""

    until = float("inf")

    def step(self, step: Any, x: Any, name: str | None, place: Place) -> Any:
        if time.perf_counter() > self.until:
            raise TooLong
        return super().step(step, x, name, place)


def flowing(
    text: str,
    vocabulary: Vocabulary,
    namespace: Mapping[str, Any] | None,
    *,
    begun: bool = True,
    until: float = float("inf"),
) -> KerasTensor | None:
    """Return the tensor that flows behind the last line of ``text``, or ``None`` where that is not known.

    Python in braces is not run: completing a word must not do anything. Lines that are wrong are left out.

    Args:
        text: The lines.
        vocabulary: What the words mean.
        namespace: The variables of the notebook.
        begun: Whether the last line is the one that is being written.
        until: When to give up, on the clock of ``time.perf_counter``.

    Raises:
        TooLong: It was not known by then. Shapes are remembered, so that the next attempt gets further.

    >>> from kerasmagic.assembly import vocabulary
    >>> flowing("input 8x8x1\\nconv 4 3", vocabulary(), None).shape
    (None, 6, 6, 4)
    """
    if "{" in text or not text.strip():
        return None
    try:
        return _flowing(text, vocabulary, namespace, until)
    except DefinitionErrors as refused:
        wrong = {error.span.line for error in refused.errors if error.span is not None}
    except KerasMagicError:
        return None
    lines = text.split("\n")
    kept = "\n".join(line for number, line in enumerate(lines, 1) if number not in wrong)
    # The line that is being written gives what flows: without it the answer would be another one.
    if (begun and len(lines) in wrong) or not kept.strip():
        return None
    try:
        return _flowing(kept, vocabulary, namespace, until)
    except KerasMagicError:
        return None


def _flowing(
    text: str, vocabulary: Vocabulary, namespace: Mapping[str, Any] | None, until: float
) -> KerasTensor | None:
    definition = read_model(text if _has_step(text) else f"{text}\nIdentity()", vocabulary)
    builder = _Hurried(Values(namespace))
    builder.until = until
    inputs = [builder.input(line) for line in definition.inputs]
    place = Place({line.name: x for line, x in zip(definition.inputs, inputs, strict=True) if line.name})
    place.current = inputs[0] if len(inputs) == 1 else None
    builder.statements(definition.body, place)
    return place.current if isinstance(place.current, KerasTensor) else None


def _has_step(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return any(not line.startswith("input") for line in lines)


class Previews:
    """What flowed behind the texts of the last requests: every key pressed on a line asks about the same one."""

    def __init__(self) -> None:
        self._known: dict[Any, KerasTensor | None] = {}

    def flowing(
        self, text: str, vocabulary: Vocabulary, namespace: Mapping[str, Any], *, begun: bool
    ) -> KerasTensor | None:
        """Return ``flowing(...)`` where it is soon known: by an earlier request or by a run of these lines."""
        # Layers of the notebook come last among the words.
        own = tuple((name, id(words)) for name, words in list(vocabulary.layers.items())[-_REMEMBERED:])
        if (text, own) not in self._known:
            found = _of_a_run(text, namespace)
            until = time.perf_counter() + _SECONDS_FOR_LINES
            try:
                if found is None:
                    found = flowing(text, vocabulary, namespace, begun=begun, until=until)
            except TooLong:
                return None
            self._known[text, own] = found
            while len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
        return self._known[text, own]

    def shapes_after(
        self, x: KerasTensor, names: Iterable[str], vocabulary: Vocabulary, namespace: Mapping[str, Any]
    ) -> dict[str, str | None]:
        """Return ``shapes_after(...)``, with ``None`` for the shapes that there was no time for."""
        until = time.perf_counter() + _SECONDS_FOR_STEPS
        return shapes_after(x, names, vocabulary, namespace, until=until)


def _of_a_run(text: str, namespace: Mapping[str, Any]) -> KerasTensor | None:
    """Return what flowed behind these lines in a model of the notebook that begins with them."""
    lines = text.rstrip().split("\n")
    for model in namespace.values():
        record = record_of(model) if isinstance(model, Model) else None
        if record is None or record.source.split("\n")[: len(lines)] != lines:
            continue
        number = record.first_line + len(lines) - 1
        here = [layer for layer in model.layers if layer.__dict__.get("_definition_line") == number]
        tensors = tree.flatten(here[-1].output) if here and here[-1]._inbound_nodes else []
        if len(tensors) == 1:
            return tensors[0]
    return None


_known_shapes: collections.OrderedDict[Any, str | None] = collections.OrderedDict()


def shapes_after(
    x: KerasTensor,
    names: Iterable[str],
    vocabulary: Vocabulary,
    namespace: Mapping[str, Any] | None = None,
    *,
    until: float = float("inf"),
) -> dict[str, str | None]:
    """Return what the steps that fit ``x`` give: a shape, behind the step itself where it needs arguments.

    A step that cannot take ``x`` is left out; one that there was no time for has ``None``.

    >>> from kerasmagic.assembly import vocabulary
    >>> shapes_after(KerasTensor((None, 8, 8, 1)), ["conv", "maxpool", "lstm"], vocabulary())
    {'conv': 'conv 32 3 gives (batch, 6, 6, 32)', 'maxpool': '(batch, 4, 4, 1)'}
    """
    found: dict[str, str | None] = {}
    for name in list(names)[:_TRIED]:
        layers = vocabulary.find_layer(name)
        words = layers.get(None) or layers.get(x.ndim - 2)
        if words is None:
            if not layers and name in vocabulary.activations:
                found[name] = spelled(x)
            continue
        step = typical_step(name, words, x.ndim)
        key = step, id(words), x.dims, x.dtype
        if step is not None and key not in _known_shapes and time.perf_counter() > until:
            if _may_fit(words.name, x):
                found[name] = None
            continue
        shape = None if step is None else _remembered_shape(key, x, step, vocabulary, namespace)
        if shape is not None:
            found[name] = shape if step == name else f"{step} gives {shape}"
    return found


def _may_fit(public: str, x: KerasTensor) -> bool:
    rank = getattr(registry.LAYERS.find(public), "rank", None) if public in registry.LAYERS else None
    return not isinstance(rank, int) or rank == x.ndim - 2


def _remembered_shape(
    key: Any, x: KerasTensor, step: str, vocabulary: Vocabulary, namespace: Mapping[str, Any] | None
) -> str | None:
    if key not in _known_shapes:
        _known_shapes[key] = shape_after(x, step, vocabulary, namespace)
        while len(_known_shapes) > _SHAPES:
            _known_shapes.popitem(last=False)
    return _known_shapes[key]


def shape_after(
    x: KerasTensor, step: str, vocabulary: Vocabulary, namespace: Mapping[str, Any] | None = None
) -> str | None:
    """Return the shape that a step gives for ``x``, or ``None`` where it cannot take it."""
    try:
        builder = Builder(Values(namespace))
        place = Place({}, KerasTensor(x.dims, x.dtype))
        builder.statements(read_model(step, vocabulary).body, place)
    except Exception:
        # Whatever a layer says about an example that nobody wrote is no news.
        return None
    return spelled(place.current) if isinstance(place.current, KerasTensor) else None


def spelled(x: KerasTensor) -> str:
    """Return the shape of a tensor in the words of its definition."""
    return f"({', '.join(map(str, x.dims))}{',' if len(x.dims) == 1 else ''})"
