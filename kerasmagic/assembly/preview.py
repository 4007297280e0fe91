"""What flows at a line of a cell that is being written, and what a layer would make of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kerasmagic.assembly.model import Builder, Place
from kerasmagic.assembly.values import Values
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation.errors import DefinitionErrors, KerasMagicError
from kerasmagic.language.check import read_model
from kerasmagic.language.vocabulary import Vocabulary

_TRIED = 40


def flowing(text: str, vocabulary: Vocabulary, namespace: Mapping[str, Any] | None) -> KerasTensor | None:
    """Return the tensor that flows behind the last line of ``text``, or ``None`` where that is not known.

    Python in braces is not run: completing a word must not do anything.

    >>> from kerasmagic.assembly import vocabulary
    >>> flowing("input 8x8x1\\nconv 4 3", vocabulary(), None).shape
    (None, 6, 6, 4)
    """
    if "{" in text or not text.strip():
        return None
    try:
        definition = read_model(text if _has_step(text) else f"{text}\nIdentity()", vocabulary)
        builder = Builder(Values(namespace))
        inputs = [builder.input(line) for line in definition.inputs]
        place = Place({line.name: x for line, x in zip(definition.inputs, inputs, strict=True) if line.name})
        place.current = inputs[0] if len(inputs) == 1 else None
        builder.statements(definition.body, place)
    except (KerasMagicError, DefinitionErrors):
        return None
    return place.current if isinstance(place.current, KerasTensor) else None


def _has_step(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return any(not line.startswith("input") for line in lines)


def shapes_after(x: KerasTensor, names: Iterable[str], vocabulary: Vocabulary) -> dict[str, str | None]:
    """Return, for the steps that fit ``x`` without arguments, the shape that they would give.

    A step that fits and needs arguments has ``None``; one that cannot take ``x`` is left out.
    """
    found: dict[str, str | None] = {}
    builder = Builder(Values(None))
    for name in list(names)[:_TRIED]:
        layers = vocabulary.find_layer(name)
        words = layers.get(None) or layers.get(x.ndim - 2)
        if words is None:
            if not layers and name in vocabulary.activations:
                found[name] = _spelled(x)
            continue
        target = builder.target(words.name)
        if isinstance(getattr(target, "rank", None), int) and target.rank != x.ndim - 2:
            continue
        if any(p.required for p in words.parameters):
            found[name] = None
            continue
        try:
            y = target()(KerasTensor(x.dims, x.dtype))
        except Exception:
            continue
        found[name] = _spelled(y) if isinstance(y, KerasTensor) else None
    return found


def _spelled(x: KerasTensor) -> str:
    return f"({', '.join(map(str, x.dims))})"
