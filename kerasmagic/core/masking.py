"""The mask that travels with a tensor: which entries count.

Arrays carry it as an attribute. Tracers take no attributes, so theirs stand in a
table by identity, which forgets them when they are collected.
"""

from __future__ import annotations

import weakref
from typing import Any

_BY_ID: dict[int, Any] = {}


def set_keras_mask(x: Any, mask: Any) -> None:
    """Attach ``mask`` to ``x``; ``None`` takes it off."""
    try:
        x._keras_mask = mask
        return
    except AttributeError:
        pass
    if mask is None:
        _BY_ID.pop(id(x), None)
    else:
        if id(x) not in _BY_ID:
            weakref.finalize(x, _BY_ID.pop, id(x), None)
        _BY_ID[id(x)] = mask


def get_keras_mask(x: Any) -> Any:
    """Return the mask attached to ``x``, or ``None``."""
    mask = getattr(x, "_keras_mask", None)
    return _BY_ID.get(id(x)) if mask is None else mask
