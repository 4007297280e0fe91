"""What float16 values may differ by from machine to machine."""

from __future__ import annotations

from typing import Any

import numpy as np


def machine_rounding(expected: Any, growth: float = 1.0) -> float:
    """Return by how much drawn values may differ; nothing for any type but float16.

    A processor that computes with float16 itself rounds a product and a sum together once, all others each of
    them: with JAX such draws differ from machine to machine, ours are the same everywhere.

    Args:
        expected: The values that JAX drew.
        growth: How many times larger an error becomes by what is done with a uniform number.

    Example:

    >>> machine_rounding(np.ones(3, np.float32)), machine_rounding(np.ones(3, np.float16))
    (0.0, 0.0009765625)
    """
    values = np.asarray(expected)
    if values.dtype != np.float16 or not values.size:
        return 0.0
    return growth * 2.0**-10 * float(np.abs(values).max())
