"""What a seed fixes: the same weights and draws as in Keras."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

import kerasmagic


def drawn(library: Any, seed: int) -> list[Any]:
    library.utils.set_random_seed(seed)
    model = library.Sequential(
        [
            library.Input((3,)),
            library.layers.Dense(2),
            library.layers.Dropout(0.5),
            library.layers.Dense(4, kernel_initializer="he_normal"),
        ]
    )
    values = [v.value for v in model.variables]
    return [np.asarray(x) for x in [*values, library.random.normal((2,)), library.random.uniform((3,))]]


def test_a_seed_gives_the_numbers_of_keras(keras: ModuleType) -> None:
    ours, theirs = drawn(kerasmagic, 7), drawn(keras, 7)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6)
    again, others = drawn(kerasmagic, 7), drawn(kerasmagic, 8)
    assert all((a == b).all() for a, b in zip(ours, again, strict=True))
    assert not any((a == b).all() for a, b in zip(ours, others, strict=True) if a.any())
