"""A layer as text and HTML: its settings, its shapes and its weights, each with a small histogram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from kerasmagic.foundation import options
from kerasmagic.foundation.registry import INITIALIZERS
from kerasmagic.foundation.signature import REQUIRED, parameters
from kerasmagic.widgets import units
from kerasmagic.widgets.shapes import shape_text
from kerasmagic.widgets.variable_view import Seen, figures, histogram_image, look_at, styled

MAX_WEIGHTS = 24
# What a layer makes of no choice at all.
_USUAL = frozenset(
    {("trainable", "True"), ("dtype", "float32"), ("activation", "linear"), ("data_format", "channels_last")}
)
# A value longer than this says nothing in a line.
MAX_LETTERS = 80


def text(layer: Any) -> str:
    """Return a layer as a few lines of text."""
    lines = [f"{type(layer).__name__} {layer.name}", f"  {_about(layer)}"]
    chosen, _ = settings(layer)
    lines += [f"  {name} = {value}" for name, value in chosen]
    for name, seen in _weights(layer):
        numbers = (
            "" if seen.statistics is None else "".join(f"  {n} {v}" for n, v in figures(seen.statistics))
        )
        lines.append(f"  {name}  {shape_text(seen.shape)} {seen.dtype}{numbers}")
    return "\n".join([*lines, *([f"  {more}"] if (more := _more(layer)) else [])])


def html(layer: Any) -> str:
    """Return a layer as HTML that loads nothing; names and values are escaped."""
    chosen, rest = settings(layer)
    head = (
        f'<div class="km-object-head"><b>{escape(layer.name)}</b> {escape(type(layer).__name__)} '
        f'<span class="km-soft">{escape(_about(layer))}</span></div>'
    )
    folded = (
        f"<details><summary>{units.plural(len(rest), 'setting')} as by default</summary>{_settings(rest)}</details>"
        if rest
        else ""
    )
    return styled(
        f"{type(layer).__name__} {layer.name}", head + _settings(chosen) + folded + _weights_table(layer)
    )


def settings(layer: Any) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return names and values of a layer's settings: those that someone chose, and those as by default.

    Example:

    >>> import kerasmagic as keras
    >>> settings(keras.layers.Dense(3, activation="relu"))[0]
    [('units', '3'), ('activation', 'relu')]
    """
    try:
        config = dict(layer.get_config())
    except Exception:
        # What a user's layer is made from may not be known to anyone; the rest of it can still be shown.
        return [], []
    defaults = {parameter.name: parameter.default for parameter in parameters(type(layer))}
    chosen, rest = [], []
    for name, value in config.items():
        if name == "name" or (name == "dtype" and not isinstance(value, Mapping | str)):
            continue
        default = defaults.get(name, REQUIRED)
        written = plain(value)
        usual = (name, written) in _USUAL or (default is not REQUIRED and _is_default(value, default))
        (rest if usual else chosen).append((name, written))
    return chosen, rest


def plain(value: Any) -> str:
    """Return a value of a configuration as a reader would write it, shortened where it is long.

    Example:

    >>> plain({"class_name": "L2", "config": {"l2": 0.01}}), plain({"class_name": "Zeros", "config": {}})
    ('L2(l2=0.01)', 'Zeros')
    """
    if isinstance(value, Mapping) and "class_name" in value and "config" in value:
        config = value["config"]
        if value["class_name"] == "DTypePolicy" and isinstance(config, Mapping):
            return str(config.get("name"))
        if not isinstance(config, Mapping):
            return str(config)
        given = ", ".join(f"{name}={plain(each)}" for name, each in config.items() if each is not None)
        written = f"{value['class_name']}({given})" if given else str(value["class_name"])
    else:
        written = str(value)
    return written if len(written) <= MAX_LETTERS else f"{written[: MAX_LETTERS - 1]}…"


def _is_default(value: Any, default: Any) -> bool:
    """Whether ``value`` is what a layer makes of ``default``: ``(1, 1)`` of 1, or ``GlorotUniform`` of its name."""
    if isinstance(value, tuple | list) and not isinstance(default, tuple | list):
        return len(value) > 0 and all(each == default for each in value)
    if isinstance(default, str) and isinstance(value, Mapping) and "class_name" in value:
        cls = INITIALIZERS.find(default) if default in INITIALIZERS else None
        if cls is None or cls.__name__ != value["class_name"]:
            return False
        own = {parameter.name: parameter.default for parameter in parameters(cls)}
        return all(each is None or each == own.get(name) for name, each in value.get("config", {}).items())
    return value == default


def _settings(rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in rows
    )
    return f"<table><tbody>{cells}</tbody></table>"


def _about(layer: Any) -> str:
    parameters_ = units.plural(sum(int(variable.size) for variable in layer.weights), "parameter")
    kept = "" if layer.trainable else "not trainable"
    parts = (_shapes(layer), parameters_ if layer.built else "not built yet", kept)
    return " · ".join(part for part in parts if part)


def _shapes(layer: Any) -> str:
    try:
        return f"{shape_text(_shape(layer.input))} → {shape_text(_shape(layer.output))}"
    except AttributeError:
        # It was never called on its own, or more than once.
        return ""


def _shape(tensors: Any) -> Any:
    if isinstance(tensors, Mapping):
        return {str(name): _shape(each) for name, each in tensors.items()}
    if isinstance(tensors, list | tuple):
        return [_shape(each) for each in tensors]
    return tuple(size if isinstance(size, int) else str(size) for size in tensors.dims)


def _weights(layer: Any) -> list[tuple[str, Seen]]:
    shown = layer.weights[:MAX_WEIGHTS]
    return [(_own_name(layer, variable.path), look_at(variable)) for variable in shown]


def _own_name(layer: Any, path: str) -> str:
    _, found, rest = path.rpartition(f"{layer.name}/")
    return rest if found else path


def _more(layer: Any) -> str:
    more = len(layer.weights) - MAX_WEIGHTS
    return f"{more:,} more weights not shown" if more > 0 else ""


def _weights_table(layer: Any) -> str:
    rows = "".join(_weight_row(name, seen) for name, seen in _weights(layer))
    if not rows:
        return ""
    headings = (
        ("weight", "shape", "type", "values")
        if options.deterministic()
        else ("weight", "shape", "type", "values", "min", "max", "mean", "std", "histogram")
    )
    head = "".join(f'<th scope="col">{heading}</th>' for heading in headings)
    more = f'<div class="km-soft">{more}</div>' if (more := _more(layer)) else ""
    return (
        f'<table class="km-object-weights"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}'
    )


def _weight_row(name: str, seen: Seen) -> str:
    cells = [shape_text(seen.shape), seen.dtype, units.count(seen.size)]
    row = f'<th scope="row">{escape(name)}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    if seen.statistics is not None:
        found = seen.statistics
        for value in (found.low, found.high, found.mean, found.std):
            row += f"<td>{units.short_number(value)}</td>"
        row += f"<td>{histogram_image(seen, 116, 24)}</td>"
    elif not options.deterministic():
        row += f'<td colspan="5" class="km-soft">{escape(seen.reason)}</td>'
    return f"<tr>{row}</tr>"
