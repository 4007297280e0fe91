"""How much memory a run takes, looked up now and then on a thread that does not train."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax

from kerasmagic.foundation.machine import memory_limit, process_memory
from kerasmagic.training.events import MemorySeen

INTERVAL = 1.0


class MemoryGauge:
    """Looks at the memory in use, at most once in ``interval`` seconds.

    Args:
        interval: Seconds.
        clock: Seconds.

    Example:

    >>> gauge = MemoryGauge()
    >>> gauge() is not None, gauge()
    (True, None)
    """

    def __init__(self, interval: float = INTERVAL, clock: Callable[[], float] = time.monotonic):
        self._interval = interval
        self._clock = clock
        self._next = -float("inf")
        self._limit: int | None = None
        self._asked = False

    def __call__(self) -> MemorySeen | None:
        """Return what is in use, or ``None`` if that was asked for a moment ago."""
        now = self._clock()
        if now < self._next:
            return None
        self._next = now + self._interval
        if not self._asked:
            self._limit, self._asked = memory_limit(), True
        memory, device = process_memory(), _device_memory()
        return MemorySeen(
            used=memory.now,
            peak=memory.peak,
            limit=self._limit,
            time=time.time(),
            device_used=device.get("bytes_in_use"),
            device_peak=device.get("peak_bytes_in_use"),
            device_limit=device.get("bytes_limit"),
        )


def _device_memory() -> dict[str, Any]:
    try:
        return jax.local_devices()[0].memory_stats() or {}
    except (RuntimeError, NotImplementedError):
        return {}
