"""Random numbers of JAX' default generator, computed by NumPy.

Initial values are drawn once per variable, each with a shape of its own: XLA would
compile a program for every one of them. Here nothing is compiled, and the numbers
are the ones that ``jax.random`` gives for the same key.

The generator is the counter-based Threefry-2x32: value ``i`` of a draw is the hash of
the 64-bit number ``i``, so any stretch of a draw can be computed by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

HOST_LIMIT = 1 << 22
"""Draws of more values than this go to XLA: there its compilation takes less time than NumPy's loop."""

_CHUNK = 1 << 14
"""Values hashed at a time: few enough for all of the working arrays to stay in the cache."""

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
_HOST_DTYPES = ("float32", "float16", "bfloat16")


def bits(key: Any, size: int, start: int = 0) -> np.ndarray:
    """Return random words ``start .. start + size`` of a key, uint32 of shape ``(size,)``.

    Args:
        key: Two unsigned 32-bit integers.
        size: How many words.
        start: The number of the first.

    Example:

    >>> whole = jax.random.bits(jnp.array([3, 0], dtype=jnp.uint32), (7,))
    >>> bool((bits((3, 0), 4, start=3) == whole[3:]).all())
    True
    """
    out = np.empty(size, np.uint32)
    for first in range(0, size, _CHUNK):
        part = out[first : first + _CHUNK]
        part[:] = _hash(key, start + first, len(part))
    return out


def uniform(
    key: Any, shape: Sequence[int], dtype: Any = "float32", minval: Any = 0.0, maxval: Any = 1.0
) -> Any:
    """Return what ``jax.random.uniform`` returns: values in ``[minval, maxval)``.

    Args:
        key: Two unsigned 32-bit integers.
        shape: The shape of the result.
        dtype: A float type.
        minval: The smallest value.
        maxval: What all values are below.

    Returns:
        A NumPy array, or a JAX array where the draw is left to ``jax.random``:
        more than ``HOST_LIMIT`` values, float64, a traced key or range, another generator than the default.

    Example:

    >>> uniform((3, 0), (2, 2)).round(3).tolist()
    [[0.856, 0.484], [0.618, 0.845]]
    """
    if not _on_host(shape, dtype, key, minval, maxval):
        return jax.random.uniform(jnp.asarray(key, jnp.uint32), shape, jnp.dtype(dtype), minval, maxval)
    return _fill(key, shape, dtype, _scale, minval, maxval)


def normal(key: Any, shape: Sequence[int], dtype: Any = "float32") -> Any:
    """Return what ``jax.random.normal`` returns, up to the rounding of the logarithm in it.

    Takes and returns what ``uniform`` does.

    Example:

    >>> jax_draw = jax.random.normal(jnp.array([3, 0], dtype=jnp.uint32), (100,))
    >>> bool(abs(normal((3, 0), (100,)) - jax_draw).max() < 1e-6)
    True
    """
    if not _on_host(shape, dtype, key):
        return jax.random.normal(jnp.asarray(key, jnp.uint32), shape, jnp.dtype(dtype))
    scalar = jnp.dtype(dtype).type
    lowest = np.nextafter(scalar(-1), scalar(0))
    return _fill(key, shape, dtype, _gaussian, lowest, 1.0)


def truncated_normal(key: Any, shape: Sequence[int], dtype: Any = "float32") -> Any:
    """Return what ``jax.random.truncated_normal`` returns between -2 and 2, up to rounding.

    Takes and returns what ``uniform`` does.

    Example:

    >>> float(abs(truncated_normal((3, 0), (1000,))).max()) < 2
    True
    """
    if not _on_host(shape, dtype, key):
        return jax.random.truncated_normal(jnp.asarray(key, jnp.uint32), -2.0, 2.0, shape, jnp.dtype(dtype))
    scalar = jnp.dtype(dtype).type
    edge = math.erf(float(scalar(2) / scalar(math.sqrt(2))))
    drawn = _fill(key, shape, dtype, _gaussian, -edge, edge)
    inside = np.nextafter(scalar(2), scalar(0))
    return np.clip(drawn, -inside, inside, out=drawn)


def erf_inv(x: np.ndarray) -> np.ndarray:
    """Return the inverse error function of float32 values between -1 and 1, as XLA approximates it.

    The two polynomials are those of M. Giles, "Approximating the erfinv function" (2010).

    Example:

    >>> erf_inv(np.array([0.0, 0.5], np.float32)).round(4).tolist()
    [0.0, 0.4769]
    """
    w = -np.log1p(-x * x)
    result = _polynomial(_CENTRAL, w - np.float32(2.5))
    far = np.flatnonzero(w >= 5)
    if far.size:
        result[far] = _polynomial(_TAIL, np.sqrt(w[far]) - np.float32(3))
    result *= x
    return result


