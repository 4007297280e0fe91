"""The table of a model's layers with their shapes: a real HTML table and an aligned text.

Nothing in it changes between two runs of the same cell, so it can be compared and kept.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any, Literal

from kerasmagic.widgets import shape_script, units
from kerasmagic.widgets.assets import static
from kerasmagic.widgets.shapes import ShapeRow, bits, shape_text

MAX_ROWS = 400


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


@dataclasses.dataclass(frozen=True)
class ShapeTable:
    """A model's layers as a table that notebooks, browsers and terminals can show.

    Args:
        rows: The layers in order.
        title: The model's name.
        totals: The model's parameters; by default each row counts whole as trainable or not, which
            is wrong for layers that hold both (BatchNormalization).

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

    def text(self) -> str:
        """Return the table as aligned lines of text."""
        columns = self._columns()
        shown = self.rows[:MAX_ROWS]
        cells = [
            [column.heading for column in columns],
            *[[column.text(row) for column in columns] for row in shown],
        ]
        lines = [self.title] if self.title else []
        lines += _aligned(cells, [column.align for column in columns])
        if len(self.rows) > MAX_ROWS:
            lines.append(self._more())
        summary = [[label, value] for label, value in _summary(self.counted())]
        width = max(len(value) for _, value in summary[:2])
        summary[:2] = [[label, value.rjust(width)] for label, value in summary[:2]]
        return "\n".join([*lines, "", *_aligned(summary, ["left", "left"])])

    def html(self) -> str:
        """Return the table as HTML that loads nothing; every name in it is escaped.

        Where scripts run, the table becomes live: it gets a field for each open dimension, shapes in
        numbers and the memory of the outputs. Elsewhere it is the same table without those.
        """
        table = self._html_table()
        data = shape_script.describe(self.rows)
        # Equal tables on one page share the key: the script of either makes both live, and only once.
        key = hashlib.sha256((table + data).encode()).hexdigest()[:12]
        return (
            f"<style>{static('shape_table.css')}</style>"
            f'<div class="km-shape-table" data-state="static" data-table="{key}">{table}</div>'
            f"{shape_script.element(key, data)}"
        )

    def counted(self) -> Totals:
        """Return the totals that were given, or those of the outermost rows."""
        return self.totals or _count(self.rows)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.text()}

    def _html_table(self) -> str:
        columns = self._columns()
        head = "".join(
            f'<th scope="col" class="km-{column.align}">{column.heading}</th>' for column in columns
        )
        body = "".join(_html_row(row, columns) for row in self.rows[:MAX_ROWS])
        if len(self.rows) > MAX_ROWS:
            body += f'<tr><td colspan="{len(columns)}" class="km-soft">{self._more()}</td></tr>'
        foot = "".join(
            f'<span class="km-total" data-total="{label}">{label} <b>{value}</b></span> '
            for label, value in _summary(self.counted())
        )
        return (
            f"<table><caption>{escape(self.title or 'Layers')}</caption><thead><tr>{head}</tr></thead>"
            f'<tbody>{body}</tbody></table><div class="km-totals">{foot}</div>'
        )

    def _columns(self) -> list[Column]:
        absent = {
            "line": all(row.line is None for row in self.rows),
            "status": all(row.status is None for row in self.rows),
        }
        return [column for column in COLUMNS if not absent.get(column.key, False)]

    def _more(self) -> str:
        return f"{len(self.rows) - MAX_ROWS:,} more layers not shown"


def _layer_name(row: ShapeRow) -> str:
    return "  " * row.depth + row.name


COLUMNS = (
    Column("line", "line", "right", lambda row: "" if row.line is None else str(row.line)),
    Column("name", "layer", "left", _layer_name),
    Column("kind", "kind", "left", lambda row: row.kind),
    Column("shape", "output shape", "left", lambda row: shape_text(row.output_shape)),
    Column("dtype", "type", "left", lambda row: row.dtype),
    Column("parameters", "parameters", "right", lambda row: f"{row.parameters:,}"),
    Column("status", "weights", "left", lambda row: row.status or ""),
)


def _html_row(row: ShapeRow, columns: Iterable[Column]) -> str:
    cells = "".join(_html_cell(row, column) for column in columns)
    frozen = "" if row.trainable or not row.parameters else ' data-frozen=""'
    return f'<tr data-layer="{escape(row.name)}"{frozen}>{cells}</tr>'


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


def _summary(totals: Totals) -> list[tuple[str, str]]:
    return [
        ("trainable", units.count(totals.trainable)),
        ("non-trainable", units.count(totals.non_trainable)),
        ("memory", units.memory(totals.size)),
    ]


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
