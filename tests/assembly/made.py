"""Models of every shape that Keras can draw, each for one thing that is hard to write down."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import kerasmagic as keras
from kerasmagic import layers, ops
from kerasmagic.saving import register_keras_serializable

Input, Model = keras.Input, keras.Model
RATE = 3.0
MAKERS: dict[str, Callable[[], Any]] = {}


def _made(make: Callable[[], Any]) -> Callable[[], Any]:
    MAKERS[make.__name__] = make
    return make


# ---- layers, functions and models of one's own


@register_keras_serializable("mine")
class Scale(layers.Layer):
    def __init__(self, by=2.0, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="kernel")

    def call(self, x):
        return ops.multiply(x, self.by) * self.kernel

    def get_config(self):
        return {**super().get_config(), "by": self.by}


class Pair(layers.Layer):
    """Takes a list and gives a dict."""

    def call(self, pair, scale=1.0):
        a, b = pair
        return {"sum": (a + b) * scale, "difference": a - b}


class Around(layers.Layer):
    """Holds another layer; ``factor`` is an argument of its constructor and of its call."""

    def __init__(self, inner, factor=1, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner
        self.factor = factor

    def call(self, x, other=None, factor=2):
        y = self.inner(x) * factor * self.factor
        return y if other is None else y + other

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner)
        return {**super().get_config(), "inner": inner, "factor": self.factor}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "inner": keras.saving.deserialize_keras_object(config["inner"])})


@register_keras_serializable("mine")
def halve(x):
    return x / 2


class Tower(keras.Model):
    """A model with a ``call`` of its own, which reads a constant and a function."""

    def __init__(self, width, depth=2, **kwargs):
        super().__init__(**kwargs)
        self.width, self.depth = width, depth
        self.steps = [layers.Dense(width, activation="relu") for _ in range(depth)]
        self.scale = Scale(RATE)

    def call(self, x, training=False):
        for step in self.steps:
            x = step(x)
        return halve(self.scale(x))

    def get_config(self):
        return {**super().get_config(), "width": self.width, "depth": self.depth}


# ---- structures of tensors


@_made
def slices():
    x = Input((5, 4))
    y = layers.Dense(3)(x)
    return Model(x, layers.Dense(2)(y[:, 0]) + y[..., -1:][:, 1, :])


@_made
def dict_of_outputs():
    x = Input((4,))
    y = layers.Dense(3)(x)
    return Model(x, {"a": y, "b c": layers.Dense(2)(y)})


@_made
def dict_of_inputs():
    a, b = Input((4,), name="a"), Input((3,), name="b")
    return Model({"a": a, "b": b}, layers.Concatenate()([a, b]))


@_made
def nested_structures():
    a, b, c = Input((4,)), Input((4,)), Input((4,))
    return Model([a, (b, c)], ([layers.Add()([a, b])], {"k": c}))


@_made
def layer_of_a_list_that_gives_a_dict():
    x = Input((4,))
    parts = Pair()([x, Scale(3.0)(x)])
    return Model(x, layers.Add()([parts["sum"], parts["difference"]]))


@_made
def arguments_of_a_call():
    x = Input((4,))
    around = Around(layers.Dense(4), factor=3)
    return Model(x, around(around(x, other=x, factor=5)))


@_made
def states():
    x = Input((5, 3))
    out, h, c = layers.LSTM(4, return_state=True, return_sequences=True)(x)
    y = layers.LSTM(4)(out, initial_state=[h, c])
    return Model(x, [y, layers.GRU(4, reset_after=False)(layers.Masking()(x), training=False), h])


@_made
def attention_with_masks_and_scores():
    q, v, mask = Input((5, 4)), Input((6, 4)), Input((5, 6), dtype="bool", name="mask")
    heads = layers.MultiHeadAttention(2, 2)
    y, scores = heads(q, v, attention_mask=mask, return_attention_scores=True)
    return Model([q, v, mask], [y, scores, heads(q, v, key=v, use_causal_mask=True)])


@_made
def attentions_over_lists():
    a, b = Input((5, 4)), Input((6, 4))
    first = layers.Attention(score_mode="concat")([a, b])
    return Model(
        [a, b],
        [first, layers.Attention()([a, b, b], use_causal_mask=True), layers.AdditiveAttention()([a, a])],
    )


@_made
def one_tensor_several_times():
    x = Input((4,))
    return Model(x, [layers.Add()([x, x]), layers.Add()([x]), layers.Concatenate()([x, x, x]), x])


@_made
def functions():
    x = Input((3,))
    shifted = x + np.array([1, 2, 3], "int32")
    chosen = ops.where(x > 0, x, np.float32(2.5))
    return Model(
        x,
        [
            *(shifted, chosen, ops.clip(x, -np.inf, 1.0), ops.concatenate([x, x[:, ::-1]], axis=-1)),
            *(ops.einsum("ij,kj->ik", x, x), ops.power(2.0, x), x * ops.arange(0, 3)),
        ],
    )


@register_keras_serializable("mine")
def running(total, x):
    return total + x, total * 2


@register_keras_serializable("mine")
def more(x):
    return ops.sum(x) < RATE


@register_keras_serializable("mine")
def raised(x):
    return (x + 1,)


@_made
def functions_of_functions():
    x = Input((4,))
    total, steps = ops.scan(running, x[0], x)
    (raised_x,) = ops.while_loop(more, raised, (ops.abs(x),), maximum_iterations=3)
    doubled = ops.vectorized_map(halve, x)
    return Model(x, [ops.map(halve, x), steps, doubled, raised_x, ops.map(ops.relu, x) + total])


@_made
def functions_of_several_outputs():
    x = Input((6, 4))
    a, _, c = ops.split(x, 3, axis=1)
    return Model(x, [a, c, ops.svd(x)[1], ops.top_k(x, 2)[0]])


# ---- models in models, stacks


@_made
def shared_models():
    x = Input((4,))
    encoder = Model(x, layers.Dense(3)(x), name="encoder")
    head = keras.Sequential([Input((3,)), layers.Dense(2)], name="head")
    a, b = Input((4,)), Input((4,))
    return Model([a, b], layers.Subtract()([head(encoder(a)), head(encoder(b))]))


@_made
def model_of_dicts_inside():
    a, b = Input((4,), name="left"), Input((4,), name="right")
    results = {"sum": layers.Add()([a, b]), "difference": layers.Subtract()([a, b])}
    inner = Model({"left": a, "right": b}, results, name="inner")
    x = Input((4,))
    parts = inner({"left": x, "right": layers.Dense(4)(x)})
    return Model(x, [parts["sum"], parts["difference"]])


@_made
def stack():
    return keras.Sequential([Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(2)], name="nice")


@_made
def stack_of_stacks():
    two = keras.Sequential([layers.Dense(3)], name="two")
    return keras.Sequential(
        [Input((4,)), keras.Sequential([layers.Dense(3), layers.ReLU()]), two, layers.Dense(1)]
    )


@_made
def from_the_middle():
    x = Input((4,))
    y = layers.Dense(3)(x)
    return Model(y, layers.Dense(2)(y))


@_made
def frozen_inside():
    x = Input((4,))
    encoder = Model(x, layers.Dense(3)(x), name="encoder")
    encoder.trainable = False
    y = Input((4,))
    return Model(y, layers.Dense(2)(encoder(y)))


# ---- layers with much to say


@_made
def wrappers():
    x = Input((6, 3))
    cells = layers.StackedRNNCells([layers.GRUCell(2), layers.LSTMCell(3)])
    y = layers.Bidirectional(layers.RNN(cells, return_sequences=True))(x)
    y = layers.TimeDistributed(keras.Sequential([layers.Dense(3), layers.ReLU()]))(y)
    backward = layers.GRU(2, return_sequences=True, go_backwards=True)
    y = layers.Bidirectional(layers.LSTM(2, return_sequences=True), backward_layer=backward)(y)
    return Model(x, layers.RNN(layers.SimpleRNNCell(3))(layers.SpectralNormalization(layers.Dense(3))(y)))


@_made
def objects():
    x = Input((4,))
    first = layers.Dense(
        3,
        kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "uniform", seed=3),
        bias_initializer=keras.initializers.Constant(0.5),
        kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.1, "columns"),
        kernel_constraint=keras.constraints.MinMaxNorm(0.1, 0.9, rate=0.5, axis=0),
        activity_regularizer="l2",
        trainable=False,
        name="odd name",
    )
    y = layers.Dense(2, kernel_initializer=keras.initializers.Identity(gain=2), bias_constraint="non_neg")(
        first(x)
    )
    clipping = {"rmax": 2.0, "rmin": 0.5, "dmax": 5}
    return Model(x, layers.BatchNormalization(renorm=True, renorm_clipping=clipping)(y))


@_made
def policies():
    x = Input((4,))
    y = layers.Dense(2, dtype="mixed_bfloat16")(x)
    return Model(x, layers.Activation("log_softmax")(layers.Dense(4, dtype="float16")(y)))


def _quantize(model, mode):
    with warnings.catch_warnings():
        # An input has nothing to quantize, which is said of every layer like it.
        warnings.simplefilter("ignore")
        model.quantize(mode)


@_made
def eight_bits():
    model = keras.Sequential([Input((8,)), layers.Dense(6, activation="relu"), layers.Dense(2)])
    _quantize(model, "int8")
    return model


@_made
def four_bits():
    x = Input((8,))
    model = Model(x, layers.EinsumDense("ab,bc->ac", output_shape=4)(layers.Dense(6)(x)))
    _quantize(model, "int4")
    return model


@_made
def low_rank():
    x = Input((8,))
    dense = layers.Dense(6)
    model = Model(x, dense(x))
    dense.enable_lora(2)
    return model


@_made
def inputs_of_all_kinds():
    a = Input((4,), batch_size=2, dtype="int32", name="tokens")
    b, c = Input((None, 4), name="b-b"), Input(batch_shape=())
    return Model([a, b, c], [layers.Embedding(9, 4, mask_zero=True)(a), layers.Dense(2)(b), c * 2])


@_made
def functions_of_ones_own():
    x = Input((4,))
    return Model(x, layers.Lambda(halve)(layers.Dense(3, activation=halve)(x)))


@_made
def model_of_ones_own_inside():
    x = Input((4,))
    return Model(x, layers.Dense(2)(Tower(3, name="tower")(x)))


@_made
def compiled_by_name():
    x = Input((4,))
    model = Model(x, {"a": layers.Dense(3, name="a")(x), "b": layers.Dense(1, name="b")(x)})
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100, alpha=0.1)
    model.compile(
        keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True),
        loss={"a": keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), "b": "mse"},
        loss_weights={"a": 1.0, "b": 0.5},
        metrics={"a": ["accuracy", keras.metrics.TopKCategoricalAccuracy(k=2)], "b": ["mae"]},
    )
    return model


@_made
def compiled_by_place():
    x = Input((4,))
    model = Model(x, [layers.Dense(3, name="a")(x), layers.Dense(1, name="b")(x)])
    model.compile(
        keras.optimizers.AdamW(1e-4, weight_decay=0.01, clipnorm=1.0),
        loss=["categorical_crossentropy", keras.losses.Huber(delta=2.0)],
        metrics=[["accuracy"], ["mae", "mse"]],
        weighted_metrics=[["accuracy"], ["mae"]],
        steps_per_execution=3,
    )
    return model
