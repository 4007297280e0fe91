"""Limits on weights: functions that return the nearest allowed array, of the same shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from kerasmagic.core.attribute_config import attribute_config
from kerasmagic.foundation.config import epsilon
from kerasmagic.foundation.registry import CONSTRAINTS

Axes = int | Sequence[int] | None


class Constraint:
    """The base of constraints; a subclass implements ``__call__``.

    Example:

    >>> class Whole(Constraint):
    ...     def __call__(self, w):
    ...         return jnp.round(w)
    >>> Whole()(jnp.array([0.2, 0.9])).tolist()
    [0.0, 1.0]
    """

    def __call__(self, w: Any) -> Any:
        """Return the allowed array nearest to ``w``."""
        return w

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this constraint again, as plain data."""
        return attribute_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a constraint from what ``get_config`` returned."""
        return cls(**config)


class NonNeg(Constraint):
    """Sets negative values to 0.

    >>> NonNeg()(jnp.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __call__(self, w: Any) -> Any:
        return jnp.maximum(jnp.asarray(w), 0)


class MaxNorm(Constraint):
    """Shortens vectors that are longer than ``max_value``.

    Args:
        max_value: The greatest length.
        axis: The axis along which vectors lie, or several: 0 for the inputs of a dense kernel,
            ``[0, 1, 2]`` for those of an image convolution's.

    Example:

    >>> MaxNorm(1.0)(jnp.array([[3.0, 0.0], [4.0, 0.5]])).round(3).tolist()
    [[0.6, 0.0], [0.8, 0.5]]
    """

    def __init__(self, max_value: float = 2, axis: Axes = 0):
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        w = jnp.asarray(w)
        norms = _norms(w, self.axis)
        return _resized(w, norms, jnp.clip(norms, 0, self.max_value))


class UnitNorm(Constraint):
    """Gives all vectors the length 1.

    Args:
        axis: The axis along which vectors lie, or several.

    Example:

    >>> UnitNorm()(jnp.array([[3.0], [4.0]])).round(3).tolist()
    [[0.6], [0.8]]
    """

    def __init__(self, axis: Axes = 0):
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        w = jnp.asarray(w)
        norms = _norms(w, self.axis)
        return w.astype(norms.dtype) / (epsilon() + norms)


class MinMaxNorm(Constraint):
    """Moves the lengths of vectors towards the range from ``min_value`` to ``max_value``.

    Args:
        min_value: The least length.
        max_value: The greatest length.
        rate: How far to go: 1 goes all the way at once.
        axis: The axis along which vectors lie, or several.

    Example:

    >>> MinMaxNorm(0.0, 1.0, rate=0.5)(jnp.array([[3.0], [0.0]])).round(3).tolist()
    [[2.0], [0.0]]
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axes = 0):
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        w = jnp.asarray(w)
        norms = _norms(w, self.axis)
        allowed = jnp.clip(norms, self.min_value, self.max_value)
        return _resized(w, norms, self.rate * allowed + (1 - self.rate) * norms)


def _norms(w: Any, axis: Axes) -> Any:
    axis = tuple(axis) if isinstance(axis, Sequence) else axis
    return jnp.sqrt(jnp.sum(jnp.square(w), axis=axis, keepdims=True))


def _resized(w: Any, norms: Any, desired: Any) -> Any:
    return w.astype(norms.dtype) * (desired / (epsilon() + norms))


CONSTRAINTS.add_all([Constraint, MaxNorm, NonNeg, UnitNorm, MinMaxNorm])
