"""Python's search for garbage in cycles, and when not to begin one.

Imports and traces make many objects that stay, each of which is looked at again in every search. To import
kerasmagic with JAX takes 0.8 of the time when nothing is searched meanwhile (``python -m benchmarks cold``).
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def no_collection(*, stays: bool = False) -> Iterator[None]:
    """Begin no search for garbage in the block; what is in no cycle is freed at once as ever.

    Where the collector is off already, it stays off.

    Args:
        stays: Whether nearly all that the block makes stays: the first search after it, which comes at once, then
            leaves that for the rare search of all there is.

    Example:

    >>> with no_collection():
    ...     gc.isenabled()
    False
    >>> gc.isenabled()
    True
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if stays and not gc.get_freeze_count():
            # There and back, all objects are among the old ones, and nothing was looked at.
            gc.freeze()
            gc.unfreeze()
        gc.enable()
