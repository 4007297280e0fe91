"""How much memory a group of processes has needed, by the kernel's own high-water marks."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

PROC = Path("/proc")
MEBIBYTE = 1 << 20


def children(pid: int) -> Iterator[int]:
    """Yield the processes that ``pid`` and its children started and that still run."""
    for path in PROC.glob(f"{pid}/task/*/children"):
        try:
            found = [int(child) for child in path.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in found:
            yield child
            yield from children(child)


def peak_bytes(pid: int) -> int:
    """Return the most resident memory that the process ``pid`` has had since it began; 0 when it is gone.

    Between its fork and its exec a process has its parent's pages, and the parent's mark: it counts 0, too.
    """
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        if _command(pid) == _command(int(fields["PPid"])):
            return 0
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields["VmHWM"].split()[0]) * 1024 if "VmHWM" in fields else 0


def _command(pid: int) -> bytes:
    return (PROC / str(pid) / "cmdline").read_bytes()


class PeakMemory:
    """Watches process trees in the background, as a context manager.

    The sum of the processes' high-water marks is an upper bound for what they ever had together: the marks
    need not be of the same moment, and a page that two processes share counts twice. The system keeps the
    marks itself, so a peak between two looks is not missed; only the last moments before a process ends are.

    Args:
        roots: The processes to watch, with all that they start.
        interval: Seconds between two looks.
    """

    def __init__(self, roots: Iterable[int], interval: float = 0.1):
        self.roots = tuple(roots)
        self.interval = interval
        self.peaks: dict[int, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ):
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self.interval):
            self.look()

    def look(self) -> None:
        """Read the marks of every process that runs now."""
        for root in self.roots:
            for pid in (root, *children(root)):
                self.peaks[pid] = max(self.peaks.get(pid, 0), peak_bytes(pid))

    @property
    def total(self) -> int:
        """The sum of all high-water marks in bytes, processes that have ended included."""
        return sum(self.peaks.values())
