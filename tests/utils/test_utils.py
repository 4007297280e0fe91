"""Helpers around models and data, and which public names of Keras the training side has."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import kerasmagic as km
from kerasmagic import utils
from tests.tools import public_names

_DATA = "reads data sets and pictures from disk"
_PLOT = "draws by Graphviz; `%%model` and `summary()` show the graph"
_LOG = "Keras' own choice between a terminal and a log; here `verbose` and the views decide"
ABSENT = {
    "utils": {
        **dict.fromkeys(
            [
                "FeatureSpace",
                "array_to_img",
                "audio_dataset_from_directory",
                "image_dataset_from_directory",
                "img_to_array",
                "load_img",
                "save_img",
                "split_dataset",
                "text_dataset_from_directory",
                "timeseries_dataset_from_array",
            ],
            _DATA,
        ),
        **dict.fromkeys(["model_to_dot", "plot_model"], _PLOT),
        **dict.fromkeys(
            ["disable_interactive_logging", "enable_interactive_logging", "is_interactive_logging_enabled"],
            _LOG,
        ),
        "Config": "a dict with dots, of no use to a model",
        "get_file": "fetches what an address names; loading a model must never do that",
    },
}


@pytest.mark.parametrize(
    "module",
    [
        "losses",
        "metrics",
        "optimizers",
        "optimizers.schedules",
        "callbacks",
        "models",
        "export",
        "utils",
        "utils.bounding_boxes",
    ],
)
def test_the_public_names_of_keras_are_there(keras, module):
    ours = km
    for part in module.split("."):
        ours = getattr(ours, part)
    public_names.check(ours, importlib.import_module(f"keras.{module}"), ABSENT.get(module, {}))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"maxlen": 3},
        {"maxlen": 3, "padding": "post", "truncating": "post"},
        {"maxlen": 5, "value": -1.0, "dtype": "float32"},
    ],
)
def test_sequences_are_padded_as_in_keras(keras, options):
    sequences = [[1], [2, 3], [4, 5, 6, 7], []]
    ours, theirs = (k.utils.pad_sequences(sequences, **options) for k in (km, keras))
    np.testing.assert_array_equal(ours, theirs)
    assert ours.dtype == theirs.dtype
    pairs = [[[1, 2]], [[3, 4], [5, 6]]]
    np.testing.assert_array_equal(km.utils.pad_sequences(pairs), keras.utils.pad_sequences(pairs))


@pytest.mark.parametrize(
    ("sequences", "options", "message"),
    [
        ([1, 2], {}, "list of sequences"),
        ([[1]], {"padding": "middle"}, "padding"),
        ([[[1, 2]], [[1, 2, 3]]], {}, "shape"),
    ],
)
def test_what_is_no_sequence_is_refused(sequences, options, message):
    with pytest.raises(ValueError, match=message):
        utils.pad_sequences(sequences, **options)


def test_batches_are_packed_and_unpacked_as_in_keras(keras):
    for k in (km, keras):
        pack, unpack = k.utils.pack_x_y_sample_weight, k.utils.unpack_x_y_sample_weight
        assert [pack(1), pack([1]), pack(1, 2), pack(1, 2, 3)] == [1, ([1],), (1, 2), (1, 2, 3)]
        assert [unpack((1,)), unpack((1, 2)), unpack((1, 2, 3))] == [(1, None, None), (1, 2, None), (1, 2, 3)]
        with pytest.raises(ValueError, match="format"):
            unpack((1, 2, 3, 4))


def test_a_bar_shows_means_and_values_as_they_are(capsys):
    bar = utils.Progbar(4, stateful_metrics=["rate"])
    bar.update(2, [("loss", 4.0), ("rate", 0.5)])
    bar.add(2, [("loss", 2.0), ("rate", 0.25)])
    assert bar.means() == {"loss": 3.0, "rate": 0.25}
    assert capsys.readouterr().out.endswith("/step - loss: 3.0000 - rate: 0.2500\n")
    with pytest.raises(ValueError, match="Only one"):
        utils.Progbar(1, stateful_metrics=["a"], stateless_metrics=["b"])
