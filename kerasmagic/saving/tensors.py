"""``.safetensors`` files: a header in JSON, then the bytes of the arrays.

The format is so small that reading it ourselves is the safest way: what the header
says is checked against the file and the model before an array is made.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.saving.atomic import replacing
from kerasmagic.saving.config import from_json
from kerasmagic.saving.hdf5 import Spec

SUFFIX = ".safetensors"
_HEADER_LIMIT = 100_000_000
_TYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}
_NAMES = {name: key for key, name in _TYPES.items()}


def write(stores: Iterable[tuple[str, str, dict[str, Any]]], path: Path) -> None:
    """Write arrays, named by part and number: ``layers/dense/vars/0``.

    Raises:
        InvalidArgument: If the format has no such type.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "keras"}}
    arrays = []
    end = 0
    for part, _, store in stores:
        for key, value in store.items():
            array = np.asarray(value)
            if array.dtype.name not in _NAMES:
                raise InvalidArgument(f"safetensors files hold no {array.dtype.name}: use `.weights.h5`.")
            start, end = end, end + array.nbytes
            name = f"{part}/vars/{key}" if part else f"vars/{key}"
            header[name] = {
                "dtype": _NAMES[array.dtype.name],
                "shape": list(array.shape),
                "data_offsets": [start, end],
            }
            arrays.append(array)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays:
            file.write(np.ascontiguousarray(array).tobytes())


class Tensors:
    """A source of weights in a safetensors file.

    Args:
        path: The file.

    Raises:
        InvalidArgument: If it is damaged.
    """

    def __init__(self, path: Path):
        self._path = path
        self._file = path.open("rb")
        try:
            self._start, self._entries = self._header()
        except BaseException:
            self._file.close()
            raise

    def _header(self) -> tuple[int, dict[str, tuple[Spec, int]]]:
        """Return where the arrays begin, and what each is and where it begins behind that."""
        size = self._path.stat().st_size
        start = self._file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(size - 8, _HEADER_LIMIT):
            raise self._damaged("it is no safetensors file, or cut off")
        header = from_json(self._file.read(length), "The header")
        header.pop("__metadata__", None)
        room = size - 8 - length
        return 8 + length, {name: self._entry(name, entry, room) for name, entry in header.items()}

    def __enter__(self) -> Tensors:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def _damaged(self, what: str) -> InvalidArgument:
        return InvalidArgument(f"{self._path} is damaged: {what}.")

    def _entry(self, name: str, entry: Any, room: int) -> tuple[Spec, int]:
        """Return what an array is and where it begins, after a look at every claim of the header."""
        try:
            first, last = entry["data_offsets"]
            shape, dtype = tuple(entry["shape"]), jnp.dtype(_TYPES[entry["dtype"]])
        except (KeyError, TypeError, ValueError):
            raise self._damaged(f"the entry {name!r} is incomplete, or of an unknown type") from None
        numbers = (first, last, *shape)
        if not all(type(n) is int and n >= 0 for n in numbers) or len(shape) > 32:
            raise self._damaged(f"the entry {name!r} has impossible sizes")
        inside = first <= last <= room
        if not inside or last - first != math.prod(shape) * dtype.itemsize:
            raise self._damaged(f"the entry {name!r} does not fit its place")
        return Spec(shape, dtype), first

    @property
    def size(self) -> int:
        return self._path.stat().st_size

    def keys(self, path: str) -> list[str] | None:
        start = f"{path}/vars/" if path else "vars/"
        found = [name.removeprefix(start) for name in self._entries if name.startswith(start)]
        return found or None

    def read(self, path: str, key: str, spec: Spec | None, where: str) -> np.ndarray:
        name = f"{path}/vars/{key}" if path else f"vars/{key}"
        if name not in self._entries:
            raise InvalidArgument(f"{where} is not in the file.")
        found, start = self._entries[name]
        if spec is not None:
            spec.check(found.shape, found.dtype, where)
        self._file.seek(self._start + start)
        data = self._file.read(found.nbytes)
        return np.frombuffer(data, found.dtype).reshape(found.shape)
