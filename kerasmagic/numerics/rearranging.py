"""Axes in another order, split and merged as a pattern of names says."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.foundation.errors import ShapeMismatch


def groups(text: str) -> list[list[str]]:
    """Return the names of each axis of one side of a pattern.

    >>> groups("b (h w) c")
    [['b'], ['h', 'w'], ['c']]
    """
    return [part.strip("()").split() for part in re.findall(r"\w+|\([^)]*\)", text)]


def rearrange(x: jax.Array, pattern: str, sizes: Mapping[str, int]) -> jax.Array:
    """Return ``x`` with its axes as the right side of ``pattern`` has them.

    Args:
        x: As many axes as the left side.
        pattern: For example ``"b (h w) c -> b c h w"``.
        sizes: Sizes of names inside parentheses on the left; one of each pair may be missing.

    Raises:
        ShapeMismatch: If the pattern does not fit ``x``.

    Example:

    >>> rearrange(jnp.arange(4), "(a b) -> b a", {"a": 2}).tolist()
    [[0, 2], [1, 3]]
    """
    left, arrow, right = pattern.partition("->")
    before, after = groups(left), groups(right)
    names = [name for group in before for name in group]
    wanted = [name for group in after for name in group]
    if not arrow or len(before) != x.ndim or sorted(names) != sorted(wanted):
        raise ShapeMismatch(
            f"The pattern {pattern!r} does not fit an array of shape {x.shape}: it needs a name for each axis "
            "on the left, and the same names on the right."
        )
    known: dict[str, Any] = dict(sizes)
    for group, size in zip(before, x.shape, strict=True):
        _complete(known, group, size, pattern)
    split = jnp.reshape(x, [known[name] for name in names])
    ordered = jnp.transpose(split, [names.index(name) for name in wanted])
    return jnp.reshape(ordered, [math.prod(known[name] for name in group) for group in after])


def _complete(known: dict[str, Any], group: list[str], size: Any, pattern: str) -> None:
    """Add the one size of a group that the others leave open."""
    unknown = [name for name in group if name not in known]
    rest = math.prod(known[name] for name in group if name in known)
    if len(unknown) > 1 or (not unknown and rest != size) or size % rest != 0:
        raise ShapeMismatch(
            f"An axis of size {size} cannot be split into ({' '.join(group)}) of {pattern!r}. "
            f"Received: { ({name: known[name] for name in group if name in known}) }"
        )
    for name in unknown:
        known[name] = size // rest
