"""Choices between ways to compute the same thing, made once by measuring on this machine and kept on disk.

Ways differ in the last bits of what they compute, so a choice that is made stays: it is read from its file and never
measured again, and two runs with the same seed give the same numbers. Without a folder nothing is measured, and the
first way is taken.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Makes a way ready, which may take long, and returns what runs it once.
Prepare = Callable[[], Callable[[], object]]

# Seconds: of running the ways of one choice, and of the processor for all choices of a process.
LONGEST_RUN = 0.2
LONGEST_IN_ALL = 2.0
ROUNDS = 5
# How much faster than the first way another one must be.
MARGIN = 0.9


@dataclasses.dataclass
class _State:
    folder: Path | None = None
    spent: float = 0.0
    known: dict[str, str] = dataclasses.field(default_factory=dict)
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)


_STATE = _State()


def keep_choices_in(folder: Path | None) -> None:
    """Measure from now on, and keep what comes out in ``folder``; ``None`` switches measuring off."""
    with _STATE.lock:
        _STATE.folder = folder
        _STATE.spent = 0.0
        _STATE.known = {}


def choices_folder() -> Path | None:
    """Return where choices are kept, or ``None`` while nothing is measured."""
    return _STATE.folder


def choose(question: str, ways: Mapping[str, Prepare]) -> str:
    """Return the name of the way to take: the fastest on this machine, or the first while nothing is measured.

    Args:
        question: What is chosen; the choice holds for all runs that ask the same. Names everything it depends on.
        ways: Each way by its name. It is made ready and run on a thread of its own.

    Example:

    >>> choose("how to wait", {"short": lambda: lambda: None, "long": lambda: lambda: time.sleep(1)})
    'short'
    """
    first = next(iter(ways))
    with _STATE.lock:
        folder = _STATE.folder
        if folder is None:
            return first
        if question not in _STATE.known:
            file = folder / f"{hashlib.sha256(question.encode()).hexdigest()[:24]}.json"
            found = _read(file, question, ways)
            if found is None:
                found = _keep(file, question, _measured(ways), ways)
            _STATE.known[question] = found
        return _STATE.known[question]


def _measured(ways: Mapping[str, Prepare]) -> tuple[str, dict[str, float]]:
    """Return the fastest way and the seconds of each; the first way where no time is left to measure."""
    first, seconds = next(iter(ways)), {}
    if _STATE.spent < LONGEST_IN_ALL:
        # Not the time on the wall: others may use the machine.
        start = time.process_time()
        # Another thread is not tracing a program, whatever this one does.
        with ThreadPoolExecutor(1) as thread:
            seconds = thread.submit(_times, ways).result()
        _STATE.spent += time.process_time() - start
    fastest = min(seconds, key=seconds.__getitem__, default=first)
    return (fastest if seconds and seconds[fastest] < MARGIN * seconds[first] else first), seconds


def _times(ways: Mapping[str, Prepare]) -> dict[str, float]:
    runs = {name: prepare() for name, prepare in ways.items()}
    seconds = dict.fromkeys(runs, float("inf"))
    for run in runs.values():
        run()
    end = time.perf_counter() + LONGEST_RUN
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
        if time.perf_counter() > end:
            break
    return seconds


def _read(file: Path, question: str, ways: Mapping[str, Prepare]) -> str | None:
    """Return what a file says; ``None`` if there is none, or another one's or a damaged one."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("question") != question:
        return None
    return found["way"] if found.get("way") in ways else None


def _keep(
    file: Path, question: str, measured: tuple[str, dict[str, float]], ways: Mapping[str, Prepare]
) -> str:
    """Write a choice down, and return what then holds: of several processes that choose, the first one's."""
    way, seconds = measured
    record = json.dumps({"question": question, "way": way, "seconds": seconds})
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as draft:
            draft.write(record)
        try:
            # A link is made only where there is no file yet.
            os.link(draft.name, file)
            os.unlink(draft.name)
        except OSError:
            other = _read(file, question, ways)
            if other is not None:
                os.unlink(draft.name)
                return other
            os.replace(draft.name, file)
    return way
