"""Looks into a model: its weights, what its layers return for a batch, kernels and attention as pictures.

Each is an object with the numbers as attributes, that says itself how a terminal and a notebook show it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core.layer import Layer
from kerasmagic.foundation.errors import InvalidArgument, UnknownName, did_you_mean
from kerasmagic.foundation.views import displayed
from kerasmagic.training.capture import Place, dead_share, observing, outputs_of_layers
from kerasmagic.training.events import Histogram
from kerasmagic.training.inspection import ready
from kerasmagic.training.probes import Places, histogram_at, stride_of

# The values that are looked at of one variable, and of all together.
MOST_VALUES = 1_000_000
MOST_IN_ALL = 50_000_000


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Some values in numbers: the finite ones, the share of zeros, and how many are NaN or infinite.

    Of very many values every ``histogram.stride``-th is looked at.
    """

    name: str
    layer: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    mean: float
    std: float
    low: float
    high: float
    zeros: float
    bad: int
    histogram: Histogram


@dataclasses.dataclass(frozen=True)
class LayerNumbers(Numbers):
    """The outputs of a layer in numbers; ``dead_units`` are the places of its last axis that were always 0.

    ``dead`` is their share, NaN for a layer without units of its own.
    """

    dead: float = math.nan
    dead_units: tuple[int, ...] = ()


