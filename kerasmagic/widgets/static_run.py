"""A run as something that outlives its kernel: HTML with inline SVG, a PNG, and text.

The HTML uses the style sheet and class names of the live view, so the picture that replaces
the widget at the end of a run looks like it.
"""

from __future__ import annotations

import math
from html import escape
from typing import Any

import numpy as np

from kerasmagic.foundation import options
from kerasmagic.training.events import Histogram
from kerasmagic.widgets import units
from kerasmagic.widgets.assets import static
from kerasmagic.widgets.chart import Axis, Chart, Series, charts
from kerasmagic.widgets.readout import (
    Figure,
    Readout,
    constant_text,
    describe_histogram,
    readout,
    short_name,
    summary_text,
)
from kerasmagic.widgets.reducer import RunState, bins

WIDTH, HEIGHT = 440.0, 160.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 8.0, 8.0, 20.0
MAX_HISTOGRAMS = 60
PNG_HISTOGRAMS = 24

_STYLES = {
    "step": 'stroke="var(--km-accent)" stroke-width="1" stroke-opacity="0.5"',
    "epoch": 'stroke="var(--km-accent)" stroke-width="2"',
    "validation": 'stroke="var(--km-ink)" stroke-width="1.5" stroke-dasharray="5 3"',
}

_DOT = {
    "step": _STYLES["step"],
    "epoch": 'stroke="var(--km-accent)" stroke-width="4"',
    "validation": 'stroke="var(--km-ink)" stroke-width="4"',
}


def bundle(state: RunState) -> dict[str, Any]:
    """Return the run as ``text/plain``, ``text/html`` and ``image/png`` where matplotlib is installed.

    A deterministic bundle has a constant text and no HTML: tools that compare outputs skip pictures only.

    Example:

    >>> with options.scoped(deterministic=True):
    ...     bundle(RunState())["text/plain"]
    'Training'
    """
    picture = png(state)
    shown: dict[str, Any] = {} if picture is None else {"image/png": picture}
    if options.deterministic():
        return {**shown, "text/plain": constant_text(state.plan)}
    return {**shown, "text/html": html(state), "text/plain": summary_text(state)}


def html(state: RunState) -> str:
    """Return a self-contained fragment of HTML; names are escaped, nothing is loaded, no script runs."""
    shown = readout(state)
    label = escape(f"Training of {shown.title}: {shown.status}")
    parts = [
        f"<style>{static('training/training.css')}</style>",
        f'<div class="km-training km-static" data-state="{shown.state}" role="group" aria-label="{label}">',
        _head(shown),
        _figures(shown),
        _bar(shown),
        f'<div class="km-message">{escape(shown.message)}</div>',
        _charts(state, shown),
        _histograms(state, shown),
        "</div>",
    ]
    return "".join(parts)


def _head(shown: Readout) -> str:
    return (
        f'<div class="km-head"><span class="km-title">{escape(shown.title)}</span> '
        f'<span class="km-about">{escape(shown.about)}</span> '
        f'<span class="km-status">{escape(shown.status)}</span></div>'
    )


def _figures(shown: Readout) -> str:
    main = "".join(_figure(figure) for figure in shown.main)
    small = "".join(_figure(figure) for figure in shown.figures)
    return f'<div class="km-figures">{main}<div class="km-small">{small}</div></div>'


def _figure(figure: Figure) -> str:
    return (
        f'<div class="km-figure" data-figure="{figure.name}">'
        f'<div class="km-label">{escape(figure.label)}</div>'
        f'<div class="km-value">{escape(figure.value)}</div>'
        f'<div class="km-note">{escape(figure.note)}</div></div>'
    )


def _bar(shown: Readout) -> str:
    percent = 100.0 * shown.progress
    return (
        '<div class="km-bar" data-bar="run" role="progressbar" aria-label="Training progress" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent:.0f}" '
        f'aria-valuetext="{escape(shown.progress_text)}">'
        f'<div style="width: {percent:.2f}%"></div></div>'
    )


def _charts(state: RunState, shown: Readout) -> str:
    rows = {row.name: row for row in shown.rows}
    parts = []
    for chart in charts(state):
        row = rows[chart.name]
        legend = _legend("train", "training", row.train)
        if shown.has_validation:
            legend += _legend("validation", "validation", row.validation)
        parts.append(
            f'<figure class="km-chart" data-metric="{escape(chart.name)}">'
            '<figcaption class="km-chart-head">'
            f'<span class="km-chart-name">{escape(chart.label)}</span> {legend}</figcaption>'
            f"{svg(chart)}</figure>"
        )
    return f'<div class="km-charts">{"".join(parts)}</div>'


def _legend(name: str, label: str, value: str) -> str:
    return (
        f'<span class="km-series" data-series="{name}"><span class="km-swatch"></span>{label} '
        f"<b>{escape(value)}</b></span> "
    )


