"""What each layer of a model returns, seen from outside: for programs that look at activations.

Every call of a layer is shown to an observer while the model is traced. Layers that run inside another
transformation, such as the cell of a recurrent layer in its loop, have no value outside of it: the layer
around them stands for them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kerasmagic.core import scope, tree
from kerasmagic.training.probes import Places, Summary, sampled, summary

Array = Any


@dataclasses.dataclass(frozen=True)
class Place:
    """A layer's output in a model: its name, unique there, and what is known of it before it is computed.

    ``judges_units`` says whether a unit that is 0 for a whole batch is a dead one: the layer has weights or is
    an activation. ``call`` counts the calls of a layer that is used several times.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    judges_units: bool


class Outputs(NamedTuple):
    """Of ``n`` outputs: histograms, whether all values are finite and the share of zeros, both ``(n,)``.

    ``moments`` are mean and standard deviation ``(n, 2)``; ``alive`` tells for each output of which units are
    judged which of them are not dead ``(units,)``.
    """

    summary: Summary
    finite: Array
    zeros: Array
    moments: Array
    alive: list[Array | None]


@dataclasses.dataclass
class Seen:
    """The outputs that were seen in one trace, in the order in which the layers returned."""

    places: list[Place] = dataclasses.field(default_factory=list)
    outputs: list[Array] = dataclasses.field(default_factory=list)

    def add(self, layer: Any, outputs: Any, root: Any) -> None:
        """Take what ``layer`` returned in a call of the model ``root``; only arrays of numbers count."""
        arrays = [x for x in tree.flatten(outputs) if isinstance(x, jax.Array) and _is_number(x)]
        for number, array in enumerate(arrays):
            name = _name(layer, root) + (f":{number}" if len(arrays) > 1 else "")
            again = sum(
                place.name == name or place.name.startswith(f"{name} (call ") for place in self.places
            )
            name = f"{name} (call {again + 1})" if again else name
            kind = type(layer).__name__
            self.places.append(Place(name, kind, tuple(array.shape), str(array.dtype), _judges_units(layer)))
            self.outputs.append(array)

    def measured(self) -> Outputs:
        """Return the numbers of all outputs, to be computed where the model is traced."""
        arrays = [jax.lax.stop_gradient(output) for output in self.outputs]
        places = Places.of([tuple(array.shape) for array in arrays])
        zeros = [
            jnp.mean(array == 0, dtype=jnp.float32) if array.size else jnp.float32(0) for array in arrays
        ]
        alive = [
            jnp.any(array != 0, axis=tuple(range(array.ndim - 1))) if place.judges_units else None
            for place, array in zip(self.places, arrays, strict=True)
        ]
        moments = [_moments(array) for array in arrays]
        return Outputs(
            summary(sampled(arrays, places), places),
            all_finite(arrays),
            jnp.stack([*zeros, jnp.float32(0)])[:-1],
            jnp.stack([*moments, jnp.zeros(2)])[:-1],
            alive,
        )


@contextlib.contextmanager
def outputs_of_layers(root: Any, wanted: Callable[[Any], bool] = lambda layer: True) -> Iterator[Seen]:
    """See the outputs of the layers that are called in the block, on this level of the trace.

    Args:
        root: The model; itself it is not seen.
        wanted: Which layers.
    """
    seen = Seen()

    def observe(layer: Any, args: Any, kwargs: Any, outputs: Any) -> None:
        if layer is not root and wanted(layer):
            seen.add(layer, outputs, root)

    with observing(observe):
        yield seen


@contextlib.contextmanager
def observing(observer: scope.CallObserver) -> Iterator[None]:
    """Show ``observer`` the calls of layers in the block whose values can be used behind it."""
    # Takes 40 ms to import, and only those who look at activations need it.
    from jax.extend.core import get_opaque_trace_state

    level = get_opaque_trace_state(convention="nnx")

    def observe(*call: Any) -> None:
        if get_opaque_trace_state(convention="nnx") == level:
            observer(*call)

    with scope.observed_calls(observe):
        yield


def all_finite(arrays: Sequence[Array]) -> Array:
    """Return for each of ``n`` arrays whether all its values are finite: ``(n,)``.

    >>> all_finite([jnp.ones(3), jnp.array([1.0, jnp.inf])]).tolist()
    [True, False]
    """
    return jnp.stack([*(jnp.all(jnp.isfinite(array)) for array in arrays), jnp.array(True)])[:-1]


def dead_share(alive: Sequence[Any] | Any) -> float:
    """Return the share of units that are not alive; NaN for none.

    >>> dead_share([True, False, True, True]), dead_share(None)
    (0.25, nan)
    """
    return math.nan if alive is None or not len(alive) else 1.0 - sum(map(bool, alive)) / len(alive)


def _moments(array: Array) -> Array:
    values = array.astype(jnp.float32)
    return jnp.stack([jnp.mean(values), jnp.std(values)]) if array.size else jnp.zeros(2)


def _name(layer: Any, root: Any) -> str:
    """Return the path of a layer below the model, or its name where it has no path."""
    path = layer.path or layer.name
    prefix = f"{root.path or root.name}/"
    return path[len(prefix) :] if path.startswith(prefix) else path


def _is_number(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jnp.number) or jnp.issubdtype(x.dtype, jnp.bool_)


def _judges_units(layer: Any) -> bool:
    activates = hasattr(layer, "activation") or type(layer).__module__.endswith("layers.activations")
    return activates or bool(layer._trainable_variables)
