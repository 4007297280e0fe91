"""What is measured of the weights while they train; only the bins leave the device."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.training.events import Histogram

BINS = 40


def histograms(names: Sequence[str], values: Sequence[Any], bins: int = BINS) -> dict[str, Histogram]:
    """Return a histogram of each array, computed by one program and still on the device.

    >>> import jax.numpy as jnp
    >>> seen = histograms(["kernel"], [jnp.array([0.0, 1.0, 1.0])], bins=2)["kernel"]
    >>> seen.counts.tolist(), float(seen.low), float(seen.high)
    ([1, 2], 0.0, 1.0)
    """
    return dict(zip(names, _histograms(list(values), bins=bins), strict=True))


@functools.partial(jax.jit, static_argnames="bins")
def _histograms(values: list[Any], *, bins: int) -> list[Histogram]:
    return [_histogram(value, bins) for value in values]


def _histogram(value: Any, bins: int) -> Histogram:
    flat = value.reshape(-1).astype(jnp.float32)
    finite = jnp.isfinite(flat)
    low = jnp.min(jnp.where(finite, flat, jnp.inf), initial=jnp.inf)
    high = jnp.max(jnp.where(finite, flat, -jnp.inf), initial=-jnp.inf)
    low, high = jnp.where(low <= high, low, 0.0), jnp.where(low <= high, high, 0.0)
    width = jnp.where(high > low, high - low, 1.0)
    place = jnp.clip(((flat - low) / width * bins).astype(jnp.int32), 0, bins - 1)
    counts = jnp.zeros(bins, jnp.int32).at[place].add(finite.astype(jnp.int32))
    return Histogram(counts, low, high)


jax.tree_util.register_dataclass(Histogram, data_fields=["counts", "low", "high"], meta_fields=[])
