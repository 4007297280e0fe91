"""Batches as rows of a table: which samples each of them consists of."""

from __future__ import annotations

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

    def __init__(self, order: np.ndarray, counts: list[int], begin: int = 0):
        self.counts = counts
        self._order = order
        self._begin = begin

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

    def __len__(self) -> int:
        return len(self.counts)

    @overload
    def __getitem__(self, place: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, place: slice) -> Rows: ...

    def __getitem__(self, place: int | slice) -> np.ndarray | Rows:
        if isinstance(place, slice):
            first, stop, _ = place.indices(len(self))
            return Rows(self._order, self.counts[first:stop], self._begin + sum(self.counts[:first]))
        count = self.counts[place]
        begin = self._begin + sum(self.counts[:place])
        return self._order[begin : begin + count]

    def __iter__(self) -> Iterator[np.ndarray]:
        for begin, end in itertools.pairwise(itertools.accumulate(self.counts, initial=self._begin)):
            yield self._order[begin:end]

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
        end = self._begin + whole * size
        result[:whole] = self._order[self._begin : end].reshape(whole, size)
        for place, count in enumerate(self.counts[whole:], whole):
            result[place, :count] = self._order[end : end + count]
            result[place, count:] = self._order[end + count - 1]
            end += count
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
