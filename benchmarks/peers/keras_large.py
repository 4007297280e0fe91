"""The large models in kerasmagic and Keras: the same lines, with one import or the other."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

# Blocks of each of ResNet-50's stages.
STAGES = (3, 4, 6, 3)


class KerasLarge:
    """A compiled model with bfloat16 arithmetic and float32 weights.

    Args:
        library: ``"kerasmagic"`` or ``"keras"``.
        name: ``"gpt"`` or ``"resnet50"``.
        size: How large it is, a ``benchmarks.large.Size``.
    """

    def __init__(self, library: str, name: str, size: Any):
        self.keras = importlib.import_module(library)
        self.keras.mixed_precision.set_global_policy("mixed_bfloat16")
        self.model = {"gpt": self._gpt, "resnet50": self._resnet}[name](size)
        self.model.compile(
            self.keras.optimizers.Adam(1e-3),
            self.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def fit(self, x: np.ndarray, y: np.ndarray, batch: int) -> float:
        return self.model.fit(x, y, batch_size=batch, verbose=0).history["loss"][-1]

    def _gpt(self, size: Any) -> Any:
        layers = self.keras.layers
        tokens = layers.Input((size.time,), dtype="int32")
        positions = layers.Embedding(size.time, size.width)(self.keras.ops.arange(size.time))
        x = layers.Embedding(size.vocabulary, size.width)(tokens) + positions
        for _ in range(size.blocks):
            y = layers.LayerNormalization()(x)
            attention = layers.MultiHeadAttention(size.heads, size.width // size.heads)
            x = x + attention(y, y, use_causal_mask=True)
            y = layers.Dense(4 * size.width, "gelu")(layers.LayerNormalization()(x))
            x = x + layers.Dense(size.width)(y)
        x = layers.Dense(size.vocabulary, use_bias=False)(layers.LayerNormalization()(x))
        return self.keras.Model(tokens, layers.Activation("linear", dtype="float32")(x))

    def _resnet(self, size: Any) -> Any:
        layers = self.keras.layers
        images = layers.Input((size.image, size.image, 3))
        x = layers.MaxPooling2D(3, 2, "same")(self._convolved(images, size.filters, 7, 2))
        for stage, blocks in enumerate(STAGES):
            filters = size.filters * 2**stage
            for block in range(blocks):
                x = self._bottleneck(x, filters, 2 if stage and not block else 1, not block)
        x = layers.Dense(size.classes)(layers.GlobalAveragePooling2D()(x))
        return self.keras.Model(images, layers.Activation("linear", dtype="float32")(x))

    def _bottleneck(self, x: Any, filters: int, stride: int, widens: bool) -> Any:
        y = self._convolved(x, filters, 1, 1)
        y = self._convolved(y, filters, 3, stride)
        y = self._convolved(y, 4 * filters, 1, 1, activate=False)
        x = self._convolved(x, 4 * filters, 1, stride, activate=False) if widens else x
        return self.keras.layers.ReLU()(x + y)

    def _convolved(self, x: Any, filters: int, window: int, stride: int, activate: bool = True) -> Any:
        layers = self.keras.layers
        x = layers.Conv2D(filters, window, stride, "same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
        return layers.ReLU()(x) if activate else x
