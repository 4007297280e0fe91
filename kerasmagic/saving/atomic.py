"""Writing a file so that it is either the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows, which does not delete a file that is open
    fcntl = None

_SECONDS_TO_LOCK = 10


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Yield a binary file that takes the place of ``path`` when the block ends well.

    A full disk, an error or a kill before that leaves the old file as it was. What
    a killed process left behind is removed by the next one that writes ``path``.

    Raises:
        OSError: If the file cannot be written.
    """
    # A link stays, as it does when a file is plainly written.
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w+b") as file:
            _lock(file)
            yield file
            file.flush()
            os.fsync(file.fileno())
        _keep_mode(path, temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _lock(file: IO[bytes]) -> bool:
    """Mark a file as being written; return whether nobody else did."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_leftovers(path: Path) -> None:
    for left in path.parent.iterdir():
        if left.name.startswith(f".{path.name}.") and left.suffix == ".part" and not left.is_symlink():
            with contextlib.suppress(OSError), left.open("rb") as file:
                # A file just made may not be locked yet.
                if time.time() - left.stat().st_mtime > _SECONDS_TO_LOCK and _lock(file):
                    left.unlink()


def _sync_folder(folder: Path) -> None:
    """Have the new name of the file outlive a loss of power, where folders can be synced."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _keep_mode(path: Path, temporary: Path) -> None:
    """Give the new file the rights that a plainly written one would have."""
    if path.exists():
        mode = path.stat().st_mode & 0o777
    else:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    temporary.chmod(mode)
