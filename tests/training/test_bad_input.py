"""What users get wrong, what they are told, and that the weights survive it."""

from __future__ import annotations

import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic import layers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype("float32")
Y = RNG.integers(0, 3, 40)
ONE_HOT = np.eye(3, dtype="float32")[Y]
HOLES = X.copy()
HOLES[17, 2] = np.nan


def raising():
    yield X, Y
    raise OSError("disk full")


class Empty(keras.utils.PyDataset):
    def __len__(self):
        return 0


def changing(other):
    return iter([(X, Y), (X, Y), other])


# What goes into fit, what the model learns by, and what the message says.
CASES = {
    "no data": ({"x": None}, {}, "No data"),
    "text": ({"x": "data.csv"}, {}, "Received text"),
    "a number": ({"x": 3}, {}, "Cannot take batches"),
    "words": ({"x": np.array([["a"] * 4]), "y": Y[:1]}, {}, "not numbers"),
    "rows of different lengths": ({"x": [[1, 2], [3]], "y": [0, 1]}, {}, "different lengths"),
    "no samples": ({"x": X[:0], "y": Y[:0]}, {}, "empty"),
    "no batches": ({"x": iter([])}, {}, "empty"),
    "no batches by number": ({"x": Empty()}, {}, "empty"),
    "no samples to validate": ({"x": X, "y": Y, "validation_data": (X[:0], Y[:0])}, {}, "empty"),
    "no targets": ({"x": X}, {}, "targets"),
    "fewer targets": ({"x": X, "y": Y[:-1]}, {}, "cardinality"),
    "fewer weights": ({"x": X, "y": Y, "sample_weight": np.ones(5)}, {}, "cardinality"),
    "too many inputs": ({"x": [X, X], "y": Y}, {}, r"expects 1 input\(s\) \['features'\].* received 2"),
    "too few features": ({"x": X[:, :3], "y": Y}, {}, r"input 'features'.*\(None, 4\).*\(None, 3\)"),
    "integers for one-hot": (
        {"x": X, "y": Y},
        {"loss": "categorical_crossentropy"},
        "'sparse_categorical_crossen",
    ),
    "one-hot for integers": ({"x": X, "y": ONE_HOT}, {}, "look one-hot: use 'categorical_crossentropy'"),
    "integers for yes or no": (
        {"x": X, "y": Y},
        {"loss": "binary_crossentropy"},
        "use 'sparse_categorical_crossen",
    ),
    "other sizes": ({"x": X, "y": X}, {"loss": "mse"}, "change the size of the last layer"),
    "a label too high": ({"x": X, "y": Y + 1}, {}, "labels go from 1 to 3, .* Give the last layer 4 units"),
    "a label too low": ({"x": X, "y": Y - 1}, {}, "counted from 0"),
    "a metric that does not fit": (
        {"x": X, "y": Y},
        {"metrics": ["categorical_accuracy"]},
        "sparse_categorical_acc",
    ),
    "NaN in x": ({"x": HOLES, "y": Y}, {}, "`x` holds NaN in 1 of its samples, the first is sample 17"),
    "NaN in y": ({"x": X, "y": HOLES[:, 1:]}, {"loss": "mse"}, "`y` holds NaN .* sample 17"),
    "NaN in a batch": ({"x": iter([(HOLES, Y)])}, {}, "`x` holds NaN"),
    "a part goes missing": (
        {"x": changing((X,))},
        {},
        "Batch 2 .* `y` was one array with 1 dimensions and is missing",
    ),
    "an input more": ({"x": changing(([X, X], Y))}, {}, "Batch 2 .* `x` was one array .* 2 arrays"),
    "another rank": ({"x": changing((X, ONE_HOT))}, {}, "Batch 2 .* `y`"),
    "a batch of four": ({"x": iter([(X, Y, Y, Y)])}, {}, "tuple of 4"),
    "targets twice": ({"x": iter([(X, Y)]), "y": Y}, {}, "come in the batches"),
    "weights twice": (
        {"x": X, "y": Y, "class_weight": {0: 2.0}, "sample_weight": np.ones(40)},
        {},
        "same time",
    ),
    "class weights by name": ({"x": X, "y": Y, "class_weight": {"cat": 2.0}}, {}, "by class number"),
    "class weights in a list": ({"x": X, "y": Y, "class_weight": [1, 2, 3]}, {}, "by class number"),
    "too much to validate": ({"x": X[:1], "y": Y[:1], "validation_split": 0.5}, {}, "not sufficient"),
    "more than all to validate": ({"x": X, "y": Y, "validation_split": 1.5}, {}, "between 0 and 1"),
    "a generator to split": ({"x": iter([(X, Y)]), "validation_split": 0.5}, {}, "Pass `validation_data`"),
    "no batch size": ({"x": X, "y": Y, "batch_size": 0}, {}, "batch_size"),
    "no steps": ({"x": X, "y": Y, "steps_per_epoch": 0}, {}, "from 1 on"),
    "epochs as text": ({"x": X, "y": Y, "epochs": "3"}, {}, "`epochs`"),
    "never validated": ({"x": X, "y": Y, "validation_freq": 0}, {}, "validation_freq"),
    "loud": ({"x": X, "y": Y, "verbose": "loud"}, {}, "`verbose`"),
    "no callback": ({"x": X, "y": Y, "callbacks": ["early"]}, {}, "Callback"),
    "no loss": ({"x": X, "y": Y}, {"loss": None}, "No loss"),
}


