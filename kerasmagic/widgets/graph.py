"""The graph of a model as boxes: blocks as one box, repetitions as one box with a count, long chains shortened."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from kerasmagic.widgets.shapes import BATCH, ShapeRow, shapes, sources

LONGEST_PERIOD = 48
MANY = 60
LONGEST_RUN = 2


@dataclasses.dataclass(frozen=True)
class Box:
    """One box of the drawing.

    Args:
        label: What it is.
        shape: What comes out, without the batch.
        inputs: The places of the boxes that flow in.
        rows: The places of the table's rows that it stands for.
        names: The names of the layers among them, the last one last.
        size: Parameters; boxes that are to be one must agree in it.
        times: How often it is repeated, one after the other.
    """

    label: str
    shape: str
    inputs: tuple[int, ...]
    rows: tuple[int, ...]
    names: tuple[str, ...]
    size: int = 0
    times: int = 1


@dataclasses.dataclass(frozen=True)
class Repeat:
    """Several boxes in a row that are repeated together; ``start`` and ``stop`` are places."""

    start: int
    stop: int
    times: int


@dataclasses.dataclass(frozen=True)
class Picture:
    """What to draw: boxes, each after those it needs, and which of them are repeated."""

    boxes: tuple[Box, ...]
    repeats: tuple[Repeat, ...] = ()

    @property
    def is_chain(self) -> bool:
        """Whether each box takes the one above it and nothing else."""
        return all(box.inputs == ((place - 1,) if place else ()) for place, box in enumerate(self.boxes))


def picture(rows: Sequence[ShapeRow]) -> Picture:
    """Return the boxes for rows of a table.

    Example:

    >>> from types import SimpleNamespace
    >>> def row(name, *before, depth=0):
    ...     return SimpleNamespace(name=name, kind="Dense", output_shape=("batch", 8), parameters=72, depth=depth,
    ...                            connected_to=before)
    >>> chain = [row("x"), row("a", "x"), row("b", "a"), row("c", "b"), row("sum", "c", "x")]
    >>> [(box.label, box.times, box.inputs) for box in picture(chain).boxes]
    [('Dense', 1, ()), ('Dense', 3, (0,)), ('Dense', 1, (1, 0))]
    """
    boxes = _boxes(rows)
    folded = _fold(boxes)
    if len(folded.boxes) > MANY:
        folded = _shorten(folded)
    return folded


def _boxes(rows: Sequence[ShapeRow]) -> list[Box]:
    top = min((row.depth for row in rows), default=0)
    places: dict[str, int] = {}
    boxes: list[Box] = []
    for index, row in enumerate(rows):
        if row.depth > top:
            # What is inside a block flows out of the block.
            places.setdefault(row.name, len(boxes) - 1)
            last = boxes[-1]
            boxes[-1] = dataclasses.replace(last, rows=(*last.rows, index), names=(row.name, *last.names))
            continue
        inputs = tuple(dict.fromkeys(places[name] for name in sources(row) if name in places))
        places[row.name] = len(boxes)
        label = re.sub(r"_\d+$", "", row.name) if row.kind == "block" else row.kind
        boxes.append(Box(label, _shape(row), inputs, (index,), (row.name,), row.parameters))
    return boxes


def _shape(row: ShapeRow) -> str:
    """Return the sizes behind the batch as ``8×8×32``, those of several outputs with commas between."""
    found = []
    for shape in shapes(row.output_shape):
        sizes = shape[1:] if shape and shape[0] in (BATCH, None) else shape
        found.append("×".join("?" if size is None else str(size) for size in sizes) or "1")
    return ", ".join(found)


def _fold(boxes: Sequence[Box]) -> Picture:
    """Draw once what is repeated: one box with a count, or several in a frame."""
    users: list[int] = [0] * len(boxes)
    for place, box in enumerate(boxes):
        for source in box.inputs:
            users[source] = max(users[source], place)
    moved: dict[int, int] = {}
    kept: list[Box] = []
    repeats: list[Repeat] = []
    place = 0
    while place < len(boxes):
        period, times = _repetition(boxes, users, place)
        start = len(kept)
        for offset in range(period):
            same = [boxes[place + offset + turn * period] for turn in range(times)]
            kept.append(_merged(same, period, moved))
            for turn in range(times):
                moved[place + offset + turn * period] = start + offset
        if times > 1 and period > 1:
            repeats.append(Repeat(start, start + period, times))
        place += period * times
    return Picture(tuple(kept), tuple(repeats))


def _merged(same: Sequence[Box], period: int, moved: dict[int, int]) -> Box:
    first = same[0]
    return dataclasses.replace(
        first,
        inputs=tuple(dict.fromkeys(moved[source] for source in first.inputs)),
        rows=tuple(row for box in same for row in box.rows),
        names=tuple(name for box in same for name in box.names),
        times=len(same) if period == 1 else 1,
    )


def _repetition(boxes: Sequence[Box], users: Sequence[int], place: int) -> tuple[int, int]:
    """Return the length of what is repeated from ``place`` on, and how often; ``(1, 1)`` if nothing is."""
    best = (1, 1)
    for period in range(1, min(LONGEST_PERIOD, (len(boxes) - place) // 2) + 1):
        if period > 1 and all(_same(boxes, place + i, place + i + 1, 1) for i in range(period - 1)):
            continue
        times = 1
        while _same(boxes, place, place + times * period, period):
            times += 1
        while times > 1 and not _closed(users, place, period, times):
            times -= 1
        if times > 1 and period * times > best[0] * best[1] and (period > 1 or times > 2):
            best = (period, times)
    return best


def _same(boxes: Sequence[Box], first: int, other: int, period: int) -> bool:
    if other + period > len(boxes):
        return False
    for offset in range(period):
        a, b = boxes[first + offset], boxes[other + offset]
        if (a.label, a.shape, a.size, len(a.inputs)) != (b.label, b.shape, b.size, len(b.inputs)):
            return False
        if not a.inputs:
            return False
        for x, y in zip(a.inputs, b.inputs, strict=True):
            # The same way back, or the same box before all repetitions.
            if y - x != other - first and not (x == y and x < first):
                return False
    return True


def _closed(users: Sequence[int], place: int, period: int, times: int) -> bool:
    """Whether only the last repetition is used outside, and each other one by the next at most."""
    last = place + period * (times - 1)
    return all(users[x] < x - (x - place) % period + 2 * period for x in range(place, last))


def _shorten(given: Picture) -> Picture:
    """Make one box of the boxes between the ends of each long chain."""
    boxes = given.boxes
    users: list[list[int]] = [[] for _ in boxes]
    for place, box in enumerate(boxes):
        for source in box.inputs:
            users[source].append(place)
    framed = {place for repeat in given.repeats for place in range(repeat.start, repeat.stop)}
    plain = [
        box.inputs == (place - 1,) and len(users[place]) == 1 and place not in framed
        for place, box in enumerate(boxes)
    ]
    moved: dict[int, int] = {}
    kept: list[Box] = []
    place = 0
    while place < len(boxes):
        end = place + 1
        while plain[place] and end < len(boxes) and plain[end]:
            end += 1
        run = boxes[place:end]
        if len(run) > LONGEST_RUN:
            count = sum(box.times for box in run)
            joined = Box(
                f"{count} layers",
                run[-1].shape,
                tuple(moved[source] for source in run[0].inputs),
                tuple(row for box in run for row in box.rows),
                tuple(name for box in run for name in box.names),
            )
            moved.update((each, len(kept)) for each in range(place, end))
            kept.append(joined)
        else:
            for each in range(place, end):
                inputs = tuple(dict.fromkeys(moved[source] for source in boxes[each].inputs))
                moved[each] = len(kept)
                kept.append(dataclasses.replace(boxes[each], inputs=inputs))
        place = end
    repeats = tuple(Repeat(moved[r.start], moved[r.stop - 1] + 1, r.times) for r in given.repeats)
    return Picture(tuple(kept), repeats)
