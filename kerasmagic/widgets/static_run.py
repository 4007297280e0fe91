"""A run as something that outlives its kernel: HTML with inline SVG, a PNG, and text.

The HTML uses the style sheet and class names of the live view, so the picture that replaces
the widget at the end of a run looks like it.
"""

from __future__ import annotations

import dataclasses
from html import escape
from typing import Any

from kerasmagic.foundation import options
from kerasmagic.widgets import units
from kerasmagic.widgets.assets import styles
from kerasmagic.widgets.chart import charts
from kerasmagic.widgets.controls import listed
from kerasmagic.widgets.readout import (
    Figure,
    Readout,
    constant_text,
    readout,
    summary_text,
)
from kerasmagic.widgets.reducer import RunState
from kerasmagic.widgets.static_chart import chart_figures
from kerasmagic.widgets.static_table import epoch_table
from kerasmagic.widgets.static_weights import advice_html, weights_html
from kerasmagic.widgets.wire import script

PNG_HISTOGRAMS = 24


def bundle(state: RunState) -> dict[str, Any]:
    """Return the run as ``text/plain``, ``text/html`` and ``image/png`` where matplotlib is installed.

    A deterministic bundle has a constant text and no HTML: tools that compare outputs skip pictures only.

    Example:

    >>> with options.scoped(deterministic=True):
    ...     bundle(RunState())["text/plain"]
    'Training'
    """
    picture = png(state)
    shown: dict[str, Any] = {} if picture is None else {"image/png": picture}
    if options.deterministic():
        return {**shown, "text/plain": constant_text(state.plan)}
    return {**shown, "text/html": html(state), "text/plain": summary_text(state)}


def kept(state: RunState) -> dict[str, Any]:
    """Return what stays of a run that is still on, if its kernel ends before it: HTML without a script, and text.

    >>> with options.scoped(deterministic=True):
    ...     kept(RunState())
    {'text/plain': 'Training'}
    """
    if options.deterministic():
        return {"text/plain": constant_text(state.plan)}
    note = f"Kept at step {units.count(state.position)}, while the run was on: its end was not seen."
    state = dataclasses.replace(state, message=state.message or note)
    shown = dataclasses.replace(readout(state), state="stopped", status=f"{state.status}, as last seen")
    return {"text/html": html(state, shown, scripted=False), "text/plain": summary_text(state)}


def html(state: RunState, shown: Readout | None = None, *, scripted: bool = True) -> str:
    """Return a self-contained fragment of HTML; names are escaped and nothing is loaded.

    Where scripts run, its charts answer to the pointer; elsewhere they are the same pictures without that.

    Args:
        state: The run.
        shown: Its texts, where they are others than the state says.
        scripted: Whether to bring the script with it.
    """
    shown = shown or readout(state)
    content = (
        _head(shown),
        _figures(shown),
        _bar(shown),
        _times(shown),
        f'<div class="km-message">{escape(shown.message)}</div>',
        advice_html(state.advice),
        chart_html(state, shown),
        listed(state.controls),
        weights_html(state),
        epoch_table(state),
    )
    return framed(state, shown, f"Training of {shown.title}: {shown.status}", "".join(content), scripted)


def framed(state: RunState, shown: Readout, label: str, content: str, scripted: bool = True) -> str:
    """Return ``content`` with the style sheet and the script of the charts in it.

    Args:
        state: The run whose charts are in the content.
        shown: Its texts.
        label: What the whole is, for those who do not see it.
        content: HTML.
        scripted: Whether to bring the script.
    """
    key, code = script(charts(state)) if scripted else ("", "")
    return (
        f"<style>{styles('training/training.css', 'training/weights.css')}</style>"
        f'<div class="km-training km-static" data-state="{shown.state}" data-charts="{key}" role="group" '
        f'aria-label="{escape(label)}">{content}</div>{code}'
    )


def chart_html(state: RunState, shown: Readout) -> str:
    """Return the charts of a run, and how many earlier runs are drawn behind."""
    note = f'<span class="km-soft km-toolbar-note">{escape(shown.earlier)}</span>'
    return f'<div class="km-toolbar">{note}</div>{chart_figures(charts(state), shown)}'


def _head(shown: Readout) -> str:
    return (
        f'<div class="km-head"><span class="km-title">{escape(shown.title)}</span> '
        f'<span class="km-about">{escape(shown.about)}</span> '
        f'<span class="km-status">{escape(shown.status)}</span></div>'
    )


def _figures(shown: Readout) -> str:
    main = "".join(_figure(figure) for figure in shown.main)
    small = "".join(_figure(figure) for figure in shown.figures)
    return f'<div class="km-figures">{main}<div class="km-small">{small}</div></div>'


def _figure(figure: Figure) -> str:
    # Words in a row, which the style sheet puts below each other: so they read well without it.
    return (
        f'<div class="km-figure" data-figure="{figure.name}">'
        f'<span class="km-label">{escape(figure.label)}</span> '
        f'<span class="km-value">{escape(figure.value)}</span> '
        f'<span class="km-note">{escape(figure.note)}</span></div>'
    )


def _times(shown: Readout) -> str:
    shares = "".join(
        f'<div class="km-time" data-time="{part.name}" style="flex-grow: {part.share:.4f}"></div>'
        for part in shown.times
    )
    labels = " ".join(
        f'<span class="km-time-label" data-time="{part.name}"><span class="km-time-swatch"></span>'
        f"<span>{escape(part.label)}</span> <b>{escape(part.value)}</b></span>"
        for part in shown.times
    )
    return (
        '<div class="km-times" role="group" aria-label="Time spent">'
        f'<div class="km-times-bar">{shares}</div><div class="km-times-labels">{labels}</div> '
        f'<span class="km-times-note">{escape(shown.compiled)}</span></div>'
    )


def _bar(shown: Readout) -> str:
    percent = 100.0 * shown.progress
    return (
        '<div class="km-bar" data-bar="run" role="progressbar" aria-label="Training progress" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent:.0f}" '
        f'aria-valuetext="{escape(shown.progress_text)}">'
        f'<div style="width: {percent:.2f}%"></div></div>'
    )


def png(state: RunState) -> bytes | None:
    """Return the curves and histograms as a PNG of about 880 pixels, or ``None`` without matplotlib."""
    try:
        from kerasmagic.widgets import picture
    except ImportError:
        return None
    return picture.draw(state, PNG_HISTOGRAMS)
