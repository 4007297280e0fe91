"""What a row of a model's table shows when it is opened: the right model's weights, and nothing after that is gone."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.magics import look as look_module
from kerasmagic.magics.look import answer_for, linked
from kerasmagic.magics.table import table_of

TEXT = "block pair(n):\n    dense n -> dense n\ninput 4\npair 3\ndense 2"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def kernel(monkeypatch):
    monkeypatch.setattr(look_module, "in_kernel", lambda: True)
    monkeypatch.setattr(look_module, "_LINK", [])
    monkeypatch.setattr(look_module, "_MODELS", {})


def shown(model):
    table = linked(model, table_of(model))
    answer_for(model, table)
    return table


def test_a_row_opens_to_the_weights_of_its_layer_and_a_block_to_all_of_its(kernel):
    model = keras.define(TEXT, name="net")
    model(np.zeros((1, 4), "float32"))
    table = shown(model)
    link = look_module._LINK[0]
    found = {row.name: link.look(table.key, place)[0] for place, row in enumerate(table.rows)}
    assert found["input"] == '<p class="km-soft">no weights</p>'
    assert found["pair"].count("<figure>") == 4
    assert found["dense"].count("<figure>") == 2
    assert "(4, 3) float32" in found["dense"]
    assert "mean" in found["dense"]
    assert link.look(table.key, 99) == ('<p class="km-soft">no weights</p>', False)


def test_values_are_not_made_to_be_shown(kernel):
    model = keras.define(TEXT, name="net")
    table = shown(model)
    html, again = look_module._LINK[0].look(table.key, 2)
    assert "no values yet" in html
    assert not again
    assert not any(variable.initialized for variable in model.weights)


def test_equal_tables_of_two_models_are_told_apart(kernel):
    one, other = (keras.define(TEXT, name="net") for _ in range(2))
    first, second, again = shown(one), shown(other), shown(one)
    assert first.key == again.key != second.key
    one.layers[1].kernel.assign(np.full((4, 3), 7.0))
    other.layers[1].kernel.assign(np.full((4, 3), 8.0))
    link = look_module._LINK[0]
    place = [row.name for row in first.rows].index("dense")
    assert ">7<" in link.look(first.key, place)[0]
    assert ">8<" in link.look(second.key, place)[0]
    del one, first
    gc.collect()
    assert link.look(again.key, place)[0] == '<p class="km-soft">This model is no longer there.</p>'


def test_names_are_inert_and_messages_of_any_kind_too(kernel):
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(2, name=HOSTILE)(x))
    model(np.zeros((1, 4), "float32"))
    table = shown(model)
    link = look_module._LINK[0]
    assert "<img" not in link.look(table.key, 1)[0]
    sent = []
    link.send = sent.append  # type: ignore[method-assign]
    for content in (
        None,
        {},
        {"kind": "look"},
        {"kind": "look", "table": 3, "row": 1},
        {"kind": "look", "table": table.key, "row": True},
    ):
        link._on_message(link, content, [])
    assert sent == []
    link._on_message(link, {"kind": "look", "table": "unknown", "row": 0, "ask": 4}, [])
    assert (sent[0]["ask"], sent[0]["again"]) == (4, False)


def test_without_a_kernel_nothing_is_linked():
    model = keras.define(TEXT, name="net")
    assert shown(model).copy == 0
    assert look_module._LINK == []
