"""Layers that change images beyond the rows of the table: dicts, seeds, files, training, refusals."""

from __future__ import annotations

import copy
import functools
from typing import Any

import jax
import numpy as np
import pytest

import kerasmagic as km
from kerasmagic.layers.augmentation.base import ImageLayer
from tests.layers.evaluation import quiet

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (4, 6, 5, 3)).astype("float32")
MASKS = RNG.integers(0, 3, (4, 6, 5, 1)).astype("uint8")
BOXES = {
    "boxes": np.sort(RNG.uniform(0, 5, (4, 2, 2, 2)).astype("float32"), axis=2).reshape(4, 2, 4),
    "labels": RNG.integers(0, 4, (4, 2)).astype("int32"),
}
LABELS = np.eye(4, dtype="float32")
KINDS: dict[str, dict[str, Any]] = {
    "AutoContrast": {},
    "Equalization": {},
    "RandomBrightness": {"factor": 0.3},
    "RandomColorDegeneration": {"factor": 0.5},
    "RandomColorJitter": {"brightness_factor": 0.2, "contrast_factor": 0.4},
    "RandomContrast": {"factor": 0.4},
    "RandomFlip": {},
    "RandomGaussianBlur": {"factor": 0.7},
    "RandomHue": {"factor": 0.4},
    "RandomInvert": {"factor": 0.6},
    "RandomPosterization": {"factor": [2, 6]},
    "RandomRotation": {"factor": 0.1},
    "RandomSaturation": {"factor": [0.3, 0.6]},
    "RandomSharpness": {"factor": 0.8},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.3},
    "RandomZoom": {"height_factor": 0.3, "width_factor": 0.2},
    "Solarization": {"addition_factor": 0.2, "threshold_factor": 0.6},
}
RANDOM = [name for name in KINDS if name not in ("AutoContrast", "Equalization")]


def data(batched: bool) -> dict[str, Any]:
    given = {"images": IMAGES, "labels": LABELS, "segmentation_masks": MASKS, "bounding_boxes": BOXES}
    return copy.deepcopy(given if batched else jax.tree.map(lambda part: part[0], given))


def make(library: Any, name: str, **config: Any) -> Any:
    return getattr(library.layers, name)(**KINDS[name], **config)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("batched", [True, False])
def test_what_belongs_to_images_comes_back_beside_them(keras, name, batched):
    seed = {"seed": 3} if name in RANDOM else {}
    ours, theirs = (make(library, name, bounding_box_format="xyxy", **seed) for library in (km, keras))
    given = data(batched)
    result, expected = ours(given), theirs(data(batched))
    assert jax.tree.structure(result) == jax.tree.structure(expected)
    # Saturation and hue are quotients of differences of colors.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-2), result, expected)
    for a, b in zip(jax.tree.leaves(given), jax.tree.leaves(data(batched)), strict=True):
        np.testing.assert_array_equal(a, b)


MOVING = {
    "RandomFlip": {"mode": "horizontal"},
    "RandomRotation": {"factor": 0.2, "fill_mode": "constant"},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.3, "fill_mode": "constant"},
    "RandomZoom": {"height_factor": [0.1, 0.4], "fill_mode": "constant"},
}


