"""What a definition may cost: beyond these sizes a text is refused instead of read."""

from __future__ import annotations

from typing import Final

MAX_CHARACTERS: Final = 100_000
"""Characters of one cell."""

MAX_NESTING: Final = 20
"""Brackets within brackets, and bodies within bodies."""

MAX_STEPS: Final = 10_000
"""Steps of a model after repetition, loops and blocks are expanded."""

MAX_DIGITS: Final = 30
"""Characters of one number."""

MAX_ERRORS: Final = 20
"""Errors reported for one cell; with more, a person reads none."""
