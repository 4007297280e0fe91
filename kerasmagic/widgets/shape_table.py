"""The table of a model's layers with their shapes: a real HTML table and an aligned text.

Nothing in it changes between two runs of the same cell on the same machine, so it can be compared and kept.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any, Literal

from kerasmagic.foundation.amount import Amount
from kerasmagic.widgets import graph_view, shape_script, units
from kerasmagic.widgets.assets import styles
from kerasmagic.widgets.shapes import BATCH, ShapeRow, bits, default_sizes, shape_text, sources
from kerasmagic.widgets.step_memory import StepMemory

MAX_ROWS = 1500
# Where the server says which notebook a kernel belongs to.
NOTEBOOK_VARIABLE = "JPY_SESSION_NAME"


@dataclasses.dataclass(frozen=True)
class Totals:
    """Parameters of a whole model; ``size`` is their memory in bytes."""

    trainable: int
    non_trainable: int
    size: int


@dataclasses.dataclass(frozen=True)
class Column:
    """One column: its heading, where it is aligned to, and the text of a row's cell."""

    key: str
    heading: str
    align: Literal["left", "right"]
    text: Callable[[ShapeRow], str]
    title: str = ""


@dataclasses.dataclass(frozen=True)
class ShapeTable:
    """A model's layers as a table that notebooks, browsers and terminals can show.

    Args:
        rows: The layers in order.
        title: The model's name.
        totals: The model's parameters; by default each row counts whole as trainable or not, which
            is wrong for layers that hold both (BatchNormalization).
        memory: What a step of training needs, where that is known.
        batch: The batch size to begin with.
        graph: Whether to draw the layers too, where they are no plain chain.
        copy: How many other models of this notebook have an equal table; see ``key``.

    Example:

    >>> @dataclasses.dataclass
    ... class Row:
    ...     line: int; name: str; kind: str; output_shape: tuple; parameters: int
    ...     depth: int = 0; dtype: str = "float32"; trainable: bool = True; status: str | None = None
    >>> print(ShapeTable((Row(1, "dense", "Dense", ("batch", 10), 650),), "digits").text())
    digits
    line  layer  kind   output shape  type     parameters
       1  dense  Dense  (batch, 10)   float32         650
    <BLANKLINE>
    trainable      650
    non-trainable    0
    memory         2.5 KiB
    """

    rows: Sequence[ShapeRow]
    title: str = ""
    totals: Totals | None = None
    memory: StepMemory | None = None
    batch: int = shape_script.DEFAULT_BATCH
    graph: bool = True
    copy: int = 0

    def text(self) -> str:
        """Return the table as aligned lines of text."""
        columns = self._columns
        shown = self.rows[:MAX_ROWS]
        cells = [
            [column.heading for column in columns],
            *[[column.text(row) for column in columns] for row in shown],
        ]
        lines = [self.title] if self.title else []
        lines += _aligned(cells, [column.align for column in columns])
        if len(self.rows) > MAX_ROWS:
            lines.append(self._more())
        summary = [[label, value] for label, value in self._summary]
        width = max(len(value) for _, value in summary[:2])
        summary[:2] = [[label, value.rjust(width)] for label, value in summary[:2]]
        return "\n".join([*lines, "", *_aligned(summary, ["left", "left"])])

    def html(self) -> str:
        """Return the table as HTML that loads nothing; every name in it is escaped.

        Where scripts run, the table becomes live: it gets a field for each open dimension, shapes in
        numbers and the memory of the outputs. Elsewhere it is the same table without those.
        """
        page, data, key = self.page(), self.data(), self.key
        sheets = ("shape_table.css", "graph.css") if "km-graph" in page else ("shape_table.css",)
        return (
            f"<style>{styles(*sheets)}</style>"
            f'<div class="km-shape-table" data-state="static" data-table="{key}">{page}</div>'
            f"{shape_script.element(key, data)}"
        )

    @functools.cached_property
    def key(self) -> str:
        """What tells the table from others on its page; equal ones of a notebook share it, the same on every run.

        The script of either of those makes both live, and only once.
        """
        notebook = os.environ.get(NOTEBOOK_VARIABLE, "")
        key = hashlib.sha256((self.page() + self.data() + notebook).encode()).hexdigest()[:12]
        return f"{key}-{self.copy}" if self.copy else key

    def page(self) -> str:
        """Return the table and the graph as HTML without style and script."""
        drawing = graph_view.drawing(self.rows[:MAX_ROWS], self.title) if self.graph else ""
        return self._html_table() + drawing

    def data(self) -> str:
        """Return what a script has to know to make the table live, as JSON."""
        return shape_script.describe(self.rows, self.memory, self.batch)

    def counted(self) -> Totals:
        """Return the totals that were given, or those of the outermost rows."""
        return self.totals or _count(self.rows)

    def multiply_adds(self) -> Amount | None:
        """Return the sum over the outermost rows; ``None`` where none of them says."""
        top = min((row.depth for row in self.rows), default=0)
        costs = [_cost(row) for row in self.rows if row.depth == top]
        found = [cost for cost in costs if cost is not None]
        return sum(found, start=Amount()) if found else None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.text()}

    def _html_table(self) -> str:
        columns = self._columns
        head = "".join(_html_head(column) for column in columns)
        body = "".join(_html_row(row, columns) for row in self.rows[:MAX_ROWS])
        if len(self.rows) > MAX_ROWS:
            body += f'<tr><td colspan="{len(columns)}" class="km-soft">{self._more()}</td></tr>'
        foot = "".join(
            f'<span class="km-total" data-total="{label.replace(" ", "-")}">{label} <b>{escape(value)}</b></span> '
            for label, value in self._summary
        )
        return (
            f"<table><caption>{escape(self.title or 'Layers')}</caption><thead><tr>{head}</tr></thead>"
            f'<tbody>{body}</tbody></table><div class="km-totals">{foot}</div>'
        )

    @functools.cached_property
    def _summary(self) -> list[tuple[str, str]]:
        counts = self.counted()
        found = [
            ("trainable", units.count(counts.trainable)),
            ("non-trainable", units.count(counts.non_trainable)),
            ("memory", units.memory(counts.size)),
        ]
        sizes = default_sizes(self.rows, self.batch)
        cost = self.multiply_adds()
        if cost is not None:
            found.append(("multiply-adds", f"{amount_text(cost)} a {'sample' if BATCH in sizes else 'call'}"))
        if self.memory is not None:
            at = ", ".join(f"{name} {size}" for name, size in sizes.items())
            parts = " + ".join(f"{label} {value}" for label, value in self.memory.parts(sizes))
            needed = units.memory(self.memory.at(sizes))
            found.append(("training step", f"{needed}{f' at {at}' if at else ''} = {parts}"))
            fits = self.memory.sentence(sizes)
            if fits:
                found.append(("limit", fits))
        return found

    @functools.cached_property
    def _columns(self) -> list[Column]:
        branches = _branches(self.rows)
        absent = {
            "line": all(row.line is None for row in self.rows),
            "status": all(row.status is None for row in self.rows),
            "cost": all(_cost(row) is None for row in self.rows),
            "from": not branches,
        }
        origin = Column("from", "input from", "left", lambda row: branches.get(id(row), ""))
        return [column for column in (*COLUMNS, origin) if not absent.get(column.key, False)]

    def _more(self) -> str:
        return f"{len(self.rows) - MAX_ROWS:,} more layers not shown"


