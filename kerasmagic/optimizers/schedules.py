"""``keras.optimizers.schedules``: learning rates as functions of the step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from kerasmagic.core.attribute_config import attribute_config
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.foundation.config import floatx
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.registry import SCHEDULES


class LearningRateSchedule:
    """A learning rate that depends on the step.

    A subclass implements ``__call__(step)`` with ``jax.numpy``: ``step`` is traced.

    Example:

    >>> class Halving(LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 * 0.5 ** (step // 100)
    >>> Halving()(200)
    0.025
    """

    def __call__(self, step: Any) -> Any:
        """Return the learning rate, shape ``()``, at ``step``, counted from 0."""
        raise NotImplementedError(f"Schedule {type(self).__name__} does not implement `__call__(step)`.")

    # The arguments that are rates, where the rate at any step is proportional to them.
    _rates: ClassVar[tuple[str, ...]] = ()

    def scaled(self, factor: float) -> LearningRateSchedule:
        """Return a schedule whose rate is ``factor`` times that of this one, at every step.

        Those of Keras stay of their class; of any other this is a ``ScaledSchedule``.

        >>> CosineDecay(0.1, decay_steps=10).scaled(0.5).initial_learning_rate
        0.05
        """
        if "_rates" not in vars(type(self)):
            return ScaledSchedule(self, factor)
        config = self.get_config()
        return type(self).from_config(
            {**config, **{name: _times(config[name], factor) for name in self._rates}}
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this schedule again, as plain data."""
        return attribute_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a schedule from what ``get_config`` returned."""
        return cls(**config)


def _times(rate: Any, factor: float) -> Any:
    if isinstance(rate, Sequence):
        return [one * factor for one in rate]
    return None if rate is None else rate * factor


def _positive(name: str, value: float) -> None:
    if value <= 0:
        raise InvalidArgument(f"Argument `{name}` must be > 0. Received: {name}={value}")


def _real(x: Any) -> jax.Array:
    return jnp.asarray(x, jnp.dtype(floatx()))


class ExponentialDecay(LearningRateSchedule):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: After how many steps it has decayed once.
        decay_rate: What it decays to in that time, as a share.
        staircase: Whether it stays the same in between.
        name: Its name.

    Raises:
        InvalidArgument: If ``decay_steps`` is not positive.

    >>> round(float(ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20)), 4)
    0.025
    """

    _rates = ("initial_learning_rate",)

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ):
        _positive("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> jax.Array:
        p = _real(step) / self.decay_steps
        p = jnp.floor(p) if self.staircase else p
        return _real(self.initial_learning_rate) * jnp.power(_real(self.decay_rate), p)


class InverseTimeDecay(LearningRateSchedule):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: How often the decay is applied.
        decay_rate: How strong it is.
        staircase: Whether the rate stays the same in between.
        name: Its name.

    Raises:
        InvalidArgument: If ``decay_steps`` is not positive.

    >>> round(float(InverseTimeDecay(0.1, decay_steps=1, decay_rate=1.0)(1)), 4)
    0.05
    """

    _rates = ("initial_learning_rate",)

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ):
        _positive("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> jax.Array:
        p = _real(step) / self.decay_steps
        p = jnp.floor(p) if self.staircase else p
        return _real(self.initial_learning_rate) / (1.0 + self.decay_rate * p)


class PiecewiseConstantDecay(LearningRateSchedule):
    """One rate up to the first boundary, another up to the second, and so on.

    Args:
        boundaries: Steps, growing; a step on a boundary has the rate before it.
        values: Rates, one more than boundaries.
        name: Its name.

    Raises:
        InvalidArgument: If there is not one value more than there are boundaries.

    >>> schedule = PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.25])
    >>> [float(schedule(step)) for step in (2, 3, 5)]
    [1.0, 0.5, 0.25]
    """

    _rates = ("values",)

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"):
        if len(boundaries) != len(values) - 1:
            raise InvalidArgument(
                "There must be one value more than there are boundaries. "
                f"Received: boundaries={boundaries}, values={values}"
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: Any) -> jax.Array:
        step = jnp.asarray(step)
        boundaries = jnp.asarray(self.boundaries).astype(step.dtype)
        return _real(self.values)[jnp.sum(step > boundaries)]


class PolynomialDecay(LearningRateSchedule):
    """From the initial rate to ``end_learning_rate`` along ``(1 - step / decay_steps) ** power``.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: When the end is reached.
        end_learning_rate: The rate from then on.
        power: 1 for a straight line.
        cycle: Whether it starts again at the end, over a longer stretch each time.
        name: Its name.

    Raises:
        InvalidArgument: If ``decay_steps`` is not positive.

    >>> round(float(PolynomialDecay(0.1, decay_steps=10, end_learning_rate=0.0)(5)), 4)
    0.05
    """

    _rates = ("initial_learning_rate", "end_learning_rate")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ):
        _positive("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: Any) -> jax.Array:
        step, length = _real(step), _real(self.decay_steps)
        if self.cycle:
            length = length * jnp.where(step == 0, 1.0, jnp.ceil(step / self.decay_steps))
        else:
            step = jnp.minimum(step, length)
        end = _real(self.end_learning_rate)
        return (_real(self.initial_learning_rate) - end) * jnp.power(1 - step / length, self.power) + end


class CosineDecay(LearningRateSchedule):
    """Half a cosine wave down from the initial rate, after an optional straight rise.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: How long the wave is.
        alpha: Where it ends, as a share of where it began.
        name: Its name.
        warmup_target: The rate at the end of the rise; no rise when ``None``.
        warmup_steps: How long the rise is.

    Raises:
        InvalidArgument: If ``decay_steps`` is not positive.

    >>> round(float(CosineDecay(0.1, decay_steps=10)(5)), 4)
    0.05
    """

    _rates = ("initial_learning_rate", "warmup_target")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ):
        _positive("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def _decayed(self, step: jax.Array, start: jax.Array) -> jax.Array:
        wave = 0.5 * (1.0 + jnp.cos(math.pi * (step / self.decay_steps)))
        return start * ((1 - self.alpha) * wave + self.alpha)

    def __call__(self, step: Any) -> jax.Array:
        step, initial = _real(step), _real(self.initial_learning_rate)
        if self.warmup_target is None:
            return self._decayed(jnp.minimum(step, self.decay_steps), initial)
        target = _real(self.warmup_target)
        step = jnp.minimum(step, self.decay_steps + self.warmup_steps)
        # A rise of no steps is never taken: any divisor will do.
        rise = (target - initial) * (step / (self.warmup_steps or 1)) + initial
        return jnp.where(step < self.warmup_steps, rise, self._decayed(step - self.warmup_steps, target))


class CosineDecayRestarts(LearningRateSchedule):
    """Half cosine waves down, one after the other.

    Args:
        initial_learning_rate: The rate at step 0.
        first_decay_steps: How long the first wave is.
        t_mul: How many times longer each wave is than the one before.
        m_mul: How many times higher it begins.
        alpha: Where a wave ends, as a share of the initial rate.
        name: Its name.

    Raises:
        InvalidArgument: If ``first_decay_steps`` is not positive.

    >>> schedule = CosineDecayRestarts(0.1, first_decay_steps=10, t_mul=1.0)
    >>> round(float(schedule(9)), 4), round(float(schedule(10)), 4)
    (0.0024, 0.1)
    """

    _rates = ("initial_learning_rate",)

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ):
        _positive("first_decay_steps", first_decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: Any) -> jax.Array:
        done = _real(step) / self.first_decay_steps
        wave, done = self._place(done)
        cosine = 0.5 * jnp.power(_real(self.m_mul), wave) * (1.0 + jnp.cos(math.pi * done))
        return _real(self.initial_learning_rate) * ((1 - self.alpha) * cosine + self.alpha)

    def _place(self, done: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return which wave it is, and which share of it is done, from the length in first waves."""
        if self.t_mul == 1.0:
            return jnp.floor(done), done - jnp.floor(done)
        growth = _real(self.t_mul)
        # Waves before this one are 1 + t + ... + t**(wave - 1) = (1 - t**wave) / (1 - t) long.
        wave = jnp.floor(jnp.log(1.0 - done * (1.0 - growth)) / jnp.log(growth))
        before = (1.0 - jnp.power(growth, wave)) / (1.0 - growth)
        return wave, (done - before) / jnp.power(growth, wave)


