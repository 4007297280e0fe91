"""Noise that regularizes: what is dropped, added or multiplied at random while training.

Keys are pairs of unsigned 32-bit integers. All functions keep the shape and the dtype of ``x``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from kerasmagic.numerics.bernoulli import bernoulli
from kerasmagic.numerics.compiling import traced_once

# Where the SELU function ends at the left: the value that alpha dropout puts in place of what it drops.
_SELU_LIMIT = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946


def noise_shape(shape: Sequence[Any], pattern: Sequence[int | None] | None) -> tuple[Any, ...]:
    """Return ``pattern`` with the sizes of ``shape`` for every ``None``.

    >>> noise_shape((2, 3, 4), (None, 1, None)), noise_shape((2, 3), None)
    ((2, 1, 4), (2, 3))
    """
    if pattern is None:
        return tuple(shape)
    return tuple(size if wanted is None else wanted for size, wanted in zip(shape, pattern, strict=False))


def dropout(key: Array, x: Array, rate: float, shape: Sequence[Any]) -> Array:
    """Set a fraction of the values to 0 and scale up the others, so that the mean stays.

    Args:
        key: The seed of this draw.
        x: Any shape.
        rate: The fraction, below 1.
        shape: The shape of what is drawn; broadcasts to that of ``x``.

    Example:

    >>> y = dropout(jnp.array([0, 1], "uint32"), jnp.ones((1000,)), 0.5, (1000,))
    >>> sorted(set(y.tolist()))
    [0.0, 2.0]
    """
    return _dropout(key, x, rate, tuple(shape))


@traced_once("rate", "shape")
def _dropout(key: Array, x: Array, rate: float, shape: tuple[Any, ...]) -> Array:
    keep = bernoulli(key, 1.0 - rate, shape)
    return jnp.where(keep, x / jnp.asarray(1.0 - rate, x.dtype), jnp.zeros((), x.dtype))


def alpha_dropout(key: Array, x: Array, rate: float, shape: Sequence[Any]) -> Array:
    """Set a fraction of the values to the lowest value of SELU, keeping mean 0 and variance 1.

    Args:
        key: The seed of this draw.
        x: Any shape.
        rate: The fraction, from 0 to 1.
        shape: The shape of what is drawn; broadcasts to that of ``x``.
    """
    keep = (~bernoulli(key, rate, shape)).astype(x.dtype)
    # Of mixed values: mean `rate * limit`, variance `(1 - rate) * (1 + rate * limit**2)`.
    scale = ((1 - rate) * (1 + rate * _SELU_LIMIT**2)) ** -0.5 if rate < 1 else 0.0
    return scale * (x * keep + _SELU_LIMIT * (1 - keep)) - scale * _SELU_LIMIT * rate


def normal_noise(key: Array, x: Array, mean: float, stddev: float) -> Array:
    """Return normal noise of the shape of ``x``."""
    return jax.random.normal(key, x.shape, x.dtype) * jnp.asarray(stddev, x.dtype) + jnp.asarray(
        mean, x.dtype
    )
