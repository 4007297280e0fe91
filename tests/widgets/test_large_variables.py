"""A live fit of a variable of a hundred million values: looked at where it is, and copied only to go back to."""

from __future__ import annotations

import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.foundation.machine import process_memory
from kerasmagic.training.sinks import set_default_sink
from kerasmagic.widgets import sink as sink_module
from kerasmagic.widgets.place import Place
from kerasmagic.widgets.sink import NotebookSink

ROWS, WIDTH = 1_000_000, 100


@pytest.mark.slow
def test_a_view_of_a_hundred_million_values_keeps_one_copy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sink_module, "_display", lambda bundle: None)
    monkeypatch.setattr(Place, "_known", True)
    table = keras.layers.Embedding(ROWS, WIDTH, embeddings_initializer="zeros")
    model = keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            table,
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = np.random.default_rng(0).integers(0, ROWS, (24, 4)).astype("int32")
    y = np.ones((24, 1), "float32")
    model.fit(x, y, batch_size=8, verbose=0)
    sinks: list[NotebookSink] = []

    def shown(level: int) -> NotebookSink:
        sinks.append(NotebookSink(weights_interval=0.0))
        return sinks[-1]

    before = set_default_sink(shown)
    peak = process_memory().peak
    try:
        model.fit(x, y, batch_size=8, epochs=2, verbose=1)
    finally:
        set_default_sink(before)
    (sink,) = sinks
    assert sink.error is None
    seen = sink.state.histograms[table.embeddings.path]
    assert seen.stride > 1000
    assert sum(seen.counts) == pytest.approx(ROWS * WIDTH / seen.stride, rel=1e-3)
    # One copy is kept to go back to the best weights; the next would be another 400 MB.
    after = process_memory().peak
    assert peak is not None
    assert after is not None
    assert after - peak < 1.75 * 4 * ROWS * WIDTH
