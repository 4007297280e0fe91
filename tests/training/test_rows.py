"""Batches as rows of a table: one by one, and many at once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.training.data.arrays import ArrayBatches
from kerasmagic.training.data.rows import Rows


@pytest.mark.parametrize("counts", [[4, 4, 4], [4, 4, 1], [1, 4, 4], [4, 2, 4, 3], [3]])
def test_parts_of_batches_are_those_of_a_list(counts):
    order = np.random.default_rng(1).permutation(sum(counts)).astype("int32")
    batches = np.split(order, np.cumsum(counts)[:-1])
    for rows in (Rows(order, counts), Rows.of(batches), Rows(np.append(9, order), counts, begin=1)):
        assert [one.tolist() for one in rows] == [one.tolist() for one in batches]
        for begin in range(len(counts)):
            assert rows[begin].tolist() == batches[begin].tolist()
            assert rows[begin - len(counts)].tolist() == batches[begin].tolist()
            assert [one.tolist() for one in rows[begin:]] == [one.tolist() for one in batches[begin:]]
        full = [np.append(one, [one[-1]] * (5 - len(one))).tolist() for one in batches]
        assert rows.filled(5, len(counts) + 2).tolist() == [*full, full[-1], full[-1]]
        if len(counts) > 1:
            assert rows[1:].filled(5, 4).tolist()[: len(counts) - 1] == full[1:]
        assert [run.counts for run in rows.runs(lambda count: count > 3)] == _runs(counts)
        assert rows[:-1][1:].counts == counts[1:-1]
        with pytest.raises(IndexError):
            rows[len(counts)]
        with pytest.raises(IndexError):
            rows[:-1][len(counts) - 1]
        with pytest.raises(ValueError, match="no step"):
            rows[::2]


def _runs(counts):
    runs = [[]]
    for count in counts:
        if runs[-1] and (runs[-1][-1] > 3) != (count > 3):
            runs.append([])
        runs[-1].append(count)
    return runs


@pytest.mark.parametrize("shuffle", [False, True, "batch"])
def test_rows_of_an_epoch_are_its_batches(shuffle):
    x = np.arange(10.0, dtype="float32")
    batches = ArrayBatches((x,), 4, shuffle)
    keras.utils.set_random_seed(3)
    taken = [one[0].tolist() for one in batches]
    keras.utils.set_random_seed(3)
    assert [x[rows].tolist() for rows in batches.rows()] == taken
    assert sorted(itertools.chain(*taken)) == x.tolist()
    assert sorted(map(len, taken)) == [2, 4, 4]
