"""An output that is readable without its widget, and names it only where no page draws over it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from kerasmagic.foundation import options
from kerasmagic.widgets import place as place_module
from kerasmagic.widgets.place import WIDGET_VIEW, Place
from kerasmagic.widgets.placed import PlacedWidget

KEPT = {"text/html": "<p>kept</p>", "text/plain": "kept"}


class Output:
    """Stands for a cell's output: all that was ever in it, the newest last."""

    def __init__(self) -> None:
        self.bundles: list[dict[str, Any]] = []
        self.changed = threading.Event()

    def display(self, bundle: dict[str, Any]) -> Output:
        self.bundles.append(bundle)
        return self

    def update(self, bundle: dict[str, Any], *, raw: bool) -> None:
        assert raw
        self.bundles.append(bundle)
        self.changed.set()


@pytest.fixture
def output(monkeypatch) -> Output:
    monkeypatch.setattr(Place, "_known", False)
    monkeypatch.setattr(place_module, "PATIENCE", 0.05)
    return Output()


def answer(widget: PlacedWidget) -> None:
    widget._on_placed(widget, {"kind": "placed"}, [])


def test_where_a_page_draws_the_widget_is_never_named(output):
    widget = PlacedWidget()
    place = Place(widget, output.display)
    place.show(KEPT)
    answer(widget)
    assert not output.changed.wait(0.2)
    place.keep({**KEPT, "text/plain": "later"})
    place.end({"text/plain": "end"})
    place.keep(KEPT)
    assert [bundle["text/plain"] for bundle in output.bundles] == ["kept", "later", "end"]
    assert not any(WIDGET_VIEW in bundle for bundle in output.bundles)
    # The mark that the script looks for is around what stays.
    assert widget.place
    assert f'class="{widget.place}"' in output.bundles[0]["text/html"]


def test_where_no_page_answers_the_widget_is_named_until_one_does(output):
    widget = PlacedWidget()
    place = Place(widget, output.display)
    place.show(KEPT)
    assert output.changed.wait(5)
    assert output.bundles[-1][WIDGET_VIEW]["model_id"] == widget.model_id
    assert output.bundles[-1]["text/plain"] == "kept"
    # A front end without widgets goes on showing what is kept; a view is left alone.
    place.keep({**KEPT, "text/plain": "soon"})
    assert {"text/html", "text/plain", WIDGET_VIEW} == set(output.bundles[-1])
    assert output.bundles[-1]["text/plain"] == "soon"
    widget._on_placed(widget, {"kind": "shown"}, [])
    place.keep({**KEPT, "text/plain": "later"})
    assert len(output.bundles) == 3
    answer(widget)
    assert WIDGET_VIEW not in output.bundles[-1]
    assert output.bundles[-1]["text/plain"] == "later"
    # The page answers for all that follow.
    other = Place(PlacedWidget(), output.display)
    output.changed.clear()
    other.show(KEPT)
    assert not output.changed.wait(0.2)


def test_without_anyone_to_insist_for_nothing_is_named(output):
    Place(PlacedWidget(), output.display, insists=False).show(KEPT)
    assert not output.changed.wait(0.2)


def test_a_place_that_ended_names_nothing(output):
    place = Place(PlacedWidget(), output.display)
    place.show(KEPT)
    place.end({"text/plain": "end"})
    assert not threading.Event().wait(0.2)
    assert len(output.bundles) == 2


def test_deterministic_output_has_no_mark(output):
    with options.scoped(deterministic=True):
        widget = PlacedWidget()
        Place(widget, output.display).show(KEPT)
    assert widget.place == ""
    assert set(output.bundles[0]) == {"text/html", "text/plain", WIDGET_VIEW}
    assert output.bundles[0]["text/html"] == KEPT["text/html"]
