"""What a view is told of compiling: it ends when every program of the first report is compiled."""

from __future__ import annotations

import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.training import events
from kerasmagic.training.sinks import set_default_sink


class Watcher:
    """A view that wants the weights after every dispatch."""

    def __init__(self):
        self.events: list[events.Event] = []

    def emit(self, event: events.Event) -> None:
        self.events.append(event)

    def wants_weights(self) -> bool:
        return True


@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_the_first_histograms_are_made_while_compiling(steps_per_execution):
    watcher = Watcher()
    before = set_default_sink(lambda level: watcher)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse", steps_per_execution=steps_per_execution)
    model.fit(np.ones((40, 4)), np.ones((40, 2)), batch_size=10, epochs=2)
    set_default_sink(before)
    seen = [
        event.phase if isinstance(event, events.PhaseStarted) else type(event).__name__
        for event in watcher.events
        if isinstance(event, events.PhaseStarted | events.WeightsSeen | events.StepsDone)
    ]
    steps = [(event.epoch, event.step) for event in watcher.events if isinstance(event, events.StepsDone)]
    first, second = ([step for at, step in steps if at == epoch] for epoch in (0, 1))
    assert first[-1] == second[-1] == 4
    again = ["WeightsSeen", "StepsDone"]
    assert seen == [
        *["compiling", "WeightsSeen", "training", "StepsDone", *again * (len(first) - 1)],
        *["training", *again * len(second), "WeightsSeen"],
    ]


def test_a_view_is_told_what_was_compiled_and_why():
    watcher = Watcher()
    before = set_default_sink(lambda level: watcher)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    x, y = np.ones((25, 4)), np.ones((25, 2))
    history = model.fit(x, y, batch_size=10, epochs=2, validation_data=(x[:10], y[:10]))
    set_default_sink(before)
    told = [event for event in watcher.events if isinstance(event, events.ProgramCompiled)]
    assert [(event.program, event.reason) for event in told] == [
        ("train", "first step"),
        ("test", "first step"),
    ]
    assert [event.seconds for event in told] == [one.seconds for one in history.compilations]
