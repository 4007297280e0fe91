"""CategoryEncoding and Discretization beyond the rows of the table: boundaries from data, files, models, refusals."""

from __future__ import annotations

import json
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasmagic as km
from kerasmagic.numerics import encoding

RNG = np.random.default_rng(0)
MODES = ("one_hot", "multi_hot", "count")
C, D = km.layers.CategoryEncoding, km.layers.Discretization


def same(ours, theirs):
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    assert str(ours.dtype) == str(theirs.dtype)


# Categories

NUMBERS = {
    "outside": [3, -1, 7, 1],
    "broken": [1.0, 1.5, 3.0],
    "scalar": np.array(2),
    "rank 3": RNG.integers(0, 5, (2, 3, 2)),
    "repeated": [[0, 1, 1], [2, 2, 2]],
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_become_the_vectors_of_keras(keras, mode, case):
    ours = C(5, mode)(NUMBERS[case])
    with warnings.catch_warnings():
        # JAX would rather have Keras use integers.
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = keras.layers.CategoryEncoding(5, mode)(NUMBERS[case])
    same(ours, theirs)
    assert C(5, mode).compute_output_shape(np.shape(NUMBERS[case])) == theirs.shape


def test_empty_samples_are_zeros():
    assert C(3)(np.zeros((2, 0), "int32")).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert C(3, "count")(np.zeros((0,), "int32")).tolist() == [0, 0, 0]
    assert C(3, "one_hot")(np.zeros((0, 2), "int32")).shape == (0, 2, 3)


def test_narrow_integers_have_no_second_meaning():
    # Keras counts the categories in the type of the inputs, and sets 3 and 259.
    assert np.flatnonzero(C(300)(np.array([3], "uint8"))).tolist() == [3]
    assert np.flatnonzero(C(300, "one_hot")(np.array([3], "uint8"))[0]).tolist() == [3]


@pytest.mark.parametrize(
    ("x", "weights"),
    [
        ([[0, 1], [2, 1]], [[0.5, 1.5], [2.0, -1.0]]),
        ([[0, 1], [1, 1]], [1, 2]),
        (2, 0.5),
        (RNG.integers(0, 4, (2, 3, 2)), RNG.normal(size=(2, 3, 2))),
    ],
)
def test_weights_count_as_in_keras(keras, x, weights):
    x, weights = np.asarray(x), np.asarray(weights)
    ours, theirs = (k.layers.CategoryEncoding(4, "count")(x, count_weights=weights) for k in (km, keras))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert ours.dtype == theirs.dtype


def test_weights_have_gradients(keras):
    x = RNG.integers(-1, 5, (3, 4))
    cotangent = RNG.normal(size=(3, 4)).astype("float32")

    def gradient(library):
        layer = library.layers.CategoryEncoding(4, "count")
        return jax.grad(lambda w: jnp.sum(layer(x, count_weights=w) * cotangent))(jnp.ones((3, 4)))

    np.testing.assert_allclose(gradient(km), gradient(keras), rtol=1e-6)


def test_symbolic_weights():
    weights = km.Input((4,))
    inputs = km.Input((4,), dtype="int32")
    model = km.Model([inputs, weights], C(5, "count")(inputs, count_weights=weights))
    assert model.output.shape == (None, 5)
    x, w = RNG.integers(0, 5, (3, 4)), RNG.normal(size=(3, 4)).astype("float32")
    want = np.stack([np.bincount(a, b, 5) for a, b in zip(x, w, strict=True)])
    np.testing.assert_allclose(model.predict([x, w], verbose=0), want, rtol=1e-5, atol=1e-6)


def test_types(keras):
    many = np.zeros((1, 1000), "int32")
    for dtype in ("bfloat16", "float16", "int32"):
        for mode in MODES:
            ours, theirs = (k.layers.CategoryEncoding(3, mode, dtype=dtype)(many) for k in (km, keras))
            same(ours, theirs)
    # Keras says bfloat16 of symbolic tensors and returns float32, unless there are weights.
    mixed, theirs = (k.layers.CategoryEncoding(3, dtype="mixed_bfloat16") for k in (km, keras))
    symbolic = theirs(keras.KerasTensor((1, 1000), "int32"))
    assert str(mixed(many).dtype) == mixed(km.KerasTensor((1, 1000), "int32")).dtype == symbolic.dtype
    np.testing.assert_array_equal(mixed(many), theirs(many))
    # In bfloat16 the category would have been 256.
    assert np.argmax(C(300, dtype="bfloat16")(np.array([257.0], "float32"))) == 257


def test_a_jitted_fit_learns_from_categories():
    x = RNG.integers(0, 6, (64, 3))
    y = (x == 2).any(1).astype("float32")[:, None]
    model = km.Sequential([km.Input((3,), dtype="int32"), C(6), km.layers.Dense(1, activation="sigmoid")])
    model.compile("adam", loss="binary_crossentropy", jit_compile=True)
    model.optimizer.learning_rate = 0.1
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.3 * losses[0]


def test_the_old_name_of_a_mode():
    layer = C(3, output_mode="binary")
    assert layer.get_config()["output_mode"] == "multi_hot"


# Boundaries from data


def found(layer, batches):
    for batch in batches:
        layer.update_state(batch)
    layer.finalize_state()
    return layer.bin_boundaries


SIZES = {
    "few": (5,),
    "one batch": (400,),
    "ragged": (300, 7, 1, 151),
    "many": (1000, 1000, 1000),
    "not whole": (150,),
}


@pytest.mark.parametrize("epsilon", [0.01, 0.1, 0.3])
@pytest.mark.parametrize("bins", [1, 2, 3, 10, 64, 200])
@pytest.mark.parametrize("sizes", SIZES)
def test_the_boundaries_are_those_of_keras(keras, sizes, bins, epsilon):
    batches = [RNG.normal(size=size) for size in SIZES[sizes]]
    ours, theirs = (k.layers.Discretization(num_bins=bins, epsilon=epsilon) for k in (km, keras))
    np.testing.assert_allclose(found(ours, batches), found(theirs, batches), rtol=1e-6)
    np.testing.assert_allclose(ours.summary, theirs.summary, rtol=1e-6)


def test_as_many_bins_as_were_asked_for():
    # In floating point 49 * (1 / 49) < 1, and Keras makes 50 of 49.
    for bins in range(1, 100):
        assert len(found(D(num_bins=bins), [np.arange(1000.0)])) == bins - 1


def test_buckets_get_equal_shares_of_skewed_data():
    data = np.exp(RNG.normal(size=(40, 500)))
    layer = D(num_bins=10, epsilon=0.005)
    layer.adapt(list(data))
    shares = np.bincount(np.asarray(layer(data)).ravel(), minlength=10) / data.size
    np.testing.assert_allclose(shares, 0.1, atol=0.02)


DATA = RNG.normal(size=(12, 4)).astype("float32")


class Batches(km.utils.PyDataset):
    """The data by number, with targets."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return DATA[4 * index : 4 * index + 4], np.full(4, 1e6)


FORMS = {
    "array": lambda: DATA,
    "jax array": lambda: jnp.asarray(DATA),
    "doubles": lambda: DATA.astype("float64"),
    "list of batches": lambda: [DATA[:5], DATA[5:7], DATA[7:]],
    "lists": lambda: DATA.tolist(),
    "numbers": lambda: DATA.ravel().tolist(),
    "generator with targets": lambda: ((DATA[i : i + 4], np.full(4, 1e6)) for i in range(0, 12, 4)),
    "by number": Batches,
}


@pytest.mark.parametrize("form", FORMS)
def test_adapt_reads_every_form_of_data(form):
    layer = D(num_bins=4)
    layer.adapt(FORMS[form]())
    np.testing.assert_allclose(layer.bin_boundaries, np.sort(DATA.ravel())[[11, 23, 35]])


def test_adapt_stops_after_its_steps_and_takes_no_batch_more():
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield DATA

    layer = D(num_bins=4)
    layer.adapt(endless(), steps=3)
    assert len(taken) == 3
    assert layer.summary[1].sum() == pytest.approx(3 * DATA.size)


def test_adapting_again_forgets_and_updates_go_on():
    layer = D(num_bins=2)
    layer.adapt(np.arange(10.0))
    layer.adapt(np.arange(100.0, 110.0))
    assert layer.bin_boundaries == [104.0]
    layer.update_state(np.arange(200.0, 210.0))
    layer.finalize_state()
    assert layer.bin_boundaries == [109.0]
    layer.reset_state()
    assert layer.summary.shape == (2, 0)
    assert layer.bin_boundaries == [109.0]


def test_given_boundaries_stay():
    layer = D([1.0])
    layer.update_state(DATA)
    layer.finalize_state()
    layer.reset_state()
    assert layer.bin_boundaries == [1.0]


def test_summaries_keep_their_size_and_weight():
    summary = np.empty((2, 0), "float32")
    for _ in range(20):
        values = RNG.normal(size=1000).astype("float32")
        summary = encoding.merge_summaries(encoding.summarize(values, 0.01), summary, 0.01)
    assert summary.shape == (2, 100)
    assert summary[1].sum() == pytest.approx(20_000, rel=1e-5)
    assert np.all(np.diff(summary[0]) >= 0)


# Buckets


@pytest.mark.parametrize("count", [1, 3, 40])
def test_special_values_fall_where_keras_puts_them(keras, count):
    boundaries = np.linspace(-1, 1, count).tolist()
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, 1.0, 3e38], "float32")
    for order in (boundaries, boundaries[::-1]):
        same(*(k.layers.Discretization(order)(x) for k in (km, keras)))


@pytest.mark.parametrize("mode", ["int", *MODES])
def test_narrow_types_do_not_move_values(keras, mode):
    x = np.array([[1.0005, 1.002, 5.0]], "float32")
    for dtype in ("mixed_bfloat16", "bfloat16", "float16"):
        same(*(k.layers.Discretization([1.001], output_mode=mode, dtype=dtype)(x) for k in (km, keras)))


def test_unbatched_and_listed_inputs(keras):
    for x in (0.3, np.array(0.3), [0.3, 2], [1, 2, 3], np.zeros((2, 0))):
        for mode in ("int", "one_hot", "count"):
            layer, other = (k.layers.Discretization([0.0, 1.0], output_mode=mode) for k in (km, keras))
            same(layer(x), other(np.asarray(x)))


@pytest.mark.parametrize("mode", ["int", *MODES])
def test_the_shape_is_known_before_the_boundaries(keras, mode):
    for shape in ((None, 3), (None, 3, 4), (None, 1)):
        theirs = keras.layers.Discretization(num_bins=5, output_mode=mode)(keras.KerasTensor(shape))
        layer = D(num_bins=5, output_mode=mode)
        tensor = layer(km.KerasTensor(shape))
        assert (tensor.shape, tensor.dtype) == (theirs.shape, theirs.dtype)
        assert layer.compute_output_shape(shape) == theirs.shape
    inner = km.Sequential([km.Input((3,)), layer])
    outer = km.Sequential([km.Input((3,)), inner])
    layer.adapt(DATA)
    assert outer.predict(DATA[:, :3], verbose=0).shape[1:] == outer.output_shape[1:]


# Configs, files and models


def test_configs_before_and_after_adapting_are_those_of_keras(keras):
    def configs(library):
        layer = library.layers.Discretization(num_bins=5, name="d")
        yield layer.get_config()
        for size in (3, 80):
            layer.reset_state()
            found(layer, [np.arange(float(size))])
            yield layer.get_config()

    for ours, theirs in zip(configs(km), configs(keras), strict=True):
        assert json.loads(json.dumps(ours)) == json.loads(json.dumps(theirs))
        again = D.from_config(json.loads(json.dumps(ours)))
        assert again.get_config() == ours
        assert keras.layers.Discretization.from_config(ours).get_config() == theirs
        assert ours["num_bins"] == 5


def test_a_layer_from_an_adapted_config_can_adapt_again():
    layer = D(num_bins=2)
    layer.adapt(np.arange(10.0))
    again = D.from_config(layer.get_config())
    again.adapt(np.arange(100.0, 110.0))
    assert (layer.bin_boundaries, again.bin_boundaries) == ([4.0], [104.0])


def test_configs_of_arrays_and_policies():
    config = D(np.array([1.0, 2.0]), dtype="mixed_bfloat16").get_config()
    assert json.loads(json.dumps(config))["bin_boundaries"] == [1.0, 2.0]
    # Keras says float32 here, and computes in it after a trip through a file.
    assert D.from_config(config).compute_dtype == "bfloat16"
    assert D((1, 2)).bin_boundaries == [1, 2]


def model_of(library):
    layers = library.layers
    inputs = library.Input((4,))
    adapted = layers.Discretization(num_bins=4, output_mode="count")
    found(adapted, [DATA])
    buckets = layers.Discretization([-0.5, 0.5])(inputs)
    hot = layers.CategoryEncoding(3, output_mode="count")(buckets)
    return library.Model(inputs, layers.Concatenate()([adapted(inputs), hot]))


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_files_go_to_keras_and_back(keras, tmp_path, suffix):
    for writer, reader in ((km, keras), (keras, km), (km, km)):
        model = model_of(writer)
        path = tmp_path / f"{writer.__name__}{suffix}"
        if suffix == ".keras":
            model.save(path)
            read = reader.models.load_model(path)
        else:
            model.save_weights(path)
            read = model_of(reader)
            read.load_weights(path)
        np.testing.assert_array_equal(read(DATA), model(DATA))


def test_a_summary_of_an_old_file_goes_on(keras):
    old = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]], "float32")
    layers = [k.layers.Discretization(num_bins=2) for k in (km, keras)]
    for layer in layers:
        layer.load_own_variables({})
        layer.load_own_variables({"0": old})
    assert found(layers[0], [[4.0, 5.0]]) == found(layers[1], [[4.0, 5.0]])


def test_a_jitted_fit_learns_from_buckets():
    x = RNG.uniform(-1, 1, (128, 1)).astype("float32")
    y = (np.abs(x) < 0.4).astype("float32")
    layer = D(num_bins=8, output_mode="one_hot")
    model = km.Sequential([km.Input((1,)), layer, km.layers.Dense(1, activation="sigmoid")])
    layer.adapt(x)
    model.compile(km.optimizers.Adam(0.2), loss="binary_crossentropy", metrics=["accuracy"], jit_compile=True)
    model.fit(x, y, epochs=15, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] > 0.85


def test_a_model_compiled_again_takes_new_boundaries():
    layer = D(num_bins=2)
    model = km.Sequential([km.Input((1,)), layer])
    layer.adapt(np.arange(10.0))
    x = np.array([[7.0]])
    assert model.predict(x, verbose=0).tolist() == [[1]]
    layer.adapt(np.arange(100.0, 110.0))
    model.compile()
    assert model.predict(x, verbose=0).tolist() == [[0]]


REFUSED = {
    "no tokens": (lambda: C(), "num_tokens must be set"),
    "zero tokens": (lambda: C(0), "positive integer"),
    "half a token": (lambda: C(2.5), "positive integer"),
    "text for tokens": (lambda: C("4"), "positive integer"),
    "mode": (lambda: C(4, output_mode="hot"), "one of 'one_hot'"),
    "no numbers of categories": (lambda: C(4, output_mode="int"), "one of 'one_hot'"),
    "sparse": (lambda: C(4, sparse=True), "no sparse tensors"),
    "weights": (lambda: C(4)([0], count_weights=[1.0]), "not used when `output_mode`"),
    "other weights": (
        lambda: C(4, "count")([[0, 1]], count_weights=[[1.0, 2.0, 3.0]]),
        r"\(1, 3\) for .* \(1, 2\)",
    ),
    "more weights": (lambda: C(4, "count")([0, 1], count_weights=[[1.0, 2.0]]), r"\(1, 2\) for .* \(2,\)"),
    "neither": (lambda: D(), "either `num_bins` or `bin_boundaries`"),
    "both": (lambda: D([1.0], num_bins=2), "Both `num_bins` and `bin_boundaries`"),
    "negative bins": (lambda: D(num_bins=-1), "positive integer"),
    "no bins": (lambda: D(num_bins=0), "positive integer"),
    "epsilon": (lambda: D(num_bins=2, epsilon=0), "above 0"),
    "large epsilon": (lambda: D(num_bins=2, epsilon=2.0), "not above 1"),
    "bucket mode": (lambda: D([1.0], output_mode="inti"), "Did you mean 'int'"),
    "sparse buckets": (lambda: D([1.0], output_mode="count", sparse=True), "no sparse tensors"),
    "disorder": (lambda: D([2.0, 0.0, 1.0]), "must be in order"),
    "matrix": (lambda: D([[1.0]]), "list of numbers"),
    "text": (lambda: D("abc"), "list of numbers"),
    "not adapted": (lambda: D(num_bins=3)([1.0]), "call `adapt"),
    "given": (lambda: D([1.0]).adapt(DATA), "initialized with `bin_boundaries`"),
    "no data": (lambda: D(num_bins=3).adapt([]), "data is empty"),
    "empty data": (lambda: D(num_bins=3).adapt(np.zeros(0)), "data is empty"),
    "text as data": (lambda: D(num_bins=3).adapt("data"), "array or batches"),
    "a number as data": (lambda: D(num_bins=3).adapt(3.0), "array or batches"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    make, message = REFUSED[case]
    with pytest.raises((ValueError, TypeError), match=message):
        make()
