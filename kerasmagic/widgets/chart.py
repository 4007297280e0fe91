"""What a chart of a run shows, before any pixels: series, ranges, ticks and the summary in words.

The canvas, the SVG and the PNG all draw this description, so they cannot disagree.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Literal

import numpy as np

from kerasmagic.widgets import units
from kerasmagic.widgets.curve import Curve, thinned
from kerasmagic.widgets.reducer import RUNNING, Best, RunState, lower_is_better, main_metric

MAX_CHARTS = 6
# More points than this a chart has no pixels for.
MAX_SHOWN = 400
# Differences below this are nothing: a tick's label could not show them.
TINY = 1e-30

Tick = tuple[float, str]
Kind = Literal["earlier", "step", "epoch", "validation"]


@dataclasses.dataclass(frozen=True)
class Series:
    """One line: training by step (faint), training by epoch (solid), validation (dashed), or an earlier run.

    ``x`` and ``y`` have shape ``(n,)``; where ``y`` is not finite the line is broken.
    """

    kind: Kind
    x: np.ndarray
    y: np.ndarray


@dataclasses.dataclass(frozen=True)
class Axis:
    """The visible range of one axis, its ticks and what it counts.

    A place ``x`` on the axis reads as ``first + x / unit`` of what ``label`` names.
    """

    low: float
    high: float
    ticks: tuple[Tick, ...]
    label: str = ""
    unit: float = 1.0
    first: float = 0.0


@dataclasses.dataclass(frozen=True)
class Chart:
    """One metric's curves and everything around them.

    ``log`` is the axis to take in place of ``y`` for a logarithmic scale; ``None`` where nothing is positive.
    """

    name: str
    label: str
    series: tuple[Series, ...]
    x: Axis
    y: Axis
    log: Axis | None
    best: tuple[float, float] | None
    summary: str


def charts(state: RunState) -> tuple[Chart, ...]:
    """Return one chart for each metric, the loss first."""
    x = _x_axis(state)
    return tuple(_chart(state, name, x) for name in metric_names(state))


def metric_names(state: RunState) -> tuple[str, ...]:
    """Return the metrics that have a chart: those planned, then those that only appeared in the logs.

    Example:

    >>> metric_names(RunState())
    ()
    """
    planned = () if state.plan is None else ("loss", *state.plan.metrics)
    logged = {*state.train, *state.train_epochs, *state.validation}
    names = dict.fromkeys((*planned, *state.train, *state.train_epochs, *state.validation))
    shown = (name for name in names if name not in ("learning_rate", "lr") and (name in logged or not logged))
    return tuple(shown)[:MAX_CHARTS]


def words(metric: str) -> str:
    """Return a metric's name as words.

    Example:

    >>> words("val_mean_absolute_error")
    'validation mean absolute error'
    """
    full = f"validation {metric[4:]}" if metric.startswith("val_") else metric
    return full.replace("_", " ")


def nice_ticks(low: float, high: float, wanted: int = 4) -> tuple[float, ...]:
    """Return about ``wanted`` round numbers whose first and last enclose ``low`` and ``high``.

    Example:

    >>> nice_ticks(0.13, 0.97)
    (0.0, 0.25, 0.5, 0.75, 1.0)
    >>> nice_ticks(2.0, 2.0)
    (1.9, 1.95, 2.0, 2.05, 2.1)
    """
    if high - low <= max(1e-9 * max(abs(low), abs(high)), TINY):
        margin = abs(low) * 0.05 if abs(low) > TINY else 0.5
        low, high = low - margin, high + margin
    step = _nice_step((high - low) / wanted)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    decimals = max(0, 2 - math.floor(math.log10(step)))
    return tuple(round(index * step, decimals) + 0.0 for index in range(first, last + 1))


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Return a few round numbers whose first and last enclose the positive ``low`` and ``high``.

    Example:

    >>> log_ticks(0.03, 2.5), log_ticks(0.4, 0.45), log_ticks(1e-9, 1.0)
    ((0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0), (0.4, 0.42, 0.44, 0.46), (1e-10, ..., 0.01, 1.0))
    """
    if high < 3 * low:
        return nice_ticks(low, high)
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    if high > 300 * low:
        step = -(-(last - first) // 5)
        return tuple(
            float(f"1e{power}") for power in range(last - step * 5, last + 1, step) if power > first - step
        )
    fine = [float(f"{factor}e{power}") for power in range(first, last + 1) for factor in (1, 2, 5)]
    begin = max(tick for tick in fine if tick <= low * (1 + 1e-9))
    end = min(tick for tick in fine if tick >= high * (1 - 1e-9))
    return tuple(tick for tick in fine if begin <= tick <= end)


def _chart(state: RunState, name: str, x: Axis) -> Chart:
    sources: tuple[tuple[Kind, Curve | None], ...] = (
        ("step", state.train.get(name)),
        ("epoch", state.train_epochs.get(name)),
        ("validation", state.validation.get(name)),
    )
    lines = [Series(kind, *thinned(*curve.points(), MAX_SHOWN)) for kind, curve in sources if curve]
    series = (*_earlier(state, name, x), *lines)
    best = _best_of(state, name)
    return Chart(
        name=name,
        label=words(name),
        series=series,
        x=x,
        y=_y_axis(series),
        log=_log_axis(series),
        best=None if best is None else (best.x, best.value),
        summary=_summary(state, name, best),
    )


def _earlier(state: RunState, name: str, axis: Axis) -> Iterable[Series]:
    # Runs are compared by epoch: their batches may have been of another size.
    steps = state.steps or 1
    for run in state.earlier:
        if name in run.curves:
            x, y = run.curves[name]
            shown = x * steps <= axis.high
            if shown.any():
                yield Series("earlier", (x * steps)[shown], y[shown])


def _best_of(state: RunState, name: str) -> Best | None:
    return state.best if state.plan is not None and name == main_metric(state.plan) else None


def _summary(state: RunState, name: str, best: Best | None) -> str:
    parts = [f"training {units.number(state.latest.get(name))}"]
    if name in state.validation:
        parts.append(f"validation {units.number(state.latest.get(f'val_{name}'))}")
    text = f"{words(name)}: {', '.join(parts)} after {units.plural(state.ended, 'epoch')}"
    if best is None:
        return text
    superlative = "lowest" if lower_is_better(name) else "highest"
    return f"{text}; {superlative} {units.number(best.value)} at epoch {best.epoch + 1}"


def _x_axis(state: RunState) -> Axis:
    plan, steps = state.plan, state.steps
    if plan is None:
        return Axis(0.0, 1.0, ())
    planned = plan.epochs - plan.initial_epoch
    running = state.status in RUNNING
    if not steps or planned <= 1:
        end = planned * steps if steps and running else state.position
        high = float(max(end if steps else _round_up(end), 1)) if running else float(max(end, 1))
        return Axis(0.0, high, _whole_ticks(0.0, high, 1.0, 0), "step")
    reached = state.position / steps
    shown = min(planned, planned if planned <= 12 else _round_up(reached)) if running else max(reached, 0.0)
    high = float(shown * steps) or 1.0
    ticks = _whole_ticks(0.0, high, float(steps), plan.initial_epoch)
    return Axis(0.0, high, ticks, "epoch", float(steps), float(plan.initial_epoch))


def _whole_ticks(low: float, high: float, unit: float, first: int) -> tuple[Tick, ...]:
    step = max(1, round(_nice_step((high - low) / unit / 5)))
    start = math.ceil(first / step) * step
    labels = range(start, math.floor(first + high / unit + 1e-9) + 1, step)
    return tuple(((label - first) * unit, units.count(label)) for label in labels)


def _round_up(value: float) -> int:
    # The axis grows in few large strides, so that the curve is not squeezed with every update.
    power = 10
    while True:
        for factor in (1, 2, 5):
            if factor * power >= value:
                return factor * power
        power *= 10


def _finite(series: Iterable[Series]) -> np.ndarray:
    values = np.concatenate([line.y for line in series] or [np.zeros(0)])
    return values[np.isfinite(values)]


def _log_axis(series: Iterable[Series]) -> Axis | None:
    values = _finite(series)
    values = values[values > TINY]
    if not values.size:
        return None
    ticks = log_ticks(float(values.min()), float(values.max()))
    return Axis(ticks[0], ticks[-1], tuple((tick, f"{tick:g}") for tick in ticks))


def _y_axis(series: Iterable[Series]) -> Axis:
    values = _finite(series)
    if not values.size:
        return Axis(0.0, 1.0, ())
    ticks = nice_ticks(float(values.min()), float(values.max()))
    return Axis(ticks[0], ticks[-1], tuple((tick, _tick_label(tick, ticks)) for tick in ticks))


def _tick_label(tick: float, ticks: tuple[float, ...]) -> str:
    step = ticks[1] - ticks[0]
    largest = max(abs(ticks[0]), abs(ticks[-1]))
    if largest >= 1e5 or step < 1e-4:
        return f"{tick:.1e}" if tick else "0"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if not math.isclose(round(step, decimals), step, rel_tol=1e-6):
        decimals += 1
    return f"{tick:.{decimals}f}"


def _nice_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(max(rough, 1e-300)))
    return next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= rough * 0.999)
