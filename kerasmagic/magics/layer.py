"""``%%layer NAME(...)``: define a layer class and bind it in the notebook."""

from __future__ import annotations

from typing import Any

from IPython.display import display

from kerasmagic.assembly import define_layer, try_layer
from kerasmagic.assembly.expressions import FailedExpression
from kerasmagic.assembly.trial import Trial
from kerasmagic.foundation.errors import DefinitionError, Span
from kerasmagic.magics.failure import shown
from kerasmagic.magics.help import asked
from kerasmagic.magics.line import TRACEBACK, Option, read_line, usage, wants_help
from kerasmagic.widgets.trial import TrialView

OPTIONS = (
    Option("try", "run the layer on random data of this shape; several inputs by commas", "4x16"),
    TRACEBACK,
)
FORM = "NAME(PARAMETER=DEFAULT, ...)"
WHAT = "Define a layer: its weights, and how it computes. It becomes a class, and a step of %%model."


def run(shell: Any, config: Any, line: str, cell: str | None) -> None:
    """Define the layer of ``cell`` under the header in ``line``; an error leaves the old one bound."""
    if cell is None or wants_help(line):
        print(usage("%%layer", FORM, WHAT, OPTIONS))  # noqa: T201 - it was asked for
        return
    told = asked(cell, shell.user_ns, f"%%layer {line}")
    if told is not None:
        print(told)  # noqa: T201 - this is what was asked for
        return
    text = f"%%layer {line}\n{cell}"
    name = line.split("(")[0].strip().split(" ")[0]
    trial = None
    title, traceback = f"%%layer {name}".rstrip(), config.traceback or "--traceback" in line.split()
    with shown(title, text, traceback=traceback, shell=shell):
        parsed = read_line("%%layer", line, OPTIONS)
        made = define_layer(parsed.subject, cell, shell.user_ns, first_line=1, header_column=parsed.column)
        if "try" in parsed.options:
            trial = _tried(made, _shapes(parsed.options["try"], line))
    shell.push({made.__name__: made})
    if trial is not None:
        display(TrialView(trial))


def _tried(made: Any, shapes: list[tuple[int, ...]]) -> Trial:
    """Run the layer once; what fails in one of its lines is an error of that line."""
    try:
        return try_layer(made, shapes)
    except FailedExpression as error:
        if error.layer != made.__name__:
            raise
        raise DefinitionError(error.told, span=error.span, hint=error.hint) from error


def _shapes(text: str, line: str) -> list[tuple[int, ...]]:
    """Read ``4x16`` or ``4x16,4x8``."""
    try:
        found = [tuple(int(size) for size in shape.split("x")) for shape in text.split(",")]
    except ValueError:
        found = [(0,)]
    if any(size < 1 for shape in found for size in shape):
        start = len("%%layer ") + line.index(text) + 1
        raise DefinitionError(
            f"{text!r} is no shape: write sizes as in '--try 4x16', the batch first.",
            span=Span(1, start, 1, start + len(text)),
        )
    return found
