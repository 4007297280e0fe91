"""The magics as IPython sees them: each parses its line and makes one call."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, no_var_expand

from kerasmagic import version
from kerasmagic.magics import doctor, layer, layers, model
from kerasmagic.magics.line import usage
from kerasmagic.magics.settings import KerasMagic


@magics_class
class KerasMagics(Magics):
    """``%%layer``, ``%%model``, ``%layers`` and ``%kerasmagic``."""

    @line_cell_magic
    def model(self, line: str, cell: str | None = None) -> None:
        """Define a model; see ``_documented`` for what ``%%model?`` shows."""
        model.run(self.shell, KerasMagic.instance(), line, cell)

    # Braces in the header are the cell's own: IPython would put the text of the value in their place.
    @no_var_expand
    @line_cell_magic
    def layer(self, line: str, cell: str | None = None) -> None:
        """Define a layer; see ``_documented`` for what ``%%layer?`` shows."""
        layer.run(self.shell, KerasMagic.instance(), line, cell)

    @line_magic
    def layers(self, line: str) -> Any:
        """List the layers; see ``_documented`` for what ``%layers?`` shows."""
        return layers.run(self.shell, KerasMagic.instance(), line)

    @line_magic
    def kerasmagic(self, line: str) -> None:
        """Tell about the machine; see ``_documented`` for what ``%kerasmagic?`` shows."""
        doctor.run(KerasMagic.instance(), line, version())


_EXAMPLES = {
    "%%model": """
Example:

    %%model digits
    input 28x28x1
    conv 16 3 same relu -> maxpool 2
    flatten -> dropout 0.5
    dense 10 softmax
    compile adam 1e-3, sparse_categorical_crossentropy, accuracy

'%layers' lists the layers with their short names; 'conv?' on a line of the cell, or Shift-Tab, explains one.""",
    "%%layer": """
Example:

    %%layer Linear(units=32)
    input (..., n)
    weight kernel (n, units) glorot_uniform
    weight bias (units,) zeros
    x @ kernel + bias""",
    "%layers": """
Examples:

    %layers
    %layers conv""",
    "%kerasmagic": """
Example:

    %kerasmagic doctor""",
}


def _documented(name: str, module: Any) -> str:
    """Return what ``NAME?`` shows: the same options that ``--help`` lists, and an example."""
    return f"{usage(name, module.FORM, module.WHAT, module.OPTIONS)}\n{_EXAMPLES[name]}"


for _method, _name, _module in (
    (KerasMagics.model, "%%model", model),
    (KerasMagics.layer, "%%layer", layer),
    (KerasMagics.layers, "%layers", layers),
    (KerasMagics.kerasmagic, "%kerasmagic", doctor),
):
    _method.__doc__ = _documented(_name, _module)
