"""The magics as IPython sees them: each parses its line and makes one call."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class

from kerasmagic import version
from kerasmagic.magics import doctor, layer, layers, model
from kerasmagic.magics.settings import KerasMagic


@magics_class
class KerasMagics(Magics):
    """``%%layer``, ``%%model``, ``%layers`` and ``%kerasmagic``."""

    @line_cell_magic
    def model(self, line: str, cell: str | None = None) -> None:
        """%%model NAME [--fresh] [--diff] [--quiet] [--traceback]: define a model, one line per layer."""
        model.run(self.shell, KerasMagic.instance(), line, cell)

    @line_cell_magic
    def layer(self, line: str, cell: str | None = None) -> None:
        """%%layer NAME(PARAMETER=DEFAULT, ...) [--try SHAPE] [--traceback]: define a layer."""
        layer.run(self.shell, KerasMagic.instance(), line, cell)

    @line_magic
    def layers(self, line: str) -> Any:
        """%layers [NAME]: list the layers and their short names, or explain one."""
        return layers.run(self.shell, line)

    @line_magic
    def kerasmagic(self, line: str) -> None:
        """%kerasmagic doctor: tell versions, device, memory and front end."""
        doctor.run(line, version())
