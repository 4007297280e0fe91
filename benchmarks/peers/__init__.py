"""One module a library, each with ``make(workload, x, y)`` that returns something that trains.

Every peer starts from the same NumPy arrays, shuffles anew each epoch, uses Adam at 1e-3 in float32, and is
written the way its own documentation recommends for speed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol

import numpy as np

# By the name in the tables: the module here, the package it imports, and what it asks of `make`.
PEERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "kerasmagic": ("keras_api", "kerasmagic", {"library": "kerasmagic"}),
    "keras": ("keras_api", "keras", {"library": "keras"}),
    "keras-32-steps": ("keras_api", "keras", {"library": "keras", "steps_per_execution": 32}),
    "raw-jax": ("raw_jax", "jax", {}),
    "flax-nnx": ("flax_nnx", "flax", {}),
    "equinox": ("equinox_modules", "equinox", {}),
    "torch": ("torch_eager", "torch", {}),
}


class Peer(Protocol):
    """A model that a peer has built."""

    def fit(self, x: np.ndarray, y: np.ndarray, epochs: int) -> float:
        """Train, wait until the device is done, and return the last loss."""
        ...

    def predict(self, x: np.ndarray, batch: int) -> np.ndarray:
        """Return the outputs, ``(samples, classes)``."""
        ...

    def dense_call(self) -> Callable[[], Any]:
        """Return a call, not compiled, of one dense layer of 64 units on a batch ``(1, 64)``."""
        ...


def module_of(name: str) -> ModuleType:
    """Import a peer's module, and with it its library."""
    return importlib.import_module(f"benchmarks.peers.{PEERS[name][0]}")


def batches_of(order: np.ndarray, batch: int) -> list[np.ndarray]:
    """Cut an order of samples into batches; the last one may be short."""
    return [order[start : start + batch] for start in range(0, len(order), batch)]
