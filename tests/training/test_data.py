"""Every kind of data that fit takes, the real thing where the package is there."""

from __future__ import annotations

import itertools
import threading
import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic import layers
from kerasmagic.training.data import as_source

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")


def make_model():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.fixture(scope="module")
def expected():
    """Return the weights after two epochs on arrays in their order, ten samples a batch."""
    model = make_model()
    model.fit(X, Y, batch_size=10, epochs=2, shuffle=False, verbose=0)
    return model.get_weights()


class Batches(keras.utils.PyDataset):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.told = []

    def __len__(self):
        return 3

    def __getitem__(self, index):
        rows = slice(10 * index, 10 * index + 10)
        return X[rows], Y[rows]

    def on_epoch_begin(self):
        self.told.append("begin")

    def on_epoch_end(self):
        self.told.append("end")


def train(data, **options):
    model = make_model()
    model.fit(data, epochs=2, verbose=0, **{"shuffle": False, **options})
    return model.get_weights()


def check(weights, expected):
    for a, b in zip(weights, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


class Iterable:
    """Batches that can be gone through again and again; a list of arrays would be several inputs."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


def listed():
    return Iterable([(X[i : i + 10], Y[i : i + 10]) for i in (0, 10, 20)])


@pytest.mark.parametrize(
    "make",
    [
        listed,
        Batches,
        lambda: Batches(workers=2),
        lambda: Batches(workers=2, max_queue_size=1),
        lambda: (list(batch) for _ in range(2) for batch in listed()),
        lambda: Iterable([(jnp.asarray(x), jnp.asarray(y)) for x, y in listed()]),
        lambda: Iterable([(x.tolist(), y.tolist()) for x, y in listed()]),
    ],
    ids=["batches", "py_dataset", "threads", "short_queue", "generator", "jax", "lists"],
)
def test_batches_of_every_kind_train_as_arrays_do(make, expected):
    data = make()
    one_pass = hasattr(data, "__next__")
    check(train(data, steps_per_epoch=3 if one_pass else None), expected)
    if isinstance(data, Batches):
        assert data.told == ["begin", "end"] * 2


def test_workers_may_be_processes(expected):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(train(Batches(workers=2, use_multiprocessing=True)), expected)


def test_arrays_may_be_lists_or_of_jax(expected):
    for x, y in ((X.tolist(), Y.tolist()), (jnp.asarray(X), jnp.asarray(Y))):
        model = make_model()
        model.fit(x, y, batch_size=10, epochs=2, shuffle=False, verbose=0)
        check(model.get_weights(), expected)


def test_a_data_set_is_shuffled_by_its_batches():
    source, keras_order = as_source(Batches(), shuffle=True), []
    for _ in range(8):
        keras_order.append([float(x[0, 0]) for x, _ in source.batches()])
    assert len({tuple(order) for order in keras_order}) > 1
    assert all(sorted(order) == sorted(keras_order[0]) for order in keras_order)


def test_a_data_set_without_end_needs_a_number_of_steps():
    class Endless(Batches):
        @property
        def num_batches(self):
            return None

        def __getitem__(self, index):
            return super().__getitem__(index % 3)

    with pytest.raises(ValueError, match="steps_per_epoch"):
        make_model().fit(Endless(), verbose=0)
    history = make_model().fit(Endless(workers=2), steps_per_epoch=4, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2
    assert make_model().predict(Endless(), steps=5, verbose=0).shape == (50, 2)


def test_workers_end_with_the_run_also_when_it_fails():
    class Failing(Batches):
        def __getitem__(self, index):
            if index == 2:
                raise OSError("no such file")
            return super().__getitem__(index)

    before = set(threading.enumerate())
    with pytest.raises(OSError, match="no such file"):
        train(Failing(workers=2))
    train(Batches(workers=3))
    # Fewer are there where what an earlier test had left has ended.
    assert set(threading.enumerate()) <= before


def test_a_data_set_that_lacks_its_methods_says_so():
    with pytest.raises(NotImplementedError, match="__len__"):
        make_model().fit(keras.utils.PyDataset(), verbose=0)


def test_steps_go_on_where_the_epoch_before_stopped():
    source = as_source(listed(), steps=2)
    epochs = source.epochs(2)
    firsts = [[float(x[0, 0]) for x, _ in next(epochs)] for _ in range(3)]
    assert list(itertools.chain(*firsts)) == [float(X[i, 0]) for i in (0, 10, 20, 0, 10, 20)]


def test_data_frames_train_as_arrays_do(expected):
    pandas = pytest.importorskip("pandas")
    frame, labels = pandas.DataFrame(X, columns=list("abcd")), pandas.Series(Y)
    model = make_model()
    model.fit(
        frame, labels, batch_size=10, epochs=2, shuffle=False, verbose=0, validation_data=(frame, labels)
    )
    check(model.get_weights(), expected)
    assert model.predict(frame, verbose=0).shape == (30, 2)
    model.fit(frame, labels, validation_split=0.2, class_weight={0: 2.0}, verbose=0)


def test_a_torch_loader_trains_as_arrays_do(expected):
    torch = pytest.importorskip("torch")
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    check(train(torch.utils.data.DataLoader(pairs, batch_size=10)), expected)
    check(train(torch.utils.data.DataLoader(pairs, batch_size=10), validation_data=(X, Y)), expected)


def test_a_grain_loader_trains_as_arrays_do(expected):
    grain = pytest.importorskip("grain")
    pairs = grain.MapDataset.source([(x, y) for x, y in zip(X, Y, strict=True)]).batch(10)
    check(train(pairs.to_iter_dataset()), expected)
    check(train(pairs), expected)


def test_a_tensorflow_data_set_trains_as_arrays_do(expected):
    tensorflow = pytest.importorskip("tensorflow")
    check(train(tensorflow.data.Dataset.from_tensor_slices((X, Y)).batch(10)), expected)


def test_weights_by_class_go_with_batches_and_arrays_alike():
    weights = []
    for data, labels in ((listed(), None), (X, Y), (Batches(), None)):
        model = make_model()
        options = {} if labels is None else {"y": labels, "batch_size": 10}
        model.fit(data, class_weight={0: 0.2, 1: 2.0}, shuffle=False, verbose=0, **options)
        weights.append(model.get_weights())
    check(weights[1], weights[0])
    check(weights[2], weights[0])
