"""A variable as text and HTML: what it is, what is in it, and a small histogram."""

from __future__ import annotations

import dataclasses
from html import escape
from typing import Any

import numpy as np

from kerasmagic.foundation import options
from kerasmagic.training.events import Histogram
from kerasmagic.widgets import units
from kerasmagic.widgets.assets import styles
from kerasmagic.widgets.reducer import bins
from kerasmagic.widgets.shapes import bits, shape_text
from kerasmagic.widgets.static_chart import ACCENT, image
from kerasmagic.widgets.statistics import Statistics, statistics

_BARS = "▁▂▃▄▅▆▇█"


@dataclasses.dataclass(frozen=True)
class Seen:
    """What there is to show of a variable; ``reason`` says why there are no ``statistics``."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    size: int
    trainable: bool
    statistics: Statistics | None
    reason: str

    @property
    def about(self) -> str:
        """Shape, type and size in a line."""
        memory = units.memory(self.size * bits(self.dtype) / 8)
        kind = "trainable" if self.trainable else "not trainable"
        return " · ".join(
            (shape_text(self.shape), self.dtype, units.plural(self.size, "value"), memory, kind)
        )


def look_at(variable: Any) -> Seen:
    """Return what is to be seen of a variable; its first value is not made for that."""
    found, reason = None, ""
    if not variable.initialized:
        reason = "no values yet: they are drawn when they are first needed"
    elif options.deterministic():
        reason = "values are not shown: outputs are to be the same every time"
    else:
        try:
            found = statistics(variable.stored())
            reason = "" if found is not None else "there is nothing to measure"
        except RuntimeError:
            # While another thread trains, the buffers of the variables are given away step by step.
            reason = "values are not here: a run is training them"
    size = int(variable.size)
    return Seen(variable.path, tuple(variable.shape), variable.dtype, size, variable.trainable, found, reason)


def text(seen: Seen) -> str:
    """Return a variable in three lines of text.

    Example:

    >>> found = statistics(np.array([0.0, 0.5, 0.5, 1.0]), bins=5)
    >>> print(text(Seen("dense/bias", (4,), "float32", 4, True, found, "")))
    Variable dense/bias
      (4,) · float32 · 4 values · 16 B · trainable
      min 0  max 1  mean 0.5  std 0.35  zeros 25.0 %  ▅▁█▁▅
    """
    lines = [f"Variable {seen.path}", f"  {seen.about}"]
    if seen.statistics is None:
        return "\n".join([*lines, f"  {seen.reason}"])
    numbers = "  ".join(f"{name} {value}" for name, value in figures(seen.statistics))
    return "\n".join([*lines, f"  {numbers}  {bars(seen.statistics.histogram)}"])


def figures(found: Statistics) -> list[tuple[str, str]]:
    """Return names and values of the statistics as text; counts only where they say something."""
    rows = [
        (name, units.short_number(value))
        for name, value in (("min", found.low), ("max", found.high), ("mean", found.mean), ("std", found.std))
    ]
    # Among a hundred million random numbers some are 0.
    if (share := f"{100.0 * found.zeros / found.size:.1f}") != "0.0":
        rows.append(("zeros", f"{share} %"))
    if found.bad:
        rows.append(("NaN or infinite", units.count(found.bad)))
    return rows


def bars(histogram: Histogram, width: int = 20) -> str:
    """Return a histogram as one line of block letters."""
    counts = bins(histogram)
    groups = [part.sum() for part in np.array_split(counts, min(width, len(counts)) or 1)]
    top = max(groups, default=0.0) or 1.0
    return "".join(_BARS[round((len(_BARS) - 1) * float(value) / top)] for value in groups)


def html(seen: Seen) -> str:
    """Return a variable as HTML that loads nothing; names are escaped."""
    about = f'<span class="km-soft">{escape(seen.about)}</span>'
    head = f'<div class="km-object-head"><b>{escape(seen.path)}</b> {about}</div>'
    if seen.statistics is None:
        body = f'<div class="km-soft">{escape(seen.reason)}</div>'
    else:
        rows = "".join(
            f'<tr><th scope="row">{name}</th><td>{value}</td></tr>'
            for name, value in figures(seen.statistics)
        )
        body = (
            f'<div class="km-object-body"><div>{histogram_image(seen, 260, 72)}{_range(seen.statistics)}</div>'
            f"<table><tbody>{rows}</tbody></table></div>"
        )
    return styled(f"Variable {seen.path}", head + body)


def styled(label: str, content: str) -> str:
    """Return ``content`` in a frame with the style sheet of objects."""
    return (
        f"<style>{styles('objects.css')}</style>"
        f'<div class="km-object" role="group" aria-label="{escape(label)}">{content}</div>'
    )


def _range(found: Statistics) -> str:
    sample = f"a sample of {units.count(found.sample)}" if found.sample else ""
    low, high = units.short_number(found.low), units.short_number(found.high)
    return f'<div class="km-object-range"><span>{low}</span> <span>{sample}</span> <span>{high}</span></div>'


def histogram_image(seen: Seen, width: int, height: int) -> str:
    """Return the histogram of a variable as an image with its meaning in words."""
    assert seen.statistics is not None
    counts = bins(seen.statistics.histogram)
    top = float(counts.max(initial=0.0)) or 1.0
    steps = "".join(f"V{100 - 98 * value / top:.4g}H{i + 1}" for i, value in enumerate(counts))
    words = ", ".join(f"{name} {value}" for name, value in figures(seen.statistics))
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {max(len(counts), 1)} 100" preserveAspectRatio="none">'
        f'<path fill="{ACCENT}" fill-opacity="0.7" d="M0 100{steps}V100Z"/></svg>'
    )
    return image(drawn, f"histogram of {seen.path}: {words}", width, height)
