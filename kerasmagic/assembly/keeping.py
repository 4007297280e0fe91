"""A definition that is run again: layers that did not change keep their variables and optimizer slots."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp

from kerasmagic.assembly.layer import DefinedLayer
from kerasmagic.core.layer import Layer
from kerasmagic.foundation.errors import KerasMagicError
from kerasmagic.models import Model

_FREE = frozenset({"name", "trainable"})


def keep_weights(old: Any, new: Any) -> dict[str, str]:
    """Give the layers of ``new`` the weights of the same layers of ``old``.

    A layer is the same when its definition and the shapes of its weights are; layers are matched by name,
    those left over by their order. Whether a layer is trained may change. The values are copied, so the
    old model stays as it is.

    Args:
        old: The model before.
        new: The model that takes its place; it is changed.

    Returns:
        ``"kept"``, ``"changed"`` or ``"new"`` for the layers of ``new`` by name. Layers without weights that
        did not change are left out.

    Example:

    >>> import kerasmagic as keras
    >>> old = keras.define("input 4\\ndense 3\\ndense 2")
    >>> new = keras.define("input 4\\ndense 3\\nrelu\\ndense 1")
    >>> keep_weights(old, new)
    {'dense': 'kept', 'activation': 'new', 'dense_1': 'changed'}
    """
    statuses: dict[str, str] = {}
    pairs = list(_matched(old, new, statuses))
    moved: list[tuple[Any, Any]] = []
    for before, after in pairs:
        moved += zip(before.variables, after.variables, strict=True)
    for before, after in moved:
        _move(before, after)
    _keep_slots(getattr(old, "optimizer", None), getattr(new, "optimizer", None), new, moved)
    order = {layer.name: place for place, layer in enumerate(new.layers)}
    return dict(sorted(statuses.items(), key=lambda item: order[item[0]]))


def _matched(old: Any, new: Any, statuses: dict[str, str]) -> Iterator[tuple[Layer, Layer]]:
    """Yield the pairs of layers that are the same; say of all others what they are."""
    before = {layer.name: layer for layer in old.layers}
    left_over = dict(before)
    waiting: list[Layer] = []
    for layer in new.layers:
        partner = before.get(layer.name)
        if partner is not None and isinstance(layer, Model) and isinstance(partner, Model):
            left_over.pop(layer.name)
            inner: dict[str, str] = {}
            yield from _matched(partner, layer, inner)
            found = set(inner.values())
            _tell(layer, "kept" if found <= {"kept"} else "changed", statuses)
        elif partner is not None and _signature(partner) == _signature(layer):
            left_over.pop(layer.name)
            _tell(layer, "kept", statuses)
            yield partner, layer
        else:
            waiting.append(layer)
    unmatched: list[Layer] = []
    for layer in waiting:
        signature = _signature(layer)
        partner = next((o for o in left_over.values() if layer.weights and _signature(o) == signature), None)
        if partner is not None:
            left_over.pop(partner.name)
            _tell(layer, "kept", statuses)
            yield partner, layer
        else:
            unmatched.append(layer)
    for layer in unmatched:
        # A layer whose weights went to another one was not changed into this one.
        known = type(left_over.get(layer.name)).__name__ == type(layer).__name__
        _tell(layer, "changed" if known else "new", statuses)


def _tell(layer: Layer, status: str, statuses: dict[str, str]) -> None:
    if layer.weights or status != "kept":
        statuses[layer.name] = status
        layer.__dict__["_definition_status"] = status


def _signature(layer: Layer) -> Any:
    """Return what makes a layer the same: its class, its arguments and the shapes of its weights."""
    kind = type(layer).definition_text if isinstance(layer, DefinedLayer) else type(layer)
    try:
        config = {name: value for name, value in layer.get_config().items() if name not in _FREE}
    except (KerasMagicError, NotImplementedError):
        config = {}
    return kind, repr(config), [(v.shape, str(v.dtype)) for v in layer.variables]


def _move(before: Any, after: Any) -> None:
    """Copy a value; one that was never drawn stays to be drawn."""
    if before._value is not None:
        after.assign(jnp.array(before.value, copy=True))


def _keep_slots(old: Any, new: Any, model: Any, moved: list[tuple[Any, Any]]) -> None:
    """Copy the step count and the slots of variables that were kept, between optimizers of one class."""
    if new is None or type(old) is not type(new) or not old.built or not moved:
        return
    new.build(model.trainable_variables)
    trained = {id(v) for v in model.trainable_variables}
    for before, after in moved:
        if id(after) not in trained or id(before) not in old._indices:
            continue
        i, j = old._get_variable_index(before), new._get_variable_index(after)
        for name, slots in new._slots.items():
            if name in old._slots and slots[j] is not None and old._slots[name][i] is not None:
                _move(old._slots[name][i], slots[j])
    new._iterations.assign(old._iterations.value)


def difference(before: str, after: str) -> str:
    """Return which lines of a definition are gone and which are new, or nothing.

    Example:

    >>> print(difference("input 4\\ndense 3\\n", "input 4\\ndense 5\\n"))
    - dense 3
    + dense 5
    """
    lines = difflib.ndiff(before.rstrip().splitlines(), after.rstrip().splitlines())
    return "\n".join(line for line in lines if line[0] in "+-")
