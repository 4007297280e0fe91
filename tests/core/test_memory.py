"""Memory that is freed stays with the process, and only where nobody has said otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kerasmagic.core.memory import keep_freed_memory

GLIBC = sys.platform == "linux" and (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")


@pytest.mark.parametrize(
    ("environment", "kept"),
    [
        ({}, True),
        ({"KERASMAGIC_KEEP_MEMORY": "on"}, True),
        ({"KERASMAGIC_KEEP_MEMORY": "Off"}, False),
        ({"MALLOC_ARENA_MAX": "4"}, False),
        ({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}, False),
    ],
)
def test_the_environment_decides(environment: dict[str, str], kept: bool) -> None:
    set_options: list[tuple[int, int]] = []
    assert keep_freed_memory(environment, lambda *option: set_options.append(option) or 1) is kept
    assert bool(set_options) is kept


def test_says_if_an_option_is_refused() -> None:
    assert not keep_freed_memory({}, lambda option, value: int(option != -3))


@pytest.mark.skipif(not GLIBC, reason="another C library")
@pytest.mark.parametrize("setting", ["on", "off"])
def test_a_block_is_not_cleared_again(setting: str) -> None:
    """A block of 64 MB that is freed and asked for again costs no page faults, on any thread."""
    code = """
import resource, threading, numpy as np
import kerasmagic
faults = []
def use():
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        np.empty(64 * 2**20, np.uint8).fill(1)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
thread = threading.Thread(target=use)
thread.start()
thread.join()
print(faults[-1])
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    environment["KERASMAGIC_KEEP_MEMORY"] = setting
    # NumPy asks for large pages itself, of which there are few: count the small ones.
    environment["NUMPY_MADVISE_HUGEPAGE"] = "0"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    faults = int(done.stdout)
    assert faults < 100 if setting == "on" else faults > 10_000
