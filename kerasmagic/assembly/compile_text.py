"""The ``compile`` line of a model that is compiled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasmagic.assembly.description import Described, FunctionName, readable
from kerasmagic.assembly.text_source import TextSource, key_text
from kerasmagic.foundation.errors import NotSerializable

_USUAL = {"run_eagerly": (False,), "steps_per_execution": (1,), "jit_compile": (True, "auto")}


def compile_line(model: Any, source: TextSource) -> str | None:
    """Return how a model is compiled, or ``None`` where it is not.

    What the language cannot say, a loss of one's own for example, becomes a comment.
    """
    config = None if getattr(model, "get_compile_config", None) is None else model.get_compile_config()
    if config is None:
        return None
    shown = {name: readable(value) for name, value in config.items()}
    try:
        return _line(shown, source)
    except NotSerializable as error:
        return f"# This model is compiled in a way that has no words here: {error}".replace("\n", " ")


def _line(shown: dict[str, Any], source: TextSource) -> str:
    parts = [_named("optimizer", shown.pop("optimizer"), source)]
    loss, metrics = shown.pop("loss", None), shown.pop("metrics", None)
    if loss is not None:
        text = _named("loss", loss, source)
        parts.append(f"loss={text}" if isinstance(loss, list | tuple | dict) else text)
    listed = list(metrics) if isinstance(metrics, list | tuple) else [metrics]
    plain = loss is not None and not any(isinstance(each, list | tuple | dict) for each in listed)
    if metrics and plain:
        parts += [_named("metric", each, source) for each in listed]
    elif metrics:
        parts.append(f"metrics={_named('metric', metrics, source)}")
    for name, value in shown.items():
        if value is None or value in _USUAL.get(name, ()):
            continue
        weighted = name == "weighted_metrics"
        parts.append(f"{name}={_named('metric', value, source) if weighted else source.value(value)}")
    return f"compile {', '.join(parts)}"


def _named(kind: str, value: Any, source: TextSource) -> str:
    """Return the name of an optimizer, a loss or a metric, with its arguments; or several of them."""
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_named(kind, each, source) for each in value)}]"
    if isinstance(value, Mapping):
        members = [f"{key_text(key)}={_named(kind, each, source)}" for key, each in value.items()]
        return f"dict({', '.join(members)})"
    if isinstance(value, str) and source.vocabulary.find(kind, value) is not None:
        return value
    if isinstance(value, FunctionName) and source.vocabulary.find(kind, value.name) is not None:
        return value.name
    if isinstance(value, Described):
        text = source.call(value)
        words = source.vocabulary.find(kind, text.partition("(")[0])
        if kind == "optimizer" and words is not None and value.arguments:
            return " ".join([text.partition("(")[0], *source.command(words, value.arguments)])
        return text
    if isinstance(value, FunctionName) and not value.module.startswith("keras."):
        return source.value(value)
    raise NotSerializable(f"the {kind} {value!r}")
