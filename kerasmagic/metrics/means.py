"""Metrics that are the mean of a loss, or of another function of label and prediction."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from kerasmagic.core.masking import set_keras_mask
from kerasmagic.metrics.reduction import FunctionMetric
from kerasmagic.numerics import losses as numerics
from kerasmagic.numerics import margin_losses as margin
from kerasmagic.numerics import metrics as own


class MeanSquaredError(FunctionMetric):
    """Mean of squared errors.

    Args are those of ``Metric``.
    """

    function = staticmethod(numerics.mean_squared_error)
    _direction = "down"

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)


class MeanAbsoluteError(FunctionMetric):
    """Mean of absolute errors.

    Args are those of ``Metric``.
    """

    function = staticmethod(numerics.mean_absolute_error)
    _direction = "down"

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)


class MeanAbsolutePercentageError(FunctionMetric):
    """Mean of errors in percent of the label.

    Args are those of ``Metric``.
    """

    function = staticmethod(numerics.mean_absolute_percentage_error)
    _direction = "down"

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)


class MeanSquaredLogarithmicError(FunctionMetric):
    """Mean of squared differences of ``log(1 + y)``.

    Args are those of ``Metric``.
    """

    function = staticmethod(numerics.mean_squared_logarithmic_error)
    _direction = "down"

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)


class LogCoshError(FunctionMetric):
    """Mean of ``log(cosh(y_pred - y_true))``.

    Args are those of ``Metric``.
    """

    function = staticmethod(numerics.log_cosh)
    _direction = "down"

    def __init__(self, name: str | None = "logcosh", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)


class Hinge(FunctionMetric):
    """Mean of ``max(1 - y_true * y_pred, 0)``.

    Args are those of ``Metric``.
    """

    function = staticmethod(margin.hinge)
    _direction = "down"

    def __init__(self, name: str | None = "hinge", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)


class SquaredHinge(FunctionMetric):
    """Mean of ``max(1 - y_true * y_pred, 0)**2``.

    Args are those of ``Metric``.
    """

    function = staticmethod(margin.squared_hinge)
    _direction = "down"

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)


class CategoricalHinge(FunctionMetric):
    """How far the right score is from beating every wrong one by 1.

    Args are those of ``Metric``.
    """

    function = staticmethod(margin.categorical_hinge)
    _direction = "down"

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)


class KLDivergence(FunctionMetric):
    """Kullback-Leibler divergence of the prediction from the label.

    Args are those of ``Metric``.
    """

    function = staticmethod(numerics.kl_divergence)
    _direction = "down"

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)


class Poisson(FunctionMetric):
    """Negative log-likelihood of counts under a Poisson distribution.

    Args are those of ``Metric``.
    """

    function = staticmethod(numerics.poisson)
    _direction = "down"

    def __init__(self, name: str | None = "poisson", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)


class CosineSimilarity(FunctionMetric):
    """The cosine of the angle between label and prediction; unlike the loss, 1 is most alike.

    Args:
        name: Its name.
        dtype: As for ``Metric``.
        axis: The axis that is compared.
    """

    function = staticmethod(numerics.cosine_of)
    _direction = "up"

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1):
        super().__init__(name=name, dtype=dtype)
        self.axis = axis


class PearsonCorrelation(FunctionMetric):
    """Mean of Pearson's correlation of label and prediction.

    Args:
        name: Its name.
        dtype: As for ``Metric``.
        axis: The axis that is compared.
    """

    function = staticmethod(own.pearson_correlation)
    _direction = "up"

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1):
        super().__init__(name=name, dtype=dtype)
        self.axis = axis


class ConcordanceCorrelation(FunctionMetric):
    """Mean of Lin's concordance of label and prediction.

    Args:
        name: Its name.
        dtype: As for ``Metric``.
        axis: The axis that is compared.
    """

    function = staticmethod(own.concordance_correlation)
    _direction = "up"

    def __init__(self, name: str | None = "concordance_correlation", dtype: Any = None, axis: int = -1):
        super().__init__(name=name, dtype=dtype)
        self.axis = axis


class BinaryCrossentropy(FunctionMetric):
    """Mean of the crossentropy of labels 0 and 1.

    Args:
        name: Its name.
        dtype: As for ``Metric``.
        from_logits: Whether predictions have still to go through a sigmoid.
        label_smoothing: How far labels are drawn towards 0.5.
    """

    function = staticmethod(numerics.binary_crossentropy)
    _direction = "down"

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ):
        super().__init__(name=name, dtype=dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing


class CategoricalCrossentropy(FunctionMetric):
    """Mean of the crossentropy of one-hot labels.

    Args:
        name: Its name.
        dtype: As for ``Metric``.
        from_logits: Whether predictions have still to go through a softmax.
        label_smoothing: The share of a label that is spread evenly over all classes.
        axis: The axis of the classes.
    """

    function = staticmethod(numerics.categorical_crossentropy)
    _direction = "down"

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ):
        super().__init__(name=name, dtype=dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class SparseCategoricalCrossentropy(FunctionMetric):
    """Mean of the crossentropy of class numbers.

    Args:
        name: Its name.
        dtype: As for ``Metric``.
        from_logits: Whether predictions have still to go through a softmax.
        ignore_class: A label whose loss is 0, and whose weight does not count where there are weights.
        axis: The axis of the classes.
    """

    function = staticmethod(numerics.sparse_categorical_crossentropy)
    _direction = "down"

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ):
        super().__init__(name=name, dtype=dtype)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def values_of(self, y_true: Any, y_pred: Any) -> Any:
        values = super().values_of(y_true, y_pred)
        if self.ignore_class is not None:
            labels = numerics.squeeze_labels(y_true, jnp.asarray(y_pred), self.axis)
            set_keras_mask(values, labels != self.ignore_class)
        return values
