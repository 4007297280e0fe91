"""Texts that grow towards new code: ``python -m tests.language.guided --count 100000``.

What reaches a line of the language that nothing before it reached is kept and changed further, so the search
goes where drawn texts seldom come. Nothing but our own error may come out, as in ``fuzz``.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import kerasmagic.language
from tests.language.fuzz import SECONDS
from tests.language.test_fuzz import _ALPHABET, read
from tests.language.test_mistakes import CASES

_FOLDER = str(kerasmagic.language.__path__[0])
_LONGEST = 2_000


class Coverage:
    """The lines of the language that have run."""

    def __init__(self) -> None:
        self.lines: set[tuple[str, int]] = set()

    def grows(self, action: Callable[[], Any]) -> bool:
        """Run ``action`` and say whether a new line ran."""
        before = len(self.lines)
        tracer = sys.gettrace()
        sys.settrace(self._enter)
        try:
            action()
        finally:
            sys.settrace(tracer)
        return len(self.lines) > before

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(_FOLDER) else None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            self.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


def changed(text: str, other: str, rng: random.Random) -> str:
    """Return a text with a few pieces put in, taken out, doubled, or taken from another text."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.randint(0, 8))
        begin = rng.randrange(len(other) + 1)
        piece = rng.choice(
            [rng.choice(_ALPHABET), "", text[start:end] * 2, other[begin : begin + rng.randint(1, 30)]]
        )
        text = text[:start] + piece + text[end:]
    return text[:_LONGEST]


def search(count: int, seed: int = 0) -> tuple[int, int]:
    """Read ``count`` texts; return how many of them were kept, and how many lines ran.

    Raises:
        AssertionError: With a text that took too long or broke something.
    """
    rng = random.Random(seed)
    coverage = Coverage()
    kept = [cell.partition("\n")[2] for cell, *_ in CASES]
    for text in kept:
        coverage.grows(lambda text=text: read(text))
    for _ in range(count):
        text = changed(rng.choice(kept), rng.choice(kept), rng)
        began = time.process_time()
        try:
            if coverage.grows(lambda text=text: read(text)):
                kept.append(text)
        except Exception as error:
            raise AssertionError(f"{text!r}") from error
        # Tracing makes it about ten times slower.
        assert time.process_time() - began < 10 * SECONDS, f"{text!r} took too long"
    return len(kept) - len(CASES), len(coverage.lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print("{:,} texts kept, {:,} lines reached".format(*search(given.count, given.seed)))
