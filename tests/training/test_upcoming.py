"""Batches in turn: looked at, taken, taken again where they were not used."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kerasmagic.training.data.rows import Rows
from kerasmagic.training.data.upcoming import Upcoming


def of_rows(count):
    return Upcoming(Rows(np.arange(count), [1] * count))


def of_an_iterator(count):
    return Upcoming(iter([np.array([k]) for k in range(count)]))


def numbers(batches):
    return [int(batch[0]) for batch in batches]


@pytest.mark.parametrize("made", [of_rows, of_an_iterator])
class TestUpcoming:
    def test_gives_each_batch_once(self, made):
        upcoming = made(7)
        assert numbers(upcoming.take(3)) == [0, 1, 2]
        assert upcoming.first() == 3
        assert numbers(upcoming.take(3)) == [3, 4, 5]
        assert numbers(upcoming.take(3)) == [6]
        assert numbers(upcoming.take(3)) == []
        assert upcoming.first() is None

    def test_gives_again_what_was_not_used(self, made):
        upcoming = made(6)
        upcoming.take(2)
        upcoming.take(2)
        upcoming.used(1)
        assert numbers(upcoming.take(1)) == [4]
        upcoming.again()
        assert numbers(upcoming.take(2)) == [1, 2]
        upcoming.used(2)
        assert numbers(upcoming.take(9)) == [3, 4, 5]

    @pytest.mark.parametrize(("asked", "skipped"), [(0, 0), (2, 2), (3, 3), (5, 3)])
    def test_leaves_out_as_many_as_there_are(self, made, asked, skipped):
        upcoming = made(3)
        assert upcoming.skip(asked) == skipped
        assert numbers(upcoming.take(9)) == list(range(skipped, 3))


def test_takes_no_more_of_an_iterator_than_asked_for():
    endless = itertools.count()
    upcoming = Upcoming(endless)
    assert upcoming.first() == 0
    upcoming.take(3)
    assert next(endless) == 3


def test_keeps_nothing_that_was_used():
    upcoming = Upcoming(iter(range(100)))
    while upcoming.take(1):
        upcoming.used(1)
    assert len(upcoming._known) == 0


def test_what_is_in_turn_stays_so():
    upcoming = of_rows(3)
    assert Upcoming.of(upcoming) is upcoming
    assert numbers(Upcoming.of([np.array([5])]).take(2)) == [5]
