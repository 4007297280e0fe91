"""What the time of a run goes into, as far as it is not the computing itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from jax import monitoring

from kerasmagic.training.events import Spent

_T = TypeVar("_T")

_TRACING = frozenset(
    {"/jax/core/compile/jaxpr_trace_duration", "/jax/core/compile/jaxpr_to_mlir_module_duration"}
)
_COMPILING = "/jax/core/compile/backend_compile_duration"


class Stopwatch:
    """Adds up the seconds that this thread traces, compiles, and lets the device wait for data.

    JAX tells what it traced and compiled while the ``with`` block runs. Nothing here waits for the device.

    Example:

    >>> import jax, jax.numpy as jnp
    >>> with Stopwatch() as stopwatch:
    ...     batch = stopwatch.fetch(lambda: time.sleep(0.02) or 5, {})
    ...     _ = jax.jit(lambda x: x * 3 + batch)(jnp.ones(3))
    >>> spent = stopwatch.spent
    >>> spent.data >= 0.02, spent.tracing > 0, spent.compiling > 0
    (True, True, True)
    """

    def __init__(self) -> None:
        self._tracing = self._compiling = self._data = 0.0
        self._thread = 0

    @property
    def spent(self) -> Spent:
        """The seconds so far."""
        return Spent(self._tracing, self._compiling, self._data)

    def __enter__(self) -> Stopwatch:
        self._thread = threading.get_ident()
        monitoring.register_event_duration_secs_listener(self._listen)
        return self

    def __exit__(self, *error: object) -> None:
        monitoring.unregister_event_duration_listener(self._listen)

    def fetch(self, take: Callable[[], _T], results: Mapping[str, Any]) -> _T:
        """Return ``take()``, and count its time where the device had nothing else to do.

        Args:
            take: Gets the next data.
            results: What the newest step computes; once it is there, the device is idle.
        """
        idle, begin = _there(results), time.perf_counter()
        try:
            return take()
        finally:
            if _there(results):
                # When in between the device ran dry is not known: half the time is the best guess.
                self._data += (time.perf_counter() - begin) * (1.0 if idle else 0.5)

    def _listen(self, event: str, duration_secs: float, **_: Any) -> None:
        if threading.get_ident() != self._thread:
            return
        if event == _COMPILING:
            self._compiling += duration_secs
        elif event in _TRACING:
            self._tracing += duration_secs


def _there(results: Mapping[str, Any]) -> bool:
    value = next(iter(results.values()), None)
    is_ready = getattr(value, "is_ready", None)
    return is_ready is None or is_ready()
