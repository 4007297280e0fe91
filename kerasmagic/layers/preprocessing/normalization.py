"""Features brought to mean 0 and variance 1, with statistics that are given or read from data."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.foundation.config import epsilon
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch, UnexpectedArgument
from kerasmagic.layers.base import LibraryLayer
from kerasmagic.layers.preprocessing.data import batches_of, is_array

_BATCH = 128


class Normalization(LibraryLayer):
    """Computes ``(x - mean) / sqrt(variance)``; the statistics are arguments, or ``adapt`` reads them from data.

    Args:
        axis: The axis or axes whose indices have statistics of their own; ``None`` for one mean and one
            variance of all values.
        mean: The mean, or one for each index of the kept axes; ``variance`` must be given too.
        variance: The variance, in the shape of ``mean``.
        invert: Whether to undo a normalization: ``x * sqrt(variance) + mean``.

    Shapes:
        Input ``(...)`` of any type whose kept axes are known; output the same shape in the compute type.

    Raises:
        InvalidArgument: If only one of ``mean`` and ``variance`` is given, or their shapes differ.
        ShapeMismatch: If an axis does not exist in the input, or its size is not known.

    Example:

    >>> layer = Normalization(axis=None)
    >>> layer.adapt(np.array([1.0, 2.0, 3.0, 4.0, 5.0], "float32"))
    >>> [round(float(y), 3) for y in layer(np.array([1.0, 3.0], "float32"))]
    [-1.414, 0.0]
    """

    config_omits = frozenset({"mean", "variance"})

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._allow_non_tensor_positional_args = True
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.invert = invert
        self.supports_masking = True
        _check_statistics(mean, variance, self.axis)
        # As arrays they are one value each; a list would become a part of the layer.
        self.input_mean = None if mean is None else np.asarray(mean)
        self.input_variance = None if variance is None else np.asarray(variance)
        self._given_statistics: tuple[jax.Array, jax.Array] | None = None

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again, as plain data."""
        statistics = {"mean": self.input_mean, "variance": self.input_variance}
        plain = {name: None if x is None else x.tolist() for name, x in statistics.items()}
        return {**super().get_config(), **plain}

    # Building

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        self._keep_axis = _kept_axes(self.axis, input_shape)
        self._reduce_axis = tuple(d for d in range(rank) if d not in self._keep_axis)
        self._broadcast_shape = tuple(input_shape[d] if d in self._keep_axis else 1 for d in range(rank))
        if self.input_mean is not None:
            mean, variance = (self._aligned(x) for x in (self.input_mean, self.input_variance))
            self._given_statistics = mean, variance
            return
        shape = tuple(input_shape[d] for d in self._keep_axis)
        self.adapt_mean = self._statistic("mean", shape, "zeros")
        self.adapt_variance = self._statistic("variance", shape, "ones")
        # Nothing reads it; files have it since versions of Keras that counted.
        self.count = self.add_weight(
            name="count", shape=(), dtype="int32", initializer="zeros", trainable=False
        )

    def _statistic(self, name: str, shape: tuple[int, ...], initializer: str) -> Any:
        return self.add_weight(name=name, shape=shape, initializer=initializer, trainable=False)

    def _aligned(self, numbers: Any) -> jax.Array:
        """Return given numbers in the shape in which they meet the inputs: their axes are the last kept ones."""
        shape = [1] * len(self._broadcast_shape)
        for size, axis in zip(reversed(numbers.shape), reversed(self._keep_axis), strict=False):
            shape[axis] = size
        try:
            whole = np.broadcast_to(numbers.reshape(shape), self._broadcast_shape)
        except ValueError:
            kept = tuple(self._broadcast_shape[d] for d in self._keep_axis)
            raise ShapeMismatch(
                f"`mean` and `variance` of shape {numbers.shape} do not fit axis {self.axis} of the input, "
                f"whose sizes are {kept}."
            ) from None
        return jnp.asarray(whole, self.compute_dtype)

    # Calling

    @property
    def mean(self) -> Any:
        """The mean as it meets the inputs; ``None`` before the layer is built."""
        return self._statistics()[0] if self.built else None

    @property
    def variance(self) -> Any:
        """The variance as it meets the inputs; ``None`` before the layer is built."""
        return self._statistics()[1] if self.built else None

    def _statistics(self) -> tuple[jax.Array, jax.Array]:
        if self._given_statistics is not None:
            return self._given_statistics
        mean, variance = (
            jnp.reshape(weight.value, self._broadcast_shape).astype(self.compute_dtype)
            for weight in (self.adapt_mean, self.adapt_variance)
        )
        return mean, variance

    def call(self, inputs: Any) -> Any:
        mean, variance = self._statistics()
        x = jnp.asarray(inputs, self.compute_dtype)
        deviation = jnp.maximum(jnp.sqrt(variance), epsilon())
        return mean + x * deviation if self.invert else (x - mean) / deviation

    # Statistics of data

    def adapt(self, data: Any) -> None:
        """Set mean and variance to those of ``data``.

        Args:
            data: An array; or batches of arrays: a list, a generator, a ``PyDataset``, a ``tf.data.Dataset``.
                Of a batch that is a tuple, as ``(x, y)``, the first part counts.

        Raises:
            InvalidArgument: If the statistics were given to the constructor, or there is no data.
            UnexpectedArgument: If ``data`` is neither an array nor batches of arrays.
            ShapeMismatch: If the kept axes of the data have other sizes than the layer was built for.
        """
        if self.input_mean is not None:
            raise InvalidArgument(
                f"Layer {self.name!r} was made with `mean` and `variance`, so there is nothing to read from data."
            )
        batches = iter([data] if is_array(data) else _batches_of(data))
        first = next(batches, None)
        if first is None:
            raise InvalidArgument("`adapt` got no batches: the data is empty.")
        if not self.built:
            self.build(tuple(first.shape))
        mean, variance = self._moments(itertools.chain([first], batches))
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)

    def finalize_state(self) -> None:
        """Let new weights count. Nothing is left to do: unlike in Keras, they count as soon as they are set."""

    def _moments(self, batches: Iterable[Any]) -> tuple[Any, Any]:
        """Return mean and variance over all batches, in one pass and in double precision."""
        mean: Any = 0.0
        variance: Any = 0.0
        count = 0
        for batch in batches:
            self._check_sizes(batch.shape)
            values = np.asarray(batch).astype("float64")
            new_mean, new_variance = (f(values, axis=self._reduce_axis) for f in (np.mean, np.var))
            size = math.prod(values.shape[d] for d in self._reduce_axis)
            count += size
            share = size / count if count else 0.0
            # Chan's update: var = sum of the parts' variances and of their means' distances, each by its share.
            variance = (1 - share) * variance + share * new_variance
            variance = variance + share * (1 - share) * (new_mean - mean) ** 2
            mean = (1 - share) * mean + share * new_mean
        return mean, variance

    def _check_sizes(self, shape: Sequence[int]) -> None:
        known = self._broadcast_shape
        if len(shape) != len(known) or any(shape[d] != known[d] for d in self._keep_axis):
            expected = tuple(known[d] if d in self._keep_axis else None for d in range(len(known)))
            raise ShapeMismatch(
                f"Layer {self.name!r} was built for data of shape {expected}, but `adapt` got data of shape "
                f"{tuple(shape)}."
            )


