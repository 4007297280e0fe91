"""The notebook extension: what ``%load_ext kerasmagic`` puts in place and takes away again."""

from __future__ import annotations

from typing import Any

from kerasmagic.magics.shell import KerasMagics
from kerasmagic.training.sinks import set_default_sink
from kerasmagic.widgets.sink import default_sink


def load(ipython: Any) -> None:
    """Register the magics and let runs show themselves where this shell can show them."""
    magics = KerasMagics(ipython)
    ipython.register_magics(magics)
    set_default_sink(default_sink)


def unload(ipython: Any) -> None:
    """Take the magics away; models and layers in the notebook stay."""
    table = ipython.magics_manager.magics
    for kind, names in KerasMagics.magics.items():
        for name in names:
            table[kind].pop(name, None)
    ipython.magics_manager.registry.pop(KerasMagics.__name__, None)
    set_default_sink(None)
