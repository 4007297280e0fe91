"""Dtype policies; ``keras.dtype_policies``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasmagic.core.dtype_policy import AWQDTypePolicy as AWQDTypePolicy
from kerasmagic.core.dtype_policy import DTypePolicy as DTypePolicy
from kerasmagic.core.dtype_policy import FloatDTypePolicy as FloatDTypePolicy
from kerasmagic.core.dtype_policy import GPTQDTypePolicy as GPTQDTypePolicy
from kerasmagic.core.dtype_policy import Int4DTypePolicy as Int4DTypePolicy
from kerasmagic.core.dtype_policy import QuantizedDTypePolicy as QuantizedDTypePolicy
from kerasmagic.core.dtype_policy import QuantizedFloat8DTypePolicy as QuantizedFloat8DTypePolicy
from kerasmagic.core.dtype_policy import get as get
from kerasmagic.core.dtype_policy_map import DTypePolicyMap as DTypePolicyMap
from kerasmagic.core.serialization import deserialize_keras_object
from kerasmagic.core.serialization import serialize_keras_object as serialize
from kerasmagic.foundation.registry import POLICIES

__all__ = [
    "AWQDTypePolicy",
    "DTypePolicy",
    "DTypePolicyMap",
    "FloatDTypePolicy",
    "GPTQDTypePolicy",
    "Int4DTypePolicy",
    "QuantizedDTypePolicy",
    "QuantizedFloat8DTypePolicy",
    "deserialize",
    "get",
    "serialize",
]


def deserialize(config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> DTypePolicy:
    """Make a policy from what ``serialize`` returned.

    Args:
        config: Plain data.
        custom_objects: Classes of the user by name.

    Raises:
        UnknownName: If the config names no policy.

    Example:

    >>> deserialize(serialize(QuantizedDTypePolicy("int8", "float32"))).name
    'int8_from_float32'
    """
    full = {"module": POLICIES.module, "registered_name": None, **config}
    return deserialize_keras_object(full, custom_objects)
