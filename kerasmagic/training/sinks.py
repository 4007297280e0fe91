"""Which views a run gets when ``fit(verbose=...)`` asks for one."""

from __future__ import annotations

from collections.abc import Callable

from kerasmagic.training.events import Sink

SinkFactory = Callable[[int], "Sink | None"]
_factory: list[SinkFactory] = []


def set_default_sink(factory: SinkFactory | None) -> SinkFactory | None:
    """Let ``factory(verbose)`` make the view of each run; return the one before."""
    before = _factory[0] if _factory else None
    _factory[:] = [] if factory is None else [factory]
    return before


def default_sinks(verbose: int | str, fallback: SinkFactory) -> list[Sink]:
    """Return the views for ``verbose``: none for 0, else what the front end offers."""
    level = 1 if verbose in ("auto", True) else int(verbose)
    if not level:
        return []
    sink = (_factory[0] if _factory else fallback)(level)
    return [] if sink is None else [sink]