class Table(Sequence[Any]):
    """Rows of numbers, also found by name; shows itself as a table.

    Args:
        title: What the rows are of.
        rows: The rows.
    """

    def __init__(self, title: str, rows: Sequence[Numbers]):
        self.title = title
        self.rows = tuple(rows)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the rows."""
        return tuple(row.name for row in self.rows)

    def __getitem__(self, key: Any) -> Any:
        """Return a row by its name or place.

        Raises:
            UnknownName: If no row has the name.
        """
        if not isinstance(key, str):
            return self.rows[key]
        for row in self.rows:
            if row.name == key:
                return row
        raise UnknownName(f"There is no {key!r} among {self.title}.", hint=did_you_mean(key, self.names))

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        heads = [name for name, _ in self.columns(self.rows[0])] if self.rows else []
        cells = [[text for _, text in self.columns(row)] for row in self.rows]
        return "\n".join([self.title, *_aligned([heads, *cells])])

    def columns(self, row: Any) -> list[tuple[str, str]]:
        """Return a row as names of columns and texts."""
        values = [("mean", row.mean), ("std", row.std), ("min", row.low), ("max", row.high)]
        numbers = [(name, f"{value:.3g}") for name, value in values]
        named = [(self.named, row.name), ("shape", str(row.shape))]
        return [*named, *numbers, ("zeros", _percent(row.zeros)), *self._more(row)]

    named = "name"

    def _more(self, row: Any) -> list[tuple[str, str]]:
        return [("not finite", f"{row.bad:,}")] if any(one.bad for one in self.rows) else []


class Weights(Table):
    """The weights of a model or some of its layers; ``weights["dense/kernel"].mean`` is a number."""

    named = "weight"
    _repr_mimebundle_ = displayed("weights")


class Activations(Table):
    """What layers returned for a batch; ``activations["dense"].dead`` is the share of dead units."""

    named = "layer"
    _repr_mimebundle_ = displayed("activations")

    def _more(self, row: Any) -> list[tuple[str, str]]:
        return [("dead units", _percent(row.dead)), *super()._more(row)]


@dataclasses.dataclass(frozen=True, repr=False)
class Kernels:
    """The kernel of a layer as pictures.

    ``tiles`` ``(n, h, w)`` or ``(n, h, w, 3)`` are beside each other in ``columns``; ``count`` are all that there
    are, ``largest`` is the largest absolute weight of those shown.
    """

    layer: str
    shape: tuple[int, ...]
    tiles: np.ndarray
    columns: int
    count: int
    meaning: str

    _repr_mimebundle_ = displayed("kernels")

    @property
    def largest(self) -> float:
        """The largest absolute weight of those shown."""
        return float(np.max(np.abs(self.tiles), initial=0.0, where=np.isfinite(self.tiles)))

    def __repr__(self) -> str:
        shown = f"{len(self.tiles)} of {self.count} shown" if len(self.tiles) < self.count else "all shown"
        return (
            f"Kernel of {self.layer!r} {self.shape}: {self.meaning}, {shown}, "
            f"largest absolute weight {self.largest:.3g}"
        )


@dataclasses.dataclass(frozen=True)
class AttentionMap:
    """Where the heads of a layer look: ``weights (heads, queries, keys)``; each row adds up to 1."""

    name: str
    weights: np.ndarray

    @property
    def entropy(self) -> np.ndarray:
        """How widely each head looks, ``(heads,)``: from 0, one place, to 1, all places alike."""
        w = np.maximum(self.weights.astype(np.float64), 1e-30)
        bits = -(w * np.log(w)).sum(-1).mean(-1)
        return bits / math.log(w.shape[-1]) if w.shape[-1] > 1 else bits


class Attention(Mapping[str, AttentionMap]):
    """The attention of some layers for one sample, by name.

    Args:
        maps: One for each layer and call.
        sample: The place of the sample in its batch.
    """

    _repr_mimebundle_ = displayed("attention")

    def __init__(self, maps: Sequence[AttentionMap], sample: int):
        self.maps = {one.name: one for one in maps}
        self.sample = sample

    def __getitem__(self, name: str) -> AttentionMap:
        return self.maps[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.maps)

    def __len__(self) -> int:
        return len(self.maps)

    def __repr__(self) -> str:
        rows = [["layer", "heads", "queries", "keys", "spread of each head"]]
        for one in self.maps.values():
            spread = " ".join(_percent(float(value)) for value in one.entropy)
            rows.append([one.name, *map(str, one.weights.shape), spread])
        return "\n".join([f"attention of sample {self.sample}", *_aligned(rows)])


def weights(model: Any, layer: Any = None) -> Weights:
    """Return the weights of a model, or of one of its layers, in numbers."""
    owner = model if layer is None else found_layer(model, layer)
    variables = list(owner.weights)
    most = min(MOST_VALUES, max(10_000, MOST_IN_ALL // max(len(variables), 1)))
    owners = {id(v): one for one in model._flatten_layers() for v in one._own_variables()}
    rows = []
    for variable in variables:
        one = owners.get(id(variable))
        rows.append(_weight(variable, "" if one is None else one.name, type(one).__name__, most))
    return Weights(f"weights of {owner.name}", rows)


def _weight(variable: Any, layer: str, kind: str, most: int) -> Numbers:
    value = variable.value
    stride = stride_of(tuple(value.shape), most)
    taken = np.asarray(value.reshape(-1)[::stride]).astype(np.float64)
    finite = taken[np.isfinite(taken)]
    with np.errstate(over="ignore"):
        mean, std = (float(finite.mean()), float(finite.std())) if finite.size else (math.nan, math.nan)
    low, high = float(finite.min(initial=math.inf)), float(finite.max(initial=-math.inf))
    low, high = (low, high) if finite.size else (0.0, 0.0)
    counts = np.histogram(finite, 40, (low, high) if high > low else None)[0] if finite.size else np.zeros(40)
    histogram = Histogram(counts.astype(np.float32), low, high, int(taken.size - finite.size), stride)
    zeros = float(np.mean(taken == 0)) if taken.size else 0.0
    shape, dtype = tuple(variable.shape), str(variable.dtype)
    return Numbers(
        variable.path, layer, kind, shape, dtype, mean, std, low, high, zeros, histogram.bad, histogram
    )


def activations(model: Any, x: Any, layers: Any = None) -> Activations:
    """Return what the layers of a model return for a batch, in numbers; computed as in ``predict``."""
    batch = _prepared(model, x)
    chosen = None if layers is None else {id(found_layer(model, one)) for one in _as_list(layers)}
    places: list[Place] = []

    def program(trainable: Any, fixed: Any, x: Any) -> Any:
        with outputs_of_layers(model, lambda one: chosen is None or id(one) in chosen) as seen:
            model.stateless_call(trainable, fixed, x, **_without_training(model))
        places[:] = seen.places
        return seen.measured()

    outputs = jax.device_get(jax.jit(program)(*_values(model), batch))
    sample = Places.of([place.shape for place in places])
    rows = [_layer_numbers(place, number, outputs, sample) for number, place in enumerate(places)]
    if not rows:
        raise InvalidArgument(
            "None of these layers returned anything that can be looked at. Layers inside a recurrent layer's loop "
            "can't: look at the layer around them."
        )
    return Activations(f"layers of {model.name} on {_size(batch)}", rows)


def _layer_numbers(place: Place, number: int, outputs: Any, sample: Places) -> LayerNumbers:
    histogram = histogram_at(outputs.summary, number, sample)
    alive = outputs.alive[number]
    dead = () if alive is None else tuple(int(unit) for unit in np.flatnonzero(~np.asarray(alive)))
    mean, std = (float(value) for value in outputs.moments[number])
    return LayerNumbers(
        place.name,
        place.name,
        place.kind,
        place.shape,
        place.dtype,
        mean,
        std,
        histogram.low,
        histogram.high,
        float(outputs.zeros[number]),
        histogram.bad,
        histogram,
        dead_share(alive),
        dead,
    )


def attention(model: Any, x: Any, layer: Any = None, sample: int = 0) -> Attention:
    """Return where the attention layers of a model look, for one sample of a batch."""
    batch = _prepared(model, x)
    size = _size_of(batch)
    if not -size <= sample < size:
        raise InvalidArgument(f"There is no sample {sample} in a batch of {size}.")
    chosen = None if layer is None else {id(found_layer(model, one)) for one in _as_list(layer)}
    names: list[str] = []

    def program(trainable: Any, fixed: Any, x: Any) -> Any:
        found: list[Any] = []

        def observe(one: Any, args: Any, kwargs: Any, outputs: Any) -> None:
            tells = "return_attention_scores" in one._call_signature.parameters
            if tells and (chosen is None or id(one) in chosen):
                # Asked again, it tells what it had kept to itself.
                scores = one.call(*args, **{**kwargs, "return_attention_scores": True})[1]
                again = sum(name == one.name or name.startswith(f"{one.name} (call ") for name in names)
                names.append(f"{one.name} (call {again + 1})" if again else one.name)
                found.append(scores[sample])

        names.clear()
        with observing(observe):
            model.stateless_call(trainable, fixed, x, **_without_training(model))
        return found

    maps = jax.device_get(jax.jit(program)(*_values(model), batch))
    if not maps:
        raise InvalidArgument(
            f"{_named(layer)} no attention that can be looked at: there is no layer with `return_attention_scores`."
        )
    return Attention(
        [AttentionMap(name, _heads(scores)) for name, scores in zip(names, maps, strict=True)],
        sample % size,
    )


def _named(layer: Any) -> str:
    return "The model has" if layer is None else f"{getattr(layer, 'name', layer)!r} has"


def _heads(scores: np.ndarray) -> np.ndarray:
    """Return ``(heads, queries, keys)`` of scores with or without heads, over one axis or several."""
    scores = np.asarray(scores, np.float32)
    if scores.ndim == 2:
        return scores[None]
    axes = (scores.ndim - 1) // 2
    queries = math.prod(scores.shape[1 : 1 + axes])
    return scores.reshape(scores.shape[0], queries, -1)


def found_layer(model: Any, layer: Any) -> Any:
    """Return a layer inside a model, given itself, its name or its path.

    Raises:
        UnknownName: If there is none.
        InvalidArgument: If it is not in the model.
    """
    inside = list(model._flatten_layers(include_self=False))
    if isinstance(layer, Layer):
        if layer is model or any(layer is one for one in inside):
            return layer
        raise InvalidArgument(f"Layer {layer.name!r} is not in model {model.name!r}.")
    for one in inside:
        if layer in (one.name, one.path):
            return one
    names = [one.name for one in inside]
    raise UnknownName(f"No layer {layer!r} in {model.name!r}.", hint=did_you_mean(str(layer), names))


def _prepared(model: Any, x: Any) -> Any:
    batch = ready(x)
    model._ensure_built(batch)
    return batch


def _values(model: Any) -> tuple[list[Any], list[Any]]:
    return [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]


def _without_training(model: Any) -> dict[str, Any]:
    return {"training": False} if model._call_has_training else {}


def _size_of(batch: Any) -> int:
    return next((len(leaf) for leaf in jax.tree.leaves(batch) if jnp.ndim(leaf)), 1)


def _size(batch: Any) -> str:
    size = _size_of(batch)
    return f"{size:,} sample" + ("" if size == 1 else "s")


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.1f} %"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines: the first two columns to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
