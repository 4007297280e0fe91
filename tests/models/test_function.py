"""`Function` against Keras: a graph without weights of its own, on arrays and on symbolic tensors."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import kerasmagic


def build(library: Any) -> Any:
    a, b = library.KerasTensor((None, 3), name="a"), library.KerasTensor((None, 3), name="b")
    total = library.ops.add(a, b)
    return library.Function({"a": a, "b": b}, [total, library.ops.sum(total * 2.0, axis=1)], name="total")


def test_it_computes_what_that_of_keras_computes(keras: ModuleType) -> None:
    x = {"a": np.ones((2, 3), "float32"), "b": np.full((2, 3), 2.0, "float32")}
    for library in (kerasmagic, keras):
        function = build(library)
        y, z = function(x)
        assert np.asarray(y).tolist() == [[3.0] * 3] * 2
        assert np.asarray(z).tolist() == [18.0] * 2
        assert [t.shape for t in function.inputs] == [(None, 3)] * 2
        assert [t.shape for t in function.outputs] == [(None, 3), (None,)]
        spec = function({name: library.KerasTensor((5, 3)) for name in "ab"})
        assert [t.shape for t in spec] == [(5, 3), (5,)]
        shapes = function.compute_output_shape({"a": (None, 3), "b": (None, 3)})
        assert [tuple(shape) for shape in shapes] == [(None, 3), (None,)]


def test_what_does_not_come_from_the_inputs_is_refused() -> None:
    a, b = kerasmagic.KerasTensor((2,)), kerasmagic.KerasTensor((2,))
    with pytest.raises(ValueError, match="inputs"):
        kerasmagic.Function(a, b + 1)
