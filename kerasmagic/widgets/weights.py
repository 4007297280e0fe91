"""Histograms of a run over time, and which of them a reader looks at; pure, like the state they are part of.

The history of a kind of histogram keeps one row in ``stride``, at most ``MAX_ROWS``, however long the run.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kerasmagic.training.events import Histogram, LayerSeen, WeightsSeen
from kerasmagic.widgets import units

MAX_ROWS = 48
MAX_SHOWN = 60
# What the counts of a row are scaled to: one byte is enough for a shade.
DARKEST = 255

Kind = Literal["weights", "gradients", "outputs"]
KINDS: tuple[Kind, ...] = ("weights", "gradients", "outputs")


@dataclasses.dataclass(frozen=True)
class Choice:
    """What a reader chose to see: a kind of histogram, now or over time, of names that hold ``words``."""

    kind: Kind = "weights"
    over_time: bool = False
    words: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """All histograms of a moment: a byte for each of ``n`` times ``bins`` counts, ends as float32."""

    step: int
    shades: bytes
    ends: bytes

    @property
    def counts(self) -> np.ndarray:
        """Counts ``(n, bins)``, the largest of each histogram 255."""
        count = len(self.ends) // 8
        return np.frombuffer(self.shades, np.uint8).reshape(count, -1)

    @property
    def low(self) -> np.ndarray:
        """The smallest values ``(n,)``."""
        return np.frombuffer(self.ends, np.float32).reshape(2, -1)[0]

    @property
    def high(self) -> np.ndarray:
        """The largest values ``(n,)``."""
        return np.frombuffer(self.ends, np.float32).reshape(2, -1)[1]


@dataclasses.dataclass(frozen=True)
class Rows:
    """The histograms of some variables over time.

    Example:

    >>> rows = Rows()
    >>> for step in range(1000):
    ...     rows = rows.append(step, {"kernel": Histogram(np.array([1, 3]), -1.0, 1.0)})
    >>> kept = rows.kept()
    >>> len(kept) <= MAX_ROWS, kept[0].step, kept[-1].step, kept[0].counts.tolist()
    (True, 0, 999, [[85, 255]])
    """

    names: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    newest: Row | None = None
    given: int = 0
    stride: int = 1

    def append(self, step: int, histograms: Mapping[str, Histogram]) -> Rows:
        """Return the rows with one more; other names than before begin anew."""
        names = tuple(histograms)
        old = self if names == self.names else Rows(names)
        row = _row(step, histograms)
        if old.given % old.stride:
            return dataclasses.replace(old, newest=row, given=old.given + 1)
        rows, stride = (*old.rows, row), old.stride
        # One place stays free for the newest row, which may be one that is not kept.
        if len(rows) >= MAX_ROWS:
            rows, stride = rows[::2], stride * 2
        return Rows(names, rows, row, old.given + 1, stride)

    def kept(self) -> tuple[Row, ...]:
        """Return the rows, the newest always among them."""
        if self.newest is None or (self.rows and self.rows[-1] is self.newest):
            return self.rows
        return (*self.rows, self.newest)


@dataclasses.dataclass(frozen=True)
class Weights:
    """What is known of a run's weights beside their newest histograms.

    ``rows`` are by kind. ``updates`` say how far a step moves a variable in proportion to its size.
    """

    choice: Choice = Choice()
    rows: Mapping[Kind, Rows] = dataclasses.field(default_factory=dict)
    gradients: Mapping[str, Histogram] = dataclasses.field(default_factory=dict)
    updates: Mapping[str, float] = dataclasses.field(default_factory=dict)
    layers: Mapping[str, LayerSeen] = dataclasses.field(default_factory=dict)
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One histogram to show: ``note`` is a number beside it, ``summary`` the whole in words."""

    name: str
    place: int
    histogram: Histogram
    note: str
    summary: str


def seen(weights: Weights, event: WeightsSeen, step: int) -> Weights:
    """Return the weights after a look at them; what was not looked at stays as it was."""
    rows = dict(weights.rows)
    layers = {name: layer.histogram for name, layer in event.layers.items()}
    new: dict[Kind, Mapping[str, Histogram]] = {
        "weights": event.histograms,
        "gradients": event.gradients,
        "outputs": layers,
    }
    for kind, histograms in new.items():
        if histograms:
            rows[kind] = rows.get(kind, Rows()).append(step, histograms)
    return dataclasses.replace(
        weights,
        rows=rows,
        gradients=event.gradients or weights.gradients,
        updates=event.updates or weights.updates,
        layers=event.layers or weights.layers,
        note=event.note,
    )


def choice_of(content: Mapping[str, Any]) -> Choice:
    """Return what a page's message asks for; what makes no sense is left at its default.

    >>> choice_of({"show": "gradients", "over_time": True, "words": "dense kernel"})
    Choice(kind='gradients', over_time=True, words='dense kernel')
    """
    kinds: list[Kind] = [kind for kind in KINDS if kind == content.get("show")]
    return Choice(
        kinds[0] if kinds else "weights",
        content.get("over_time") is True,
        str(content.get("words") or "")[:200],
    )


