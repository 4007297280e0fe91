"""The losses whose functions also say which samples count: the mask travels with the result."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.core.masking import set_keras_mask
from kerasmagic.numerics import losses as numerics
from kerasmagic.numerics import margin_losses


@functools.wraps(numerics.sparse_categorical_crossentropy)
def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> jax.Array:
    loss = numerics.sparse_categorical_crossentropy(y_true, y_pred, from_logits, ignore_class, axis)
    if ignore_class is not None:
        set_keras_mask(loss, numerics.squeeze_labels(y_true, jnp.asarray(y_pred), axis) != ignore_class)
    return loss


@functools.wraps(margin_losses.circle)
def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80.0,
    margin: float = 0.4,
) -> jax.Array:
    loss = margin_losses.circle(
        y_true, y_pred, ref_labels, ref_embeddings, remove_diagonal, gamma=gamma, margin=margin
    )
    set_keras_mask(loss, loss > 0)
    return loss
