"""Values from the host, put on the device without compiling anything.

``jnp.asarray`` of a NumPy array compiles a small program for each new shape (20 ms each on CPU with jax 0.10: most
of the time to build a small model); ``jax.device_put`` does not.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


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
        placed = jax.device_put(array)
        # On CPU, JAX keeps an array that begins at a multiple of 64 bytes as it is, whatever `may_alias` says. One
        # that is changed in place later must not change with it.
        return jax.device_put(array.copy()) if array.size and _is_kept(placed, array) else placed


def _is_kept(placed: jax.Array, array: np.ndarray) -> bool:
    """Whether the memory of an array of the host became that of JAX's array."""
    one = placed.addressable_data(0)
    on_host = all(device.platform == "cpu" for device in one.devices())
    return on_host and one.unsafe_buffer_pointer() == array.__array_interface__["data"][0]
