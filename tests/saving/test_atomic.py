"""A save is all or nothing: a full disk, an error or a kill leaves the old file whole, and no litter."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import kerasmagic as km
from kerasmagic.saving import atomic

NAMES = ["m.keras", "m.weights.h5", "m.weights.json", "m.safetensors"]


def made(scale=1.0):
    model = km.Sequential([km.Input((4,)), km.layers.Dense(300), km.layers.Dense(3)])
    model.set_weights([scale * np.ones(w.shape, "float32") for w in model.weights])
    return model


def save(model, path):
    (model.save if path.suffix == ".keras" else model.save_weights)(path)


def state_of(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@pytest.fixture(params=NAMES)
def saved(request, tmp_path):
    path = tmp_path / request.param
    save(made(), path)
    return path


@pytest.mark.parametrize("call", ["fsync", "write", "replace"])
def test_a_full_disk_leaves_the_old_file(saved, monkeypatch, call):
    before = state_of(saved.parent)

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "write":
        real = os.fdopen
        monkeypatch.setattr(os, "fdopen", lambda *a, **k: Full(real(*a, **k)))
    elif call == "replace":
        monkeypatch.setattr(Path, "replace", full)
    else:
        monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(made(2.0), saved)
    assert state_of(saved.parent) == before


class Full:
    """A file on a disk that is full after 500 bytes."""

    def __init__(self, file):
        self._file = file

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._file.close()

    def write(self, data):
        if self._file.tell() + len(data) > 500:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data)


def test_a_limit_of_the_system_leaves_the_old_file(tmp_path):
    """The real thing: the kernel refuses to write on."""
    path = tmp_path / "m.weights.h5"
    save(made(), path)
    before = state_of(tmp_path)
    result = run(
        path,
        """
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        try:
            save()
        except OSError as error:
            print("refused", error.errno)
        """,
    )
    assert "refused" in result.stdout, result.stderr
    assert state_of(tmp_path) == before


SCRIPT = """
import os, resource, signal, sys, time
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import numpy as np
import kerasmagic as km
from kerasmagic.saving import atomic
model = km.Sequential([km.Input((4,)), km.layers.Dense(300), km.layers.Dense(3)])
def save():
    path = sys.argv[1]
    (model.save if path.endswith(".keras") else model.save_weights)(path)
"""


def run(path, code, **options):
    command = [sys.executable, "-c", SCRIPT + textwrap.dedent(code), str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def test_a_kill_leaves_the_old_file_and_the_next_save_cleans_up(tmp_path, monkeypatch):
    path = tmp_path / "m.keras"
    made().save(path)
    before = path.read_bytes()
    result = run(path, "os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)\nsave()")
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert path.read_bytes() == before
    left = [each for each in tmp_path.iterdir() if each != path]
    assert len(left) == 1
    # Another process that is still writing keeps its file, however old.
    busy = tmp_path / ".m.keras.busy.part"
    with busy.open("wb") as file:
        atomic._lock(file)
        old = time.time() - 100
        for each in (busy, *left):
            os.utime(each, (old, old))
        made(2.0).save(path)
        assert sorted(each.name for each in tmp_path.iterdir()) == [busy.name, "m.keras"]
    km.models.load_model(path)


def test_an_interrupt_leaves_the_old_file(saved, monkeypatch):
    before = state_of(saved.parent)

    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(made(2.0), saved)
    assert state_of(saved.parent) == before


def test_the_rights_of_a_file_stay(tmp_path):
    path = tmp_path / "m.keras"
    made().save(path)
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask
    path.chmod(0o640)
    made().save(path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(tmp_path):
    made().save(tmp_path / "m.keras")
    (tmp_path / "latest.keras").symlink_to("m.keras")
    made(2.0).save(tmp_path / "latest.keras")
    assert (tmp_path / "latest.keras").is_symlink()
    assert km.models.load_model(tmp_path / "m.keras").get_weights()[0].max() == 2.0


def test_what_cannot_be_written_writes_nothing(tmp_path):
    inputs = km.Input((4,))
    model = km.Model(inputs, km.layers.Lambda(lambda x: x + 1)(inputs))
    with pytest.raises(NotImplementedError, match="lambda"):
        model.save(tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []
