"""Numbers as categories: which bucket a value falls in, and vectors that say which categories occur.

Buckets of equal share come from a quantile summary: values in order, each with a weight, ``(2, size)``. Summaries
of parts of the data are merged and compressed on the host, in NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch

MODES = ("one_hot", "multi_hot", "count")

# Comparing with every boundary beats a binary search up to about this many, measured on a CPU.
_FEW = 16


def encode(x: jax.Array, depth: int, mode: str, dtype: Any, weights: jax.Array | None = None) -> jax.Array:
    """Return category numbers as vectors of length ``depth``.

    Args:
        x: Numbers of any shape; a scalar is a sample of one. What is no whole number in ``[0, depth)`` gives zeros.
        depth: How many categories there are.
        mode: ``"one_hot"``: one vector for each number, ``(..., n) -> (..., n, depth)``, a last axis of size 1
            becoming ``depth``. ``"multi_hot"`` and ``"count"``: one vector for each sample, of what occurs in it
            and of how often: ``(n,) -> (depth,)``, ``(batch, n, ...) -> (batch, ..., depth)``.
        dtype: The type of the result.
        weights: What each number counts in mode ``"count"``, in a shape that broadcasts to that of ``x``.

    >>> encode(jnp.array([[0, 2], [1, 1]]), 3, "count", "int32").tolist()
    [[1, 0, 1], [0, 2, 0]]
    """
    tokens = _tokens(x[None] if x.ndim == 0 else x, depth)
    if mode == "one_hot":
        shrunk = tokens[..., 0] if tokens.ndim > 1 and tokens.shape[-1] == 1 else tokens
        return jax.nn.one_hot(shrunk, depth, dtype=dtype)
    if mode == "multi_hot":
        return _scattered(tokens, depth, dtype)
    return _scattered(tokens, depth, dtype, _spread(weights, tokens.shape))


def _tokens(x: jax.Array, depth: int) -> jax.Array:
    """Return ``x`` as int32, with ``depth`` in place of what names no category."""
    tokens = x.astype(jnp.int32)
    return jnp.where((tokens == x) & (tokens >= 0) & (tokens < depth), tokens, depth)


def _spread(weights: jax.Array | None, shape: Sequence[Any]) -> jax.Array:
    weights = jnp.ones((), jnp.float32) if weights is None else weights
    # Open sizes are left to JAX, which knows which of them are equal.
    closed = all(isinstance(size, int) for size in (*weights.shape, *shape))
    if closed and not _broadcasts(weights.shape, tuple(shape)):
        raise ShapeMismatch(
            "`count_weights` must have the shape of the inputs, one weight for each number. Received: "
            f"count_weights of shape {weights.shape} for inputs of shape {tuple(shape)}"
        )
    return jnp.broadcast_to(weights, shape)


def _broadcasts(one: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether arrays of the shape ``one`` can be repeated to the shape ``to``."""
    pairs = zip(reversed(one), reversed(to), strict=False)
    return len(one) <= len(to) and all(size in (1, whole) for size, whole in pairs)


def _scattered(tokens: jax.Array, depth: int, dtype: Any, weights: jax.Array | None = None) -> jax.Array:
    """Return for each sample the sum of the weights of each category; 1 for what occurs where there are none.

    A vector for each number would be as long as all categories, and most of it zeros: this only touches what occurs.
    """
    axis = min(1, tokens.ndim - 1)
    tokens = jnp.moveaxis(tokens, axis, -1)
    lead, size = tokens.shape[:-1], tokens.shape[-1]
    rows = math.prod(lead)
    # Sums in 16 bits would stop growing early.
    wide = jnp.promote_types(dtype, jnp.float32) if jnp.issubdtype(dtype, jnp.floating) else dtype
    place = (jax.lax.broadcasted_iota(jnp.int32, (rows, size), 0), tokens.reshape((rows, size)))
    empty = jnp.zeros((rows, depth), wide)
    if weights is None:
        vectors = empty.at[place].set(1, mode="drop")
    else:
        values = jnp.moveaxis(weights, axis, -1).reshape((rows, size)).astype(wide)
        vectors = empty.at[place].add(values, mode="drop")
    return vectors.reshape((*lead, depth)).astype(dtype)


def bucketize(x: jax.Array, boundaries: Sequence[float]) -> jax.Array:
    """Return in which interval between the boundaries each value lies, as int32 in the shape of ``x``.

    A boundary belongs to the interval above it, and NaN to the last one. Boundaries may be decreasing: then the
    intervals are counted from the largest values.

    >>> bucketize(jnp.array([-1.0, 0.0, 0.5, 7.0]), [0.0, 1.0]).tolist()
    [0, 1, 1, 2]
    """
    if not len(boundaries):
        return jnp.zeros(x.shape, jnp.int32)
    method = "compare_all" if len(boundaries) <= _FEW else "scan"
    return jnp.digitize(x, jnp.asarray(list(boundaries)), method=method).astype(jnp.int32)


def summarize(values: np.ndarray, epsilon: float) -> np.ndarray:
    """Return a quantile summary of values: about ``1 / epsilon`` of them in order, each for as many.

    >>> summarize(np.array([3.0, 1.0, 2.0, 4.0], "float32"), 0.5).tolist()
    [[2.0, 4.0], [2.0, 2.0]]
    """
    values = np.sort(np.ravel(values))
    step = max(values.size / (1.0 / epsilon), 1.0)
    kept = values[int(step - 1) :: int(step)]
    return np.stack([kept, np.full_like(kept, step)])


def merge_summaries(one: np.ndarray, other: np.ndarray, epsilon: float) -> np.ndarray:
    """Return the summary of all values that two summaries stand for, no larger than ``epsilon`` asks."""
    both = np.concatenate([one, other], axis=1)
    return compress_summary(both[:, np.argsort(both[0], kind="stable")], epsilon)


def compress_summary(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """Return a summary as one of ``1 / epsilon`` values, read off the cumulative weights by interpolation.

    One that is smaller already stays as it is.
    """
    if summary.shape[1] * epsilon < 1:
        return summary
    # Rounding must not make one more of 1 / (1 / 49).
    size = math.ceil(1.0 / epsilon - 1e-9)
    shares = epsilon + epsilon * np.arange(size)
    cumulative = summary[1].cumsum()
    known = cumulative / cumulative[-1]
    weights = np.diff(np.interp(shares, known, cumulative), prepend=0)
    return np.stack([np.interp(shares, known, summary[0]), weights]).astype("float32")


def quantile_boundaries(summary: np.ndarray, bins: int) -> np.ndarray:
    """Return the ``bins - 1`` values between which lie equal shares; fewer where the summary has fewer.

    Raises:
        InvalidArgument: If the summary is empty.

    >>> quantile_boundaries(summarize(np.arange(1.0, 9.0, dtype="float32"), 0.01), 4).tolist()
    [2.0, 4.0, 6.0]
    """
    if summary.shape[1] == 0:
        raise InvalidArgument("There are no values to find boundaries between: the data is empty.")
    return compress_summary(summary, 1.0 / bins)[0, :-1]
