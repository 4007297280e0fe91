"""Which public names of a Keras module ours has, and which it lacks for a reason."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType


def of(module: ModuleType) -> set[str]:
    """Return the names that users read from a module, submodules and its own workings apart."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    }


def check(ours: ModuleType, theirs: ModuleType, absent: Mapping[str, str] = {}) -> None:
    """Fail unless ``ours`` has every name of ``theirs`` but those that ``absent`` gives a reason for."""
    missing = {name for name in of(theirs) if not hasattr(ours, name)}
    assert missing == set(absent), (
        f"missing: {missing - set(absent)}; present after all: {set(absent) - missing}"
    )
    assert all(absent.values())
