"""Arrays kept on the device, from which batches are taken there."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from kerasmagic.core import tree
from kerasmagic.core.transfer import filled_up
from kerasmagic.training.data.arrays import standardize, to_device

# What is larger stays with NumPy: on CPU the copy counts against the same memory, often 1 GiB.
LARGEST = 256 * 2**20
LARGEST_SHARE_OF_DEVICE = 0.25
# The memory of larger arrays is not spent on it.
LARGEST_FILLED = 32 * 2**20


class Picked(NamedTuple):
    """Batches that are rows of a table: what a program takes that picks them itself.

    Each is read where it is needed, while it is still in the processor's cache: a loop over steps of a small MLP
    is a quarter faster than with batches gathered before (``python -m benchmarks steady --workloads mlp``).

    Args:
        data: The arrays of the table.
        rows: ``(batches, batch)``, integers.
        counts: How many samples of each batch count, ``(batches,)``; ``None`` where all do.
    """

    data: Any
    rows: Any
    counts: Any = None

    @property
    def steps(self) -> int:
        """How many batches these are."""
        return len(self.rows)

    def at(self, index: Any) -> tuple[Any, ...]:
        """Return the arrays of a batch, and how many samples count if not all of all batches do."""
        batch = _take(self.data, self.rows[index])
        return (batch,) if self.counts is None else (batch, self.counts[index])


class Table:
    """The samples of a structure of arrays ``(samples, ...)``, as of now; copied to the device once.

    >>> table = Table((np.arange(6.0).reshape(3, 2), np.array([0, 1, 2])))
    >>> x, y = table.take(np.array([2, 0], "int32"))
    >>> x.tolist(), y.tolist()
    ([[4.0, 5.0], [0.0, 1.0]], [2, 0])
    """

    def __init__(self, data: Any):
        self.data = to_device(tree.map_structure(_filled_up, data))
        self.length = len(jax.tree.leaves(self.data)[0])
        self._specs: dict[int, Any] = {}

    def take(self, rows: np.ndarray) -> Any:
        """Return the samples at ``rows``, integers of any shape; ``(*rows.shape, ...)`` each."""
        return _take(self.data, rows)

    def pick(self, rows: np.ndarray, counts: np.ndarray | None) -> Picked:
        """Return the batches at ``rows``, ``(batches, batch)``, for a program to take them."""
        return Picked(self.data, rows, counts)

    def spec(self, samples: int) -> Any:
        """Return the shapes and types of a batch of so many samples."""
        # Asked for once an epoch at least, by tiny models after each two milliseconds.
        if samples not in self._specs:
            self._specs[samples] = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct((samples, *leaf.shape[1:]), leaf.dtype), self.data
            )
        return self._specs[samples]

    @property
    def sample_bytes(self) -> int:
        """The bytes of one sample."""
        return sum(leaf.nbytes // max(len(leaf), 1) for leaf in jax.tree.leaves(self.data))


def _filled_up(leaf: Any) -> Any:
    # Data of about the same length then runs in the same program; at most an eighth is added.
    leaf = standardize(leaf)
    if leaf is None or isinstance(leaf, jax.Array) or leaf.nbytes > LARGEST_FILLED:
        return leaf
    step = max(1, 1 << max(len(leaf).bit_length() - 4, 0))
    missing = -len(leaf) % step
    return filled_up(leaf, len(leaf) + missing) if missing else leaf


@jax.jit
def _take(data: Any, rows: jax.Array) -> Any:
    # The rows are in bounds by construction; any other mode would compare them all.
    return jax.tree.map(lambda leaf: leaf.at[rows].get(mode="promise_in_bounds"), data)


def fits(data: Any) -> bool:
    """Whether arrays are small enough to be kept on the device beside the model."""
    leaves = [leaf for leaf in tree.flatten(data) if leaf is not None]
    size = sum(leaf.nbytes for leaf in leaves)
    if all(isinstance(leaf, jax.Array) for leaf in leaves):
        return True
    stats = jax.devices()[0].memory_stats() if jax.default_backend() != "cpu" else None
    limit = (stats or {}).get("bytes_limit")
    return size <= (LARGEST if limit is None else limit * LARGEST_SHARE_OF_DEVICE)
