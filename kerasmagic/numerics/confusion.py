"""True and false positives and negatives at many thresholds, and the areas under their curves."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kerasmagic.foundation.errors import ShapeMismatch
from kerasmagic.numerics.weighting import divide_no_nan, match_ranks

LEFT_OUT = -1e10
"""The score of classes that are not among the best: below every threshold."""


class Counts(NamedTuple):
    """Weighted counts at each threshold: ``(thresholds,)``, or ``(thresholds, labels)`` by label."""

    true_positives: jax.Array
    false_positives: jax.Array
    true_negatives: jax.Array
    false_negatives: jax.Array


def prepare(
    y_true: Any,
    y_pred: Any,
    sample_weight: Any,
    dtype: Any,
    top_k: int | None = None,
    class_id: int | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return labels (booleans), scores and weights of one shape.

    Args:
        y_true: Labels 0 or 1.
        y_pred: Scores from 0 to 1; the shape of the labels, or one axis of size 1 more or less.
        sample_weight: A weight for each sample, or for each score, or ``None``.
        dtype: The type to compute in.
        top_k: How many of the best scores along the last axis may be positive; all when ``None``.
        class_id: The only class to look at; all when ``None``.

    Raises:
        ShapeMismatch: If the shapes do not fit, or ``class_id`` is given without an axis of classes.
    """
    y_pred, y_true = match_ranks(jnp.asarray(y_pred, dtype), jnp.asarray(y_true, dtype))
    if top_k is not None:
        y_pred = only_top_k(y_pred, top_k)
    if class_id is not None:
        if y_pred.ndim == 1:
            raise ShapeMismatch(
                f"With `class_id`, predictions need the shape (samples, classes). Received: {y_pred.shape}"
            )
        y_true, y_pred = y_true[..., class_id, None], y_pred[..., class_id, None]
    if y_true.shape != y_pred.shape:
        raise ShapeMismatch(f"Labels of shape {y_true.shape} do not fit predictions of shape {y_pred.shape}.")
    weights = (
        jnp.ones((), dtype) if sample_weight is None else _spread(jnp.asarray(sample_weight, dtype), y_pred)
    )
    return y_true.astype(bool), y_pred, jnp.broadcast_to(weights, y_pred.shape)


def _spread(weights: jax.Array, y_pred: jax.Array) -> jax.Array:
    """Give weights of leading axes the rank of the predictions."""
    if weights.ndim == y_pred.ndim + 1 and weights.shape[-1] == 1:
        weights = weights[..., 0]
    return weights.reshape(weights.shape + (1,) * max(y_pred.ndim - weights.ndim, 0))


def only_top_k(scores: jax.Array, k: int) -> jax.Array:
    """Return the ``k`` largest scores along the last axis where they were, and ``LEFT_OUT`` elsewhere.

    >>> only_top_k(jnp.array([[0.1, 0.7, 0.2]]), 2).tolist()
    [[-10000000000.0, 0.7, 0.2]]
    """
    _, best = jax.lax.top_k(scores, k)
    kept = jnp.sum(jax.nn.one_hot(best, scores.shape[-1]), axis=-2) > 0
    return jnp.where(kept, scores, LEFT_OUT)


def count(
    labels: jax.Array, scores: jax.Array, weights: jax.Array, thresholds: Any, by_label: bool = False
) -> Counts:
    """Count at each threshold; a score above it is positive.

    Args:
        labels: Booleans of any shape; ``(samples, labels)`` with ``by_label``.
        scores: Floats of that shape.
        weights: What each counts; floats of that shape.
        thresholds: Shape ``(thresholds,)``.
        by_label: Whether to count each label on its own.

    >>> one = jnp.ones(2)
    >>> [c.tolist() for c in count(jnp.array([True, False]), jnp.array([0.9, 0.6]), one, jnp.array([0.5, 0.7]))]
    [[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    """
    thresholds = jnp.asarray(thresholds, scores.dtype)
    if not by_label:
        labels, scores, weights = (x.reshape(-1, 1) for x in (labels, scores, weights))
    # (thresholds, samples, labels)
    positive = scores[None] > thresholds[:, None, None]
    return _sums(positive, labels, weights, by_label)


def _sums(positive: jax.Array, labels: jax.Array, weights: jax.Array, by_label: bool) -> Counts:
    of_true = jnp.where(labels, weights, 0)
    of_false = jnp.where(labels, 0, weights)
    true_positives = jnp.sum(jnp.where(positive, of_true[None], 0), axis=1)
    false_positives = jnp.sum(jnp.where(positive, of_false[None], 0), axis=1)
    counts = Counts(
        true_positives,
        false_positives,
        jnp.sum(of_false, axis=0) - false_positives,
        jnp.sum(of_true, axis=0) - true_positives,
    )
    return counts if by_label else Counts(*(c[:, 0] for c in counts))


