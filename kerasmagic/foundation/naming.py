"""Names that objects get when the user gives none: ``dense``, ``dense_1``, ..."""

from __future__ import annotations

import collections
import functools
import re

_COUNTS: collections.Counter[str] = collections.Counter()


@functools.lru_cache(maxsize=4096)
def to_snake_case(name: str) -> str:
    """Return the snake-case form of a class name.

    >>> to_snake_case("Conv2D"), to_snake_case("MaxPooling1D"), to_snake_case("LSTM")
    ('conv2d', 'max_pooling1d', 'lstm')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(prefix: str) -> str:
    """Return a name that this process has not handed out yet: ``dense``, then ``dense_1``."""
    name = to_snake_case(prefix)
    count = _COUNTS[name]
    _COUNTS[name] += 1
    return f"{name}_{count}" if count else name


def get_uid(prefix: str = "") -> int:
    """Count one more object under ``prefix`` and return the count, beginning with 1."""
    _COUNTS[prefix] += 1
    return _COUNTS[prefix]


def reset_names() -> None:
    """Start to count from the beginning again."""
    _COUNTS.clear()
