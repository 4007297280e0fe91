"""Help at a place of a cell: ``conv?`` on a line, Shift-Tab in a notebook."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from kerasmagic.assembly import vocabulary
from kerasmagic.assembly.expressions import NAMESPACE
from kerasmagic.assembly.help import explain, signature_of
from kerasmagic.assembly.preview import flowing
from kerasmagic.language.completion import names_in, place_of
from kerasmagic.magics.complete import CELLS

_ASKED = re.compile(r"^\s*(?:\?{1,2}\s*(?P<after>[^?#\"']+?)|(?P<before>[^?#\"']+?)\s*\?{1,2})\s*$")
_WORD_END = re.compile(r"[\w.]*$")
_WORD_START = re.compile(r"^[\w.]*")


def asked(cell: str, namespace: Mapping[str, Any], magic: str) -> str | None:
    """Return the help for the lines of a cell that ask for some, as ``conv?`` does; ``None`` where none does."""
    lines = cell.split("\n")
    found = []
    for number, line in enumerate(lines):
        match = _ASKED.match(line)
        if match is None:
            continue
        text = (match["after"] or match["before"]).rstrip()
        others = [other for other in lines[:number] if not _ASKED.match(other)]
        told = help_at("\n".join([magic, *others, text]), namespace)
        found.append(told or f"{text!r} means nothing in a cell.")
    return "\n\n".join(found) or None


def help_at(cell: str, namespace: Mapping[str, Any], place: int | None = None) -> str | None:
    """Return the help of the word at ``place`` of a cell, which is its end by default.

    Args:
        cell: The cell, with the line of the magic.
        namespace: The variables of the notebook.
        place: A number of characters from the start of the cell.
    """
    place = len(cell) if place is None else place
    before, after = cell[:place], cell[place:]
    lines = before.split("\n")
    if len(lines) == 1:
        return None
    begun, rest = _WORD_END.search(lines[-1]), _WORD_START.match(after)
    word = ((begun[0] if begun else "") + (rest[0] if rest else "")).strip(".")
    words = vocabulary(namespace)
    standing = place_of(lines[-1])
    step = standing.step if standing is not None and standing.kind in ("argument", "value") else None
    above = "\n".join(lines[1:-1])
    x = None if cell.startswith("%%layer") else flowing(above, words, namespace, begun=False)
    for asked_about, inside in ((word, step), (step or "", None)):
        found = _of_cell(asked_about, cell) or explain(asked_about, words, namespace, step=inside, x=x)
        if found is not None:
            return found
    return None


def _of_cell(word: str, cell: str) -> str | None:
    """Return the help of a name that the cell itself defines, or of a function of ``jnp`` and its like."""
    head, *lines = cell.split("\n")
    if word in names_in("\n".join(lines)):
        pattern = re.compile(
            rf"^\s*(?:(?:block|layer|model|input|weight|state)\s+)?[\w, ]*\b{re.escape(word)}\b"
        )
        number, line = next(
            ((i, line.strip()) for i, line in enumerate(lines, 2) if pattern.match(line)), (0, "")
        )
        return f"{word}: a name of this cell, given on line {number}:\n\n    {line}"
    root, *path = word.split(".")
    target = NAMESPACE.get(root) if head.startswith("%%layer") and not root.startswith("_") else None
    for name in path:
        target = getattr(target, name, None)
    if target is None:
        return None
    signature = f"{word}{signature_of(target)}" if callable(target) else word
    return f"{signature}\n\n{inspect.getdoc(target) or ''}".rstrip()


class Inspector:
    """Answers Shift-Tab in the cells of the magics; in all others the kernel does what it did."""

    def __init__(self, kernel: Any, shell: Any):
        self.kernel = kernel
        self.shell = shell
        self.before = kernel.do_inspect
        self.active = False

    def install(self) -> None:
        """Take the place of the kernel's own method."""
        self.active = True
        # Kept as the object itself, so that it is known again when it is taken away.
        self.installed = self.inspect
        self.kernel.do_inspect = self.installed

    def remove(self) -> None:
        """Give the kernel its method back; what another extension put over this one stays."""
        self.active = False
        if self.kernel.__dict__.get("do_inspect") is self.installed:
            del self.kernel.__dict__["do_inspect"]

    def inspect(self, code: str, cursor_pos: int, *args: Any, **kwargs: Any) -> Any:
        """Return the reply to a request for help, as ``do_inspect`` does."""
        if self.active and code.startswith(CELLS):
            try:
                text = help_at(code, self.shell.user_ns, cursor_pos)
            except Exception:
                # Help about a cell that is being written may fail; the kernel's own answer is left.
                text = None
            if text is not None:
                return {"status": "ok", "found": True, "data": {"text/plain": text}, "metadata": {}}
        return self.before(code, cursor_pos, *args, **kwargs)
