"""Memory that a step gives back stays with the process for the next step.

XLA asks for the working memory of a program when it begins and frees it when it ends. The C library of Linux hands
blocks of that size back to the system every time, and the system clears each page anew when the next step touches
it: 37,000 page faults and 87 of the 340 ms of a step of a small Transformer, 20 of 130 ms of a small convolutional
network. With the settings here a step has none, at the same peak
(``python -m benchmarks steady memory --workloads cnn encoder``).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping

from kerasmagic.foundation.options import switched_off

VARIABLE = "KERASMAGIC_KEEP_MEMORY"
# Blocks from this size on, and free memory beyond it, go back to the system as ever.
LARGEST = 512 * 2**20

# Numbers from <malloc.h>.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8

SetOption = Callable[[int, int], int]


def keep_freed_memory(environment: Mapping[str, str] = os.environ, mallopt: SetOption | None = None) -> bool:
    """Let the C library keep what it would hand back to the system; return whether it does.

    Nothing is changed where the library is not glibc, where the user has settings for it (``MALLOC_...`` or
    ``GLIBC_TUNABLES``), or with ``KERASMAGIC_KEEP_MEMORY=off``.

    Args:
        environment: The environment variables.
        mallopt: What sets an option of the C library; its own when ``None``.

    Example:

    >>> keep_freed_memory({"KERASMAGIC_KEEP_MEMORY": "off"})
    False
    """
    if switched_off(VARIABLE, environment):
        return False
    if any(name == "GLIBC_TUNABLES" or name.startswith("MALLOC_") for name in environment):
        return False
    mallopt = mallopt or _mallopt()
    if mallopt is None:
        return False
    # Other arenas than the first one, which threads get, are too small for the working memory of a step.
    options = ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, LARGEST), (_TRIM_THRESHOLD, LARGEST))
    accepted = [mallopt(option, value) for option, value in options]
    return all(accepted)


def _mallopt() -> SetOption | None:
    """Return the function of that name, if the C library is glibc."""
    try:
        if not (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc"):
            return None
        return ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, ValueError):
        return None
