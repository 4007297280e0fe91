"""Where arrays are made: ``keras.device``."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import jax

from kerasmagic.foundation.errors import InvalidArgument, UnknownName


def device(device_name: Any) -> AbstractContextManager[Any]:
    """Make arrays and compute on a device inside the ``with`` block.

    Args:
        device_name: A kind and a number, ``"cpu:0"`` or ``"gpu:1"``; the first one without a number. Or a
            ``jax.Device``.

    Raises:
        InvalidArgument: If it is neither.
        UnknownName: If there is no such device.

    Example:

    >>> import jax.numpy as jnp
    >>> with device("cpu:0"):
    ...     x = jnp.ones(3)
    >>> x.device.platform
    'cpu'
    """
    if isinstance(device_name, jax.Device):
        return jax.default_device(device_name)
    if not isinstance(device_name, str):
        raise InvalidArgument(
            "Invalid value for argument `device_name`. Expected a string like 'gpu:0' or a `jax.Device` instance. "
            f"Received: device_name={device_name!r}"
        )
    kind, _, number = device_name.lower().partition(":")
    try:
        found = [d for d in jax.devices(kind) if str(d.id) == (number or "0")]
    except RuntimeError:
        found = []
    if not found:
        raise UnknownName(
            f"Device not found: {device_name!r}. There are: {', '.join(f'{d.platform}:{d.id}' for d in jax.devices())}."
        )
    return jax.default_device(found[0])
