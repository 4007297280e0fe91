"""How optax scales a gradient, on the slots of an optimizer: for the rules that it shares with Keras."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any


@functools.cache
def _optax() -> ModuleType:
    # Imported at the first step that needs it: it takes longer to import than the rest of the package.
    import optax

    return optax


def scaled(
    rule: str, gradient: Any, slots: Mapping[str, Any], names: Mapping[str, str], **options: Any
) -> tuple[Any, dict[str, Any]]:
    """Return what the transformation ``optax.<rule>`` makes of a gradient, and the new slots.

    Args:
        rule: The name of a function of optax that makes a transformation.
        gradient: The gradient, of any shape and floating dtype.
        slots: The slots of one variable by name; each of the gradient's shape and dtype.
        names: For each slot that the rule keeps, its name here by its name in optax.
        options: The arguments of the rule.

    Returns:
        ``(direction, new_slots)``: the scaled gradient, to be taken off times the learning rate; and the
        new values of the slots in ``names``. All have the shape and dtype of the gradient.

    Raises:
        AttributeError: If optax has no such rule.
        KeyError: If one of the slots in ``names`` is missing.
        ValueError: If the rule keeps nothing under a name in ``names``.

    >>> import jax.numpy as jnp
    >>> g, sums = jnp.array([3.0]), {"accumulator": jnp.array([7.0])}
    >>> direction, new = scaled("scale_by_rss", g, sums, {"sum_of_squares": "accumulator"}, eps=0.0)
    >>> round(float(direction[0]), 4), float(new["accumulator"][0])
    (0.75, 16.0)
    """
    transform = getattr(_optax(), rule)(**options)
    state = transform.init(gradient)._replace(**{theirs: slots[ours] for theirs, ours in names.items()})
    direction, new = transform.update(gradient, state)
    return direction, {ours: getattr(new, theirs) for theirs, ours in names.items()}
