"""Metrics from true and false positives and negatives at one or more thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from kerasmagic.core.variable import Variable
from kerasmagic.foundation.arguments import fraction, positive_integer
from kerasmagic.foundation.config import epsilon
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.metrics.metric import Metric
from kerasmagic.numerics import confusion
from kerasmagic.numerics.metrics import ratio


def as_thresholds(thresholds: Any, default: float) -> list[float]:
    """Return thresholds as a list.

    Raises:
        InvalidArgument: If one is not between 0 and 1.
    """
    if thresholds is None:
        return [default]
    found = list(thresholds) if isinstance(thresholds, Sequence) else [thresholds]
    wrong = [t for t in found if t is None or not 0 <= t <= 1]
    if wrong:
        raise InvalidArgument(f"Threshold values must be in [0, 1]. Received: {wrong}")
    return found


def evenly_spaced(count: int) -> list[float]:
    """Return ``count`` numbers from 0 to 1 at equal distances."""
    inner = [(i + 1) * 1.0 / (count - 1) for i in range(count - 2)]
    return [0.0, *inner, 1.0]


def are_even(thresholds: Sequence[float]) -> bool:
    """Whether thresholds are three or more, from 0 to 1 at equal distances."""
    if len(thresholds) < 3:
        return False
    even = np.arange(len(thresholds), dtype=np.float32) / (len(thresholds) - 1)
    return bool(np.allclose(thresholds, even, atol=epsilon()))


class ConfusionMetric(Metric):
    """What the metrics of this file share: counts at thresholds, kept in variables named after them.

    The thresholds must be set before ``_make_counts``.
    """

    thresholds: Sequence[float]
    counted: ClassVar[tuple[str, ...]] = confusion.Counts._fields
    """Which counts the metric keeps, in the order of its variables."""
    top_k: int | None = None
    class_id: int | None = None

    def _make_counts(self) -> None:
        self._even = are_even(self.thresholds)
        for name in self.counted:
            setattr(self, name, self.add_variable((len(self.thresholds),), name=name))

    def _count_variable(self, name: str) -> Variable:
        return getattr(self, name)

    def _count(self, name: str) -> Any:
        return self._count_variable(name).value

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch into account.

        Args:
            y_true: Labels 0 or 1.
            y_pred: Scores from 0 to 1, of the same shape.
            sample_weight: One weight for each sample, or one for each score.

        Raises:
            ShapeMismatch: If the shapes do not fit.
        """
        counts = self._batch_counts(y_true, y_pred, sample_weight)
        for name in self.counted:
            self._count_variable(name).assign(self._count(name) + getattr(counts, name))

    def _batch_counts(self, y_true: Any, y_pred: Any, sample_weight: Any) -> confusion.Counts:
        dtype = self._count_variable(self.counted[0]).dtype
        labels, scores, weights = confusion.prepare(
            y_true, y_pred, sample_weight, dtype, self.top_k, self.class_id
        )
        if self._even:
            return confusion.count_evenly(labels, scores, weights, len(self.thresholds), outside=False)
        return confusion.count(labels, scores, weights, self.thresholds)

    def _one_or_all(self, values: Any) -> Any:
        return values[0] if len(self.thresholds) == 1 else values


class _Count(ConfusionMetric):
    """One of the four counts."""

    kind: ClassVar[str]
    counted = ("accumulator",)

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self._given = thresholds
        self.thresholds = as_thresholds(thresholds, 0.5)
        self._make_counts()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch into account; shapes as for ``ConfusionMetric``."""
        counts = self._batch_counts(y_true, y_pred, sample_weight)
        self._count_variable("accumulator").assign(self._count("accumulator") + getattr(counts, self.kind))

    def result(self) -> Any:
        """Return the count, shape ``()``, or one for each threshold."""
        return self._one_or_all(self._count("accumulator"))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again, as plain data."""
        return {**super().get_config(), "thresholds": self._given}


class TruePositives(_Count):
    """How many samples with label 1 score above the threshold.

    Args:
        thresholds: A number from 0 to 1, or several; 0.5 when ``None``.
        name: Its name.
        dtype: As for ``Metric``.

    Raises:
        InvalidArgument: If a threshold is not between 0 and 1.

    Example:

    >>> float(TruePositives()([0, 1, 1, 1], [0.9, 0.1, 0.8, 0.7]))
    2.0
    """

    kind = "true_positives"


class FalsePositives(_Count):
    """How many samples with label 0 score above the threshold; args as for ``TruePositives``."""

    kind = "false_positives"


class TrueNegatives(_Count):
    """How many samples with label 0 score at most the threshold; args as for ``TruePositives``."""

    kind = "true_negatives"


