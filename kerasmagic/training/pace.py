"""How many steps go to the device at a time: what the user said, or what measuring a few steps tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax

from kerasmagic.foundation import options
from kerasmagic.training.fusing import Execution

# A step shorter than this is mostly the cost of asking for it.
DISPATCH_BOUND = 4e-3
# Views and callbacks should not wait longer than this for one execution.
LONGEST_EXECUTION = 0.05
MOST_STEPS = 64
MEASURED_STEPS = 8
# What a dispatch-bound step saves, as a share of its time; measured on small models.
SAVED_SHARE = 0.35


class Pace:
    """The number of steps of the next execution.

    Args:
        execution: The step; it keeps what was found for the next run.
        steps_ahead: How many steps there will be, if known.
        steps_per_epoch: How many of them in an epoch, if known.
        watched: Whether someone wants to see every step.
        clock: Seconds.

    Example:

    >>> from kerasmagic.training.fusing import Parts
    >>> parts = Parts(lambda s: (), lambda s: s, lambda s, new: new)
    >>> Pace(Execution(lambda fixed, state, batch: ({}, state), parts, steps=3)).steps
    3
    """

    def __init__(
        self,
        execution: Execution,
        *,
        steps_ahead: int | None = None,
        steps_per_epoch: int | None = None,
        watched: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.steps = 1 if execution.auto and watched else execution.steps
        self._execution = execution
        self._ahead = steps_ahead
        self._per_epoch = steps_per_epoch
        self._clock = clock
        # Runs with fixed outputs must not depend on what a clock says.
        self._measuring = (
            execution.auto and execution.steps == 1 and not watched and not options.deterministic()
        )
        self._began = clock()
        self._seen = 0

    def watch(self, steps: int, logs: Any) -> None:
        """Take note of an execution; ``logs`` are its results, maybe still to be computed."""
        if not self._measuring:
            return
        self._seen += steps
        if self._seen == 1:
            jax.block_until_ready(logs)
            # In a later run the program is there already: what another one would cost is known from the first.
            cost = self._clock() - self._began
            self._execution.compile_time = max(self._execution.compile_time, cost)
            self._began = self._clock()
        elif self._seen > MEASURED_STEPS:
            jax.block_until_ready(logs)
            self._measuring = False
            self._choose((self._clock() - self._began) / (self._seen - 1))

    def _choose(self, step_time: float) -> None:
        left = (self._ahead or 10**6) - self._seen
        pays = step_time * SAVED_SHARE * left > self._execution.compile_time
        if step_time < DISPATCH_BOUND and pays and self._execution.loops_well:
            steps = min(MOST_STEPS, self._per_epoch or MOST_STEPS, int(LONGEST_EXECUTION / step_time))
            self.steps = self._execution.steps = max(steps, 1)
