"""The widget that answers for the rows of tables: who asked once is told when there may be another answer."""

from __future__ import annotations

from typing import Any

import pytest

from kerasmagic.widgets.layer_link import LayerLink
from kerasmagic.widgets.sink import NotebookSink


class Model:
    pass


def test_pages_that_asked_are_told_to_ask_again(monkeypatch: pytest.MonkeyPatch):
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(LayerLink, "send", lambda link, content, buffers=None: sent.append(content))
    link, model = LayerLink(), Model()
    try:
        link.offer("abc", model, lambda row, first: (f"row {row}, {first}", False))
        for opening in NotebookSink.openings:
            opening()
        assert sent == []
        link._on_message(link, {"kind": "look", "table": "abc", "row": 2, "first": True, "ask": 7}, [])
        assert sent.pop() == {"kind": "look", "ask": 7, "html": "row 2, True", "again": False}
        for opening in NotebookSink.openings:
            opening()
        assert sent == [{"kind": "stir"}]
    finally:
        link.close()
    assert link.stir not in NotebookSink.openings
