"""Rows of any model: graphs, stacks, classes, functions among the layers, blocks of a definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.models.rows import calls, table_rows

L = keras.layers


def seen(model: Any) -> list[tuple[Any, ...]]:
    return [(row.depth, row.name, row.output_shape, row.connected_to) for row in table_rows(model)]


def cost(row: Any) -> str | None:
    return None if row.multiply_adds is None else row.multiply_adds.text()


def test_functions_are_rows_and_branches_are_written_one_after_the_other():
    x = keras.Input((4,), name="x")
    left = L.Dense(4, name="left")(x)
    right = L.Dense(4, name="right")(L.Dense(8, name="wide")(x))
    rows = table_rows(keras.Model(x, (left + right) * 2.0))
    assert [row.kind for row in rows] == ["InputLayer", "Dense", "Dense", "Dense", "ops.add", "ops.multiply"]
    assert rows[1].connected_to == rows[2].connected_to == ("x",)
    assert [row.name for row in rows[2:4]] == ["wide", "right"] or [row.name for row in rows[1:3]] == [
        "wide",
        "right",
    ]
    assert set(rows[4].connected_to) == {"left", "right"}


def test_inputs_come_first():
    model = keras.define("input a 4\ninput b 4\nx = a -> dense 3\ny = b -> dense 3\nx + y -> dense 2")
    assert [row.name for row in table_rows(model)][:2] == ["a", "b"]


def test_a_model_inside_is_above_its_layers():
    inner = keras.Sequential(
        [keras.Input((4,)), L.Dense(3, name="one"), L.Dense(2, name="two")], name="inner"
    )
    x = keras.Input((4,), name="x")
    rows = table_rows(keras.Model(x, inner(x)))
    assert [(row.depth, row.name) for row in rows] == [(0, "x"), (0, "inner"), (1, "one"), (1, "two")]
    assert cost(rows[1]) == "18*batch"
    assert rows[1].parameters == sum(row.parameters for row in rows[2:])


def test_a_class_shows_what_its_layers_were_first_called_on():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.flatten = L.Conv2D(4, 3), L.Flatten()
            self.pair, self.late = L.Concatenate(), L.Dense(2)

        def call(self, x):
            y = self.flatten(self.conv(x))
            return self.pair([y, y])

    model = Net()
    assert [row.output_shape for row in table_rows(model)] == ["?"] * 4
    assert calls(model) == []
    model(np.zeros((2, 8, 8, 3), "float32"))
    rows = table_rows(model)
    assert [row.output_shape for row in rows] == [("batch", 6, 6, 4), ("batch", 144), ("batch", 288), "?"]
    assert [cost(row) for row in rows] == ["3888*batch", "0", "0", None]
    assert all(row.connected_to == () for row in rows)
    assert model.conv._inbound_nodes == []


def test_blocks_become_rows():
    model = keras.define(
        """
        block inner(n):
            dense n relu
        block outer(n):
            inner n
            + in
        input 4
        outer 4
        (outer 4) * 2
        dense 1
        """
    )
    rows = table_rows(model)
    assert [(row.depth, row.name) for row in rows if row.kind == "block"] == [
        (0, "outer"),
        (1, "inner"),
        (0, "outer_1"),
        (1, "inner_1"),
        (0, "outer_2"),
        (1, "inner_2"),
    ]
    outer = rows[1]
    assert (outer.line, outer.parameters, cost(outer), outer.connected_to) == (8, 20, "16*batch", ("input",))
    assert outer.output_shape == ("batch", 4)
    # What is asked for as plain rows has no blocks.
    assert all(row.kind != "block" for row in model.rows())


def test_a_layer_called_twice_is_one_row():
    x = keras.Input((4,), name="x")
    shared = L.Dense(4, name="shared")
    model = keras.Model(x, shared(shared(x)))
    rows = table_rows(model)
    assert [row.name for row in rows] == ["x", "shared"]
    assert cost(rows[1]) == "32*batch"
    assert set(rows[1].connected_to) == {"x", "shared"}


@pytest.mark.parametrize("size", [1000])
def test_a_deep_model(size):
    x = y = keras.Input((2,))
    for _ in range(size):
        y = L.Activation("relu")(y)
    rows = table_rows(keras.Model(x, y))
    assert len(rows) == size + 1
    assert rows[-1].connected_to == (rows[-2].name,)


def test_a_layer_that_a_user_composed_shows_its_parts():
    class Gated(keras.Layer):
        def __init__(self, units: int):
            super().__init__(name="gated")
            self.gate, self.value = L.Dense(units, "sigmoid", name="gate"), L.Dense(units, name="value")
            self.unused = L.Dense(3, name="unused")

        def call(self, x):
            return self.gate(x) * self.value(x)

    x = keras.Input((None, 4), name="x")
    rows = table_rows(keras.Model(x, L.MultiHeadAttention(1, 2, name="attention")(*[Gated(6)(x)] * 2)))
    assert [(row.depth, row.name) for row in rows] == [
        (0, "x"),
        (0, "gated"),
        (1, "gate"),
        (1, "value"),
        (1, "unused"),
        (0, "attention"),
    ]
    assert [row.output_shape for row in rows[1:5]] == [("batch", "time", 6)] * 3 + ["?"]
    assert [cost(row) for row in rows[1:5]] == ["48*batch*time", "24*batch*time", "24*batch*time", None]


def test_too_many_parts_are_left_out():
    class Tower(keras.Layer):
        def __init__(self):
            super().__init__()
            self.parts = [L.Activation("relu") for _ in range(201)]

        def call(self, x):
            for part in self.parts:
                x = part(x)
            return x

    x = keras.Input((2,))
    assert len(table_rows(keras.Model(x, Tower()(x)))) == 2
