"""Compiled programs on disk, so that what was compiled once starts at once the next time.

Compiling is most of the time between a cell and its first step. JAX can keep programs in a folder; this chooses
the folder, unless the user or the environment has chosen one, and keeps it from growing without end.
``python -m benchmarks warm`` measures what it is worth.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import jax

from kerasmagic.foundation.options import switched_off

VARIABLE = "KERASMAGIC_COMPILE_CACHE"
LARGEST = 512 * 2**20
DAY = 24 * 3600


def use_compile_cache(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Let JAX keep compiled programs in a folder of the user; return it, or ``None`` where it does not.

    Nothing is changed where JAX has a folder already (``JAX_COMPILATION_CACHE_DIR``), where its cache is
    switched off, or where the folder can't be written. ``KERASMAGIC_COMPILE_CACHE`` names another folder, or
    ``off``.

    Example:

    >>> use_compile_cache({"KERASMAGIC_COMPILE_CACHE": "off"}) is None
    True
    """
    config = jax.config
    chosen = environment.get(VARIABLE)
    if switched_off(VARIABLE, environment):
        return None
    if config.jax_compilation_cache_dir or not config.jax_enable_compilation_cache:  # type: ignore[attr-defined]
        return None
    folder = (Path(chosen) if chosen else default_folder(environment)) / fingerprint()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK | os.X_OK):
        return None
    if _due(folder.parent):
        prune(folder.parent, LARGEST)
    config.update("jax_compilation_cache_dir", str(folder))
    # Most programs of small models compile in less than JAX's usual limits.
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in environment:
        config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    if "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES" not in environment:
        config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder


def default_folder(environment: Mapping[str, str]) -> Path:
    """Return where a program of this system keeps what it can make again.

    >>> default_folder({"XDG_CACHE_HOME": "/caches"}).as_posix()
    '/caches/kerasmagic/programs'
    """
    home = Path(environment.get("HOME") or os.path.expanduser("~"))
    if sys.platform == "darwin":
        base = home / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(environment.get("LOCALAPPDATA", home))
    else:
        base = home / ".cache"
    return Path(environment.get("XDG_CACHE_HOME", base)) / "kerasmagic" / "programs"


def prune(folder: Path, largest: int) -> None:
    """Delete the files that were not used for longest until no more than ``largest`` bytes are left."""
    found: list[tuple[float, int, str]] = []
    for path, _, names in os.walk(folder):
        for name in names:
            # Another process may prune at the same time.
            with contextlib.suppress(OSError):
                status = os.stat(os.path.join(path, name))
                found.append(
                    (max(status.st_atime, status.st_mtime), status.st_size, os.path.join(path, name))
                )
    excess = sum(size for _, size, _ in found) - largest
    for _, size, name in sorted(found):
        if excess <= 0:
            return
        with contextlib.suppress(OSError):
            os.unlink(name)
            excess -= size


def _due(folder: Path) -> bool:
    """Whether nothing looked through ``folder`` for a day, and note that it is done now.

    To ask the system for the size of 4,000 files takes 20 ms, and a day does not fill the folder.
    """
    note = folder / "pruned"
    with contextlib.suppress(OSError):
        if 0 <= time.time() - note.stat().st_mtime < DAY:
            return False
    with contextlib.suppress(OSError):
        note.touch()
    return True


def fingerprint() -> str:
    """Return a name for this kind of machine: homes are shared, and code for one processor may not run on another."""
    told = [platform.machine(), platform.processor()]
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
        told += [line for line in lines if line.startswith(("flags", "Features", "model name"))][:2]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:12]
