"""Looks into models: numbers against NumPy, for every way to make a model, and what cannot be looked at."""

from __future__ import annotations

import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.foundation.errors import InvalidArgument, UnknownName
from kerasmagic.widgets import images
from tests.widgets.markup import Tags

L = keras.layers
HOSTILE = "<img src=x onerror=alert(1)>"


def batch(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


class Own(keras.Model):
    """A subclassed model: layers in a list, one of them used twice, a loop, attention and a nested model."""

    def __init__(self):
        super().__init__()
        self.blocks = [L.Dense(6, activation="relu", name=f"block_{i}") for i in range(2)]
        self.attend = L.MultiHeadAttention(2, 3, name="attend")
        self.loop = L.GRU(3, return_sequences=True, name="loop")
        self.inner = keras.Sequential([L.Dense(4, name="deep")], name="inner")

    def call(self, x):
        for block in self.blocks:
            x = block(x)
        x = self.blocks[1](x)
        return self.inner(self.loop(self.attend(x, x)))


def image_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(4, 3, activation="relu", name="conv"),
            L.Flatten(name="flatten"),
            L.Dense(3, name="scores"),
        ],
        name="digits",
    )


def test_activations_are_the_outputs_in_numbers():
    model, x = image_model(), batch(5, 8, 8, 1)
    model.get_layer("conv").bias.assign([0.0, -100.0, 0.0, 0.0])
    seen = model.show_activations(x)
    assert seen.names == ("conv", "flatten", "scores")
    outputs = np.asarray(keras.Model(model.inputs, model.get_layer("conv").output).predict(x, verbose=0))
    conv = seen["conv"]
    assert (conv.shape, conv.kind, conv.dtype) == ((5, 6, 6, 4), "Conv2D", "float32")
    for name in ("mean", "std"):
        assert getattr(conv, name) == pytest.approx(float(getattr(outputs, name)()), rel=1e-4)
    assert (conv.low, conv.high) == (0.0, pytest.approx(float(outputs.max())))
    assert conv.zeros == pytest.approx((outputs == 0).mean())
    assert (conv.dead, conv.dead_units) == (0.25, (1,))
    assert np.isnan(seen["flatten"].dead)
    assert seen[-1].name == "scores"
    assert conv.histogram.counts.sum() == outputs.size


def test_layers_are_chosen_by_name_or_themselves():
    model, x = image_model(), batch(2, 8, 8, 1)
    assert model.show_activations(x, "conv").names == ("conv",)
    assert model.show_activations(x, [model.layers[-1], "conv"]).names == ("conv", "scores")
    with pytest.raises(UnknownName, match=r"No layer 'cnov'.*conv"):
        model.show_activations(x, "cnov")
    with pytest.raises(InvalidArgument, match="not in model"):
        model.show_activations(x, L.Dense(2))
    with pytest.raises(UnknownName):
        model.show_activations(x)["nothing"]


def test_a_subclassed_model_is_seen_whole():
    model, x = Own(), batch(2, 5, 4)
    seen = model.show_activations(x)
    names = [name for name in seen.names if "attend/" not in name]
    assert names == ["block_0", "block_1", "block_1 (call 2)", "attend", "loop", "inner/deep", "inner"]
    assert "attend/query" in seen.names
    assert seen["inner"].shape == (2, 5, 4)


def test_what_runs_inside_a_loop_is_not_seen():
    model = keras.Sequential([keras.Input((5, 4)), L.RNN(L.GRUCell(3, name="cell"), name="rnn")])
    assert model.show_activations(batch(2, 5, 4)).names == ("rnn",)
    with pytest.raises(InvalidArgument, match="around them"):
        model.show_activations(batch(2, 5, 4), "cell")


def test_looking_changes_nothing_and_does_not_train():
    model = keras.Sequential([keras.Input((4,)), L.BatchNormalization(), L.Dropout(0.9, name="drop")])
    before = [np.asarray(v.value) for v in model.variables]
    assert model.show_activations(np.ones((8, 4)))["drop"].zeros == 0.0
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(value, variable.value)


def test_several_inputs_integers_and_values_that_are_not_finite():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), dtype="int32", name="b")
    y = L.Concatenate(name="both")([a, L.Flatten()(L.Embedding(5, 2, name="table")(b))])
    seen = keras.Model([a, b], y).show_activations([np.full((2, 3), np.inf), np.array([[0, 1, 2]] * 2)])
    assert seen["both"].bad == 6
    assert "not finite" in repr(seen)


def test_weights_are_those_of_the_layers():
    model = image_model()
    seen = model.show_weights()
    assert [row.layer for row in seen] == ["conv", "conv", "scores", "scores"]
    kernel = np.asarray(model.get_layer("scores").kernel.value)
    row = model.show_weights("scores")["digits/scores/kernel"]
    assert (row.mean, row.std) == (
        pytest.approx(kernel.mean(), abs=1e-6),
        pytest.approx(kernel.std(), rel=1e-5),
    )
    assert (row.low, row.high, row.bad) == (kernel.min(), kernel.max(), 0)
    assert seen["digits/conv/bias"].zeros == 1.0


def test_a_large_variable_is_sampled():
    layer = L.Embedding(60_000, 50, name="table", embeddings_initializer="ones")
    (row,) = keras.Sequential([keras.Input((1,), dtype="int32"), layer]).show_weights()
    assert 1 < row.histogram.stride < 10
    assert row.mean == 1.0


