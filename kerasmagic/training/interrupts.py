"""An interrupt that cannot fall between a step and the moment its result is kept.

A step gives its buffers away. If Ctrl-C struck after the step was dispatched and
before the new state was assigned, the weights would be gone. Inside ``critical``
an interrupt waits; anywhere else it strikes at once.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


class InterruptGuard:
    """Holds back ``KeyboardInterrupt`` during stretches that must not be cut.

    Outside the main thread there are no signals, and the guard does nothing.

    Args:
        unsafe: Says in a critical stretch whether something would be lost now. Where nothing would, a
            second interrupt strikes: compiling may take minutes.

    Example:

    >>> with InterruptGuard() as guard, guard.critical():
    ...     state = "new"
    """

    def __init__(self, unsafe: Callable[[], bool] = lambda: True) -> None:
        self._unsafe = unsafe
        self._critical = False
        self._pending = False
        self._previous: Any = None
        self._installed = False

    def __enter__(self) -> InterruptGuard:
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(handler):
            self._previous = signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(self, *exc: object) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._previous)
            self._installed = False

    def _handle(self, number: int, frame: Any) -> None:
        # A second interrupt is from someone who will not wait.
        if self._critical and (not self._pending or self._unsafe()):
            self._pending = True
            return
        self._pending = False
        self._previous(number, frame)

    @contextlib.contextmanager
    def critical(self) -> Iterator[None]:
        """Run the block to its end before an interrupt strikes."""
        self._critical = True
        try:
            yield
        finally:
            self._critical = False
            if self._pending:
                self._pending = False
                raise KeyboardInterrupt