class FalseNegatives(_Count):
    """How many samples with label 1 score at most the threshold; args as for ``TruePositives``."""

    kind = "false_negatives"


class _ShareOfPositives(ConfusionMetric):
    _direction = "up"

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self._given = thresholds
        self.thresholds = as_thresholds(thresholds, 0.5 if top_k is None else confusion.LEFT_OUT)
        self.top_k = top_k
        self.class_id = class_id
        self._make_counts()

    def result(self) -> Any:
        """Return the share, shape ``()``, or one for each threshold; 0 when there is nothing to count."""
        part, rest = self.counted
        return self._one_or_all(ratio(self._count(part), self._count(rest)))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again, as plain data."""
        return {**super().get_config(), "thresholds": self._given}


class Precision(_ShareOfPositives):
    """The share of samples above the threshold that have label 1.

    Args:
        thresholds: A number from 0 to 1, or several; 0.5 when ``None``.
        top_k: How many of the best scores of a sample may be positive; all when ``None``.
        class_id: The only class to look at; all when ``None``.
        name: Its name.
        dtype: As for ``Metric``.

    Raises:
        InvalidArgument: If a threshold is not between 0 and 1.

    Example:

    >>> float(Precision()([0, 1, 1, 1], [0.9, 0.1, 0.8, 0.7]))
    0.666666...
    """

    counted = ("true_positives", "false_positives")


class Recall(_ShareOfPositives):
    """The share of samples with label 1 that are above the threshold; args as for ``Precision``.

    Example:

    >>> float(Recall()([0, 1, 1, 1], [0.9, 0.1, 0.8, 0.7]))
    0.666666...
    """

    counted = ("true_positives", "false_negatives")


class _BestUnderConstraint(ConfusionMetric):
    """The best of one share over the thresholds at which another is large enough."""

    _direction = "up"
    value_name: ClassVar[str]
    counted = ("true_positives", "false_positives", "true_negatives", "false_negatives")
    constrained: ClassVar[tuple[str, str]]
    dependent: ClassVar[tuple[str, str]]

    def _set_up(self, value: float, num_thresholds: int, class_id: int | None) -> None:
        fraction(self.value_name, value)
        self.num_thresholds = positive_integer("num_thresholds", num_thresholds)
        self.value = value
        self.class_id = class_id
        self.thresholds = [0.5] if num_thresholds == 1 else evenly_spaced(num_thresholds)
        self._make_counts()
        # Two thresholds are even too, although three are needed where the user gives them.
        self._even = num_thresholds > 1

    def result(self) -> Any:
        """Return the best share, shape ``()``."""
        constrained, dependent = (
            ratio(*(self._count(name) for name in names)) for names in (self.constrained, self.dependent)
        )
        return confusion.best_under_constraint(constrained, dependent, self.value)


_SENSITIVITY = ("true_positives", "false_negatives")
_SPECIFICITY = ("true_negatives", "false_positives")
_PRECISION = ("true_positives", "false_positives")


class SensitivityAtSpecificity(_BestUnderConstraint):
    """The best share of positives found where the share of negatives found is at least ``specificity``.

    Args:
        specificity: From 0 to 1.
        num_thresholds: How many thresholds to try.
        class_id: The only class to look at; all when ``None``.
        name: Its name.
        dtype: As for ``Metric``.

    Raises:
        InvalidArgument: If an argument is impossible.
    """

    value_name = "specificity"
    constrained, dependent = _SPECIFICITY, _SENSITIVITY

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.specificity = specificity
        self._set_up(specificity, num_thresholds, class_id)


class SpecificityAtSensitivity(_BestUnderConstraint):
    """The best share of negatives found where the share of positives found is at least ``sensitivity``.

    Args:
        sensitivity: From 0 to 1.

    The others are those of ``SensitivityAtSpecificity``.
    """

    value_name = "sensitivity"
    constrained, dependent = _SENSITIVITY, _SPECIFICITY

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.sensitivity = sensitivity
        self._set_up(sensitivity, num_thresholds, class_id)


class PrecisionAtRecall(_BestUnderConstraint):
    """The best precision where recall is at least ``recall``.

    Args:
        recall: From 0 to 1.

    The others are those of ``SensitivityAtSpecificity``.
    """

    value_name = "recall"
    constrained, dependent = _SENSITIVITY, _PRECISION

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.recall = recall
        self._set_up(recall, num_thresholds, class_id)


class RecallAtPrecision(_BestUnderConstraint):
    """The best recall where precision is at least ``precision``.

    Args:
        precision: From 0 to 1.

    The others are those of ``SensitivityAtSpecificity``.
    """

    value_name = "precision"
    constrained, dependent = _PRECISION, _SENSITIVITY

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.precision = precision
        self._set_up(precision, num_thresholds, class_id)
