"""How views should appear, as a scoped value: whether they must be the same on every run.

A deterministic view shows no time, no id and no measured number in the text that tools such
as nbval compare. ``KERASMAGIC_DETERMINISTIC=1`` in the environment asks for it everywhere,
``scoped`` for a stretch of code.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterator, Mapping

ENVIRONMENT_VARIABLE = "KERASMAGIC_DETERMINISTIC"

_deterministic: contextvars.ContextVar[bool | None] = contextvars.ContextVar("deterministic", default=None)


def deterministic() -> bool:
    """Return whether views must leave out everything that differs between two runs.

    Example:

    >>> with scoped(deterministic=True):
    ...     deterministic()
    True
    """
    chosen = _deterministic.get()
    if chosen is not None:
        return chosen
    return os.environ.get(ENVIRONMENT_VARIABLE, "").lower() not in ("", "0", "false", "no")


@contextlib.contextmanager
def scoped(*, deterministic: bool) -> Iterator[None]:
    """Set the option inside a ``with`` block; it wins over the environment.

    Args:
        deterministic: Whether views leave out times, ids and measured numbers.
    """
    token = _deterministic.set(deterministic)
    try:
        yield
    finally:
        _deterministic.reset(token)


def switched_off(variable: str, environment: Mapping[str, str]) -> bool:
    """Return whether a variable of the environment is set to a word for no; what is on needs no word.

    >>> switched_off("FAST", {"FAST": "Off"}), switched_off("FAST", {"FAST": "/a/folder"}), switched_off("FAST", {})
    (True, False, False)
    """
    return environment.get(variable, "on").lower() in ("", "0", "off", "false", "no")
