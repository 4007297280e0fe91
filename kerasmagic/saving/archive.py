"""``.keras`` files: a zip of config.json, metadata.json and model.weights.h5.

Members are read into memory one by one, never unpacked, and never beyond what
the model can need.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from kerasmagic.core.serialization import serialize_keras_object
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.saving import weights
from kerasmagic.saving.atomic import replacing
from kerasmagic.saving.config import from_json, model_from_config, text_limit
from kerasmagic.saving.hdf5 import File, write_group, writing

# The version of the file format, as the library whose format it is counts it.
FORMAT_VERSION = "3.15.0"
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_OVERHEAD_PER_VARIABLE = 64 * 2**10
_FOLDER_LIMIT = 2**20


def write(model: Any, path: Path) -> None:
    """Write a model; the file is replaced only when the new one is complete."""
    config = json.dumps(serialize_keras_object(model))
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = json.dumps({"keras_version": FORMAT_VERSION, "date_saved": now})
    buffer = io.BytesIO()
    write_weights(model, buffer)
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(METADATA, metadata)
        archive.writestr(CONFIG, config)
        archive.writestr(WEIGHTS, buffer.getbuffer())


def write_weights(model: Any, file: IO[bytes]) -> None:
    """Write the variables of a model and of its optimizer as HDF5."""
    with writing(file) as h5:
        for path, name, store in weights.stores(model, getattr(model, "optimizer", None)):
            write_group(h5, path, name, store)


def read(path: Path, custom_objects: Mapping[str, Any] | None, compile: bool, safe_mode: bool) -> Any:
    """Make the model that a file holds.

    Raises:
        InvalidArgument: If the file is damaged, or no such file.
        UnknownName: If it names a class that is neither public nor registered.
    """
    with _opened(path) as archive:
        config = from_json(_member(archive, CONFIG, text_limit(path.stat().st_size)), CONFIG)
        model = model_from_config(config, custom_objects, compile, safe_mode)
        optimizer = getattr(model, "optimizer", None)
        with File(_weights_member(archive, model, optimizer)) as file:
            weights.load(model, weights.Hdf5Source(file), optimizer)
    return model


def read_weights(path: Path, model: Any, **options: Any) -> list[str]:
    """Set the weights of a model from a file; return what was skipped."""
    with _opened(path) as archive, File(_weights_member(archive, model, None)) as file:
        return weights.load(model, weights.Hdf5Source(file), **options)


def _weights_member(archive: zipfile.ZipFile, model: Any, optimizer: Any) -> bytes:
    variables = [*model.weights, *(optimizer.variables if optimizer is not None and optimizer.built else [])]
    # Two slots per weight, in the widest type, is what the hungriest optimizer keeps.
    limit = 6 * sum(v.size * 8 for v in variables) + _OVERHEAD_PER_VARIABLE * (2 * len(variables) + 256)
    return _member(archive, WEIGHTS, limit)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with path.open("rb") as file:
            _check_folder(file, path)
            with zipfile.ZipFile(file) as archive:
                _check_names(archive, path)
                yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError) as error:
        raise InvalidArgument(f"{path} is damaged or no .keras file: {error}.") from None


def _check_folder(file: IO[bytes], path: Path) -> None:
    """Fail before the table of members is read, if there could be millions of them."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 2**16 - 22))
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + 22:
        raise zipfile.BadZipFile("it has no end")
    length = struct.unpack_from("<L", tail, at + 12)[0]
    locator = at - 20
    if locator >= 0 and tail[locator : locator + 4] == b"PK\6\7":
        file.seek(min(struct.unpack_from("<Q", tail, locator + 8)[0], size))
        record = file.read(56)
        length = struct.unpack_from("<Q", record, 40)[0] if record[:4] == b"PK\6\6" else 2**64
    if length > _FOLDER_LIMIT:
        raise InvalidArgument(
            f"{path} declares a table of members of {length:,} bytes: it is no .keras file."
        )
    file.seek(0)


def _check_names(archive: zipfile.ZipFile, path: Path) -> None:
    names = [info.filename for info in archive.infolist()]
    for info in archive.infolist():
        parts = info.filename.split("/")
        outside = (
            ".." in parts or info.filename.startswith("/") or "\\" in info.orig_filename or ":" in parts[0]
        )
        link = info.external_attr >> 16 & 0o170000 == 0o120000
        if outside or link or names.count(info.filename) > 1:
            raise InvalidArgument(
                f"Refusing to read {path}: its member {info.filename!r} "
                f"{'leads out of it' if outside else 'is a link' if link else 'is there twice'}."
            )


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        found = ", ".join(sorted(archive.namelist())[:5])
        raise InvalidArgument(
            f"The file is no .keras file of the third format: it has no {name}, but {found or 'nothing'}."
        ) from None
    if info.file_size > limit:
        raise InvalidArgument(
            f"{name} declares {info.file_size:,} bytes, far more than the model can need ({limit:,})."
        )
    # Python takes other methods apart without a bound, and an encrypted member would need a password.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
        raise InvalidArgument(f"{name} is packed in a way that .keras files are not.")
    with archive.open(info) as member:
        data = member.read(limit + 1)
    if len(data) > limit:
        raise InvalidArgument(f"{name} holds more than it declares.")
    return data
