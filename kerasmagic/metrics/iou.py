"""Intersection over union: how well predicted regions cover the labelled ones."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.metrics.metric import Metric
from kerasmagic.numerics.metrics import confusion_matrix, intersection_over_union


class IoU(Metric):
    """The mean over some classes of overlap over union.

    Args:
        num_classes: How many classes there are.
        target_class_ids: The classes to take the mean of.
        name: Its name.
        dtype: The type to count in; int32 when ``None``. Give a float type for weights that are not whole.
        ignore_class: A label that does not count.
        sparse_y_true: Whether labels are class numbers; else scores along ``axis``.
        sparse_y_pred: Whether predictions are class numbers; else scores along ``axis``.
        axis: The axis of scores.

    Raises:
        InvalidArgument: If a class number is not below ``num_classes``.

    Example:

    >>> round(float(IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(name=name, dtype=dtype or "int32")
        if max(target_class_ids) >= num_classes:
            raise InvalidArgument(
                f"Target class id {max(target_class_ids)} is out of range: there are {num_classes} classes."
            )
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.total_cm = self.add_variable(
            (num_classes, num_classes), dtype=self.dtype, name="total_confusion_matrix"
        )

    def _classes(self, y: Any, sparse: bool) -> jax.Array:
        y = jnp.asarray(y)
        return (y if sparse else jnp.argmax(y, axis=self.axis)).reshape(-1).astype(jnp.int32)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch into account: class numbers or scores of any shape, weights for each number."""
        labels, found = self._classes(y_true, self.sparse_y_true), self._classes(y_pred, self.sparse_y_pred)
        if "float" in str(getattr(sample_weight, "dtype", "")) and "int" in self.dtype:
            warnings.warn(
                f"Float weights are cut to whole numbers, because metric {self.name!r} counts in {self.dtype}: "
                "give it a float `dtype`.",
                stacklevel=2,
            )
        weights = jnp.asarray(1 if sample_weight is None else sample_weight, self.dtype)
        weights = jnp.broadcast_to(weights.reshape(-1) if weights.ndim > 1 else weights, labels.shape)
        n = self.num_classes
        counts = (labels >= 0) & (labels < n) & (found >= 0) & (found < n)
        if self.ignore_class is not None:
            counts = counts & (labels != self.ignore_class)
        labels, found, weights = (jnp.where(counts, x, 0) for x in (labels, found, weights))
        self.total_cm.assign(self.total_cm.value + confusion_matrix(labels, found, n, weights))

    def result(self) -> Any:
        """Return the mean overlap over union, shape ``()``."""
        return intersection_over_union(self.total_cm.value, self.target_class_ids)


class BinaryIoU(IoU):
    """Overlap over union of labels 0 and 1, predictions cut at a threshold.

    Args:
        target_class_ids: Which of 0 and 1 to take the mean of.
        threshold: From where on a prediction means 1.
        name: Its name.
        dtype: As for ``IoU``.
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(num_classes=2, target_class_ids=target_class_ids, name=name, dtype=dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch into account: labels and probabilities of any shape."""
        super().update_state(y_true, jnp.asarray(y_pred, jnp.float32) >= self.threshold, sample_weight)


class MeanIoU(IoU):
    """The mean over all classes of overlap over union.

    Args are those of ``IoU`` without ``target_class_ids``.
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(
            num_classes=num_classes,
            target_class_ids=range(num_classes),
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=sparse_y_true,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )


class OneHotIoU(IoU):
    """Overlap over union of one-hot labels.

    Args are those of ``IoU`` without ``sparse_y_true``.
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            num_classes=num_classes,
            target_class_ids=target_class_ids,
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )


class OneHotMeanIoU(MeanIoU):
    """The mean over all classes of overlap over union of one-hot labels.

    Args are those of ``IoU`` without ``target_class_ids`` and ``sparse_y_true``.
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            num_classes=num_classes,
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )
