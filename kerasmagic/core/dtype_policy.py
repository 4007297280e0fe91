"""Dtype policies: in which type a layer keeps its weights and in which it computes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core.dtypes import is_float_dtype, standardize_dtype
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation.config import floatx
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.registry import MODELS

_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


class DTypePolicy:
    """How a layer stores weights (``variable_dtype``) and computes (``compute_dtype``).

    Args:
        name: A type such as ``"float32"``, or ``"mixed_float16"``/``"mixed_bfloat16"``:
            weights in float32, arithmetic in the 16-bit type.

    Raises:
        InvalidArgument: If the name stands for no policy.

    Example:

    >>> policy = DTypePolicy("mixed_bfloat16")
    >>> policy.variable_dtype, policy.compute_dtype
    ('float32', 'bfloat16')
    """

    def __init__(self, name: str | None = None):
        if name is None:
            name = floatx()
        if not isinstance(name, str):
            raise InvalidArgument(f"The name of a dtype policy must be a string. Received: name={name!r}")
        self._name = name
        if name in _MIXED:
            self._variable_dtype, self._compute_dtype = "float32", _MIXED[name]
        else:
            self._variable_dtype = self._compute_dtype = standardize_dtype(name)

    @property
    def name(self) -> str:
        """The policy's name."""
        return self._name

    @property
    def variable_dtype(self) -> str:
        """The type in which weights are stored."""
        return self._variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The type in which the layer computes."""
        return self._compute_dtype

    @property
    def quantization_mode(self) -> str | None:
        """The quantization that the policy asks for, if any."""
        return None

    def convert_input(self, x: Any, autocast: bool, dtype: str) -> Any:
        """Return ``x`` as a tensor; float tensors become ``dtype`` under ``autocast``."""
        target = standardize_dtype(dtype)
        if isinstance(x, KerasTensor):
            if autocast and is_float_dtype(x.dtype) and x.dtype != target:
                return x.with_dtype(target)
            return x
        if isinstance(x, (jax.Array, np.ndarray)) or hasattr(x, "__jax_array__") or hasattr(x, "__array__"):
            return _convert_array(x, autocast, target)
        return x

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this policy again."""
        return {"name": self._name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        """Make a policy from what ``get_config`` returned."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.get_config() == other.get_config()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self._name}">'


def _convert_array(x: Any, autocast: bool, target: str) -> Any:
    if isinstance(x, np.ndarray) and x.dtype.kind in "USO":
        return x
    array = x if isinstance(x, jax.Array) else jnp.asarray(x)
    if autocast and array.dtype != target and jnp.issubdtype(array.dtype, jnp.floating):
        return array.astype(target)
    return array


MODELS.add(DTypePolicy)
_global_policy: DTypePolicy | None = None


def dtype_policy() -> DTypePolicy:
    """Return the policy that layers take when they are given none."""
    return _global_policy or DTypePolicy(floatx())


def set_dtype_policy(policy: Any) -> None:
    """Set the policy that layers take when they are given none.

    Args:
        policy: A policy, its name, or ``None`` for the default.
    """
    global _global_policy
    _global_policy = None if policy is None else get(policy)


def get(identifier: Any) -> DTypePolicy:
    """Return the policy that ``identifier`` stands for: a policy, a name, a config or ``None``.

    Raises:
        InvalidArgument: If it stands for none.

    >>> get("float16").compute_dtype
    'float16'
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return DTypePolicy.from_config(identifier["config"])
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    return DTypePolicy(standardize_dtype(identifier))
