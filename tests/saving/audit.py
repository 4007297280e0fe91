"""An audit hook that tells what a load touched: files, modules, sockets, processes, code."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

_FORBIDDEN = (
    "socket.",
    "subprocess.",
    "pickle.",
    "marshal.",
    "ctypes.",
    "shutil.",
    "urllib.",
    "webbrowser.",
    "ftplib.",
)
_FORBIDDEN += (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.remove",
    "os.rename",
    "os.mkdir",
)
_FORBIDDEN += (
    "os.rmdir",
    "os.symlink",
    "os.link",
    "os.chmod",
    "os.chown",
    "os.listdir",
    "os.scandir",
    "os.truncate",
)
_FORBIDDEN += ("import", "exec", "compile", "code.__new__", "tempfile.", "glob.", "http.", "mmap.")
_LIBRARY = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib")})
_watching: list[Watch] = []


class Watch:
    """Collects what happens inside a ``with`` block that no load may do.

    Args:
        allowed: Files that may be opened to be read.
    """

    def __init__(self, *allowed: Path):
        self.allowed = {os.path.realpath(path) for path in allowed}
        self.touched: list[str] = []

    def __enter__(self) -> Watch:
        _watching.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _watching.remove(self)

    def see(self, event: str, args: tuple[Any, ...]) -> None:
        """Keep an event unless it is harmless."""
        if event == "open":
            path, mode, flags = args
            writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or any(
                c in str(mode) for c in "wax+"
            )
            # Python reads the source of what it tells in a traceback or a warning.
            source = str(path).endswith(".py") and str(path).startswith((*_LIBRARY, str(Path.cwd())))
            if str(path).startswith(os.environ["JAX_COMPILATION_CACHE_DIR"]):
                return
            if writes or not (source or os.path.realpath(str(path)) in self.allowed):
                self.touched.append(f"open {path!r} {mode!r}")
        elif event.startswith(_FORBIDDEN):
            self.touched.append(f"{event} {str(args)[:200]}")


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _watching and not _hook.busy:
        _hook.busy = True
        try:
            for watch in _watching:
                watch.see(event, args)
        finally:
            _hook.busy = False


_hook.busy = False
sys.addaudithook(_hook)