def svg(chart: Chart) -> str:
    """Return one chart as an ``<svg>`` in the colours of the page, with its summary as the label."""
    return (
        f'<svg class="km-plot" role="img" aria-label="{escape(chart.summary)}" '
        f'viewBox="0 0 {WIDTH:g} {HEIGHT:g}" preserveAspectRatio="xMinYMid meet">'
        + _svg_axes(chart)
        + "".join(_svg_line(series, chart) for series in chart.series)
        + _svg_best(chart)
        + "</svg>"
    )


def _svg_axes(chart: Chart) -> str:
    parts = []
    for value, label in chart.y.ticks or ((chart.y.low, ""),):
        y = round(_place_y(value, chart.y)) + 0.5
        parts.append(
            f'<line x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{y:g}" y2="{y:g}" '
            'stroke="var(--km-line)" stroke-opacity="0.65"/>'
            f'<text x="{LEFT - 6:g}" y="{y + 4:g}" text-anchor="end">{escape(label)}</text>'
        )
    parts.append(f'<text x="0" y="{HEIGHT - 5:g}">{escape(chart.x.label)}</text>')
    for value, label in chart.x.ticks:
        x = min(_place_x(value, chart.x), WIDTH - 3.0 * len(label))
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 5:g}" text-anchor="middle">{escape(label)}</text>')
    return "".join(parts)


def _svg_line(series: Series, chart: Chart) -> str:
    xs, ys = _place_x(series.x, chart.x), _place_y(series.y, chart.y)
    commands, broken = [], True
    for x, y in zip(xs, ys, strict=True):
        if not math.isfinite(y):
            broken = True
            continue
        commands.append(f"{'M' if broken else 'L'}{x:.1f} {y:.1f}")
        broken = False
    if not commands:
        return ""
    if len(commands) == 1:
        # A path of one point would be invisible: a short stroke with round ends is a dot.
        commands.append("h0.01")
    path = "".join(commands)
    style = _DOT[series.kind] if commands[-1] == "h0.01" else _STYLES[series.kind]
    look = f'fill="none" stroke-linejoin="round" stroke-linecap="round" {style}'
    return f'<path d="{path}" {look}/>'


def _svg_best(chart: Chart) -> str:
    if chart.best is None:
        return ""
    x, y = _place_x(chart.best[0], chart.x), _place_y(chart.best[1], chart.y)
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="none" stroke="var(--km-ink)" stroke-width="1.5"/>'
    )


def _place_x(value: Any, axis: Axis) -> Any:
    return LEFT + (value - axis.low) * (WIDTH - LEFT - RIGHT) / ((axis.high - axis.low) or 1.0)


def _place_y(value: Any, axis: Axis) -> Any:
    return HEIGHT - BOTTOM - (value - axis.low) * (HEIGHT - TOP - BOTTOM) / ((axis.high - axis.low) or 1.0)


def _histograms(state: RunState, shown: Readout) -> str:
    if not state.histograms:
        return ""
    items = list(state.histograms.items())
    cells = "".join(_histogram(name, histogram) for name, histogram in items[:MAX_HISTOGRAMS])
    more = f", {len(items) - MAX_HISTOGRAMS:,} more not shown" if len(items) > MAX_HISTOGRAMS else ""
    return (
        '<div class="km-weights-head"><span>weights</span> '
        f'<span class="km-soft">{escape(shown.weights + more)}</span></div>'
        f'<div class="km-weights" role="group" aria-label="Weight histograms">{cells}</div>'
    )


def _histogram(name: str, histogram: Histogram) -> str:
    counts = bins(histogram)
    owner, label = short_name(name)
    return (
        f'<div class="km-histogram" data-variable="{escape(name)}">'
        f'<div class="km-histogram-name" title="{escape(name)}">'
        f'<span class="km-histogram-owner">{escape(owner)}</span><span>{escape(label)}</span></div>'
        f'<svg role="img" aria-label="{escape(describe_histogram(name, histogram))}" '
        f'preserveAspectRatio="none" viewBox="0 0 {max(len(counts), 1)} 100">'
        f'<path d="{_histogram_path(counts)}"/></svg>'
        f'<div class="km-histogram-range"><span>{units.short_number(histogram.low)}</span> '
        f"<span>{units.short_number(histogram.high)}</span></div></div>"
    )


def _histogram_path(counts: np.ndarray) -> str:
    top = float(counts.max(initial=0.0)) or 1.0
    steps = "".join(f"V{100 - 98 * value / top:.1f}H{i + 1}" for i, value in enumerate(counts))
    return f"M0 100{steps}V100Z"


def png(state: RunState) -> bytes | None:
    """Return the curves and histograms as a PNG of about 880 pixels, or ``None`` without matplotlib."""
    try:
        from kerasmagic.widgets import picture
    except ImportError:
        return None
    return picture.draw(state, PNG_HISTOGRAMS)
