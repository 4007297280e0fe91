"""Nested structures of tensors: lists, tuples, named tuples and dicts with leaves.

``None`` is a leaf, and so are variables and symbolic tensors, as in Keras.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

_CONTAINERS = (list, tuple, dict)


def is_nested(structure: Any) -> bool:
    """Whether ``structure`` is a list, tuple or dict.

    >>> is_nested([1]), is_nested(1)
    (True, False)
    """
    return isinstance(structure, _CONTAINERS)


def is_leaf(structure: Any) -> bool:
    """Whether ``structure`` is a leaf."""
    return not isinstance(structure, _CONTAINERS)


def _is_row(structure: Any) -> bool:
    """Whether ``structure`` is a plain list or tuple of leaves: most are, and JAX's general walk is slow."""
    return type(structure) in (list, tuple) and all(map(is_leaf, structure))


def flatten(structure: Any) -> list[Any]:
    """Return the leaves; those of a dict in the order of its sorted keys.

    >>> flatten({"b": [1, None], "a": 2})
    [2, 1, None]
    """
    if is_leaf(structure):
        return [structure]
    if _is_row(structure):
        return list(structure)
    return jax.tree.leaves(structure, is_leaf=is_leaf)


def map_structure(function: Callable[..., Any], *structures: Any) -> Any:
    """Apply ``function`` to the leaves and keep the structure.

    Raises:
        ValueError: If the structures differ.

    >>> map_structure(lambda a, b: a + b, [1, (2,)], [10, (20,)])
    [11, (22,)]
    """
    if is_leaf(structures[0]):
        return function(*structures)
    if len(structures) == 1 and _is_row(structures[0]):
        return type(structures[0])(map(function, structures[0]))
    return jax.tree.map(function, *structures, is_leaf=is_leaf)


def pack_sequence_as(structure: Any, flat_sequence: list[Any]) -> Any:
    """Put the leaves of ``flat_sequence`` into the shape of ``structure``.

    >>> pack_sequence_as({"a": 0, "b": [0]}, [1, 2])
    {'a': 1, 'b': [2]}
    """
    return jax.tree.unflatten(jax.tree.structure(structure, is_leaf=is_leaf), flat_sequence)


def assert_same_structure(a: Any, b: Any) -> None:
    """Check that two structures nest alike.

    Raises:
        ValueError: If they do not.
    """
    first, second = (jax.tree.structure(s, is_leaf=is_leaf) for s in (a, b))
    if first != second:
        raise ValueError(f"The structures differ: {first} and {second}.")


def lists_to_tuples(structure: Any) -> Any:
    """Return the structure with every list turned into a tuple."""
    if isinstance(structure, dict):
        return {key: lists_to_tuples(value) for key, value in structure.items()}
    if isinstance(structure, list) or type(structure) is tuple:
        return tuple(lists_to_tuples(item) for item in structure)
    return structure


def is_shape(value: Any) -> bool:
    """Whether ``value`` is one shape: a list or tuple of sizes and ``None``."""
    return isinstance(value, (list, tuple)) and all(d is None or hasattr(d, "__index__") for d in value)


def map_shapes(function: Callable[[Any], Any], structure: Any) -> Any:
    """Apply ``function`` to every shape in a nested structure of shapes.

    >>> map_shapes(len, {"a": (None, 3), "b": [(1, 2, 3)]})
    {'a': 2, 'b': [3]}
    """
    if is_shape(structure):
        return function(structure)
    if isinstance(structure, dict):
        return {key: map_shapes(function, value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return type(structure)(map_shapes(function, value) for value in structure)
    return function(structure)
