"""What a Binder does with this repository, on a machine of ours: install from ``binder/`` alone, open, run.

A Binder gives a person 1 GiB or a little more for the notebook server and the kernels together, and ends
what takes more. The limit is held over all of them: the JupyterLab server of that environment, the kernel
with the quickstart, and the small program that runs its cells in the browser's place. What is counted are
the marks of the most resident memory that the system keeps for each process. A limit on address space would
not do: JAX reserves far more than it uses. Nor would a control group: an ordinary user may not make one.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.memory import MEBIBYTE, PeakMemory

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = "01_quickstart.ipynb"
LIMIT = 1024 * MEBIBYTE

pytestmark = pytest.mark.slow


def container_environment(folder: Path) -> dict[str, str]:
    """Return the variables of a Binder's container: none of ours, and a home folder of its own."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
    return {**kept, "HOME": str(home)}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the files that a Binder would clone."""
    target = tmp_path_factory.mktemp("binder") / "repository"
    unwanted = (".*", "build", "dist", "artifacts", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*unwanted))
    return target


@pytest.fixture(scope="module")
def binder_python(checkout: Path) -> Path:
    """Return the Python of an environment in which only what ``binder/`` names is installed."""
    environment = checkout.parent / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    # Word for word what repo2docker runs in the root of the repository.
    command = [python, "-m", "pip", "install", "--quiet", "-r", "binder/requirements.txt"]
    # Thousands of files that nobody imports here need no bytecode. This is the value of `compile`, for pip.
    subprocess.run(command, cwd=checkout, env={**os.environ, "PIP_NO_COMPILE": "0"}, check=True)
    return python


def test_binder_names_a_python_that_we_support():
    supported = re.search(r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    named = re.fullmatch(r"python-3\.(\d+)\n", (ROOT / "binder" / "runtime.txt").read_text())
    assert supported
    assert named
    assert int(named[1]) >= int(supported[1])


def test_binder_environment_has_the_wheel_and_no_test_package(binder_python: Path, checkout: Path):
    code = """
from importlib.util import find_spec
import kerasmagic
print(kerasmagic.__file__, find_spec("keras"), find_spec("pytest"))
"""
    done = subprocess.run(
        [binder_python, "-c", code],
        cwd=checkout.parent,
        env=container_environment(checkout.parent),
        capture_output=True,
        text=True,
        check=True,
    )
    where, keras, pytest_found = done.stdout.split()
    assert "site-packages" in where
    assert (keras, pytest_found) == ("None", "None")


def test_quickstart_runs_within_a_gibibyte(binder_python: Path, checkout: Path):
    environment = container_environment(checkout.parent)
    server = subprocess.Popen(
        [binder_python, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.port=0"],
        cwd=checkout,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # nbconvert comes with the server. It starts the kernel itself, as the server would.
        runner = subprocess.Popen(
            [binder_python, "-m", "nbconvert", "--execute", "--to", "notebook", "--stdout", NOTEBOOK],
            cwd=checkout / "notebooks",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with PeakMemory([server.pid, runner.pid]) as memory:
            executed, log = runner.communicate(timeout=600)
        assert runner.returncode == 0, log
        assert server.poll() is None
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)
    assert re.search(r"test accuracy: 0\.9[789]", executed)
    assert "same predictions: True" in executed
    peaks = {pid: f"{peak / MEBIBYTE:.0f} MiB" for pid, peak in memory.peaks.items()}
    print(f"peak memory: {memory.total / MEBIBYTE:.0f} MiB in all, {peaks}")
    assert len(memory.peaks) >= 3, "the server, the runner and the kernel"
    assert memory.total < LIMIT, peaks


def test_peak_memory_sees_what_a_child_took():
    block = 200 * MEBIBYTE
    child = f"x = bytes(b'a') * {block}; input()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True)
    with PeakMemory([process.pid], interval=0.02) as memory:
        for _ in range(500):
            if memory.total > block or process.poll() is not None:
                break
            memory._stop.wait(0.02)
        process.communicate("\n", timeout=30)
    assert len(memory.peaks) == 2
    assert block < memory.total < block + 100 * MEBIBYTE


def test_a_copy_before_its_exec_does_not_count():
    block = 200 * MEBIBYTE
    code = f"import os, time; x = b'a' * {block}; os.fork(); os.write(1, b'.'); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    try:
        with PeakMemory([process.pid], interval=0.02) as memory:
            assert process.stdout is not None
            assert process.stdout.read(2) == b".."
            memory.look()
        assert len(memory.peaks) == 2
        assert block < memory.total < block + 100 * MEBIBYTE
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
