"""Where the variables of a model stand in a weights file.

The path of a part is made of attribute names (``bidirectional/forward_layer/cell``);
in a list it is the snake-case class name, numbered from the second on. This is
Keras' layout: names that users choose for layers do not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kerasmagic.core.layer import Layer
from kerasmagic.core.tracking import TrackedDict, TrackedList
from kerasmagic.foundation.naming import to_snake_case

_OWN = (
    "_layers",
    "_metrics",
    "_trainable_variables",
    "_non_trainable_variables",
    "_seed_generators",
    "_stack",
    "_given",
)

# Classes that Keras itself has under another name than its public one.
_KERAS_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}


def parts(model: Layer) -> Iterator[tuple[str, Any]]:
    """Yield every part of ``model`` that has variables of its own, with its path; shared ones once.

    Example:

    >>> import kerasmagic as keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    >>> [path for path, part in parts(model)]
    ['', 'layers/dense', 'layers/dense_1']
    """
    yield from _walk(model, "", set())


def _walk(part: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if id(part) in seen:
        return
    seen.add(id(part))
    yield path, part
    if hasattr(part, "_graph"):
        yield from _in_container(part.layers, _join(path, "layers"), seen)
    for name, child in sorted(vars(part).items(), key=lambda item: (item[0].startswith("_"), item[0])):
        if name in _OWN or name.startswith("__"):
            continue
        if isinstance(child, Layer):
            yield from _walk(child, _join(path, name), seen)
        elif isinstance(child, (TrackedList, TrackedDict, tuple)):
            yield from _in_container(child, _join(path, name), seen)


def _in_container(container: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    used: dict[str, int] = {}
    for child in _values(container):
        if isinstance(child, Layer):
            name = type(child).__name__
            name = to_snake_case(_KERAS_NAMES.get(name, name))
            yield from _walk(child, _join(path, _numbered(name, used)), seen)
        elif isinstance(child, (list, tuple, dict)):
            yield from _in_container(child, _join(path, _numbered("container", used)), seen)


def _values(container: Any) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def _numbered(name: str, used: dict[str, int]) -> str:
    count = used.get(name, 0)
    used[name] = count + 1
    return f"{name}_{count}" if count else name


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