def amount_text(amount: Amount | None) -> str:
    """Return an amount for one sample: numbers with units, and the open dimensions that are left.

    Example:

    >>> amount_text(Amount.product(118013952, "batch"))
    '118 M'
    >>> amount_text(Amount.product(6144, "batch", "t", "t") + Amount.product(2048, "batch", "t - 1"))
    '6.14 k·t² + 2.05 k·(t - 1)'
    """
    if amount is None:
        return units.NOTHING
    terms = []
    for names, number in sorted(amount.terms.items()):
        left = Counter(name for name in names if name != BATCH)
        factors = [
            f"{name if name.isidentifier() else f'({name})'}{_POWERS.get(count, f'^{count}')}"
            for name, count in left.items()
        ]
        terms.append("·".join([units.magnitude(number), *factors]))
    return " + ".join(terms) or "0"


_POWERS = {1: "", 2: "²", 3: "³"}


def _cost(row: ShapeRow) -> Amount | None:
    return getattr(row, "multiply_adds", None)


def _cost_text(row: ShapeRow) -> str:
    cost = _cost(row)
    # A zero says nothing: most layers multiply nothing, and the others are found at once.
    return "" if cost is not None and not cost else amount_text(cost)


def _branches(rows: Sequence[ShapeRow]) -> dict[int, str]:
    """Return where rows get their inputs, by ``id``, for those that do not continue the row above."""
    around = _around(rows)
    found: dict[int, str] = {}
    for row, above in zip(rows, _expected(rows), strict=True):
        origins = sources(row)
        if origins and origins not in above and all(name in around for name in origins):
            # What is deeper inside a block may be folded away: the block is named.
            shown = [around[name][min(row.depth, len(around[name]) - 1)] for name in origins]
            found[id(row)] = ", ".join(dict.fromkeys(shown))
    return found


