"""``define`` and ``load``: texts of several cells, files, and what an error says in plain Python."""

from __future__ import annotations

import gc

import pytest

import kerasmagic as km
from kerasmagic.assembly.inference import _KNOWN
from kerasmagic.foundation.errors import DefinitionError, InvalidArgument
from tests.assembly.structures import structure

SHARED = """layer embed = embedding 50 4
input a 6 int32
input b 6 int32
x = a -> embed
[x, b -> embed] -> concat -> lstm 3 -> dense 1
"""


def test_a_named_layer_is_one_layer():
    model = km.define(SHARED)
    assert [layer.name for layer in model.layers].count("embed") == 1
    assert model.count_params() == 50 * 4 + 4 * 3 * (8 + 3 + 1) + 4


def test_a_model_inside_is_a_layer_of_its_own():
    model = km.define(
        "model enc:\n    input 4\n    dense 3\ninput a 4\ninput b 4\n[a -> enc, b -> enc] -> add"
    )
    assert isinstance(model.get_layer("enc"), km.Model)
    assert model.count_params() == 15


def test_the_call_takes_arguments_and_tensors():
    model = km.define("input t 7x8\ninput c 5x8\ns, h = c -> gru 8 return_state\nt -> gru 8 initial_state=h")
    assert model.output_shape == (None, 8)
    model = km.define("input 5x8\nmha 2 4 use_causal_mask\nbn training=false")
    calls = [layer._inbound_nodes[0].kwargs for layer in model.layers[1:]]
    assert calls == [{"use_causal_mask": True}, {"training": False}]


def test_functions_are_steps():
    model = km.define("input 5x8\nx = ops.mean axis=1 keepdims\nops.subtract x1=2.0\n[x, x] -> ops.maximum")
    assert model.output_shape == (None, 1, 8)


def test_a_file_is_read(tmp_path):
    file = tmp_path / "small.km"
    file.write_text("%%layer Twice\n2 * x\n\n%%model doubled\ninput 3\nTwice -> dense 2\n")
    model = km.load(file)
    assert (model.name, model.output_shape) == ("doubled", (None, 2))
    with pytest.raises(InvalidArgument, match="load_model"):
        km.load("model.keras")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "input 4\nconv 3 3\n",
            "define, line 2\n    conv 3 3\n    ^^^^\n'conv' does not fit a tensor of rank 2",
        ),
        (
            "input 4\ndense {n}\n",
            "define, line 2\n    dense {n}\n          ^^^\nPython in {...} is evaluated",
        ),
        (
            "dense 3\n%%model m\ndense 3",
            "define, line 1\n    dense 3\n    ^^^^^^^\nThis stands before the first",
        ),
        ("%%modle m\ndense 3", "define, line 1\n    %%modle m\n    ^^^^^^^^^\n'%%modle' begins nothing here"),
        ("%%model a\ndense 3\n%%model b\ndense 3", "define\nThere is a second '%%model' on line 3"),
        ("%%layer L\nx @ w\n%%model b\nL", "define, line 2\n    x @ w\n        ^\n'w' is no input"),
        (
            "layer a = dense 3 -> relu\na",
            "define, line 1\n    layer a = dense 3 -> relu\n              ^^^^^^",
        ),
        ("model a:\n    dense 3\n    compile adam, mse\na", "define, line 3\n    compile adam, mse\n    ^"),
        (
            "input 4\nmha 2 4 attention_mask=m",
            "'m' is no tensor, which attention_mask of MultiHeadAttention could be",
        ),
        ("input 4\nops.men axis=1", "'ops.men' is no operation.  Did you mean 'ops.mean'?"),
    ],
)
def test_an_error_shows_its_line(text, message):
    with pytest.raises(DefinitionError) as error:
        km.define(text)
    assert message in str(error.value)


def test_an_error_holds_the_table_up_to_its_line():
    with pytest.raises(DefinitionError) as error:
        km.define("input 8x8x1\nconv 4 3\nmaxpool 2\nconv 8 7")
    assert [(row.line, row.kind) for row in error.value.rows] == [
        (1, "InputLayer"),
        (2, "Conv2D"),
        (3, "MaxPooling2D"),
    ]


def test_shapes_that_are_remembered_are_the_same():
    text = "input 16x16x3\nconv 4 3 /2 -> bn -> relu\nmaxpool 2\nflatten -> dense 5"
    _KNOWN.clear()
    first = structure(km.define(text)), [row.output_shape for row in km.define(text).rows()]
    assert _KNOWN
    again = structure(km.define(text)), [row.output_shape for row in km.define(text).rows()]
    assert first == again
    other = km.define(text.replace("16x16", "20x20"))
    assert other.layers[1].output.shape == (None, 9, 9, 4)
    assert km.define("input 7x6\ndense 3\ngap").output_shape == (None, 3)


@pytest.mark.parametrize("text", ["input 4\ndense 2", "input 4\ndnse 2"])
def test_a_definition_leaves_the_search_for_garbage_as_it_was(text):
    for before in (True, False):
        (gc.enable if before else gc.disable)()
        try:
            km.define(text)
        except DefinitionError:
            pass
        finally:
            after = gc.isenabled()
            gc.enable()
        assert after is before
