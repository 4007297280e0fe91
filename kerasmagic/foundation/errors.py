"""The one error tree: each error says what was wrong, where, and what to do.

Every class also derives from the builtin error that Keras raises in the same
situation, so that ``except ValueError`` in ordinary Keras code keeps working.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable


@dataclasses.dataclass(frozen=True)
class Span:
    """A stretch of source text; lines and columns count from 1, the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class KerasMagicError(Exception):
    """The base of all errors that kerasmagic raises on purpose.

    Args:
        message: What was wrong and what was expected, in the reader's words.
        span: Where it was wrong, when the cause is a place in a definition.
        hint: What to do, for example the nearest right spelling.
    """

    def __init__(self, message: str, *, span: Span | None = None, hint: str | None = None):
        super().__init__(message)
        self.message = message
        self.span = span
        self.hint = hint
        self.culprit: str | None = None
        self._told = message

    def blame(self, who: str, *names: str) -> None:
        """Say in front of the message who refused, unless it says one of the ``names`` by itself.

        The last one to be blamed is the one who is named.

        >>> error = InvalidArgument("`rate` must be a number.")
        >>> error.blame("Dropout", "Dropout")
        >>> str(error)
        'Dropout: `rate` must be a number.'
        """
        self.culprit = who
        known = any(name in self._told for name in names)
        self.message = self._told if known else f"{who}: {self._told}"
        self.args = (self.message,)

    @property
    def reason(self) -> str:
        """The message without who refused."""
        return self._told

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} {self.hint}"


class InvalidArgument(KerasMagicError, ValueError):
    """An argument has the right type and an impossible value."""


class UnexpectedArgument(KerasMagicError, TypeError):
    """An argument that the callee does not have, or of the wrong type."""


class WrongType(InvalidArgument, UnexpectedArgument):
    """A value of a type that an argument cannot have: who expects either builtin error catches it."""


class Unsupported(InvalidArgument, NotImplementedError):
    """A value of an argument that exists elsewhere, and not here: Keras raises ``NotImplementedError`` for some."""


class ShapeMismatch(KerasMagicError, ValueError):
    """Shapes that do not fit each other."""


class UnknownName(KerasMagicError, ValueError):
    """A name that stands for nothing here."""


class DefinitionError(KerasMagicError, ValueError):
    """A text in the definition language that is wrong."""


class NotSerializable(KerasMagicError, NotImplementedError):
    """An object that cannot say how to make it again."""


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """Return a sentence that names the candidate nearest to ``word``, or ``None``.

    Example:

    >>> did_you_mean("rleu", ["relu", "gelu", "tanh"])
    "Did you mean 'relu'?"
    >>> did_you_mean("adma", ["adamax", "adam"])
    "Did you mean 'adam'?"
    >>> did_you_mean("xyzzy", ["relu"])
    """
    by_lowercase: dict[str, str] = {}
    for candidate in candidates:
        # Of two spellings that differ in capitals, the plain one reads better.
        if candidate.lower() not in by_lowercase or candidate.islower():
            by_lowercase[candidate.lower()] = candidate
    written = word.lower()
    near = difflib.get_close_matches(written, by_lowercase, n=4, cutoff=0.6)
    # Two letters that changed places are one slip of the fingers, which the ratio does not know.
    best = min(near, key=lambda name: (_slips(written, name), sorted(written) != sorted(name)), default=None)
    return None if best is None else f"Did you mean {by_lowercase[best]!r}?"


def _slips(a: str, b: str) -> int:
    """Return how many letters must be typed, left out, changed or exchanged to get from ``a`` to ``b``."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        older, before, row = before, row, [i]
        for j, other in enumerate(b, 1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                least = min(least, older[j - 2] + 1)
            row.append(least)
    return row[-1]


class DefinitionErrors(DefinitionError):
    """Every independent error of one definition, in the order of the text.

    Args:
        errors: At least one error; message, span and hint are the first one's.

    Example:

    >>> DefinitionErrors([DefinitionError("no such layer"), DefinitionError("no such word")]).errors[1].message
    'no such word'
    """

    def __init__(self, errors: Iterable[DefinitionError]):
        self.errors = tuple(errors)
        first = self.errors[0]
        super().__init__(first.message, span=first.span, hint=first.hint)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)
