"""The shape table: its text to the letter, its HTML as a table, its totals."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest

from kerasmagic.foundation.amount import Amount
from kerasmagic.widgets.shape_table import ShapeTable, Totals
from kerasmagic.widgets.shapes import bits, open_dimensions, shape_text
from kerasmagic.widgets.step_memory import StepMemory
from tests.widgets.markup import Tags
from tests.widgets.runs import HOSTILE


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    kind: str
    output_shape: Any
    parameters: int = 0
    line: int | None = None
    depth: int = 0
    dtype: str = "float32"
    trainable: bool = True
    status: str | None = None
    multiply_adds: Amount | None = None
    connected_to: tuple[str, ...] = ()


ROWS = (
    Row("input", "Input", ("batch", 8, 8, 1), line=1),
    Row("conv", "Conv2D", ("batch", 6, 6, 32), 320, line=2, status="kept"),
    Row("block", "Sequential", ("batch", 64), 73_792, line=3, status="new"),
    Row("flatten", "Flatten", ("batch", 1152), depth=1),
    Row("dense", "Dense", ("batch", 64), 73_792, depth=1),
    Row("frozen", "Dense", ("batch", 10), 650, line=4, trainable=False, dtype="bfloat16"),
)

TEXT = """\
digits
line  layer      kind        output shape       type      parameters  weights
   1  input      Input       (batch, 8, 8, 1)   float32            0
   2  conv       Conv2D      (batch, 6, 6, 32)  float32          320  kept
   3  block      Sequential  (batch, 64)        float32       73,792  new
        flatten  Flatten     (batch, 1152)      float32            0
        dense    Dense       (batch, 64)        float32       73,792
   4  frozen     Dense       (batch, 10)        bfloat16         650

