"""Metrics that are a mean or a sum over samples, of values or of what a function makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp

from kerasmagic.core.attribute_config import attribute_values
from kerasmagic.core.masking import get_keras_mask
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.foundation.registry import LOSSES
from kerasmagic.metrics.metric import Metric
from kerasmagic.numerics.weighting import divide_no_nan, merge_mask, reduce_to_samples


def _to_samples(values: Any, sample_weight: Any, how: Callable[..., Any], dtype: str) -> tuple[Any, Any]:
    if sample_weight is not None:
        sample_weight = merge_mask(sample_weight, get_keras_mask(values), dtype)
    return reduce_to_samples(values, sample_weight, how, dtype)


class Sum(Metric):
    """The weighted sum of all values.

    Args:
        name: Its name.
        dtype: As for ``Metric``.

    Example:

    >>> metric = Sum()
    >>> metric.update_state([1.0, 3.0, 5.0])
    >>> float(metric.result())
    9.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), dtype=self.dtype, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values ``(batch, ...)``, each times its weight."""
        values, _ = _to_samples(values, sample_weight, jnp.sum, self.dtype)
        self.total.assign(self.total.value + jnp.sum(values))

    def result(self) -> Any:
        """Return the sum, shape ``()``."""
        return self.total.value


class Mean(Metric):
    """The weighted mean of all values.

    Args:
        name: Its name.
        dtype: As for ``Metric``.

    Example:

    >>> metric = Mean()
    >>> metric.update_state([1.0, 3.0], sample_weight=[1.0, 3.0])
    >>> float(metric.result())
    2.5
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), dtype=self.dtype, name="total")
        self.count = self.add_variable((), dtype=self.dtype, name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take values ``(batch, ...)`` into account, each with its weight."""
        values, weights = _to_samples(values, sample_weight, jnp.mean, self.dtype)
        self.total.assign(self.total.value + jnp.sum(values))
        samples = (values.shape[0] if values.ndim else 1) if weights is None else jnp.sum(weights)
        self.count.assign(self.count.value + jnp.asarray(samples, self.dtype))

    def result(self) -> Any:
        """Return the mean, shape ``()``; 0 when there were no samples."""
        return divide_no_nan(self.total.value, self.count.value)


class MeanMetricWrapper(Mean):
    """The weighted mean of what a function makes of labels and predictions.

    Args:
        fn: A function ``(y_true, y_pred) -> values``; ``(batch, ...), (batch, ...) -> (batch, ...)``.
        name: Its name.
        dtype: As for ``Metric``.
        kwargs: More arguments of the function.

    Example:

    >>> metric = MeanMetricWrapper(lambda y_true, y_pred: abs(y_true - y_pred), name="distance")
    >>> metric.update_state(jnp.array([1.0, 2.0]), jnp.array([1.0, 4.0]))
    >>> float(metric.result())
    1.0
    """

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any):
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs
        if LOSSES.name_of(fn) or LOSSES.name_of(type(fn)):
            self._direction = "down"

    def values_of(self, y_true: Any, y_pred: Any) -> Any:
        """Return the values whose mean is taken: ``(batch, ...)``."""
        return self._fn(y_true, y_pred, **self._fn_kwargs)

    # Keras' classes are related in this way, although the arguments are others.
    def update_state(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Take a batch into account; a mask that the predictions carry is respected.

        Args:
            y_true: Labels ``(batch, ...)``.
            y_pred: Predictions ``(batch, ...)``.
            sample_weight: One weight for each sample, or one for each value.
        """
        weights = merge_mask(sample_weight, get_keras_mask(y_pred), self.dtype)
        super().update_state(self.values_of(y_true, y_pred), weights)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again, as plain data."""
        own = serialize_keras_object({"fn": self._fn, **self._fn_kwargs})
        return {"name": self.name, "dtype": self.dtype, **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a metric from what ``get_config`` returned."""
        return cls(**(deserialize_keras_object(config) if "fn" in config else config))


class FunctionMetric(MeanMetricWrapper):
    """A metric of the library: a pure function, and its options as attributes of their names."""

    function: ClassVar[Callable[..., Any]]

    def __init__(self, name: str | None = None, dtype: Any = None):
        super().__init__(type(self).function, name=name, dtype=dtype)

    def values_of(self, y_true: Any, y_pred: Any) -> Any:
        return type(self).function(y_true, y_pred, **attribute_values(self, omit=("name", "dtype")))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again, as plain data."""
        return Metric.get_config(self)
