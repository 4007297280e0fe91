"""Data that does not fit points at a line; a trial finds wrong gradients."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import kerasmagic as km
from kerasmagic.assembly import define_layer, try_layer
from kerasmagic.assembly.preview import flowing, shapes_after
from kerasmagic.assembly.vocabulary import vocabulary
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch

TEXT = "input 8x8x1\nflatten\ndense 10 softmax\ncompile adam, LOSS"


@pytest.mark.parametrize(
    ("loss", "x", "y", "note"),
    [
        (
            "mse",
            (4, 9, 9, 1),
            (4, 10),
            "line 1\n    input 8x8x1\n    ^^^^^^^^^^^\nThe data has the shape (4, 9, 9, 1); this input takes",
        ),
        ("mse", (4, 8), (4, 10), "line 1\n    input 8x8x1"),
        (
            "categorical_crossentropy",
            (4, 8, 8, 1),
            (4, 3),
            "line 3\n    dense 10 softmax\n    ^^^^^^^^^^^^^^^^\nThe targets",
        ),
        ("sparse_categorical_crossentropy", (4, 8, 8, 1), (4, 3), "line 3\n    dense 10 softmax"),
    ],
)
def test_data_that_does_not_fit_points_at_a_line(loss, x, y, note):
    model = km.define(TEXT.replace("LOSS", loss), name="digits")
    with pytest.raises(ValueError) as error:
        model.fit(np.zeros(x), np.zeros(y), verbose=0)
    assert note in "".join(error.value.__notes__)


@pytest.mark.parametrize("as_dictionary", [False, True])
def test_numbers_without_a_vector_point_at_the_embedding(as_dictionary):
    text = "input 5 int32\nembedding 10 4\nflatten\ndense 1\ncompile sgd, mse"
    model = km.define(text, name="reader")
    before = model.get_weights()
    x = np.full((4, 5), 10)
    with pytest.raises(InvalidArgument, match=r"from 10 to 10, .* for 0 to 9\. .*input_dim=11") as error:
        model.fit({model.input_names[0]: x} if as_dictionary else x, np.zeros((4, 1)), verbose=0)
    assert "line 2\n    embedding 10 4" in "".join(error.value.__notes__)
    model.fit(x - 1, np.zeros((4, 1)), verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))


def test_other_errors_have_no_note():
    model = km.define(TEXT.replace("LOSS", "mse"))
    with pytest.raises(ValueError) as error:
        model.fit(np.zeros((4, 8, 8, 1)), np.zeros((4, 10)), verbose=0, batch_size=-1)
    assert not any("line" in note for note in getattr(error.value, "__notes__", ()))


def test_a_trial_shows_shapes_and_agrees():
    cls = define_layer(
        "Linear(units=3)", "input (..., n)\nweight kernel (n, (2 * units))\njnp.tanh(x @ kernel)"
    )
    trial = try_layer(cls, [(4, 5)])
    assert (trial.inputs, trial.outputs, trial.finite) == (((4, 5),), ((4, 6),), True)
    assert (trial.weights[0].symbolic, trial.weights[0].shape) == ("(n, 2 * units)", (5, 6))
    assert [row.name for row in trial.gradients] == ["x", "kernel"]
    assert all(row.agrees for row in trial.gradients)


@pytest.mark.parametrize("factor", [1.0, 1.8, -2.0])
def test_a_trial_finds_a_wrong_gradient(factor):
    square = jax.custom_jvp(lambda x: x**2)
    square.defjvp(lambda primals, tangents: (primals[0] ** 2, factor * primals[0] * tangents[0]))
    cls = define_layer("Wrong", "jnp.square(x)")
    cls.expressions[0].evaluate = lambda names: square(names["x"])
    assert not try_layer(cls, [(3, 2)]).gradients[0].agrees


def test_a_trial_needs_defaults_and_shapes():
    cls = define_layer("Linear(units)", "input (..., n)\nweight kernel (n, units)\nx @ kernel")
    with pytest.raises(InvalidArgument, match="give units a default"):
        try_layer(cls, [(4, 5)])
    cls = define_layer("Twice", "2 * x")
    with pytest.raises(ShapeMismatch, match="has 1 input; 2 shapes are given"):
        try_layer(cls, [(4, 5), (4,)])


def test_the_shape_at_the_cursor_is_known():
    words = vocabulary()
    x = flowing("input 8x8x1\nconv 4 3", words, None)
    assert shapes_after(x, ["maxpool", "flatten", "maxpool1d", "conv", "relu"], words) == {
        "maxpool": "(batch, 3, 3, 4)",
        "flatten": "(batch, 144)",
        "conv": "conv 32 3 gives (batch, 4, 4, 32)",
        "relu": "(batch, 6, 6, 4)",
    }
    assert flowing("input 8x8x1\nconv {n} 3", words, {"n": 1}) is None
    assert flowing("input 8x8x1\nconv 4 99", words, None) is None


SOUND = {
    "gated": (
        "Gated(hidden=6)",
        "input (..., d)\ngate = dense hidden silu\nup = x -> dense hidden\ngate * up -> dense d",
        (2, 5, 8),
    ),
    "kinks": ("Kinks", "input (b, h, w, c)\nconv 8 3 same -> bn -> relu -> conv 4 3", (2, 6, 6, 3)),
    "wide": ("Wide", "input (..., d)\ndense 256 gelu -> dense 4", (16, 128)),
}


@pytest.mark.parametrize("case", SOUND)
@pytest.mark.parametrize("seed", [0, 1])
def test_rounding_and_kinks_are_no_wrong_gradients(case, seed):
    header, body, shape = SOUND[case]
    found = try_layer(define_layer(header, body, {}), [shape], seed=seed)
    assert [row for row in found.gradients if not row.agrees] == []