def _around(rows: Sequence[ShapeRow]) -> dict[str, list[str]]:
    """Return for each row the names of the rows it is inside of, from the outermost one, and its own."""
    path: list[str] = []
    found: dict[str, list[str]] = {}
    for row in rows:
        path = [*path[: row.depth], row.name]
        found.setdefault(row.name, path)
    return found


def _expected(rows: Sequence[ShapeRow]) -> Iterable[Sequence[tuple[str, ...]]]:
    """Yield what each row gets its input from if it just goes on.

    That is the row above it at its depth, the last row inside that one, or what flows into the block that it opens.
    """
    last: dict[int, list[tuple[str, ...]]] = {}
    opened: dict[int, tuple[str, ...]] = {}
    for row in rows:
        for depth in [depth for depth in last if depth > row.depth]:
            del last[depth]
        for depth in [depth for depth in last if depth < row.depth]:
            last[depth] = [last[depth][0], (row.name,)]
        yield last.get(row.depth) or [opened.get(row.depth - 1, ())]
        last[row.depth] = [(row.name,)]
        opened[row.depth] = sources(row)


def _layer_name(row: ShapeRow) -> str:
    return "  " * row.depth + row.name


COLUMNS = (
    Column("line", "line", "right", lambda row: "" if row.line is None else str(row.line)),
    Column("name", "layer", "left", _layer_name),
    Column("kind", "kind", "left", lambda row: row.kind),
    Column("shape", "output shape", "left", lambda row: shape_text(row.output_shape)),
    Column("dtype", "type", "left", lambda row: row.dtype),
    Column("parameters", "parameters", "right", lambda row: f"{row.parameters:,}"),
    Column("cost", "multiply-adds", "right", _cost_text, title="for one sample"),
    Column("status", "weights", "left", lambda row: row.status or ""),
)


def _html_head(column: Column) -> str:
    title = f' title="{column.title}"' if column.title else ""
    return f'<th scope="col" class="km-{column.align}"{title}>{column.heading}</th>'


def _html_row(row: ShapeRow, columns: Iterable[Column]) -> str:
    cells = "".join(_html_cell(row, column) for column in columns)
    frozen = "" if row.trainable or not row.parameters else ' data-frozen=""'
    depth = f' data-depth="{row.depth}"' if row.depth else ""
    return f'<tr data-layer="{escape(row.name)}"{depth}{frozen}>{cells}</tr>'


def _html_cell(row: ShapeRow, column: Column) -> str:
    if column.key == "name":
        indent = f' style="--km-depth: {row.depth}"' if row.depth else ""
        return f'<th scope="row" class="km-left km-name"{indent}>{escape(row.name)}</th>'
    status = f' data-status="{escape(row.status)}"' if column.key == "status" and row.status else ""
    if column.key == "parameters" and row.parameters and not row.trainable:
        status = ' title="not trained"'
    return f'<td class="km-{column.align} km-{column.key}"{status}>{escape(column.text(row))}</td>'


def _count(rows: Sequence[ShapeRow]) -> Totals:
    top = min((row.depth for row in rows), default=0)
    outer = [row for row in rows if row.depth == top]
    trainable = sum(row.parameters for row in outer if row.trainable)
    total = sum(row.parameters for row in outer)
    return Totals(trainable, total - trainable, sum(row.parameters * bits(row.dtype) for row in outer) // 8)


def _aligned(cells: Sequence[Sequence[str]], align: Sequence[str]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        padded = [
            text.rjust(width) if side == "right" else text.ljust(width)
            for text, width, side in zip(row, widths, align, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return lines
