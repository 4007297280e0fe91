"""Penalties on weights and outputs: ``keras.regularizers``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasmagic.core.serialization import resolve, serialize_keras_object
from kerasmagic.foundation.registry import REGULARIZERS, custom_object_scope
from kerasmagic.regularizers.penalties import L1 as L1
from kerasmagic.regularizers.penalties import L1L2 as L1L2
from kerasmagic.regularizers.penalties import L2 as L2
from kerasmagic.regularizers.penalties import OrthogonalRegularizer as OrthogonalRegularizer
from kerasmagic.regularizers.penalties import Regularizer as Regularizer

l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer


def get(identifier: Any) -> Any:
    """Return the regularizer that ``identifier`` stands for.

    Args:
        identifier: A name, a config, a class or a function; ``None`` stands for ``None``.

    Raises:
        UnknownName: If a name stands for nothing.
        InvalidArgument: If it is none of these.

    Example:

    >>> get("l2").l2
    0.01
    """
    return resolve(REGULARIZERS, identifier)


def serialize(regularizer: Any) -> Any:
    """Return plain data from which ``deserialize`` makes the regularizer again.

    >>> serialize(L1(0.5))["config"]
    {'l1': 0.5}
    """
    return serialize_keras_object(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a regularizer from what ``serialize`` returned.

    Raises:
        UnknownName: If the config names no public or registered regularizer.

    >>> deserialize(serialize(L1(0.5))).l1
    0.5
    """
    with custom_object_scope(custom_objects or {}):
        return get(config)
