"""What the numbers of a run say is wrong, in plain words, each with what to do about it.

Pure functions from what was observed to a warning or ``None``; ``Adviser`` remembers the last observations and
gives each warning once. A warning that is wrong is worse than none: each rule wants to see a thing several
times, and far from what happens in a healthy run.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kerasmagic.training.events import Advice

# How often in a row a thing must be seen.
LOOKS = 3
# Between two looks there must be so many steps for "did not move" to mean anything.
STEPS_BETWEEN = 20
# Epochs whose mean is looked at, at the best time and now.
OVERFITTING_EPOCHS = 3
# The seconds over which waiting for data is judged.
SHORTEST_WAIT, LONGEST_WAIT = 5.0, 20.0

Found = Literal["input", "target", "output", "loss", "gradient", "weight", "diverged", "unknown"]


@dataclasses.dataclass(frozen=True)
class Culprit:
    """Where the first number that is not finite was found, and the name of the layer or variable."""

    found: Found
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Look:
    """One look at the weights, on the host: all arrays are ``(n,)``, one entry for each variable.

    Args:
        step: Steps of the run before it.
        names: The paths of the variables.
        kernels: Whether a variable is a matrix or more; what holds for those rarely does for biases.
        largest: The largest absolute value.
        distance: How far it moved since the look before, relative to its size; NaN at the first.
        still: The share of units of which no weight moved; NaN where unknown.
        units: The number of units.
        slopes: The largest absolute gradient, where gradients were looked at.
        dead: The share of units of layers, by name, that were 0 for a whole batch.
    """

    step: int
    names: tuple[str, ...]
    kernels: np.ndarray
    largest: np.ndarray
    distance: np.ndarray
    still: np.ndarray
    units: np.ndarray
    slopes: np.ndarray | None = None
    dead: Mapping[str, tuple[float, int]] = dataclasses.field(default_factory=dict)


def non_finite(value: float, culprit: Culprit | None, step: int) -> Advice:
    """Return the warning about a loss that is NaN or infinite, and where that came from.

    >>> print(non_finite(math.nan, Culprit("output", "scores"), 7).text)
    The loss is NaN: the output of layer 'scores' is the first that is not finite.
    """
    where, remedy = _ORIGINS[culprit.found if culprit else "unknown"]
    where = where.format(name=culprit.name if culprit else "")
    return Advice("non_finite", f"The loss is {_said(value)}: {where}", remedy, step)


_SMALLER_STEPS = "Lower the learning rate, or clip the gradients: `clipnorm=1.0` in the optimizer."

_ORIGINS: dict[Found, tuple[str, str]] = {
    "input": (
        "the inputs of a batch hold NaN or infinite values.",
        "Clean the data: `np.isfinite(x).all()` finds the samples.",
    ),
    "target": (
        "the targets of a batch hold NaN or infinite values.",
        "Clean the data: `np.isfinite(y).all()` finds the samples.",
    ),
    "output": (
        "the output of layer '{name}' is the first that is not finite.",
        f"If it divides, takes a logarithm or a root, keep its input away from 0. {_SMALLER_STEPS}",
    ),
    "loss": (
        "all layers return finite values, but their loss is not finite.",
        "Mind logarithms of 0: leave out the last activation and use `from_logits=True`. Check the targets' range.",
    ),
    "gradient": (
        "layers and loss are finite, but the gradient of '{name}' is not.",
        f"Roots, norms and divisions have no finite slope at 0: add a small number inside. {_SMALLER_STEPS}",
    ),
    "weight": (
        "the weights '{name}' are no longer finite.",
        f"{_SMALLER_STEPS} Then train again: these weights are lost.",
    ),
    "diverged": (
        "the weights have diverged: steps were too large for '{name}'.",
        f"{_SMALLER_STEPS} Then train again: these weights are lost.",
    ),
    "unknown": (
        "where that came from could not be found.",
        f"{_SMALLER_STEPS} Check that the data is finite.",
    ),
}


def exploding_weights(looks: Sequence[Look]) -> Advice | None:
    """Warn of weights that have grown a thousandfold and are large."""
    first, last = looks[0], looks[-1]
    grown = last.kernels & (last.largest > 1e3 * np.maximum(first.largest, 1e-2)) & (first.largest > 0)
    if not grown.any():
        return None
    worst = int(np.argmax(np.where(grown, last.largest / np.maximum(first.largest, 1e-2), 0.0)))
    text = (
        f"The weights {last.names[worst]!r} explode: the largest has grown from "
        f"{_short(first.largest[worst])} to {_short(last.largest[worst])}."
    )
    return Advice("exploding", text, _SMALLER_STEPS, last.step)


def exploding_gradients(looks: Sequence[Look]) -> Advice | None:
    """Warn of gradients that are a thousand times what they were, twice in a row."""
    seen = [look for look in looks if look.slopes is not None]
    if len(seen) < LOOKS + 2:
        return None
    sizes = [float(np.max(look.slopes, initial=0.0)) for look in seen if look.slopes is not None]
    usual = statistics.median(sizes[:-2])
    if not min(sizes[-2:]) > max(1e3 * usual, 1.0):
        return None
    assert seen[-1].slopes is not None
    name = seen[-1].names[int(np.argmax(seen[-1].slopes))]
    text = f"The gradients explode: the largest, of {name!r}, is {_short(sizes[-1])}; it was {_short(usual)}."
    return Advice("exploding", text, _SMALLER_STEPS, seen[-1].step)


def exploding_loss(losses: Sequence[float], step: int) -> Advice | None:
    """Warn of a training loss, one number a moment, that is far above where it began and where it has been."""
    if len(losses) < LOOKS:
        return None
    first, lowest, now = abs(losses[0]), min(losses), min(losses[-2:])
    if not now - lowest > max(10 * first, 10 * abs(lowest), 1.0):
        return None
    text = f"The loss explodes: it began at {_short(losses[0])} and is now {_short(losses[-1])}."
    return Advice("exploding", text, _SMALLER_STEPS, step)


def vanishing(looks: Sequence[Look]) -> Advice | None:
    """Warn of layers that do not learn while others do: hardly any gradient reaches them."""
    names = _at_rest(looks) or _without_slope(looks)
    if not names:
        return None
    text = f"The gradients vanish: {_listed(names)} no longer learn{'s' if len(names) == 1 else ''}."
    remedy = (
        "Check that the outputs depend on them. In a deep network use ReLU or GELU in place of sigmoid and tanh, "
        "normalization layers and skip connections."
    )
    return Advice("vanishing", text, remedy, looks[-1].step)


def _at_rest(looks: Sequence[Look]) -> list[str]:
    recent = [look for look in _spaced(looks) if np.isfinite(look.distance).any()][-LOOKS:]
    if len(recent) < LOOKS:
        return []
    stuck = recent[-1].kernels.copy()
    for look in recent:
        distance = np.nan_to_num(look.distance)
        stuck &= (distance < 1e-6) & (np.max(distance, initial=0.0) > 1e-3)
    return [name for name, is_stuck in zip(recent[-1].names, stuck, strict=True) if is_stuck]


def _without_slope(looks: Sequence[Look]) -> list[str]:
    seen = [look for look in looks if look.slopes is not None][-LOOKS:]
    if len(seen) < LOOKS:
        return []
    flat = seen[-1].kernels.copy()
    for look in seen:
        assert look.slopes is not None
        flat &= look.slopes < 1e-7 * np.max(look.slopes, initial=0.0)
    return [name for name, is_flat in zip(seen[-1].names, flat, strict=True) if is_flat]


def dead_units(looks: Sequence[Look]) -> Advice | None:
    """Warn of units that no longer change, or are 0 for whole batches, in two looks running."""
    recent = _spaced(looks)[-2:]
    found: dict[str, tuple[float, int]] = {}
    if len(recent) == 2:
        shares = np.minimum(*(_stillness(look) for look in recent))
        for name, share, units in zip(recent[-1].names, shares, recent[-1].units, strict=True):
            if share >= 0.3 and units >= 8:
                found[name.rpartition("/")[0] or name] = (float(share), int(units))
    batches = [look.dead for look in looks if look.dead][-2:]
    if len(batches) == 2:
        for name, (share, units) in batches[1].items():
            if units >= 8 and min(share, batches[0].get(name, (0.0, 0))[0]) >= 0.5:
                found.setdefault(name, (share, units))
    if not found:
        return None
    worst = max(found, key=lambda name: found[name][0])
    share, units = found[worst]
    more = f", and many in {_listed([n for n in found if n != worst])}" if len(found) > 1 else ""
    text = f"{worst!r} has dead units: about {round(100 * share)} % of {units} do nothing any more{more}."
    remedy = (
        "Lower the learning rate and start again, or use LeakyReLU or GELU in place of ReLU; "
        "`kernel_initializer='he_normal'` and inputs of mean 0 help too."
    )
    return Advice("dead_units", text, remedy, looks[-1].step)


def _stillness(look: Look) -> np.ndarray:
    # Where the whole variable hardly moves, a unit's rest says nothing about the unit.
    return np.where(look.kernels & (np.nan_to_num(look.distance) > 1e-4), np.nan_to_num(look.still), 0.0)


def overfitting(training: Sequence[float], validation: Sequence[float], step: int) -> Advice | None:
    """Warn of a validation loss that rises for epochs while the training loss falls.

    Args:
        training: The training loss, one number an epoch.
        validation: The validation loss of the same epochs.
        step: Steps so far.
    """
    width = OVERFITTING_EPOCHS
    if len(validation) < 2 * width or not np.isfinite([*training, *validation]).all():
        return None
    values = np.asarray(validation)
    means = np.convolve(values, np.full(width, 1 / width), "valid")
    lowest = int(np.argmin(means))
    if lowest + width > len(means) - 1:
        return None
    now = min(means[-2:])
    # How much the curve jumps when nothing is wrong: by its bends, which neither falling nor rising has.
    noise = math.sqrt(float(np.mean(np.diff(values, 2)[-20:] ** 2)) / 6)
    # Six times the error of a difference of two such means: there are many that could be compared.
    risen = now - means[lowest] > max(0.03 * abs(means[lowest]), 6 * noise * math.sqrt(2 / width))
    best = lowest + int(np.argmin(values[lowest : lowest + width]))
    earlier, later = np.mean(training[lowest : lowest + width]), np.mean(training[-width:])
    if not (risen and values[-1] > values[best] and later < earlier - 0.02 * abs(earlier)):
        return None
    text = (
        f"The model overfits: the validation loss rises since epoch {best + 1}, from {_short(values[best])} to "
        f"{_short(validation[-1])}, while the training loss falls."
    )
    remedy = (
        "Stop here and keep the best weights: `EarlyStopping(restore_best_weights=True)`. "
        "More data, augmentation, dropout, weight decay or a smaller model help."
    )
    return Advice("overfitting", text, remedy, step)


def stalled(waited: float, elapsed: float, step: int) -> Advice | None:
    """Warn of a device that waits for data.

    Args:
        waited: Seconds without work for want of the next batch.
        elapsed: Seconds of training, without compiling.
        step: Steps so far.
    """
    if elapsed < SHORTEST_WAIT or step < 10 or waited < 0.4 * elapsed:
        return None
    text = f"The input pipeline is too slow: {round(100 * waited / elapsed)} % of the time goes into waiting for data."
    remedy = (
        "Load and prepare data ahead of time or in several workers (`PyDataset(workers=4)`), keep it in memory, "
        "or make batches larger."
    )
    return Advice("stalled", text, remedy, step)


class Adviser:
    """Remembers what was observed of a run and gives each warning once.

    Example:

    >>> adviser = Adviser()
    >>> for epoch, loss in enumerate([0.9, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3]):
    ...     for advice in adviser.epoch_ended({"loss": 1 - epoch / 10, "val_loss": loss}, 100 * epoch):
    ...         print(advice.cause, advice.step)
    overfitting 600
    """

    def __init__(self) -> None:
        self.given: set[str] = set()
        self._first: Look | None = None
        self._looks: list[Look] = []
        self._losses: list[float] = []
        self._epochs: list[tuple[float, float]] = []
        self._waits: list[tuple[float, float]] = []

    @property
    def grown(self) -> str:
        """The weights that have grown most since the first look, if they have grown tenfold."""
        if self._first is None or len(self._looks) < 2:
            return ""
        largest = np.max([look.largest for look in self._looks], axis=0)
        growth = np.where(self._first.kernels, largest / np.maximum(self._first.largest, 1e-2), 0.0)
        return self._first.names[int(np.argmax(growth))] if np.max(growth, initial=0.0) > 10 else ""

    def looked(self, look: Look) -> list[Advice]:
        """Take a look at the weights into account."""
        if self._looks and self._looks[-1].names != look.names:
            self._looks, self._first = [], None
        self._first = self._first or look
        self._looks = [*self._looks, look][-4 * LOOKS :]
        rules: tuple[Callable[[Sequence[Look]], Advice | None], ...] = (
            lambda looks: exploding_weights([self._first or look, *looks]),
            exploding_gradients,
            vanishing,
            dead_units,
        )
        return self._new(*(rule(self._looks) for rule in rules))

    def lost(self, loss: float, step: int) -> list[Advice]:
        """Take the running training loss, a finite number, into account."""
        # The first number stays: what came later is far from it, or not.
        self._losses = [*self._losses[:1], *self._losses[1:][-50:], loss]
        return self._new(exploding_loss(self._losses, step))

    def epoch_ended(self, logs: Mapping[str, Any], step: int) -> list[Advice]:
        """Take the numbers of an epoch into account."""
        if "loss" not in logs or "val_loss" not in logs or "overfitting" in self.given:
            return []
        self._epochs = [*self._epochs[-500:], (float(logs["loss"]), float(logs["val_loss"]))]
        training, validation = zip(*self._epochs, strict=True)
        return self._new(overfitting(training, validation, step))

    def waited(self, waited: float, elapsed: float, step: int) -> list[Advice]:
        """Take into account how long the device had nothing to do."""
        # The last while counts: a run begins slowly, and what was slow may have become quick.
        self._waits = [*(one for one in self._waits if elapsed - one[0] <= LONGEST_WAIT), (elapsed, waited)]
        begin, before = self._waits[0]
        return self._new(stalled(waited - before, elapsed - begin, step))

    def not_finite(self, value: float, culprit: Culprit | None, step: int) -> list[Advice]:
        """Take into account that the loss is no number any more."""
        return self._new(non_finite(value, culprit, step))

    def _new(self, *found: Advice | None) -> list[Advice]:
        new: list[Advice] = []
        for advice in found:
            # A loss that is no number explains all that is wrong with the weights after it.
            if advice is not None and not {advice.cause, "non_finite"} & self.given:
                self.given.add(advice.cause)
                new.append(advice)
        return new


def _spaced(looks: Sequence[Look]) -> list[Look]:
    """Return the looks between which and the one before lie enough steps."""
    return [now for before, now in itertools.pairwise(looks) if now.step - before.step >= STEPS_BETWEEN]


def _listed(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(map(repr, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _short(value: float) -> str:
    return f"{value:.3g}"


def _said(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite"
