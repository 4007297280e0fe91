"""Old spellings that tutorials still use: what Keras takes works and says what to write, and nothing else."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from kerasmagic.core.layer import Layer
from kerasmagic.models import Sequential
from tests.layers.evaluation import oracle, ours

OLD = [
    ("LeakyReLU(alpha=0.1)", "`alpha` is deprecated"),
    ("Embedding(3, 2, input_length=4)", "`input_length` is deprecated"),
    ("LayerNormalization(rms_scaling=True)", "`rms_scaling=True`"),
    ("InputLayer(input_shape=(3,))", "`input_shape` is deprecated"),
]
FIRST: list[tuple[str, tuple[Any, ...]]] = [
    ("Dense(3, input_shape=(4,))", (None, 3)),
    ("Dense(3, input_shape=[None, 4])", (None, None, 3)),
    ("Dense(3, input_dim=4)", (None, 3)),
    ("Conv2D(3, 3, input_shape=(8, 8, 3))", (None, 6, 6, 3)),
    ("Flatten(input_shape=(3, 4))", (None, 12)),
    ("LSTM(3, input_shape=(5, 2))", (None, 3)),
    ("Bidirectional(LSTM(2), input_shape=(3, 4))", (None, 4)),
    ("Embedding(3, 2, input_shape=(4,))", (None, 4, 2)),
    ("Dropout(0.2, input_shape=(3,))", (None, 3)),
]
SILENT = [
    "LSTM(3, implementation=1)",
    "GRU(3, implementation=2)",
    "InputLayer(batch_input_shape=(2, 3))",
    "Conv2D(2, 2, padding='SAME')",
    "UpSampling2D(interpolation='BILINEAR')",
]
GONE = [
    "Dense(3, batch_input_shape=(2, 4))",
    "Dense(3, weights=[1])",
    "LSTM(3, time_major=True)",
    "SpatialDropout1D(0.5, input_shape=(3, 4))",
]


def noted(library: Any, make: str) -> tuple[Any, list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        layer = eval(make, dict(vars(library.layers)))
    return layer, caught


@pytest.mark.parametrize(("make", "note"), OLD + [(make, "`Input(shape)`") for make, _ in FIRST])
def test_an_old_spelling_works_with_a_note(make: str, note: str) -> None:
    for library in (ours(), oracle()):
        _, (caught,) = noted(library, make)
        assert caught.category is UserWarning
        assert note in str(caught.message)


@pytest.mark.parametrize(("make", "shape"), FIRST)
def test_the_first_layer_says_what_the_model_takes(make: str, shape: Any) -> None:
    layer, _ = noted(ours(), make)
    assert Sequential([layer]).output_shape == shape


@pytest.mark.parametrize("make", SILENT)
def test_some_need_no_note(make: str) -> None:
    for library in (ours(), oracle()):
        assert noted(library, make)[1] == []


@pytest.mark.parametrize("make", GONE)
def test_what_keras_has_dropped_is_refused(make: str) -> None:
    for library in (ours(), oracle()):
        with pytest.raises((ValueError, TypeError), match=r"[Uu]nrecognized keyword|unexpected keyword"):
            noted(library, make)


def test_a_note_points_at_the_users_line() -> None:
    class Mine(Layer):
        pass

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours().layers.Conv2D(3, 3, input_shape=(8, 8, 3))
        ours().layers.LeakyReLU(alpha=0.1)
        Mine(input_dim=3)
    assert [w.filename for w in caught] == [__file__] * 3
