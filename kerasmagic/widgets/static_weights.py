"""Histograms and warnings of a run in its saved picture: as they were last, and over time."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from html import escape

import numpy as np

from kerasmagic.training.events import Advice
from kerasmagic.widgets import images, units
from kerasmagic.widgets.readout import short_name
from kerasmagic.widgets.reducer import RunState, bins
from kerasmagic.widgets.weights import KINDS, Cell, Choice, Rows, cells, heat

# A history is a kilobyte in the notebook.
MAX_STRIPS = 24
TITLES = {"weights": "weights", "gradients": "gradients", "outputs": "layer outputs"}

# Height and width of a history in pixels.
STRIP = (36, 128)


def advice_html(advice: Sequence[Advice]) -> str:
    """Return the warnings of a run as a list; names in them are escaped."""
    items = "".join(
        f'<li data-cause="{escape(one.cause)}"><span>{escape(one.text)}</span> '
        f'<span class="km-soft">{escape(one.remedy)}</span></li>'
        for one in advice
    )
    return f'<ul class="km-advice" aria-label="Warnings">{items}</ul>' if items else ""


def weights_html(state: RunState) -> str:
    """Return the histograms of a run, each kind that was seen, with their history below."""
    # A reader's search was for the live view.
    weights = dataclasses.replace(state.weights, choice=Choice())
    parts = []
    for kind in KINDS:
        shown, known = cells(weights, state.histograms, kind)
        if not shown:
            continue
        rows = weights.rows.get(kind, Rows())
        strips = MAX_STRIPS if len(rows.kept()) > 1 else 0
        content = "".join(
            cell_html(cell, rows if number < strips else None) for number, cell in enumerate(shown)
        )
        more = f", {known - len(shown):,} more not shown" if known > len(shown) else ""
        time = f", below from step {units.count(rows.kept()[0].step)} on" if strips else ""
        parts.append(
            f'<div class="km-weights-head"><span>{TITLES[kind]}</span> '
            f'<span class="km-soft">after step {units.count(rows.kept()[-1].step)}{time}{more}</span></div>'
            f'<div class="km-weights{" km-with-strips" if strips else ""}" role="group" '
            f'aria-label="Histograms of {TITLES[kind]}">{content}</div>'
        )
    return "".join(parts)


def cell_html(cell: Cell, rows: Rows | None = None) -> str:
    """Return one histogram, and its history where ``rows`` are given."""
    owner, label = short_name(cell.name)
    low, high = cell.histogram.low, cell.histogram.high
    return (
        f'<div class="km-histogram" data-variable="{escape(cell.name)}">'
        f'<div class="km-histogram-name" title="{escape(cell.name)}">'
        f'<span class="km-histogram-owner">{escape(owner)}</span><span>{escape(label)}</span>'
        f'<span class="km-histogram-note">{escape(cell.note)}</span></div>'
        f"{histogram_svg(bins(cell.histogram), cell.summary)}{_strip(cell, rows)}"
        f'<div class="km-histogram-range"><span>{units.short_number(low)}</span> '
        f"<span>{units.short_number(high)}</span></div></div>"
    )


def histogram_svg(counts: np.ndarray, summary: str, width: int = 128, height: int = 36) -> str:
    """Return counts ``(n,)`` as an ``<svg>`` in the colours of the page, with its meaning in words."""
    return (
        f'<svg role="img" aria-label="{escape(summary)}" width="{width}" height="{height}" '
        'fill="var(--km-accent, #1976d2)" '
        f'preserveAspectRatio="none" viewBox="0 0 {max(len(counts), 1)} 100">'
        f'<path d="{histogram_path(counts)}"/></svg>'
    )


def histogram_path(counts: np.ndarray) -> str:
    """Return the outline of a histogram, 100 high and a unit wide for each bin."""
    top = float(counts.max(initial=0.0)) or 1.0
    steps = "".join(f"V{100 - 98 * value / top:.1f}H{i + 1}" for i, value in enumerate(counts))
    return f"M0 100{steps}V100Z"


def _strip(cell: Cell, rows: Rows | None) -> str:
    if rows is None:
        return ""
    shades, low, high = heat(rows, cell.place)
    # Where a page leaves out the style, the picture's own proportions are what it is shown in.
    down, across = (np.arange(size) * n // size for size, n in zip(STRIP, shades.shape, strict=True))
    ends = f"{units.short_number(low)} to {units.short_number(high)}"
    steps = f"step {units.count(rows.kept()[0].step)} to {units.count(rows.kept()[-1].step)}"
    label = escape(f"{cell.name} over time: {ends}, {steps}")
    return (
        f'<img class="km-strip" width="{STRIP[1]}" height="{STRIP[0]}" alt="{label}" title="{label}" '
        f'src="{images.uri(images.shaded(shades[np.ix_(down, across)]))}"/>'
    )
