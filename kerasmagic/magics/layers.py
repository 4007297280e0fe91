"""``%layers``: the words of the language, or the help of one of them."""

from __future__ import annotations

from typing import Any

from kerasmagic.assembly import own_layers, vocabulary
from kerasmagic.assembly.help import explain
from kerasmagic.assembly.vocabulary import ALIASES, GENERICS
from kerasmagic.foundation.errors import DefinitionError, Span, did_you_mean
from kerasmagic.magics.failure import shown
from kerasmagic.magics.line import TRACEBACK, read_line, usage, wants_help

OPTIONS = (TRACEBACK,)


FORM = "[NAME]"
WHAT = "List the layers with their short names, or explain the one of that name."


def run(shell: Any, config: Any, line: str) -> None:
    """Print the layers with their short names, or explain the one named in ``line``."""
    if wants_help(line):
        print(usage("%layers", FORM, WHAT, OPTIONS))  # noqa: T201 - it was asked for
        return
    with shown("%layers", f"%layers {line}", traceback=config.traceback or "--traceback" in line.split()):
        parsed = read_line("%layers", line, OPTIONS)
        name = parsed.subject
        text = explained(name, shell.user_ns, parsed.column) if name else listing(shell.user_ns)
    print(text)  # noqa: T201 - this is what the magic is for


def listing(namespace: dict[str, Any]) -> str:
    """Return every layer with its short names, the notebook's own first."""
    shorts: dict[str, list[str]] = {}
    for alias, target in ALIASES.items():
        shorts.setdefault(target, []).append(alias)
    for generic, by_rank in GENERICS.items():
        for target in by_rank.values():
            shorts.setdefault(target, []).append(generic)
    own = own_layers(namespace)
    words = vocabulary(namespace)
    lines = [f"  {name}  (of this notebook)" for name in own]
    lines += [
        f"  {name:<28}{', '.join(shorts.get(name, []))}".rstrip()
        for name in sorted(words.layers)
        if name not in own
    ]
    return "\n".join(["Layers, and their short names:", *lines])


def explained(name: str, namespace: dict[str, Any], column: int) -> str:
    """Return the help of a word.

    Raises:
        DefinitionError: With the nearest layer, and its place on the line of the magic.
    """
    words = vocabulary(namespace)
    found = explain(name, words, namespace)
    if found is None:
        span = Span(1, column, 1, column + len(name))
        hint = did_you_mean(name, words.step_names)
        raise DefinitionError(f"There is no layer {name!r}.", span=span, hint=hint)
    return found
