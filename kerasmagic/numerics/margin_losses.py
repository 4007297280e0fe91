"""The formulas of losses by margin, overlap, similarity and alignment."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.foundation.config import epsilon
from kerasmagic.foundation.errors import ShapeMismatch
from kerasmagic.numerics import ctc as alignment


def _cast_pair(y_true: Any, y_pred: Any) -> tuple[jax.Array, jax.Array]:
    y_pred = jnp.asarray(y_pred)
    return jnp.asarray(y_true).astype(y_pred.dtype), y_pred


def _signed(y_true: jax.Array) -> jax.Array:
    """Return labels 0 and 1 as -1 and 1; leave labels alone that are not all 0 or 1."""
    binary = jnp.all((y_true == 0) | (y_true == 1))
    return jnp.where(binary, 2.0 * y_true - 1.0, y_true)


def hinge(y_true: Any, y_pred: Any) -> jax.Array:
    """Return ``mean(max(1 - y_true * y_pred, 0))``: ``(..., dim) -> (...)``; labels -1 and 1, or 0 and 1.

    >>> hinge([[1.0, -1.0]], [[0.5, 0.5]]).tolist()
    [1.0]
    """
    y_true, y_pred = _cast_pair(y_true, y_pred)
    return jnp.mean(jnp.maximum(1.0 - _signed(y_true) * y_pred, 0.0), axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> jax.Array:
    """Return ``mean(max(1 - y_true * y_pred, 0)**2)``: ``(..., dim) -> (...)``; labels -1 and 1, or 0 and 1.

    >>> squared_hinge([[1.0, -1.0]], [[0.5, 0.5]]).tolist()
    [1.25]
    """
    y_true, y_pred = _cast_pair(y_true, y_pred)
    return jnp.mean(jnp.square(jnp.maximum(1.0 - _signed(y_true) * y_pred, 0.0)), axis=-1)


def categorical_hinge(y_true: Any, y_pred: Any) -> jax.Array:
    """Return ``max(1 + largest wrong score - right score, 0)``: ``(..., classes) -> (...)``; labels one-hot.

    >>> categorical_hinge([[0, 1]], [[0.75, 0.5]]).tolist()
    [1.25]
    """
    y_true, y_pred = _cast_pair(y_true, y_pred)
    right = jnp.sum(y_true * y_pred, axis=-1)
    wrong = jnp.max((1.0 - y_true) * y_pred, axis=-1)
    return jnp.maximum(wrong - right + 1.0, 0.0)


def dice(y_true: Any, y_pred: Any, axis: Any = None) -> jax.Array:
    """Return ``1 - 2 * overlap / (size of labels + size of predictions)``, summed over ``axis``.

    Shape ``()`` when ``axis`` is ``None``, else that of the other axes.

    >>> round(float(dice([1.0, 0.0], [1.0, 1.0])), 4)
    0.3333
    """
    y_true, y_pred = _cast_pair(y_true, y_pred)
    overlap = jnp.sum(y_true * y_pred, axis=axis)
    return 1 - 2.0 * overlap / (jnp.sum(y_true, axis=axis) + jnp.sum(y_pred, axis=axis) + epsilon())


def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> jax.Array:
    """Return ``1 - overlap / (overlap + alpha * missed + beta * wrongly found)``, summed over ``axis``.

    Shape ``()`` when ``axis`` is ``None``, else that of the other axes.

    >>> round(float(tversky([1.0, 0.0], [1.0, 1.0], alpha=0.0, beta=1.0)), 4)
    0.5
    """
    y_true, y_pred = _cast_pair(y_true, y_pred)
    overlap = jnp.sum(y_true * y_pred, axis=axis)
    missed = jnp.sum(y_true * (1 - y_pred), axis=axis)
    wrong = jnp.sum(y_pred * (1 - y_true), axis=axis)
    return 1 - overlap / (overlap + missed * alpha + wrong * beta + epsilon())


def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80.0,
    margin: float = 0.4,
) -> jax.Array:
    """Return the circle loss of each embedding among the others: ``(batch,), (batch, dim) -> (batch,)``.

    Args:
        y_true: Class numbers, shape ``(batch,)`` or ``(batch, 1)``.
        y_pred: Embeddings of length 1, shape ``(batch, dim)``.
        ref_labels: Class numbers ``(references,)`` to compare with; the batch itself when ``None``.
        ref_embeddings: Their embeddings ``(references, dim)``.
        remove_diagonal: Whether entry ``i`` is not compared with reference ``i``.
        gamma: How strongly far pairs are weighted.
        margin: How far from perfect a pair may stay.

    >>> circle([0, 0], [[1.0, 0.0], [1.0, 0.0]]).tolist()
    [0.0, 0.0]
    """
    y_pred = jnp.asarray(y_pred)
    labels = jnp.asarray(y_true).astype(jnp.int32).reshape(-1, 1)
    references = y_pred if ref_embeddings is None else jnp.asarray(ref_embeddings)
    reference_labels = (
        labels if ref_labels is None else jnp.asarray(ref_labels).astype(jnp.int32).reshape(-1, 1)
    )
    distance = jnp.maximum(1 - y_pred @ references.T, 0.0)
    same = labels == reference_labels.T
    other = ~same
    if remove_diagonal:
        same = same & ~jnp.eye(*same.shape, dtype=bool)
    attract = -gamma * jnp.maximum(margin + distance, 0.0) * (margin - distance)
    repel = gamma * jnp.maximum(1 + margin - distance, 0.0) * (1 - margin - distance)
    return jax.nn.softplus(_logsumexp(attract, same) + _logsumexp(repel, other))


def _logsumexp(x: jax.Array, where: jax.Array) -> jax.Array:
    return jax.nn.logsumexp(jnp.where(where, x, -jnp.inf), axis=1)


def ctc(y_true: Any, y_pred: Any) -> jax.Array:
    """Return minus the log-probability of a label sequence under any alignment: ``-> (batch,)``.

    Args:
        y_true: Class numbers, shape ``(batch, labels)``; 0 is padding, and the blank of the alignment.
        y_pred: Logits, shape ``(batch, time, classes)``.

    Raises:
        ShapeMismatch: If the ranks are not 2 and 3.

    >>> import numpy as np
    >>> round(float(ctc(np.array([[1]]), np.zeros((1, 1, 2), "float32"))[0]), 4)
    0.6931
    """
    labels, logits = jnp.asarray(y_true).astype(jnp.int32), jnp.asarray(y_pred)
    if labels.ndim != 2 or logits.ndim != 3:
        raise ShapeMismatch(
            "CTC takes labels of shape (batch, labels) and logits of shape (batch, time, classes). "
            f"Received: y_true.shape={labels.shape}, y_pred.shape={logits.shape}"
        )
    label_length = jnp.sum(labels != 0, axis=-1)
    return alignment.loss(labels, logits, label_length, jnp.full(logits.shape[:1], logits.shape[1]))
