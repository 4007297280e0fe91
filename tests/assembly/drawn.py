"""Models drawn at random: branches, merges, shared layers, models inside, functions and several outputs."""

from __future__ import annotations

from typing import Any

import kerasmagic as keras
from kerasmagic import layers

SHAPE = (6, 4)
_ACTIVATIONS = [None, "relu", "tanh", "gelu", "softmax"]
_INITIALIZERS = ["glorot_uniform", "he_normal", "zeros"]


def _dense(draw: Choices, units: int = 4) -> Any:
    regularizer = draw.pick([None, keras.regularizers.L2(1e-3), keras.regularizers.L1L2(0.1, 0.2)])
    _NAMES.append(0)
    return layers.Dense(
        units,
        activation=draw.pick(_ACTIVATIONS),
        use_bias=draw.flag(),
        kernel_initializer=draw.pick(_INITIALIZERS),
        kernel_regularizer=regularizer,
        name=draw.pick([None, None, f"dense-{len(_NAMES)}", f"named{len(_NAMES)}"]),
    )


_NAMES: list[int] = []


class Choices:
    """Choices that a list of numbers makes: the same numbers, the same model."""

    def __init__(self, numbers: list[int]):
        self.numbers = list(numbers)

    def integer(self, low: int, high: int) -> int:
        number = self.numbers.pop() if self.numbers else 0
        return low + number % (high - low + 1)

    def pick(self, options: Any) -> Any:
        return options[self.integer(0, len(options) - 1)]

    def flag(self) -> bool:
        return bool(self.integer(0, 1))


def _conv(draw: Choices) -> Any:
    padding = draw.pick(["same", "causal"])
    return layers.Conv1D(4, draw.integer(1, 3), padding=padding, dilation_rate=draw.integer(1, 2))


def _small(draw: Choices) -> Any:
    return draw.pick(
        [
            lambda: layers.BatchNormalization(momentum=0.9),
            lambda: layers.LayerNormalization(epsilon=1e-6),
            lambda: layers.Dropout(0.25, seed=3),
            lambda: layers.Activation("relu"),
            lambda: layers.ReLU(max_value=3.0),
            lambda: layers.Softmax(),
            lambda: layers.UnitNormalization(),
            lambda: layers.LeakyReLU(negative_slope=0.1),
            lambda: layers.MaxPooling1D(3, strides=1, padding="same"),
            lambda: layers.Reshape((4, 6)),
            lambda: layers.Permute((2, 1)),
            lambda: layers.Identity(trainable=False),
        ]
    )()


def _recurrent(draw: Choices) -> Any:
    kind = draw.pick([layers.LSTM, layers.GRU, layers.SimpleRNN])
    inner = kind(2, return_sequences=True, activation=draw.pick(["tanh", "sigmoid"]))
    return layers.Bidirectional(inner, merge_mode=draw.pick(["concat"]))


def _wrapped(draw: Choices) -> Any:
    return layers.TimeDistributed(_dense(draw))


def _model(draw: Choices) -> Any:
    x = inputs = keras.Input(SHAPE)
    for _ in range(draw.integer(1, 2)):
        x = _dense(draw)(x)
    return keras.Model(inputs, x) if draw.flag() else keras.Sequential([keras.Input(SHAPE), _dense(draw)])


def _back(x: Any) -> Any:
    """Bring a tensor back to the shape that all others have."""
    return x if x.shape[1:] == SHAPE else layers.Reshape(SHAPE)(x)


def _merged(draw: Choices, a: Any, b: Any) -> Any:
    kind = draw.integer(0, 7)
    if kind == 0:
        return layers.Dense(4)(layers.Concatenate()([a, b]))
    if kind == 1:
        return layers.MultiHeadAttention(2, 2)(a, b, use_causal_mask=draw.flag())
    if kind == 2:
        return keras.ops.maximum(a, b)
    if kind == 3:
        return layers.Attention(use_scale=draw.flag())([a, b])
    return [layers.Add, layers.Subtract, layers.Multiply, layers.Average][kind - 4]()([a, b])


def _computed(draw: Choices, x: Any) -> Any:
    return draw.pick(
        [
            lambda: x + 1,
            lambda: 2.0 - x,
            lambda: keras.ops.tanh(x),
            lambda: keras.ops.transpose(x, (0, 2, 1)),
            lambda: keras.ops.flip(x, axis=1),
            lambda: keras.ops.softmax(x, axis=1),
        ]
    )()


def model_of(numbers: list[int]) -> Any:
    """Return a functional model whose tensors all have the shape ``(batch, 6, 4)``."""
    draw = Choices(numbers)
    keras.utils.clear_session()
    _NAMES.clear()
    inputs = [keras.Input(SHAPE, name=f"data{i}") for i in range(draw.integer(1, 2))]
    pool = list(inputs)
    made: list[Any] = []
    for _ in range(draw.integer(2, 7)):
        x = draw.pick(pool[-3:])
        kind = draw.integer(0, 8)
        if kind < 6:
            layer = [_dense, _conv, _small, _recurrent, _wrapped, _model][kind](draw)
            made.append(layer)
            pool.append(_back(layer(x)))
        elif kind == 6 and made:
            pool.append(_back(draw.pick(made)(x)))
        elif kind == 7:
            pool.append(_back(_computed(draw, x)))
        else:
            pool.append(_merged(draw, draw.pick(pool), x))
    outputs = pool[-1] if draw.flag() else [pool[-1], pool[-2]]
    used = keras.Model(inputs, outputs)
    if draw.flag():
        used.compile(draw.pick(["adam", "sgd"]), loss="mse", metrics=["mae"])
    return used
