"""A run drawn by matplotlib, for places that show no HTML; imported only when a picture is due.

Uses ``Figure`` and Agg directly: ``pyplot`` in a busy cell loses its figures to clicks.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from kerasmagic.training.events import Histogram
from kerasmagic.widgets import units
from kerasmagic.widgets.chart import Chart, charts
from kerasmagic.widgets.readout import readout, short_name
from kerasmagic.widgets.reducer import RunState, bins

INK, SOFT, LINE, ACCENT = "#212121", "#666666", "#dddddd", "#1976d2"
DPI = 110
CHART_COLUMNS, HISTOGRAM_COLUMNS = 2, 8

_LOOKS: dict[str, dict[str, Any]] = {
    "step": {"color": ACCENT, "linewidth": 0.8, "alpha": 0.5},
    "epoch": {"color": ACCENT, "linewidth": 1.6, "label": "training"},
    "validation": {"color": INK, "linewidth": 1.2, "linestyle": (0, (4, 2.4)), "label": "validation"},
}


def draw(state: RunState, max_histograms: int) -> bytes:
    """Return the PNG of ``state``: a title, a chart for each metric, and histograms."""
    shown = charts(state)
    histograms = list(state.histograms.items())[:max_histograms]
    chart_rows = -(-len(shown) // CHART_COLUMNS)
    histogram_rows = -(-len(histograms) // HISTOGRAM_COLUMNS)
    heights = [2.0] * chart_rows + [0.85] * histogram_rows
    figure = Figure(figsize=(8.0, 0.7 + 0.15 + sum(heights)), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    _title(figure, state)
    if heights:
        bottom, top = 0.3 / figure.get_figheight(), 1.0 - 0.85 / figure.get_figheight()
        columns = CHART_COLUMNS * HISTOGRAM_COLUMNS
        grid = GridSpec(
            len(heights),
            columns,
            figure,
            0.07,
            bottom,
            0.985,
            top,
            height_ratios=heights,
            wspace=2.5,
            hspace=0.55,
        )
        _chart_grid(figure, grid, shown)
        _histogram_grid(figure, grid, chart_rows, histograms)
    stream = io.BytesIO()
    # No software version or date in the file: equal runs give equal bytes.
    canvas.print_png(stream, metadata={"Software": None})
    return stream.getvalue()


def _title(figure: Figure, state: RunState) -> None:
    shown = readout(state)
    top = 1.0 - 0.27 / figure.get_figheight()
    below = 1.0 - 0.47 / figure.get_figheight()
    main = shown.main[0]
    color = "#d32f2f" if shown.state == "failed" else SOFT
    plain: dict[str, Any] = {"parse_math": False}
    figure.text(0.015, top, shown.title[:60], fontsize=10, fontweight="bold", color=INK, **plain)
    figure.text(0.015, below, f"{shown.status} · {shown.about}"[:100], fontsize=8, color=color, **plain)
    figure.text(0.985, top, f"{main.label} {main.value}", fontsize=11, color=INK, ha="right", **plain)
    figure.text(0.985, below, main.note, fontsize=8, color=SOFT, ha="right", **plain)


def _chart_grid(figure: Figure, grid: GridSpec, shown: Iterable[Chart]) -> None:
    columns = HISTOGRAM_COLUMNS
    for number, chart in enumerate(shown):
        row, column = divmod(number, CHART_COLUMNS)
        _chart(figure.add_subplot(grid[row, column * columns : (column + 1) * columns]), chart)


def _chart(axes: Any, chart: Chart) -> None:
    for series in chart.series:
        look = dict(_LOOKS[series.kind])
        if len(series.x) == 1 and series.kind != "step":
            look["marker"] = "."
        axes.plot(series.x, series.y, **look)
    if chart.best is not None:
        axes.plot(*chart.best, marker="o", markersize=5, markerfacecolor="none", color=INK, linestyle="none")
    axes.set_xlim(chart.x.low, chart.x.high)
    axes.set_ylim(chart.y.low, chart.y.high)
    axes.set_xticks([value for value, _ in chart.x.ticks], [label for _, label in chart.x.ticks])
    axes.set_yticks([value for value, _ in chart.y.ticks], [label for _, label in chart.y.ticks])
    axes.set_title(chart.label, fontsize=8, loc="left", color=INK, parse_math=False)
    axes.set_xlabel(chart.x.label, fontsize=7, color=SOFT, loc="left", labelpad=1)
    axes.tick_params(labelsize=7, labelcolor=SOFT, length=0)
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    _bare(axes)
    if any(series.kind != "step" for series in chart.series):
        axes.legend(
            fontsize=7,
            frameon=False,
            ncols=2,
            loc="lower right",
            bbox_to_anchor=(1.0, 0.97),
            borderaxespad=0.2,
        )


def _histogram_grid(
    figure: Figure, grid: GridSpec, first_row: int, histograms: Iterable[tuple[str, Histogram]]
) -> None:
    width = CHART_COLUMNS
    for number, (name, histogram) in enumerate(histograms):
        row, column = divmod(number, HISTOGRAM_COLUMNS)
        _histogram(
            figure.add_subplot(grid[first_row + row, column * width : (column + 1) * width]), name, histogram
        )


def _histogram(axes: Any, name: str, histogram: Histogram) -> None:
    counts = bins(histogram)
    edges = range(len(counts) + 1)
    axes.stairs(counts, edges, fill=True, color=ACCENT)
    axes.set_xlim(0, max(len(counts), 1))
    axes.set_yticks([])
    labels = [units.short_number(histogram.low), units.short_number(histogram.high)]
    axes.set_xticks([0, max(len(counts), 1)], labels)
    for label, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
        label.set_horizontalalignment(side)
    axes.tick_params(labelsize=6, labelcolor=SOFT, length=0, pad=1)
    axes.set_title(_fit(*short_name(name)), fontsize=6, loc="left", color=INK, pad=2, parse_math=False)
    _bare(axes)
    axes.spines["bottom"].set_visible(True)
    axes.spines["bottom"].set_color(LINE)


def _fit(owner: str, name: str, letters: int = 19) -> str:
    room = max(letters - len(name), 1)
    return (owner if len(owner) <= room else f"{owner[: room - 1]}…") + name


def _bare(axes: Any) -> None:
    for spine in axes.spines.values():
        spine.set_visible(False)
