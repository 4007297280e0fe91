"""Histograms over time: bounded, chosen, packed for the page and kept in the saved picture; and warnings."""

from __future__ import annotations

import dataclasses
import functools
import pickle
import re
from collections.abc import Sequence

import numpy as np
import pytest

from kerasmagic.training.events import Advice, Advised, Event, Histogram, LayerSeen, WeightsSeen
from kerasmagic.widgets import static_run
from kerasmagic.widgets.reducer import RunState, reduce
from kerasmagic.widgets.sink import NotebookSink
from kerasmagic.widgets.throttle import Budget, read
from kerasmagic.widgets.training import TrainingWidget
from kerasmagic.widgets.weight_wire import pack_weights
from kerasmagic.widgets.weights import MAX_ROWS, MAX_SHOWN, Choice, Rows, cells, choice_of, heat
from tests.widgets.markup import Tags
from tests.widgets.runs import HOSTILE, histogram, started, whole_run


def reduced(events: Sequence[Event | Choice]) -> RunState:
    return functools.reduce(reduce, events, RunState())


def looks(count: int, names=("net/a/kernel", "net/b/kernel"), **more) -> list[WeightsSeen]:
    return [
        WeightsSeen(
            step,
            {name: histogram(np.arange(40) % (3 + i), -1.0 - i, 1.0) for i, name in enumerate(names)},
            0.1 * step,
            **more,
        )
        for step in range(1, count + 1)
    ]


def inspected(step: int) -> WeightsSeen:
    """A look at everything."""
    layer = LayerSeen(histogram(), 0.5, 0.25, 16)
    flat = LayerSeen(histogram(), 0.5, float("nan"))
    return WeightsSeen(
        step,
        {"net/a/kernel": histogram()},
        0.1,
        gradients={"net/a/kernel": histogram(low=-1e-3, high=1e-3)},
        updates={"net/a/kernel": 0.0123},
        layers={"a": layer, "flatten": flat},
    )


def test_a_million_looks_stay_a_few_rows():
    rows = Rows()
    one = {f"layer_{i}/kernel": histogram(np.ones(40)) for i in range(20)}
    for step in range(3000):
        rows = rows.append(step, one)
    steps = [row.step for row in rows.kept()]
    assert MAX_ROWS / 2 <= len(steps) <= MAX_ROWS
    assert (steps[0], steps[-1]) == (0, 2999)
    assert len(set(np.diff(steps[:-1]))) == 1
    assert len(pickle.dumps(rows)) < 100_000


def test_other_variables_begin_a_new_history():
    rows = Rows().append(1, {"a": histogram()}).append(2, {"a": histogram(), "b": histogram()})
    assert (rows.names, [row.step for row in rows.kept()]) == (("a", "b"), [2])


def test_heat_puts_each_moment_on_one_scale():
    rows = Rows()
    for step, (low, high) in enumerate([(0.0, 1.0), (-1.0, 3.0), (2.0, 2.0)]):
        rows = rows.append(step, {"a": Histogram(np.array([4.0, 2.0]), low, high)})
    shades, low, high = heat(rows, 0, height=8)
    assert (low, high) == (-1.0, 3.0)
    assert shades[:, 0].tolist() == [0, 0, 0, 0, 128, 255, 0, 0]
    assert shades[:, 1].tolist() == [128] * 4 + [255] * 4
    # All values are one: a single line, of the fullest bin.
    assert np.flatnonzero(shades[:, 2]).tolist() == [1]


@pytest.mark.parametrize(
    "counts", [[], [np.nan, 1.0], [-5.0, 0.0], [0.0] * 40], ids=["none", "nan", "negative", "zero"]
)
def test_odd_histograms_have_a_history(counts):
    rows = Rows()
    for step in range(3):
        rows = rows.append(step, {"a": histogram(counts, np.nan, np.inf), "b": histogram()})
    for place in (0, 1):
        shades, low, high = heat(rows, place)
        assert np.isfinite([low, high]).all()
        assert shades.shape == (40, 3)


