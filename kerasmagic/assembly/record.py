"""What a model remembers of the text that defined it."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from kerasmagic.assembly.vocabulary import own_layers

_ATTRIBUTE = "_definition"


@dataclasses.dataclass(frozen=True)
class Record:
    """The text of a model and what the model was like right after it was made.

    Attributes:
        text: The lines of the definition.
        complete: Whether the text says everything: no value and no layer of a notebook is in it.
        state: What would be different if the model had been changed.
        source: The text as it was given; its first line is number ``first_line``.
    """

    text: str
    complete: bool
    state: tuple[Any, ...]
    source: str = ""
    first_line: int = 1


def remember(
    model: Any, text: str, namespace: Mapping[str, Any] | None, own: Iterable[str] = (), first_line: int = 1
) -> None:
    """Let ``model`` know its text.

    Args:
        model: The model.
        text: Its definition.
        namespace: The variables that the text could use.
        own: Names of layers that are defined in the text itself.
        first_line: The number of the text's first line.
    """
    names = set(own_layers(namespace or {})) - set(own)
    words = set(re.findall(r"[^\W\d]\w*", text))
    complete = "{" not in text and not names & words
    source, text = text, textwrap.dedent(text.replace("\r\n", "\n")).strip("\n") + "\n"
    model.__dict__[_ATTRIBUTE] = Record(text, complete, _state(model), source, first_line)


def record_of(model: Any) -> Record | None:
    """Return what is remembered, or ``None`` for a model that no text defined."""
    return getattr(model, "__dict__", {}).get(_ATTRIBUTE)


def written_text(model: Any) -> str | None:
    """Return the text that defined ``model``, if it is complete and the model is still what it says."""
    record = record_of(model)
    if record is None or not record.complete or record.state != _state(model):
        return None
    return record.text


def _state(model: Any) -> tuple[Any, ...]:
    layers = list(model._flatten_layers(include_self=False))
    stack = tuple(id(layer) for layer in layers if type(layer).__name__ != "InputLayer")
    return stack, tuple(layer.trainable for layer in layers if id(layer) in stack), id(model._compiled)
