"""Draws from distributions; every one takes a ``seed`` and gives what ``jax.random`` gives for it.

``seed`` is an integer, which fixes the result, a ``SeedGenerator``, which gives another result
at each call, or ``None`` for the global generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.core.dtypes import is_float_dtype, is_int_dtype, standardize_dtype
from kerasmagic.core.random import draw_seed
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.foundation.registry import RANDOM
from kerasmagic.numerics import noise


def normal(
    shape: Sequence[int], mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
) -> jax.Array:
    """Draw from a normal distribution.

    Args:
        shape: The shape of the result.
        mean: The mean.
        stddev: The standard deviation.
        dtype: A float type; the default one for ``None``.
        seed: What fixes the draw.

    Example:

    >>> normal((2, 3), seed=1).shape
    (2, 3)
    """
    return jax.random.normal(draw_seed(seed), tuple(shape), _float(dtype)) * stddev + mean


def uniform(
    shape: Sequence[int], minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None
) -> jax.Array:
    """Draw evenly from ``[minval, maxval)``.

    Args:
        shape: The shape of the result.
        minval: The smallest value.
        maxval: What all values are below.
        dtype: A float type; the default one for ``None``.
        seed: What fixes the draw.

    Raises:
        InvalidArgument: If ``dtype`` is no float type.

    Example:

    >>> uniform((2, 3), 5.0, 6.0, seed=1).shape
    (2, 3)
    """
    if dtype and not is_float_dtype(dtype):
        raise InvalidArgument(
            f"`keras.random.uniform` requires a floating point `dtype`. Received: dtype={dtype}"
        )
    return jax.random.uniform(draw_seed(seed), tuple(shape), _float(dtype), minval, maxval)


def truncated_normal(
    shape: Sequence[int], mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
) -> jax.Array:
    """Draw from a normal distribution without the values beyond two standard deviations.

    Takes what ``normal`` does.

    Example:

    >>> bool(abs(truncated_normal((1000,), seed=1)).max() < 2)
    True
    """
    drawn = jax.random.truncated_normal(draw_seed(seed), -2.0, 2.0, tuple(shape), _float(dtype))
    return drawn * stddev + mean


def randint(
    shape: Sequence[int], minval: Any, maxval: Any, dtype: Any = "int32", seed: Any = None
) -> jax.Array:
    """Draw whole numbers evenly from ``minval`` to ``maxval - 1``.

    Args:
        shape: The shape of the result.
        minval: The smallest number.
        maxval: What all numbers are below.
        dtype: An integer type.
        seed: What fixes the draw.

    Raises:
        InvalidArgument: If ``dtype`` is no integer type.

    Example:

    >>> sorted(set(randint((100,), 3, 6, seed=1).tolist()))
    [3, 4, 5]
    """
    if dtype and not is_int_dtype(dtype):
        raise InvalidArgument(f"`keras.random.randint` requires an integer `dtype`. Received: dtype={dtype}")
    return jax.random.randint(draw_seed(seed), tuple(shape), minval, maxval, jnp.dtype(dtype or "int32"))


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> jax.Array:
    """Draw class numbers for every row of logits.

    Args:
        logits: Unnormalized log-probabilities, shape ``(batch, classes)``.
        num_samples: How many draws a row.
        dtype: The type of the result.
        seed: What fixes the draw.

    Returns:
        Shape ``(batch, num_samples)``.

    Raises:
        ShapeMismatch: If ``logits`` does not have two axes.

    Example:

    >>> categorical([[0.0, -1e9], [-1e9, 0.0]], 3, seed=1).tolist()
    [[0, 0, 0], [1, 1, 1]]
    """
    logits = jnp.asarray(logits)
    if logits.ndim != 2:
        raise ShapeMismatch(
            "`logits` should be a 2-D tensor with shape [batch_size, num_classes]. "
            f"Received: logits of shape {logits.shape}"
        )
    shape = (logits.shape[0], num_samples)
    return jax.random.categorical(draw_seed(seed), logits[..., None], axis=1, shape=shape).astype(dtype)


def dropout(
    inputs: Any, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Any = None
) -> Any:
    """Set some of the values to 0 and scale the others so that the sum stays the same on average.

    Args:
        inputs: An array.
        rate: The share that becomes 0.
        noise_shape: The shape of the choice, with 1 where one choice holds for a whole axis;
            ``None`` in it stands for the size of ``inputs``.
        seed: What fixes the draw.

    Returns:
        The shape and dtype of ``inputs``.

    Example:

    >>> sorted(set(dropout(jnp.ones(100), 0.5, seed=1).tolist()))
    [0.0, 2.0]
    """
    inputs = jnp.asarray(inputs)
    if rate == 1.0:
        return jnp.zeros_like(inputs)
    if rate == 0.0:
        return inputs
    return noise.dropout(draw_seed(seed), inputs, rate, noise.noise_shape(inputs.shape, noise_shape))


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> jax.Array:
    """Put the values along one axis in another order, in every line of the array by itself.

    Args:
        x: An array.
        axis: The axis.
        seed: What fixes the draw.

    Example:

    >>> sorted(shuffle([3, 1, 2], seed=1).tolist())
    [1, 2, 3]
    """
    return jax.random.permutation(draw_seed(seed), jnp.asarray(x), axis, independent=True)


def gamma(shape: Sequence[int], alpha: Any, dtype: Any = None, seed: Any = None) -> jax.Array:
    """Draw from a gamma distribution of scale 1.

    Args:
        shape: The shape of the result.
        alpha: The distribution's shape parameter, broadcast to ``shape``.
        dtype: A float type; the default one for ``None``.
        seed: What fixes the draw.

    Example:

    >>> bool((gamma((100,), 2.0, seed=1) > 0).all())
    True
    """
    return jax.random.gamma(draw_seed(seed), jnp.asarray(alpha), tuple(shape), _float(dtype))


def binomial(
    shape: Sequence[int], counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None
) -> jax.Array:
    """Draw how many of ``counts`` trials succeed.

    Args:
        shape: The shape of the result.
        counts: How many trials, broadcast to ``shape``.
        probabilities: The chance of each, broadcast to ``shape``.
        dtype: A float type; the default one for ``None``.
        seed: What fixes the draw.

    Example:

    >>> binomial((3,), 7.0, 1.0, seed=1).tolist()
    [7.0, 7.0, 7.0]
    """
    n, p = jnp.asarray(counts), jnp.asarray(probabilities)
    return jax.random.binomial(draw_seed(seed), n, p, tuple(shape), _float(dtype))


def beta(shape: Sequence[int], alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> jax.Array:
    """Draw from a beta distribution.

    Args:
        shape: The shape of the result.
        alpha: The first parameter, broadcast to ``shape``.
        beta: The second, broadcast to ``shape``.
        dtype: A float type; the default one for ``None``.
        seed: What fixes the draw.

    Example:

    >>> drawn = beta((100,), 2.0, 3.0, seed=1)
    >>> bool((drawn > 0).all() and (drawn < 1).all())
    True
    """
    a, b = jnp.asarray(alpha), jnp.asarray(beta)
    return jax.random.beta(draw_seed(seed), a, b, tuple(shape), _float(dtype))


def _float(dtype: Any) -> Any:
    return jnp.dtype(standardize_dtype(dtype))


RANDOM.add_all(
    [
        normal,
        uniform,
        truncated_normal,
        randint,
        categorical,
        dropout,
        shuffle,
        gamma,
        binomial,
        beta,
    ]
)
