"""The line of a cell magic: a name or a signature, and options that begin with ``--``."""

from __future__ import annotations

import dataclasses
import re

from kerasmagic.foundation.errors import DefinitionError, Span, did_you_mean

_OPTION = re.compile(r"(?<!\S)--(?P<name>[A-Za-z-]+)")


@dataclasses.dataclass(frozen=True)
class MagicLine:
    """What stands behind ``%%model`` or ``%%layer``."""

    subject: str
    column: int
    options: frozenset[str]


def read_line(magic: str, line: str, allowed: tuple[str, ...]) -> MagicLine:
    """Split a line into its subject and its options.

    Args:
        magic: The magic's name with its percent signs.
        line: What stands behind it.
        allowed: The options it knows.

    Raises:
        DefinitionError: For an option that it does not know.

    Example:

    >>> read_line("%%model", "digits --quiet", ("quiet",))
    MagicLine(subject='digits', column=9, options=frozenset({'quiet'}))
    """
    options = set()
    for match in _OPTION.finditer(line):
        name = match["name"]
        if name not in allowed:
            start = len(magic) + 2 + match.start()
            known = ", ".join(f"--{each}" for each in allowed)
            raise DefinitionError(
                f"{magic} has no option --{name}. It has {known}.",
                span=Span(1, start, 1, start + len(match[0])),
                hint=did_you_mean(name, allowed),
            )
        options.add(name)
    subject = _OPTION.sub("", line)
    column = len(magic) + 2 + len(subject) - len(subject.lstrip())
    return MagicLine(subject.strip(), column, frozenset(options))
