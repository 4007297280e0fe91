"""A model held against what its Python makes under Keras and what its text makes here."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any
from unittest import mock

import jax
import jax.extend
import numpy as np

import kerasmagic as km
from tests.assembly.structures import structure


def rewritten(model: Any) -> str:
    """Return the text that is made from the graph, not the one that defined it."""
    model.__dict__.pop("_definition", None)
    return model.to_text()


def under_keras(source: str) -> Any:
    """Run Python that ``to_python`` wrote under Keras; return its model."""
    import keras

    names: dict[str, Any] = {"__name__": "written"}
    with warnings.catch_warnings(), no_weights_drawn():
        warnings.simplefilter("ignore")
        exec(compile(source, "<written>", "exec"), names)
    return next(v for v in reversed(list(names.values())) if isinstance(v, keras.Model))


@contextlib.contextmanager
def no_weights_drawn() -> Iterator[None]:
    """Let Keras begin with zeros: it compiles a program for each shape it draws, and the weights are given anyway."""
    from keras.src.backend.jax.core import JaxVariable

    def zeros(self: Any, initializer: Any) -> None:
        del initializer
        self._initialize(np.zeros(self._validate_shape(self._shape), jax.numpy.dtype(self._dtype)))

    with mock.patch.object(JaxVariable, "_initialize_with_initializer", zeros):
        yield


class Program:
    """What a model does with data, as one program: its operations compiled one by one take far longer."""

    def __init__(self, model: Any, data: Any, **options: Any):
        self.values = [
            [np.asarray(v.value) if v.dtype == "uint32" else v.value for v in group]
            for group in (model.trainable_variables, model.non_trainable_variables)
        ]
        self.data = data
        self.traced = jax.jit(lambda *given: model.stateless_call(*given, **options)[0]).trace(
            *self.values, data
        )

    def is_that_of(self, other: Program) -> bool:
        """Say whether two programs have the same operations on the same constants."""
        mine, theirs = (re.sub(r" at 0x[0-9a-f]+", "", str(p.traced.jaxpr.jaxpr)) for p in (self, other))
        constants = zip(self.traced.jaxpr.consts, other.traced.jaxpr.consts, strict=False)
        return mine == theirs and all(np.array_equal(a, b) for a, b in constants)


def run(*programs: Program) -> list[list[Any]]:
    """Return the outputs of some programs, which are compiled as one."""
    functions = [jax.extend.core.jaxpr_as_fun(program.traced.jaxpr) for program in programs]
    given = [jax.tree.leaves((program.values, program.data)) for program in programs]
    return jax.jit(lambda *every: [f(*own) for f, own in zip(functions, every, strict=True)])(*given)


def fill(model: Any) -> None:
    """Draw the weights of a model, positive ones: there are variances among them."""
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if "float" in variable.dtype:
            variable.assign(np.abs(rng.normal(0, 0.3, variable.shape)).astype(variable.dtype))


def data_for(model: Any, high: int = 4) -> Any:
    """Return inputs in the structure that a model takes; open sizes are small."""
    rng = np.random.default_rng(1)

    def one(x: Any) -> Any:
        shape = tuple(2 if i == 0 and d is None else d or 5 for i, d in enumerate(x.shape))
        if x.dtype == "bool":
            return rng.random(shape) < 0.6
        made = rng.integers(0, high, shape) if "int" in x.dtype else rng.normal(size=shape)
        return np.asarray(made, dtype=jax.numpy.dtype(x.dtype))

    given = model._graph.inputs_struct
    return km.tree.map_structure(one, given[0] if isinstance(given, list) and len(given) == 1 else given)


def reads_back(model: Any, namespace: Mapping[str, Any] | None = None) -> Any:
    """Hold a model against the one that its text defines, and return that one."""
    text = rewritten(model)
    again = km.define(text, namespace)
    assert type(again) is type(model)
    if model._graph is not None:
        assert structure(again) == structure(model)
        assert again.output_shape == model.output_shape
    twice = rewritten(again)
    if twice != text:
        assert again._graph is not None
        assert structure(km.define(twice, namespace)) == structure(again)
    return again


def hand_over(weights: list[Any], other: Any) -> None:
    """Set the weights of a model under Keras."""
    other.set_weights(weights)
    for layer in other._flatten_layers():
        if hasattr(layer, "finalize_state"):
            # Keras' Normalization goes on with the weights it was built with until it is told.
            layer.finalize_state()


def same(ours: Any, theirs: Any, rtol: float, atol: float) -> None:
    """Compare two structures of arrays."""
    a, b = (km.tree.flatten(x) for x in (ours, theirs))
    assert len(a) == len(b)
    for mine, other in zip(a, b, strict=True):
        left, right = (np.asarray(x) for x in (mine, other))
        assert left.shape == right.shape
        kind = "complex64" if left.dtype.kind == "c" else "float32"
        np.testing.assert_allclose(left.astype(kind), right.astype(kind), rtol=rtol, atol=atol)


def agree(model: Any, namespace: Mapping[str, Any] | None = None, data: Any = None, **options: Any) -> None:
    """Hold what a model computes against what its text and its Python compute, with the same weights."""
    fill(model)
    data = data_for(model) if data is None else data
    weights = [v.numpy() for v in model.weights]
    again = reads_back(model, namespace)
    again.set_weights(weights)
    program, read = Program(model, data, **options), Program(again, data, **options)
    other = under_keras(model.to_python())
    assert type(other).__name__ == type(model).__name__
    assert [tuple(v.shape) for v in other.weights] == [tuple(v.shape) for v in model.weights]
    hand_over(weights, other)
    expected, theirs = run(program, Program(other, data, **options))
    same(expected, theirs, 1e-3, 2e-4)
    if not read.is_that_of(program):
        same(expected, *run(read), 1e-5, 1e-6)