def count_evenly(
    labels: jax.Array,
    scores: jax.Array,
    weights: jax.Array,
    thresholds: int,
    outside: bool,
    by_label: bool = False,
) -> Counts:
    """Count at evenly spaced thresholds from 0 to 1, in time that does not grow with their number.

    Each score goes into the bucket between two thresholds; what is above a threshold is the sum of the
    buckets above it.

    Args:
        labels: As for ``count``.
        scores: As for ``count``; clipped to 0 to 1.
        weights: As for ``count``.
        thresholds: How many there are.
        outside: Whether the first threshold is below 0, so that a score of 0 is above it.
        by_label: As for ``count``.
    """
    scores = jnp.clip(scores, 0.0, 1.0)
    bucket = jnp.ceil(scores * (thresholds - 1)) - 1
    bucket = (jnp.maximum(bucket, 0) if outside else bucket).astype(jnp.int32)
    if not by_label:
        labels, bucket, weights = (x.reshape(-1, 1) for x in (labels, bucket, weights))

    def above(amounts: jax.Array) -> jax.Array:
        # Bucket -1 is above no threshold: give it a place of its own, that is not summed.
        place = jnp.where(bucket < 0, thresholds, bucket)
        columns = jnp.broadcast_to(jnp.arange(place.shape[1]), place.shape)
        filled = jnp.zeros((thresholds + 1, place.shape[1]), amounts.dtype).at[place, columns].add(amounts)
        return jnp.cumsum(filled[:thresholds][::-1], axis=0)[::-1]

    of_true, of_false = jnp.where(labels, weights, 0), jnp.where(labels, 0, weights)
    true_positives, false_positives = above(of_true), above(of_false)
    counts = Counts(
        true_positives,
        false_positives,
        jnp.sum(of_false, axis=0) - false_positives,
        jnp.sum(of_true, axis=0) - true_positives,
    )
    return counts if by_label else Counts(*(c[:, 0] for c in counts))


def best_under_constraint(constrained: jax.Array, dependent: jax.Array, least: float) -> jax.Array:
    """Return the largest ``dependent`` where ``constrained`` is at least ``least``; 0 if nowhere.

    >>> float(best_under_constraint(jnp.array([0.2, 0.6]), jnp.array([0.9, 0.5]), 0.5))
    0.5
    """
    return jnp.max(jnp.where(constrained >= least, dependent, 0), initial=0)


# Areas under curves: one for each label, or one


def curve_points(counts: Counts, curve: str) -> tuple[jax.Array, jax.Array]:
    """Return the points ``(x, y)`` of a curve at each threshold: "ROC", "PR" or "PRGAIN"; shapes of the counts."""
    tp, fp, tn, fn = counts
    recall = divide_no_nan(tp, tp + fn)
    if curve == "ROC":
        return divide_no_nan(fp, fp + tn), recall
    if curve == "PR":
        return recall, divide_no_nan(tp, tp + fp)
    odds = divide_no_nan(tp + fn, tn + fp)
    recall_gain = jnp.where(tp == 0.0, 0.0, 1.0 - odds * divide_no_nan(fn, tp))
    precision_gain = jnp.where(tp == 0.0, 1.0, 1.0 - odds * divide_no_nan(fp, tp))
    return jnp.maximum(recall_gain, 0.0), precision_gain


def area(x: jax.Array, y: jax.Array, method: str) -> jax.Array:
    """Return the area under points with falling ``x``, along the first axis.

    Args:
        x: Shape ``(points, ...)``.
        y: Shape ``(points, ...)``.
        method: How high it is between two points: "interpolation" (half-way), "majoring", "minoring".

    >>> float(area(jnp.array([1.0, 0.0]), jnp.array([1.0, 0.5]), "interpolation"))
    0.75
    """
    left, right = y[:-1], y[1:]
    heights = {
        "interpolation": lambda: (left + right) / 2.0,
        "majoring": lambda: jnp.maximum(left, right),
        "minoring": lambda: jnp.minimum(left, right),
    }[method]()
    return jnp.sum((x[:-1] - x[1:]) * heights, axis=0)


def interpolated_precision_area(counts: Counts) -> jax.Array:
    """Return the area under precision over recall, true positives taken as linear between two thresholds.

    Precision itself is no straight line there (Davis and Goadrich, 2006): with the slope ``s`` of the
    true positives over all positives ``p`` and the intercept ``t``, it is ``s + t / p``, integrated exactly.
    """
    tp, positives = counts.true_positives, counts.true_positives + counts.false_positives
    gained = tp[:-1] - tp[1:]
    slope = divide_no_nan(gained, jnp.maximum(positives[:-1] - positives[1:], 0))
    intercept = tp[1:] - slope * positives[1:]
    both = (positives[:-1] > 0) & (positives[1:] > 0)
    growth = jnp.where(both, divide_no_nan(positives[:-1], jnp.maximum(positives[1:], 0)), 1.0)
    actual = jnp.maximum(tp[1:] + counts.false_negatives[1:], 0)
    return jnp.sum(divide_no_nan(slope * (gained + intercept * jnp.log(growth)), actual), axis=0)