def _on_host(shape: Sequence[int], dtype: Any, *arguments: Any) -> bool:
    return (
        jnp.dtype(dtype).name in _HOST_DTYPES
        and math.prod(shape) <= HOST_LIMIT
        and jax.threefry_partitionable.value
        and not any(isinstance(x, Tracer) for x in jax.tree.leaves(arguments))
    )


def _hash(key: Any, start: int, size: int) -> np.ndarray:
    """Return the hashes of the 64-bit numbers from ``start`` on, both halves folded into one word."""
    k0, k1 = (int(word) for word in key)
    schedule = [k0, k1, k0 ^ k1 ^ PARITY]
    counts = np.arange(start, start + size, dtype=np.uint64)
    x0 = (counts >> np.uint64(32)).astype(np.uint32)
    x1 = counts.astype(np.uint32)
    spare = np.empty_like(x1)
    x0 += np.uint32(k0)
    x1 += np.uint32(k1)
    for block in range(5):
        for rotation in ROTATIONS[block % 2]:
            x0 += x1
            np.right_shift(x1, np.uint32(32 - rotation), out=spare)
            np.left_shift(x1, np.uint32(rotation), out=x1)
            x1 |= spare
            x1 ^= x0
        x0 += np.uint32(schedule[(block + 1) % 3])
        x1 += np.uint32((schedule[(block + 2) % 3] + block + 1) & 0xFFFFFFFF)
    x0 ^= x1
    return x0


def _fill(
    key: Any, shape: Sequence[int], dtype: Any, sample: Callable[..., np.ndarray], minval: Any, maxval: Any
) -> np.ndarray:
    """Return an array of ``sample(values in [0, 1), minval, maxval)``, made chunk by chunk."""
    dtype = jnp.dtype(dtype)
    lo, hi = np.asarray(minval).astype(dtype)[()], np.asarray(maxval).astype(dtype)[()]
    out = np.empty(math.prod(shape), dtype)
    for first in range(0, out.size, _CHUNK):
        part = out[first : first + _CHUNK]
        part[:] = sample(_unit(_hash(key, first, len(part)), dtype), lo, hi)
    return out.reshape(shape)


def _unit(words: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return floats in ``[0, 1)`` whose mantissas are the random words' leading bits."""
    finfo = jnp.finfo(dtype)
    # A type with a mantissa of less than 8 bits takes its bits from a byte.
    width = finfo.bits if finfo.nmant >= 8 else 8
    container = np.dtype(f"uint{finfo.bits}")
    mantissa = (words & np.uint32((1 << width) - 1)) >> np.uint32(width - finfo.nmant)
    one = np.ones((), dtype).view(container)
    return (mantissa.astype(container) | one).view(dtype) - np.ones((), dtype)


def _scale(unit: np.ndarray, lo: Any, hi: Any) -> np.ndarray:
    if unit.dtype != np.float32:
        return np.maximum(lo, unit * (hi - lo) + lo)
    # In float32 XLA fuses the multiplication with the addition, so that only the sum is rounded:
    # float64 holds the product exactly.
    wide = unit.astype(np.float64)
    wide *= np.float64(hi - lo)
    wide += np.float64(lo)
    return np.maximum(lo, wide.astype(np.float32))


def _gaussian(unit: np.ndarray, lo: Any, hi: Any) -> np.ndarray:
    inverse = erf_inv(_scale(unit, lo, hi).astype(np.float32)).astype(unit.dtype)
    return unit.dtype.type(math.sqrt(2)) * inverse


def _polynomial(coefficients: np.ndarray, x: np.ndarray) -> np.ndarray:
    result = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result *= x
        result += coefficient
    return result


_CENTRAL = np.array(
    [
        2.81022636e-08,
        3.43273939e-07,
        -3.5233877e-06,
        -4.39150654e-06,
        0.00021858087,
        -0.00125372503,
        -0.00417768164,
        0.246640727,
        1.50140941,
    ],
    np.float32,
)
_TAIL = np.array(
    [
        -0.000200214257,
        0.000100950558,
        0.00134934322,
        -0.00367342844,
        0.00573950773,
        -0.0076224613,
        0.00943887047,
        1.00167406,
        2.83297682,
    ],
    np.float32,
)
