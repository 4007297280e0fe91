"""The heaps of texts in an HDF5 file, looked at before HDF5 does: it goes round in damaged ones for ever."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import IO

from kerasmagic.foundation.errors import InvalidArgument

_START = b"GCOL\1\0\0\0"
_CHUNK = 2**20
_HEAP_LIMIT = 256 * 2**20


def check_heaps(file: IO[bytes]) -> None:
    """Fail unless every heap of texts is a row of objects that fills it.

    Args:
        file: An HDF5 file, open to be read; its position is kept.

    Raises:
        InvalidArgument: If one is damaged.
    """
    position = file.tell()
    size = file.seek(0, io.SEEK_END)
    try:
        for start in _starts(file):
            file.seek(start + 8)
            length = struct.unpack("<Q", file.read(8))[0] if start + 16 <= size else 0
            if not 16 <= length <= min(size - start, _HEAP_LIMIT):
                raise InvalidArgument("The file is damaged: a heap of texts does not end in it.")
            _check_objects(file.read(length - 16))
    finally:
        file.seek(position)


def _starts(file: IO[bytes]) -> Iterator[int]:
    """Yield where heaps begin."""
    place, tail = 0, b""
    while True:
        file.seek(place)
        data = file.read(_CHUNK)
        if not data:
            return
        window = tail + data
        found = window.find(_START)
        while found >= 0:
            yield place - len(tail) + found
            found = window.find(_START, found + 1)
        place += len(data)
        tail = window[-(len(_START) - 1) :]


def _check_objects(data: bytes) -> None:
    """Fail unless objects, each a head of 16 bytes and what it holds, fill ``data``; number 0 is the free rest."""
    place, seen = 0, set()
    while len(data) - place >= 16:
        number, _, _, length = struct.unpack_from("<HHLQ", data, place)
        rest = len(data) - place
        full = length if number == 0 else 16 + (length + 7) // 8 * 8
        if full > rest or number in seen or (number == 0 and length != rest):
            raise InvalidArgument("The file is damaged: the objects of a heap of texts do not fit it.")
        seen.add(number)
        place += full
