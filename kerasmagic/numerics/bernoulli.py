"""Random decisions on the device: what dropout keeps.

The numbers are those of ``jax.random.bernoulli``, but the hash behind them is written out. JAX rolls it into a loop
of several rounds on CPU, each of which goes through memory: dropping a tenth of 2.1 million attention weights,
forward and backward, took 65 ms of one core and takes 11 ms written out, compiled in a seventh of the time
(``python -m benchmarks steady --workloads encoder``).

Written out alone, XLA would fuse the hash into everything that uses the numbers and compute it again for each of
them: behind the gradient of a max-pooling, which reads every value many times, that was 60 of the 108 ms of a step
of a small convolutional network, and is 5 (``python -m benchmarks steady --workloads cnn``). So it stands in a loop
of one turn, which nothing is fused with.
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
from kerasmagic.numerics.windows import closed

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
        # The first size may be open: as many values as two words are needed to count are never drawn then.
        and closed(shape[1:])
        and (not closed(shape) or math.prod(shape) < 2**32)
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
    def decide(turn: Any, _: Any) -> Array:
        # A loop's body that does not depend on the turn would be moved out of it.
        bits = _words(key ^ lax.convert_element_type(turn, jnp.uint32), shape)
        return (bits >> np.uint32(32 - _MANTISSA)) < np.uint32(below)

    if jax.default_backend() != "cpu":
        return decide(0, None)
    # No word has 64 bits that are set, but XLA does not look: it would take the loop apart if it knew of one turn.
    turns = 1 + (lax.population_count(key[0]) >> np.uint32(6)).astype(jnp.int32)
    return lax.fori_loop(0, turns, decide, jnp.zeros(shape, bool))


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
