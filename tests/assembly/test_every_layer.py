"""Every row of the layers' table in a model: its text and its Python give the same layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kerasmagic as km
from tests.assembly.agreement import Program, hand_over, reads_back, run, same, under_keras
from tests.layers.case import Case
from tests.layers.cases import CASES, NO_GRAPH_IN_KERAS
from tests.layers.evaluation import Row, ours, quiet

FIRST = {case.layer: case for case in reversed(CASES)}
# Arguments that a layer does not give back, here as in Keras.
APART = {
    "rms_scaling": "an argument of older versions, which is not in the config: nothing can tell that it was given",
}


def model_of(case: Case) -> tuple[Row, Any]:
    """Return a functional model around the layer of a row."""
    row = Row(ours(), case)
    layer = row.make()
    inputs = [km.Input(batch_shape=row._opened(s), dtype=case.dtype) for s in row.sample.shapes]
    args, kwargs = row.sample.structure(inputs)
    with quiet():
        return row, km.Model(inputs, layer(*args, **kwargs, **case.call))


@pytest.mark.parametrize("case", FIRST.values(), ids=lambda case: case.id)
def test_a_layer_reads_back(case):
    with quiet():
        reads_back(model_of(case)[1])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_layer_computes_the_same(case):
    reason = NO_GRAPH_IN_KERAS.get(case.layer)
    reason = reason or next((why for word, why in APART.items() if word in case.config), None)
    if reason is not None:
        pytest.skip(reason)
    row, model = model_of(case)
    for index, variable in enumerate(model.variables):
        variable.assign(row.sample.weight(variable, index))
    weights = [v.numpy() for v in model.weights]
    data = row.sample.inputs if len(row.sample.inputs) > 1 else row.sample.inputs[0]
    with quiet():
        again = reads_back(model)
        again.set_weights(weights)
        other = under_keras(model.to_python())
    assert [tuple(v.shape) for v in other.weights] == [tuple(v.shape) for v in model.weights]
    hand_over(weights, other)
    for variable in (*again.variables, *other.variables):
        if variable.dtype == "uint32":
            # Seeds are no weights, and the rows give all of them this one.
            variable.assign(np.array([1337, 0], "uint32"))
    with quiet():
        program, read = Program(model, data), Program(again, data)
        expected, theirs = run(program, Program(other, data))
    if case.random:
        assert [x.shape for x in theirs] == [x.shape for x in expected]
        theirs = expected
    if not read.is_that_of(program):
        same(expected, *run(read), 1e-5, 1e-6)
    same(expected, theirs, max(1e-3, case.forward), max(2e-4, case.forward))


def test_boundaries_that_were_found_in_data_are_written_without_their_number():
    layer = km.layers.Discretization(num_bins=3)
    layer.adapt(np.arange(12.0))
    inputs = km.Input((2,))
    model = km.Model(inputs, layer(inputs))
    again = reads_back(model)
    data = np.array([[0.0, 5.0], [7.0, 20.0]], "float32")
    np.testing.assert_array_equal(again(data), model(data))
    np.testing.assert_array_equal(under_keras(model.to_python())(data), model(data))