def test_a_look_at_everything_is_kept_until_the_next_one():
    state = reduced([started(), inspected(5), *looks(1)])
    assert state.weights.updates == {"net/a/kernel": 0.0123}
    assert {kind: [row.step for row in rows.kept()] for kind, rows in state.weights.rows.items()} == {
        "weights": [1],
        "gradients": [5],
        "outputs": [5],
    }


@pytest.mark.parametrize(
    ("kind", "notes"),
    [("weights", [""]), ("gradients", ["step 1.2 %"]), ("outputs", ["25 % dead", "50 % zeros"])],
)
def test_notes_say_what_matters(kind, notes):
    state = reduced([started(), inspected(5), Choice(kind)])
    shown, fitting = cells(state.weights, state.histograms)
    assert [cell.note for cell in shown] == notes
    assert fitting == len(notes)


def test_a_sample_and_bad_values_are_named():
    odd = dataclasses.replace(histogram(), stride=611)
    bad = dataclasses.replace(histogram(), stride=611, bad=1234)
    state = reduced([started(), WeightsSeen(1, {"a": odd, "b": bad}, 0.0)])
    shown, _ = cells(state.weights, state.histograms)
    assert [cell.note for cell in shown] == ["1 in 611", "1,234 not finite"]
    assert "of every 611th value" in shown[0].summary


def test_words_choose_names():
    names = [f"net/dense_{i}/{part}" for i in range(500) for part in ("kernel", "bias")]
    state = reduced([started(), *looks(2, names), Choice("weights", False, "DENSE_41 kernel")])
    view, index, _ = pack_weights(state)
    assert [item["name"] for item in index] == [f"net/dense_{i}/kernel" for i in (41, *range(410, 420))]
    assert view["caption"] == "after step 2, 11 of 1,000 fit"
    view, index, _ = pack_weights(reduce(state, Choice()))
    assert len(index) == MAX_SHOWN
    assert view["caption"] == "after step 2, the first 60 are shown"
    view, index, _ = pack_weights(reduce(state, Choice("weights", True, "nothing")))
    assert (index, view["empty"]) == ([], "no name holds these words")


@pytest.mark.parametrize("over_time", [False, True])
def test_numbers_lie_where_the_index_says(over_time):
    state = reduced([started(), *looks(5), Choice("weights", over_time)])
    view, index, data = pack_weights(state)
    for place, item in enumerate(index):
        if over_time:
            part = np.frombuffer(data, np.uint8)[item["offset"] :][: item["rows"] * item["columns"]]
            np.testing.assert_array_equal(
                part.reshape(item["rows"], 5), heat(state.weights.rows["weights"], place)[0]
            )
        else:
            part = np.frombuffer(data, "<f4")[item["offset"] : item["offset"] + item["count"]]
            np.testing.assert_array_equal(part, np.arange(40) % (3 + place))
    assert (view["first"], view["last"]) == ("1", "5")
    assert view["caption"] == ("steps 1 to 5" if over_time else "after step 5")


def test_sixty_histories_fit_on_the_wire():
    state = reduced([started(), *looks(60, [f"l{i}/kernel" for i in range(1000)]), Choice("weights", True)])
    _, index, data = pack_weights(state)
    assert len(data) + len(repr(index)) < 150_000


def test_before_anything_is_known_the_caption_says_so():
    state = reduced([started(), *looks(1), Choice("gradients")])
    view, index, _ = pack_weights(state)
    assert (view["caption"], index) == ("computed with one of the next steps", [])
    state = reduce(state, dataclasses.replace(looks(1)[0], note="gradients: being compiled"))
    assert pack_weights(state)[0]["caption"] == "gradients: being compiled"


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"show": None, "over_time": "yes", "words": None},
        {"show": ["weights"], "over_time": 1},
        {"show": HOSTILE},
    ],
)
def test_messages_that_make_no_sense_choose_what_is_usual(content):
    assert choice_of(content) == Choice()
    assert len(choice_of({"words": "x" * 10_000}).words) == 200


def test_a_message_of_the_page_becomes_a_choice():
    widget, chosen = TrainingWidget(), []
    widget.choose = chosen.append
    widget._on_message(widget, {"kind": "choose", "show": "outputs", "over_time": True, "words": "a"}, [])
    widget._on_message(widget, {"kind": "choose"}, [])
    widget._on_message(widget, {"kind": "other"}, [])
    widget._on_message(widget, "choose", [])
    assert chosen == [Choice("outputs", True, "a"), Choice()]


