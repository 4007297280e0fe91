"""Penalties on large or similar weights: functions of an array that return one number, shape ``()``."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp

from kerasmagic.core.attribute_config import attribute_config
from kerasmagic.foundation.config import epsilon
from kerasmagic.foundation.errors import InvalidArgument, NotSerializable, ShapeMismatch
from kerasmagic.foundation.registry import REGULARIZERS
from kerasmagic.foundation.signature import parameters


class Regularizer:
    """The base of regularizers; a subclass implements ``__call__``.

    Example:

    >>> class Spread(Regularizer):
    ...     def __init__(self, factor=0.1):
    ...         self.factor = factor
    ...     def __call__(self, x):
    ...         return self.factor * x.std()
    >>> Spread().get_config()
    {'factor': 0.1}
    """

    def __call__(self, x: Any) -> Any:
        """Return the penalty for an array of any shape."""
        return 0.0

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this regularizer again, as plain data.

        Raises:
            NotSerializable: If a class does not keep its arguments under their names.
        """
        config = attribute_config(self)
        if len(config) < len(parameters(type(self))):
            raise NotSerializable(f"{self} does not implement get_config()")
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a regularizer from what ``get_config`` returned."""
        return cls(**config)


class L1L2(Regularizer):
    """Penalizes ``l1 * sum(abs(x)) + l2 * sum(x ** 2)``.

    Args:
        l1: The weight of the absolute values, at least 0.
        l2: The weight of the squares, at least 0.

    Raises:
        InvalidArgument: If a weight is negative, infinite or no number.

    Example:

    >>> float(L1L2(l1=1.0, l2=0.5)(jnp.array([-1.0, 2.0])))
    5.5
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0):
        self.l1 = _weight("l1", l1, 0.0)
        self.l2 = _weight("l2", l2, 0.0)

    def __call__(self, x: Any) -> Any:
        x = jnp.asarray(x)
        penalty = jnp.zeros((), x.dtype)
        if self.l1:
            penalty += _times(self.l1, jnp.sum(jnp.abs(x)))
        if self.l2:
            penalty += _times(self.l2, jnp.sum(jnp.square(x)))
        return penalty


class L1(Regularizer):
    """Penalizes ``l1 * sum(abs(x))``.

    Args:
        l1: The weight, at least 0.

    Raises:
        InvalidArgument: If it is negative, infinite or no number.

    Example:

    >>> float(L1(0.5)(jnp.array([-1.0, 2.0])))
    1.5
    """

    def __init__(self, l1: float | None = 0.01):
        self.l1 = _weight("l1", l1, 0.01)

    def __call__(self, x: Any) -> Any:
        return _times(self.l1, jnp.sum(jnp.abs(jnp.asarray(x))))


class L2(Regularizer):
    """Penalizes ``l2 * sum(x ** 2)``.

    Args:
        l2: The weight, at least 0.

    Raises:
        InvalidArgument: If it is negative, infinite or no number.

    Example:

    >>> float(L2(0.5)(jnp.array([-1.0, 2.0])))
    2.5
    """

    def __init__(self, l2: float | None = 0.01):
        self.l2 = _weight("l2", l2, 0.01)

    def __call__(self, x: Any) -> Any:
        return _times(self.l2, jnp.sum(jnp.square(jnp.asarray(x))))


class OrthogonalRegularizer(Regularizer):
    """Penalizes rows or columns of a matrix that point in like directions.

    Args:
        factor: The weight of the mean absolute cosine between two of them.
        mode: ``"rows"`` or ``"columns"``.

    Raises:
        InvalidArgument: If an argument is none of these.
        ShapeMismatch: When called on anything but a matrix.

    Example:

    >>> float(OrthogonalRegularizer(0.5)(jnp.array([[1.0, 0.0], [2.0, 0.0]])))
    0.5
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows"):
        self.factor = _weight("factor", factor)
        if mode not in ("rows", "columns"):
            raise InvalidArgument(
                "Invalid value for argument `mode`. Expected one of {'rows', 'columns'}. "
                f"Received: mode={mode}"
            )
        self.mode = mode

    def __call__(self, x: Any) -> Any:
        x = jnp.asarray(x)
        if x.ndim != 2:
            raise ShapeMismatch(
                f"Inputs to OrthogonalRegularizer must have rank 2. Received: inputs.shape={x.shape}"
            )
        vectors = x if self.mode == "rows" else x.T
        # The root of the larger one: the gradient for a vector of zeros is 0 and not NaN.
        squares = jnp.sum(jnp.square(vectors), axis=1, keepdims=True)
        vectors = vectors / jnp.sqrt(jnp.maximum(squares, epsilon() ** 2))
        size = len(vectors)
        cosines = (vectors @ vectors.T) * (1 - jnp.eye(size, dtype=x.dtype))
        pairs = size * (size - 1) / 2
        return self.factor * 0.5 * jnp.sum(jnp.abs(cosines)) / pairs


def _weight(name: str, value: Any, default: float | None = None) -> float:
    value = default if value is None else value
    if not isinstance(value, (float, int)) or not math.isfinite(value) or value < 0:
        raise InvalidArgument(
            f"Invalid value for argument {name}: expected a non-negative float. Received: {name}={value}"
        )
    return float(value)


def _times(weight: float, total: Any) -> Any:
    return jnp.asarray(weight, total.dtype) * total


REGULARIZERS.add(L1L2, "l1_l2")
REGULARIZERS.add_all([Regularizer, L1, L2, OrthogonalRegularizer])
