"""``%%model NAME``: define a model, bind it in the notebook, show its table."""

from __future__ import annotations

import keyword
from typing import Any

from IPython.display import display

from kerasmagic.assembly import define
from kerasmagic.foundation.errors import DefinitionError, Span
from kerasmagic.magics.failure import shown
from kerasmagic.magics.line import read_line
from kerasmagic.magics.table import table_of

OPTIONS = ("quiet", "traceback")


def run(shell: Any, line: str, cell: str) -> None:
    """Define the model of ``cell`` under the name in ``line``; an error leaves the old one bound."""
    text = f"%%model {line}\n{cell}"
    words = line.split()
    title = f"%%model {words[0]}" if words and not words[0].startswith("--") else "%%model"
    with shown(title, text, traceback="--traceback" in words):
        parsed = read_line("%%model", line, OPTIONS)
        name = _checked_name(parsed.subject, parsed.column)
        model = define(cell, shell.user_ns, name=name, first_line=2)
    shell.push({name: model})
    if "quiet" not in parsed.options:
        display(table_of(model))


def _checked_name(name: str, column: int) -> str:
    span = Span(1, column, 1, column + max(len(name), 1))
    if not name:
        raise DefinitionError("The model needs a name: write '%%model NAME'.", span=span)
    if not name.isidentifier() or keyword.iskeyword(name):
        raise DefinitionError(
            f"{name!r} cannot be the name of a variable.", span=span, hint="Use letters, digits and _."
        )
    return name
