"""The scripts and style sheets of the views, files of their own that need no build step."""

from __future__ import annotations

import functools
import pathlib

_STATIC = pathlib.Path(__file__).parent / "static"


@functools.cache
def static(*names: str) -> str:
    """Return files of ``static/``, joined in this order: a module of several files is one text to a page.

    >>> ".km-error {" in static("error_card.css")
    True
    """
    return "\n".join((_STATIC / name).read_text(encoding="utf-8") for name in names)


def styles(*names: str) -> str:
    """Return style sheets of ``static/``, joined behind the colours and letters that all views have in common.

    >>> styles("graph.css").count("--km-accent:")
    1
    """
    return static("palette.css", *names)
