"""Whether and where choices between ways to compute the same thing are measured and kept.

They are kept in a folder of the user, beside the compiled programs; ``foundation.measured`` makes them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from kerasmagic.core.compile_cache import default_folder, fingerprint
from kerasmagic.foundation import options
from kerasmagic.foundation.measured import choices_folder, keep_choices_in

VARIABLE = "KERASMAGIC_TUNING"


def enable_tuning(folder: str | os.PathLike[str] | None = None) -> None:
    """Measure which way to compute is the fastest on this machine; so it is from the start.

    What is measured is kept and never measured again, so that runs with the same seed give the same numbers.

    Args:
        folder: Where to keep what was measured; a folder in the user's cache when ``None``.
    """
    keep_choices_in(_default(os.environ) if folder is None else Path(folder))


def disable_tuning() -> None:
    """Measure nothing: what is computed, to the last bit, depends on no measured time, past ones included.

    Programs that are compiled already stay as they are. ``KERASMAGIC_TUNING=off`` does this from the start.
    """
    keep_choices_in(None)


def is_tuning_enabled() -> bool:
    """Return whether the fastest way to compute is found by measuring.

    Example:

    >>> disable_tuning()
    >>> is_tuning_enabled()
    False
    """
    return choices_folder() is not None


def start_tuning(environment: Mapping[str, str] = os.environ) -> None:
    """Enable tuning unless the environment says otherwise or output is to be the same on every machine."""
    if options.switched_off(VARIABLE, environment) or options.deterministic():
        return
    keep_choices_in(_default(environment))


def _default(environment: Mapping[str, str]) -> Path:
    # Which way wins depends on how many cores there are as well.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return default_folder(environment).parent / "choices" / f"{fingerprint()}-{cores}"
