"""Values from the host, put on the device without compiling anything.

``jnp.asarray`` of a NumPy array compiles a small program for each new shape (20 ms each on CPU with jax 0.10: most
of the time to build a small model); ``jax.device_put`` does not.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# From this size on NumPy asks for large pages.
LARGE = 4 * 2**20
# JAX on CPU takes an array as it is that begins at a multiple of so many bytes, whatever `may_alias` says.
_ALIGNMENT = 64


def is_host(value: Any) -> bool:
    """Whether ``value`` is NumPy's or a Python number."""
    return isinstance(value, (np.ndarray, np.generic, int, float))


def on_device(value: Any, dtype: Any = None) -> Any:
    """Return an array with a copy of ``value``; what JAX has already, in that type, is returned as it is.

    >>> on_device(np.array([1, 2])).dtype, on_device(1, "float32").dtype
    (dtype('int32'), dtype('float32'))
    """
    if not is_host(value):
        return jnp.asarray(value, dtype=dtype)
    # Inside a trace it is a constant.
    with jax.ensure_compile_time_eval():
        array = np.asarray(value, dtype)
        if array.nbytes >= LARGE and array.dtype.kind in "biufc":
            return filled_up(array, len(array))
        placed = jax.device_put(array)
        # An array of the host that is changed in place later must not change what is on the device.
        return jax.device_put(array.copy()) if array.size and _is_kept(placed, array) else placed


def filled_up(array: np.ndarray, length: int) -> jax.Array:
    """Return an array with a copy of ``array``, its last row repeated up to ``length`` rows.

    >>> filled_up(np.array([[1, 2], [3, 4]]), 3).tolist()
    [[1, 2], [3, 4], [3, 4]]
    """
    own = _memory((length, *array.shape[1:]), jax.dtypes.canonicalize_dtype(array.dtype))
    own[: len(array)] = array
    own[len(array) :] = array[-1:]
    return jax.device_put(own)


def _memory(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return memory for an array, aligned so that JAX on CPU takes it as it is."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(shape)


def _is_kept(placed: jax.Array, array: np.ndarray) -> bool:
    """Whether the memory of an array of the host became that of JAX's array."""
    one = placed.addressable_data(0)
    on_host = all(device.platform == "cpu" for device in one.devices())
    return on_host and one.unsafe_buffer_pointer() == array.__array_interface__["data"][0]
