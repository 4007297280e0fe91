"""``.keras`` files: a zip of config.json, metadata.json and model.weights.h5."""

from __future__ import annotations

import datetime
import io
import json
import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.registry import custom_object_scope
from kerasmagic.saving import weights
from kerasmagic.saving.atomic import replacing

# The version of the file format, as the library whose format it is counts it.
FORMAT_VERSION = "3.15.0"
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_JSON_LIMIT = 64 * 2**20
_OVERHEAD_PER_VARIABLE = 64 * 2**10


def save_model(model: Any, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
    """Write a model to a ``.keras`` file: architecture, weights and optimizer state.

    The file is replaced only when the new one is complete.

    Args:
        model: A model.
        filepath: A path that ends in ``.keras``.
        overwrite: Whether an existing file may be replaced.

    Raises:
        InvalidArgument: If the path ends otherwise or the file exists and may not be replaced.
        OSError: If it cannot be written; then the old file is as it was.
    """
    if kwargs.pop("include_optimizer", True) is False or kwargs:
        raise InvalidArgument(f"Unknown arguments of `save`: {kwargs or ['include_optimizer']}.")
    path = _path(filepath, ".keras", "model.save")
    _check_overwrite(path, overwrite)
    config = json.dumps(serialize_keras_object(model))
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = json.dumps({"keras_version": FORMAT_VERSION, "date_saved": now})
    buffer = io.BytesIO()
    weights.write(model, buffer, getattr(model, "optimizer", None))
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(METADATA, metadata)
        archive.writestr(CONFIG, config)
        archive.writestr(WEIGHTS, buffer.getbuffer())


def load_model(
    filepath: Any,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Read a model from a ``.keras`` file.

    Nothing in the file is executed, and nothing outside of it is read.

    Args:
        filepath: A path that ends in ``.keras``.
        custom_objects: Classes and functions of the user by name.
        compile: Whether to compile it as it was compiled.
        safe_mode: Accepted for compatibility: files are always read safely.

    Raises:
        FileNotFoundError: If there is no such file.
        InvalidArgument: If it is damaged, or no such file.
        UnknownName: If it names a class that is neither public nor registered.
    """
    path = _path(filepath, ".keras", "load_model")
    if not path.exists():
        raise FileNotFoundError(
            f"File not found: {path}. Check that the path is right; the working folder is {Path.cwd()}."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive, custom_objects, compile)
    except zipfile.BadZipFile as error:
        raise InvalidArgument(f"{path} is damaged or no .keras file: {error}.") from None


def _read(archive: zipfile.ZipFile, custom_objects: Mapping[str, Any] | None, compile: bool) -> Any:
    config = _json(archive, CONFIG)
    compile_config = config.pop("compile_config", None)
    model = deserialize_keras_object(config, custom_objects)
    if not hasattr(model, "stateless_call"):
        raise InvalidArgument(f"The file holds a {type(model).__name__}, which is no model.")
    if compile and compile_config:
        _compile(model, compile_config, custom_objects)
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.weights, *(optimizer.variables if optimizer is not None and optimizer.built else [])]
    # Two slots per weight is what the hungriest optimizer keeps; a file of more is not of this model.
    limit = 4 * sum(v.size * 8 for v in variables) + _OVERHEAD_PER_VARIABLE * (len(variables) + 64)
    data = _member(archive, WEIGHTS, limit)
    with weights.Reader(io.BytesIO(data)) as reader:
        reader.load(model, optimizer)
    return model


def _compile(model: Any, config: Any, custom_objects: Mapping[str, Any] | None) -> None:
    try:
        with custom_object_scope(custom_objects or {}):
            model.compile_from_config(config)
    except Exception as error:
        warnings.warn(
            f"The model was loaded without its compile settings, which could not be made again: {error} "
            "Call `compile` before you train it.",
            stacklevel=4,
        )


def _json(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    try:
        value = json.loads(_member(archive, name, _JSON_LIMIT))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InvalidArgument(f"{name} in the file is damaged: {error}.") from None
    if not isinstance(value, dict):
        raise InvalidArgument(f"{name} in the file is damaged: it holds no object.")
    return value


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise InvalidArgument(f"The file is no .keras file: it has no {name}.") from None
    if info.file_size > limit:
        raise InvalidArgument(
            f"{name} declares {info.file_size:,} bytes, far more than the model can need ({limit:,})."
        )
    with archive.open(info) as member:
        data = member.read(limit + 1)
    if len(data) > limit:
        raise InvalidArgument(f"{name} holds more than it declares.")
    return data


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Write the weights of a model to a ``.weights.h5`` file.

    Raises:
        InvalidArgument: If the path ends otherwise or the file exists and may not be replaced.
    """
    path = _path(filepath, ".weights.h5", "save_weights")
    _check_overwrite(path, overwrite)
    with replacing(path) as file:
        weights.write(model, file, getattr(model, "optimizer", None))


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False) -> None:
    """Set the weights of a model from a ``.weights.h5`` or ``.keras`` file.

    Args:
        model: A built model.
        filepath: The file.
        skip_mismatch: Whether to leave out what does not fit.

    Raises:
        InvalidArgument: If the weights do not fit; then none was changed.
    """
    path = Path(os.fspath(filepath))
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            limit = 12 * sum(v.size * 8 for v in model.weights) + _OVERHEAD_PER_VARIABLE * 4096
            file: Any = io.BytesIO(_member(archive, WEIGHTS, limit))
            skipped = _load(model, file, skip_mismatch)
    else:
        with _path(filepath, ".weights.h5", "load_weights").open("rb") as file:
            skipped = _load(model, file, skip_mismatch)
    for problem in skipped:
        warnings.warn(f"Skipped: {problem}", stacklevel=2)


def _load(model: Any, file: Any, skip_mismatch: bool) -> list[str]:
    with weights.Reader(file) as reader:
        return reader.load(model, skip_mismatch=skip_mismatch)


def _path(filepath: Any, suffix: str, method: str) -> Path:
    text = os.fspath(filepath)
    if not text.endswith(suffix):
        raise InvalidArgument(
            f"`{method}` needs a path that ends in {suffix!r}. Received: {text!r}",
            hint=f"Use '{Path(text).stem}{suffix}'.",
        )
    return Path(text)


def _check_overwrite(path: Path, overwrite: bool) -> None:
    if not overwrite and path.exists():
        raise InvalidArgument(f"{path} exists already. Pass `overwrite=True` to replace it.")
