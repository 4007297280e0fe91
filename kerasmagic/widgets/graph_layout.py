"""Places for the boxes of a graph: rows by the longest way from an input, few crossings, straight edges.

The method is the usual one for layered drawings: edges that pass a row get a small place of their own in it,
rows are ordered by the mean place of their neighbours, then each is pulled to its neighbours as far as the
distances allow.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

BOX_WIDTH, BOX_HEIGHT = 220.0, 24.0
LANE_WIDTH = 14.0
GAP_X, GAP_Y = 20.0, 18.0
SWEEPS = 8

Point = tuple[float, float]


@dataclasses.dataclass
class _Slot:
    """A box, or where an edge passes a row."""

    row: int
    width: float
    above: list[int] = dataclasses.field(default_factory=list)
    below: list[int] = dataclasses.field(default_factory=list)
    x: float = 0.0


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where everything is.

    Attributes:
        size: Width and height of the whole.
        places: The upper left corner of each box.
        edges: For each edge from, to, and the points it goes through.
    """

    size: Point
    places: tuple[Point, ...]
    edges: tuple[tuple[int, int, tuple[Point, ...]], ...]


def layout(inputs: Sequence[Sequence[int]]) -> Layout:
    """Return places for boxes.

    Args:
        inputs: For each box those that flow in; a box stands after all it needs.

    Example:

    >>> layout([[], [0], [1, 0]]).edges[2][2]
    ((110.0, 24.0), (247.0, 42.0), (247.0, 66.0), (110.0, 84.0))
    """
    if not inputs:
        return Layout((0.0, 0.0), (), ())
    rows = _rows(inputs)
    slots = [_Slot(row, BOX_WIDTH) for row in rows]
    paths = [
        (source, place, _lay_edge(slots, source, place))
        for place, before in enumerate(inputs)
        for source in before
    ]
    levels: list[list[int]] = [[] for _ in range(max(rows) + 1)]
    for index, slot in enumerate(slots):
        levels[slot.row].append(index)
    _order(slots, levels)
    _straighten(slots, levels)
    left = min(slot.x - slot.width / 2 for slot in slots)
    right = max(slot.x + slot.width / 2 for slot in slots)
    places = tuple((s.x - s.width / 2 - left, _top(s.row)) for s in slots[: len(inputs)])
    edges = tuple((a, b, _points(slots, path, left)) for a, b, path in paths)
    return Layout((right - left, _top(len(levels)) - GAP_Y), places, edges)


def _top(row: int) -> float:
    return row * (BOX_HEIGHT + GAP_Y)


def _rows(inputs: Sequence[Sequence[int]]) -> list[int]:
    rows = [0] * len(inputs)
    for place, before in enumerate(inputs):
        rows[place] = max((rows[source] + 1 for source in before), default=0)
    # What starts late stands right above where it is first used.
    first: dict[int, int] = {}
    for place, before in enumerate(inputs):
        for source in before:
            first[source] = min(first.get(source, rows[place]), rows[place])
    for place, before in enumerate(inputs):
        if not before and place in first:
            rows[place] = first[place] - 1
    return rows


def _lay_edge(slots: list[_Slot], source: int, target: int) -> list[int]:
    """Give an edge a lane in each row that it passes; return the slots from end to end."""
    path = [source]
    for row in range(slots[source].row + 1, slots[target].row):
        path.append(len(slots))
        slots.append(_Slot(row, LANE_WIDTH))
    path.append(target)
    for above, below in itertools.pairwise(path):
        slots[above].below.append(below)
        slots[below].above.append(above)
    return path


def _order(slots: list[_Slot], levels: list[list[int]]) -> None:
    if all(len(level) == 1 for level in levels):
        return
    rank = {index: place for level in levels for place, index in enumerate(level)}

    def mean(index: int, neighbours: list[int]) -> float:
        return sum(rank[n] for n in neighbours) / len(neighbours) if neighbours else rank[index]

    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for level in levels if down else reversed(levels):
            level.sort(key=lambda i: mean(i, slots[i].above if down else slots[i].below))
            rank.update((index, place) for place, index in enumerate(level))


def _straighten(slots: list[_Slot], levels: list[list[int]]) -> None:
    if all(len(level) == 1 for level in levels):
        return
    for level in levels:
        x = 0.0
        for index in level:
            slots[index].x = x + slots[index].width / 2
            x += slots[index].width + GAP_X
    for sweep in range(2 * SWEEPS + 1):
        down = sweep % 2 == 0
        for level in levels if down else reversed(levels):
            wished = [_wish(slots, index, down) for index in level]
            widths = [slots[i].width for i in level]
            for index, x in zip(level, _apart(wished, widths), strict=True):
                slots[index].x = x


def _wish(slots: list[_Slot], index: int, down: bool) -> float:
    slot = slots[index]
    near = (slot.above if down else slot.below) or slot.above or slot.below
    # Boxes pull boxes and lanes do not, so that a chain with skips stays straight.
    main = [n for n in near if slots[n].width == BOX_WIDTH] if slot.width == BOX_WIDTH else near
    near = main or near
    return sum(slots[n].x for n in near) / len(near) if near else slot.x


def _apart(wished: Sequence[float], widths: Sequence[float]) -> list[float]:
    """Return places near those wished for, in this order and without overlap; lanes make way for a single box.

    >>> _apart([0.0, 0.0], [20.0, 20.0])
    [-20.0, 20.0]
    """
    steps = [(a + b) / 2 + GAP_X for a, b in itertools.pairwise(widths)]
    boxes = [i for i, width in enumerate(widths) if width == BOX_WIDTH]
    if len(boxes) == 1:
        left, right = _pushed(wished, steps, boxes[0])
        return [*left[: boxes[0]], *right[boxes[0] :]]
    left, right = _pushed(wished, steps, len(wished) - 1)[0], _pushed(wished, steps, 0)[1]
    return [(a + b) / 2 for a, b in zip(left, right, strict=True)]


def _pushed(wished: Sequence[float], steps: Sequence[float], fixed: int) -> tuple[list[float], list[float]]:
    """Return the places where those before ``fixed`` give way to the left, and those behind it to the right."""
    left, right = list(wished), list(wished)
    for i in range(fixed - 1, -1, -1):
        left[i] = min(left[i], left[i + 1] - steps[i])
    for i in range(fixed, len(steps)):
        right[i + 1] = max(right[i + 1], right[i] + steps[i])
    return left, right


def _points(slots: list[_Slot], path: Sequence[int], left: float) -> tuple[Point, ...]:
    found: list[Point] = []
    for place, index in enumerate(path):
        slot = slots[index]
        top = _top(slot.row)
        if place:
            found.append((slot.x - left, top))
        if place < len(path) - 1:
            found.append((slot.x - left, top + BOX_HEIGHT))
    return tuple(found)