@pytest.mark.parametrize("name", MOVING)
@pytest.mark.parametrize("written", ["xyxy", "rel_yxyx", "center_xywh"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_boxes_and_masks_stay_around_what_they_mark(name, written, data_format):
    height, width = 40, 60
    images = np.zeros((6, height, width, 1), "float32")
    images[:, 12:24, 20:36] = 1.0
    box = np.broadcast_to(np.array([20.0, 12.0, 36.0, 24.0], "float32"), (6, 1, 4))
    convert = functools.partial(km.utils.bounding_boxes.convert_format, height=height, width=width)
    given = {"boxes": convert(box, "xyxy", written), "labels": np.ones((6, 1), "int32")}
    if data_format == "channels_first":
        images = np.moveaxis(images, -1, 1)
    layer = getattr(km.layers, name)(
        **MOVING[name], seed=2, bounding_box_format=written, data_format=data_format
    )
    result = layer({"images": images, "bounding_boxes": given, "segmentation_masks": images.astype("uint8")})
    found = np.asarray(convert(result["bounding_boxes"]["boxes"], written, "xyxy"))[:, 0]
    axis = -1 if data_format == "channels_last" else 1
    seen = np.asarray(result["images"]).squeeze(axis) > 0.5
    np.testing.assert_array_equal(np.asarray(result["segmentation_masks"]).dtype, "uint8")
    assert (np.asarray(result["segmentation_masks"]).squeeze(axis).astype(bool) == seen).mean() > 0.99
    for (left, top, right, bottom), image in zip(found, seen, strict=True):
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        marked = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        # A pixel is turned about the center of the pixels' places, a point about that of the image.
        np.testing.assert_allclose((left, top, right, bottom), marked, atol=2.0)


def test_a_box_that_left_the_image_has_no_label():
    layer = km.layers.RandomTranslation([0.9, 0.9], 0.0, bounding_box_format="xyxy")
    boxes = {"boxes": np.array([[[0.0, 3.0, 2.0, 5.0], [0.0, 0.0, 4.0, 2.0]]], "float32"), "labels": [[1, 2]]}
    boxes["labels"] = np.array(boxes["labels"])
    result = layer({"images": np.zeros((1, 10, 10, 1), "float32"), "bounding_boxes": boxes})["bounding_boxes"]
    assert result["labels"].tolist() == [[-1, 2]]
    np.testing.assert_allclose(result["boxes"][0], [[0, 10, 2, 10], [0, 9, 4, 10]])


def test_other_keys_pass_unchanged():
    layer = km.layers.RandomBrightness(0.2)
    result = layer({"images": IMAGES[:2], "names": np.array([7, 8])})
    assert result["names"].tolist() == [7, 8]


@pytest.mark.parametrize("name", RANDOM)
def test_draws_go_on_and_begin_anew_with_the_seed(name):
    layer, again = make(km, name, seed=5), make(km, name, seed=5)
    first, second = np.asarray(layer(IMAGES)), np.asarray(layer(IMAGES))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, again(IMAGES))
    np.testing.assert_array_equal(layer(IMAGES, training=False), IMAGES)


def test_each_image_has_a_draw_of_its_own():
    change = np.asarray(km.layers.RandomBrightness(0.1, seed=1)(np.full((8, 2, 2, 1), 100.0, "float32")))
    assert len(np.unique(change)) == 8
    assert len(np.unique(change[0])) == 1


@pytest.mark.parametrize("name", KINDS)
def test_a_config_makes_the_layer_again(name):
    layer = make(km, name, data_format="channels_first", bounding_box_format="xyxy")
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert (again.data_format, again.bounding_box_format) == ("channels_first", "xyxy")


def test_the_seed_of_a_random_gray_is_kept():
    assert km.layers.RandomGrayscale(0.2, seed=9).get_config()["seed"] == 9


def test_a_channel_of_one_value_stays_as_it_is():
    flat = np.full((2, 3, 3, 1), 40.0, "float32")
    np.testing.assert_array_equal(km.layers.AutoContrast()(flat), flat)
    np.testing.assert_array_equal(km.layers.Equalization()(flat), flat)


def test_many_pixels_are_equalized_without_overflow():
    # 255 times their number is more than 32 bits hold.
    values = np.zeros((1, 3000, 3000, 1), "float32")
    values[:, 1500:] = 200.0
    result = np.asarray(km.layers.Equalization()(values))
    assert np.unique(result).tolist() == [0.0, 255.0]


def test_augmentation_trains_inside_a_model_and_rests_outside_of_training():
    model = km.Sequential(
        [
            km.Input((6, 5, 3)),
            km.layers.RandomColorJitter(brightness_factor=0.2, contrast_factor=0.3, seed=1),
            km.layers.RandomSharpness(0.7, seed=2),
            km.layers.Rescaling(1 / 255),
            km.layers.Flatten(),
            km.layers.Dense(4, "softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy")
    history = model.fit(IMAGES, LABELS, batch_size=2, epochs=3, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0))


def pipeline(library: Any) -> Any:
    layers = library.layers
    return layers.Pipeline(
        [layers.Rescaling(1 / 255), layers.RandomBrightness(0.2, value_range=(0, 1), seed=1)], name="prepare"
    )


def test_a_pipeline_does_one_after_the_other(keras):
    ours, theirs = pipeline(km), pipeline(keras)
    for _ in range(2):
        np.testing.assert_allclose(ours(IMAGES), theirs(IMAGES), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours(IMAGES, training=False), IMAGES / 255, rtol=1e-6)
    again = km.layers.Pipeline.from_config(ours.get_config())
    assert [type(layer).__name__ for layer in again.layers] == ["Rescaling", "RandomBrightness"]
    assert again.get_config() == ours.get_config()
    assert keras.layers.Pipeline.from_config(ours.get_config()).name == "prepare"


def test_a_pipeline_takes_a_dict_and_has_its_variables():
    layers = [km.layers.RandomBrightness(0.2), km.layers.RandomInvert()]
    result = km.layers.Pipeline(layers)({"images": IMAGES, "labels": LABELS})
    np.testing.assert_array_equal(result["labels"], LABELS)
    assert len(km.layers.Pipeline(layers).variables) == 2


@pytest.mark.parametrize("writer", ["kerasmagic", "keras"])
def test_files_go_to_keras_and_back(keras, tmp_path, writer):
    def model(library: Any) -> Any:
        inputs = library.Input((6, 5, 3))
        x = pipeline(library)(inputs)
        return library.Model(inputs, library.layers.RandomColorJitter(hue_factor=0.3, seed=4)(x))

    first, second = (km, keras) if writer == "kerasmagic" else (keras, km)
    made = model(first)
    made.save(tmp_path / "model.keras")
    with quiet():
        # Keras warns of its own files, too, that a pipeline has no `build`.
        loaded = second.saving.load_model(tmp_path / "model.keras")
    assert [tuple(np.asarray(v)) for v in loaded.variables] == [tuple(np.asarray(v)) for v in made.variables]
    np.testing.assert_allclose(
        np.asarray(made(IMAGES, training=True)),
        np.asarray(loaded(IMAGES, training=True)),
        rtol=1e-4,
        atol=1e-3,
    )


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("RandomBrightness", {"factor": 1.5}, "`factor` must be a number from -1 to 1"),
        ("RandomBrightness", {"factor": "much"}, "`factor` must be a number"),
        ("RandomContrast", {"factor": [0.1, 0.2, 0.3]}, "or a list of two"),
        ("RandomContrast", {"factor": [2.0, 3.0]}, "from 0 to 1"),
        ("RandomHue", {"factor": 0.1, "value_range": 255}, "`value_range` must be a list of two numbers"),
        (
            "RandomHue",
            {"factor": 0.1, "value_range": [0, 1, 2]},
            "`value_range` must be a list of two numbers",
        ),
        ("RandomGrayscale", {"factor": 1.2}, "`factor` must be a number between 0 and 1"),
        ("RandomPosterization", {"factor": 9}, "from 1 to 8"),
        ("RandomGaussianBlur", {"kernel_size": 4}, "`kernel_size` must be an odd number"),
        ("RandomGaussianBlur", {"kernel_size": [3, 4]}, "`kernel_size` must be an odd number"),
        ("RandomGaussianBlur", {"sigma": 2.0}, "`sigma` must be a number from 0 to 1"),
        ("Solarization", {"addition_factor": [0.1, 1.2]}, "`addition_factor` must be a number from 0 to 1"),
        ("Equalization", {"bins": 0}, "`bins` must be a positive integer"),
        ("RandomFlip", {"mode": "diagonal"}, "`mode` must be one of"),
        ("RandomRotation", {"factor": 1.5}, "from -1 to 1"),
        (
            "RandomTranslation",
            {"height_factor": 2.0, "width_factor": 0.1},
            "`height_factor` must be a number from -1",
        ),
        ("RandomZoom", {"height_factor": [-1.0, 0.0]}, r"from -1 \(left out\) to 1"),
        ("Pipeline", {"layers": "Rescaling"}, "`layers` must be a list of layers"),
    ],
)
def test_wrong_arguments_are_named(keras, name, config, message):
    with pytest.raises(ValueError, match=message):
        getattr(km.layers, name)(**config)


