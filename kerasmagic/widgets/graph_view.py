"""The graph of a model as SVG in the colours of the page, below its table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from kerasmagic.widgets import units
from kerasmagic.widgets.graph import Box, Picture, picture
from kerasmagic.widgets.graph_layout import BOX_HEIGHT, BOX_WIDTH, Layout, Point, layout
from kerasmagic.widgets.shapes import ShapeRow, sources

LARGEST = 160
MARGIN = 12.0
COUNT_WIDTH = 34.0
# As many letters have room in a box, and of these at most so many for the shape.
_LETTERS, _SHAPE = 28, 15


def drawing(rows: Sequence[ShapeRow], title: str = "") -> str:
    """Return the graph as HTML that a reader can open, or nothing where it would add nothing.

    It stands open where there are branches. Every name in it is escaped; nothing is loaded.

    Args:
        rows: The rows of the table; those that say where their inputs come from.
        title: The model's name.
    """
    if sum(bool(sources(row)) for row in rows) < 2:
        return ""
    shown = picture(rows)
    if len(shown.boxes) > LARGEST:
        count = units.plural(len(shown.boxes), "box").replace("boxs", "boxes")
        return f'<p class="km-graph km-soft">A graph of {count} is too large to draw.</p>'
    opened = "" if shown.is_chain else " open"
    return (
        f'<details class="km-graph"{opened}><summary>Graph</summary>'
        f'<div class="km-graph-scroll">{svg(shown, title)}</div></details>'
    )


def svg(shown: Picture, title: str = "") -> str:
    """Return the drawing as one SVG element; what it shows is told in its label, too."""
    places = layout([box.inputs for box in shown.boxes])
    counted = bool(shown.repeats) or any(box.times > 1 for box in shown.boxes)
    left = MARGIN + COUNT_WIDTH if counted else MARGIN
    width, height = places.size[0] + left + MARGIN, places.size[1] + 2 * MARGIN
    parts = [_frame(places, repeat.start, repeat.stop, repeat.times) for repeat in shown.repeats]
    parts += [
        f'<path class="km-edge" data-from="{a}" data-to="{b}" d="{_path(p)}"/>' for a, b, p in places.edges
    ]
    parts += [_box(place, box, places.places[place]) for place, box in enumerate(shown.boxes)]
    return (
        f'<svg role="img" aria-label="{escape(told(shown, title))}" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-left:.0f} {-MARGIN:.0f} {width:.0f} {height:.0f}">{"".join(parts)}</svg>'
    )


def told(shown: Picture, title: str = "") -> str:
    """Return in words what is drawn: how many boxes, what is repeated, and which take more than what is above."""
    sentences = [f"Graph of {title or 'the model'}: {len(shown.boxes)} boxes"]
    sentences += [f"{box.label} {box.times} times" for box in shown.boxes if box.times > 1]
    for repeat in shown.repeats:
        names = ", ".join(box.label for box in shown.boxes[repeat.start : repeat.stop])
        sentences.append(f"{names}: {repeat.times} times")
    for place, box in enumerate(shown.boxes):
        if box.inputs and box.inputs != (place - 1,):
            origins = " and ".join(shown.boxes[source].names[-1] for source in box.inputs)
            sentences.append(f"{box.names[-1]} takes {origins}")
    return "; ".join(sentences) + "."


def _box(place: int, box: Box, corner: Point) -> str:
    x, y = corner
    right, line = x + BOX_WIDTH, y + 16
    times = _times(x - 6, line, box.times) if box.times > 1 else ""
    shape = _cut(box.shape, _SHAPE)
    full = f"{box.names[-1]} ({box.label}) {box.shape}"
    return (
        f'<g class="km-box" data-box="{place}" data-rows="{" ".join(map(str, box.rows))}" '
        f'data-inputs="{" ".join(map(str, box.inputs))}">'
        f"<title>{escape(full)}</title>"
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{BOX_WIDTH:.0f}" height="{BOX_HEIGHT:.0f}" rx="2"/>'
        f'<text x="{x + 8:.1f}" y="{line:.1f}">{escape(_cut(box.label, _LETTERS - len(shape)))}</text>'
        f'<text class="km-box-shape" x="{right - 8:.1f}" y="{line:.1f}">{escape(shape)}</text>'
        f"{times}</g>"
    )


def _times(x: float, y: float, times: int) -> str:
    return f'<text class="km-times" x="{x:.1f}" y="{y:.1f}">×{times}</text>'


def _frame(places: Layout, start: int, stop: int, times: int) -> str:
    corners = places.places[start:stop]
    left, top = min(x for x, _ in corners) - 6, min(y for _, y in corners) - 6
    right = max(x for x, _ in corners) + BOX_WIDTH + 6
    bottom = max(y for _, y in corners) + BOX_HEIGHT + 6
    return (
        f'<rect class="km-frame" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{bottom - top:.1f}" rx="3"/>'
        f"{_times(left - 6, top + 12, times)}"
    )


def _path(points: Sequence[Point]) -> str:
    """Return a line that leaves and enters straight down and bends in between."""
    (x, y), *rest = points
    parts = [f"M{x:.1f} {y:.1f}"]
    for to_x, to_y in rest:
        if abs(to_x - x) < 0.05:
            parts.append(f"V{to_y:.1f}")
        else:
            middle = (y + to_y) / 2
            parts.append(f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    return "".join(parts)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
