"""``%%layer NAME(...)``: define a layer class and bind it in the notebook."""

from __future__ import annotations

from typing import Any

from kerasmagic.assembly import define_layer
from kerasmagic.magics.failure import shown
from kerasmagic.magics.line import read_line

OPTIONS = ("traceback",)


def run(shell: Any, line: str, cell: str) -> None:
    """Define the layer of ``cell`` under the header in ``line``; an error leaves the old one bound."""
    text = f"%%layer {line}\n{cell}"
    name = line.split("(")[0].strip().split(" ")[0]
    with shown(f"%%layer {name}".rstrip(), text, traceback="--traceback" in line.split()):
        parsed = read_line("%%layer", line, OPTIONS)
        made = define_layer(parsed.subject, cell, shell.user_ns, first_line=1, header_column=parsed.column)
    shell.push({made.__name__: made})
