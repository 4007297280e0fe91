"""The notebook extension: what ``%load_ext kerasmagic`` puts in place and takes away again."""

from __future__ import annotations

import copy
from typing import Any

from kerasmagic.magics import failure
from kerasmagic.magics.complete import matcher
from kerasmagic.magics.help import Inspector
from kerasmagic.magics.settings import KerasMagic
from kerasmagic.magics.shell import KerasMagics
from kerasmagic.training.sinks import set_default_sink
from kerasmagic.widgets.sink import default_sink

_INSPECTOR = "_kerasmagic_inspector"


def load(ipython: Any) -> None:
    """Register the magics, the settings and the completion, and let runs show themselves in this shell."""
    unload(ipython)
    ipython.register_magics(KerasMagics(ipython))
    settings = KerasMagic.instance(parent=ipython)
    settings.given = copy.deepcopy(dict.get(ipython.config, KerasMagic.__name__))
    ipython.configurables.append(settings)
    if getattr(ipython, "Completer", None) is not None:
        ipython.Completer.custom_matchers.append(matcher(ipython, settings))
    if getattr(ipython, "kernel", None) is not None:
        inspector = Inspector(ipython.kernel, ipython)
        inspector.install()
        ipython.__dict__[_INSPECTOR] = inspector
    set_default_sink(default_sink)
    failure.install(ipython, settings)


def unload(ipython: Any) -> None:
    """Take all of it away; models and layers in the notebook stay."""
    table = ipython.magics_manager.magics
    for kind, names in (KerasMagics.magics or {}).items():
        for name in names:
            table[kind].pop(name, None)
    ipython.magics_manager.registry.pop(KerasMagics.__name__, None)
    for settings in (c for c in ipython.configurables if isinstance(c, KerasMagic)):
        # What `%config` changed ends with the extension; what a profile says stays.
        dict.pop(ipython.config, KerasMagic.__name__, None)
        if settings.given is not None:
            ipython.config[KerasMagic.__name__] = settings.given
    ipython.configurables[:] = [
        c for c in ipython.configurables if not isinstance(c, KerasMagic | KerasMagics)
    ]
    KerasMagic.clear_instance()
    if getattr(ipython, "Completer", None) is not None:
        kept = [m for m in ipython.Completer.custom_matchers if not getattr(m, "of_kerasmagic", False)]
        ipython.Completer.custom_matchers[:] = kept
    inspector = ipython.__dict__.pop(_INSPECTOR, None)
    if inspector is not None:
        inspector.remove()
    set_default_sink(None)
    failure.remove()
