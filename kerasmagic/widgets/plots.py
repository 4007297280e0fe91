"""Figures for papers: the curves of a run and the drawing of a model, by matplotlib without pyplot.

``pyplot`` keeps figures in a state of its own, and loses them to clicks while a cell is busy: a figure here belongs
to who asked for it, and shows itself.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from kerasmagic.foundation.errors import InvalidArgument, UnknownName, did_you_mean
from kerasmagic.widgets.chart import words
from kerasmagic.widgets.curve import smoothed
from kerasmagic.widgets.graph import Box, Picture, picture
from kerasmagic.widgets.graph_layout import BOX_HEIGHT, BOX_WIDTH, Layout, Point, layout
from kerasmagic.widgets.reducer import lower_is_better
from kerasmagic.widgets.shapes import ShapeRow

ACCENT, INK, SOFT, LINE, FILL = "#1976d2", "#212121", "#616161", "#bdbdbd", "#f5f8fc"
# Inches of one chart; two stand beside each other in a text column's width.
CHART_SIZE = (3.4, 2.5)
CHART_COLUMNS = 2
# Units of a drawing's layout in an inch, and points of its letters at that size.
UNITS = 90.0
LETTERS = 8.0
MARGIN = 12.0
# Letters are text in what is saved, not outlines: they can be searched and edited.
_SAVED: dict[Any, Any] = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "none"}
# Resolution of what a notebook shows, for pages of 2 pixels in each.
DPI = 200


class Plot(Figure):
    """A figure that a notebook shows at the end of a cell, and that is saved with its letters as text."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        FigureCanvasAgg(self)

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write the figure to a file, in the format of its name's end; ``options`` are matplotlib's."""
        with mpl.rc_context(_SAVED):
            super().savefig(fname, **options)

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        stream = io.BytesIO()
        self.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
        width, height = (round(inches * DPI / 2) for inches in self.get_size_inches())
        shown = {"image/png": stream.getvalue(), "text/plain": repr(self)}
        return shown, {"image/png": {"width": width, "height": height}}


def plot_history(
    history: Any,
    metrics: Sequence[str] | str | None = None,
    *,
    axes: Any = None,
    log: bool = False,
    smoothing: float = 0.0,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Return the curves of a ``History``, a chart for each metric; ``History.plot`` says the rest."""
    if not 0.0 <= smoothing < 1.0:
        raise InvalidArgument(f"`smoothing` must be from 0 to below 1. Received: smoothing={smoothing!r}")
    names = _chosen(history, metrics)
    places, figure = _places(axes, len(names), figsize)
    for name, place in zip(names, places, strict=True):
        _draw_curves(place, history, name, log, smoothing)
    return figure


def _chosen(history: Any, metrics: Sequence[str] | str | None) -> list[str]:
    logged = [name for name in history.history if name not in ("learning_rate", "lr")]
    known = list(dict.fromkeys(name.removeprefix("val_") for name in logged))
    # The loss first, as everywhere.
    known.sort(key=lambda name: name != "loss")
    wanted = [metrics] if isinstance(metrics, str) else known if metrics is None else list(metrics)
    for name in wanted:
        if name not in history.history and name not in known:
            raise UnknownName(f"The history has no {name!r}.", hint=did_you_mean(name, [*known, *logged]))
    if not wanted:
        raise InvalidArgument("The history is empty: there is nothing to plot.")
    return wanted


