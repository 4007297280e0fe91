"""Numbers as a reader wants them: few digits, a unit, and a width that changes rarely."""

from __future__ import annotations

import math

NOTHING = "–"


def number(value: float | None) -> str:
    """Return a loss or a metric with about four significant digits.

    Example:

    >>> number(0.97221), number(12.3456), number(0.0), number(3.2e-6), number(float("nan"))
    ('0.9722', '12.35', '0.0000', '3.20e-06', 'nan')
    """
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return str(float(value))
    size = abs(value)
    if size and (size < 1e-4 or size >= 1e6):
        return f"{value:.2e}"
    decimals = 4 if size < 1 else 3 if size < 10 else 2 if size < 100 else 1
    return f"{value:,.{decimals}f}"


def short_number(value: float) -> str:
    """Return a number in as few characters as a small label has room for.

    Example:

    >>> short_number(-0.3512), short_number(0.0), short_number(12500.0)
    ('-0.35', '0', '1.2e+04')
    """
    return f"{value:.2g}" if math.isfinite(value) else str(float(value))


def count(value: float | None) -> str:
    """Return a whole number with thousands separators.

    Example:

    >>> count(1234567)
    '1,234,567'
    """
    return NOTHING if value is None or not math.isfinite(value) else f"{round(value):,}"


def seconds(value: float | None) -> str:
    """Return a duration in the two largest units that matter.

    Example:

    >>> seconds(0.42), seconds(7), seconds(65), seconds(7260), seconds(200000)
    ('0.4 s', '7.0 s', '1 min 05 s', '2 h 01 min', '2 d 07 h')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    if value < 9.95:
        return f"{max(value, 0.0):.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"


def memory(value: float | None) -> str:
    """Return a number of bytes in binary units.

    Example:

    >>> memory(512), memory(373288), memory(3 * 2**30)
    ('512 B', '364.5 KiB', '3.0 GiB')
    """
    if value is None:
        return NOTHING
    if value < 1024:
        return f"{round(value)} B"
    scaled = float(value)
    for unit in ("KiB", "MiB", "GiB"):
        scaled /= 1024
        if scaled < 1024:
            return f"{scaled:,.1f} {unit}"
    return f"{scaled / 1024:,.1f} TiB"


def plural(amount: int, noun: str) -> str:
    """Return ``amount`` and ``noun``, with an s where English wants one.

    Example:

    >>> plural(1, "epoch"), plural(1200, "epoch")
    ('1 epoch', '1,200 epochs')
    """
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {noun}s"


def magnitude(value: float | None) -> str:
    """Return a large number in three digits and a letter for thousands, millions, ...

    Example:

    >>> magnitude(0), magnitude(650), magnitude(1152), magnitude(118013952), magnitude(3857973248)
    ('0', '650', '1.15 k', '118 M', '3.86 G')
    """
    if value is None:
        return NOTHING
    scaled, letter = float(value), ""
    for following in ("k", "M", "G", "T", "P"):
        # What would be rounded up to a thousand is one of the next letter.
        if scaled < 999.5:
            break
        scaled, letter = scaled / 1000, following
    digits = 0 if not letter or scaled >= 99.95 else 1 if scaled >= 9.995 else 2
    return f"{scaled:.{digits}f} {letter}".rstrip()
