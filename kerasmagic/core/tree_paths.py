"""More on nested structures: walks that visit containers too, and the paths of leaves."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import jax

from kerasmagic.core.tree import is_leaf


class MAP_TO_NONE:
    """What a function returns to ``traverse`` that wants ``None`` in a place."""


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """Call ``func`` on the structure and on all that is in it, containers and leaves.

    Args:
        func: Returns ``None`` to leave a part as it is, anything else to put in its place, ``MAP_TO_NONE`` for
            ``None`` itself.
        structure: A nested structure.
        top_down: Whether containers come before what is in them; what replaces one is not walked then.

    Raises:
        TypeError: If ``func`` cannot be called.

    Example:

    >>> traverse(lambda x: tuple(x) if isinstance(x, list) else None, [1, [2, {"a": [3]}]], top_down=False)
    (1, (2, {'a': (3,)}))
    """
    if not callable(func):
        raise TypeError(f"`func` must be callable. Received: func={func!r}")

    def children(part: Any) -> Any:
        if is_leaf(part):
            return part
        one_level = jax.tree.structure(part, is_leaf=lambda x: x is not part)
        leaves = jax.tree.leaves(part, is_leaf=lambda x: x is not part)
        return jax.tree.unflatten(one_level, [walk(x) for x in leaves])

    def walk(part: Any) -> Any:
        part = part if top_down else children(part)
        result = func(part)
        if result is None:
            return children(part) if top_down else part
        return None if result is MAP_TO_NONE else result

    return walk(structure)


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Return each leaf with the indices and keys that lead to it.

    >>> flatten_with_path([{"foo": 42}, None])
    [((0, 'foo'), 42), ((1,), None)]
    """
    return list(_walk(structure, ()))


def _walk(part: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if is_leaf(part):
        yield path, part
        return
    if isinstance(part, dict):
        keys = list(part) if isinstance(part, OrderedDict) else sorted(part)
    else:
        keys = list(range(len(part)))
    for key in keys:
        yield from _walk(part[key], (*path, key))


def assert_same_paths(a: Any, b: Any) -> None:
    """Check that the leaves of two structures have the same paths, whatever the containers' types.

    Raises:
        ValueError: If they do not, with the paths that are in one only.
    """
    first, second = ({path for path, _ in flatten_with_path(s)} for s in (a, b))
    if first != second:
        raise ValueError(
            f"`a` and `b` don't have the same paths.\nPaths in `a` missing in `b`:\n{first - second}"
            f"\nPaths in `b` missing in `a`:\n{second - first}"
        )


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """Apply ``func`` to what stands in the places of the leaves of ``shallow_structure``.

    Args:
        shallow_structure: A nested structure.
        func: Takes one part of each structure.
        structures: Structures that nest like it, or deeper.

    Raises:
        ValueError: If one is nested less deeply, or otherwise.

    Example:

    >>> map_structure_up_to([None, [None, None]], str, [[1, 1], [2, 2]])
    ['[1, 1]', ['2', '2']]
    """
    if not structures:
        raise ValueError("Must provide at least one structure")
    layout = jax.tree.structure(shallow_structure, is_leaf=is_leaf)
    parts = [layout.flatten_up_to(structure) for structure in structures]
    return jax.tree.unflatten(layout, [func(*each) for each in zip(*parts, strict=True)])
