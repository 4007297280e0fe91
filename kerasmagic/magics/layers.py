"""``%layers``: the words of the language, or the help of one of them."""

from __future__ import annotations

from typing import Any

from kerasmagic.assembly import own_layers, vocabulary
from kerasmagic.assembly.help import explain
from kerasmagic.assembly.vocabulary import ALIASES, GENERICS
from kerasmagic.foundation.errors import UnknownName, did_you_mean


def run(shell: Any, line: str) -> None:
    """Print the layers with their short names, or explain the one named in ``line``."""
    name = line.strip()
    text = explained(name, shell.user_ns) if name else listing(shell.user_ns)
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


def explained(name: str, namespace: dict[str, Any]) -> str:
    """Return the help of a word.

    Raises:
        UnknownName: With the nearest layer.
    """
    words = vocabulary(namespace)
    found = explain(name, words, namespace)
    if found is None:
        raise UnknownName(f"There is no layer {name!r}.", hint=did_you_mean(name, words.step_names))
    return found
