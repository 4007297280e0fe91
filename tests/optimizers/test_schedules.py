"""Every schedule against Keras, step by step."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import jax
import numpy as np
import pytest

from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.optimizers import schedules

CASES: list[tuple[str, dict[str, Any]]] = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5}),
    (
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5, "staircase": True},
    ),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5}),
    (
        "InverseTimeDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5, "staircase": True},
    ),
    ("PiecewiseConstantDecay", {"boundaries": [3, 7, 9], "values": [1.0, 0.5, 0.1, 0.01]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 6, "power": 2.0}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 6, "cycle": True}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 8, "alpha": 0.1}),
    (
        "CosineDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 8, "warmup_target": 0.3, "warmup_steps": 4},
    ),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 8, "warmup_target": 0.3}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 3}),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 5, "t_mul": 1.0, "m_mul": 0.5},
    ),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 3, "t_mul": 1.5, "alpha": 0.2},
    ),
]


@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(CASES)])
def test_rates_equal_keras(keras: ModuleType, name: str, options: dict[str, Any]) -> None:
    ours = getattr(schedules, name)(**options)
    theirs = getattr(keras.optimizers.schedules, name)(**options)
    expected = [float(theirs(step)) for step in range(20)]
    assert [float(ours(step)) for step in range(20)] == pytest.approx(expected, rel=2e-5, abs=1e-7)
    assert [float(jax.jit(ours)(step)) for step in range(0, 20, 5)] == pytest.approx(
        expected[::5], rel=2e-5, abs=1e-7
    )
    assert np.asarray(ours(3)).dtype == np.float32


@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(CASES)])
def test_configs_go_to_keras_and_back(keras: ModuleType, name: str, options: dict[str, Any]) -> None:
    ours = getattr(schedules, name)(**options)
    config = schedules.serialize(ours)
    there = keras.optimizers.schedules.deserialize(config)
    assert (
        schedules.deserialize(keras.optimizers.schedules.serialize(there)).get_config() == ours.get_config()
    )
    assert config["module"] == "keras.optimizers.schedules"


def test_impossible_arguments_are_refused() -> None:
    for name in ("ExponentialDecay", "InverseTimeDecay"):
        with pytest.raises(InvalidArgument, match="decay_steps"):
            getattr(schedules, name)(0.1, 0, 0.5)
    with pytest.raises(InvalidArgument, match="decay_steps"):
        schedules.CosineDecay(0.1, -1)
    with pytest.raises(InvalidArgument, match="one value more"):
        schedules.PiecewiseConstantDecay([1], [0.1])
