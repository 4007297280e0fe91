"""Definitions become models."""

import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.assembly import define
from kerasmagic.foundation.errors import DefinitionError, DefinitionErrors, InvalidArgument


def shapes(model):
    return [(row.kind, row.output_shape) for row in model.rows()]


def test_a_straight_line():
    model = define(
        """
        input 8x8x1
        conv 16 3 same relu
        maxpool 2
        flatten -> dropout 0.5
        dense 10 softmax
        compile adam 1e-3, sparse_categorical_crossentropy, accuracy
        """,
        name="digits",
    )
    assert shapes(model) == [
        ("InputLayer", ("batch", 8, 8, 1)),
        ("Conv2D", ("batch", 8, 8, 16)),
        ("MaxPooling2D", ("batch", 4, 4, 16)),
        ("Flatten", ("batch", 256)),
        ("Dropout", ("batch", 256)),
        ("Dense", ("batch", 10)),
    ]
    assert model.name == "digits"
    assert [row.line for row in model.rows()] == [2, 3, 4, 5, 5, 6]
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)
    model.fit(np.ones((4, 8, 8, 1)), np.zeros(4), verbose=0)


def test_call_form_is_the_same_as_command_form():
    one = define('input 8x8x1\nConv2D(4, 3, padding="same", activation="relu") -> Flatten() -> Dense(2)')
    two = define("input 8x8x1\nconv 4 3 same relu -> flatten -> dense 2")
    assert one.get_config()["layers"] == two.get_config()["layers"]


@pytest.mark.parametrize(
    ("shape", "line", "kind"),
    [
        ("20x3", "conv 4 3", "Conv1D"),
        ("8x8x3", "conv 4 3", "Conv2D"),
        ("4x4x4x2", "conv 4 3", "Conv3D"),
        ("8x8x3", "avgpool 2", "AveragePooling2D"),
        ("20x3", "gap", "GlobalAveragePooling1D"),
        ("8x8x3", "gmp", "GlobalMaxPooling2D"),
    ],
)
def test_names_by_rank(shape, line, kind):
    assert shapes(define(f"input {shape}\n{line}"))[-1][0] == kind


def test_open_dimensions_keep_their_names():
    model = define("input words time int32\nembed 100 16\nbi lstm 8 return_sequences\ntd dense 3")
    assert [shape for _, shape in shapes(model)] == [
        ("batch", "time"),
        ("batch", "time", 16),
        ("batch", "time", 16),
        ("batch", "time", 3),
    ]


def test_graphs_skips_and_several_inputs():
    model = define(
        """
        input a 4
        input b 4
        x = a -> dense 8 relu
        y = b -> dense 8 relu
        both = [x, y] -> concat
        x + y -> dense 8
        + x
        z = dense 2
        output z, both
        """
    )
    assert [tuple(t.shape) for t in model.outputs] == [(None, 2), (None, 16)]
    assert {"x", "y", "both", "z"} <= {layer.name for layer in model.layers}


def test_blocks_loops_and_repetition():
    model = define(
        """
        input 8x8x4
        block residual(f):
            conv f 3 same relu
            conv f 3 same
            + in
        for f in 4, 4:
            residual f
        (conv 4 3 same -> bn -> relu) * 2
        gap
        dense 3
        """
    )
    kinds = [kind for kind, _ in shapes(model)]
    assert kinds.count("Conv2D") == 6
    assert kinds.count("Add") == 2
    assert kinds.count("BatchNormalization") == 2


def test_python_in_braces_needs_a_namespace():
    assert define("input 4\ndense {n}", {"n": 7}).output_shape == (None, 7)
    with pytest.raises(DefinitionError, match="namespace"):
        define("input 4\ndense {n}")
    with pytest.raises(DefinitionError, match="NameError"):
        define("input 4\ndense {m}", {"n": 7})


def test_layers_of_the_notebook_are_steps():
    class Double(keras.layers.Layer):
        def __init__(self, by=2, **kwargs):
            super().__init__(**kwargs)
            self.by = by

        def call(self, x):
            return self.by * x

    shared = keras.layers.Dense(4)
    model = define(
        "input 4\nDouble 3 -> shared -> shared -> {Double(5)}", {"Double": Double, "shared": shared}
    )
    assert len(model.weights) == 2
    assert [kind for kind, _ in shapes(model)].count("Double") == 2


def test_a_model_without_input_waits_for_data():
    model = define("dense 4 relu -> dense 2")
    assert not model.built
    assert model(np.ones((1, 3))).shape == (1, 2)
    with pytest.raises(DefinitionError, match="no input line"):
        define("conv 3 3")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("input 8x8x1\nconv 16 3 same rleu", 2, "Did you mean 'relu'"),
        ("input 8\nconv 16 3", 2, "does not fit a tensor of rank 2"),
        ("input 4x4x1\nconv 4 9", 2, r"Conv2D cannot take this.*\(batch, 4, 4, 1\) from 'input' of line 1"),
        ("input 8\ndense -3", 2, "units"),
        ("input 8\ndropout 1.5", 2, "rate"),
        ("input 8\nreshape (3, 3)", 2, "Reshape cannot take this"),
        ("input a 3\ninput b 4\na + b", 3, "Add cannot take this"),
        ("input 8\ndense 3\ncompile adam loss=mse clipnorm=-1 foo=2", 3, "foo"),
    ],
)
def test_mistakes_point_at_their_line(text, line, message):
    with pytest.raises(DefinitionError, match=message) as caught:
        define(text)
    errors = caught.value.errors if isinstance(caught.value, DefinitionErrors) else [caught.value]
    assert errors[0].span.line == line


def test_an_operation_goes_by_all_its_names():
    model = define("input 4\nops.abs -> ops.true_divide x2=2")
    assert model.to_text() == "input 4\nops.abs -> ops.true_divide x2=2\n"
    model.__dict__.pop("_definition")
    assert model.to_text() == "input 4\nops.absolute\nops.divide x2=2\n"


def test_a_class_that_is_called_with_data_is_made_first():
    linear = define("%%layer Double\nx * 2\n")
    with pytest.raises(InvalidArgument, match=r"Make the layer before it is called: 'Double\(\)\(x\)'"):
        linear(np.ones((2, 3)))


def test_a_number_is_no_layer():
    with pytest.raises(DefinitionError, match=r"\{n\} is an int; a layer is needed here.*'\* 3'"):
        define("input 4\n(dense 4) * {n}", {"n": 3})
