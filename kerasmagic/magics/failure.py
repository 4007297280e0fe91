"""An error of a cell, shown where it is: a card in the notebook, text in the terminal, no traceback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from IPython.display import display

from kerasmagic.foundation.errors import KerasMagicError
from kerasmagic.language.report import findings, report_text, rows_of
from kerasmagic.widgets.error_card import ErrorCard
from kerasmagic.widgets.shape_table import ShapeTable
from kerasmagic.widgets.sink import in_kernel


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
    if table is not None:
        display(table)
    count = "1 error" if len(found) == 1 else f"{len(found)} errors"
    return CellError(f"{title}: {count}, shown above. Nothing was changed.")
