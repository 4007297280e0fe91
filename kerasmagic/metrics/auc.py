"""The area under the curve of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.foundation.arguments import one_of
from kerasmagic.foundation.config import epsilon
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.metrics.confusion import are_even, as_thresholds, evenly_spaced
from kerasmagic.metrics.metric import Metric
from kerasmagic.numerics import confusion
from kerasmagic.numerics.weighting import divide_no_nan

_CURVES = {"roc": "ROC", "pr": "PR", "prgain": "PRGAIN"}


class AUC(Metric):
    """The area under a curve over thresholds, as a sum of small pieces.

    Args:
        num_thresholds: How many thresholds there are, evenly spaced from 0 to 1.
        curve: ``"ROC"``: sensitivity over 1 - specificity; ``"PR"``: precision over recall; ``"PRGAIN"``.
        summation_method: How high the curve is between two points: ``"interpolation"``, ``"majoring"``
            (the higher one) or ``"minoring"``.
        name: Its name.
        dtype: As for ``Metric``.
        thresholds: Thresholds between 0 and 1 in the place of even ones.
        multi_label: Whether each label has a curve of its own, and the result is their mean.
        num_labels: How many labels there are, when ``multi_label``; from the first batch when ``None``.
        label_weights: How much each label counts.
        from_logits: Whether predictions have still to go through a sigmoid.

    Raises:
        InvalidArgument: If an argument is impossible.

    Example:

    >>> float(AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
    0.75
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ):
        super().__init__(name=name, dtype=dtype)
        if num_labels and not multi_label:
            raise InvalidArgument("`num_labels` is needed only when `multi_label` is True.")
        self.curve = _CURVES[one_of("curve", str(curve).lower(), _CURVES)]
        methods = ("interpolation", "majoring", "minoring")
        self.summation_method = one_of("summation_method", str(summation_method).lower(), methods)
        self._given_thresholds = thresholds is not None
        self._set_thresholds(num_thresholds, thresholds)
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = None if label_weights is None else jnp.asarray(label_weights, self.dtype)
        self.from_logits = from_logits
        self._built = False
        if not multi_label or num_labels:
            self._build((num_labels,) if num_labels else ())

    def _set_thresholds(self, num_thresholds: int, thresholds: Sequence[float] | None) -> None:
        if thresholds is not None:
            inner = sorted(as_thresholds(thresholds, 0.5))
            self._even = are_even([0.0, *inner, 1.0])
        elif num_thresholds > 1:
            inner = evenly_spaced(num_thresholds)[1:-1]
            self._even = True
        else:
            raise InvalidArgument(
                f"`num_thresholds` must be an integer > 1. Received: num_thresholds={num_thresholds}"
            )
        self.num_thresholds = len(inner) + 2
        # The outermost ones lie outside, so that every score is above the first and below the last.
        self._thresholds = np.array([0.0 - epsilon(), *inner, 1.0 + epsilon()])

    @property
    def thresholds(self) -> list[float]:
        """All thresholds; the first is below 0 and the last above 1."""
        return list(self._thresholds)

    def _build(self, labels: tuple[int, ...]) -> None:
        shape = (self.num_thresholds, *labels)
        self.true_positives = self.add_variable(shape, name="true_positives")
        self.false_positives = self.add_variable(shape, name="false_positives")
        self.true_negatives = self.add_variable(shape, name="true_negatives")
        self.false_negatives = self.add_variable(shape, name="false_negatives")
        self._built = True

    def _counts(self) -> confusion.Counts:
        return confusion.Counts(*(getattr(self, name).value for name in confusion.Counts._fields))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch into account.

        Args:
            y_true: Labels 0 or 1.
            y_pred: Scores from 0 to 1, of the same shape; ``(batch, labels)`` when ``multi_label``.
            sample_weight: One weight for each sample, or one for each score.

        Raises:
            ShapeMismatch: If the shapes do not fit.
        """
        y_pred = jnp.asarray(y_pred)
        if self.multi_label and y_pred.ndim != 2:
            raise ShapeMismatch(
                f"With `multi_label`, predictions need the shape (batch, labels). Received: {y_pred.shape}"
            )
        if not self._built:
            self._build(y_pred.shape[1:])
        if self.from_logits:
            y_pred = jax.nn.sigmoid(y_pred)
        dtype = self.true_positives.dtype
        labels, scores, weights = confusion.prepare(y_true, y_pred, sample_weight, dtype)
        if self.label_weights is not None and not self.multi_label:
            weights = weights * self.label_weights
        if self._even:
            counts = confusion.count_evenly(
                labels, scores, weights, self.num_thresholds, outside=True, by_label=self.multi_label
            )
        else:
            counts = confusion.count(labels, scores, weights, self._thresholds, by_label=self.multi_label)
        for name, value in counts._asdict().items():
            variable = getattr(self, name)
            variable.assign(variable.value + value)

    def result(self) -> Any:
        """Return the area, shape ``()``; with ``multi_label`` the mean over the labels."""
        counts = self._counts()
        if (self.curve, self.summation_method) == ("PR", "interpolation"):
            areas = confusion.interpolated_precision_area(counts)
        else:
            areas = confusion.area(*confusion.curve_points(counts, self.curve), self.summation_method)
        if not self.multi_label:
            return areas
        if self.label_weights is None:
            return jnp.mean(areas)
        return divide_no_nan(jnp.sum(areas * self.label_weights), jnp.sum(self.label_weights))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again, as plain data."""
        config = super().get_config()
        weights = self.label_weights
        config["label_weights"] = None if weights is None else np.asarray(weights).tolist()
        if self._given_thresholds:
            config["thresholds"] = [float(t) for t in self._thresholds[1:-1]]
        else:
            del config["thresholds"]
        return config
