"""The formulas of the metrics: labels and predictions in, one value a sample out; or counts in, a score out."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.foundation.config import epsilon, floatx
from kerasmagic.foundation.errors import ShapeMismatch
from kerasmagic.numerics.weighting import divide_no_nan, match_ranks


def _matches(a: jax.Array, b: jax.Array) -> jax.Array:
    return (a == b).astype(jnp.dtype(floatx()))


def _require_classes(y_true: Any, y_pred: jax.Array, wanted: tuple[int, ...], hint: str) -> None:
    if jnp.shape(y_true) != wanted:
        raise ShapeMismatch(
            f"Labels of shape {jnp.shape(y_true)} do not fit predictions of shape {y_pred.shape}.", hint=hint
        )


# Accuracies


def accuracy(y_true: Any, y_pred: Any) -> jax.Array:
    """Return 1 where label and prediction are equal, else 0: ``(...), (...) -> (...)``.

    >>> accuracy([1, 2, 3], [1, 5, 3]).tolist()
    [1.0, 0.0, 1.0]
    """
    y_pred = jnp.asarray(y_pred)
    return _matches(*match_ranks(jnp.asarray(y_true).astype(y_pred.dtype), y_pred))


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> jax.Array:
    """Return 1 where a probability is on its label's side of ``threshold``: ``(...), (...) -> (...)``.

    >>> binary_accuracy([1, 0], [0.6, 0.7]).tolist()
    [1.0, 0.0]
    """
    y_true, y_pred = match_ranks(jnp.asarray(y_true), jnp.asarray(y_pred))
    return _matches(y_true, (y_pred > threshold).astype(y_true.dtype))


def categorical_accuracy(y_true: Any, y_pred: Any) -> jax.Array:
    """Return 1 where the largest score is the label's: ``(..., classes), (..., classes) -> (...)``.

    Raises:
        ShapeMismatch: If labels are not one-hot.

    >>> categorical_accuracy([[0, 1], [0, 1]], [[0.1, 0.9], [0.8, 0.2]]).tolist()
    [1.0, 0.0]
    """
    y_true, y_pred = jnp.asarray(y_true), jnp.asarray(y_pred)
    hint = (
        "One-hot labels have the shape of the predictions; for class numbers: 'sparse_categorical_accuracy'."
    )
    _require_classes(y_true, y_pred, (*y_pred.shape[:-1], *y_true.shape[-1:]), hint)
    return _matches(jnp.argmax(y_true, axis=-1), jnp.argmax(y_pred, axis=-1))


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> jax.Array:
    """Return 1 where the largest score is that of the class number: ``(...), (..., classes) -> (...)``.

    Labels may have a last axis of size 1.

    Raises:
        ShapeMismatch: If there is not one class number for each sample.

    >>> sparse_categorical_accuracy([1, 1], [[0.1, 0.9], [0.8, 0.2]]).tolist()
    [1.0, 0.0]
    """
    y_pred = jnp.asarray(y_pred)
    labels = _squeeze(jnp.asarray(y_true), y_pred)
    matches = _matches(labels, jnp.argmax(y_pred, axis=-1).astype(labels.dtype))
    return matches[..., 0] if matches.ndim > 1 and matches.shape[-1] == 1 else matches


def _squeeze(labels: jax.Array, y_pred: jax.Array) -> jax.Array:
    if labels.ndim == y_pred.ndim and labels.shape[-1] == 1:
        labels = labels[..., 0]
    hint = "It needs one class number for each sample; for one-hot labels: 'categorical_accuracy'."
    _require_classes(labels, y_pred, y_pred.shape[:-1], hint)
    return labels


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> jax.Array:
    """Return 1 where the label's score is among the ``k`` largest: ``(..., classes) twice -> (...)``.

    >>> top_k_categorical_accuracy([[0, 1, 0]], [[0.5, 0.3, 0.2]], k=2).tolist()
    [1.0]
    """
    return sparse_top_k_categorical_accuracy(jnp.argmax(jnp.asarray(y_true), axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> jax.Array:
    """Return 1 where the score of the class number is among the ``k`` largest: ``(...), (..., classes) -> (...)``.

    Args:
        y_true: Class numbers.
        y_pred: Scores, or under ``from_sorted_ids`` class numbers from the best on.
        k: How many may be better or equal.
        from_sorted_ids: Whether predictions are class numbers and not scores.

    >>> sparse_top_k_categorical_accuracy([1], [[0.5, 0.3, 0.2]], k=2).tolist()
    [1.0]
    """
    y_pred = jnp.asarray(y_pred)
    labels = _squeeze(jnp.asarray(y_true), y_pred)
    if from_sorted_ids:
        found = jnp.any(labels.astype(y_pred.dtype)[..., None] == y_pred[..., :k], axis=-1)
        return found.astype(jnp.dtype(floatx()))
    own = jnp.take_along_axis(y_pred, labels.astype(jnp.int32)[..., None], axis=-1)
    # A score that is not a number is no good score.
    own = jnp.where(jnp.isnan(own), -jnp.inf, own)
    return (jnp.sum(y_pred > own, axis=-1) < k).astype(jnp.dtype(floatx()))


# Correlations


def _centered(y_true: Any, y_pred: Any, axis: Any) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    y_pred = jnp.asarray(y_pred)
    y_true, y_pred = match_ranks(jnp.asarray(y_true).astype(y_pred.dtype), y_pred)
    means = [jnp.mean(y, axis=axis, keepdims=True) for y in (y_true, y_pred)]
    return y_true - means[0], y_pred - means[1], means[0], means[1]


def pearson_correlation(y_true: Any, y_pred: Any, axis: Any = -1) -> jax.Array:
    """Return Pearson's correlation along ``axis``, from -1 to 1: ``(..., dim) -> (...)``.

    >>> round(float(pearson_correlation([[1.0, 2.0, 3.0]], [[2.0, 4.0, 6.0]])[0]), 4)
    1.0
    """
    a, b, _, _ = _centered(y_true, y_pred, axis)
    a, b = (x / jnp.std(x, axis=axis, keepdims=True) for x in (a, b))
    return jnp.mean(a * b, axis=axis)


def concordance_correlation(y_true: Any, y_pred: Any, axis: Any = -1) -> jax.Array:
    """Return Lin's concordance along ``axis``, from -1 to 1: ``(..., dim) -> (...)``; 1 only for equal values.

    >>> round(float(concordance_correlation([[1.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]])[0]), 4)
    1.0
    """
    a, b, mean_true, mean_pred = _centered(y_true, y_pred, axis)
    # The labels are centered by the mean of the predictions; the other factor has mean 0, so nothing changes.
    covariance = (a + mean_true - mean_pred) * b
    spread = jnp.var(a, axis=axis, keepdims=True) + jnp.var(b, axis=axis, keepdims=True)
    norm = spread + jnp.square(mean_true - mean_pred)
    return jnp.mean(2 * covariance / (norm + epsilon()), axis=axis)


# Scores from counts


def f_beta(
    true_positives: jax.Array, false_positives: jax.Array, false_negatives: jax.Array, beta: float
) -> jax.Array:
    """Return the mean of precision and recall that weighs recall ``beta`` times; the shape of the counts.

    >>> round(float(f_beta(jnp.array(2.0), jnp.array(1.0), jnp.array(1.0), beta=1.0)), 4)
    0.6667
    """
    precision = true_positives / (true_positives + false_positives + epsilon())
    recall = true_positives / (true_positives + false_negatives + epsilon())
    return (1 + beta**2) * (precision * recall) / (beta**2 * precision + recall + epsilon())


def confusion_matrix(y_true: Any, y_pred: Any, classes: int, weights: Any) -> jax.Array:
    """Return how often each label (row) was given each prediction (column): ``-> (classes, classes)``.

    Args:
        y_true: Class numbers, shape ``(n,)``.
        y_pred: Class numbers, shape ``(n,)``.
        classes: How many classes there are.
        weights: What each counts, shape ``(n,)``; the type of the result.

    >>> confusion_matrix(jnp.array([0, 1, 1]), jnp.array([0, 1, 0]), 2, jnp.ones(3)).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    return jnp.zeros((classes, classes), jnp.asarray(weights).dtype).at[y_true, y_pred].add(weights)


