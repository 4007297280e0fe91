"""A model held against what its Python makes under Keras and what its text makes here."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import jax
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(source, "<written>", "exec"), names)
    return next(v for v in reversed(list(names.values())) if isinstance(v, keras.Model))


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
    assert structure(km.define(twice, namespace)) == structure(again) if again._graph else twice == text
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
    expected = model(data, **options)
    same(expected, again(data, **options), 1e-5, 1e-6)
    other = under_keras(model.to_python())
    assert type(other).__name__ == type(model).__name__
    assert [tuple(v.shape) for v in other.weights] == [tuple(v.shape) for v in model.weights]
    hand_over(weights, other)
    same(expected, other(data, **options), 1e-3, 2e-4)
