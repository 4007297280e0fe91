"""A table of text with ruled lines, in columns of fixed width; long cells go on in the next line."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence


def boxed(header: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int], sides: str) -> str:
    """Return a ruled table.

    Args:
        header: The heads of the columns.
        rows: The cells of each row.
        widths: The number of letters in each column.
        sides: For each column where its text stands: ``<``, ``>`` or ``^``.

    >>> print(boxed(["Name", "Size"], [["one two", "12"], ["a_long_word", "3"]], [6, 4], "<>"))
    ┏━━━━━━━━┳━━━━━━┓
    ┃ Name   ┃ Size ┃
    ┡━━━━━━━━╇━━━━━━┩
    │ one    │   12 │
    │ two    │      │
    ├────────┼──────┤
    │ a_lon… │    3 │
    └────────┴──────┘
    """

    def rule(left: str, fill: str, cross: str, right: str) -> str:
        return left + cross.join(fill * (width + 2) for width in widths) + right

    def row(cells: Sequence[str], bar: str) -> str:
        columns = [wrapped(cell, width) for cell, width in zip(cells, widths, strict=True)]
        return "\n".join(
            bar
            + bar.join(
                f" {text:{side}{width}} " for text, side, width in zip(line, sides, widths, strict=True)
            )
            + bar
            for line in itertools.zip_longest(*columns, fillvalue="")
        )

    between = f"\n{rule('├', '─', '┼', '┤')}\n"
    parts = [rule("┏", "━", "┳", "┓"), row(header, "┃"), rule("┡", "━", "╇", "┩")]
    if rows:
        parts.append(between.join(row(cells, "│") for cells in rows))
    return "\n".join([*parts, rule("└", "─", "┴", "┘")])


def wrapped(text: str, width: int) -> list[str]:
    """Return ``text`` as lines of at most ``width`` letters, broken between words; a longer word is cut.

    >>> wrapped("dense_12345 (Dense)", 9)
    ['dense_12…', '(Dense)']
    """
    lines = [""]
    for word in re.findall(r"\s*\S+\s*", text):
        if lines[-1] and len(lines[-1]) + len(word.rstrip()) > width:
            lines.append("")
        lines[-1] += word
    lines = [line.rstrip() for line in lines]
    return [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines]


def shared_widths(total: int, ends: Sequence[float]) -> list[int]:
    """Return the widths of columns without their borders, in a table ``total`` letters wide.

    Args:
        total: The width of the table.
        ends: Where each column ends, as a share of the whole.

    >>> shared_widths(76, [0.45, 0.8, 1.0])
    [31, 22, 13]
    """
    places = [0, *(int(end * total) for end in ends)]
    widths = [right - left for left, right in itertools.pairwise(places)]
    # The lines and the spaces around each cell are taken from all columns alike.
    borders = 3 * len(widths) + 1
    for index in range(len(widths)):
        share = round(borders / (len(widths) - index))
        widths[index] -= share
        borders -= share
    return widths
