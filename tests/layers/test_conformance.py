"""Every row of the table against Keras with the same weights and inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from tests.layers.case import Case
from tests.layers.cases import CASES
from tests.layers.evaluation import Row, oracle, ours, plain, quiet


class Pair:
    """A row in both libraries."""

    def __init__(self, case: Case):
        self.case = case
        self.ours = Row(ours(), case)
        self.keras = Row(oracle(), case)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.id)
def every_row(request: pytest.FixtureRequest) -> Pair:
    """Return a row; all checks of it run one after the other and share what it computed."""
    return Pair(request.param)


@pytest.fixture
def row(every_row: Pair, request: pytest.FixtureRequest) -> Pair:
    """Return a row to which the check that asks for it applies."""
    check = request.function.__name__.removeprefix("test_")
    if check in every_row.case.skip:
        pytest.skip(every_row.case.note)
    return every_row


def close(ours: list[Any], theirs: list[Any], tolerance: float, what: str) -> None:
    """Compare lists of arrays, relative to the largest value of each."""
    assert len(ours) == len(theirs), what
    for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape, f"{what} {index}"
        if a.dtype.kind in "biu":
            np.testing.assert_array_equal(a, b, err_msg=f"{what} {index}")
            continue
        scale = max(1.0, float(np.max(np.abs(b), initial=0.0)))
        np.testing.assert_allclose(
            a.astype("float64"),
            b.astype("float64"),
            rtol=tolerance,
            atol=tolerance * scale,
            err_msg=f"{what} {index}",
        )


def rounded(config: Any) -> Any:
    """Return a config with its floats as float32: Keras keeps some numbers, those of regularizers, as tensors."""
    if isinstance(config, dict):
        return {key: rounded(value) for key, value in config.items()}
    if isinstance(config, list):
        return [rounded(value) for value in config]
    return float(np.float32(config)) if isinstance(config, float) else config


def test_config(row: Pair) -> None:
    config = plain(row.ours.config)
    assert rounded(config) == rounded(plain(row.keras.config))
    layer = row.ours.make()
    with quiet():
        again = type(layer).from_config(plain(layer.get_config()))
        loaded = deserialize_keras_object(plain(serialize_keras_object(layer)))
    assert plain(again.get_config()) == config
    assert plain(loaded.get_config()) == config


def test_shape(row: Pair) -> None:
    ours, theirs = row.ours.symbolic[1], row.keras.symbolic[1]
    assert [tuple(y.shape) for y in ours] == [tuple(y.shape) for y in theirs]
    assert [y.dtype for y in ours] == [y.dtype for y in theirs]
    for symbolic, eager in zip(ours, row.ours.result.outputs, strict=True):
        assert str(eager.dtype) == symbolic.dtype
        assert len(symbolic.shape) == eager.ndim
        assert all(d in (None, size) for d, size in zip(symbolic.shape, eager.shape, strict=True))


def test_weights(row: Pair) -> None:
    def describe(layer: Any) -> list[Any]:
        return [(v.name, tuple(v.shape), v.trainable, str(v.dtype)) for v in layer.weights]

    assert describe(row.ours.layer) == describe(row.keras.layer)
    assert [v.path for v in row.ours.layer.weights] == [v.path for v in row.keras.layer.weights]


def test_forward(row: Pair) -> None:
    ours, theirs = row.ours.result, row.keras.result
    if row.case.random:
        for a, b in zip(ours.outputs, theirs.outputs, strict=True):
            assert a.shape == b.shape
            error = 5 * np.sqrt((a.var() + b.var()) / a.size) + 1e-6
            assert abs(a.mean() - b.mean()) <= error
            assert abs(a.std() - b.std()) <= 2 * error
        return
    close(ours.outputs, theirs.outputs, row.case.forward, "output")
    close(ours.state, theirs.state, row.case.forward, "state")
    close([ours.losses], [theirs.losses], row.case.forward, "loss")


def test_gradient(row: Pair) -> None:
    if row.case.random:
        pytest.skip("the masks differ")
    ours, theirs = row.ours.result, row.keras.result
    close(ours.weight_gradients, theirs.weight_gradients, row.case.gradient, "gradient of weight")
    close(ours.input_gradients, theirs.input_gradients, row.case.gradient, "gradient of input")


def test_mask(row: Pair) -> None:
    for a, b in zip(row.ours.result.masks, row.keras.result.masks, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            np.testing.assert_array_equal(a, b)


def test_training(row: Pair) -> None:
    """A step of gradient descent changes what the layer computes."""
    trainable, _ = row.ours.values()
    if not trainable:
        assert not row.keras.layer.trainable_variables
        return
    gradients = row.ours.result.weight_gradients
    # In NumPy: JAX compiles each operation for each shape.
    moved = [np.asarray(w) - np.float32(0.1) * g for w, g in zip(trainable, gradients, strict=True)]
    assert all(np.isfinite(w).all() for w in moved)
    before, after = row.ours.result.outputs, row.ours.run(moved).outputs
    assert any(not np.array_equal(a, b) for a, b in zip(after, before, strict=True))


def test_mixed_precision(row: Pair) -> None:
    mixed = Row(ours(), row.case, dtype="mixed_bfloat16")
    theirs = Row(oracle(), row.case, dtype="mixed_bfloat16")
    outputs = mixed.outputs()
    assert [str(y.dtype) for y in outputs] == [str(y.dtype) for y in theirs.symbolic[1]]
    assert [str(v.dtype) for v in mixed.layer.weights] == [str(v.dtype) for v in theirs.layer.weights]
    if not row.case.random:
        close(outputs, row.ours.result.outputs, 0.1, "output")


@pytest.mark.parametrize(
    "case", {case.layer: case for case in reversed(CASES)}.values(), ids=lambda case: case.layer
)
def test_eager(case: Case) -> None:
    """Outside of a trace a call gives what it gives inside: for the first row of each layer."""
    row = Row(ours(), case)
    if not case.random:
        close(row.eager(), row.outputs(), case.forward, "output")
