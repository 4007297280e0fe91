"""Python's operators on symbolic tensors and on variables, as in Keras."""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import kerasmagic

BINARY = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lt", "le", "gt", "ge"]
VALUES = np.array([[-1.5, 2.25, 0.5]], "float32")


def functions() -> dict[str, Callable[[Any], Any]]:
    rows: dict[str, Callable[[Any], Any]] = {
        "neg": operator.neg,
        "abs": abs,
        "round": round,
        "round to a digit": lambda x: round(x, 1),
        "getitem": lambda x: x[:, 1],
    }
    for name in BINARY:
        f = getattr(operator, name)
        rows[name] = lambda x, f=f: f(x, 2.0)
        rows[f"{name} from the right"] = lambda x, f=f: f(2.0, x)
    return rows


@pytest.mark.parametrize("name", functions())
def test_an_operator_is_that_of_keras(keras: ModuleType, name: str) -> None:
    f = functions()[name]
    results = []
    for library in (kerasmagic, keras):
        x = library.Input((3,))
        y = f(x)
        results.append((y.shape, np.asarray(library.Model(x, y)(VALUES))))
    (shape, value), (their_shape, theirs) = results
    assert shape == their_shape
    np.testing.assert_allclose(value, theirs, rtol=1e-6)
    np.testing.assert_allclose(f(kerasmagic.Variable(VALUES)), f(keras.Variable(VALUES)), rtol=1e-6)
