"""What an array holds, in a few numbers: a large one is summed up where it is, and only a sample is taken out."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.training.events import Histogram

BINS = 40
# Larger arrays have a histogram of a sample only.
SAMPLE = 100_000
# What is worked on at a time stays in the processor's cache.
CHUNK = 1 << 16


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Values of an array: of the finite ones ``low``, ``high``, ``mean`` and ``std``.

    ``zeros`` and ``bad`` (NaN and infinite) are counts. ``histogram`` counts all values, or ``sample`` of them
    where that is not 0.
    """

    size: int
    low: float
    high: float
    mean: float
    std: float
    zeros: int
    bad: int
    histogram: Histogram
    sample: int = 0


def statistics(value: Any, bins: int = BINS) -> Statistics | None:
    """Return the statistics of an array of any shape, or ``None`` where there is nothing to measure.

    Example:

    >>> found = statistics(np.array([0.0, 1.0, 2.0, np.inf]), bins=2)
    >>> found.low, found.high, found.mean, found.zeros, found.bad, found.histogram.counts.tolist()
    (0.0, 2.0, 1.0, 1, 1, [1.0, 2.0])
    """
    if not hasattr(value, "dtype") or not _is_number(value.dtype) or not value.size:
        return None
    stride = (-(-value.size // SAMPLE) | 1) if value.size > 2 * SAMPLE else 1
    if _on_host(value):
        flat = np.asarray(value).reshape(-1)
        numbers, sample = _sums(flat), flat[::stride]
    else:
        numbers, sample = map(np.asarray, _on_device(value, stride=stride))
    low, high, mean, std, zeros, bad = (float(number) for number in numbers)
    taken = _plain(sample).astype(np.float64)
    found = Histogram(_counts(taken[np.isfinite(taken)], low, high, bins), low, high)
    size = len(taken) if stride > 1 else 0
    return Statistics(value.size, low, high, mean, std, round(zeros), round(bad), found, size)


def _is_number(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, jnp.bool_)


def _on_host(value: Any) -> bool:
    """Whether NumPy reads ``value`` where it is: its memory is this machine's, and in one piece."""
    return not isinstance(value, jax.Array) or (
        len(value.devices()) == 1 and all(device.platform == "cpu" for device in value.devices())
    )


def _plain(values: np.ndarray) -> np.ndarray:
    return np.abs(values) if np.iscomplexobj(values) else values


def _sums(flat: np.ndarray) -> tuple[float, ...]:
    """Return ``low, high, mean, std, zeros, bad`` of an array ``(n,)``, chunk by chunk."""
    low, high, total, squares, count, zeros = math.inf, -math.inf, 0.0, 0.0, 0, 0
    origin = None
    # float32 holds all that smaller types do.
    wide = np.float32 if flat.dtype == np.float32 or flat.dtype.itemsize < 4 else np.float64
    for start in range(0, len(flat), CHUNK):
        chunk = _plain(flat[start : start + CHUNK])
        chunk = chunk.astype(wide, copy=False)
        with np.errstate(over="ignore", invalid="ignore"):
            finite = math.isfinite(chunk.sum())
        if not finite:
            chunk = chunk[np.isfinite(chunk)]
        if not chunk.size:
            continue
        # Squares of what is left after a value nearby keep their digits.
        origin = float(chunk.mean()) if origin is None else origin
        low, high = min(low, float(chunk.min())), max(high, float(chunk.max()))
        zeros += chunk.size - int(np.count_nonzero(chunk))
        chunk = chunk - chunk.dtype.type(origin)
        total, squares = total + float(chunk.sum()), squares + float(chunk @ chunk)
        count += chunk.size
    if origin is None:
        return 0.0, 0.0, 0.0, 0.0, 0, len(flat)
    mean = total / count
    variance = max(squares / count - mean * mean, 0.0)
    return low, high, origin + mean, math.sqrt(variance), zeros, len(flat) - count


def _counts(values: np.ndarray, low: float, high: float, bins: int) -> np.ndarray:
    width = high - low
    if width <= 0.0:
        counts = np.zeros(bins)
        counts[bins // 2] = values.size
        return counts
    # Times before division: the product of width and bins may be too large for a float.
    places = np.clip(((values - low) / width * bins).astype(np.int64), 0, bins - 1)
    return np.bincount(places, minlength=bins).astype(np.float64)


@functools.partial(jax.jit, static_argnames="stride")
def _on_device(value: Any, *, stride: int) -> tuple[Any, Any]:
    """Return ``low, high, mean, std, zeros, bad`` in one array, and every ``stride``-th value."""
    numbers = jnp.abs(value) if jnp.iscomplexobj(value) else value
    flat = numbers.reshape(-1).astype(jnp.float32)
    finite = jnp.isfinite(flat)
    count = jnp.maximum(jnp.sum(finite, dtype=jnp.float32), 1.0)
    mean = jnp.sum(jnp.where(finite, flat, 0.0)) / count
    spread = jnp.sum(jnp.where(finite, (flat - mean) ** 2, 0.0)) / count
    low = jnp.min(jnp.where(finite, flat, jnp.inf))
    high = jnp.max(jnp.where(finite, flat, -jnp.inf))
    known = low <= high
    zeros = jnp.sum(flat == 0.0, dtype=jnp.float32)
    bad = jnp.sum(~finite, dtype=jnp.float32)
    numbers = [jnp.where(known, low, 0.0), jnp.where(known, high, 0.0), mean, jnp.sqrt(spread), zeros, bad]
    return jnp.stack(numbers), flat[::stride]
