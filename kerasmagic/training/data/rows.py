"""Batches as rows of a table: which samples each of them consists of."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np


class Rows(Sequence[np.ndarray]):
    """The rows of a table that each of some batches consists of.

    What is done to many batches is done at once: in an epoch of a tiny model a few of Python's lines for each batch
    take as long as the steps (``python -m benchmarks steady --workloads digits``).

    Args:
        order: The rows of all batches, one batch after the other, ``(samples,)`` integers.
        counts: How many samples each batch has.
        begin: Where in ``order`` the first batch begins.

    Example:

    >>> rows = Rows(np.array([4, 2, 0, 1, 3]), [2, 2, 1])
    >>> len(rows), rows[1].tolist(), rows[1:].counts
    (3, [0, 1], [2, 1])
    """

    def __init__(self, order: np.ndarray, counts: Sequence[int], begin: int = 0):
        self._order = order
        self._counts = list(counts)
        # Where each batch begins in ``order``, and where the last one ends.
        self._bounds = [*itertools.accumulate(self._counts, initial=begin)]
        self._window = range(len(self._counts))

    @classmethod
    def of(cls, batches: Iterable[np.ndarray]) -> Rows:
        """Return the rows of given batches.

        >>> Rows.of([np.array([4, 2]), np.array([0])]).counts
        [2, 1]
        """
        if isinstance(batches, Rows):
            return batches
        each = list(batches)
        return cls(np.concatenate(each), [len(rows) for rows in each])

    @property
    def counts(self) -> list[int]:
        """How many samples each batch has."""
        return self._counts[self._window.start : self._window.stop]

    def __len__(self) -> int:
        return len(self._window)

    @overload
    def __getitem__(self, place: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, place: slice) -> Rows: ...

    def __getitem__(self, place: int | slice) -> np.ndarray | Rows:
        if not isinstance(place, slice):
            at = self._window[place]
            return self._order[self._bounds[at] : self._bounds[at + 1]]
        if place.step not in (None, 1):
            raise ValueError(f"A part of rows has no step. Received: {place!r}")
        # A view: an epoch of many batches is cut thousands of times.
        part = copy.copy(self)
        part._window = self._window[place]
        return part

    def filled(self, size: int, batches: int) -> np.ndarray:
        """Return the rows as ``(batches, size)``: the last once more for each that is missing, of either.

        Args:
            size: At least what the largest batch has.
            batches: At least as many as there are.

        >>> Rows(np.array([4, 2, 0]), [2, 1]).filled(2, 3).tolist()
        [[4, 2], [0, 0], [0, 0]]
        """
        result = np.empty((batches, size), self._order.dtype)
        whole = next((place for place, count in enumerate(self.counts) if count != size), len(self))
        begin = self._bounds[self._window.start]
        result[:whole] = self._order[begin : begin + whole * size].reshape(whole, size)
        for place in range(whole, len(self)):
            rows = self[place]
            result[place, : len(rows)] = rows
            result[place, len(rows) :] = rows[-1]
        result[len(self) :] = result[len(self) - 1]
        return result

    def runs(self, key: Callable[[int], Any]) -> Iterator[Rows]:
        """Yield the batches in runs of one key, which is told from how many samples a batch has.

        >>> [len(run) for run in Rows(np.arange(5), [2, 2, 1]).runs(lambda count: count)]
        [2, 1]
        """
        begin = 0
        for _, run in itertools.groupby(self.counts, key):
            end = begin + len(list(run))
            yield self[begin:end]
            begin = end
