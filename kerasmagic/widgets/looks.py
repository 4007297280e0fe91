"""Looks into a model as HTML that needs nothing: rows that open, and pictures of kernels and attention.

What is shown is an object of the library with the numbers; here it is only drawn.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from kerasmagic.widgets import images, units
from kerasmagic.widgets.assets import styles
from kerasmagic.widgets.reducer import bins
from kerasmagic.widgets.static_weights import histogram_svg

Bundle = dict[str, Any]

MAX_ROWS = 500
MAX_MAPS = 48
# The width that pictures may take, and what a cell of one is at most, in pixels.
WIDTH, HEIGHT, LARGEST_CELL = 760, 420, 12


def weights(shown: Any, include: Any = None, exclude: Any = None) -> Bundle:
    """Return weights in numbers: a row for each layer, which opens to its histograms."""
    groups = [(layer, list(rows)) for layer, rows in itertools.groupby(shown.rows, lambda row: row.layer)]
    parts = [_row(rows, f"{layer}", rows[0].kind, _weights_about(rows)) for layer, rows in groups[:MAX_ROWS]]
    return _table(shown, parts, len(groups), "layers")


def activations(shown: Any, include: Any = None, exclude: Any = None) -> Bundle:
    """Return the outputs of layers in numbers: a row for each, which opens to its histogram."""
    parts = [_row([row], row.name, row.kind, _output_about(row)) for row in shown.rows[:MAX_ROWS]]
    return _table(shown, parts, len(shown.rows), "outputs")


def kernels(shown: Any, include: Any = None, exclude: Any = None) -> Bundle:
    """Return kernels as one picture."""
    tiles = np.asarray(shown.tiles)
    colour = tiles.ndim == 4
    columns = min(shown.columns, len(tiles))
    page = images.tiled(tiles, columns)
    largest = shown.largest or 1.0
    # 0 is the middle of each colour; the gaps are white.
    coloured = np.where(np.isnan(page), 1.0, 0.5 + page / (2 * largest))
    png = images.coloured(coloured) if colour else images.signed(page, largest)
    text = repr(shown)
    legend = (
        "" if colour else f"blue above 0, orange below, full colour at {units.short_number(shown.largest)}"
    )
    content = f'{_head(text)}{_picture(png, page.shape[:2], text)}<div class="km-soft">{legend}</div>'
    return {"text/html": _framed(text, content), "text/plain": text}


def attention(shown: Any, include: Any = None, exclude: Any = None) -> Bundle:
    """Return attention maps: a picture for each head, queries down and keys across."""
    parts = []
    for name, one in shown.items():
        maps = np.asarray(one.weights)[:MAX_MAPS]
        figures = "".join(
            f"<figure>{_map(picture, name, head)}<figcaption>head {head + 1}, "
            f"spread {100 * float(spread):.0f} %</figcaption></figure>"
            for head, (picture, spread) in enumerate(zip(maps, one.entropy, strict=False))
        )
        more = f", {len(one.weights) - MAX_MAPS} more not shown" if len(one.weights) > MAX_MAPS else ""
        about = f"{maps.shape[1]} queries down, {maps.shape[2]} keys across{more}"
        parts.append(
            f'<div class="km-look-head"><b>{escape(name)}</b> <span class="km-soft">{about}</span></div>'
        )
        parts.append(f'<div class="km-look-maps">{figures}</div>')
    text = repr(shown)
    return {"text/html": _framed(text.partition("\n")[0], "".join(parts)), "text/plain": text}


def _map(weights: np.ndarray, name: str, head: int) -> str:
    largest = float(weights.max(initial=0.0)) or 1.0
    shades = np.round(255 * np.clip(np.nan_to_num(weights / largest), 0, 1))
    label = f"attention of {name}, head {head + 1}: largest weight {units.short_number(largest)}"
    return _picture(images.shaded(shades), weights.shape, label, width=180)


def _picture(png: bytes, size: Sequence[int], label: str, width: int = WIDTH) -> str:
    height, across = size
    scale = min(LARGEST_CELL, width / across, HEIGHT / height)
    # Whole pixels are equally large.
    scale = float(int(scale)) if scale >= 1 else scale
    return (
        f'<img class="km-look-picture" alt="{escape(label)}" title="{escape(label)}" width="{across * scale:.0f}" '
        f'height="{max(height * scale, 1):.0f}" src="{images.uri(png)}"/>'
    )


def _table(shown: Any, parts: list[str], count: int, noun: str) -> Bundle:
    more = (
        f'<div class="km-soft">{count - MAX_ROWS:,} more {noun} not shown</div>' if count > MAX_ROWS else ""
    )
    content = f'{_head(shown.title)}<div class="km-look-rows">{"".join(parts)}</div>{more}'
    return {"text/html": _framed(shown.title, content), "text/plain": repr(shown)}


def _row(rows: Sequence[Any], name: str, kind: str, about: Iterable[str]) -> str:
    cells = "".join(f"<span>{escape(text)}</span>" for text in about)
    small = histogram_svg(bins(rows[0].histogram), _summary(rows[0]), 90, 20)
    return (
        f'<details class="km-look-row"><summary><b>{escape(name)}</b> <span class="km-soft">{escape(kind)}</span> '
        f'{cells} {small}</summary><div class="km-look-open">{"".join(map(_opened, rows))}</div></details>'
    )


def _opened(row: Any) -> str:
    stride = row.histogram.stride
    sample = f", every {units.count(stride)}th value" if stride > 1 else ""
    low, high = units.short_number(row.low), units.short_number(row.high)
    return (
        f'<figure><figcaption>{escape(row.name)} <span class="km-soft">{row.shape} {row.dtype}{sample}</span>'
        f"</figcaption>{histogram_svg(bins(row.histogram), _summary(row), 320, 90)}"
        f'<div class="km-look-range"><span>{low}</span> <span>{high}</span></div></figure>'
    )


def _weights_about(rows: Sequence[Any]) -> list[str]:
    count = sum(int(np.prod(row.shape)) for row in rows)
    first = rows[0]
    bad = sum(row.bad for row in rows)
    return [
        units.plural(count, "weight"),
        f"{first.name.rpartition('/')[2]}: mean {units.short_number(first.mean)}, std {units.short_number(first.std)}",
        f"{bad:,} not finite" if bad else "",
    ]


def _output_about(row: Any) -> list[str]:
    dead = "" if row.dead != row.dead else f"{100 * row.dead:.0f} % dead"
    zeros = f"{100 * row.zeros:.0f} % zeros"
    bad = (
        f"{row.bad:,} not finite"
        if row.bad
        else f"mean {units.short_number(row.mean)}, std {units.short_number(row.std)}"
    )
    return [str(row.shape), bad, zeros, dead]


def _summary(row: Any) -> str:
    return (
        f"{row.name}: from {units.short_number(row.low)} to {units.short_number(row.high)}, "
        f"mean {units.short_number(row.mean)}, standard deviation {units.short_number(row.std)}"
    )


def _head(text: str) -> str:
    return f'<div class="km-look-head">{escape(text)}</div>'


def _framed(label: str, content: str) -> str:
    return (
        f"<style>{styles('objects.css', 'looks.css')}</style>"
        f'<div class="km-object km-look" role="group" aria-label="{escape(label)}">{content}</div>'
    )