def test_what_a_reader_asks_for_is_sent_at_once():
    widget = TrainingWidget()
    widget._budget = Budget(1e12)
    state = reduced([started(), *looks(3)])
    widget.show(state)
    widget._budget = Budget(1.0)
    widget._budget.spend(10**9)
    widget.show(reduce(state, looks(4)[-1]))
    assert widget.weight_view["last"] == "3"
    widget.show(reduce(state, Choice("weights", True)))
    assert widget.weight_view["over_time"]
    assert "rows" in widget.weight_index[0]


def test_the_sink_asks_for_gradients_only_while_they_are_looked_at(monkeypatch):
    monkeypatch.setattr("kerasmagic.widgets.sink._display", lambda bundle: None)
    now = [0.0]
    sink = NotebookSink(clock=lambda: now[0])
    sink.emit(started())
    try:
        assert sink.wants_weights()
        assert not sink.wants_gradients()
        sink._choose(Choice("gradients"))
        assert sink.wants_weights(), "what was asked for comes with the next step"
        while not sink.wants_gradients():
            pass
        sink.emit(dataclasses.replace(looks(1)[0], cost=0.5))
        now[0] = 99.0
        assert not sink.wants_weights(), "a look of half a second is due once in a hundred seconds"
        now[0] = 101.0
        assert sink.wants_weights()
    finally:
        sink.close()


def test_numbers_on_the_device_are_read():
    from kerasmagic.training.probes import OnDevice, histograms

    event = WeightsSeen(
        1,
        histograms(["a"], [np.ones(3)]),
        0.0,
        updates=OnDevice(["a"], np.array([0.5]), lambda host, place: float(host[place])),
    )
    found = read(event)
    assert isinstance(found, WeightsSeen)
    assert (type(found.histograms), found.updates) == (dict, {"a": 0.5})
    assert isinstance(found.histograms["a"].counts, np.ndarray)


ADVICE = Advice("non_finite", f"The loss is NaN: the output of layer '{HOSTILE}'.", "Lower it.", 7)


def test_warnings_are_kept_shown_and_inert():
    state = reduced(
        [started(), Advised(ADVICE, 0.1), Advised(dataclasses.replace(ADVICE, cause="other"), 0.2)]
    )
    assert [one.cause for one in state.advice] == ["non_finite", "other"]
    html = static_run.html(state)
    assert HOSTILE not in html
    assert html.count("<li data-cause=") == 2
    Tags(re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL))
    widget = TrainingWidget()
    widget.show(state)
    assert widget.advice[0]["text"] == ADVICE.text


def test_a_new_run_begins_without_warnings():
    state = reduced([started(), Advised(ADVICE, 0.1), started(run=2)])
    assert state.advice == ()
    assert state.weights == RunState().weights


def test_the_saved_picture_holds_the_history_of_each_kind():
    events = whole_run()
    events[-1:-1] = [inspected(41), inspected(42)]
    state = reduced(events)
    pictures = [static_run.png(state), static_run.png(dataclasses.replace(state, weights=RunState().weights))]
    heights = [int.from_bytes(png[20:24], "big") for png in pictures if png]
    assert heights[0] > heights[1]
    html = static_run.html(state)
    pictures = [
        a for tag, a in Tags(re.sub(r"<script>.*</script>", "", html, flags=re.DOTALL)).found if tag == "img"
    ]
    labels = [picture["alt"] for picture in pictures if picture["class"] == "km-strip"]
    assert labels[0] == "net/a/kernel over time: -0.5 to 0.25, step 41 to 42"
    assert len(labels) == 4
    assert "layer outputs" in html
    assert "step 1.2 %" in html


def test_the_saved_picture_of_a_thousand_variables_stays_small():
    names = [f"net/dense_{i}/kernel" for i in range(1000)]
    html = static_run.html(reduced([started(), *looks(60, names)]))
    assert "940 more not shown" in html
    assert len(html) < 300_000
