"""The drawn graph: what is one box, where boxes stand, and the SVG that comes out."""

from __future__ import annotations

import dataclasses
import itertools
import random
from typing import Any

import pytest

from kerasmagic.widgets.graph import Repeat, picture
from kerasmagic.widgets.graph_layout import BOX_HEIGHT, BOX_WIDTH, layout
from kerasmagic.widgets.graph_view import drawing, svg, told
from tests.widgets.markup import Tags
from tests.widgets.runs import HOSTILE


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    connected_to: tuple[str, ...] = ()
    kind: str = "Dense"
    output_shape: Any = ("batch", 8)
    parameters: int = 72
    depth: int = 0
    line: int | None = None
    dtype: str = "float32"
    trainable: bool = True
    status: str | None = None


def chain(count: int, **changes: Any) -> list[Row]:
    return [Row(f"d{i}", (f"d{i - 1}",) if i else (), **changes) for i in range(count)]


def residual(name: str, before: str, size: int = 8) -> list[Row]:
    return [
        Row(f"{name}a", (before,), "Conv2D", ("batch", size)),
        Row(f"{name}b", (f"{name}a",), "BatchNormalization", ("batch", size)),
        Row(f"{name}c", (f"{name}b", before), "Add", ("batch", size)),
    ]


def test_the_same_layer_again_and_again_is_one_box():
    shown = picture(chain(17))
    assert [(box.times, box.inputs) for box in shown.boxes] == [(1, ()), (16, (0,))]
    assert shown.boxes[1].rows == tuple(range(1, 17))
    assert shown.boxes[1].names[-1] == "d16"
    assert shown.is_chain


def test_layers_that_differ_are_boxes_of_their_own():
    rows = [dataclasses.replace(row, parameters=index) for index, row in enumerate(chain(5))]
    assert [box.times for box in picture(rows).boxes] == [1] * 5


def test_a_repeated_block_is_drawn_once_in_a_frame():
    rows = [Row("x", (), "InputLayer"), *residual("r", "x"), *residual("s", "rc"), *residual("t", "sc")]
    shown = picture([*rows, Row("out", ("tc",))])
    assert [box.label for box in shown.boxes] == [
        "InputLayer",
        "Conv2D",
        "BatchNormalization",
        "Add",
        "Dense",
    ]
    assert shown.repeats == (Repeat(1, 4, 3),)
    assert shown.boxes[3].inputs == (2, 0)
    assert shown.boxes[4].inputs == (3,)
    assert "Conv2D, BatchNormalization, Add: 3 times" in told(shown)


def test_what_is_used_later_is_not_folded_away():
    rows = [*chain(8), Row("sum", ("d7", "d3"), "Add")]
    shown = picture(rows)
    assert sum(box.times for box in shown.boxes) == 9
    place = {name: index for index, box in enumerate(shown.boxes) for name in box.names}
    assert shown.boxes[-1].inputs == (place["d7"], place["d3"])
    assert shown.boxes[place["d3"]].names[-1] == "d3"


def test_what_is_inside_a_block_belongs_to_its_box():
    rows = [
        Row("x", (), "InputLayer"),
        Row("block", ("x",), "block"),
        Row("in_a", ("x",), depth=1),
        Row("in_b", ("in_a",), depth=1),
        Row("out", ("in_b", "x"), "Add"),
    ]
    shown = picture(rows)
    assert [(box.label, box.inputs, box.rows) for box in shown.boxes] == [
        ("InputLayer", (), (0,)),
        ("block", (0,), (1, 2, 3)),
        ("Add", (1, 0), (4,)),
    ]


def test_a_constant_input_of_all_repetitions():
    rows = [Row("memory", (), "InputLayer"), Row("x", (), "InputLayer", ("batch", 4))]
    before = "x"
    for index in range(6):
        rows.append(Row(f"b_{index}", (before, "memory"), "block"))
        before = f"b_{index}"
    shown = picture(rows)
    assert [(box.times, box.inputs) for box in shown.boxes[2:]] == [(6, (1, 0))]


def test_long_chains_are_shortened():
    rows = [dataclasses.replace(row, parameters=index) for index, row in enumerate(chain(1000))]
    shown = picture(rows)
    assert [box.label for box in shown.boxes] == ["Dense", "998 layers", "Dense"]
    assert len(shown.boxes[1].rows) == 998
    assert len(drawing(rows)) < 20_000


def graph(seed: int) -> list[list[int]]:
    dice = random.Random(seed)
    return [sorted(dice.sample(range(i), min(i, dice.randint(1, 3)))) for i in range(dice.randint(1, 30))]


@pytest.mark.parametrize("seed", range(25))
def test_no_two_boxes_overlap_and_edges_lead_down(seed):
    inputs = graph(seed)
    found = layout(inputs)
    assert len(found.places) == len(inputs)
    for (x, y), (u, v) in itertools.combinations(found.places, 2):
        assert abs(x - u) >= BOX_WIDTH or abs(y - v) >= BOX_HEIGHT
    for source, target, points in found.edges:
        assert source in inputs[target]
        assert [y for _, y in points] == sorted(y for _, y in points)
        x, y = found.places[source]
        assert points[0] == pytest.approx((x + BOX_WIDTH / 2, y + BOX_HEIGHT))
    assert len(found.edges) == sum(map(len, inputs))
    width, height = found.size
    assert all(-0.1 <= x <= width - BOX_WIDTH + 0.1 and 0 <= y <= height for x, y in found.places)


def test_a_chain_with_skips_is_straight():
    found = layout([[], [0], [1], [2, 0], [3, 1], [4]])
    assert len({round(x, 3) for x, _ in found.places}) == 1


def test_nothing_to_draw():
    assert layout([]).places == ()
    assert drawing([]) == drawing([Row("a")]) == ""
    assert drawing([Row("a"), Row("b")]) == ""


def test_branches_stand_open_and_chains_do_not():
    branched = [*chain(3), Row("sum", ("d2", "d0"), "Add")]
    assert '<details class="km-graph" open>' in drawing(branched)
    assert '<details class="km-graph">' in drawing(chain(4))


def test_the_svg_is_sound_and_told_in_words():
    rows = [Row("x", (), "InputLayer"), *residual("r", "x"), Row("out", ("rc",))]
    text = svg(picture(rows), "net")
    found = Tags(text).found
    assert sum(tag == "rect" for tag, _ in found) == 5
    assert sum(attributes.get("class") == "km-edge" for _, attributes in found) == 5
    assert found[0][1]["role"] == "img"
    assert found[0][1]["aria-label"] == "Graph of net: 5 boxes; rc takes rb and x."
    assert text == svg(picture(list(rows)), "net")


def test_hostile_names_are_text():
    rows = [
        Row(f"{HOSTILE}{i}", (f"{HOSTILE}{i - 1}",) if i else (), HOSTILE, (HOSTILE,), i) for i in range(4)
    ]
    html = drawing(rows, HOSTILE)
    found = Tags(html).found
    assert {tag for tag, _ in found} <= {
        "details",
        "summary",
        "div",
        "svg",
        "g",
        "title",
        "rect",
        "text",
        "path",
    }
    assert not any(name.startswith("on") for _, attributes in found for name in attributes)
    assert HOSTILE not in html


def test_too_many_boxes_are_told():
    rows = [Row(f"i{i}", (), "InputLayer") for i in range(200)]
    rows.append(Row("all", tuple(row.name for row in rows), "Concatenate"))
    rows.append(Row("out", ("all",)))
    assert "202 boxes is too large to draw" in drawing(rows)
