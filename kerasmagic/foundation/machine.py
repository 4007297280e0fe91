"""Memory of this process and what it may use: of the machine, or of the container it runs in."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None

_CGROUPS = Path("/sys/fs/cgroup")
# Version 1 of control groups says "no limit" by a number near the largest one.
_NO_LIMIT = 1 << 60


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes that the process has in memory ``now`` and had at its ``peak``; ``None`` where not known."""

    now: int | None
    peak: int | None


def process_memory() -> Memory:
    """Return what this process holds in the machine's memory.

    Example:

    >>> memory = process_memory()
    >>> memory.peak is None or memory.peak > 10**6
    True
    """
    now = None
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        now = pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        pass
    peak = _peak()
    # The kernel counts the peak in strides: it may lag behind.
    return Memory(now, max(now, peak) if now is not None and peak is not None else peak)


def _peak() -> int | None:
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def memory_limit(root: Path = _CGROUPS, groups: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return how many bytes the process may hold: the container's limit, else the machine's memory.

    Args:
        root: Where control groups are mounted.
        groups: The file that names the process's own group.

    Returns:
        The number of bytes, or ``None`` where neither is known.

    Example:

    >>> limit = memory_limit()
    >>> limit is None or limit > 10**6
    True
    """
    limits = [size for size in (container_limit(root, groups), _physical()) if size is not None]
    return min(limits, default=None)


def container_limit(root: Path = _CGROUPS, groups: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return the least limit on the way from the process's control group to the root, if there is one."""
    found = [root / "memory/memory.limit_in_bytes"]
    for folder in (_own_group(groups), ""):
        place = root / folder
        while place.is_relative_to(root):
            found.append(place / "memory.max")
            place = place.parent
    limits = [size for size in map(_limit, dict.fromkeys(found)) if size is not None]
    return min(limits, default=None)


def _own_group(groups: Path) -> str:
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return ""
    return next((line[3:].strip("/") for line in lines if line.startswith("0::")), "")


def _limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() and int(text) < _NO_LIMIT else None


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
