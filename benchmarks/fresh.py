"""Measurements in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

ENVIRONMENT = {
    "KERAS_BACKEND": "jax",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # Installed packages have their bytecode: without it, our sources would be compiled at each start.
    "PYTHONDONTWRITEBYTECODE": "",
}


def run(*arguments: str, environment: Mapping[str, str] = MappingProxyType({}), pin: bool = False) -> Any:
    """Return what ``python -m`` with these arguments prints as JSON in its last line; end if it fails.

    Args:
        arguments: The module and what it is given.
        environment: Variables of its own.
        pin: Whether to keep the process on one core.
    """
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(
        command,
        env={**os.environ, **ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=(lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})) if pin else None,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
