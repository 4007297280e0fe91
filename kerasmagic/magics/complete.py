"""Tab in a ``%%model`` or ``%%layer`` cell: the words that fit at the cursor."""

from __future__ import annotations

from typing import Any

from IPython.core.completer import SimpleCompletion, context_matcher

from kerasmagic.assembly import vocabulary
from kerasmagic.assembly.preview import flowing, shapes_after
from kerasmagic.language.completion import Candidate, Place, candidates, names_in, place_of

_CELLS = ("%%model", "%%layer")


def matcher(shell: Any, settings: Any) -> Any:
    """Return a matcher for IPython's completer.

    Args:
        shell: The shell whose variables are layers, too.
        settings: ``complete`` turns it off.
    """

    @context_matcher(identifier="kerasmagic")  # type: ignore[arg-type]
    def complete(context: Any) -> Any:
        text = context.full_text
        if not settings.complete or not text.startswith(_CELLS) or context.cursor_line == 0:
            return {"completions": [], "suppress": False}
        lines = text.split("\n")
        line = lines[context.cursor_line][: context.cursor_position]
        words = vocabulary(shell.user_ns)
        place = place_of(line)
        if place is None:
            return {"completions": [], "suppress": False}
        layer = text.startswith("%%layer")
        found = candidates(place, words, names_in("\n".join(lines[1:])), layer=layer)
        if place.kind == "step" and not layer:
            found = _fitting(place, found, lines[1 : context.cursor_line], line, words, shell.user_ns)
        # IPython replaces its own idea of the word, which ends at "->", "(" and blanks as ours does.
        shown = [
            SimpleCompletion(_rest(each.text, place.word, context.token), type=each.meaning) for each in found
        ]
        return {
            "completions": shown,
            "suppress": bool(shown),
            "ordered": True,
            "matched_fragment": context.token,
        }

    complete.of_kerasmagic = True  # type: ignore[attr-defined]
    return complete


def _rest(text: str, word: str, token: str) -> str:
    """Return the completion in the place of IPython's token, which may begin earlier or later than the word."""
    return token[: len(token) - len(word)] + text if token.endswith(word) else text


def _fitting(
    place: Place, found: list[Candidate], above: list[str], line: str, words: Any, namespace: Any
) -> list[Candidate]:
    """Put the steps that take what flows here first, with the shape they would give."""
    started = line[: len(line) - len(place.word)].rstrip()
    text = "\n".join([*above, started.removesuffix("->").rstrip()])
    x = flowing(text, words, namespace)
    if x is None:
        return found
    steps = {c.text for c in found if c.meaning not in ("defined in this cell",) and words.find_layer(c.text)}
    shapes = shapes_after(x, [c.text for c in found if c.text in steps or c.text in words.activations], words)
    first = [Candidate(c.text, shapes[c.text] or c.meaning) for c in found if c.text in shapes]
    return [*first, *(c for c in found if c.text not in shapes)]
