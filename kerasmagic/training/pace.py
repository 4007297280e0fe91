"""How many steps go to the device at a time: what the user said, or what keeps views and controls quick."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax

# Views, Stop and Ctrl-C should not wait longer than about twice this for an execution, in seconds; and asking
# for one costs less than a hundredth of it.
EXECUTION_TIME = 0.03
# Where the host needs more than this share of an execution to send it, an execution may take this long. Sending
# costs by the arrays of the state, not by the steps: with the 1200 of 200 dense layers and Adam as much as two
# or three steps of width 16 (``python -m benchmarks.growth depth``).
DEAR, DEAR_EXECUTION_TIME = 0.1, 0.1
MOST_STEPS = 64
# What a loop over steps costs to compile beyond the step alone, by its operations, and what a step in it saves the
# host, all in seconds: 1.6 s for an encoder, 0.2 s for two small layers, whose steps it makes 0.45 ms shorter
# (``python -m benchmarks cold`` and ``steady``).
LOOP_PER_OPERATION = 0.5e-3
SENDING, SENDING_PER_ARRAY = 0.45e-3, 3e-6
# One slow execution, such as one that compiled, says little about the next.
LARGEST_GROWTH = 8


def steps_to_pay(operations: int, arrays: int) -> int:
    """Return how many steps it takes until a loop over them has saved what it took longer to compile.

    Args:
        operations: The operations that a step consists of.
        arrays: The arrays of the state that it changes.

    Example:

    >>> steps_to_pay(operations=157, arrays=16), steps_to_pay(operations=2139, arrays=118)
    (158, 1330)
    """
    return round(operations * LOOP_PER_OPERATION / (SENDING + arrays * SENDING_PER_ARRAY))


class Pace:
    """The number of steps of the next execution, ``steps``.

    How many steps an execution takes never changes a number: the program that loops over steps is told how
    many, and is the same for one and for many.

    Args:
        fixed: How many steps each execution has to take, or ``None`` to choose by how long they take.
        clock: Seconds.

    Example:

    >>> times = iter([0.0, 0.001, 0.001, 0.002, 0.002, 0.003, 0.003])
    >>> pace = Pace(None, clock=lambda: next(times))
    >>> for _ in range(4):
    ...     pace.watch(1, {})
    >>> pace.steps, Pace(3).steps
    (8, 3)
    """

    def __init__(self, fixed: int | None, *, clock: Callable[[], float] = time.perf_counter):
        self.fixed = fixed
        self.steps = fixed or 1
        self._clock = clock
        self._done: float | None = None
        self._running: tuple[int, Any] | None = None

    def of(self, left: int) -> int:
        """Return how many of the steps left the next execution is to take, so that none of few is left over.

        >>> pace = Pace(33)
        >>> pace.of(100), pace.of(36), pace.of(20)
        (34, 36, 20)
        """
        return -(-left // max(1, round(left / self.steps)))

    def begin_epoch(self) -> None:
        """Leave out of account what happened since the last execution."""
        self._running = self._done = None

    def watch(self, steps: int, logs: Any) -> None:
        """Take note of an execution; ``logs`` are its results, maybe still to be computed.

        Waits for the execution before it, so that the device always has one to do and never more than two.
        """
        if self.fixed:
            return
        before, self._running = self._running, (steps, logs)
        if before is None:
            return
        sent = self._clock()
        jax.block_until_ready(before[1])
        done, self._done = self._done, self._clock()
        if done is not None:
            took = max(self._done - done, 1e-9)
            time_for_one = DEAR_EXECUTION_TIME if sent - done > DEAR * took else EXECUTION_TIME
            wanted = round(time_for_one * before[0] / took)
            self.steps = max(1, min(wanted, MOST_STEPS, LARGEST_GROWTH * before[0]))
