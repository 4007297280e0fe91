"""Saving and loading by the ending of the path: ``.keras``, ``.weights.h5``, ``.h5`` and the others."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.saving import archive, legacy, sharded, tensors, weights
from kerasmagic.saving.atomic import replacing
from kerasmagic.saving.hdf5 import File

_LEGACY = (".h5", ".hdf5")
_WEIGHTS = ".weights.h5"


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
) -> None:
    """Write a model to a ``.keras`` file: architecture, weights and optimizer state.

    The file is replaced only when the new one is complete.

    Args:
        model: A model.
        filepath: A path that ends in ``.keras``.
        overwrite: Whether an existing file may be replaced.
        zipped: Must not be false: a folder cannot be replaced at once.

    Raises:
        InvalidArgument: If the path ends otherwise or the file exists and may not be replaced.
        NotSerializable: If something in the model cannot say how to make it again.
        OSError: If it cannot be written; then the old file is as it was.
    """
    if kwargs.pop("include_optimizer", True) is False or kwargs:
        raise InvalidArgument(f"Unknown arguments of `save`: {kwargs or ['include_optimizer']}.")
    if zipped is False:
        raise InvalidArgument("`zipped=False` is not supported: models are saved to one `.keras` file.")
    path = _path(filepath, (".keras",), "model.save")
    _check_overwrite(path, overwrite)
    archive.write(model, path)


def load_model(
    filepath: Any,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Read a model from a ``.keras`` file, or from an ``.h5`` file of an earlier Keras.

    Nothing in the file is executed, and nothing outside of it is read.

    Args:
        filepath: The path of the file.
        custom_objects: Classes and functions of the user by name.
        compile: Whether to compile it as it was compiled.
        safe_mode: Only ``False`` lets the definitions of ``%%layer`` in the file run. Bytecode is never read.

    Raises:
        FileNotFoundError: If there is no such file.
        InvalidArgument: If it is damaged, or no such file.
        UnknownName: If it names a class that is neither public nor registered.
    """
    path = _existing(_path(filepath, (".keras", *_LEGACY), "load_model"))
    read = legacy.read if path.name.endswith(_LEGACY) else archive.read
    return read(path, custom_objects, compile, safe_mode)


def save_weights(
    model: Any, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None
) -> None:
    """Write the weights of a model to a ``.weights.h5``, ``.weights.json`` or ``.safetensors`` file.

    Args:
        model: A built model.
        filepath: The path; ``.weights.json`` stands for several files beside each other.
        overwrite: Whether an existing file may be replaced.
        max_shard_size: The largest size of one of the several files, in gigabytes.

    Raises:
        InvalidArgument: If the path ends otherwise, the file exists and may not be replaced, or the model is
            not built.
    """
    path = _path(filepath, (_WEIGHTS, sharded.SUFFIX, tensors.SUFFIX), "save_weights")
    if max_shard_size is not None and path.name.endswith(_WEIGHTS):
        path = path.with_name(path.name.removesuffix(_WEIGHTS) + sharded.SUFFIX)
    _check_overwrite(path, overwrite)
    if not model.built:
        raise InvalidArgument(
            "The model has no weights yet: build it, or call it on data, before you save them."
        )
    optimizer = getattr(model, "optimizer", None)
    if path.name.endswith(sharded.SUFFIX):
        size = 5.0 if max_shard_size is None else max_shard_size
        sharded.write(weights.stores(model, optimizer), path, size)
    elif path.name.endswith(tensors.SUFFIX):
        tensors.write(weights.stores(model), path)
    else:
        with replacing(path) as file:
            archive.write_weights(model, file)


def load_weights(
    model: Any,
    filepath: Any,
    skip_mismatch: bool = False,
    by_name: bool | None = None,
    objects_to_skip: Sequence[Any] | None = None,
) -> None:
    """Set the weights of a model from a file that holds weights, or a whole model.

    Args:
        model: A built model.
        filepath: A ``.weights.h5``, ``.weights.json``, ``.safetensors``, ``.keras`` or ``.h5`` file.
        skip_mismatch: Whether to leave out what does not fit.
        by_name: Whether layers are found by name; for ``.h5`` files of an earlier Keras.
        objects_to_skip: Layers to leave as they are.

    Raises:
        FileNotFoundError: If there is no such file.
        InvalidArgument: If the weights do not fit; then none was changed.
    """
    endings = (_WEIGHTS, sharded.SUFFIX, tensors.SUFFIX, ".keras", *_LEGACY)
    path = _existing(_path(filepath, endings, "load_weights"))
    options: dict[str, Any] = {"skip_mismatch": skip_mismatch, "skip": objects_to_skip or ()}
    if by_name and not path.name.endswith(_LEGACY):
        raise InvalidArgument("`by_name` is for `.h5` files of an earlier Keras.")
    if path.suffix == ".keras":
        skipped = archive.read_weights(path, model, **options)
    elif path.name.endswith(sharded.SUFFIX):
        with sharded.Shards(path) as source:
            skipped = weights.load(model, source, **options)
    elif path.suffix == tensors.SUFFIX:
        with tensors.Tensors(path) as source:
            skipped = weights.load(model, source, **options)
    else:
        skipped = _load_hdf5(path, model, bool(by_name), options)
    for problem in skipped:
        warnings.warn(f"Skipped: {problem}", stacklevel=2)


def _load_hdf5(path: Path, model: Any, by_name: bool, options: Mapping[str, Any]) -> list[str]:
    with path.open("rb") as handle, File(handle) as file:
        if file.has_attribute("layer_names") or file.group("model_weights") is not None:
            return legacy.load_weights(file, model, options["skip_mismatch"], by_name)
        return weights.load(model, weights.Hdf5Source(file), **options)


def _path(filepath: Any, endings: Sequence[str], method: str) -> Path:
    text = os.fspath(filepath)
    if not isinstance(text, str) or not text.endswith(tuple(endings)):
        wanted = " or ".join(repr(ending) for ending in endings)
        stem = Path(str(text)).stem
        raise InvalidArgument(
            f"`{method}` needs a path that ends in {wanted}. Received: {text!r}",
            hint=f"Use '{stem}{endings[0]}'.",
        )
    return Path(text)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise FileNotFoundError(
            f"File not found: {path}. Check that the path is right; the working folder is {Path.cwd()}."
        )
    # A pipe or a device would make the reader wait, or never end.
    if not path.is_file():
        raise InvalidArgument(f"{path} is no file.")
    return path


def _check_overwrite(path: Path, overwrite: bool) -> None:
    if not overwrite and path.exists():
        raise InvalidArgument(f"{path} exists already. Pass `overwrite=True` to replace it.")
