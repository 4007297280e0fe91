"""Limits on weights, applied after each update: ``keras.constraints``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasmagic.constraints.projections import Constraint as Constraint
from kerasmagic.constraints.projections import MaxNorm as MaxNorm
from kerasmagic.constraints.projections import MinMaxNorm as MinMaxNorm
from kerasmagic.constraints.projections import NonNeg as NonNeg
from kerasmagic.constraints.projections import UnitNorm as UnitNorm
from kerasmagic.core.serialization import resolve, serialize_keras_object
from kerasmagic.foundation.registry import CONSTRAINTS, custom_object_scope

max_norm = MaxNorm
min_max_norm = MinMaxNorm
non_neg = NonNeg
unit_norm = UnitNorm


def get(identifier: Any) -> Any:
    """Return the constraint that ``identifier`` stands for.

    Args:
        identifier: A name, a config, a class or a function; ``None`` stands for ``None``.

    Raises:
        UnknownName: If a name stands for nothing.
        InvalidArgument: If it is none of these.

    Example:

    >>> get("max_norm").max_value
    2
    """
    return resolve(CONSTRAINTS, identifier)


def serialize(constraint: Any) -> Any:
    """Return plain data from which ``deserialize`` makes the constraint again.

    >>> serialize(UnitNorm(axis=1))["config"]
    {'axis': 1}
    """
    return serialize_keras_object(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a constraint from what ``serialize`` returned.

    Raises:
        UnknownName: If the config names no public or registered constraint.

    >>> deserialize(serialize(MaxNorm(3.0))).max_value
    3.0
    """
    with custom_object_scope(custom_objects or {}):
        return get(config)