trainable      74,112
non-trainable     650
memory         290.8 KiB"""


def test_text_to_the_letter():
    assert ShapeTable(ROWS, "digits").text() == TEXT


def test_a_block_is_counted_once():
    assert ShapeTable(ROWS).counted() == Totals(74_112, 650, (74_112 * 32 + 650 * 16) // 8)


def test_given_totals_win():
    text = ShapeTable(ROWS, totals=Totals(1, 2, 3)).text()
    assert text.endswith("trainable      1\nnon-trainable  2\nmemory         3 B")


def test_columns_that_say_nothing_are_left_out():
    table = ShapeTable([Row("a", "Dense", ("batch", 2))])
    assert table.text().splitlines()[0].split() == ["layer", "kind", "output", "shape", "type", "parameters"]
    assert ">line<" not in table.html()
    assert ">line<" in ShapeTable(ROWS).html()


def test_html_is_a_table_that_can_be_read_aloud():
    html = ShapeTable(ROWS, "digits").html()
    found = Tags(html).found
    headers = [attributes.get("scope") for tag, attributes in found if tag == "th"]
    assert headers == ["col"] * 7 + ["row"] * 6
    assert "<caption>digits</caption>" in html
    assert "74,112" in html
    assert [attributes["data-layer"] for tag, attributes in found if "data-layer" in attributes] == [
        row.name for row in ROWS
    ]


def script_data(html: str) -> dict[str, Any]:
    """The JSON that the table hands to its script."""
    found = re.search(r'enliven\("[0-9a-f]{12}", (.*)\);\n}\)\(\);</script>', html)
    assert found
    return json.loads(found[1])


def test_hostile_names_are_text():
    row = Row(HOSTILE, HOSTILE, (HOSTILE, f"</script>{HOSTILE}"), 1, dtype=HOSTILE, status=f'"{HOSTILE}')
    html = ShapeTable([row], HOSTILE).html()
    found = Tags(html).found
    assert [attributes for tag, attributes in found if tag == "script"] == [{}]
    assert "img" not in {tag for tag, _ in found}
    assert not any(name.startswith("on") for _, attributes in found for name in attributes)
    assert HOSTILE not in html
    assert script_data(html)["rows"][0]["shape"]["shape"][0] == HOSTILE


def test_the_script_is_whole_and_loads_nothing():
    html = ShapeTable(ROWS).html()
    script = html.split("<script>")[1]
    assert script.endswith("</script>")
    assert script.count("</") == 1
    assert "<!--" not in script
    assert not re.search(r"\b(import|fetch|eval|XMLHttpRequest|innerHTML)\b|https?:|src=", html)


def test_the_same_rows_give_the_same_output():
    assert ShapeTable(ROWS, "a")._repr_mimebundle_() == ShapeTable(list(ROWS), "a")._repr_mimebundle_()


def test_a_thousand_layers_stay_usable():
    table = ShapeTable([Row(f"dense_{index}", "Dense", ("batch", 2), 6) for index in range(1000)])
    assert len(table.text().splitlines()) == 1005
    assert table.html().count("<tr") == 1001
    assert len(table.html()) < 500_000
    longer = ShapeTable([*table.rows, *table.rows])
    assert "500 more layers not shown" in longer.text()
    assert longer.html().count("<tr") == 1502
    assert longer.counted().trainable == 12_000


def test_no_layers():
    assert "trainable" in ShapeTable([]).text()
    Tags(ShapeTable([]).html())


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((), "()"),
        ((None, 3), "(?, 3)"),
        ([("batch", 2), ("batch",)], "(batch, 2)  (batch,)"),
        ({"a": [(1,), (2,)]}, "a: (1,)  (2,)"),
        ("?", "?"),
    ],
)
def test_shapes_as_text(shape, text):
    assert shape_text(shape) == text


def test_bits():
    assert [bits(name) for name in ("float16", "uint8", "int64", "string")] == [16, 8, 64, 32]


def test_a_field_for_each_open_dimension():
    rows = [Row("a", "LSTM", {"x": ("batch", "2*t + 1"), "y": [("floordiv(t, 2)", 3)]})]
    assert open_dimensions(rows) == ["batch", "t"]
    data = script_data(ShapeTable(rows).html())
    assert data["sizes"] == {"batch": 32, "t": 16}


def test_only_leaves_count_for_activations():
    data = script_data(ShapeTable(ROWS).html())
    assert [row["leaf"] for row in data["rows"]] == [True, True, False, True, True, True]
    assert [row["bits"] for row in data["rows"]] == [32] * 5 + [16]


def test_the_key_tells_tables_apart():
    def key(table: ShapeTable) -> Any:
        return next(
            attributes["data-table"]
            for _, attributes in Tags(table.html()).found
            if "data-table" in attributes
        )

    assert key(ShapeTable(ROWS)) == key(ShapeTable(list(ROWS)))
    assert len({key(ShapeTable(ROWS)), key(ShapeTable(ROWS, "a")), key(ShapeTable(ROWS[1:]))}) == 3


PER_SAMPLE = Amount.product("batch", 1000)
BRANCHED = (
    Row("x", "InputLayer", ("batch", 4), multiply_adds=Amount()),
    Row("a", "Dense", ("batch", 8), multiply_adds=PER_SAMPLE, connected_to=("x",)),
    Row("net", "block", ("batch", 8), multiply_adds=PER_SAMPLE, connected_to=("a",)),
    Row("inside", "Dense", ("batch", 8), depth=1, multiply_adds=PER_SAMPLE, connected_to=("a",)),
    Row("last", "Dense", ("batch", 8), depth=1, connected_to=("inside",)),
    Row("b", "Dense", ("batch", 8), connected_to=("last",)),
    Row("sum", "Add", ("batch", 8), connected_to=("b", "last")),
)


def column(table: ShapeTable, heading: str) -> list[str]:
    """What the text has under a heading; nothing where a line ends before."""
    lines = table.text().split("\n\n")[0].splitlines()
    start = lines[0].index(heading)
    return [line[start:].strip() for line in lines[1:]]


def test_only_branches_say_where_they_come_from():
    assert column(ShapeTable(BRANCHED), "input from") == ["", "", "", "", "", "", "b, net"]
    assert "input from" not in ShapeTable(BRANCHED[:4]).text()


def test_multiply_adds_are_told_for_one_sample_and_in_all():
    table = ShapeTable(BRANCHED)
    assert re.findall(r"[\d.]+ k", "\n".join(column(table, "multiply-adds"))) == ["1.00 k"] * 3
    assert "multiply-adds  2.00 k a sample" in table.text()
    assert "multiply-adds" not in ShapeTable(ROWS).text()


def test_a_row_whose_cost_is_not_known_says_so():
    table = ShapeTable([Row("a", "Dense", ("batch", 2), multiply_adds=PER_SAMPLE), Row("b", "Own", "?")])
    assert column(table, "multiply-adds")[1].startswith("–")


MEMORY = StepMemory(
    4000, 4000, 8000, Amount.product("batch", 1000), (Amount.product("batch", 100),), True, 10**5
)


def test_the_memory_of_a_step_and_what_fits():
    text = ShapeTable(BRANCHED, memory=MEMORY, batch=16).text()
    assert (
        "training step  34.4 KiB at batch 16 = parameters 3.9 KiB + gradients 3.9 KiB + optimizer 7.8 KiB"
        in text
    )
    assert text.endswith("limit          batch <= 64 fits in 97.7 KiB")
    data = script_data(ShapeTable(BRANCHED, memory=MEMORY, batch=16).html())
    assert data["sizes"] == {"batch": 16}
    assert data["memory"] == {
        "fixed": 16000,
        "parts": [["parameters", 4000], ["gradients", 4000], ["optimizer", 8000]],
        "kept": "1000*batch",
        "largest": ["100*batch"],
        "limit": 10**5,
    }


@pytest.mark.parametrize(
    ("memory", "sizes", "sentence"),
    [
        (StepMemory(10, 0, 0, limit=9), {"batch": 1}, "not even one sample fits in 9 B"),
        (StepMemory(10, 0, 0, limit=9), {}, "does not fit in 9 B"),
        (StepMemory(10, 0, 0, limit=10), {}, "fits in 10 B"),
        (StepMemory(10, 0, 0), {"batch": 1}, ""),
        (StepMemory(1, 0, 0, limit=10), {"batch": 1}, "batch <= 1,048,576 fits in 10 B"),
        (
            StepMemory(1, 0, 0, Amount.product("batch", "t"), limit=33),
            {"batch": 1, "t": 8},
            "batch <= 4 fits in 33 B",
        ),
    ],
)
def test_what_fits_in_words(memory, sizes, sentence):
    assert memory.sentence(sizes) == sentence


def test_rows_inside_others_say_how_deep_they_are():
    found = Tags(ShapeTable(BRANCHED).html()).found
    depths = [
        attributes.get("data-depth")
        for tag, attributes in found
        if tag == "tr" and "data-layer" in attributes
    ]
    assert depths == [None, None, None, "1", "1", None, None]
