"""Where a loss that is not finite came from.

After a NaN all weights are soon NaN: what counts is what was before. So a copy of the state from when all
was well is kept, and the last batches; the program of ``inspection`` then shows on which of them which layer
is the first to return something that is not finite.
"""

from __future__ import annotations

import collections
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np

from kerasmagic.training.advice import Culprit
from kerasmagic.training.capture import Place
from kerasmagic.training.inspection import Findings, form_of, ready
from kerasmagic.training.state import TrainState

# Bytes of the state, and of batches, that are worth keeping; and dispatches.
LARGEST = 64 * 2**20
MOST = 16
# The share of a run's time that copies of the state may take.
SHARE = 0.005


class Evidence:
    """The last batches of a run, and its state from when the loss was finite.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.state: TrainState | None = None
        self._clock = clock
        self._dispatches: collections.deque[Any] = collections.deque(maxlen=MOST)
        self._measured = False
        self._copied = -math.inf
        self._took = 0.0

    def keep(self, state: TrainState) -> None:
        """Copy the state unless that is too much or too often; waits for the device."""
        now = self._clock()
        leaves = jax.tree.leaves(state)
        if sum(leaf.nbytes for leaf in leaves) > LARGEST or self._took > SHARE * (now - self._copied):
            return
        self.state = jax.tree.map(lambda leaf: np.array(leaf, copy=True), state)
        self._copied, self._took = now, self._clock() - now

    def remember(self, group: Sequence[Any]) -> None:
        """Keep the batches of dispatches, by reference, in place of the oldest."""
        if not self._measured and group:
            self._measured = True
            size = sum(leaf.nbytes for leaf in jax.tree.leaves(group[-1].held))
            self._dispatches = collections.deque(maxlen=max(1, min(MOST, LARGEST // max(size, 1))))
        self._dispatches.extend(group)

    def taken(self) -> list[Any]:
        """Return the batches, oldest first, and keep nothing any more."""
        dispatches, self._dispatches = self._dispatches, collections.deque(maxlen=1)
        return [ready(one.batch(step)) for one in dispatches for step in range(one.steps)]


def search(state: TrainState, batches: Iterable[Any], programs: Any, grown: str) -> Culprit:
    """Return where a number that is not finite first appears; takes a program for each form of batch.

    Args:
        state: The state from when all was well.
        batches: What was trained on since then, or the last of it.
        programs: An inspector and its compiled program, by the form of a batch.
        grown: The weights that have grown most, where they have.
    """
    leaping = ""
    for batch in batches:
        inspector, program = programs[form_of(batch)]
        findings = jax.device_get(program(state, batch))
        culprit = origin(inspector.layers, inspector.names, findings)
        if culprit is not None:
            return culprit
        leaping = leaping or _leaping(inspector, findings)
    # With the weights of before nothing is wrong with these batches: the weights are.
    name = leaping or grown
    return Culprit("diverged" if name else "unknown", name)


def _leaping(inspector: Any, findings: Findings) -> str:
    """Return the weights that one step moves by more than half their size, most of all; biases begin at 0."""
    kernels = [len(variable.shape) > 1 for variable in inspector.model.trainable_variables]
    updates = np.where(kernels, findings.updates, 0.0)
    return inspector.names[int(np.argmax(updates))] if np.max(updates, initial=0.0) > 0.5 else ""


def origin(layers: Sequence[Place], names: Sequence[str], findings: Findings) -> Culprit | None:
    """Return the first thing of a batch's step that is not finite, in the order of computing; ``None`` if all is.

    Args:
        layers: The outputs that were looked at, in the order in which the layers returned.
        names: The paths of the variables.
        findings: What was found, on the host.
    """
    if not findings.inputs_finite.all():
        return Culprit("input")
    if not findings.weights_finite.all():
        return Culprit("weight", names[int(np.argmin(findings.weights_finite))])
    if not findings.layers.finite.all():
        return Culprit("output", layers[int(np.argmin(findings.layers.finite))].name)
    if not findings.targets_finite.all():
        return Culprit("target")
    if findings.loss is not None and not np.isfinite(findings.loss):
        return Culprit("loss")
    broken = [name for name, finite in zip(names, findings.gradients_finite, strict=False) if not finite]
    # Gradients come from behind: what broke is nearest to the loss.
    return Culprit("gradient", broken[-1]) if broken else None