@pytest.mark.parametrize(
    ("layer", "shape", "tiles", "count"),
    [
        (L.Conv2D(4, 3), (8, 8, 1), (4, 3, 3), 4),
        (L.Conv2D(4, 3), (8, 8, 3), (4, 3, 3, 3), 4),
        (L.Conv2D(40, 3), (8, 8, 2), (64, 3, 3), 80),
        (L.Conv2DTranspose(4, 3), (8, 8, 1), (4, 3, 3), 4),
        (L.DepthwiseConv2D(3, depth_multiplier=2), (8, 8, 5), (10, 3, 3), 10),
        (L.SeparableConv2D(4, 3), (8, 8, 5), (5, 3, 3), 5),
        (L.Conv1D(4, 3), (8, 5), (4, 5, 3), 4),
        (L.Conv3D(4, 2), (4, 4, 4, 1), (4, 2, 4), 4),
        (L.Dense(7), (600,), (1, 200, 7), 1),
        (L.LSTM(3), (4, 5), (1, 5, 12), 1),
        (L.MultiHeadAttention(2, 3), None, (1, 4, 6), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, L.Layer) else None,
)
def test_kernels_of_every_kind(layer, shape, tiles, count):
    if shape is None:
        x = keras.Input((5, 4))
        model = keras.Model(x, layer(x, x))
    else:
        model = keras.Sequential([keras.Input(shape), layer])
    seen = model.show_kernels(layer)
    assert (seen.tiles.shape, seen.count) == (tiles, count)
    assert seen._repr_mimebundle_()["text/html"].count("data:image/png;base64,") == 1


def test_a_filter_is_the_picture_of_its_weights():
    model = image_model()
    kernel = np.asarray(model.get_layer("conv").kernel.value)
    seen = model.show_kernels("conv")
    np.testing.assert_array_equal(seen.tiles[2], kernel[:, :, 0, 2])
    assert seen.largest == np.abs(kernel).max()


def test_layers_without_a_kernel_say_so():
    model = image_model()
    with pytest.raises(InvalidArgument, match=r"'flatten' \(Flatten\) has no kernel"):
        model.show_kernels("flatten")
    with pytest.raises(InvalidArgument, match="positive integer"):
        model.show_kernels("conv", most=0)


def test_attention_is_what_the_layer_would_return():
    x = keras.Input((5, 4))
    layer = L.MultiHeadAttention(2, 3, name="look")
    model = keras.Model(x, layer(x, x, use_causal_mask=True))
    values = batch(3, 5, 4)
    seen = model.show_attention(values, sample=-1)
    _, scores = layer(values, values, use_causal_mask=True, return_attention_scores=True)
    np.testing.assert_allclose(seen["look"].weights, np.asarray(scores)[2], rtol=1e-5, atol=1e-6)
    assert seen.sample == 2
    assert seen["look"].weights.sum(-1) == pytest.approx(np.ones((2, 5)), abs=1e-5)
    assert (seen["look"].entropy > 0).all()
    assert (seen["look"].entropy < 1).all()


def test_attention_of_layers_without_heads_and_in_subclasses():
    class Plain(keras.Model):
        def __init__(self):
            super().__init__()
            self.attend = L.Attention(name="plain")

        def call(self, x):
            return self.attend([x, x]) + self.attend([x, -x])

    seen = Plain().show_attention(batch(2, 5, 4))
    assert list(seen) == ["plain", "plain (call 2)"]
    assert seen["plain"].weights.shape == (1, 5, 5)


def test_attention_says_what_is_missing():
    with pytest.raises(InvalidArgument, match="no attention"):
        image_model().show_attention(batch(2, 8, 8, 1))
    model = Own()
    with pytest.raises(InvalidArgument, match="no sample 2 in a batch of 2"):
        model.show_attention(batch(2, 5, 4), sample=2)
    with pytest.raises(InvalidArgument, match="'loop' has no attention"):
        model.show_attention(batch(2, 5, 4), "loop")


def test_bundles_hold_text_and_inert_html():
    x = keras.Input((5, 4))
    model = keras.Model(x, L.MultiHeadAttention(2, 3, name="look")(x, x), name="odd")
    model.layers[-1].name = HOSTILE
    values = batch(2, 5, 4)
    for shown in (
        model.show_weights(),
        model.show_activations(values),
        model.show_kernels(model.layers[-1]),
        model.show_attention(values),
    ):
        bundle = shown._repr_mimebundle_()
        assert bundle["text/plain"] == repr(shown)
        assert HOSTILE not in bundle["text/html"]
        found = Tags(bundle["text/html"]).found
        assert not any(name.startswith("on") for _, attributes in found for name in attributes)
        labels = [attributes for tag, attributes in found if tag in ("svg", "img")]
        assert all(attributes.get("aria-label") or attributes.get("alt") for attributes in labels)


def test_rows_open_without_a_script():
    html = image_model().show_weights()._repr_mimebundle_()["text/html"]
    assert html.count("<details") == 2
    assert html.count("<figure>") == 4
    assert "<script" not in html


def test_pictures_are_png():
    from io import BytesIO

    image = pytest.importorskip("PIL.Image")
    values = np.array([[-1.0, 0.0, 1.0], [np.nan, 0.5, 2.0]])
    pixels = np.asarray(image.open(BytesIO(images.signed(values, 1.0))).convert("RGBA"))
    assert pixels[0, 0].tolist() == [*images.OPPOSITE, 254]
    assert pixels[0, 1, 3] == pixels[1, 0, 3] == 0
    assert pixels[0, 2].tolist() == pixels[1, 2].tolist() == [*images.ACCENT, 254]
    shades = np.array([[0, 128], [255, 3]], np.uint8)
    assert (
        np.asarray(image.open(BytesIO(images.shaded(shades))).convert("RGBA"))[..., 3].tolist()
        == shades.tolist()
    )
    colours = np.random.default_rng(0).random((3, 5, 3))
    found = np.asarray(image.open(BytesIO(images.coloured(colours))))
    np.testing.assert_array_equal(found, np.round(255 * colours))
