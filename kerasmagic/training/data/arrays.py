"""Arrays in memory, cut into batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from kerasmagic.core import tree
from kerasmagic.core.transfer import on_device
from kerasmagic.foundation.config import floatx
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.training.data.rows import Rows


def as_array(x: Any) -> Any:
    """Return array-like data as an array: data frames, lists and scalars too; floats in the default type.

    Raises:
        InvalidArgument: If it is not made of numbers.

    >>> as_array([1.0, 2.0]).dtype
    dtype('float32')
    """
    if x is None or isinstance(x, jax.Array):
        return x
    to_numpy = getattr(x, "to_numpy", None)
    try:
        array = to_numpy() if to_numpy is not None else np.asarray(x)
    except ValueError as error:
        raise InvalidArgument(f"The data is no array: rows of different lengths? {error}") from None
    if array.dtype.kind in "USO":
        try:
            array = array.astype(floatx())
        except (TypeError, ValueError):
            raise InvalidArgument(
                f"The data holds objects that are not numbers (dtype {array.dtype}, shape {array.shape}, first: "
                f"{array.reshape(-1)[:1]!r}). Text must be turned into numbers, and rows of different lengths be "
                "padded to one length."
            ) from None
    if np.issubdtype(array.dtype, np.floating) and array.dtype != floatx():
        array = array.astype(floatx())
    return array


def is_array_data(x: Any) -> bool:
    """Whether ``x`` is arrays, in any structure, and not an iterable of batches."""
    if isinstance(x, dict):
        return True
    if isinstance(x, (list, tuple)):
        return all(is_array_data(item) or np.isscalar(item) for item in x)
    return isinstance(x, (np.ndarray, jax.Array)) or (hasattr(x, "__array__") and hasattr(x, "shape"))


def unlist(data: Any) -> Any:
    """Return a plain list of numbers as an array; a list of arrays stays a structure.

    >>> unlist([[1, 2], [3, 4]]).shape, len(unlist([np.ones(2), np.ones(2)]))
    ((2, 2), 2)
    """
    if isinstance(data, list) and data and all(np.isscalar(leaf) for leaf in tree.flatten(data)):
        return as_array(data)
    return data


def given(data: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return ``(x, y, sample_weight)`` up to the last part that is not ``None``; ``x`` always.

    Overridden steps unpack batches as ``x, y = data``: nothing stands for what was not given.

    >>> given((1, 2, None)), given((1, None, 3)), given((None, None, None))
    ((1, 2), (1, None, 3), (None,))
    """
    return data[: 1 + max(index for index, part in enumerate(data) if index == 0 or part is not None)]


class ArrayBatches:
    """Batches of ``(x, y, sample_weight)``, each a structure of arrays ``(samples, ...)``.

    Args:
        data: ``x`` or a tuple; ``None`` where there is nothing.
        batch_size: Samples in a batch; the last one may have fewer.
        shuffle: Whether each epoch takes the samples in a new order.
        drop_order: ``"batch"`` shuffles batches and not samples.

    Raises:
        ShapeMismatch: If the arrays differ in the number of samples.
        InvalidArgument: If there are no samples.
    """

    def __init__(self, data: tuple[Any, ...], batch_size: int, shuffle: bool | str = False):
        self.data = tuple(tree.map_structure(as_array, part) for part in data)
        leaves = [leaf for leaf in tree.flatten(list(self.data)) if leaf is not None]
        scalars = [leaf for leaf in leaves if leaf.ndim == 0]
        if scalars:
            raise ShapeMismatch("The data must have a first axis of samples. Received a scalar.")
        sizes = {leaf.shape[0] for leaf in leaves}
        if len(sizes) > 1:
            shapes = [None if part is None else tree.map_structure(np.shape, part) for part in self.data]
            raise ShapeMismatch(
                "Data cardinality is ambiguous: all arrays must have the same number of samples (first axis). "
                f"Received shapes (x, y, sample_weight): {shapes}"
            )
        self.samples = sizes.pop() if sizes else 0
        if self.samples == 0:
            raise InvalidArgument("The data is empty: there is not one sample in it.")
        self.batch_size = min(batch_size, self.samples)
        self.shuffle = shuffle
        self.steps = math.ceil(self.samples / self.batch_size)

    def rows(self) -> Rows:
        """Return the rows that each batch of an epoch consists of."""
        size = self.batch_size
        counts = [size] * (self.steps - 1) + [self.samples - size * (self.steps - 1)]
        if not self.shuffle:
            order = np.arange(self.samples, dtype=np.int32)
        elif self.shuffle == "batch":
            batches = _permutation(self.steps).tolist()
            order = np.concatenate(
                [np.arange(k * size, k * size + counts[k], dtype=np.int32) for k in batches]
            )
            counts = [counts[k] for k in batches]
        else:
            order = _permutation(self.samples).astype(np.int32)
        return Rows(order, counts)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        data = given(self.data)
        for rows in self.rows():
            yield tuple(self._batch(part, rows) for part in data)

    def _batch(self, part: Any, rows: np.ndarray) -> Any:
        def cut(leaf: Any) -> Any:
            if leaf is None:
                return None
            return leaf[rows] if self.shuffle is True else leaf[rows[0] : rows[0] + len(rows)]

        return tree.map_structure(cut, part)


def _permutation(size: int) -> np.ndarray:
    # `set_random_seed` fixes this generator, and users fix it by hand.
    return np.random.permutation(size)  # noqa: NPY002


def class_weights_of(y: Any, class_weight: Mapping[int, float]) -> np.ndarray:
    """Return one weight per sample: that of its class, 1 for a class without one.

    Args:
        y: Integer labels ``(samples,)`` or ``(samples, 1)``, or one-hot ``(samples, classes)``.
        class_weight: Weights by class number.

    Raises:
        InvalidArgument: If ``y`` is a structure of several arrays, or the weights are not numbers by number.

    >>> class_weights_of(np.array([0, 1, 1]), {1: 3.0}).tolist()
    [1.0, 3.0, 3.0]
    """
    try:
        weights_by_class = {int(label): float(weight) for label, weight in class_weight.items()}
    except (AttributeError, TypeError, ValueError):
        raise InvalidArgument(
            f"`class_weight` must be a dict of weights by class number, such as {{0: 1.0, 1: 5.0}}. "
            f"Received: class_weight={class_weight!r}"
        ) from None
    if tree.is_nested(y):
        raise InvalidArgument("`class_weight` is only supported for models with a single output.")
    labels = np.asarray(y)
    if labels.ndim > 1 and labels.shape[-1] != 1:
        labels = labels.argmax(-1)
    elif labels.ndim > 1:
        labels = labels[..., 0]
    labels = np.round(labels).astype(int)
    weights = np.ones(labels.shape, floatx())
    for label, weight in weights_by_class.items():
        weights[labels == label] = weight
    return weights


def standardize(x: Any) -> Any:
    """Return array-like data of any framework as a NumPy or JAX array, floats in the default type.

    Raises:
        InvalidArgument: If it is not made of numbers.
    """
    return x if x is None or isinstance(x, jax.Array) else as_array(_as_numpy(x))


def to_device(batch: Any) -> Any:
    """Return the batch as JAX arrays, floats in the default type."""
    return tree.map_structure(lambda x: None if x is None else on_device(standardize(x)), batch)


def _as_numpy(x: Any) -> Any:
    # Tensors of other frameworks (torch, TensorFlow) hand out their values this way.
    if not isinstance(x, np.ndarray) and hasattr(x, "detach"):
        x = x.detach().cpu()
    return x.numpy() if hasattr(x, "numpy") and not isinstance(x, np.ndarray) else x
