"""Batches by number, made by the user's code and, if wanted, by several workers ahead of time."""

from __future__ import annotations

import collections
import concurrent.futures as futures
import itertools
import multiprocessing
import random
import warnings
from collections.abc import Generator, Iterator
from typing import Any

from kerasmagic.foundation.errors import InvalidArgument


class PyDataset:
    """Batches by number. A subclass has ``__getitem__(index)``, which returns a batch, and ``__len__``.

    For data without an end, ``num_batches`` is overridden to return ``None`` in the place of ``__len__``.

    Args:
        workers: How many batches are made at a time.
        use_multiprocessing: Whether by processes, which copy the data set, and not by threads.
        max_queue_size: How many batches are made ahead at most.

    Example:

    >>> import numpy as np
    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, index):
    ...         x = np.arange(4.0) + 4 * index
    ...         return x, x**2
    >>> [float(y.sum()) for x, y in Squares()]
    [14.0, 126.0, 366.0]
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10):
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    # Also for subclasses that do not call `super().__init__()`.
    workers: int = 1
    use_multiprocessing: bool = False
    max_queue_size: int = 10

    def __getitem__(self, index: int) -> Any:
        """Return batch ``index``: ``x``, ``(x, y)`` or ``(x, y, sample_weight)``."""
        raise NotImplementedError(f"{type(self).__name__} needs `__getitem__(self, index)`.")

    @property
    def num_batches(self) -> int | None:
        """The number of batches, or ``None`` if there is no end to them."""
        length = getattr(self, "__len__", None)
        if length is None:
            raise NotImplementedError(
                f"{type(self).__name__} needs `__len__(self)`, or the property `num_batches`."
            )
        return length()

    def __iter__(self) -> Iterator[Any]:
        count = self.num_batches
        for index in itertools.count() if count is None else range(count):
            yield self[index]

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""


def batches(dataset: Any, shuffle: bool) -> Generator[Any]:
    """Yield the batches of one epoch, made ahead of time if the data set has workers.

    Args:
        dataset: A ``PyDataset``.
        shuffle: Whether to take them in a new order; drawn from Python's generator.
    """
    count = dataset.num_batches
    indices: Any = itertools.count() if count is None else range(count)
    if shuffle and count is not None:
        indices = random.sample(indices, count)
    if dataset.workers > 1 or (dataset.workers > 0 and dataset.use_multiprocessing):
        return _ahead(dataset, iter(indices))
    return (dataset[index] for index in indices)


def _ahead(dataset: Any, indices: Iterator[int]) -> Generator[Any]:
    pool, take = _processes(dataset) if dataset.use_multiprocessing else _threads(dataset)
    try:
        waiting: collections.deque[Any] = collections.deque()
        size = max(dataset.max_queue_size, 1)
        while True:
            waiting.extend(
                pool.submit(take, index) for index in itertools.islice(indices, size - len(waiting))
            )
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        # Also when training stops in the middle: what is being made is waited for, the rest is not begun.
        pool.shutdown(wait=True, cancel_futures=True)


def _threads(dataset: Any) -> tuple[Any, Any]:
    return futures.ThreadPoolExecutor(dataset.workers), dataset.__getitem__


_here: list[Any] = []


def _keep(dataset: Any) -> None:
    _here[:] = [dataset]


def _from_here(index: int) -> Any:
    return _here[0][index]


def _processes(dataset: Any) -> tuple[Any, Any]:
    if "fork" not in multiprocessing.get_all_start_methods():
        raise InvalidArgument(
            "`use_multiprocessing=True` needs processes that fork, which this system has not. Use threads: "
            "`use_multiprocessing=False` with `workers`."
        )
    # A data set that a notebook defines can't be sent to a fresh process: workers are copies of this one.
    context = multiprocessing.get_context("fork")
    pool = futures.ProcessPoolExecutor(dataset.workers, context, initializer=_keep, initargs=(dataset,))
    with warnings.catch_warnings():
        # JAX warns of forks. The workers run the data set's code, which has nothing to do with JAX.
        warnings.filterwarnings("ignore", ".*fork.*")
        # Forks now, in the main thread, and not later in the pool's own.
        for worker in [pool.submit(int) for _ in range(dataset.workers)]:
            worker.result()
    return pool, _from_here