def intersection_over_union(matrix: jax.Array, class_ids: Any, axis: int = -1) -> jax.Array:
    """Return the mean over ``class_ids`` of overlap over union, from a confusion matrix: ``-> ()``.

    Classes that were neither label nor prediction do not count.

    >>> round(float(intersection_over_union(jnp.array([[1.0, 0.0], [1.0, 1.0]]), [0, 1])), 4)
    0.5
    """
    overlap = jnp.diagonal(matrix)
    union = jnp.sum(matrix, axis=0) + jnp.sum(matrix, axis=1) - overlap
    ids = jnp.asarray(class_ids, jnp.int32)
    overlap, union = (x[ids].astype(jnp.float32) for x in (overlap, union))
    present = union > 1e-9
    shares = jnp.where(present, overlap / (union + epsilon()), 0.0)
    return jnp.sum(shares, axis=axis) / (jnp.sum(present.astype(jnp.float32)) + epsilon())


def r2_scores(total: jax.Array, squares: jax.Array, residual: jax.Array, count: jax.Array) -> tuple[Any, Any]:
    """Return the share of variance explained, and the variance times ``count``; the shape of the sums.

    Args:
        total: The sum of the labels.
        squares: The sum of their squares.
        residual: The sum of the squared errors.
        count: The number of labels.
    """
    spread = squares - total * (total / count)
    scores = 1 - residual / spread
    return jnp.where(jnp.isinf(scores), 0.0, scores), spread


def ratio(part: jax.Array, rest: jax.Array) -> jax.Array:
    """Return ``part / (part + rest)``, and 0 for 0 of 0.

    >>> ratio(jnp.array([1.0, 0.0]), jnp.array([3.0, 0.0])).tolist()
    [0.25, 0.0]
    """
    return divide_no_nan(part, part + rest)
