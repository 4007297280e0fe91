"""Measurements in a process of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    command, options = _command(arguments, environment, pin)
    done = subprocess.run(command, capture_output=True, check=False, **options)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def asked(
    *arguments: str, environment: Mapping[str, str] = MappingProxyType({}), pin: bool = False
) -> Iterator[Callable[[], Any]]:
    """Start ``python -m`` with these arguments and give a function that returns what it prints next, as JSON.

    The process prints a line once it is ready, and is sent a line each time it is asked. In between it is stopped:
    threads that wait for work would take the processor from the process whose turn it is (those of OpenMP and of XLA
    look for work a while before they sleep). The arguments are those of ``run``.
    """
    command, options = _command(arguments, environment, pin)
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, **options
        ) as process,
    ):
        assert process.stdin is not None, "its input is a pipe"
        assert process.stdout is not None, "its output is a pipe"
        ask, answers = process.stdin, process.stdout

        def line() -> str:
            read = answers.readline()
            if not read:
                errors.seek(0)
                sys.exit(f"{' '.join(command)} failed:\n{errors.read()}")
            process.send_signal(signal.SIGSTOP)
            return read

        def answer() -> Any:
            process.send_signal(signal.SIGCONT)
            with contextlib.suppress(BrokenPipeError):
                print(file=ask, flush=True)
            return json.loads(line())

        try:
            line()
            yield answer
        finally:
            process.kill()


def _command(
    arguments: Sequence[str], environment: Mapping[str, str], pin: bool
) -> tuple[list[str], dict[str, Any]]:
    return [sys.executable, "-m", *arguments], {
        "env": {**os.environ, **ENVIRONMENT, **environment},
        "text": True,
        "preexec_fn": (lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})) if pin else None,
    }
