"""What the tests of hostile files share: a good file to spoil, and how a bad one has to be refused."""

from __future__ import annotations

import base64
import json
import os
import pickle
import resource
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kerasmagic as km
from kerasmagic.foundation.errors import KerasMagicError
from tests.saving.audit import Watch

MEGABYTE = 2**20


def made() -> Any:
    inputs = km.Input((4,))
    return km.Model(inputs, km.layers.Dense(2)(km.layers.Dense(3, activation="relu", name="first")(inputs)))


def config_of(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, members: dict[Any, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def peak(reset: bool = False) -> int:
    """Return the largest size of this process since the last reset, in bytes."""
    if reset and Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")
    if Path("/proc/self/status").exists():
        status = Path("/proc/self/status").read_text()
        return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def refused(path: Path, load: Callable[[], Any], match: str, memory: int = 60 * MEGABYTE) -> None:
    """Fail unless ``load`` raises our own error, touches nothing but ``path``, and stays small."""
    before = peak(reset=True)
    with Watch(path) as watch, pytest.raises(KerasMagicError, match=match):
        load()
    assert watch.touched == []
    assert peak() - before < memory


class Harmful:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/harmed",)


PICKLED = base64.b64encode(pickle.dumps(Harmful())).decode()


def layer(place: Any, kind: str, **config: Any) -> dict[str, Any]:
    return {"module": place, "class_name": kind, "config": {"name": "x", **config}, "registered_name": None}
