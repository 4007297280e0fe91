"""What ``%%layer --try`` shows: shapes, weights in names and numbers, gradients checked, time."""

from __future__ import annotations

import dataclasses
from html import escape
from typing import Any

from kerasmagic.widgets.shapes import shape_text


@dataclasses.dataclass(frozen=True)
class TrialView:
    """A trial of a layer that notebooks and terminals can show.

    Args:
        trial: What was found: ``name``, ``inputs``, ``outputs``, ``weights``, ``gradients``, ``seconds``, ``finite``.
    """

    trial: Any

    def text(self) -> str:
        """Return the trial as lines of text."""
        trial = self.trial
        flow = f"{'  '.join(map(shape_text, trial.inputs))} -> {'  '.join(map(shape_text, trial.outputs))}"
        lines = [f"{trial.name}: {flow}, {1e6 * trial.seconds:,.0f} us"]
        rows = [
            [row.name, row.symbolic, shape_text(row.shape), "" if row.trainable else "not trained"]
            for row in trial.weights
        ]
        lines += _aligned([["weight", "shape", "here", ""], *rows]) if rows else ["no weights"]
        checks = [
            [row.name, f"{row.exact:.4g}", f"{row.measured:.4g}", "agrees" if row.agrees else "DIFFERS"]
            for row in trial.gradients
        ]
        lines += _aligned([["gradient of", "exact", "by differences", ""], *checks])
        return "\n".join(lines if trial.finite else [*lines, "Not every number that comes out is finite."])

    def html(self) -> str:
        """Return the trial as HTML; every name in it is escaped."""
        return f'<pre class="km-trial">{escape(self.text())}</pre>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.text()}


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
