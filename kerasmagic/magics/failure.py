"""An error of a cell, shown where it is: a card in the notebook, text in the terminal, no traceback.

Where data does not fit a model, the card shows the line of the model; of the traceback the user's own calls remain.
"""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any

from IPython.display import display

from kerasmagic.assembly.blame import Blame, Presenter
from kerasmagic.foundation.errors import KerasMagicError
from kerasmagic.language.report import Finding, findings, report_text, rows_of
from kerasmagic.widgets.error_card import ErrorCard
from kerasmagic.widgets.shape_table import ShapeTable
from kerasmagic.widgets.sink import in_kernel

_LIBRARIES = frozenset({"kerasmagic", "jax", "jaxlib", "numpy", "optax"})


class CellError(KerasMagicError):
    """A cell that was refused; it has been shown already, so its traceback is one line."""

    def _render_traceback_(self) -> list[str]:
        return [self.message]


@contextlib.contextmanager
def shown(title: str, cell: str, *, first_line: int = 1, traceback: bool = False) -> Iterator[None]:
    """Show the errors of the block as errors of ``cell`` and stop the cell.

    Args:
        title: What the cell defines: ``"%%model digits"``.
        cell: Its text, the magic's line included.
        first_line: The number of the text's first line.
        traceback: Whether to let the error through as it is.

    Raises:
        CellError: In the place of the error.
    """
    try:
        yield
    except KerasMagicError as error:
        if traceback:
            raise
        raise _refusal(error, title, cell, first_line) from None


def _refusal(error: KerasMagicError, title: str, cell: str, first_line: int) -> CellError:
    rows = rows_of(error)
    table = ShapeTable(rows=rows, title="Up to this line:") if rows else None
    if not in_kernel():
        text = report_text(error, cell, title, first_line=first_line)
        return CellError(text if table is None else f"{text}\n\n{table.text()}")
    found = findings(error, cell, title, first_line=first_line)
    _show(found)
    if table is not None:
        display(table)
    count = "1 error" if len(found) == 1 else f"{len(found)} errors"
    return CellError(f"{title}: {count}, shown above. Nothing was changed.")


def _show(found: Iterable[Finding]) -> None:
    for each in found:
        display(
            ErrorCard(
                place=each.title if each.line is None else f"{each.title}, line {each.line}",
                message=each.message,
                source=each.source or None,
                line=each.line,
                columns=None if each.line is None else (each.start + 1, each.start + each.length + 1),
                hint=each.hint,
            )
        )


def presenter(shell: Any, config: Any) -> Presenter:
    """Return what lets IPython show an error about data as a card, and of its traceback what the user wrote."""

    def prepare(error: Exception, blame: Blame) -> None:
        # IPython asks an error for this when nothing has caught it.
        error._render_traceback_ = lambda: _rendered(shell, config, error, blame)  # type: ignore[attr-defined]

    return prepare


def _rendered(shell: Any, config: Any, error: Exception, blame: Blame) -> list[str]:
    """Show the card of an error, and return the lines of its traceback; the second time all of them."""
    error.__dict__.pop("_render_traceback_", None)
    card = in_kernel()
    frames = None if config.traceback else _calls_of_the_user(error)
    if card:
        _show(findings(blame.told, blame.source, blame.title, first_line=blame.first_line))
    if frames is None:
        return shell.InteractiveTB.structured_traceback(type(error), error, error.__traceback__)
    # The same error without what it arose from, which the library has already made sense of.
    bare = type(error).__new__(type(error), *error.args)
    notes = [] if card else getattr(error, "__notes__", ())
    bare.__dict__ = {
        **error.__dict__,
        "__notes__": [*notes, "'%tb' shows where in the library it was raised."],
    }
    return shell.InteractiveTB.structured_traceback(type(error), bare, frames)


def _calls_of_the_user(error: Exception) -> types.TracebackType | None:
    """Return the traceback down to the call of the library; ``None`` where code of the user was called from there."""
    frames = []
    found = error.__traceback__
    while found is not None:
        frames.append(found)
        found = found.tb_next
    inside = [_is_library(frame) for frame in frames]
    own = inside.index(True) if True in inside else len(frames)
    if not isinstance(error, KerasMagicError) or not all(inside[own:]):
        return None
    kept = None
    for frame in reversed(frames[:own]):
        kept = types.TracebackType(kept, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return kept


def _is_library(frame: types.TracebackType) -> bool:
    name = frame.tb_frame.f_globals.get("__name__", "").partition(".")[0]
    return name in _LIBRARIES or name in sys.stdlib_module_names
