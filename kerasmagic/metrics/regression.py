"""Regression metrics that are not the mean of a loss."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from kerasmagic.foundation.arguments import one_of
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.metrics.metric import Metric
from kerasmagic.metrics.reduction import Mean
from kerasmagic.numerics.metrics import r2_scores
from kerasmagic.numerics.weighting import match_ranks


class RootMeanSquaredError(Mean):
    """The root of the mean of squared errors over all batches.

    Args are those of ``Metric``.

    Example:

    >>> float(RootMeanSquaredError()(jnp.array([0.0, 0.0]), jnp.array([3.0, 3.0])))
    3.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)

    def update_state(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Take a batch into account: ``(batch, ...), (batch, ...)``."""
        y_true, y_pred = match_ranks(jnp.asarray(y_true, self.dtype), jnp.asarray(y_pred, self.dtype))
        super().update_state(jnp.square(y_pred - y_true), sample_weight)

    def result(self) -> Any:
        """Return the root, shape ``()``."""
        return jnp.sqrt(super().result())


class R2Score(Metric):
    """The share of the labels' variance that predictions explain; 1 is best.

    Args:
        class_aggregation: How outputs are combined: ``"uniform_average"``, ``"variance_weighted_average"``,
            or ``None`` for one score an output.
        num_regressors: How many independent variables to adjust for; 0 for none.
        name: Its name.
        dtype: As for ``Metric``.

    Raises:
        InvalidArgument: If an argument is impossible.

    Example:

    >>> float(R2Score()(jnp.array([[1.0], [4.0], [3.0]]), jnp.array([[2.0], [4.0], [4.0]])))
    0.571428...
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        allowed = (None, "uniform_average", "variance_weighted_average")
        self.class_aggregation = one_of("class_aggregation", class_aggregation, allowed)
        if num_regressors < 0:
            raise InvalidArgument(f"`num_regressors` must be >= 0. Received: num_regressors={num_regressors}")
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable((), name="num_samples")
        self._built = False

    def _build(self, y_true: jax.Array, y_pred: jax.Array) -> None:
        if y_true.ndim != 2 or y_pred.ndim != 2:
            raise ShapeMismatch(
                "R2Score expects labels and predictions of shape (batch, outputs). "
                f"Received: y_true.shape={y_true.shape}, y_pred.shape={y_pred.shape}"
            )
        shape = y_pred.shape[-1:]
        self.squared_sum = self.add_variable(shape, name="squared_sum")
        self.sum = self.add_variable(shape, name="sum")
        self.total_mse = self.add_variable(shape, name="residual")
        self.count = self.add_variable(shape, name="count")
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch into account: ``(batch, outputs), (batch, outputs)``, weights ``(batch,)``.

        Raises:
            ShapeMismatch: If the shapes are others.
        """
        y_true, y_pred = match_ranks(jnp.asarray(y_true, self.dtype), jnp.asarray(y_pred, self.dtype))
        if not self._built:
            self._build(y_true, y_pred)
        weight = jnp.asarray(1 if sample_weight is None else sample_weight, self.dtype)
        weight = jnp.broadcast_to(weight[:, None] if weight.ndim == 1 else weight, y_true.shape)
        for variable, values in (
            (self.sum, y_true * weight),
            (self.squared_sum, y_true * (y_true * weight)),
            (self.total_mse, jnp.square(y_true - y_pred) * weight),
            (self.count, weight),
        ):
            variable.assign(variable.value + jnp.sum(values, axis=0))
        self.num_samples.assign(self.num_samples.value + y_true.size)

    def result(self) -> Any:
        """Return the score, shape ``()``, or ``(outputs,)`` without aggregation."""
        scores, spread = r2_scores(
            self.sum.value, self.squared_sum.value, self.total_mse.value, self.count.value
        )
        if self.class_aggregation == "uniform_average":
            scores = jnp.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = jnp.sum(spread * scores) / jnp.sum(spread)
        return self._adjusted(scores) if self.num_regressors else scores

    def _adjusted(self, scores: Any) -> Any:
        n, p = self.num_samples.value, self.num_regressors
        left = n - p - 1.0
        if not isinstance(left, Tracer) and left <= 0:
            warnings.warn(
                f"The adjusted R2 score needs more samples than {p + 1}. Falling back to the standard R2 score.",
                stacklevel=3,
            )
        adjusted = 1.0 - (1.0 - scores) * (n - 1.0) / jnp.where(left > 0, left, 1.0)
        return jnp.where(left > 0, adjusted, scores)
