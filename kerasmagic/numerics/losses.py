"""The formulas of the losses: labels and predictions in, one loss a sample out.

Labels are cast to the type of the predictions. Shapes are given as ``(..., dim)``:
any number of leading axes. ``epsilon`` is ``kerasmagic.config.epsilon()``.
"""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.foundation.config import epsilon
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.numerics.weighting import match_ranks


def _cast_pair(y_true: Any, y_pred: Any) -> tuple[jax.Array, jax.Array]:
    y_pred = jnp.asarray(y_pred)
    return jnp.asarray(y_true).astype(y_pred.dtype), y_pred


def _aligned_pair(y_true: Any, y_pred: Any) -> tuple[jax.Array, jax.Array]:
    y_true, y_pred = match_ranks(*_cast_pair(y_true, y_pred))
    _check_broadcast(y_true, y_pred)
    return y_true, y_pred


def _check_broadcast(y_true: jax.Array, y_pred: jax.Array) -> None:
    if y_true.ndim == 0 or y_pred.ndim == 0:
        return
    try:
        fits = y_true.ndim == y_pred.ndim and bool(jnp.broadcast_shapes(y_true.shape, y_pred.shape))
    except ValueError:
        fits = False
    if not fits:
        raise ShapeMismatch(
            f"Labels of shape {y_true.shape} do not fit predictions of shape {y_pred.shape}.",
            hint=_what_fits(y_true, y_pred),
        )


def _what_fits(y_true: jax.Array, y_pred: jax.Array) -> str:
    if _one_label_a_sample(y_true, y_pred):
        return (
            f"If the labels are integers, classes from 0 to {y_pred.shape[-1] - 1}: use "
            "'sparse_categorical_crossentropy'. If they are quantities, the last layer needs one output."
        )
    return (
        f"Give the labels the shape of the predictions, {y_pred.shape}, or change the size of the last layer."
    )


def _one_label_a_sample(y_true: jax.Array, y_pred: jax.Array) -> bool:
    many = y_pred.ndim > 0 and y_pred.shape[-1] != 1
    return many and (y_true.shape == y_pred.shape[:-1] or y_true.shape == (*y_pred.shape[:-1], 1))


def _check_one_hot(y_true: jax.Array, y_pred: jax.Array) -> None:
    if y_true.shape == y_pred.shape and y_pred.ndim > 0:
        return
    if _one_label_a_sample(y_true, y_pred):
        hint = (
            "The labels are integers: use 'sparse_categorical_crossentropy', or make them one-hot "
            f"with shape {y_pred.shape}."
        )
    else:
        hint = f"One-hot labels for it have the shape {y_pred.shape}."
    raise ShapeMismatch(
        f"The loss needs labels and predictions of one shape. Received labels of shape {y_true.shape} "
        f"and predictions of shape {y_pred.shape}.",
        hint=hint,
    )


# Regression


