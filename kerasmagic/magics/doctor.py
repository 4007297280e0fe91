"""``%kerasmagic doctor``: what a report of a problem should say about the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import jax

from kerasmagic.foundation.errors import DefinitionError, Span, did_you_mean
from kerasmagic.magics.failure import shown
from kerasmagic.magics.line import TRACEBACK, read_line, usage, wants_help
from kerasmagic.magics.table import limit
from kerasmagic.widgets import units
from kerasmagic.widgets.sink import in_kernel

PACKAGES = (
    "jax",
    "jaxlib",
    "numpy",
    "optax",
    "ipython",
    "ipykernel",
    "ipywidgets",
    "anywidget",
    "jupyterlab",
)
OPTIONS = (TRACEBACK,)
COMMANDS = {"doctor": "tell versions, device, memory, compile cache and front end"}


FORM = "COMMAND"
WHAT = "\n".join(["Commands:", *(f"  {name}  {meaning}" for name, meaning in COMMANDS.items())])


def run(config: Any, line: str, version: str) -> None:
    """Do what ``%kerasmagic COMMAND`` asks for."""
    if not line.strip() or wants_help(line):
        print(usage("%kerasmagic", FORM, WHAT, OPTIONS))  # noqa: T201 - it was asked for
        return
    title = "%kerasmagic"
    with shown(title, f"{title} {line}", traceback=config.traceback or "--traceback" in line.split()):
        parsed = read_line(title, line, OPTIONS)
        command = parsed.subject
        if command not in COMMANDS:
            raise DefinitionError(
                f"There is no command {command!r}, only {', '.join(COMMANDS)}.",
                span=Span(1, parsed.column, 1, parsed.column + len(command)),
                hint=did_you_mean(command, COMMANDS),
            )
    print(report(version))  # noqa: T201 - this is what the magic is for


def report(version: str) -> str:
    """Return the findings as aligned lines."""
    rows = [
        ("kerasmagic", version),
        ("Python", f"{platform.python_version()} on {platform.platform(terse=True)}"),
        *((name, _version(name)) for name in PACKAGES),
        ("devices", ", ".join(f"{d.platform} {d.id} ({d.device_kind})" for d in jax.devices())),
        (
            "processors",
            str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        ),
        ("memory limit", units.memory(limit()) if limit() else "not known"),
        ("compile cache", _compile_cache()),
        ("front end", front_end(os.environ, kernel=in_kernel())),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _compile_cache() -> str:
    folder = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    if not folder:
        return "off: every kernel compiles anew (set JAX_COMPILATION_CACHE_DIR to keep programs)"
    count = sum(1 for _ in Path(folder).glob("*")) if Path(folder).is_dir() else 0
    return f"{folder} ({count} files)"


def front_end(environment: Any, *, kernel: bool) -> str:
    """Return where output is shown, as far as a kernel can know.

    Example:

    >>> front_end({"VSCODE_PID": "1"}, kernel=True), front_end({}, kernel=False)
    ('VS Code', 'terminal')
    """
    if not kernel:
        return "terminal"
    marks = {"VSCODE_PID": "VS Code", "COLAB_RELEASE_TAG": "Colab", "KAGGLE_KERNEL_RUN_TYPE": "Kaggle"}
    return next((name for mark, name in marks.items() if mark in environment), "Jupyter")
