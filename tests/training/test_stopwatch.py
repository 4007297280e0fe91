"""The time of a run is split by what it went into, and nobody waits for that."""

from __future__ import annotations

import threading
import time

import jax
import jax.numpy as jnp
import pytest

from kerasmagic.training.stopwatch import Stopwatch


class Result:
    """Stands for a value on the device, there after a number of looks."""

    def __init__(self, *answers: bool):
        self.answers = list(answers)

    def is_ready(self) -> bool:
        return self.answers.pop(0)


@pytest.mark.parametrize(
    ("before", "after", "share"), [(True, True, 1.0), (False, True, 0.5), (False, False, 0.0)]
)
def test_data_is_waited_for_only_where_the_device_is_idle(before, after, share):
    stopwatch = Stopwatch()
    assert stopwatch.fetch(lambda: time.sleep(0.02) or "batch", {"loss": Result(before, after)}) == "batch"
    assert stopwatch.spent.data >= 0.02 * share
    assert (stopwatch.spent.data == 0.0) == (share == 0.0)


def test_the_first_batch_and_plain_numbers_keep_no_device_busy():
    stopwatch = Stopwatch()
    for results in ({}, {"loss": 0.5}):
        before = stopwatch.spent.data
        stopwatch.fetch(lambda: time.sleep(0.01), results)
        assert stopwatch.spent.data >= before + 0.01


def test_data_that_fails_is_counted_and_fails():
    stopwatch = Stopwatch()
    with pytest.raises(StopIteration):
        stopwatch.fetch(lambda: next(iter([])), {})
    assert stopwatch.spent.data > 0.0


def compile_something(factor: float) -> None:
    jax.jit(lambda x: jnp.sin(x * factor)).lower(jnp.ones(3)).compile()


def test_only_what_this_thread_compiles_inside_the_block_is_counted():
    with Stopwatch() as stopwatch:
        other = threading.Thread(target=compile_something, args=(2.0,))
        other.start()
        other.join()
        assert stopwatch.spent.compiling == 0.0
        compile_something(3.0)
    inside = stopwatch.spent
    assert inside.compiling > 0.0
    assert inside.tracing > 0.0
    compile_something(4.0)
    assert stopwatch.spent == inside
