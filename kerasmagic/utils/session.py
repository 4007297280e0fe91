"""Seeds and names of the running process."""

from __future__ import annotations

import gc
import random

import numpy as np

from kerasmagic.core.random import reset_global_seed
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.naming import reset_names


def set_random_seed(seed: int) -> None:
    """Fix every random draw from here on: initial weights, shuffling, dropout.

    Args:
        seed: A whole number that is not negative.

    Raises:
        InvalidArgument: If it is not.

    >>> import kerasmagic as keras
    >>> keras.utils.set_random_seed(1)
    >>> a = keras.layers.Dense(2)(np.ones((1, 3)))
    >>> keras.utils.set_random_seed(1)
    >>> b = keras.layers.Dense(2)(np.ones((1, 3)))
    >>> bool((a == b).all())
    True
    """
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InvalidArgument(f"`seed` must be a non-negative integer. Received: seed={seed!r}")
    random.seed(int(seed))
    np.random.seed(int(seed) % 2**32)  # noqa: NPY002 - users' own code draws from the global generator
    reset_global_seed()


def clear_session(free_memory: bool = True) -> None:
    """Start names and unseeded draws from the beginning, and free what nobody holds.

    Args:
        free_memory: Whether to collect garbage now.
    """
    reset_names()
    reset_global_seed()
    if free_memory:
        gc.collect()
