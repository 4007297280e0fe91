"""A million texts: ``python -m tests.language.fuzz --count 1000000`` reads them and stops at the first fault.

Each is made from a number: words, lines of the table of mistakes, and both with letters changed. Nothing but
our own error may come out, within a time and a memory that do not depend on the text.
"""

from __future__ import annotations

import argparse
import random
import resource
import time

from tests.language.test_fuzz import _ALPHABET, read
from tests.language.test_mistakes import CASES

SECONDS = 5.0
_LINES = [line for cell, *_ in CASES for line in cell.split("\n")[1:] if line]


def text_of(seed: int) -> str:
    """Return the text that belongs to a number."""
    rng = random.Random(seed)
    parts = [_part(rng) for _ in range(rng.randint(1, 6))]
    text = "\n".join(parts)
    for _ in range(rng.choice([0, 0, 1, 3])):
        place = rng.randrange(len(text) + 1)
        text = text[:place] + rng.choice(_ALPHABET) + text[place + rng.randint(0, 2) :]
    return text


def _part(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return rng.choice(_LINES)
    return "".join(rng.choice(_ALPHABET) + rng.choice(["", " "]) for _ in range(rng.randint(0, 12)))


def run(start: int, count: int, report_every: int = 10_000) -> float:
    """Read ``count`` texts; return the longest time that one took.

    Raises:
        AssertionError: With the number of the text that took too long or broke something.
    """
    slowest = 0.0
    for seed in range(start, start + count):
        text = text_of(seed)
        began = time.process_time()
        try:
            read(text)
        except Exception as error:
            raise AssertionError(f"text {seed}: {text!r}") from error
        slowest = max(slowest, time.process_time() - began)
        assert slowest < SECONDS, f"text {seed} took {slowest:.1f} s: {text!r}"
        if report_every and (seed + 1 - start) % report_every == 0:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(f"{seed + 1 - start:,} texts, slowest {slowest:.2f} s, {memory} MiB", flush=True)
    return slowest


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--start", type=int, default=0)
    given = parser.parse_args()
    run(given.start, given.count)
