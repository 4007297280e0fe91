"""One view of every kind of data: an iterable of batches that knows its length if it has one."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any

import jax
import numpy as np

from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.training.data.arrays import ArrayBatches, class_weights_of, unlist


@dataclasses.dataclass
class Source:
    """Batches, epoch by epoch.

    Args:
        batches: Gives the batches of one epoch each time it is called.
        steps: Batches in an epoch, if known.
        batch_size: Samples in a batch, if known.
        samples: Samples in an epoch, if known.
        one_pass: Whether there is only one pass over the data, as with a generator.
        on_epoch_end: Called after each epoch.
    """

    batches: Callable[[], Iterator[Any]]
    steps: int | None = None
    batch_size: int | None = None
    samples: int | None = None
    one_pass: bool = False
    on_epoch_end: Callable[[], None] | None = None

    def first(self) -> Any:
        """Return the first batch; it is not lost for the epoch."""
        iterator = self.batches()
        batch = next(iterator, None)
        if batch is None:
            raise InvalidArgument("The data is empty: it gave not one batch.")
        if self.one_pass:
            rest, self.batches = iterator, lambda: itertools.chain([batch], rest)
        return batch

    def epochs(self, steps: int | None) -> Iterator[Iterator[Any]]:
        """Give the batches of one epoch after the other.

        Args:
            steps: Batches in an epoch; then an epoch goes on where the last one stopped.
        """
        if steps is None and not self.one_pass:
            while True:
                yield self.batches()
        running = self.batches()
        while True:
            yield itertools.islice(running, steps) if self.one_pass else self._around(running, steps)

    def _around(self, running: Iterator[Any], steps: int | None) -> Iterator[Any]:
        for _ in range(steps or 0):
            batch = next(running, None)
            if batch is None:
                running = self.batches()
                batch = next(running)
            yield batch


def as_source(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    shuffle: bool | str = False,
    class_weight: Mapping[int, float] | None = None,
    steps: int | None = None,
) -> Source:
    """Return the batches of what a user passed.

    Args:
        x: Arrays ``(samples, ...)`` in any structure, or an iterable of batches.
        y: Targets, when ``x`` is arrays.
        sample_weight: Weights ``(samples,)``, when ``x`` is arrays.
        batch_size: Samples in a batch of arrays; 32 when ``None``.
        shuffle: Whether arrays are taken in a new order each epoch.
        class_weight: Weights by class number.
        steps: Batches in an epoch, when the data does not say.

    Raises:
        InvalidArgument: If arguments contradict each other or there is no data.
    """
    if x is None:
        raise InvalidArgument("No data was given: `x` is None. Pass arrays, or an iterable of batches.")
    if _is_array_data(x):
        if class_weight is not None:
            if sample_weight is not None:
                raise InvalidArgument("You cannot `class_weight` and `sample_weight` at the same time.")
            sample_weight = class_weights_of(y, class_weight)
        return _from_arrays(x, y, sample_weight, batch_size, shuffle)
    if y is not None or sample_weight is not None:
        kind = type(x).__name__
        raise InvalidArgument(
            f"When `x` is an iterable of batches ({kind}), targets and sample weights come in the batches: "
            "pass neither `y` nor `sample_weight`."
        )
    return _from_iterable(x, class_weight, steps)


def _is_array_data(x: Any) -> bool:
    if isinstance(x, dict):
        return True
    if isinstance(x, (list, tuple)):
        return all(_is_array_data(item) or np.isscalar(item) for item in x)
    return isinstance(x, (np.ndarray, jax.Array)) or (hasattr(x, "__array__") and hasattr(x, "shape"))


def _from_arrays(x: Any, y: Any, sample_weight: Any, batch_size: int | None, shuffle: bool | str) -> Source:
    if batch_size is not None and (not hasattr(batch_size, "__index__") or batch_size < 1):
        raise InvalidArgument(f"`batch_size` must be a positive integer. Received: batch_size={batch_size!r}")
    x, y, sample_weight = (unlist(part) for part in (x, y, sample_weight))
    batches = ArrayBatches((x, y, sample_weight), batch_size or 32, shuffle)
    return Source(lambda: iter(batches), batches.steps, batches.batch_size, batches.samples)


def _from_iterable(x: Any, class_weight: Mapping[int, float] | None, steps: int | None) -> Source:
    indexed: bool = hasattr(x, "__getitem__") and hasattr(x, "__len__") and not hasattr(x, "__iter__")
    if not indexed and not isinstance(x, Iterable):
        raise InvalidArgument(
            f"Cannot take batches from a {type(x).__name__}. Pass NumPy or JAX arrays (in lists or dicts for "
            "several inputs), a pandas frame, or an iterable of batches `(x, y)`."
        )
    data: Any = x
    length = len(data) if isinstance(x, Sized) else None

    def batches() -> Iterator[Any]:
        for batch in _items(data, length or 0) if indexed else iter(data):
            yield _with_class_weight(batch, class_weight)

    one_pass = isinstance(x, Iterator)
    on_epoch_end = getattr(x, "on_epoch_end", None)
    return Source(batches, steps or length, one_pass=one_pass, on_epoch_end=on_epoch_end)


def _items(x: Any, length: int) -> Iterator[Any]:
    return (x[i] for i in range(length))


def _with_class_weight(batch: Any, class_weight: Mapping[int, float] | None) -> Any:
    if isinstance(batch, list):
        batch = tuple(batch)
    if class_weight is None:
        return batch
    if not isinstance(batch, tuple) or len(batch) != 2:
        raise InvalidArgument("`class_weight` needs batches `(x, y)` without sample weights.")
    return (*batch, class_weights_of(np.asarray(batch[1]), class_weight))
