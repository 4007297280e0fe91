"""Weights spread over several HDF5 files, with a ``.weights.json`` that says what is where."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.saving.atomic import replacing
from kerasmagic.saving.config import from_json, text_limit
from kerasmagic.saving.hdf5 import File, Spec, write_group, writing
from kerasmagic.saving.weights import Hdf5Source

SUFFIX = ".weights.json"
_SHARD = ".weights.h5"
_GIGABYTE = 1024**3
Store = tuple[str, str, dict[str, Any]]


def write(stores: Iterable[Store], path: Path, max_shard_size: float) -> None:
    """Write arrays to files of at most ``max_shard_size`` gigabytes, and last the file that lists them.

    Raises:
        InvalidArgument: If one array alone is larger.
    """
    base = path.name.removesuffix(SUFFIX)
    where: dict[str, Any] = {}
    total = 0
    for number, shard in enumerate(_shards(stores, max_shard_size * _GIGABYTE)):
        name = f"{base}_{number:05}{_SHARD}"
        total += sum(np.asarray(x).nbytes for _, _, store in shard for x in store.values())
        _write_shard(shard, path.with_name(name))
        for part, _, store in shard:
            if store:
                where.setdefault(f"/{part}/vars" if part else "/vars", []).append(name)
    weight_map = {key: names if len(names) > 1 else names[0] for key, names in where.items()}
    text = json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}, indent=4)
    with replacing(path) as file:
        file.write(text.encode())


def _shards(stores: Iterable[Store], limit: float) -> Iterator[list[Store]]:
    shard: list[Store] = []
    size = 0
    for path, name, store in stores:
        shard.append((path, name, {}))
        for key, value in store.items():
            nbytes = np.asarray(value).nbytes
            if nbytes > limit:
                raise InvalidArgument(
                    f"Variable {key!r} of {name!r} has {nbytes:,} bytes, which is more than a shard may have "
                    f"({limit:,.0f}). Increase `max_shard_size`."
                )
            if size + nbytes > limit:
                yield shard
                shard, size = [(path, name, {})], 0
            shard[-1][2][key] = value
            size += nbytes
    yield shard


def _write_shard(shard: list[Store], path: Path) -> None:
    with replacing(path) as file, writing(file) as h5:
        for part, name, store in shard:
            write_group(h5, part, name, store)


class Shards:
    """A source of weights in several files.

    Args:
        path: The file that lists them.

    Raises:
        InvalidArgument: If it is damaged, or lists files that are not beside it.
    """

    def __init__(self, path: Path):
        size = path.stat().st_size
        if size > text_limit(size):
            raise InvalidArgument(f"{path} is too large for a list of files.")
        listing = from_json(path.read_bytes(), path.name).get("weight_map")
        if not isinstance(listing, Mapping):
            raise InvalidArgument(f"{path} is no list of sharded weights: it has no `weight_map`.")
        self._names = {key: _names(value, path) for key, value in listing.items()}
        self._files = contextlib.ExitStack()
        self._path = path
        self._open: dict[str, Hdf5Source] = {}

    def __enter__(self) -> Shards:
        return self

    def __exit__(self, *exc: object) -> None:
        self._files.close()

    @property
    def size(self) -> int:
        return sum(self._source(name).size for name in {n for names in self._names.values() for n in names})

    def _sources(self, path: str) -> list[Hdf5Source]:
        names = self._names.get(f"/{path}/vars" if path else "/vars", [])
        return [self._source(name) for name in names]

    def _source(self, name: str) -> Hdf5Source:
        if name not in self._open:
            path = self._path.with_name(name)
            homes = {self._path.parent.resolve(), self._path.resolve().parent}
            if path.resolve().parent not in homes or not path.is_file():
                raise InvalidArgument(
                    f"The shard {name!r} of {self._path} is missing, or a link to another folder."
                )
            file = self._files.enter_context(path.open("rb"))
            self._open[name] = Hdf5Source(self._files.enter_context(File(file)))
        return self._open[name]

    def keys(self, path: str) -> list[str] | None:
        found = [source.keys(path) for source in self._sources(path)]
        return [key for keys in found for key in keys or []] if found else None

    def read(self, path: str, key: str, spec: Spec | None, where: str) -> np.ndarray:
        for source in self._sources(path):
            if key in (source.keys(path) or []):
                return source.read(path, key, spec, where)
        raise InvalidArgument(f"{where} is in none of the shards.")


def _names(value: Any, path: Path) -> list[str]:
    names = value if isinstance(value, list) else [value]
    for name in names:
        plain = isinstance(name, str) and name.endswith(_SHARD) and not set(name) & set("/\\:\0")
        if not plain:
            raise InvalidArgument(f"Refusing to read {path}: it lists {name!r}, which is no shard beside it.")
    return names
