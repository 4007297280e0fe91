"""The workloads: what is trained on, and how much of it makes one measurement.

The data is drawn, not read: only its shape and type decide how long a step takes. Labels follow from the inputs,
so that a peer that does not learn shows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

VOCABULARY = 5_000
# Filters and strides of the blocks of the workload "separable".
SEPARABLE_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2))
KERAS_AND_TORCH = ("kerasmagic", "keras", "keras-32-steps", "torch")


@dataclasses.dataclass(frozen=True)
class Workload:
    """A model and the data to train it on.

    Args:
        name: Its key in the tables.
        title: The model in words; every peer builds this.
        batch: The samples in a batch.
        samples: The samples in an epoch.
        epochs: The epochs that are timed, after one that is not.
        classes: The number of labels.
        draw: Gives inputs and integer labels for a number of samples.
        peers: Those that build it; all of them if there are none.
    """

    name: str
    title: str
    batch: int
    samples: int
    epochs: int
    classes: int
    draw: Callable[[np.random.Generator, int, int], tuple[np.ndarray, np.ndarray]]
    peers: tuple[str, ...] = ()

    def data(self, samples: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and labels; ``samples`` differs from that of an epoch where growth is measured."""
        return self.draw(np.random.default_rng(0), samples or self.samples, self.classes)


def _images(*shape: int) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    def draw(rng: np.random.Generator, samples: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, classes, samples)
        centres = rng.normal(size=(classes, *shape))
        inputs = rng.normal(size=(samples, *shape)) + centres[labels]
        return inputs.astype(np.float32), labels.astype(np.int32)

    return draw


def _tokens(time: int) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    def draw(rng: np.random.Generator, samples: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, classes, samples)
        # Each label prefers its own part of the vocabulary.
        low = labels[:, None] * (VOCABULARY // (2 * classes))
        tokens = low + rng.integers(0, VOCABULARY // 2, (samples, time))
        return tokens.astype(np.int32), labels.astype(np.int32)

    return draw


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("mlp", "MLP 784-128-64-10 with ReLU, batch 128", 128, 12_800, 5, 10, _images(784)),
        Workload(
            "cnn",
            "28x28x1, Conv 32 3x3, pool 2, Conv 64 3x3, pool 2, dropout 0.5, Dense 10, batch 128",
            128,
            2_560,
            2,
            10,
            _images(28, 28, 1),
        ),
        Workload(
            "lstm",
            "Embedding 5000x64, LSTM 64 with dropout 0.2 of inputs and state, Dense 2, time 100, batch 32",
            32,
            1_280,
            2,
            2,
            _tokens(100),
        ),
        Workload(
            "encoder",
            "Token and position embedding 128, two blocks of 4-head attention and a 512-wide MLP with dropout 0.1 "
            "and layer normalization, mean over time, Dense 2, time 128, batch 32",
            32,
            320,
            2,
            2,
            _tokens(128),
        ),
        Workload(
            "gru",
            "Embedding 5000x64, GRU 64, Dense 2, time 100, batch 32",
            32,
            1_280,
            10,
            2,
            _tokens(100),
            KERAS_AND_TORCH,
        ),
        Workload("digits", "MLP 64-64-10 with ReLU, batch 32, 1437 samples", 32, 1_437, 20, 10, _images(64)),
        Workload(
            "separable",
            "32x32x3, Conv 32 3x3, four times depthwise 3x3 and Conv 1x1 to 64, 128, 128, 256, all with batch "
            "normalization and ReLU, mean over the image, Dense 10, batch 32",
            32,
            256,
            2,
            10,
            _images(32, 32, 3),
            KERAS_AND_TORCH,
        ),
    )
}
