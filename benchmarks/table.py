"""Figures of several peers as a table of medians and of ratios to one of them."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Row:
    """One figure, measured several times for each peer."""

    figure: str
    values: dict[str, list[float]]


def rows_of(figures: Mapping[str, Sequence[Mapping[str, float]]]) -> list[Row]:
    """Return a row for each figure, from what each peer measured in each round.

    >>> rows_of({"ours": [{"total_s": 1.0}], "keras": [{"total_s": 4.0}]})
    [Row(figure='total_s', values={'ours': [1.0], 'keras': [4.0]})]
    """
    names = dict.fromkeys(name for rounds in figures.values() for one in rounds for name in one)
    return [
        Row(name, {peer: [one[name] for one in rounds if name in one] for peer, rounds in figures.items()})
        for name in names
    ]


def table(
    rows: Iterable[Row], reference: str, higher: frozenset[str], no_ratio: frozenset[str] = frozenset()
) -> str:
    """Return the rows as text: median, and how many times better than the reference, with its range.

    A ratio is taken within a round, where both ran on the machine as it was then. Above 1 is better than the
    reference for every figure: more samples a second, or fewer seconds, bytes.

    >>> print(table([Row("total_s", {"ours": [1.0, 2.0], "keras": [4.0, 4.0]})], "keras", frozenset()))
    figure   peer   median  times better than keras
    total_s  ours   1.5     3.00 (2.00 to 4.00)
    total_s  keras  4       1.00 (1.00 to 1.00)
    """
    lines = [("figure", "peer", "median", f"times better than {reference}")]
    for row in rows:
        for peer, values in row.values.items():
            if not values:
                continue
            ratios = [] if row.figure in no_ratio else _ratios(row, peer, reference, row.figure in higher)
            shown = (
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if ratios else ""
            )
            lines.append((row.figure, peer, f"{statistics.median(values):.4g}", shown))
    widths = [max(len(line[i]) for line in lines) for i in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[3]]).rstrip()
        for line in lines
    )


def _ratios(row: Row, peer: str, reference: str, higher: bool) -> list[float]:
    pairs = zip(row.values[peer], row.values.get(reference, ()), strict=False)
    return [ours / theirs if higher else theirs / ours for ours, theirs in pairs if ours and theirs]
