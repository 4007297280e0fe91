"""Which views a run gets when ``fit(verbose=...)`` asks for one."""

from __future__ import annotations

from collections.abc import Callable

from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.training.events import Sink
from kerasmagic.training.terminal import TerminalSink

SinkFactory = Callable[[int], "Sink | None"]
_factory: list[SinkFactory] = []


def set_default_sink(factory: SinkFactory | None) -> SinkFactory | None:
    """Let ``factory(level)`` make the view of each run; return the one before.

    Args:
        factory: Called with 1 for a live view, or 2 for one line of text an epoch. Where it returns
            ``None``, and without a factory, a run writes plain text.
    """
    before = _factory[0] if _factory else None
    _factory[:] = [] if factory is None else [factory]
    return before


def plain_sink(level: int) -> Sink:
    """Return a progress bar as text; level 2 is one line for each epoch."""
    return TerminalSink(lines_only=level == 2)


def verbosity(verbose: int | str) -> int:
    """Return ``verbose`` as a number; ``"auto"`` is 1.

    Raises:
        InvalidArgument: If it is none of these.
    """
    if verbose in (0, 1, 2):
        return int(verbose)
    if verbose == "auto":
        return 1
    raise InvalidArgument(f"`verbose` must be 0, 1, 2 or 'auto'. Received: verbose={verbose!r}")


def default_sinks(verbose: int | str, fallback: SinkFactory = plain_sink) -> list[Sink]:
    """Return the views for ``verbose``: none for 0, else what the front end offers, else ``fallback``.

    Example:

    >>> default_sinks(0), [type(sink).__name__ for sink in default_sinks("auto")]
    ([], ['TerminalSink'])
    """
    level = verbosity(verbose)
    if not level:
        return []
    sink = _factory[0](level) if _factory else None
    sink = fallback(level) if sink is None else sink
    return [] if sink is None else [sink]
