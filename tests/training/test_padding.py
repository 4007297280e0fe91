"""A batch that is filled up gives the numbers of the smaller one, whatever a step computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic.training.padding import padded
from kerasmagic.training.state import take, variables_of

SIZE, COUNT = 8, 5
layers = keras.layers


def images(*channels):
    return np.random.default_rng(0).normal(size=(SIZE, 8, 8, *channels)).astype("float32")


def tokens():
    return np.random.default_rng(0).integers(0, 11, (SIZE, 6)).astype("int32")


def vectors():
    return np.random.default_rng(0).normal(size=(SIZE, 6)).astype("float32")


def labels(classes=3):
    return np.random.default_rng(1).integers(0, classes, SIZE).astype("int32")


def chain(*parts, x, **options):
    model = keras.Sequential([keras.Input(x.shape[1:], dtype=x.dtype), *parts])
    options.setdefault("loss", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    # Adam would make large steps of rounding errors, where a gradient is 0.
    model.compile(options.pop("optimizer", "sgd"), **options)
    return model, x, labels()


def penalties():
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(4, activity_regularizer="l2"), layers.ActivityRegularization(0.1)]
    )
    model.compile("sgd", loss="mse", metrics=["mae", keras.metrics.RootMeanSquaredError()])
    return model, vectors(), np.ones((SIZE, 4), "float32")


def contrast():
    """A loss of each sample against all others."""

    class Contrastive(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(4)

        def call(self, x):
            return self.dense(x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            likeness = jnp.exp(-((y_pred[:, None] - y_pred[None]) ** 2).sum(-1))
            return jnp.mean(jnp.log(likeness.sum(1))) + likeness.max()

    model = Contrastive()
    model.compile("sgd")
    return model, vectors(), None


def attention():
    x = keras.Input((6,), dtype="int32")
    h = layers.Embedding(11, 8, mask_zero=True)(x)
    h = layers.LayerNormalization()(h + layers.MultiHeadAttention(2, 4, dropout=0.2)(h, h))
    model = keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(h)))
    model.compile("adamw", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model, tokens(), labels()


def every_step():
    x = keras.Input((6,), dtype="int32")
    h = layers.Embedding(11, 4, mask_zero=True)(x)
    h = layers.Bidirectional(layers.GRU(3, return_sequences=True))(h)
    model = keras.Model(x, layers.TimeDistributed(layers.Dense(3, "softmax"))(h))
    model.compile("rmsprop", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    return model, tokens(), np.random.default_rng(1).integers(0, 3, (SIZE, 6)).astype("int32")


MODELS = {
    "dense": lambda: chain(layers.Dense(5, "relu"), layers.Dense(3), x=vectors(), metrics=["accuracy"]),
    "batch_normalization": lambda: chain(
        layers.BatchNormalization(),
        layers.Dense(3),
        layers.BatchNormalization(),
        x=vectors(),
        optimizer="sgd",
    ),
    "noise": lambda: chain(
        layers.GaussianNoise(0.1), layers.Dense(4, "gelu"), layers.Dropout(0.5), layers.Dense(3), x=vectors()
    ),
    "convolution": lambda: chain(
        *(layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(2), layers.BatchNormalization()),
        *(layers.Conv2D(4, 1), layers.AveragePooling2D(2), layers.Dropout(0.3), layers.Flatten()),
        *(layers.Dense(3),),
        x=images(2),
    ),
    "separable": lambda: chain(
        *(layers.SeparableConv2D(4, 3, padding="same"), layers.DepthwiseConv2D(3, strides=2)),
        *(layers.Conv2DTranspose(2, 3), layers.GroupNormalization(2), layers.GlobalMaxPooling2D()),
        *(layers.Dense(3),),
        x=images(3),
    ),
    "lstm": lambda: chain(
        *(layers.Embedding(11, 4, mask_zero=True), layers.LSTM(3, dropout=0.2, recurrent_dropout=0.2)),
        *(layers.Dense(3),),
        x=tokens(),
        metrics=["sparse_top_k_categorical_accuracy"],
        optimizer=keras.optimizers.Adam(clipnorm=0.1),
    ),
    "every_step": every_step,
    "attention": attention,
    "penalties": penalties,
    "contrast": contrast,
}


def step_of(model, x, y):
    model(x[:1])
    model._symbolic_build((x, y)) if hasattr(model, "_symbolic_build") else None
    model.optimizer.build(model.trainable_variables)
    model.evaluate(x, y, verbose=0)

    def step(fixed, state, data):
        return model.train_step(tuple(state), data)

    return step, tuple(take(variables_of(model)))


@pytest.mark.parametrize("name", MODELS)
def test_only_the_samples_that_count_matter(name):
    keras.utils.set_random_seed(0)
    model, x, y = MODELS[name]()
    step, state = step_of(model, x, y)
    batch = (x, y) if y is not None else (x,)
    run = padded(step, None, state, batch)
    assert run is not None
    places = np.minimum(np.arange(SIZE), COUNT - 1)
    filled = jax.tree.map(lambda leaf: leaf[places], batch)
    # The samples that do not count are others than those: only finite ones.
    wrong = jax.tree.map(lambda leaf: np.concatenate([leaf[:COUNT], leaf[:3]]), batch)
    expected = jax.jit(step)(None, state, jax.tree.map(lambda leaf: leaf[:COUNT], batch))
    told = jax.jit(run)
    for given in (filled, wrong):
        found = told(None, state, given, COUNT)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)
    whole = told(None, state, batch, SIZE)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(jax.jit(step)(None, state, batch)), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def check(function, *shapes, count=2):
    """Compare a function's value on two samples of three with that of a run that is told of two."""
    rng = np.random.default_rng(0)
    batch = tuple(rng.normal(size=shape).astype("float32") for shape in shapes)
    run = padded(lambda fixed, changing, data: (function(*data), changing), None, (), batch)
    assert run is not None
    expected = function(*(leaf[:count] for leaf in batch))
    found = run(None, (), batch, count)[0]
    assert len(jax.tree.leaves(found)) == len(jax.tree.leaves(expected))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a[: b.shape[0]] if b.ndim else a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x.max(0), x.min(0), x.prod(0), x.argmax(0), x.argmin(0), (x > 0).all(0), (x > 0).any(0)),
        lambda x: (x.mean(), x.std(0), jnp.float32(x.shape[0]), x.T @ x, jnp.einsum("bi,bj->ij", x, x)),
        lambda x: (jnp.cumsum(x, 0), jax.lax.cumsum(x, 0, reverse=True), jax.lax.cummax(x, 0, reverse=True)),
        lambda x: (
            jnp.sort(x, 1),
            jax.lax.top_k(x, 2)[0],
            x[:, ::-1],
            x[:, 1:3],
            jnp.pad(x, ((0, 0), (1, 2))),
        ),
        lambda x: jnp.zeros(4).at[(x[:, 0] > 0).astype("int32")].add(x[:, 1]),
        lambda x: jnp.take_along_axis(x, (x > 0).astype("int32"), 1),
        lambda x: jax.lax.fori_loop(0, 3, lambda i, total: total + x.sum() * i, 0.0),
        lambda x: jax.lax.cond(x.mean() > 0, lambda: x.sum(0), lambda: x.max(0)),
        lambda x: jax.lax.scan(lambda total, row: (total + row, row.sum()), x[:, 0], x.T),
        lambda x: (x.reshape(-1, 2).sum(0), x.reshape(-1)[None].sum(), x.reshape(-1, 2, 2).sum((0, 2))),
        lambda x: jax.grad(jax.checkpoint(lambda w: jnp.tanh(x @ w).mean()))(jnp.ones(4)),
        lambda x: jax.random.uniform(jax.random.key(0), x.shape),
        lambda x: jax.nn.log_softmax(x @ x.T, axis=1).sum(),
        lambda x: jnp.linalg.cholesky(jnp.eye(2) + 0 * x.reshape(-1, 2, 2)).sum(0),
    ],
)
def test_operations(function):
    check(function, (3, 4))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.sort(x, 0)[0],
        lambda x: x[::-1].sum() * 0 + x[::-1][0],
        lambda x: jnp.concatenate([x, x], 0)[-1],
        lambda x: x.T.reshape(-1)[:2],
        lambda x: jnp.median(x),
        lambda x: x[: x.shape[0] // 2].sum(),
        lambda x: float(x.shape[0]) * x if x.shape[0] > 2 else x,
        lambda x: jnp.fft.fft(x, axis=0).real[0],
    ],
)
def test_what_mixes_samples_has_a_program_of_its_own(function):
    batch = np.ones((3, 4), "float32")
    assert padded(lambda fixed, changing, x: (function(x), changing), None, (), batch) is None


