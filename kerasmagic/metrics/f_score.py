"""F-scores: precision and recall in one number."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.foundation.arguments import one_of
from kerasmagic.foundation.config import epsilon
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.metrics.metric import Metric
from kerasmagic.numerics.metrics import f_beta


class FBetaScore(Metric):
    """The mean of precision and recall that weighs recall ``beta`` times.

    Args:
        average: How classes are combined: ``"micro"`` counts all samples together, ``"macro"`` takes the mean
            of the classes, ``"weighted"`` one by their frequency; ``None`` gives one score a class.
        beta: The weight of recall.
        threshold: What a score must exceed to be positive; only the largest one is when ``None``.
        name: Its name.
        dtype: As for ``Metric``.

    Raises:
        InvalidArgument: If an argument is impossible.

    Example:

    >>> y_true = jnp.array([[1, 1, 1], [1, 0, 0], [1, 1, 0]])
    >>> y_pred = jnp.array([[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]])
    >>> [round(float(x), 4) for x in FBetaScore(beta=2.0, threshold=0.5)(y_true, y_pred)]
    [0.3846, 0.9091, 0.8333]
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.average = one_of("average", average, (None, "micro", "macro", "weighted"))
        if not isinstance(beta, float) or beta <= 0:
            raise InvalidArgument(f"`beta` must be a float > 0. Received: beta={beta!r}")
        if threshold is not None and not (isinstance(threshold, float) and 0 < threshold <= 1):
            raise InvalidArgument(
                f"`threshold` must be a float above 0 and at most 1. Received: threshold={threshold!r}"
            )
        self.beta = beta
        self.threshold = threshold
        self._built = False

    def _build(self, y_true: jax.Array, y_pred: jax.Array) -> None:
        if y_true.ndim != 2 or y_pred.ndim != 2:
            raise ShapeMismatch(
                f"{type(self).__name__} expects labels and predictions of shape (batch, classes). "
                f"Received: y_true.shape={y_true.shape}, y_pred.shape={y_pred.shape}"
            )
        shape = () if self.average == "micro" else y_pred.shape[-1:]
        self.true_positives = self.add_variable(shape, dtype=self.dtype, name="true_positives")
        self.false_positives = self.add_variable(shape, dtype=self.dtype, name="false_positives")
        self.false_negatives = self.add_variable(shape, dtype=self.dtype, name="false_negatives")
        self.intermediate_weights = self.add_variable(shape, dtype=self.dtype, name="intermediate_weights")
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch into account: ``(batch, classes), (batch, classes)``, weights ``(batch,)``.

        Raises:
            ShapeMismatch: If the shapes are others.
        """
        y_true, y_pred = jnp.asarray(y_true, self.dtype), jnp.asarray(y_pred, self.dtype)
        if not self._built:
            self._build(y_true, y_pred)
        if self.threshold is None:
            positive = (y_pred >= jnp.max(y_pred, axis=-1, keepdims=True)) & (jnp.abs(y_pred) > 1e-9)
        else:
            positive = y_pred > self.threshold
        found = positive.astype(self.dtype)
        weight = 1.0 if sample_weight is None else jnp.asarray(sample_weight, self.dtype).reshape(-1, 1)
        axis = None if self.average == "micro" else 0
        for variable, values in (
            (self.true_positives, found * y_true),
            (self.false_positives, found * (1 - y_true)),
            (self.false_negatives, (1 - found) * y_true),
            (self.intermediate_weights, y_true),
        ):
            variable.assign(variable.value + jnp.sum(values * weight, axis=axis))

    def result(self) -> Any:
        """Return the score, shape ``()``, or ``(classes,)`` without an average."""
        scores = f_beta(
            self.true_positives.value, self.false_positives.value, self.false_negatives.value, self.beta
        )
        if self.average == "weighted":
            weights = self.intermediate_weights.value
            return jnp.sum(scores * (weights / (jnp.sum(weights) + epsilon())))
        return scores if self.average is None else jnp.mean(scores)


class F1Score(FBetaScore):
    """The harmonic mean of precision and recall.

    Args:
        average: As for ``FBetaScore``.
        threshold: As for ``FBetaScore``.
        name: Its name.
        dtype: As for ``Metric``.

    Raises:
        InvalidArgument: If an argument is impossible.
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ):
        super().__init__(average=average, beta=1.0, threshold=threshold, name=name, dtype=dtype)
