"""What every initializer is: a function of a shape and a dtype that can say how to make it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core.attribute_config import attribute_config
from kerasmagic.core.dtypes import standardize_dtype
from kerasmagic.foundation.registry import INITIALIZERS


def concrete_dtype(dtype: Any) -> np.dtype:
    """Return the NumPy type of an initial value, bfloat16 included; the default float type for ``None``.

    It is the type a JAX array would have: without ``jax_enable_x64`` none has 64 bits.

    >>> concrete_dtype("float64"), concrete_dtype("bfloat16")
    (dtype('float32'), dtype(bfloat16))
    """
    return jax.dtypes.canonicalize_dtype(jnp.dtype(standardize_dtype(dtype)))


class Initializer:
    """The base of initializers; a subclass implements ``__call__``.

    Example:

    >>> import numpy as np
    >>> class Count(Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    >>> Count()((2, 2), "float32").tolist()
    [[0.0, 1.0], [2.0, 3.0]]
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """Return an array of this shape and dtype; the default float type for ``None``."""
        raise NotImplementedError("Initializer subclasses must implement the `__call__()` method.")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initializer again, as plain data."""
        return attribute_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make an initializer from what ``get_config`` returned."""
        return cls(**config)

    def clone(self) -> Any:
        """Return another initializer of the same config."""
        return type(self).from_config(self.get_config())


INITIALIZERS.add(Initializer)
