"""Tab in a ``%%model`` or ``%%layer`` cell: the words that fit at the cursor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from IPython.core.completer import SimpleCompletion, context_matcher

from kerasmagic.assembly import vocabulary
from kerasmagic.assembly.expressions import NAMESPACE
from kerasmagic.assembly.preview import Previews
from kerasmagic.language.completion import (
    Candidate,
    Place,
    candidates,
    names_in,
    place_of,
    values_in,
)
from kerasmagic.language.vocabulary import Vocabulary

CELLS = ("%%model", "%%layer")
_NOTHING = {"completions": [], "suppress": False}
_BRACES = re.compile(r"\{\s*([^\W\d]\w*)\s*\}")
_ASSIGNED = re.compile(r"^\s*[^\W\d]\w*(?:\s*,\s*[^\W\d]\w*)*\s*=(?!=)")


def matcher(shell: Any, settings: Any) -> Any:
    """Return a matcher for IPython's completer.

    Args:
        shell: The shell whose variables are layers, too.
        settings: ``complete`` turns it off.
    """
    completer = CellCompleter()

    @context_matcher(identifier="kerasmagic")  # type: ignore[arg-type]
    def complete(context: Any) -> Any:
        text = context.full_text
        if not settings.complete or not text.startswith(CELLS) or context.cursor_line == 0:
            return _NOTHING
        try:
            place, found = completer.at(text, context.cursor_line, context.cursor_position, shell.user_ns)
        except Exception:
            # A layer of the notebook may fail in any way; a key that was pressed must not.
            return _NOTHING
        if place is None:
            return _NOTHING
        # IPython replaces its own idea of the word, which ends at "->", "(" and blanks as ours does.
        shown = [
            SimpleCompletion(_rest(each.text, place.word, context.token), type=_unbroken(each.meaning))
            for each in found
        ]
        return {
            "completions": shown,
            "suppress": bool(shown),
            "ordered": True,
            "matched_fragment": context.token,
        }

    complete.of_kerasmagic = True  # type: ignore[attr-defined]
    return complete


class CellCompleter:
    """Finds the words that fit at a place of a cell."""

    def __init__(self) -> None:
        self.previews = Previews()

    def at(
        self, text: str, row: int, column: int, namespace: Mapping[str, Any]
    ) -> tuple[Place | None, list[Candidate]]:
        """Return the place of the cursor and what fits there.

        Args:
            text: The cell, with the line of the magic.
            row: The line of the cursor, from 0.
            column: Its place in the line, from 0.
            namespace: The variables of the notebook.
        """
        lines = text.split("\n")
        line = lines[row][:column]
        layer = text.startswith("%%layer")
        place = place_of(line)
        if place is None:
            return None, []
        if layer and "." in place.word and (members := _members(place.word)):
            return place, members
        words = vocabulary(namespace)
        values = values_in(text) if place.kind != "python" else _variables(place.word, namespace)
        names = names_in("\n".join(lines[1:]))
        found = candidates(place, words, [*names, *_modules(layer)], values=values, layer=layer)
        if place.kind == "step" and not layer:
            found = self.fitting(place, found, lines[1:row], line, words, namespace)
        return place, found

    def fitting(
        self,
        place: Place,
        found: list[Candidate],
        above: list[str],
        line: str,
        words: Vocabulary,
        namespace: Mapping[str, Any],
    ) -> list[Candidate]:
        """Put the steps that take what flows here first, with the shape they would give."""
        started = _started(line, place.word)
        text = _known_values("\n".join([*above, *started]), namespace)
        inside = line[:1].isspace()
        x = None if inside else self.previews.flowing(text, words, namespace, begun=bool(started))
        if x is None:
            return found
        names = [c.text for c in found if c.meaning != "defined in this cell"]
        steps = [name for name in names if words.find_layer(name) or name in words.activations]
        shapes = self.previews.shapes_after(x, steps, words, namespace)
        first = [Candidate(c.text, shapes[c.text] or c.meaning) for c in found if c.text in shapes]
        rest = [c for c in found if c.text not in shapes]
        own = [c for c in rest if c.meaning == "defined in this cell"]
        return [*own, *first, *(c for c in rest if c not in own)]


def _unbroken(meaning: str) -> str:
    # JupyterLab breaks lines at blanks, over the rows below.
    return meaning.replace(" ", "\u00a0")


def _rest(text: str, word: str, token: str) -> str:
    """Return the completion in the place of IPython's token, which may begin earlier or later than the word."""
    return token[: len(token) - len(word)] + text if token.endswith(word) else text


def _started(line: str, word: str) -> list[str]:
    """Return the steps of this line that stand before the word, as a line, or nothing."""
    before = _ASSIGNED.sub("", line[: len(line) - len(word)])
    # Inside an open bracket a chain of its own begins.
    opened = max(before.rfind("(") if before.count("(") > before.count(")") else -1, before.rfind("["))
    before = before[opened + 1 :].strip()
    chain = before.removesuffix("->").strip()
    return [chain] if chain and before.endswith("->") else []


def _known_values(text: str, namespace: Mapping[str, Any]) -> str:
    """Return ``text`` with the numbers that ``{name}`` stands for; looking one up does nothing."""

    def value(match: re.Match[str]) -> str:
        found = namespace.get(match[1])
        return str(found) if type(found) in (int, float) else match[0]

    return _BRACES.sub(value, text)


def _variables(word: str, namespace: Mapping[str, Any]) -> list[str]:
    """Return the variables of the notebook; what follows a dot is IPython's to complete."""
    return [] if "." in word else [name for name in namespace if not name.startswith("_")]


def _modules(layer: bool) -> list[str]:
    return [name for name in NAMESPACE if not name.startswith("_")] if layer else []


def _members(word: str) -> list[Candidate]:
    """Return what a module such as ``jnp`` has that begins like the word."""
    path, _, begun = word.rpartition(".")
    root, *rest = path.split(".")
    owner = NAMESPACE.get(root)
    for name in rest:
        owner = getattr(owner, name, None)
    if owner is None or root.startswith("_"):
        return []
    names = [name for name in dir(owner) if name.startswith(begun) and not name.startswith("_")]
    return [Candidate(f"{path}.{name}", "a function" if path else "") for name in names]
