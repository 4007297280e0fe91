"""``%config KerasMagic``: what the magics do when nothing else is said."""

from __future__ import annotations

from typing import Any

from traitlets import Bool
from traitlets.config import SingletonConfigurable


class KerasMagic(SingletonConfigurable):
    """The settings of the extension; ``%config KerasMagic`` lists them.

    Attributes:
        given: What the profile of the shell says about them, or ``None``.
    """

    given: Any = None

    table = Bool(True, help="Show the table of a model that a %%model cell defines.").tag(config=True)
    keep_weights = Bool(True, help="Keep the weights of unchanged layers when a cell is run again.").tag(
        config=True
    )
    diff = Bool(False, help="Show which lines of a %%model cell changed.").tag(config=True)
    traceback = Bool(False, help="Show Python tracebacks of errors in cells.").tag(config=True)
    complete = Bool(True, help="Complete names in %%model and %%layer cells.").tag(config=True)