def _places(axes: Any, count: int, figsize: tuple[float, float] | None) -> tuple[list[Axes], Any]:
    """Return axes for ``count`` charts, those given or new ones, and their figure."""
    if axes is not None:
        given = [axes] if isinstance(axes, Axes) else list(np.ravel(axes))
        if len(given) != count:
            raise InvalidArgument(f"There are {count} charts for {len(given)} axes.")
        figure = given[0].figure
        assert figure is not None
        return given, figure
    columns = min(count, CHART_COLUMNS)
    rows = -(-count // columns)
    size = figsize or (columns * CHART_SIZE[0], rows * CHART_SIZE[1])
    made = Plot(figsize=size, layout="constrained")
    grid = made.subplots(rows, columns, squeeze=False).ravel()
    for unused in grid[count:]:
        unused.remove()
    return list(grid[:count]), made


def _draw_curves(place: Axes, history: Any, name: str, log: bool, smoothing: float) -> None:
    looks: tuple[tuple[str, str, dict[str, Any]], ...] = (
        (name, "training", {"color": ACCENT}),
        (f"val_{name}", "validation", {"color": INK, "linestyle": "--"}),
    )
    if name.startswith("val_"):
        looks = ((name, "validation", looks[1][2]),)
    for column, label, look in looks:
        if column not in history.history:
            continue
        values = np.array([np.nan if np.size(v) != 1 else float(v) for v in history.history[column]])
        # A metric that is not measured after every epoch belongs to the last of them.
        epochs = np.asarray(history.epoch[-len(values) :]) + 1
        if smoothing:
            place.plot(epochs, values, alpha=0.25, linewidth=1.0, **look)
        dot = "." if len(values) == 1 else None
        place.plot(epochs, smoothed(values, smoothing), label=label, linewidth=1.5, marker=dot, **look)
    _mark_best(place, history, name)
    place.set_yscale("log" if log else "linear")
    place.set_title(words(name), fontsize=10, loc="left")
    place.set_xlabel("epoch", fontsize=9)
    place.xaxis.set_major_locator(MaxNLocator(integer=True))
    place.tick_params(labelsize=8.5)
    place.grid(axis="y", color=LINE, linewidth=0.6, alpha=0.7)
    place.spines[["top", "right"]].set_visible(False)
    if len(place.get_legend_handles_labels()[1]) > 1:
        place.legend(fontsize=8.5, frameon=False)


def _mark_best(place: Axes, history: Any, name: str) -> None:
    column = f"val_{name}" if f"val_{name}" in history.history else name
    values = np.array([np.nan if np.size(v) != 1 else float(v) for v in history.history[column]])
    if not np.isfinite(values).any() or len(values) < 2:
        return
    index = int(np.nanargmin(values) if lower_is_better(name) else np.nanargmax(values))
    epoch = np.asarray(history.epoch[-len(values) :])[index] + 1
    place.plot([epoch], [values[index]], "o", markersize=5, markerfacecolor="none", color=INK)


def plot_model(
    rows: Iterable[ShapeRow],
    title: str = "",
    *,
    axes: Axes | None = None,
    figsize: tuple[float, float] | None = None,
    shapes: bool = True,
) -> Figure:
    """Return the drawing of a model by the rows of its table; ``Model.plot`` says the rest."""
    shown = picture(list(rows))
    places = layout([box.inputs for box in shown.boxes])
    width, height = places.size[0] + 2 * MARGIN + 24, places.size[1] + 2 * MARGIN
    figure: Any = (
        axes.figure if axes is not None else Plot(figsize=figsize or (width / UNITS, height / UNITS))
    )
    place = figure.add_axes((0, 0, 1, 1)) if axes is None else axes
    place.set(xlim=(-MARGIN, width - MARGIN), ylim=(height - MARGIN, -MARGIN), aspect="equal")
    place.set_axis_off()
    if axes is not None:
        place.set_title(title, fontsize=10, loc="left")
    scale = _scale(place, width, height)
    for box, corner in zip(shown.boxes, places.places, strict=True):
        _draw_box(place, box, corner, LETTERS * scale, shapes)
    for _, _, points in places.edges:
        _draw_edge(place, points, scale)
    _draw_repeats(place, shown, places, LETTERS * scale)
    return figure


def _scale(place: Axes, width: float, height: float) -> float:
    """Return how large the drawing is beside its natural size, in axes of any size."""
    figure: Any = place.figure
    box = place.get_position()
    inches = figure.get_size_inches() * (box.width, box.height)
    return float(min(inches[0] * UNITS / width, inches[1] * UNITS / height))


def _draw_box(place: Axes, box: Box, corner: Point, letters: float, shapes: bool) -> None:
    x, y = corner
    look = {
        "boxstyle": "round,pad=0,rounding_size=2",
        "linewidth": 0.8,
        "edgecolor": ACCENT,
        "facecolor": FILL,
    }
    place.add_patch(FancyBboxPatch((x, y), BOX_WIDTH, BOX_HEIGHT, **look))
    shape = box.shape if shapes else ""
    room = max(30 - len(shape[:16]), 12)
    middle: dict[str, Any] = {"va": "center_baseline", "fontsize": letters, "parse_math": False}
    place.text(x + 8, y + BOX_HEIGHT / 2, _cut(box.label, room), color=INK, **middle)
    if shape:
        place.text(x + BOX_WIDTH - 8, y + BOX_HEIGHT / 2, _cut(shape, 16), color=SOFT, ha="right", **middle)
    if box.times > 1:
        place.text(x + BOX_WIDTH + 4, y + BOX_HEIGHT / 2, f"×{box.times}", color=INK, **middle)


def _draw_edge(place: Axes, points: Sequence[Point], scale: float) -> None:
    vertices: list[Point] = [points[0]]
    codes = [Path.MOVETO]
    for (x, y), (to_x, to_y) in itertools.pairwise(points):
        middle = (y + to_y) / 2
        vertices += [(x, middle), (to_x, middle), (to_x, to_y)]
        codes += [Path.CURVE4] * 3
    look = {"facecolor": "none", "edgecolor": SOFT, "linewidth": 0.9 * scale, "zorder": 0.5}
    place.add_patch(PathPatch(Path(vertices, codes), **look))
    x, y = points[-1]
    head = Path([(x - 3, y - 5), (x, y), (x + 3, y - 5)], [Path.MOVETO, Path.LINETO, Path.LINETO])
    place.add_patch(PathPatch(head, **look))


def _draw_repeats(place: Axes, shown: Picture, places: Layout, letters: float) -> None:
    for repeat in shown.repeats:
        corners = places.places[repeat.start : repeat.stop]
        left, top = min(x for x, _ in corners) - 6, min(y for _, y in corners) - 6
        right, bottom = (
            max(x for x, _ in corners) + BOX_WIDTH + 6,
            max(y for _, y in corners) + BOX_HEIGHT + 6,
        )
        look = {
            "boxstyle": "round,pad=0,rounding_size=3",
            "linewidth": 0.8,
            "edgecolor": SOFT,
            "facecolor": "none",
        }
        place.add_patch(
            FancyBboxPatch((left, top), right - left, bottom - top, linestyle=(0, (3, 2)), **look)
        )
        place.text(right + 4, top + 8, f"×{repeat.times}", color=INK, fontsize=letters, va="center_baseline")


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
