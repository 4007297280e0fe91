"""The share of predictions that are right, by what "right" means."""

from __future__ import annotations

from typing import Any

from kerasmagic.metrics.reduction import FunctionMetric
from kerasmagic.numerics import metrics as numerics


class Accuracy(FunctionMetric):
    """The share of predictions that equal their label.

    Args are those of ``Metric``.

    Example:

    >>> float(Accuracy()([1, 2, 3, 4], [1, 2, 3, 0]))
    0.75
    """

    function = staticmethod(numerics.accuracy)
    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)


class BinaryAccuracy(FunctionMetric):
    """The share of probabilities on the right side of a threshold.

    Args:
        name: Its name.
        dtype: As for ``Metric``.
        threshold: What a probability must exceed to mean label 1.

    Example:

    >>> float(BinaryAccuracy()([1, 1, 0, 0], [0.9, 0.4, 0.1, 0.2]))
    0.75
    """

    function = staticmethod(numerics.binary_accuracy)
    _direction = "up"

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5):
        super().__init__(name=name, dtype=dtype)
        self.threshold = threshold


class CategoricalAccuracy(FunctionMetric):
    """The share of samples whose largest score is that of their one-hot label.

    Args are those of ``Metric``.
    """

    function = staticmethod(numerics.categorical_accuracy)
    _direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)


class SparseCategoricalAccuracy(FunctionMetric):
    """The share of samples whose largest score is that of their class number.

    Args are those of ``Metric``.
    """

    function = staticmethod(numerics.sparse_categorical_accuracy)
    _direction = "up"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)


class TopKCategoricalAccuracy(FunctionMetric):
    """The share of samples whose one-hot label has one of the ``k`` largest scores.

    Args:
        k: How many scores count as right.
        name: Its name.
        dtype: As for ``Metric``.
    """

    function = staticmethod(numerics.top_k_categorical_accuracy)
    _direction = "up"

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.k = k


class SparseTopKCategoricalAccuracy(FunctionMetric):
    """The share of samples whose class number has one of the ``k`` largest scores.

    Args:
        k: How many scores count as right.
        name: Its name.
        dtype: As for ``Metric``.
        from_sorted_ids: Whether predictions are class numbers from the best on, and not scores.
    """

    function = staticmethod(numerics.sparse_top_k_categorical_accuracy)
    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ):
        super().__init__(name=name, dtype=dtype)
        self.k = k
        self.from_sorted_ids = from_sorted_ids