def mean_squared_error(y_true: Any, y_pred: Any) -> jax.Array:
    """Return ``mean((y_true - y_pred)**2)`` over the last axis: ``(..., dim) -> (...)``.

    Raises:
        ShapeMismatch: If labels and predictions do not fit each other.

    >>> mean_squared_error([[0.0, 1.0]], [[1.0, 1.0]]).tolist()
    [0.5]
    """
    y_true, y_pred = _aligned_pair(y_true, y_pred)
    return jnp.mean(jnp.square(y_true - y_pred), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> jax.Array:
    """Return ``mean(abs(y_true - y_pred))`` over the last axis: ``(..., dim) -> (...)``.

    Raises:
        ShapeMismatch: If labels and predictions do not fit each other.

    >>> mean_absolute_error([[0.0, 1.0]], [[1.0, 1.0]]).tolist()
    [0.5]
    """
    y_true, y_pred = _aligned_pair(y_true, y_pred)
    return jnp.mean(jnp.abs(y_true - y_pred), axis=-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> jax.Array:
    """Return ``100 * mean(abs(y_true - y_pred) / max(abs(y_true), epsilon))``: ``(..., dim) -> (...)``.

    Raises:
        ShapeMismatch: If labels and predictions do not fit each other.

    >>> mean_absolute_percentage_error([[2.0, 1.0]], [[1.0, 1.0]]).tolist()
    [25.0]
    """
    y_true, y_pred = _aligned_pair(y_true, y_pred)
    return 100.0 * jnp.mean(jnp.abs((y_true - y_pred) / jnp.maximum(jnp.abs(y_true), epsilon())), axis=-1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> jax.Array:
    """Return ``mean((log(1 + y_true) - log(1 + y_pred))**2)``: ``(..., dim) -> (...)``; negatives count as 0.

    Raises:
        ShapeMismatch: If labels and predictions do not fit each other.

    >>> round(float(mean_squared_logarithmic_error([[0.0, 1.0]], [[1.0, 1.0]])[0]), 4)
    0.2402
    """
    y_true, y_pred = _aligned_pair(y_true, y_pred)
    first = jnp.log(jnp.maximum(y_pred, epsilon()) + 1.0)
    second = jnp.log(jnp.maximum(y_true, epsilon()) + 1.0)
    return jnp.mean(jnp.square(first - second), axis=-1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> jax.Array:
    """Return the mean of ``e**2 / 2`` where ``|e| <= delta``, else ``delta * |e| - delta**2 / 2``.

    Shapes ``(..., dim) -> (...)``.

    Raises:
        ShapeMismatch: If labels and predictions do not fit each other.

    >>> huber([[0.0, 0.0]], [[1.0, 3.0]]).tolist()
    [1.5]
    """
    y_true, y_pred = _aligned_pair(y_true, y_pred)
    error = y_pred - y_true
    size = jnp.abs(error)
    linear = delta * size - 0.5 * delta**2
    return jnp.mean(jnp.where(size <= delta, 0.5 * jnp.square(error), linear), axis=-1)


def log_cosh(y_true: Any, y_pred: Any) -> jax.Array:
    """Return ``mean(log(cosh(y_pred - y_true)))``: ``(..., dim) -> (...)``.

    Raises:
        ShapeMismatch: If labels and predictions do not fit each other.

    >>> round(float(log_cosh([[0.0]], [[1.0]])[0]), 4)
    0.4338
    """
    y_true, y_pred = _aligned_pair(y_true, y_pred)
    x = y_pred - y_true
    # log((e^x + e^-x) / 2) without ever taking e^x.
    return jnp.mean(x + jax.nn.softplus(-2.0 * x) - jnp.log(2.0).astype(x.dtype), axis=-1)


def cosine_of(y_true: Any, y_pred: Any, axis: int = -1) -> jax.Array:
    """Return the cosine of the angle between labels and predictions: ``(..., dim) -> (...)``.

    Raises:
        ShapeMismatch: If labels and predictions do not fit each other.

    >>> cosine_of([[0.0, 1.0]], [[0.0, 4.0]]).tolist()
    [1.0]
    """
    y_true, y_pred = _aligned_pair(y_true, y_pred)
    return jnp.sum(l2_normalize(y_true, axis) * l2_normalize(y_pred, axis), axis=axis)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> jax.Array:
    """Return minus the cosine of the angle along ``axis``: ``(..., dim) -> (...)``; -1 is most alike.

    Raises:
        ShapeMismatch: If labels and predictions do not fit each other.

    >>> cosine_similarity([[0.0, 1.0]], [[0.0, 4.0]]).tolist()
    [-1.0]
    """
    return -cosine_of(y_true, y_pred, axis)


def l2_normalize(x: Any, axis: int = -1) -> jax.Array:
    """Return ``x`` divided by its length along ``axis``; the length counts as at least ``epsilon``."""
    x = jnp.asarray(x)
    inverse = jax.lax.rsqrt(jnp.sum(jnp.square(x), axis=axis, keepdims=True))
    return x * jnp.minimum(inverse, 1.0 / epsilon())


# Probabilities


def kl_divergence(y_true: Any, y_pred: Any) -> jax.Array:
    """Return ``sum(y_true * log(y_true / y_pred))`` of distributions: ``(..., classes) -> (...)``.

    >>> kl_divergence([[0.5, 0.5]], [[0.5, 0.5]]).tolist()
    [0.0]
    """
    y_true, y_pred = (jnp.clip(y, epsilon(), 1) for y in _cast_pair(y_true, y_pred))
    _check_broadcast(y_true, y_pred)
    return jnp.sum(y_true * jnp.log(y_true / y_pred), axis=-1)


def poisson(y_true: Any, y_pred: Any) -> jax.Array:
    """Return ``mean(y_pred - y_true * log(y_pred))``: ``(..., dim) -> (...)``.

    >>> round(float(poisson([[1.0]], [[1.0]])[0]), 4)
    1.0
    """
    y_true, y_pred = _cast_pair(y_true, y_pred)
    _check_broadcast(y_true, y_pred)
    return jnp.mean(y_pred - y_true * jnp.log(y_pred + epsilon()), axis=-1)


def _smooth(y_true: jax.Array, label_smoothing: float, classes: Any) -> jax.Array:
    return y_true * (1.0 - label_smoothing) + label_smoothing / classes if label_smoothing else y_true


def log_probabilities(y_pred: jax.Array, from_logits: bool, axis: int) -> jax.Array:
    """Return the logarithm of each class' share, of logits through a softmax: the shape of ``y_pred``."""
    return (
        jax.nn.log_softmax(y_pred, axis=axis)
        if from_logits
        else jnp.log(_clipped_probabilities(y_pred, axis))
    )


def _clipped_probabilities(y_pred: jax.Array, axis: int) -> jax.Array:
    share = y_pred / jnp.sum(y_pred, axis=axis, keepdims=True)
    return jnp.clip(share, epsilon(), 1.0 - epsilon())


def _check_categorical(name: str, y_true: jax.Array, y_pred: jax.Array, axis: int) -> None:
    if isinstance(axis, bool):
        raise InvalidArgument(f"`axis` must be an integer. Received: axis={axis}")
    _check_one_hot(y_true, y_pred)
    if y_pred.shape[-1] == 1:
        warnings.warn(
            f"In loss {name}, predictions of shape {y_pred.shape} have one class only: the loss is always 0. "
            "With two classes and one output use 'binary_crossentropy'.",
            SyntaxWarning,
            stacklevel=4,
        )


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> jax.Array:
    """Return ``-sum(y_true * log(y_pred))`` over the classes: ``(..., classes) -> (...)``.

    Args:
        y_true: One-hot labels, shape ``(..., classes)``.
        y_pred: Probabilities, or logits under ``from_logits``; the same shape.
        from_logits: Whether ``y_pred`` has still to go through a softmax.
        label_smoothing: The share of a label that is spread evenly over all classes.
        axis: The axis of the classes.

    Raises:
        ShapeMismatch: If the shapes differ; for integer labels it names the loss to use.

    >>> round(float(categorical_crossentropy([[0, 1, 0]], [[0.05, 0.9, 0.05]])[0]), 4)
    0.1054
    """
    y_true, y_pred = _cast_pair(y_true, y_pred)
    _check_categorical("categorical_crossentropy", y_true, y_pred, axis)
    y_true = _smooth(y_true, label_smoothing, y_true.shape[-1])
    return -jnp.sum(y_true * log_probabilities(y_pred, from_logits, axis), axis=axis)


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> jax.Array:
    """Return ``-sum(alpha * (1 - y_pred)**gamma * y_true * log(y_pred))``: ``(..., classes) -> (...)``.

    Args are those of ``categorical_crossentropy``, and ``alpha``, a weight or one for each class.

    Raises:
        ShapeMismatch: If the shapes differ.

    >>> round(float(categorical_focal_crossentropy([[0, 1, 0]], [[0.05, 0.9, 0.05]])[0]), 6)
    0.000263
    """
    y_true, y_pred = _cast_pair(y_true, y_pred)
    _check_categorical("categorical_focal_crossentropy", y_true, y_pred, axis)
    y_true = _smooth(y_true, label_smoothing, y_true.shape[-1])
    if from_logits:
        y_pred = jax.nn.softmax(y_pred, axis=axis)
    p = _clipped_probabilities(y_pred, axis)
    weights = jnp.power(1.0 - p, gamma) * jnp.asarray(alpha, p.dtype)
    return jnp.sum(weights * -y_true * jnp.log(p), axis=axis)


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> jax.Array:
    """Return minus the log-probability of each label: ``(...), (..., classes) -> (...)``.

    Args:
        y_true: Class numbers, shape ``(...)`` or ``(..., 1)``.
        y_pred: Probabilities, or logits under ``from_logits``; shape ``(..., classes)``.
        from_logits: Whether ``y_pred`` has still to go through a softmax.
        ignore_class: A label whose loss is 0.
        axis: The axis of the classes.

    Raises:
        ShapeMismatch: If the shapes do not fit; for one-hot labels it names the loss to use.

    >>> round(float(sparse_categorical_crossentropy([1], [[0.05, 0.9, 0.05]])[0]), 4)
    0.1054
    """
    y_pred = jnp.asarray(y_pred)
    labels = squeeze_labels(y_true, y_pred, axis)
    counted = None if ignore_class is None else labels != ignore_class
    if counted is not None:
        labels = jnp.where(counted, labels, 0)
        y_pred = jnp.where(jnp.expand_dims(counted, axis), y_pred, 0)
    log_p = log_probabilities(y_pred, from_logits, axis)
    classes = jax.lax.broadcasted_iota(jnp.int32, log_p.shape, axis % log_p.ndim)
    chosen = classes == jnp.expand_dims(labels, axis)
    # A select, not a product with a one-hot array: a logit of -inf elsewhere must not become NaN.
    loss = -jnp.sum(jnp.where(chosen, log_p, 0), axis=axis)
    return loss if counted is None else jnp.where(counted, loss, 0.0)


def squeeze_labels(y_true: Any, y_pred: jax.Array, axis: int = -1) -> jax.Array:
    """Return class numbers as int32 with the shape of ``y_pred`` less its class axis.

    Raises:
        ShapeMismatch: If they do not have that shape.
    """
    labels = jnp.asarray(y_true)
    if y_pred.ndim == 0:
        raise ShapeMismatch("Predictions must have an axis of classes. Received: y_pred.shape=()")
    if labels.ndim == y_pred.ndim and labels.shape[axis] == 1:
        labels = jnp.squeeze(labels, axis)
    wanted = tuple(d for i, d in enumerate(y_pred.shape) if i != axis % y_pred.ndim)
    if labels.shape != wanted:
        hint = f"It needs one class number for each sample: labels of shape {wanted}."
        if labels.shape == y_pred.shape:
            hint = "The labels look one-hot: use 'categorical_crossentropy', or `argmax` them."
        raise ShapeMismatch(
            f"Labels of shape {labels.shape} do not fit predictions of shape {y_pred.shape}.", hint=hint
        )
    return labels.astype(jnp.int32)


def binary_terms(y_true: jax.Array, y_pred: jax.Array, from_logits: bool) -> jax.Array:
    """Return ``-y_true * log(y_pred) - (1 - y_true) * log(1 - y_pred)`` of each pair: the shape of both."""
    if from_logits:
        return -y_true * jax.nn.log_sigmoid(y_pred) - (1.0 - y_true) * jax.nn.log_sigmoid(-y_pred)
    p = jnp.clip(y_pred, epsilon(), 1.0 - epsilon())
    return -(y_true * jnp.log(p) + (1.0 - y_true) * jnp.log(1.0 - p))


def require_same_shape(y_true: jax.Array, y_pred: jax.Array) -> None:
    """Check that labels and predictions have the same shape.

    Raises:
        ShapeMismatch: If they do not; it says which loss would take them.
    """
    if y_true.shape != y_pred.shape:
        raise ShapeMismatch(
            f"Labels of shape {y_true.shape} do not fit predictions of shape {y_pred.shape}.",
            hint=_what_fits(y_true, y_pred),
        )


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> jax.Array:
    """Return the mean of ``-y_true * log(y_pred) - (1 - y_true) * log(1 - y_pred)``: ``(..., dim) -> (...)``.

    Args:
        y_true: Labels 0 or 1, or probabilities.
        y_pred: Probabilities, or logits under ``from_logits``; the same shape.
        from_logits: Whether ``y_pred`` has still to go through a sigmoid.
        label_smoothing: How far labels are drawn towards 0.5.
        axis: The axis over which to take the mean.

    Raises:
        ShapeMismatch: If the shapes differ.

    >>> round(float(binary_crossentropy([[1, 0]], [[0.9, 0.2]])[0]), 4)
    0.1643
    """
    y_true, y_pred = _cast_pair(y_true, y_pred)
    require_same_shape(y_true, y_pred)
    y_true = _smooth(y_true, label_smoothing, 2.0)
    return jnp.mean(binary_terms(y_true, y_pred, from_logits), axis=axis)


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> jax.Array:
    """Return binary crossentropy weighted by ``(1 - p)**gamma``, ``p`` the probability of the label.

    Shapes ``(..., dim) -> (...)``. With ``apply_class_balancing`` label 1 weighs ``alpha``, label 0 the rest.

    Raises:
        ShapeMismatch: If the shapes differ.

    >>> round(float(binary_focal_crossentropy([[1.0]], [[0.9]])[0]), 6)
    0.001054
    """
    y_true, y_pred = _cast_pair(y_true, y_pred)
    require_same_shape(y_true, y_pred)
    y_true = _smooth(y_true, label_smoothing, 2.0)
    if from_logits:
        y_pred = jax.nn.sigmoid(y_pred)
    p = y_true * y_pred + (1 - y_true) * (1 - y_pred)
    loss = jnp.power(1.0 - p, gamma) * binary_terms(y_true, y_pred, from_logits=False)
    if apply_class_balancing:
        loss = (y_true * alpha + (1 - y_true) * (1 - alpha)) * loss
    return jnp.mean(loss, axis=axis)


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> jax.Array:
    """Return ``(1 - p**q) / q``, ``p`` the probability of the label: ``(...), (..., classes) -> (...)``.

    Between crossentropy (``q`` near 0) and mean absolute error (``q`` near 1): wrong labels weigh less.

    Raises:
        ShapeMismatch: If the labels are not one class number for each sample.

    >>> categorical_generalized_cross_entropy([1], [[0.75, 0.25]], q=0.5).tolist()
    [1.0]
    """
    y_pred = jnp.asarray(y_pred)
    labels = squeeze_labels(y_true, y_pred)
    chosen = jax.nn.one_hot(labels, y_pred.shape[-1], dtype=y_pred.dtype)
    return (1 - jnp.power(jnp.sum(y_pred * chosen, axis=-1), q)) / q
