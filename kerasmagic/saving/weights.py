"""The variables of a model by their place in a weights file, whatever the format of the file.

A format is a ``Source``: it tells what stands at a place, and reads what fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from kerasmagic.core.layer import Layer
from kerasmagic.core.ownership import Owner
from kerasmagic.foundation.errors import InvalidArgument, KerasMagicError
from kerasmagic.saving.hdf5 import File, Spec, fits
from kerasmagic.saving.tree import parts


class Source(Protocol):
    """A file of weights that is read."""

    @property
    def size(self) -> int:
        """The bytes of the file."""
        ...

    def keys(self, path: str) -> list[str] | None:
        """Return the names of the arrays of the part at ``path``, or ``None`` where it has none."""
        ...

    def read(self, path: str, key: str, spec: Spec | None, where: str) -> np.ndarray:
        """Return an array that fits ``spec``.

        Raises:
            InvalidArgument: If there is none, or it does not fit.
        """
        ...


class Hdf5Source:
    """Weights in one HDF5 file, each part in a group ``<path>/vars``.

    Args:
        file: The file.
    """

    def __init__(self, file: File):
        self._file = file

    @property
    def size(self) -> int:
        return self._file.size

    def _place(self, path: str) -> str:
        full = f"{path}/vars" if path else "vars"
        if self._file.group(full) is not None:
            return full
        # Keras 2.12 had another name for the layers of a model.
        return full.replace("layers", "_layer_checkpoint_dependencies")

    def keys(self, path: str) -> list[str] | None:
        return self._file.keys(self._place(path))

    def read(self, path: str, key: str, spec: Spec | None, where: str) -> np.ndarray:
        return self._file.read(self._file.group(self._place(path)), key, spec, where)


def stores(model: Layer, optimizer: Any = None) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, name and arrays of every part of a model, and of its optimizer."""
    for path, part in parts(model):
        yield path, part.name, _saved(part)
    path = "optimizer"
    while optimizer is not None and optimizer.built:
        yield path, optimizer.name, _saved(optimizer)
        # An optimizer around another one holds its variables too, and Keras reads both places.
        optimizer, path = getattr(optimizer, "inner_optimizer", None), f"{path}/inner_optimizer"


def _saved(part: Any) -> dict[str, Any]:
    store: dict[str, Any] = {}
    part.save_own_variables(store)
    return store


def load(
    model: Layer,
    source: Source,
    optimizer: Any = None,
    skip_mismatch: bool = False,
    skip: Sequence[Any] = (),
) -> list[str]:
    """Set the variables of ``model`` and ``optimizer``; return what was skipped.

    Args:
        model: A built model.
        source: The file.
        optimizer: Its optimizer, if its state is wanted.
        skip_mismatch: Whether to leave out what does not fit.
        skip: Parts to leave as they are.

    Raises:
        InvalidArgument: If a variable is missing or has another shape; then no variable was changed.
    """
    plan: list[tuple[Any, Mapping[str, Any]]] = []
    problems: list[str] = []
    left = {id(part) for part in skip}
    for path, part in parts(model):
        if id(part) in left:
            continue
        try:
            plan.append((part, _values(source, path, part)))
        except KerasMagicError as error:
            problems.append(error.message)
    if problems and not skip_mismatch:
        shown = " ".join(problems[:5]) + (f" And {len(problems) - 5} more." if len(problems) > 5 else "")
        raise InvalidArgument(
            f"The weights do not fit the model. {shown}",
            hint="Build the model that the file was written from, or pass `skip_mismatch=True` for what fits.",
        )
    if optimizer is not None and optimizer.built and source.keys("optimizer") is not None:
        specs = {str(i): Spec(v.shape, v.dtype) for i, v in enumerate(optimizer.variables)}
        plan.append((optimizer, _numbered(source, "optimizer", specs, f"Optimizer {optimizer.name!r}")))
    for part, store in plan:
        part.load_own_variables(store)
    return problems


def _values(source: Source, path: str, part: Any) -> Mapping[str, Any]:
    where = f"Layer {part.name!r} ({path or 'the model'})"
    own = part._own_variables()
    specs = {str(i): Spec(v.shape, v.dtype) for i, v in enumerate(own)}
    names = {str(i): v.name for i, v in enumerate(own)}
    try:
        return _numbered(source, path, specs, where, names)
    except InvalidArgument:
        # To ask the part draws its first values: not for a file that could not hold them.
        needed = sum(spec.nbytes for spec in specs.values())
        if type(part).save_own_variables is Owner.save_own_variables or not fits(needed, source.size):
            raise
    # The part says itself what it keeps, which may be other than its variables.
    saved = {key: np.asarray(value) for key, value in _saved(part).items()}
    specs = {key: Spec(value.shape, value.dtype) for key, value in saved.items()}
    if type(part).__module__.startswith("kerasmagic."):
        return _numbered(source, path, specs, where)
    keys = source.keys(path) or []
    return {key: source.read(path, key, specs.get(key), f"{where}, {key!r}") for key in keys}


def _numbered(
    source: Source, path: str, specs: Mapping[str, Spec], where: str, names: Mapping[str, str] = {}
) -> dict[str, Any]:
    keys = source.keys(path) or []
    if len(keys) != len(specs):
        raise InvalidArgument(f"{where} expects {len(specs)} variables, but the file has {len(keys)}.")
    return {
        key: source.read(path, key, spec, f"{where}: variable {names.get(key, key)!r}")
        for key, spec in specs.items()
    }
