"""The live editor for a model: what ``%%model NAME --live`` and ``kerasmagic.editor()`` show."""

from __future__ import annotations

import dataclasses
import keyword
import sys
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from kerasmagic.assembly import define, keep_weights, vocabulary
from kerasmagic.foundation.errors import DefinitionErrors, InvalidArgument, KerasMagicError
from kerasmagic.language.check import read_model
from kerasmagic.language.report import rows_of
from kerasmagic.magics.look import answer_for, linked
from kerasmagic.magics.table import table_of
from kerasmagic.models import Model
from kerasmagic.widgets.editor import Answer, EditorWidget, Mistake
from kerasmagic.widgets.shape_table import ShapeTable

# A cell that is run again leaves its editor behind: there is one for each name.
_OPEN: weakref.WeakValueDictionary[str, EditorWidget] = weakref.WeakValueDictionary()


def editor(text: str | None = None, name: str = "model", model: Any = None) -> EditorWidget:
    """Return an editor that binds what it builds to ``name`` in the notebook, if there is one.

    Args:
        text: What to begin with.
        name: The name of the model.
        model: The model of that text, if it was built already.

    Raises:
        InvalidArgument: If ``name`` cannot be the name of a variable.
    """
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise InvalidArgument(f"`name` must be the name of a variable. Received: name={name!r}")
    shell = sys.modules["IPython"].get_ipython()
    names: dict[str, Any] = {} if shell is None else shell.user_ns

    def bind(model: Any) -> None:
        before = names.get(name)
        if isinstance(before, Model):
            keep_weights(before, model)
        if shell is None:
            names[name] = model
        else:
            shell.push({name: model})

    previous = _OPEN.pop(name, None)
    if previous is not None:
        previous.close()
    widget = _OPEN[name] = EditorWidget(
        lambda written: read(written, name, names),
        lambda written: build(written, name, names, bind),
        text or "",
        name,
        None if model is None else Answer(_answered(model, _numbered(table_of(model))), model=model),
    )
    return widget


def _numbered(table: ShapeTable) -> ShapeTable:
    """Return the table of a cell's model with the lines as the editor counts them: without that of the magic."""
    rows = [row if row.line is None else dataclasses.replace(row, line=row.line - 1) for row in table.rows]  # type: ignore[type-var]
    return dataclasses.replace(table, rows=rows)


def read(text: str, name: str, names: Mapping[str, Any]) -> Answer:
    """Return the table and the errors of a text, without doing anything: Python in braces waits."""
    if not text.strip():
        return Answer()
    try:
        if "{" in text:
            read_model(text, vocabulary(names))
            return Answer(note="Python in braces runs when the model is built")
        return Answer(table_of(define(text, names, name=name)))
    except KerasMagicError as error:
        return refused(error, name)


def build(text: str, name: str, names: Mapping[str, Any], bind: Callable[[Any], None]) -> Answer:
    """Build the model of a text and bind it; an error leaves the old one bound."""
    try:
        model = define(text, names, name=name)
    except KerasMagicError as error:
        return refused(error, name)
    bind(model)
    return Answer(_answered(model, table_of(model)), note=f"{name} is this model now", model=model)


def _answered(model: Any, table: ShapeTable) -> ShapeTable:
    table = linked(model, table)
    answer_for(model, table)
    return table


def refused(error: KerasMagicError, name: str) -> Answer:
    """Return the errors with their places, and the table up to the first one where there is one."""
    rows = rows_of(error)
    errors = error.errors if isinstance(error, DefinitionErrors) else (error,)
    table = ShapeTable(rows=rows, title=f"{name}, up to the error", graph=False) if rows else None
    return Answer(table, tuple(map(_mistake, errors)))


def _mistake(error: KerasMagicError) -> Mistake:
    message = error.message if error.hint is None else f"{error.message}  {error.hint}"
    span = error.span
    if span is None:
        return Mistake(message)
    start = max(span.column - 1, 0)
    stop = max(span.end_column - 1, start + 1) if span.end_line == span.line else start + 1
    return Mistake(message, span.line, start, stop)
