"""A run drawn by matplotlib, for places that show no HTML; imported only when a picture is due.

Lines and texts are placed by pixel on a bare ``Figure``: axes would cost many times as much, and
``pyplot`` in a busy cell loses its figures to clicks.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import BboxImage
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.transforms import Affine2D, Bbox, TransformedBbox

from kerasmagic.training.events import Histogram
from kerasmagic.widgets import units
from kerasmagic.widgets.chart import Chart, Series, charts
from kerasmagic.widgets.images import ACCENT as ACCENT_BYTES
from kerasmagic.widgets.readout import Readout, readout, short_name
from kerasmagic.widgets.reducer import RunState, bins
from kerasmagic.widgets.weights import Rows, heat

INK, SOFT, LINE, ACCENT, ERROR = "#212121", "#666666", "#e0e0e0", "#1976d2", "#d32f2f"
WIDTH, EDGE, HEAD = 880.0, 14.0, 62.0
CHART_COLUMNS, CHART_HEIGHT = 2, 186.0
HISTOGRAM_COLUMNS, HISTOGRAM_HEIGHT = 7, 74.0
# What a histogram's history takes more.
STRIP_HEIGHT = 30.0
GAP = 22.0
SCALE = 1.25
# Points in a pixel: sizes of type and line are in points.
POINT = 0.72

_LOOKS: dict[str, dict[str, Any]] = {
    "earlier": {"color": SOFT, "linewidth": 1.0, "alpha": 0.45},
    "step": {"color": ACCENT, "linewidth": 1.0, "alpha": 0.5},
    "epoch": {"color": ACCENT, "linewidth": 2.0},
    "validation": {"color": INK, "linewidth": 1.5, "dashes": (3.3, 2.0), "dash_capstyle": "butt"},
}


def draw(state: RunState, max_histograms: int) -> bytes:
    """Return the PNG of ``state``: a title, a chart for each metric, and histograms."""
    shown, described = charts(state), readout(state)
    histograms = list(state.histograms.items())[:max_histograms]
    chart_rows = -(-len(shown) // CHART_COLUMNS)
    histogram_rows = -(-len(histograms) // HISTOGRAM_COLUMNS)
    rows = state.weights.rows.get("weights", Rows())
    strips = len(rows.kept()) > 1 and rows.names == tuple(state.histograms)
    histogram_height = HISTOGRAM_HEIGHT + STRIP_HEIGHT * strips
    page = Page(HEAD + chart_rows * CHART_HEIGHT + histogram_rows * histogram_height)
    _draw_head(page, described)
    width = (WIDTH - 2 * EDGE - (CHART_COLUMNS - 1) * GAP) / CHART_COLUMNS
    for number, chart in enumerate(shown):
        row, column = divmod(number, CHART_COLUMNS)
        _draw_chart(page, chart, EDGE + column * (width + GAP), HEAD + row * CHART_HEIGHT, width, described)
    top = HEAD + chart_rows * CHART_HEIGHT
    width = (WIDTH - 2 * EDGE - (HISTOGRAM_COLUMNS - 1) * 14) / HISTOGRAM_COLUMNS
    for number, (name, histogram) in enumerate(histograms):
        row, column = divmod(number, HISTOGRAM_COLUMNS)
        left, upper = EDGE + column * (width + 14), top + row * histogram_height
        _draw_histogram(page, name, histogram, left, upper, width)
        if strips:
            page.shades(heat(rows, number)[0], left, upper + 62, width, STRIP_HEIGHT)
    return page.png()


class Page:
    """A white sheet of ``WIDTH`` by ``height`` pixels whose origin is at the top left.

    Args:
        height: Pixels.
    """

    def __init__(self, height: float):
        self._figure = Figure(figsize=(WIDTH / 100, height / 100), dpi=100 * SCALE, facecolor="white")
        self._canvas = FigureCanvasAgg(self._figure)
        flip = Affine2D().scale(1 / WIDTH, -1 / height).translate(0.0, 1.0)
        self._place = flip + self._figure.transFigure

    def line(self, x: Any, y: Any, *, linewidth: float = 1.0, **look: Any) -> None:
        """Draw a line through points of shape ``(n,)``; one that is not finite breaks it."""
        self._figure.add_artist(Line2D(x, y, transform=self._place, linewidth=linewidth * POINT, **look))

    def area(self, points: np.ndarray, color: str) -> None:
        """Fill a polygon of corners ``(n, 2)``."""
        shape = Polygon(points, transform=self._place, facecolor=color, edgecolor="none", antialiased=False)
        self._figure.add_artist(shape)

    def text(self, x: float, y: float, text: str, size: float = 12.0, color: str = INK, **look: Any) -> None:
        """Write ``text`` with its baseline at ``y``; nothing in it is markup."""
        self._figure.text(
            x, y, text, transform=self._place, fontsize=size * POINT, color=color, parse_math=False, **look
        )

    def shades(self, shades: np.ndarray, left: float, top: float, width: float, height: float) -> None:
        """Fill a box with shades ``(h, w)`` of the accent colour, from 0 to 255."""
        box = Bbox([[left, top + height], [left + width, top]])
        image = BboxImage(TransformedBbox(box, self._place), interpolation="nearest")
        image.set_data(np.dstack([*(np.full_like(shades, part) for part in ACCENT_BYTES), shades]))
        self._figure.add_artist(image)

    def png(self) -> bytes:
        """Return the sheet; no version or date is in it, so equal sheets are equal bytes."""
        stream = io.BytesIO()
        self._canvas.print_png(stream, metadata={"Software": None})
        return stream.getvalue()


def _draw_head(page: Page, shown: Readout) -> None:
    main = shown.main[0]
    status = ERROR if shown.state == "failed" else SOFT
    page.text(EDGE, 24, _cut(shown.title, 60), 14, weight="bold")
    about = " · ".join(part for part in (shown.status, shown.about) if part)
    page.text(EDGE, 43, _cut(about, 90), 12, status)
    page.text(WIDTH - EDGE, 24, f"{main.label}  {main.value}", 15, ha="right")
    page.text(WIDTH - EDGE, 43, main.note, 12, SOFT, ha="right")


def _draw_chart(page: Page, chart: Chart, left: float, top: float, width: float, shown: Readout) -> None:
    values = next(row for row in shown.rows if row.name == chart.name)
    page.text(left, top + 14, _cut(chart.label, 20), 12)
    if shown.has_validation:
        _draw_legend(page, "validation", values.validation, left + width, top + 14)
    _draw_legend(page, "epoch", values.train, left + width - (142 if shown.has_validation else 0), top + 14)
    low, high = top + CHART_HEIGHT - 40, top + 26
    start, stop = left + 44, left + width
    across = (stop - start) / ((chart.x.high - chart.x.low) or 1.0)
    down = (low - high) / ((chart.y.high - chart.y.low) or 1.0)
    for value, label in chart.y.ticks:
        y = low - (value - chart.y.low) * down
        page.line([start, stop], [y, y], color=LINE)
        page.text(start - 6, y, label, 10, SOFT, ha="right", va="center_baseline")
    page.text(left, low + 16, chart.x.label, 10, SOFT)
    for value, label in chart.x.ticks:
        page.text(start + (value - chart.x.low) * across, low + 16, label, 10, SOFT, ha="center")

    def place(x: Any, y: Any) -> tuple[Any, Any]:
        return start + (np.asarray(x) - chart.x.low) * across, low - (np.asarray(y) - chart.y.low) * down

    for series in chart.series:
        _draw_series(page, series, *place(series.x, series.y))
    if chart.best is not None:
        ring = {"marker": "o", "markersize": 5, "markerfacecolor": "none", "linestyle": "none"}
        x, y = place(*chart.best)
        page.line([x], [y], color=INK, **ring)


def _draw_legend(page: Page, kind: str, value: str, right: float, baseline: float) -> None:
    page.line([right - 126, right - 110], [baseline - 4, baseline - 4], **_LOOKS[kind])
    page.text(right - 104, baseline, "training" if kind == "epoch" else kind, 11, SOFT)
    page.text(right, baseline, value, 11, ha="right")


def _draw_series(page: Page, series: Series, x: np.ndarray, y: np.ndarray) -> None:
    dot = {"marker": ".", "markersize": 5} if len(x) == 1 and series.kind != "step" else {}
    page.line(x, y, solid_joinstyle="round", **_LOOKS[series.kind], **dot)


def _draw_histogram(
    page: Page, name: str, histogram: Histogram, left: float, top: float, width: float
) -> None:
    counts = bins(histogram)
    base, height = top + 48, 34.0
    edges = np.repeat(np.linspace(left, left + width, len(counts) + 1), 2)
    levels = np.concatenate([[0.0], np.repeat(counts / (counts.max(initial=0.0) or 1.0), 2), [0.0]])
    if len(counts):
        page.area(np.stack([edges, base - height * levels], axis=1), ACCENT)
    page.line([left, left + width], [base, base], color=LINE)
    page.text(left, top + 10, _fit(*short_name(name)), 9)
    page.text(left, base + 11, units.short_number(histogram.low), 9, SOFT)
    page.text(left + width, base + 11, units.short_number(histogram.high), 9, SOFT, ha="right")


def _fit(owner: str, name: str, letters: int = 21) -> str:
    name = _cut(name, letters)
    return _cut(owner, max(letters - len(name), 1)) + name if owner else name


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
