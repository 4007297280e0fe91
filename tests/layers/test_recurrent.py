"""What the table cannot say about recurrent layers: states, cells of the user, masks, errors, random options."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasmagic.layers as ours
from kerasmagic.core.layer import Layer
from kerasmagic.core.random import SeedGenerator
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.numerics.compiling import program
from kerasmagic.numerics.recurrent import Walk, walk

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5, 2)).astype("float32")


def pair(keras: ModuleType, make: Any, *shape: int) -> tuple[Any, Any]:
    """Return the same layer in both libraries, built, with the same weights."""
    theirs, mine = make(keras.layers), make(ours)
    for layer in (theirs, mine):
        layer.build(shape)
    weights = [0.5 * RNG.normal(size=w.shape).astype("float32") for w in theirs.weights]
    theirs.set_weights(weights)
    mine.set_weights(weights)
    return theirs, mine


def close(mine: Any, theirs: Any, tolerance: float = 1e-5) -> None:
    a, b = jax.tree.leaves(mine), jax.tree.leaves(theirs)
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert x.shape == y.shape
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_a_stateful_layer_goes_on_where_it_stopped(keras: ModuleType, name: str) -> None:
    theirs, mine = pair(keras, lambda library: getattr(library, name)(4, stateful=True), *X.shape)
    for _ in range(2):
        close(mine(X), theirs(X))
    first = np.asarray(mine.states[0])
    assert np.abs(first).max() > 0
    mine.reset_state()
    theirs.reset_state()
    assert not np.asarray(mine.states[0]).any()
    close(mine(X), theirs(X))
    mine.reset_states()
    assert not np.asarray(mine.states[0]).any()


def test_states_are_variables_that_a_pure_call_returns_but_no_weights() -> None:
    layer = ours.LSTM(4, stateful=True)
    layer.build(X.shape)
    assert [w.name for w in layer.weights] == ["kernel", "recurrent_kernel", "bias"]
    trainable = [v.value for v in layer.trainable_variables]
    state = [v.value for v in layer.non_trainable_variables]
    step = jax.jit(lambda state: layer.stateless_call(trainable, state, X))
    output, following = step(state)
    assert not np.asarray(layer.states[0]).any(), "a pure call changes nothing"
    close(following[-2], output)
    close(step(following)[0], [layer(X), layer(X)][1])


def test_a_stateful_layer_needs_one_batch_size() -> None:
    with pytest.raises(InvalidArgument, match="batch size must be static"):
        ours.GRU(4, stateful=True)(KerasTensor((None, 5, 2)))
    layer = ours.GRU(4, stateful=True)
    layer(X)
    with pytest.raises(InvalidArgument, match="Expected batch size: 3\n- Received batch size: 2"):
        layer(X[:2])


def test_a_stateful_pair_of_directions(keras: ModuleType) -> None:
    def make(library: Any) -> Any:
        return library.Bidirectional(library.LSTM(4, stateful=True, return_sequences=True))

    theirs, mine = pair(keras, make, *X.shape)
    for _ in range(2):
        close(mine(X), theirs(X))
    assert len(mine.states) == 4
    mine.reset_state()
    assert not any(np.asarray(state).any() for state in mine.states)
    with pytest.raises(AttributeError, match="must be stateful"):
        ours.Bidirectional(ours.GRU(2)).reset_state()


def test_the_last_states_of_a_walk_begin_the_next() -> None:
    layer = ours.LSTM(4, return_state=True, return_sequences=True)
    whole, *last = layer(X)
    head, *states = layer(X[:, :2])
    tail, *end = layer(X[:, 2:], initial_state=states)
    close(jnp.concatenate([head, tail], axis=1), whole)
    close(end, last)


def test_masked_times_leave_no_trace() -> None:
    mask = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 0, 1], [0, 0, 0, 0, 1]], bool)
    for layer in (ours.SimpleRNN(4), ours.LSTM(4), ours.GRU(4), ours.GRU(4, unroll=True)):
        together = layer(X, mask=mask)
        for row in range(3):
            close(together[row], layer(X[row : row + 1, mask[row]])[0])


def test_a_mask_of_a_convolutional_layer_holds_for_each_example() -> None:
    x = RNG.normal(size=(2, 4, 6, 3)).astype("float32")
    mask = np.array([[1, 0, 1, 1], [0, 1, 0, 0]], bool)
    layer = ours.ConvLSTM1D(2, 3)
    together = layer(x, mask=mask)
    for row in range(2):
        close(together[row], layer(x[row : row + 1, mask[row]])[0])


def test_dropout_is_the_same_at_all_times() -> None:
    x = np.ones((2, 6, 8), "float32")
    layer = ours.SimpleRNN(3, dropout=0.5, return_sequences=True, recurrent_initializer="zeros", seed=1)
    outputs = np.asarray(layer(x, training=True))
    assert (outputs == outputs[:, :1]).all()
    assert not np.array_equal(outputs, layer(x, training=True)), "and another in the next call"
    assert np.array_equal(layer(x), layer(x, training=False))


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_inference_drops_nothing(name: str) -> None:
    plain, dropping = (getattr(ours, name)(3, **o) for o in ({}, {"dropout": 0.5, "recurrent_dropout": 0.5}))
    plain.build(X.shape)
    dropping.build(X.shape)
    dropping.set_weights(plain.get_weights())
    close(dropping(X), plain(X))
    assert not np.allclose(dropping(X, training=True), plain(X, training=True))


def test_stacked_cells_drop_the_same_at_all_times(keras: ModuleType) -> None:
    def make(library: Any) -> Any:
        cells = [library.LSTMCell(4, dropout=0.3, seed=1), library.GRUCell(3, recurrent_dropout=0.3, seed=2)]
        return library.RNN(cells, return_sequences=True)

    theirs, mine = pair(keras, make, *X.shape)
    close(mine(X, training=True), theirs(X, training=True))


class Total(Layer):
    """A cell of the user: adds up what a layer inside makes of its inputs."""

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = units
        self.dense = ours.Dense(units)

    def call(self, inputs: Any, states: Any) -> Any:
        total = states[0] + self.dense(inputs)
        return total, (total,)


class Noisy(Layer):
    """A cell that assigns to a variable at every time."""

    state_size = 2

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.seeds = SeedGenerator(1)
        self.count = self.add_weight((), "zeros", trainable=False, name="count")

    def call(self, inputs: Any, states: Any) -> Any:
        self.count.assign_add(1.0)
        noise = jax.random.normal(self.seeds.next(), inputs.shape)
        return noise, [states[0] + noise]


class Bare:
    """A cell that is no layer."""

    state_size = 2

    def call(self, inputs: Any, states: Any) -> Any:
        return inputs + states[0], [inputs + states[0]]


def test_a_cell_of_the_user() -> None:
    layer = ours.RNN(Total(4), return_sequences=True)
    assert layer(KerasTensor((None, None, 2))).shape == (None, None, 4)
    close(layer(X), jnp.cumsum(layer.cell.dense(X), axis=1), 1e-4)
    assert len(layer.trainable_weights) == 2


def test_a_cell_of_the_user_in_both_directions() -> None:
    layer = ours.Bidirectional(ours.RNN(Total(4)), merge_mode="sum")
    assert layer(X).shape == (3, 4)
    assert type(layer.backward_layer.cell) is Total


def test_what_a_cell_assigns_goes_from_time_to_time() -> None:
    layer = ours.RNN(Noisy(), return_sequences=True)
    outputs = layer(X)
    assert float(layer.cell.count) == X.shape[1]
    assert len(np.unique(np.asarray(outputs)[0, :, 0])) == X.shape[1], "each time has its own noise"
    pure = jax.jit(lambda state: layer.stateless_call([], state, X))
    _, following = pure([v.value for v in layer.non_trainable_variables])
    assert sorted(float(v) for v in jax.tree.leaves(following) if v.ndim == 0) == [2 * X.shape[1]]
    assert float(layer.cell.count) == X.shape[1]


def test_a_cell_that_is_no_layer() -> None:
    close(ours.RNN(Bare())(X), X.sum(axis=1))


def test_a_cell_that_overrides_call_is_called() -> None:
    class Double(ours.SimpleRNNCell):
        def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
            output, states = super().call(inputs, states, training)
            return 2 * output, states

    layer = ours.RNN(Double(3))
    plain = ours.RNN(ours.SimpleRNNCell(3))
    plain.build(X.shape)
    layer.build(X.shape)
    layer.set_weights(plain.get_weights())
    close(layer(X), 2 * plain(X))


def test_a_cell_alone(keras: ModuleType) -> None:
    for name in ("SimpleRNNCell", "LSTMCell", "GRUCell"):
        theirs, mine = pair(keras, lambda library, name=name: getattr(library, name)(4), 3, 2)
        states = [RNG.normal(size=(3, 4)).astype("float32") for _ in mine.get_initial_state(3)]
        close(mine(X[:, 0], states), theirs(X[:, 0], states))


def test_time_distributed_batch_normalization_moves_once_a_time(keras: ModuleType) -> None:
    theirs, mine = pair(keras, lambda library: library.TimeDistributed(library.BatchNormalization()), 3, 5, 2)
    close(mine(X, training=True), theirs(X, training=True))
    close(mine.get_weights(), theirs.get_weights())


def test_time_distributed_mask() -> None:
    layer = ours.TimeDistributed(ours.LSTM(3))
    x = RNG.normal(size=(2, 3, 4, 2)).astype("float32")
    mask = RNG.random((2, 3, 4)) < 0.7
    close(layer(x, mask=mask)[:, 1], layer.layer(x[:, 1], mask=mask[:, 1]))
    with pytest.raises(ShapeMismatch, match="incompatible with the input shape"):
        layer(x, mask=np.ones((2, 4), bool))
    with pytest.raises(ShapeMismatch, match="must be at least 2D"):
        layer(x, mask=np.ones(2, bool))
    with pytest.raises(ShapeMismatch, match="at least 3 dimensions"):
        ours.TimeDistributed(ours.Dense(2))(np.ones((2, 3), "float32"))


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_a_walk_over_no_time_keeps_its_states(go_backwards: bool, return_sequences: bool) -> None:
    how = Walk(go_backwards=go_backwards, return_sequences=return_sequences)
    outputs, states, _ = walk(
        lambda x, s, m: (s[0] + x, [s[0] + x], m), jnp.zeros((0, 2)), [jnp.ones(2)], None, how
    )
    assert outputs.shape == ((0, 2) if return_sequences else (2,))
    assert states[0].tolist() == [1, 1]


def test_a_wrong_call_is_named() -> None:
    with pytest.raises(InvalidArgument, match="has 2 state"):
        ours.LSTM(2)(X, initial_state=[np.zeros((3, 2))])
    with pytest.raises(ShapeMismatch, match="static input shapes"):
        ours.ConvLSTM1D(2, 2)(KerasTensor((None, 3, None, 2)))


def test_a_simple_layer_keeps_its_penalty_on_activity() -> None:
    layer = ours.SimpleRNN(4, activity_regularizer="l1")
    outputs = layer(X)
    np.testing.assert_allclose(sum(layer.losses), 0.01 * jnp.abs(outputs).sum() / len(X), rtol=1e-5)
    assert ours.SimpleRNN.from_config(layer.get_config()).activity_regularizer is not None


def test_a_pair_of_directions_begins_with_given_weights() -> None:
    weights = [np.ones(shape, "float32") for shape in 2 * [(2, 3), (3, 3), (3,)]]
    layer = ours.Bidirectional(ours.SimpleRNN(3), weights=weights)
    layer.build(X.shape)
    for value, wanted in zip(layer.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(value, wanted)


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("rates", [(0.0, 0.0), (0.3, 0.0), (0.3, 0.3)])
def test_the_gradient_of_our_own_is_that_of_jax(
    name: str, go_backwards: bool, sequences: bool, rates: tuple[float, float]
) -> None:
    mask = np.array([[1, 1, 0, 1, 0], [0, 0, 1, 1, 1], [1, 1, 1, 1, 1]], bool)
    config = {"go_backwards": go_backwards, "return_sequences": sequences, "zero_output_for_mask": sequences}
    own, of_jax = gradients_both_ways(name, X, mask, dropout=rates[0], recurrent_dropout=rates[1], **config)
    close(own, of_jax)


# From 32 times on the gradient of the weights is added up over the examples.
@pytest.mark.parametrize(
    ("name", "rates", "use_bias"),
    [
        ("SimpleRNN", (0.3, 0.3), True),
        ("LSTM", (0.0, 0.3), False),
        ("LSTM", (0.0, 0.0), True),
        ("GRU", (0.3, 0.3), True),
        ("GRU", (0.0, 0.0), False),
    ],
)
def test_the_gradient_over_many_times_is_that_of_jax(
    name: str, rates: tuple[float, float], use_bias: bool
) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 33, 3)).astype("float32")
    mask = rng.random((2, 33)) < 0.8
    config = {"dropout": rates[0], "recurrent_dropout": rates[1], "use_bias": use_bias}
    own, of_jax = gradients_both_ways(name, x, mask, **config)
    # Gradients of up to 10, of 66 terms.
    close(own, of_jax, 3e-5)


@pytest.mark.parametrize(("name", "rate"), [("LSTM", 0.3), ("LSTM", 0.0), ("GRU", 0.0)])
def test_the_gradient_of_a_walk_written_out_is_that_of_jax(name: str, rate: float) -> None:
    own, of_jax = gradients_both_ways(name, X, None, recurrent_dropout=rate, unroll=True)
    close(own, of_jax)


def gradients_both_ways(name: str, x: Any, mask: Any, **config: Any) -> list[Any]:
    """Return the gradients of all weights and the inputs, as the library takes them and as JAX does."""
    # An activation that the library does not know takes the way of an unknown cell.
    known, unknown = (
        getattr(ours, name)(4, activation=activation, return_state=True, seed=2, **config)
        for activation in ("tanh", lambda x: jnp.tanh(x))
    )
    for layer in (known, unknown):
        layer.build(x.shape)
    weights = weights_of(known)
    state = [v.value for v in known.non_trainable_variables]

    def loss(layer: Any, weights: Any, x: Any) -> Any:
        outputs, _ = layer.stateless_call(weights, state, x, mask=mask, training=True)
        return sum(jnp.sum(jnp.sin((1 + i) * y)) for i, y in enumerate(outputs))

    return [
        jax.grad(lambda w, x, layer=layer: loss(layer, w, x), argnums=(0, 1))(weights, jnp.asarray(x))
        for layer in (known, unknown)
    ]


def weights_of(layer: Any) -> list[Any]:
    return [v.value for v in layer.trainable_variables]


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_gradients_of_gradients_and_of_many_examples(name: str, rate: float) -> None:
    layer = getattr(ours, name)(3, recurrent_dropout=rate, seed=2)
    layer.build(X.shape)
    weights, state = weights_of(layer), [v.value for v in layer.non_trainable_variables]

    def loss(weights: Any, x: Any) -> Any:
        return jnp.sum(layer.stateless_call(weights, state, x, training=rate > 0)[0] ** 2)

    def slope(x: Any) -> Any:
        return jnp.sum(jax.grad(loss, argnums=1)(weights, x) ** 2)

    step = 1e-2 * jnp.asarray(RNG.normal(size=X.shape).astype("float32"))
    exact = jnp.vdot(jax.grad(slope)(jnp.asarray(X)), step)
    np.testing.assert_allclose(exact, (slope(X + step) - slope(X - step)) / 2, rtol=2e-2, atol=1e-5)

    def alone(x: Any) -> Any:
        return jax.grad(loss)(weights, x[None])[0]

    x = jnp.asarray(X)
    close(jax.vmap(alone)(x), jnp.stack([alone(one) for one in x]))


def bodies_of_loops(layer: Any, shape: tuple[int, ...]) -> list[list[str]]:
    """Return the lines of each loop in the compiled gradient of a layer."""
    layer.build(shape)
    weights, state = weights_of(layer), [v.value for v in layer.non_trainable_variables]

    def loss(weights: Any, x: Any) -> Any:
        return jnp.sum(layer.stateless_call(weights, state, x, training=True)[0] ** 2)

    compiled = program(jax.grad(loss, argnums=(0, 1))).lower(weights, jnp.ones(shape)).compile().as_text()
    bodies = dict(re.findall(r"^%([\w.-]+) \(.*?\{\n(.*?)^\}", compiled, re.M | re.S))
    return [bodies[name].splitlines() for name in re.findall(r" while\(.*body=%([\w.-]+)", compiled)]


@pytest.mark.parametrize("rate", [0.0, 0.2])
@pytest.mark.parametrize(
    ("name", "activation"), [("LSTM", "tanh"), ("LSTM", "relu"), ("GRU", "tanh"), ("SimpleRNN", "tanh")]
)
def test_no_turn_of_a_loop_copies_what_is_collected(name: str, activation: str, rate: float) -> None:
    # Such copies make the work grow with the square of the times.
    layer = getattr(ours, name)(8, activation=activation, dropout=rate, recurrent_dropout=rate, seed=2)
    for body in bodies_of_loops(layer, (4, 37, 6)):
        assert not [line for line in body if re.search(r" = \w+\[3[78],[\d,]+\]\S* copy\(", line)]


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the threads of XLA on CPU")
def test_loops_over_time_stay_on_one_thread() -> None:
    # XLA hands the kernels of a turn from thread to thread where there are more than eight: on two cores an LSTM
    # then takes longer than on one.
    layer = ours.LSTM(64, dropout=0.2, recurrent_dropout=0.2, seed=2)
    idle = re.compile(r" (get-tuple-element|constant|parameter|tuple|bitcast)\(")
    kernels = sorted(
        sum(not idle.search(line) for line in body)
        for body in bodies_of_loops(layer, (32, 40, 64))
        if any("dynamic-update-slice" in line for line in body)
    )
    # The walk and its gradient; the third loop is over examples.
    assert kernels[1] <= 8, kernels
