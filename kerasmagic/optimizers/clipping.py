"""Limits to the length of gradients; pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp


def clip_by_norm(gradient: Any, limit: float) -> jax.Array:
    """Return ``gradient``, shortened to length ``limit`` if it is longer; same shape.

    >>> clip_by_norm(jnp.array([3.0, 4.0]), 1.0).tolist()
    [0.6, 0.8]
    """
    squares = jnp.sum(jnp.square(gradient))
    # The gradient of a square root at 0 is infinite: keep it out for those who differentiate through.
    norm = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), squares)
    return gradient * limit / jnp.maximum(norm, limit)


def global_norm(gradients: Sequence[Any]) -> jax.Array:
    """Return the length of all gradients as one vector; shape ``()``.

    >>> float(global_norm([jnp.array([3.0]), jnp.array([[4.0]])]))
    5.0
    """
    return jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in gradients))


def clip_by_global_norm(gradients: Sequence[Any], limit: float) -> list[jax.Array]:
    """Return the gradients, shortened together to length ``limit`` if they are longer; same shapes.

    An infinite or undefined length makes all of them undefined.

    >>> [g.tolist() for g in clip_by_global_norm([jnp.array([3.0]), jnp.array([4.0])], 1.0)]
    [[0.6], [0.8]]
    """
    norm = global_norm(gradients)
    scale = limit * jnp.minimum(1.0 / norm, 1.0 / limit) + (norm - norm)
    return [g * scale.astype(g.dtype) for g in gradients]
