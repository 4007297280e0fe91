"""A second program beside the training step that tells more of one batch: gradients, updates, activations.

It computes the gradients of the same loss on a batch that was trained on, and throws the new weights away.
It runs only when someone asks; the training step itself knows nothing of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core import tree
from kerasmagic.core.scope import StatelessScope
from kerasmagic.training import step
from kerasmagic.training.capture import Outputs, Place, Seen, all_finite, dead_share, outputs_of_layers
from kerasmagic.training.data.arrays import standardize, to_device
from kerasmagic.training.data.source import step_parts
from kerasmagic.training.events import LayerSeen
from kerasmagic.training.probes import (
    OnDevice,
    Places,
    Summary,
    histogram_at,
    histograms_of,
    relative_distance,
    sampled,
    summary,
)
from kerasmagic.training.programs import Programs
from kerasmagic.training.state import TrainState

Array = Any


class Findings(NamedTuple):
    """What a batch shows; ``...finite`` tell of every array whether all its values are finite.

    ``gradients`` and ``loss`` are ``None`` for a model with a training step of its own.
    """

    loss: Array | None
    inputs_finite: Array
    targets_finite: Array
    weights_finite: Array
    gradients_finite: Array
    layers: Outputs
    gradients: Summary | None
    updates: Array


@dataclasses.dataclass
class Inspector:
    """The program for batches of one form, compiled once.

    Args:
        model: A compiled, built model.
        names: The paths of its trainable variables.
    """

    model: Any
    names: Sequence[str]
    layers: list[Place] = dataclasses.field(default_factory=list)

    def lowered(self, state: TrainState, batch: Any) -> Any:
        """Return the program for a batch like this one, traced; ``compile()`` on it may run on any thread."""
        return jax.jit(self._inspect).lower(state, ready(batch))

    def view(self, findings: Findings) -> dict[str, Mapping[str, Any]]:
        """Return gradients, updates and layers by name, still on the device."""
        places = Places.of([tuple(v.shape) for v in self.model.trainable_variables])
        sample = Places.of([place.shape for place in self.layers])
        gradients, layers = findings.gradients, [place.name for place in self.layers]
        return {
            "gradients": {} if gradients is None else histograms_of(self.names, places, gradients),
            "updates": OnDevice(self.names, findings.updates, lambda host, place: float(host[place])),
            "layers": OnDevice(layers, findings.layers, lambda host, place: layer_at(host, place, sample)),
        }

    def _inspect(self, state: TrainState, batch: Any) -> Findings:
        custom = type(self.model).train_step is not Programs.train_step
        loss, gradients, layers, new = (_of_custom_step if custom else _of_step)(self, state, batch)
        places = Places.of([value.shape for value in state.trainable])
        owner, count = jnp.asarray(places.owner), len(places.sizes)
        weights = sampled(state.trainable, places)
        updates = relative_distance(sampled(new, places) - weights, weights, owner, count)
        return Findings(
            loss=loss,
            **_finite_parts(batch),
            weights_finite=all_finite(state.trainable),
            gradients_finite=all_finite([] if gradients is None else gradients),
            layers=layers,
            gradients=None if gradients is None else summary(sampled(gradients, places), places),
            updates=updates,
        )

    def note(self, seen: Seen) -> Outputs:
        """Remember which layers there are, and return what is measured of them."""
        self.layers[:] = seen.places
        return seen.measured()


def _of_step(inspector: Inspector, state: TrainState, batch: Any) -> tuple[Any, Any, Any, Any]:
    model, (x, y, weight) = inspector.model, step_parts(batch)

    def loss_of(trainable: list[Array]) -> tuple[Array, Any]:
        with outputs_of_layers(model) as seen:
            scaled, rest = step.loss_and_updates(model, state._replace(trainable=trainable), x, y, weight)
        return scaled, (rest[0], inspector.note(seen))

    (_, (loss, layers)), scaled = jax.value_and_grad(loss_of, has_aux=True)(state.trainable)
    new, _ = model.optimizer.stateless_apply(state.optimizer, scaled, state.trainable)
    with StatelessScope(zip(model.optimizer.variables, state.optimizer, strict=True)):
        scale = model.optimizer.scale_loss(jnp.float32(1.0))
    return loss, [gradient / scale for gradient in scaled], layers, new


def _of_custom_step(inspector: Inspector, state: TrainState, batch: Any) -> tuple[Any, Any, Any, Any]:
    # Where such a step computes gradients, and of what, is its own affair: what it does to the weights is seen.
    model, (x, _, _) = inspector.model, step_parts(batch)
    _, new = model.train_step(tuple(state), batch)
    options = {"training": True} if model._call_has_training else {}
    with outputs_of_layers(model) as seen:
        model.stateless_call(state.trainable, state.non_trainable, x, **options)
    return None, None, inspector.note(seen), new[0]


def _finite_parts(batch: Any) -> dict[str, Array]:
    x, y, _ = step_parts(batch)
    parts = [[leaf for leaf in tree.flatten(part) if leaf is not None] for part in (x, y)]
    return {"inputs_finite": all_finite(parts[0]), "targets_finite": all_finite(parts[1])}


def ready(batch: Any) -> Any:
    """Return a batch as the training step takes it."""
    return to_device(tree.map_structure(standardize, batch))


def form_of(batch: Any) -> Any:
    """Return what must be equal for two batches to run in the same program."""
    leaves, structure = jax.tree.flatten(batch)
    return structure, tuple((tuple(np.shape(leaf)), str(leaf.dtype)) for leaf in leaves)


def layer_at(outputs: Outputs, place: int, sample: Places) -> LayerSeen:
    """Return what a layer returned, from numbers that are on the host."""
    histogram, alive = histogram_at(outputs.summary, place, sample), outputs.alive[place]
    units = 0 if alive is None else len(alive)
    return LayerSeen(histogram, float(outputs.zeros[place]), dead_share(alive), units)
