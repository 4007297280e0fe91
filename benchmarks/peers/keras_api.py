"""kerasmagic and Keras: the same lines, with one import or the other."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads import SEPARABLE_BLOCKS, VOCABULARY, Workload

os.environ.setdefault("KERAS_BACKEND", "jax")


def make(workload: Workload, library: str, steps_per_execution: int = 1) -> KerasApi:
    """Build and compile the workload's model."""
    return KerasApi(importlib.import_module(library), workload, steps_per_execution)


class KerasApi:
    """A compiled Keras model."""

    def __init__(self, keras: Any, workload: Workload, steps_per_execution: int):
        self.keras = keras
        self.batch = workload.batch
        self.model = getattr(self, workload.name)(keras.layers)
        self.model.compile(
            keras.optimizers.Adam(1e-3),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            **({"steps_per_execution": steps_per_execution} if steps_per_execution > 1 else {}),
        )

    def fit(self, x: np.ndarray, y: np.ndarray, epochs: int) -> float:
        history = self.model.fit(x, y, batch_size=self.batch, epochs=epochs, verbose=0)
        return history.history["loss"][-1]

    def predict(self, x: np.ndarray, batch: int) -> np.ndarray:
        return self.model.predict(x, batch_size=batch, verbose=0)

    def dense_call(self) -> Callable[[], Any]:
        layer, x = self.keras.layers.Dense(64), self.keras.ops.ones((1, 64))
        return lambda: layer(x)

    def mlp(self, layers: Any) -> Any:
        return self.keras.Sequential(
            [
                layers.Input((784,)),
                layers.Dense(128, "relu"),
                layers.Dense(64, "relu"),
                layers.Dense(10),
            ]
        )

    def digits(self, layers: Any) -> Any:
        return self.keras.Sequential([layers.Input((64,)), layers.Dense(64, "relu"), layers.Dense(10)])

    def cnn(self, layers: Any) -> Any:
        return self.keras.Sequential(
            [
                layers.Input((28, 28, 1)),
                layers.Conv2D(32, 3, activation="relu"),
                layers.MaxPooling2D(2),
                layers.Conv2D(64, 3, activation="relu"),
                layers.MaxPooling2D(2),
                layers.Flatten(),
                layers.Dropout(0.5),
                layers.Dense(10),
            ]
        )

    def separable(self, layers: Any) -> Any:
        def normalized(layer: Any) -> list[Any]:
            return [layer, layers.BatchNormalization(), layers.ReLU()]

        model = [
            layers.Input((32, 32, 3)),
            *normalized(layers.Conv2D(32, 3, padding="same", use_bias=False)),
        ]
        for filters, strides in SEPARABLE_BLOCKS:
            model += normalized(layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False))
            model += normalized(layers.Conv2D(filters, 1, use_bias=False))
        return self.keras.Sequential([*model, layers.GlobalAveragePooling2D(), layers.Dense(10)])

    def lstm(self, layers: Any) -> Any:
        return self._of_text(layers, layers.LSTM(64, dropout=0.2, recurrent_dropout=0.2))

    def gru(self, layers: Any) -> Any:
        return self._of_text(layers, layers.GRU(64))

    def _of_text(self, layers: Any, recurrent: Any) -> Any:
        return self.keras.Sequential(
            [
                layers.Input((100,), dtype="int32"),
                layers.Embedding(VOCABULARY, 64),
                recurrent,
                layers.Dense(2),
            ]
        )

    def encoder(self, layers: Any) -> Any:
        tokens = layers.Input((128,), dtype="int32")
        x = _placed(self.keras)(layers.Embedding(VOCABULARY, 128)(tokens))
        for _ in range(2):
            y = layers.MultiHeadAttention(4, 32, dropout=0.1)(x, x)
            x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(0.1)(y))
            y = layers.Dense(128)(layers.Dense(512, "relu")(x))
            x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(0.1)(y))
        x = layers.GlobalAveragePooling1D()(x)
        return self.keras.Model(tokens, layers.Dense(2)(x))


def _placed(keras: Any) -> Any:
    """Return a layer that adds a trained vector to each of 128 places.

    What an `Embedding` gives for plain numbers outside a layer is a constant: not trained, and in no cache of programs.
    """

    class Placed(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.table = keras.layers.Embedding(128, 128)

        def call(self, x: Any) -> Any:
            return x + self.table(keras.ops.arange(128))

    return Placed()
