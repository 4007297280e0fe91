"""Charts, each as an image in SVG.

An image passes the filters that pages have against what strangers wrote, which take ``<svg>`` out. It does not know
the page's colours: its own read well on light and dark. Where scripts run, a canvas takes its place.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape
from typing import Any

from kerasmagic.widgets.chart import Axis, Chart, Series
from kerasmagic.widgets.readout import Readout

WIDTH, HEIGHT = 440.0, 160.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 8.0, 8.0, 20.0

ACCENT = "#1976d2"
_INK, _SOFT, _LINE = "#757575", "#808080", "#80808059"

_STYLES = {
    "earlier": f'stroke="{_SOFT}" stroke-width="1" stroke-opacity="0.45"',
    "step": f'stroke="{ACCENT}" stroke-width="1" stroke-opacity="0.5"',
    "epoch": f'stroke="{ACCENT}" stroke-width="2"',
    "validation": f'stroke="{_INK}" stroke-width="1.5" stroke-dasharray="5 3"',
}

_DOT = {
    "earlier": f'stroke="{_SOFT}" stroke-width="3" stroke-opacity="0.45"',
    "step": _STYLES["step"],
    "epoch": f'stroke="{ACCENT}" stroke-width="4"',
    "validation": f'stroke="{_INK}" stroke-width="4"',
}


def chart_figures(shown: Sequence[Chart], described: Readout) -> str:
    """Return the charts side by side, each below its name and newest values."""
    rows = {row.name: row for row in described.rows}
    parts = []
    for chart in shown:
        row = rows[chart.name]
        legend = _legend("train", "training", row.train)
        if described.has_validation:
            legend += _legend("validation", "validation", row.validation)
        parts.append(
            f'<figure class="km-chart" data-metric="{escape(chart.name)}">'
            '<figcaption class="km-chart-head">'
            f'<span class="km-chart-name">{escape(chart.label)}</span> {legend}</figcaption>'
            f"{image(svg(chart), chart.summary, WIDTH, HEIGHT, 'km-plot')}</figure>"
        )
    return f'<div class="km-charts">{"".join(parts)}</div>'


def _legend(name: str, label: str, value: str) -> str:
    return (
        f'<span class="km-series" data-series="{name}"><span class="km-swatch"></span>{label} '
        f"<b>{escape(value)}</b></span> "
    )


def image(document: str, words: str, width: float, height: float, name: str = "") -> str:
    """Return a document in SVG as an ``<img>``.

    Args:
        document: Begins with ``<svg xmlns=...``.
        words: What is to be seen.
        width: Pixels.
        height: Pixels.
        name: A class for the style sheet.
    """
    data = base64.b64encode(document.encode()).decode()
    return (
        f'<img class="{name}" alt="{escape(words)}" width="{width:g}" height="{height:g}" '
        f'src="data:image/svg+xml;base64,{data}">'
    )


def svg(chart: Chart) -> str:
    """Return one chart as a whole document in SVG."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(chart.summary)}" '
        f'width="{WIDTH:g}" height="{HEIGHT:g}" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" '
        'preserveAspectRatio="xMinYMid meet" font-family="system-ui, sans-serif" font-size="11" '
        f'fill="{_SOFT}">'
        + _axes(chart)
        + "".join(_line(series, chart) for series in chart.series)
        + _best(chart)
        + "</svg>"
    )


def _axes(chart: Chart) -> str:
    parts = []
    for value, label in chart.y.ticks or ((chart.y.low, ""),):
        y = round(_place_y(value, chart.y)) + 0.5
        parts.append(
            f'<line x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{y:g}" y2="{y:g}" '
            f'stroke="{_LINE}"/>'
            f'<text x="{LEFT - 6:g}" y="{y + 4:g}" text-anchor="end">{escape(label)}</text>'
        )
    parts.append(f'<text x="0" y="{HEIGHT - 5:g}">{escape(chart.x.label)}</text>')
    for value, label in chart.x.ticks:
        x = min(_place_x(value, chart.x), WIDTH - 3.0 * len(label))
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 5:g}" text-anchor="middle">{escape(label)}</text>')
    return "".join(parts)


def _line(series: Series, chart: Chart) -> str:
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


def _best(chart: Chart) -> str:
    if chart.best is None:
        return ""
    x, y = _place_x(chart.best[0], chart.x), _place_y(chart.best[1], chart.y)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="none" stroke="{_INK}" stroke-width="1.5"/>'


def _place_x(value: Any, axis: Axis) -> Any:
    return LEFT + (value - axis.low) * (WIDTH - LEFT - RIGHT) / ((axis.high - axis.low) or 1.0)


def _place_y(value: Any, axis: Axis) -> Any:
    return HEIGHT - BOTTOM - (value - axis.low) * (HEIGHT - TOP - BOTTOM) / ((axis.high - axis.low) or 1.0)