def cells(
    weights: Weights, histograms: Mapping[str, Histogram], kind: Kind | None = None
) -> tuple[list[Cell], int]:
    """Return what is shown of the chosen kind, at most 60, and how many names fit the reader's words."""
    kind = kind or weights.choice.kind
    sources = {
        "weights": histograms,
        "gradients": weights.gradients,
        "outputs": {name: layer.histogram for name, layer in weights.layers.items()},
    }
    source = sources[kind]
    words = weights.choice.words.lower().split()
    fitting = [
        (place, name) for place, name in enumerate(source) if all(word in name.lower() for word in words)
    ]
    shown = [_cell(weights, kind, name, place, source[name]) for place, name in fitting[:MAX_SHOWN]]
    return shown, len(fitting)


def caption(weights: Weights, shown: int, fitting: int, known: int, steps: Sequence[int]) -> str:
    """Return the line above the histograms, of which there are some from each of ``steps``."""
    if weights.choice.kind != "weights" and (weights.note or not known):
        return weights.note or "computed with one of the next steps"
    if not known:
        return ""
    over_time = weights.choice.over_time and len(steps) > 1
    first = f"steps {units.count(steps[0])} to " if over_time else "after step "
    parts = [first + units.count(steps[-1])]
    if fitting < known:
        parts.append(f"{units.count(fitting)} of {units.count(known)} fit")
    if shown < fitting:
        parts.append(f"the first {shown} are shown")
    return ", ".join(parts)


def strips(rows: Rows, place: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int]]:
    """Return one variable over time: counts ``(t, bins)``, low ``(t,)``, high ``(t,)``, and the steps."""
    kept = rows.kept()
    return (
        np.stack([row.counts[place] for row in kept]),
        np.array([row.low[place] for row in kept]),
        np.array([row.high[place] for row in kept]),
        [row.step for row in kept],
    )


def heat(rows: Rows, place: int, height: int = 40) -> tuple[np.ndarray, float, float]:
    """Return one variable over time as shades ``(height, t)`` of 0 to 255, and the range of its values.

    A column is a moment, the largest value is on top; each column is as dark as its fullest bin.

    >>> rows = Rows()
    >>> for step, high in enumerate([1.0, 2.0]):
    ...     rows = rows.append(step, {"kernel": Histogram(np.array([1, 1]), 0.0, high)})
    >>> shades, low, high = heat(rows, 0, height=4)
    >>> shades.tolist(), low, high
    ([[0, 255], [0, 255], [255, 255], [255, 255]], 0.0, 2.0)
    """
    counts, lows, highs, _ = strips(rows, place)
    low, high = float(lows.min()), float(highs.max())
    span = (high - low) or 1.0
    levels = low + span * (np.arange(height)[::-1] + 0.5) / height
    widths = np.where(highs > lows, highs - lows, span / height)
    bins = counts.shape[1]
    index = np.floor((levels[:, None] - lows) / widths * bins)
    inside = (index >= 0) & (index < bins)
    columns = np.arange(len(lows))
    shades = counts[columns, np.clip(index, 0, bins - 1).astype(int)]
    return np.where(inside, shades, 0).astype(np.uint8), low, high


def _row(step: int, histograms: Mapping[str, Histogram]) -> Row:
    counts = [np.asarray(one.counts) for one in histograms.values()]
    width = max((len(one) for one in counts), default=0)
    padded = [one if len(one) == width else np.resize([*one, *[0.0] * width], width) for one in counts]
    table = np.nan_to_num(np.array(padded, np.float32).reshape(len(counts), width)).clip(0.0)
    fullest = table.max(axis=1, keepdims=True, initial=0.0)
    shades = np.round(DARKEST * table / np.where(fullest > 0, fullest, 1.0)).astype(np.uint8)
    ends = [[_finite(getattr(one, end)) for one in histograms.values()] for end in ("low", "high")]
    return Row(step, shades.tobytes(), np.array(ends, np.float32).tobytes())


def _finite(value: Any) -> float:
    return float(value) if math.isfinite(value) else 0.0


def _cell(weights: Weights, kind: Kind, name: str, place: int, histogram: Histogram) -> Cell:
    note = "".join(_notes(weights, kind, name, histogram))
    low, high = units.short_number(histogram.low), units.short_number(histogram.high)
    summary = f"{name}: values from {low} to {high}"
    if histogram.stride > 1:
        summary += f", of every {units.count(histogram.stride)}th value"
    if note:
        summary += f", {note}"
    return Cell(name, place, histogram, note, summary)


def _notes(weights: Weights, kind: Kind, name: str, histogram: Histogram) -> Iterator[str]:
    if histogram.bad:
        yield f"{units.count(histogram.bad)} not finite"
    elif kind == "gradients" and name in weights.updates:
        yield f"step {_percent(weights.updates[name])}"
    elif kind == "outputs" and name in weights.layers:
        layer = weights.layers[name]
        yield f"{_percent(layer.zeros)} zeros" if math.isnan(layer.dead) else f"{_percent(layer.dead)} dead"
    elif histogram.stride > 1:
        yield f"1 in {units.count(histogram.stride)}"


def _percent(share: float) -> str:
    """Return a share in percent with two digits that count.

    >>> _percent(0.00123), _percent(0.5), _percent(0.0)
    ('0.12 %', '50 %', '0 %')
    """
    return f"{100.0 * share:.2g} %" if math.isfinite(share) and share < 1 else f"{100.0 * share:,.0f} %"
