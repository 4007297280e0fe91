"""The picture that stays: well formed, inert, self-contained, and the same for the same run."""

from __future__ import annotations

import re
import struct
import sys
from xml.etree import ElementTree

import pytest

from kerasmagic.foundation import options
from kerasmagic.training.events import StepsDone, WeightsSeen
from kerasmagic.widgets import static_run
from kerasmagic.widgets.chart import charts
from kerasmagic.widgets.static_chart import svg as svg_of
from tests.widgets.markup import Tags
from tests.widgets.runs import HOSTILE, epoch, histogram, started, state_after, whole_run

OUTCOMES = ["finished", "stopped", "interrupted", "failed"]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_html_is_well_formed_and_says_how_it_ended(outcome):
    html = static_run.html(state_after(whole_run(outcome, "why")))
    root = next(attributes for tag, attributes in Tags(html).found if tag == "div")
    assert root["data-state"] == outcome
    assert f'<span class="km-status">{outcome}</span>' in html
    assert ">why</div>" in html


def test_every_svg_is_xml_without_numbers_that_are_not():
    for chart in charts(state_after(whole_run())):
        svg = svg_of(chart)
        assert ElementTree.fromstring(svg).get("role") == "img"
        assert "nan" not in svg
        assert svg.count("<path") == 3


def test_a_curve_is_broken_where_it_is_not_finite():
    losses = [1.0, 0.9, float("nan"), 0.8, 0.7]
    events = [
        StepsDone(0, index + 1, index + 1, 32, {"loss": loss}, 0.1) for index, loss in enumerate(losses)
    ]
    svg = svg_of(charts(state_after([started(), *events]))[0])
    path = re.search(r'<path d="([^"]*)"', svg)
    assert path is not None
    assert re.sub(r"[^A-Z]", "", path.group(1)) == "MLML"


def test_hostile_names_are_text():
    events = whole_run("failed", HOSTILE, model=HOSTILE, device=HOSTILE, metrics=("loss", HOSTILE))
    events.insert(-1, StepsDone(3, 10, 40, 32, {HOSTILE: 1.0}, 2.4))
    events.insert(-1, WeightsSeen(40, {f'"><script>{HOSTILE}/w': histogram()}, 2.4))
    html = static_run.html(state_after(events))
    found = Tags(html).found
    assert {tag for tag, _ in found}.isdisjoint({"a", "link", "iframe"})
    assert Tags(html).loaded() == set()
    assert [tag for tag, _ in found].count("script") == 1
    code = html[html.index("<script>") + len("<script>") : html.rindex("</script>")]
    assert HOSTILE.replace("<", "\\u003c") in code
    assert not re.search(r"<[!/a-z]", code)
    assert not any(name.startswith("on") for _, attributes in found for name in attributes)
    assert any(attributes.get("data-metric") == HOSTILE for _, attributes in found)


def test_html_needs_nothing_from_elsewhere():
    html = static_run.html(state_after(whole_run()))
    html = html.replace("http://www.w3.org/2000/svg", "a name, which nobody loads")
    assert not re.search(r"url\(|@import|https?:|import\(|fetch\(|href=", html)
    assert Tags(html).loaded() == set()


@pytest.mark.parametrize("events", [[], [started()], [started(steps=None, validation=False)]])
def test_a_run_without_data_can_be_drawn(events):
    state = state_after(events)
    Tags(static_run.html(state))
    assert static_run.png(state)


def test_odd_histograms_are_drawn():
    odd = {
        "a/all": histogram([5.0], 0.0, 0.0),
        "none": histogram([]),
        "bad": histogram([float("nan"), -1.0, 2.0]),
    }
    state = state_after([started(), WeightsSeen(1, odd, 0.1)])
    html = static_run.html(state)
    assert html.count('class="km-histogram"') == 3
    assert "nan" not in re.findall(r' d="([^"]*)"', html)
    assert static_run.png(state)


def test_a_model_of_many_variables_stays_small():
    many = {f"layer_{index}/kernel": histogram([1.0] * 40) for index in range(2000)}
    html = static_run.html(state_after([started(), WeightsSeen(1, many, 0.1)]))
    assert "1,940 more not shown" in html
    assert len(html) < 200_000


def test_the_png_is_a_png_and_equal_runs_give_equal_bytes():
    pyplot_was_there = "matplotlib.pyplot" in sys.modules
    first = static_run.png(state_after(whole_run(model="$x$ " + HOSTILE)))
    assert first is not None
    assert first.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", first[16:24])
    assert (width, 300 < height < 600) == (1100, True)
    assert static_run.png(state_after(whole_run(model="$x$ " + HOSTILE))) == first
    assert ("matplotlib.pyplot" in sys.modules) == pyplot_was_there


def test_the_bundle():
    state = state_after(whole_run())
    assert set(static_run.bundle(state)) == {"image/png", "text/html", "text/plain"}
    with options.scoped(deterministic=True):
        shown = static_run.bundle(state)
    assert set(shown) == {"image/png", "text/plain"}
    assert shown["text/plain"] == "Training of digits"


def test_a_single_epoch_is_a_dot_that_can_be_seen():
    events = [started(), *epoch(0, 0.0)]
    svg = svg_of(charts(state_after(events))[0])
    assert svg.count('h0.01" fill="none" stroke-linejoin="round" stroke-linecap="round"') == 2
    assert svg.count('stroke-width="4"') == 2
