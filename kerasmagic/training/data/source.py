"""One view of every kind of data: an iterable of batches that knows its length if it has one."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any

import jax
import numpy as np

from kerasmagic.core import tree
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.training.data import py_dataset, table
from kerasmagic.training.data.arrays import ArrayBatches, class_weights_of, given, is_array_data, unlist
from kerasmagic.training.data.py_dataset import PyDataset
from kerasmagic.training.data.rows import Rows


@dataclasses.dataclass
class Source:
    """Batches, epoch by epoch.

    Args:
        batches: Gives the batches of one epoch each time it is called.
        steps: Batches in an epoch, if known.
        batch_size: Samples in a batch, if known.
        samples: Samples in an epoch, if known.
        one_pass: Whether there is only one pass over the data, as with a generator.
        arrays: ``(x, y, sample_weight)``, where all of it is in memory.
        rows: Gives the same batches as ``batches``, as the rows of ``arrays`` that each consists of.
        peek: Gives the first batch alone, where that is cheaper than beginning an epoch.
        on_epoch_begin: Called before each epoch.
        on_epoch_end: Called after each epoch.
        table: Where the rows of a batch are to be found, once batches are rows.
    """

    batches: Callable[[], Iterable[Any]]
    steps: int | None = None
    batch_size: int | None = None
    samples: int | None = None
    one_pass: bool = False
    arrays: tuple[Any, ...] | None = None
    rows: Callable[[], Rows] | None = None
    peek: Callable[[], Iterator[Any]] | None = None
    on_epoch_begin: Callable[[], None] | None = None
    on_epoch_end: Callable[[], None] | None = None
    table: table.Table | None = None

    def first(self) -> Any:
        """Return the first batch; it is not lost for the epoch."""
        iterator = iter((self.peek or self.batches)())
        batch = next(iterator, None)
        if batch is None:
            raise InvalidArgument("The data is empty: it gave not one batch.")
        step_parts(batch)
        if self.one_pass:
            rest, self.batches = iterator, lambda: itertools.chain([batch], rest)
        else:
            # Workers of a data set end with the iterator.
            getattr(iterator, "close", lambda: None)()
        self.batches = functools.partial(_of_one_form, self.batches, _form(batch))
        return batch

    def keep_on_device(self) -> None:
        """Let epochs consist of rows of ``table`` from now on, if the data is arrays that fit there."""
        if self.rows is None or self.arrays is None:
            return
        # Validation asks anew in each epoch: the copy that is there will do.
        if self.table is None and table.fits(self.arrays):
            self.table, self.batches = table.Table(given(self.arrays)), self.rows

    def begin_epoch(self) -> None:
        """Tell the data that an epoch begins."""
        if self.on_epoch_begin is not None:
            self.on_epoch_begin()

    def end_epoch(self) -> None:
        """Tell the data that an epoch is over."""
        if self.on_epoch_end is not None:
            self.on_epoch_end()

    def epochs(self, steps: int | None) -> Iterator[Iterable[Any]]:
        """Give the batches of one epoch after the other.

        Args:
            steps: Batches in an epoch; then an epoch goes on where the last one stopped.
        """
        if steps is None and not self.one_pass:
            while True:
                yield self.batches()
        running = self.batches() if self.one_pass else self._again_and_again()
        while True:
            yield itertools.islice(running, steps)

    def _again_and_again(self) -> Iterator[Any]:
        while True:
            empty = True
            for batch in self.batches():
                empty = False
                yield batch
            if empty:
                return


def step_parts(batch: Any) -> tuple[Any, Any, Any]:
    """Return ``(x, y, sample_weight)`` of a batch; what is missing is ``None``.

    Raises:
        InvalidArgument: If the batch is a tuple of more parts.

    >>> step_parts((1, 2))
    (1, 2, None)
    """
    if not isinstance(batch, (tuple, list)):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise InvalidArgument(
            "Data is expected to be in format `x`, `(x,)`, `(x, y)`, or `(x, y, sample_weight)`, "
            f"found a tuple of {len(batch)}. Several inputs are a list or dict of arrays inside: `([x1, x2], y)`."
        )
    x, y, sample_weight = (*batch, None, None)[:3]
    return x, y, sample_weight


def _form(batch: Any) -> list[Any]:
    """Return what must be the same in all batches: the nesting and the ranks."""

    def part(structure: Any) -> Any:
        ranks = [None if leaf is None else np.ndim(leaf) for leaf in tree.flatten(structure)]
        return jax.tree.structure(structure, is_leaf=tree.is_leaf), ranks

    return [part(structure) for structure in step_parts(batch)]


def _of_one_form(batches: Callable[[], Iterable[Any]], form: list[Any]) -> Iterator[Any]:
    for number, batch in enumerate(batches()):
        here = _form(batch)
        if here != form:
            names = ("x", "y", "sample_weight")
            name = next(n for n, a, b in zip(names, form, here, strict=True) if a != b)
            raise InvalidArgument(
                f"Batch {number} of the data has another structure than the first: `{name}` was "
                f"{_told(form[names.index(name)])} and is {_told(here[names.index(name)])}."
            )
        yield batch


def _told(form: Any) -> str:
    structure, ranks = form
    count = sum(rank is not None for rank in ranks)
    if count == 0:
        return "missing"
    kind = "one array" if count == 1 else f"{count} arrays ({structure})"
    return f"{kind} with {', '.join(map(str, ranks))} dimensions"


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
    if steps is not None and (not hasattr(steps, "__index__") or steps < 1):
        raise InvalidArgument(f"The number of steps must be a whole number from 1 on. Received: {steps!r}")
    if isinstance(x, str):
        raise InvalidArgument(f"Data is arrays or an iterable of batches. Received text: {x!r}")
    if x is None:
        raise InvalidArgument("No data was given: `x` is None. Pass arrays, or an iterable of batches.")
    if is_array_data(x):
        if class_weight is not None:
            if sample_weight is not None:
                raise InvalidArgument("You cannot `class_weight` and `sample_weight` at the same time.")
            sample_weight = class_weights_of(y, class_weight)
        return _from_arrays(x, y, sample_weight, batch_size, shuffle)
    if class_weight is not None and sample_weight is not None:
        raise InvalidArgument("You cannot `class_weight` and `sample_weight` at the same time.")
    if y is not None or sample_weight is not None:
        kind = type(x).__name__
        raise InvalidArgument(
            f"When `x` is an iterable of batches ({kind}), targets and sample weights come in the batches: "
            "pass neither `y` nor `sample_weight`."
        )
    if isinstance(x, PyDataset):
        return _from_py_dataset(x, class_weight, steps, bool(shuffle))
    return _from_iterable(x, class_weight, steps)


def _from_arrays(x: Any, y: Any, sample_weight: Any, batch_size: int | None, shuffle: bool | str) -> Source:
    if batch_size is not None and (not hasattr(batch_size, "__index__") or batch_size < 1):
        raise InvalidArgument(f"`batch_size` must be a positive integer. Received: batch_size={batch_size!r}")
    x, y, sample_weight = (unlist(part) for part in (x, y, sample_weight))
    batches = ArrayBatches((x, y, sample_weight), batch_size or 32, shuffle)
    return Source(
        lambda: iter(batches),
        batches.steps,
        batches.batch_size,
        batches.samples,
        arrays=batches.data,
        rows=batches.rows,
    )


def _from_py_dataset(
    x: PyDataset, class_weight: Mapping[int, float] | None, steps: int | None, shuffle: bool
) -> Source:
    count = x.num_batches
    if count is None and steps is None:
        raise InvalidArgument(
            f"{type(x).__name__} has no end (`num_batches` is None): say how many batches to take, by "
            "`steps_per_epoch` in `fit`, `steps` or `validation_steps` elsewhere."
        )

    def batches() -> Iterator[Any]:
        made = py_dataset.batches(x, shuffle)
        with contextlib.closing(made):
            for batch in made:
                yield _with_class_weight(batch, class_weight)

    def first() -> Iterator[Any]:
        return iter([] if count == 0 else [_with_class_weight(x[0], class_weight)])

    return Source(
        batches, steps or count, on_epoch_begin=x.on_epoch_begin, on_epoch_end=x.on_epoch_end, peek=first
    )


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
    if isinstance(batch, (list, tuple)):
        batch = tuple(unlist(part) for part in batch)
    if class_weight is None:
        return batch
    if not isinstance(batch, tuple) or len(batch) != 2:
        raise InvalidArgument("`class_weight` needs batches `(x, y)` without sample weights.")
    return (*batch, class_weights_of(np.asarray(batch[1]), class_weight))