def _check_statistics(mean: Any, variance: Any, axis: tuple[int, ...]) -> None:
    if (mean is None) != (variance is None):
        raise InvalidArgument(
            f"`mean` and `variance` must be given together. Received: mean={mean}, variance={variance}"
        )
    shape = np.shape(mean)
    if mean is not None and shape != np.shape(variance):
        raise InvalidArgument(
            f"`mean` and `variance` must have the same shape. Received: mean of shape {shape}, variance of shape "
            f"{np.shape(variance)}"
        )
    if mean is not None and len(shape) > len(axis):
        raise InvalidArgument(
            f"`mean` has {len(shape)} axes, but there are only {len(axis)} to keep. Received: mean of shape {shape}, "
            f"axis={axis}"
        )


def _kept_axes(axes: tuple[int, ...], input_shape: Sequence[int | None]) -> tuple[int, ...]:
    """Return the axes to keep, counted from the left and in order."""
    rank = len(input_shape)
    if any(not -rank <= axis < rank for axis in axes):
        raise ShapeMismatch(
            f"Every `axis` must be from {-rank} to {rank - 1} for an input of rank {rank}. Received: axis={axes}"
        )
    kept = tuple(sorted(axis % rank for axis in axes))
    unknown = [axis for axis in kept if input_shape[axis] is None]
    if unknown:
        raise ShapeMismatch(
            f"Every `axis` with statistics of its own must have a known size. Received: axis={axes} for an input of "
            f"shape {tuple(input_shape)}, whose axis {unknown[0]} is open"
        )
    return kept


def _batches_of(data: Any) -> Iterator[Any]:
    """Yield the arrays of data that comes in batches."""
    spec = getattr(data, "element_spec", None)
    first = spec[0] if isinstance(spec, tuple) else spec
    if first is not None and len(getattr(first, "shape", (0, 0))) == 1:
        # Samples of one axis were not batched yet.
        data = data.batch(_BATCH)
    for x in batches_of(data):
        if not hasattr(x, "shape"):
            raise UnexpectedArgument(
                f"`adapt` takes batches that are arrays. Received one of type {type(x).__name__}",
                hint="Make an array of it: 'np.array(...)'.",
            )
        yield x
