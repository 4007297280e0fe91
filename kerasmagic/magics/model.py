"""``%%model NAME``: define a model, bind it in the notebook, show its table."""

from __future__ import annotations

import keyword
from typing import Any

from IPython.display import display

from kerasmagic.assembly import define, difference, keep_weights, record_of
from kerasmagic.foundation.errors import DefinitionError, KerasMagicError, Span
from kerasmagic.foundation.views import view
from kerasmagic.magics.failure import shown
from kerasmagic.magics.help import asked
from kerasmagic.magics.line import TRACEBACK, Option, read_line, usage, wants_help
from kerasmagic.magics.table import display_table
from kerasmagic.models import Model
from kerasmagic.widgets.sink import in_kernel

OPTIONS = (
    Option("quiet", "show no table"),
    Option("live", "show an editor whose table and errors follow the typing"),
    Option("fresh", "start with new weights, also in layers that did not change"),
    Option("diff", "show which lines changed since the cell was last run"),
    TRACEBACK,
)
FORM = "NAME"
WHAT = """Define a model, one line per layer, and bind it to NAME. When the cell is run again, layers that did not
change keep their weights."""


def run(shell: Any, config: Any, line: str, cell: str | None) -> None:
    """Define the model of ``cell`` under the name in ``line``; an error leaves the old one bound."""
    if cell is None or wants_help(line):
        print(usage("%%model", FORM, WHAT, OPTIONS))  # noqa: T201 - this is what was asked for
        return
    told = asked(cell, shell.user_ns, f"%%model {line}")
    if told is not None:
        print(told)  # noqa: T201 - this is what was asked for
        return
    text = f"%%model {line}\n{cell}"
    words = line.split()
    title = f"%%model {words[0]}" if words and not words[0].startswith("--") else "%%model"
    with shown(title, text, traceback=config.traceback or "--traceback" in words, shell=shell):
        parsed = read_line("%%model", line, OPTIONS)
        name = _checked_name(parsed.subject, parsed.column)
        live = "live" in parsed.options and in_kernel()
        try:
            model = define(cell, shell.user_ns, name=name, first_line=2)
        except KerasMagicError:
            if not live:
                raise
            # The editor shows what is wrong, where it can be put right.
            display(view("editor")(cell.rstrip("\n"), name))
            return
    before = shell.user_ns.get(name)
    if isinstance(before, Model) and config.keep_weights and "fresh" not in parsed.options:
        keep_weights(before, model)
    shell.push({name: model})
    if live:
        display(view("editor")(cell.rstrip("\n"), name, model))
    elif config.table and "quiet" not in parsed.options:
        display_table(model)
    if config.diff or "diff" in parsed.options:
        _show_difference(before, model)


def _show_difference(before: Any, after: Any) -> None:
    old, new = record_of(before), record_of(after)
    if old is not None and new is not None:
        print(difference(old.text, new.text) or "No line changed.")  # noqa: T201 - this is what was asked for


def _checked_name(name: str, column: int) -> str:
    span = Span(1, column, 1, column + max(len(name), 1))
    if not name:
        raise DefinitionError("The model needs a name: write '%%model NAME'.", span=span)
    if not name.isidentifier() or keyword.iskeyword(name):
        raise DefinitionError(
            f"{name!r} cannot be the name of a variable.", span=span, hint="Use letters, digits and _."
        )
    return name
