"""No search for garbage in a block."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.foundation.collector import no_collection


class Node:
    """May refer to itself."""

    def __init__(self) -> None:
        self.own = self


def test_cycles_stay_in_the_block_and_go_after_it() -> None:
    with no_collection():
        node = Node()
        gone = weakref.ref(node)
        del node
        _ = [[] for _ in range(10 * gc.get_threshold()[0])]
        assert gone() is not None
    gc.collect()
    assert gone() is None


def test_what_stays_is_left_for_the_rare_search() -> None:
    with no_collection(stays=True):
        node = Node()
    assert any(one is node for one in gc.get_objects(generation=2))
    assert gc.get_freeze_count() == 0
    gone = weakref.ref(node)
    del node
    gc.collect()
    assert gone() is None


def test_what_a_user_has_frozen_stays_frozen() -> None:
    gc.freeze()
    try:
        with no_collection(stays=True):
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_the_collector_is_on_again_after_an_error_and_inside_another_block() -> None:
    with pytest.raises(ZeroDivisionError), no_collection(), no_collection():
        _ = 1 / 0
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with no_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_it_is_off_while_a_step_is_traced_and_on_while_it_runs() -> None:
    seen = []

    class Asks(keras.layers.Layer):
        def call(self, x):
            seen.append(gc.isenabled())
            return x

    class Looks(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(("epoch", gc.isenabled()))

    model = keras.Sequential([keras.Input((2,)), Asks(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    seen.clear()
    model.fit(np.ones((4, 2)), np.ones((4, 1)), batch_size=2, verbose=0, callbacks=[Looks()])
    assert False in seen
    assert True not in seen
    assert seen[-1] == ("epoch", True)
