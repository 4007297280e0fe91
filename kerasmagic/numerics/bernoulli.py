"""Random decisions on the device: what dropout keeps.

The numbers are those of ``jax.random.bernoulli``, but the hash behind them is written out. JAX rolls it into a loop
on CPU, which XLA cannot fuse with what uses the numbers: dropping a tenth of 2.1 million attention weights, forward
and backward, took 65 ms of one core and takes 11 ms written out, compiled in a seventh of the time
(``python -m benchmarks steady --workloads encoder``). What is drawn once and used many times, as a mask that
broadcasts or that a loop over time holds, is better left to JAX: fusion would draw it again for every use.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from kerasmagic.numerics.threefry import PARITY, ROTATIONS

_MANTISSA = 23
"""The random bits of a float32 in ``[0, 1)``."""


def bernoulli(key: Array, probability: float, shape: Sequence[Any]) -> Array:
    """Return what ``jax.random.bernoulli`` returns: bools of the shape, true with the given probability.

    Args:
        key: Two unsigned 32-bit integers.
        probability: How often a value is true, from 0 to 1.
        shape: The shape of the result.

    Example:

    >>> key = jnp.array([3, 0], "uint32")
    >>> bool((bernoulli(key, 0.3, (5, 7)) == jax.random.bernoulli(key, 0.3, (5, 7))).all())
    True
    """
    shape = tuple(shape)
    ours = (
        key.dtype == jnp.uint32
        and all(isinstance(size, int) for size in shape)
        # A longer draw counts in two words.
        and math.prod(shape) < 2**32
        and jax.threefry_partitionable.value
        and not jax.enable_x64.value
    )
    if not ours:
        return jax.random.bernoulli(key, probability, shape)
    # A float below the probability is a mantissa below this integer.
    below = math.ceil(float(np.float32(probability)) * 2**_MANTISSA)
    return _decide(key, below, shape)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _decide(key: Array, below: int, shape: tuple[int, ...]) -> Array:
    return (_words(key, shape) >> np.uint32(32 - _MANTISSA)) < np.uint32(below)


def _words(key: Array, shape: tuple[int, ...]) -> Array:
    """Return Threefry-2x32 of the position of every value, both halves folded into one word."""
    schedule = (key[0], key[1], key[0] ^ key[1] ^ np.uint32(PARITY))
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    position = jnp.zeros(shape, jnp.uint32)
    for axis, stride in enumerate(strides):
        position += lax.broadcasted_iota(jnp.uint32, shape, axis) * np.uint32(stride)
    x0, x1 = jnp.broadcast_to(schedule[0], shape), position + schedule[1]
    for block in range(5):
        for rotation in ROTATIONS[block % 2]:
            x0 = x0 + x1
            x1 = ((x1 << np.uint32(rotation)) | (x1 >> np.uint32(32 - rotation))) ^ x0
        x0 = x0 + schedule[(block + 1) % 3]
        x1 = x1 + schedule[(block + 2) % 3] + np.uint32(block + 1)
    return x0 ^ x1
