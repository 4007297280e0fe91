"""The magics as IPython sees them: each parses its line and makes one call."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from kerasmagic.magics import layer, layers, model


@magics_class
class KerasMagics(Magics):
    """``%%layer``, ``%%model`` and ``%layers``."""

    @cell_magic
    def model(self, line: str, cell: str) -> None:
        """%%model NAME [--quiet] [--traceback]: define a model, one line per layer."""
        model.run(self.shell, line, cell)

    @cell_magic
    def layer(self, line: str, cell: str) -> None:
        """%%layer NAME(PARAMETER=DEFAULT, ...) [--traceback]: define a layer."""
        layer.run(self.shell, line, cell)

    @line_magic
    def layers(self, line: str) -> Any:
        """%layers [NAME]: list the layers and their short names, or explain one."""
        return layers.run(self.shell, line)
