"""What opens below a row of a shape table: the histograms of its weights, and of its output where a run knows it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from kerasmagic.training.events import Histogram, LayerSeen
from kerasmagic.widgets import units
from kerasmagic.widgets.reducer import bins
from kerasmagic.widgets.shapes import shape_text
from kerasmagic.widgets.static_weights import histogram_svg
from kerasmagic.widgets.variable_view import Seen, figures

MAX_SHOWN = 24
SIZE = (210, 60)


def html(
    seen: Sequence[tuple[Seen, Histogram | None]],
    count: int,
    outputs: Sequence[tuple[str, LayerSeen]] = (),
    note: str = "",
) -> str:
    """Return histograms as HTML that loads nothing; every name in it is escaped.

    Args:
        seen: Variables; with each what a run that is on saw of it last.
        count: How many there are.
        outputs: What a run saw of layers' outputs, by name.
        note: When that was.

    Example:

    >>> html([], 0)
    '<p class="km-soft">no weights</p>'
    """
    parts = [_variable(one, running) for one, running in seen]
    parts += [_output(name, layer) for name, layer in outputs]
    if not parts:
        return '<p class="km-soft">no weights</p>'
    more = f"{units.count(count - len(seen))} more weights not shown" if count > len(seen) else ""
    told = " · ".join(part for part in (note, more) if part)
    note_html = f'<p class="km-soft">{escape(told)}</p>' if told else ""
    return f'{note_html}<div class="km-detail-figures">{"".join(parts)}</div>'


def _variable(seen: Seen, running: Histogram | None) -> str:
    about = f"{shape_text(seen.shape)} {seen.dtype}"
    if running is not None:
        return _figure(seen.path, about, running, _bad(running.bad))
    if seen.statistics is None:
        return _frame(seen.path, about, f'<div class="km-soft km-detail-reason">{escape(seen.reason)}</div>')
    found = seen.statistics
    told = [f"{name} {value}" for name, value in figures(found) if name not in ("min", "max")]
    if found.sample:
        told.append(f"of {units.count(found.sample)} values")
    return _figure(seen.path, about, found.histogram, ", ".join(told))


def _output(name: str, layer: LayerSeen) -> str:
    return _figure(name, "output", layer.histogram, _bad(layer.histogram.bad))


def _bad(count: int) -> str:
    return f"{units.count(count)} not finite" if count else ""


def _figure(name: str, about: str, histogram: Histogram, told: str) -> str:
    low, high = units.short_number(histogram.low), units.short_number(histogram.high)
    summary = f"{name}: values from {low} to {high}" + (f", {told}" if told else "")
    drawn = histogram_svg(np.asarray(bins(histogram)), summary, *SIZE)
    ends = f'<div class="km-detail-range"><span>{low}</span> <span>{high}</span></div>'
    return _frame(name, about, f'{drawn}{ends}<div class="km-soft km-detail-told">{escape(told)}</div>')


def _frame(name: str, about: str, content: str) -> str:
    short = name.rpartition("/")[2] or name
    return (
        f'<figure><figcaption title="{escape(name)}">{escape(short)} <span class="km-soft">{escape(about)}</span>'
        f"</figcaption>{content}</figure>"
    )
