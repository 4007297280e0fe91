"""An error of a cell, shown where it is: a card in the notebook, text in the terminal, no traceback.

Where data does not fit a model, the card shows the line of the model. Of a traceback what the user wrote remains.
"""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any

from IPython.display import display

from kerasmagic.assembly.blame import Blame, Presenter, set_presenter, where_defined
from kerasmagic.foundation.errors import KerasMagicError
from kerasmagic.language.report import Finding, findings, report_text, rows_of
from kerasmagic.widgets.error_card import ErrorCard
from kerasmagic.widgets.shape_table import ShapeTable
from kerasmagic.widgets.sink import in_kernel

_LIBRARIES = frozenset({"kerasmagic", "jax", "jaxlib", "numpy", "optax"})


class CellError(KerasMagicError):
    """A cell that was refused; it has been shown already, so its traceback is one line.

    Args:
        message: What is left to say.
        shell: Shows the frames of ``cause``.
        cause: An error of a layer or function of the notebook that the cell called.
    """

    def __init__(self, message: str, shell: Any = None, cause: BaseException | None = None):
        super().__init__(message)
        self._shell, self._arose_from = shell, cause

    def _render_traceback_(self) -> list[str]:
        if self._shell is None or self._arose_from is None:
            return [self.message]
        with _only_what_the_user_wrote(self._arose_from):
            return [*_rendered(self._shell, self._arose_from, skipped=0), self.message]


@contextlib.contextmanager
def shown(
    title: str, cell: str, *, first_line: int = 1, traceback: bool = False, shell: Any = None
) -> Iterator[None]:
    """Show the errors of the block as errors of ``cell`` and stop the cell.

    Args:
        title: What the cell defines: ``"%%model digits"``.
        cell: Its text, the magic's line included.
        first_line: The number of the text's first line.
        traceback: Whether to let the error through as it is.
        shell: Shows where in the notebook an error arose, if it was in a layer or function of the notebook.

    Raises:
        CellError: In the place of the error.
    """
    try:
        yield
    except KerasMagicError as error:
        if traceback:
            raise
        raise _refusal(error, title, cell, first_line, shell) from None


def _refusal(error: KerasMagicError, title: str, cell: str, first_line: int, shell: Any) -> CellError:
    rows, cause = rows_of(error), _cause_in_the_notebook(error)
    table = ShapeTable(rows=rows, title="Up to this line:") if rows else None
    if not in_kernel():
        text = report_text(error, cell, title, first_line=first_line)
        return CellError(text if table is None else f"{text}\n\n{table.text()}", shell, cause)
    found = findings(error, cell, title, first_line=first_line)
    _show(found)
    if table is not None:
        display(table)
    count = "1 error" if len(found) == 1 else f"{len(found)} errors"
    return CellError(f"{title}: {count}, shown above. Nothing was changed.", shell, cause)


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


def install(shell: Any, config: Any) -> None:
    """Let this shell show what kerasmagic raises as a card, and of its traceback what the user wrote."""
    set_presenter(_presenter(shell, config))
    # IPython asks an error for this when nothing has caught it.
    KerasMagicError._render_traceback_ = (  # type: ignore[attr-defined]
        lambda error: _compact(shell, config, error, where_defined(error))
    )


def remove() -> None:
    """Let the shell show errors as it did before."""
    set_presenter(None)
    if "_render_traceback_" in KerasMagicError.__dict__:
        del KerasMagicError._render_traceback_  # type: ignore[attr-defined]


def _presenter(shell: Any, config: Any) -> Presenter:
    def prepare(error: Exception, blame: Blame) -> None:
        error._render_traceback_ = lambda: _compact(shell, config, error, blame)  # type: ignore[attr-defined]

    return prepare


def _compact(shell: Any, config: Any, error: Exception, blame: Blame | None) -> list[str]:
    """Show the card of an error, and return the lines of its traceback; the second time all of them."""
    error.__dict__.pop("_render_traceback_", None)
    first = not error.__dict__.get("_was_shown", False)
    error.__dict__["_was_shown"] = True
    card = first and blame is not None and in_kernel()
    if blame is not None and card:
        _show(findings(blame.told, blame.source, blame.title, first_line=blame.first_line))
    explained = isinstance(error, KerasMagicError) or (blame is not None and _is_of_the_library(error))
    if config.traceback or not first or not explained or _frames_of_the_user(error) is None:
        return _rendered(shell, error)
    notes: list[str] = [] if card else list(getattr(error, "__notes__", ()))
    if blame is not None and not card and blame.text() not in notes:
        notes.append(blame.text())
    with _only_what_the_user_wrote(error):
        before = error.__dict__.pop("__notes__", None)
        error.__notes__ = [*notes, "'%tb' shows where in the library it was raised."]
        try:
            return _rendered(shell, error)
        finally:
            error.__dict__.pop("__notes__")
            if before is not None:
                error.__notes__ = before


def _rendered(shell: Any, error: BaseException, skipped: int | None = None) -> list[str]:
    """Return the lines of a traceback as the shell writes them, without the first ``skipped`` frames."""
    return shell.InteractiveTB.structured_traceback(
        type(error), error, error.__traceback__, tb_offset=skipped
    )


@contextlib.contextmanager
def _only_what_the_user_wrote(error: BaseException) -> Iterator[None]:
    """Take the frames of the library out of a traceback, and the errors that arose in these alone."""
    whole = [(each, each.__traceback__, each.__cause__, each.__suppress_context__) for each in _chain(error)]
    try:
        error.__traceback__ = _frames_of_the_user(error) or error.__traceback__
        kept = error
        for each, *_ in whole[1:]:
            frames = _frames_of_the_user(each)
            if frames is not None:
                each.__traceback__, kept.__cause__, kept = frames, each, each
        kept.__cause__ = None
        yield
    finally:
        for each, traceback, cause, suppressed in whole:
            each.__traceback__, each.__cause__, each.__suppress_context__ = traceback, cause, suppressed


def _chain(error: BaseException | None) -> list[BaseException]:
    """Return an error and what it arose from."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


def _cause_in_the_notebook(error: KerasMagicError) -> BaseException | None:
    """Return the error of a layer or function of the user's that an error of a cell arose from."""
    return next((each for each in _chain(error)[1:] if _frames_of_the_user(each) is not None), None)


def _frames(error: BaseException) -> list[types.TracebackType]:
    frames, found = [], error.__traceback__
    while found is not None:
        frames.append(found)
        found = found.tb_next
    return frames


def _is_of_the_library(error: BaseException) -> bool:
    """Say whether an error arose in the library without passing code of the user that the library called."""
    own = [_is_library(frame) for frame in _frames(error)]
    return True in own and all(own[own.index(True) :])


def _frames_of_the_user(error: BaseException) -> types.TracebackType | None:
    """Return the traceback without the frames of the library; ``None`` where nothing is left."""
    kept = None
    for frame in reversed([frame for frame in _frames(error) if not _is_library(frame)]):
        kept = types.TracebackType(kept, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return kept


def _is_library(frame: types.TracebackType) -> bool:
    code = frame.tb_frame.f_code
    # What is written in a cell of the language has a card of its own.
    if code.co_filename == "<string>" or code.co_filename.startswith("<%%layer"):
        return True
    name = frame.tb_frame.f_globals.get("__name__", "").partition(".")[0]
    return name in _LIBRARIES or name in sys.stdlib_module_names