def make_model(**options):
    model = keras.Sequential([keras.Input((4,), name="features"), layers.Dense(3, activation="softmax")])
    model.compile("sgd", **{"loss": "sparse_categorical_crossentropy", **options})
    return model


@pytest.mark.parametrize("case", CASES)
def test_bad_data_is_explained_and_harms_nothing(case):
    arguments, options, message = CASES[case]
    model = make_model(**options)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(**{"verbose": 0, **arguments})
    after = model.get_weights()
    assert all(np.isfinite(weight).all() for weight in after)
    # A batch that is wrong comes too late for the steps before it: they count.
    if not message.startswith("Batch 2"):
        assert all(map(np.array_equal, before, after))


def test_an_error_of_the_data_comes_out_and_the_steps_before_it_count():
    model = make_model()
    before = model.get_weights()
    with pytest.raises(OSError, match="disk full"):
        model.fit(raising(), verbose=0)
    assert (model.get_weights()[0] != before[0]).any()
    model.fit(X, Y, verbose=0)


def test_data_that_run_dry_end_the_run_with_a_warning():
    model = make_model()
    with pytest.warns(UserWarning, match="ran out of data"):
        history = model.fit(((X, Y) for _ in range(3)), steps_per_epoch=2, epochs=4, verbose=0)
    assert len(history.history["loss"]) == 2
    with pytest.warns(UserWarning, match="ran out of data after 1 of 3"):
        model.evaluate(iter([(X, Y)]), steps=3, verbose=0)


def test_a_loss_that_copes_with_missing_numbers_is_let_be():
    def masked(y_true, y_pred):
        known = ~keras.ops.isnan(y_true)
        return keras.ops.where(known, (keras.ops.where(known, y_true, 0.0) - y_pred) ** 2, 0.0)

    model = make_model(loss=masked)
    history = model.fit(X, HOLES[:, 1:], verbose=0)
    assert np.isfinite(history.history["loss"][0])


@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_what_does_not_train_explains_bad_data_too(method):
    run = getattr(make_model(), method)
    for x, message in ((None, "No data"), (X[:0], "empty"), (X[:, :3], r"\(None, 3\)|\(40, 3\)|\(32, 3\)")):
        with pytest.raises(ValueError, match=message):
            run(x, verbose=0, **({} if method == "predict" or x is None else {"y": Y[: len(x)]}))