def test_only_rows_are_collected():
    batch = np.ones((3, 4), "float32")
    options = {"rows_only": True}
    assert padded(lambda fixed, changing, x: (x.sum(0), changing), None, (), batch, **options) is None
    assert padded(lambda fixed, changing, x: (x.sum(1), changing), None, (), batch, **options) is not None
    # What goes on to the next step can't have a row for each sample.
    assert padded(lambda fixed, changing, x: ((), x), None, batch, batch) is None


def test_each_program_is_compiled_once():
    keras.utils.set_random_seed(0)
    for name in ("dense", "convolution"):
        model, x, y = MODELS[name]()
        x, y = np.concatenate([x] * 5), np.concatenate([y] * 5)
        options = {"batch_size": 9, "verbose": 0}
        history = model.fit(x, y, epochs=3, validation_data=(x[:31], y[:31]), **options)
        model.evaluate(x[:32], y[:32], **options)
        assert [len(model.predict(x[:n], **options)) for n in (32, 31)] == [32, 31]
        programs = [one.program for one in (*history.compilations,)]
        assert sorted(programs) == ["predict", "test", "train"], (name, history.compilations)


def test_a_step_that_mixes_samples_is_trained_as_ever():
    class Sorted(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, x):
            return jnp.sort(self.dense(x), axis=0)

    model = Sorted()
    model.compile("sgd", "mse")
    history = model.fit(np.ones((10, 3)), np.ones((10, 1)), batch_size=4, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2
    assert model.predict(np.ones((10, 3)), batch_size=4, verbose=0).shape == (10, 1)