class ScaledSchedule(LearningRateSchedule):
    """A schedule times a number: what a change of the rate makes of a schedule while a run is on.

    Args:
        schedule: The schedule.
        factor: What its rate is multiplied by.

    >>> class Halving(LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.5**step
    >>> Halving().scaled(4.0).scaled(0.5)(2)
    0.5
    """

    def __init__(self, schedule: LearningRateSchedule, factor: float):
        self.schedule = schedule
        self.factor = factor

    def __call__(self, step: Any) -> Any:
        return self.schedule(step) * self.factor

    def scaled(self, factor: float) -> LearningRateSchedule:
        """Return this schedule with another factor."""
        return ScaledSchedule(self.schedule, self.factor * factor)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this schedule again, as plain data."""
        return {"schedule": serialize_keras_object(self.schedule), "factor": self.factor}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a schedule from what ``get_config`` returned."""
        return cls(**{**config, "schedule": deserialize_keras_object(config["schedule"])})


SCHEDULES.add_all(
    [
        LearningRateSchedule,
        ExponentialDecay,
        InverseTimeDecay,
        PiecewiseConstantDecay,
        PolynomialDecay,
        CosineDecay,
        CosineDecayRestarts,
        ScaledSchedule,
    ]
)


def serialize(learning_rate_schedule: LearningRateSchedule) -> Any:
    """Return plain data from which ``deserialize`` makes the schedule again."""
    return serialize_keras_object(learning_rate_schedule)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the schedule that plain data stand for.

    Raises:
        UnknownName: If they name no schedule.

    >>> deserialize(serialize(CosineDecay(0.1, 10))).decay_steps
    10
    """
    full = {"module": SCHEDULES.module, "registered_name": None, **config}
    return deserialize_keras_object(full, custom_objects)
