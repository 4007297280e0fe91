"""The batches of an epoch that are still to come."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kerasmagic.training.data.rows import Rows


class Upcoming:
    """Batches in turn; those that were taken but not used can be taken again.

    Args:
        batches: Any batches; of ``Rows``, many are taken as fast as one.

    Example:

    >>> upcoming = Upcoming("abcd")
    >>> upcoming.first(), upcoming.take(3)
    ('a', ['a', 'b', 'c'])
    >>> upcoming.used(1)
    >>> upcoming.again()
    >>> upcoming.take(5), upcoming.take(5)
    (['b', 'c', 'd'], [])
    """

    def __init__(self, batches: Iterable[Any]):
        at_hand = isinstance(batches, Rows)
        # Those that were not used: the first of them were taken.
        self._known: Sequence[Any] = batches if at_hand else []
        self._taken = 0
        self._more: Iterator[Any] = iter(() if at_hand else batches)

    @classmethod
    def of(cls, batches: Iterable[Any] | Upcoming) -> Upcoming:
        """Return ``batches`` if they are in turn already."""
        return batches if isinstance(batches, Upcoming) else cls(batches)

    def take(self, most: int) -> Sequence[Any]:
        """Return the next batches, fewer than ``most`` only where there are no more."""
        end = self._taken + most
        if more := list(itertools.islice(self._more, max(0, end - len(self._known)))):
            self._known = [*self._known, *more]
        group = self._known[self._taken : end]
        self._taken += len(group)
        return group

    def first(self) -> Any:
        """Return the batch that is to be taken next, ``None`` if there is none."""
        group = self.take(1)
        self._taken -= len(group)
        return group[0] if group else None

    def used(self, count: int) -> None:
        """Forget the first ``count`` batches that were taken."""
        self._known = self._known[count:]
        self._taken -= count

    def again(self) -> None:
        """Let those batches come next that were taken but not used."""
        self._taken = 0

    def skip(self, count: int) -> int:
        """Leave out as many batches; return how many there were."""
        for done in range(count):
            if not self.take(1):
                return done
            self.used(1)
        return count
