"""The editor without a browser: what it answers, in which order, and what it keeps."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

import kerasmagic as keras
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.magics.editor import build, editor, read
from kerasmagic.models import Model
from kerasmagic.widgets import editor as editor_module
from kerasmagic.widgets.editor import Answer, EditorWidget, Mistake

TEXT = "input 8\ndense 4 relu\ndense 2"


def send(widget: EditorWidget, kind: Any, revision: Any, text: Any) -> None:
    widget._on_message(widget, {"kind": kind, "revision": revision, "text": text}, [])


def shapes(reply: dict[str, Any]) -> list[Any]:
    return [row["shape"]["shape"] for row in json.loads(reply["data"])["rows"]]


def test_the_table_follows_the_text():
    widget = editor(TEXT, "net")
    assert shapes(widget.reply) == [["batch", 8], ["batch", 4], ["batch", 2]]
    send(widget, "read", 1, TEXT.replace("4", "16"))
    assert shapes(widget.reply)[1] == ["batch", 16]
    assert (widget.reply["revision"], widget.reply["built"], widget.model) == (1, False, None)


def test_mistakes_have_their_places():
    (mistake,) = read("input 8\ndense 4 rleu", "net", {}).mistakes
    assert (mistake.line, mistake.start, mistake.stop) == (2, 8, 12)
    assert "Did you mean 'relu'?" in mistake.message
    assert len(read("input 8\ndens 4\ndense 4 rleu", "net", {}).mistakes) == 2


def test_a_shape_that_does_not_fit_shows_the_layers_before_it():
    answer = read("input 8\ndense 4\nreshape (3,)\ndense 2", "net", {})
    assert [m.line for m in answer.mistakes] == [3]
    assert answer.table is not None
    assert [row.name for row in answer.table.rows] == ["input", "dense"]


def test_reading_runs_nothing():
    names: dict[str, Any] = {"ran": []}
    text = "input 8\ndense {ran.append(1) or 4}"
    answer = read(text, "net", names)
    assert not answer.mistakes
    assert "when the model is built" in answer.note
    assert names["ran"] == []
    bound: list[Any] = []
    assert build(text, "net", names, bound.append).model is bound[0]
    assert names["ran"]


def test_building_binds_and_keeps_weights():
    widget = editor(TEXT, "net")
    send(widget, "build", 1, TEXT)
    first = widget.model
    assert isinstance(first, Model)
    kernel: Any = first.layers[1].trainable_weights[0]
    kernel.assign(kernel.value * 0 + 3)
    send(widget, "build", 2, TEXT.replace("dense 2", "dense 5"))
    assert widget.model is not first
    assert float(widget.model.layers[1].kernel.value[0, 0]) == 3
    assert widget.reply["built"]
    assert ">kept<" in widget.reply["page"]
    send(widget, "build", 3, "input 8\ndense")
    assert widget.model.output_shape == (None, 5)
    assert not widget.reply["built"]


def test_a_stale_answer_never_overwrites_a_newer_one():
    started, go_on = threading.Event(), threading.Event()

    def slow(text: str) -> Answer:
        if text == "slow":
            started.set()
            go_on.wait(10)
        return Answer(note=text)

    widget = EditorWidget(slow, slow, "first")
    thread = threading.Thread(target=send, args=(widget, "read", 1, "slow"))
    thread.start()
    started.wait(10)
    send(widget, "read", 2, "fast")
    go_on.set()
    thread.join()
    assert (widget.reply["revision"], widget.reply["note"]) == (2, "fast")


def test_any_error_is_shown_and_the_editor_goes_on():
    def fails(text: str) -> Answer:
        if text == "bad":
            raise RuntimeError("<b>no</b>")
        return Answer(note=text)

    widget = EditorWidget(fails, fails)
    send(widget, "read", 1, "bad")
    assert widget.reply["mistakes"][0]["message"] == "RuntimeError: <b>no</b>"
    send(widget, "read", 2, "good")
    assert (widget.reply["mistakes"], widget.reply["note"]) == ([], "good")


@pytest.mark.parametrize(
    "content",
    [
        None,
        3,
        {},
        {"kind": "other", "revision": 1, "text": "x"},
        {"kind": "read", "revision": "1", "text": "x"},
    ],
)
def test_messages_that_make_no_sense_do_nothing(content):
    widget = EditorWidget(lambda text: Answer(note=text), lambda text: Answer(), "a")
    before = widget.reply
    widget._on_message(widget, content, [])
    assert widget.reply is before


def test_nothing_is_written_yet():
    assert read("  \n", "net", {}) == Answer()
    assert editor().reply["page"] == ""


@pytest.mark.parametrize("name", ["", "a b", "class", 3])
def test_names_that_no_variable_can_have(name):
    with pytest.raises(InvalidArgument):
        editor(TEXT, name)


def test_what_stays_in_the_notebook_is_the_last_text_with_its_table_and_errors(monkeypatch):
    shown: list[dict[str, Any]] = []

    class Handle:
        def update(self, bundle, *, raw):
            shown.append(bundle)

    monkeypatch.setattr(editor_module, "PAUSE", 0.01)
    monkeypatch.setattr(EditorWidget, "_displayed", lambda self, bundle: shown.append(bundle) or Handle())
    widget = editor(TEXT, "net")
    widget._ipython_display_()
    assert set(shown[0]) == {"text/html", "text/plain"}
    assert "(batch, 4)" in shown[0]["text/html"]
    assert shown[0]["text/plain"].startswith(f"{TEXT}\n\nnet\n")
    for revision, text in enumerate(("input 8\ndense 5", "input 8\ndense 4 <b>\ndense 6"), start=1):
        send(widget, "read", revision, text)
    assert widget._keeper is not None
    widget._keeper.join(5)
    assert "&lt;b&gt;" in shown[-1]["text/html"]
    assert "<b>net" not in shown[-1]["text/html"]
    assert "line 2: " in shown[-1]["text/plain"]
    send(widget, "read", 3, "input 8\ndense 7")
    widget.close()
    assert "(batch, 7)" in shown[-1]["text/plain"]


def test_another_editor_of_the_name_closes_the_one_before():
    first, other = editor(TEXT, "net"), editor(TEXT, "other")
    again = editor(TEXT, "net")
    assert first.comm is None
    assert other.comm is not None
    assert again.comm is not None


def test_an_error_without_a_place_has_none():
    widget = EditorWidget(lambda text: Answer(mistakes=(Mistake("something"),)), lambda text: Answer())
    assert widget.reply["mistakes"] == [{"message": "something", "line": None, "start": 0, "stop": 0}]


def test_a_model_that_was_built_already_is_shown():
    text = "input 8\ndense {2 + 2}"
    model = keras.define(text, {}, name="net")
    widget = editor(text, "net", model)
    assert widget.model is model
    assert shapes(widget.reply)[1] == ["batch", 4]
