"""A small vocabulary in the shape of Keras, so that the language is tested without the library."""

from __future__ import annotations

from typing import Any

from kerasmagic.foundation.signature import REQUIRED, Parameter
from kerasmagic.language.vocabulary import CallWords, LayerWords, Role, Vocabulary

_ROLES: dict[str, Role] = {
    "activation": "activation",
    "recurrent_activation": "activation",
    "padding": "padding",
    "dtype": "dtype",
    "name": "text",
    "data_format": "text",
    "use_bias": "boolean",
    "return_sequences": "boolean",
    "return_state": "boolean",
    "center": "boolean",
    "trainable": "boolean",
    "same": "boolean",
    "layer": "layer",
    "learning_rate": "schedule",
    "kernel_initializer": "initializer",
    "bias_initializer": "initializer",
    "beta_initializer": "initializer",
    "gamma_initializer": "initializer",
    "kernel_regularizer": "regularizer",
    "bias_regularizer": "regularizer",
    "kernel_constraint": "constraint",
}
_BASE: dict[str, Any] = {"trainable": True, "dtype": None, "name": None}


def _call(
    kind: type, name: str, defaults: dict[str, Any], choices: dict[str, tuple[str, ...]] | None = None
) -> Any:
    parameters = tuple(Parameter(n, default, n not in _BASE, object) for n, default in defaults.items())
    roles = {n: role for n, role in _ROLES.items() if n in defaults}
    return kind(name, parameters, roles, choices or {})


def _layer(name: str, *, choices: dict[str, tuple[str, ...]] | None = None, **defaults: Any) -> LayerWords:
    return _call(LayerWords, name, {**defaults, **_BASE}, choices)


def _conv(rank: int) -> LayerWords:
    paddings = ("valid", "same", "causal") if rank == 1 else ("valid", "same")
    return _layer(
        f"Conv{rank}D",
        choices={"padding": paddings, "data_format": ("channels_last", "channels_first")},
        filters=REQUIRED,
        kernel_size=REQUIRED,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
    )


def _pool(rank: int) -> LayerWords:
    return _layer(f"MaxPooling{rank}D", pool_size=2, strides=None, padding="valid")


_LAYERS = [
    _layer(
        "Dense",
        units=REQUIRED,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
    ),
    *map(_conv, (1, 2, 3)),
    *map(_pool, (1, 2, 3)),
    _layer("Flatten"),
    _layer("Dropout", rate=REQUIRED, seed=None),
    _layer("Activation", activation=REQUIRED),
    _layer("Softmax", axis=-1),
    _layer("ReLU", max_value=None),
    _layer("Reshape", target_shape=REQUIRED),
    _layer(
        "BatchNormalization",
        axis=-1,
        momentum=0.99,
        center=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
    ),
    _layer(
        "LSTM",
        units=REQUIRED,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        dropout=0.0,
        return_sequences=False,
        return_state=False,
    ),
    _layer(
        "Bidirectional",
        choices={"merge_mode": ("sum", "mul", "concat", "ave")},
        layer=REQUIRED,
        merge_mode="concat",
    ),
    _layer("TimeDistributed", layer=REQUIRED),
    _layer("Doubtful", same=False, padding="valid"),
    *map(_layer, ("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average")),
    _layer("Concatenate", axis=-1),
    _layer("Dot", axes=REQUIRED, normalize=False),
]


def _named(*entries: CallWords, **aliases: str) -> dict[str, CallWords]:
    table = {entry.name: entry for entry in entries}
    return {**table, **{alias: table[name] for alias, name in aliases.items()}}


_LOSS = {"from_logits": False, "reduction": "sum"}

VOCABULARY = Vocabulary(
    layers={layer.name: layer for layer in _LAYERS},
    aliases={
        "dense": "Dense",
        "fc": "Dense",
        "bn": "BatchNormalization",
        "drop": "Dropout",
        "bi": "Bidirectional",
        "td": "TimeDistributed",
    },
    generics={
        "conv": {rank: f"Conv{rank}D" for rank in (1, 2, 3)},
        "maxpool": {rank: f"MaxPooling{rank}D" for rank in (1, 2, 3)},
    },
    activations=frozenset({"relu", "tanh", "sigmoid", "softmax", "linear", "silu", "gelu"}),
    initializers=_named(
        _call(CallWords, "GlorotUniform", {"seed": None}),
        _call(CallWords, "HeNormal", {"seed": None}),
        _call(CallWords, "Zeros", {}),
        _call(CallWords, "Ones", {}),
        glorot_uniform="GlorotUniform",
        he_normal="HeNormal",
        zeros="Zeros",
        ones="Ones",
    ),
    regularizers=_named(_call(CallWords, "L1", {"l1": 0.01}), _call(CallWords, "L2", {"l2": 0.01})),
    constraints=_named(_call(CallWords, "NonNeg", {}), non_neg="NonNeg"),
    schedules=_named(
        _call(CallWords, "CosineDecay", {"initial_learning_rate": REQUIRED, "decay_steps": REQUIRED})
    ),
    optimizers=_named(
        _call(CallWords, "Adam", {"learning_rate": 0.001, "beta_1": 0.9, "clipnorm": None}),
        _call(CallWords, "SGD", {"learning_rate": 0.01, "momentum": 0.0}),
    ),
    losses=_named(
        _call(CallWords, "SparseCategoricalCrossentropy", _LOSS),
        _call(CallWords, "MeanSquaredError", {"reduction": "sum"}),
        sparse_categorical_crossentropy="SparseCategoricalCrossentropy",
        mse="MeanSquaredError",
    ),
    metrics=_named(
        _call(CallWords, "Accuracy", {"name": None}),
        _call(CallWords, "MeanAbsoluteError", {}),
        accuracy="Accuracy",
        mae="MeanAbsoluteError",
    ),
    dtypes=frozenset({"float32", "float16", "uint8", "int32", "bool"}),
)
