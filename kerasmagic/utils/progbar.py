"""A progress bar for loops that users write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kerasmagic.callbacks import ProgbarLogger
from kerasmagic.foundation.errors import InvalidArgument


class Progbar:
    """Writes how far a loop is, and the means of what it measures.

    Args:
        target: The number of steps, or ``None`` if nobody knows.
        width: Letters of the bar; accepted for compatibility.
        verbose: 0 nothing, 1 a line that is written over, 2 one line at the end.
        interval: Seconds between two writings; accepted for compatibility.
        stateful_metrics: Names of values that are shown as they are.
        stateless_metrics: Names of values whose mean is shown, in the place of ``stateful_metrics``.
        unit_name: What is counted; accepted for compatibility.

    Raises:
        InvalidArgument: If both kinds of names are given.

    Example:

    >>> bar = Progbar(2, verbose=0)
    >>> bar.update(1, [("loss", 4.0)])
    >>> bar.update(2, [("loss", 2.0)])
    >>> bar.means()
    {'loss': 3.0}
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ):
        if stateful_metrics is not None and stateless_metrics is not None:
            raise InvalidArgument("Only one of `stateful_metrics` or `stateless_metrics` can be provided.")
        self.target = target
        self._stateful = None if stateless_metrics is not None else set(stateful_metrics or ())
        self._stateless = set(stateless_metrics or ())
        self._sums: dict[str, tuple[float, int]] = {}
        self._seen = 0
        self._lines = ProgbarLogger()
        self._lines.set_params({"verbose": verbose, "epochs": 1, "steps": target})

    def means(self) -> dict[str, float]:
        """Return what is shown, by name."""
        return {name: total / max(count, 1) for name, (total, count) in self._sums.items()}

    def update(
        self, current: int, values: Sequence[tuple[str, Any]] | None = None, finalize: bool | None = None
    ) -> None:
        """Take note of step ``current``, counted from 1, and what it measured.

        Args:
            current: How many steps are done.
            values: Pairs of names and values of this step.
            finalize: Whether this was the last; known by ``target`` when ``None``.
        """
        steps = max(current - self._seen, 1)
        for name, value in values or ():
            averaged = name in self._stateless if self._stateful is None else name not in self._stateful
            total, count = self._sums.get(name, (0.0, 0)) if averaged else (0.0, 0)
            weight = steps if averaged else 1
            self._sums[name] = (total + float(np.mean(value)) * weight, count + weight)
        self._seen = current
        self._lines.on_predict_batch_end(current - 1)
        if finalize or (finalize is None and self.target is not None and current >= self.target):
            self._lines.on_test_end(self.means())

    def add(self, n: int, values: Sequence[tuple[str, Any]] | None = None) -> None:
        """Take note of ``n`` more steps."""
        self.update(self._seen + n, values)