@pytest.mark.parametrize("option", [{"fill_mode": "mirror"}, {"interpolation": "cubic"}])
def test_an_unknown_way_to_move_is_refused_as_in_keras(keras, option):
    for library in (km, keras):
        with pytest.raises(NotImplementedError, match=next(iter(option))):
            library.layers.RandomRotation(0.1, **option)


def test_wrong_data_is_named():
    layer = km.layers.RandomBrightness(0.2)
    with pytest.raises(ValueError, match=r"3 axes .* or 4 .*shape \(5, 3\)"):
        layer(np.zeros((5, 3), "float32"))
    for name in ("RandomHue", "RandomSaturation", "RandomGrayscale", "RandomColorDegeneration"):
        with pytest.raises(ValueError, match="3"):
            getattr(km.layers, name)(0.5)(np.zeros((2, 4, 4, 5), "float32"))
    with pytest.raises(ValueError, match="Pass `bounding_box_format` to RandomBrightness"):
        layer(data(True))
    with pytest.raises(ValueError, match="'layers'"):
        km.layers.Pipeline.from_config({"name": "empty"})


def test_a_layer_of_the_user_says_only_what_becomes_of_images():
    class Darker(ImageLayer):
        def transform_images(self, images, transformation, training=True):
            return images / 2 if training else images

    result = Darker()({"images": IMAGES, "labels": LABELS})
    np.testing.assert_allclose(result["images"], IMAGES / 2)
    np.testing.assert_array_equal(result["labels"], LABELS)
