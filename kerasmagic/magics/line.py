"""The line of a magic: a name or a signature, and options that begin with ``--``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence

from kerasmagic.foundation.errors import DefinitionError, Span, did_you_mean

# One dash is no option of ours, but what is meant by it is.
_OPTION = re.compile(
    r"(?<!\S)(?P<dashes>--?)(?P<name>[A-Za-z][A-Za-z-]*)(?P<given>[ =](?P<value>[^\s-]\S*))?"
)


@dataclasses.dataclass(frozen=True)
class Option:
    """One option: its name, what it does, and what its value is called where it takes one."""

    name: str
    meaning: str
    value: str | None = None

    @property
    def spelled(self) -> str:
        return f"--{self.name}" if self.value is None else f"--{self.name} {self.value}"


HELP = Option("help", "say what the magic does and what its options are")
TRACEBACK = Option("traceback", "show the Python traceback of an error")


@dataclasses.dataclass(frozen=True)
class MagicLine:
    """What stands behind ``%%model`` or ``%%layer``."""

    subject: str
    column: int
    options: Mapping[str, str]


def read_line(magic: str, line: str, allowed: Sequence[Option]) -> MagicLine:
    """Split a line into its subject and its options.

    Args:
        magic: The magic's name with its percent signs.
        line: What stands behind it.
        allowed: The options it knows.

    Raises:
        DefinitionError: For an option that it does not know, and for one whose value is missing.

    Example:

    >>> read_line("%%model", "digits --quiet", [Option("quiet", "show no table")])
    MagicLine(subject='digits', column=9, options={'quiet': ''})
    """
    known = {option.name: option for option in (*allowed, HELP)}
    found: dict[str, str] = {}
    pieces, end = [], 0
    for match in _OPTION.finditer(line):
        if line.count("(", 0, match.start()) > line.count(")", 0, match.start()):
            # Inside of a signature.
            continue
        name, written = match["name"], match["dashes"] + match["name"]
        start = len(magic) + 2 + match.start()
        span = Span(1, start, 1, start + len(written))
        if name not in known or match["dashes"] != "--":
            shown = ", ".join(option.spelled for option in known.values())
            raise DefinitionError(
                f"{magic} has no option {written}. It has {shown}.", span=span, hint=_nearest(name, known)
            )
        if known[name].value is not None and not match["value"]:
            raise DefinitionError(f"--{name} needs a value: write '{known[name].spelled}'.", span=span)
        if known[name].value is None and (match["given"] or "").startswith("="):
            raise DefinitionError(f"--{name} takes no value.", span=span, hint=f"Write '--{name}'.")
        found[name] = match["value"] if known[name].value is not None else ""
        stop = match.end() if known[name].value is not None else match.start() + len(name) + 2
        pieces.append(line[end : match.start()])
        end = stop
    subject = "".join([*pieces, line[end:]])
    column = len(magic) + 2 + len(subject) - len(subject.lstrip())
    return MagicLine(subject.strip(), column, found)


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the question whether another option was meant: the one that begins so, or is spelled alike."""
    begun = [f"--{option}" for option in known if option.startswith(name)]
    spelled = [f"--{option}" for option in known]
    return f"Did you mean {begun[0]!r}?" if len(begun) == 1 else did_you_mean(f"--{name}", spelled)


def wants_help(line: str) -> bool:
    """Say whether a line asks for help, whatever else is on it."""
    return "--help" in line.split()


def usage(magic: str, form: str, what: str, options: Sequence[Option]) -> str:
    """Return what ``--help`` prints.

    Example:

    >>> print(usage("%%model", "NAME", "Define a model.", [Option("quiet", "show no table")]))
    %%model NAME [--quiet] [--help]
    <BLANKLINE>
    Define a model.
    <BLANKLINE>
      --quiet  show no table
      --help   say what the magic does and what its options are
    """
    every = [*options, HELP]
    width = max(len(option.spelled) for option in every)
    head = " ".join([magic, form, *(f"[{option.spelled}]" for option in every)])
    lines = [f"  {option.spelled:<{width}}  {option.meaning}" for option in every]
    return "\n".join([head, "", what, "", *lines])
