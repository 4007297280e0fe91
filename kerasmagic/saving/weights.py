"""Weights in HDF5: written in Keras' layout, read with suspicion.

What a file says is compared with the variable before anything is read: a small
file that declares a huge array allocates nothing. Links to other files, virtual
datasets and filters that could run code are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import jax.numpy as jnp
import numpy as np

from kerasmagic.core.layer import Layer
from kerasmagic.foundation.errors import InvalidArgument, KerasMagicError
from kerasmagic.saving.tree import parts


def write(model: Layer, file: IO[bytes], optimizer: Any = None) -> None:
    """Write the variables of ``model``, and of ``optimizer`` if there is one."""
    import h5py

    with h5py.File(file, "w") as h5:
        for path, part in parts(model):
            store: dict[str, Any] = {}
            part.save_own_variables(store)
            _write_group(h5, path, part.name, store)
        if optimizer is not None and optimizer.built:
            values = {str(index): v.numpy() for index, v in enumerate(optimizer.variables)}
            _write_group(h5, "optimizer", optimizer.name, values)


def _write_group(h5: Any, path: str, name: str, store: Mapping[str, Any]) -> None:
    group = h5.create_group(f"{path}/vars" if path else "vars")
    group.attrs["name"] = name
    for key, value in store.items():
        array = np.asarray(value)
        if array.dtype == jnp.bfloat16 or array.dtype.name.startswith("float8"):
            # HDF5 knows no such type: the bytes are kept and the type is written beside them.
            dataset = group.create_dataset(key, data=array.view(f"u{array.itemsize}"))
            dataset.attrs["dtype"] = array.dtype.name
        else:
            group.create_dataset(key, data=array)


class Reader:
    """One HDF5 file of weights, opened to be read.

    Args:
        file: A seekable binary file.

    Raises:
        InvalidArgument: If it is no HDF5 file.
    """

    def __init__(self, file: IO[bytes]):
        import h5py

        self._h5py = h5py
        try:
            self._h5 = h5py.File(file, "r")
        except OSError as error:
            raise InvalidArgument(
                f"The weights cannot be read: this is no intact HDF5 file ({error})."
            ) from None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exc: object) -> None:
        self._h5.close()

    def load(self, model: Layer, optimizer: Any = None, skip_mismatch: bool = False) -> list[str]:
        """Set the variables of ``model`` and ``optimizer``; return what was skipped.

        Raises:
            InvalidArgument: If a variable is missing or has another shape; then no variable was changed.
        """
        plan: list[tuple[Any, dict[str, Any]]] = []
        problems: list[str] = []
        for path, part in parts(model):
            own = part._own_variables()
            try:
                plan.append((part, self._values(path, own, part.name)))
            except KerasMagicError as error:
                problems.append(error.message)
        if problems and not skip_mismatch:
            raise InvalidArgument("The weights do not fit the model. " + " ".join(problems[:5]))
        for part, store in plan:
            part.load_own_variables(store)
        if optimizer is not None and optimizer.built and self._group("optimizer/vars") is not None:
            store = self._values("optimizer", optimizer.variables, optimizer.name)
            for index, variable in enumerate(optimizer.variables):
                variable.assign(store[str(index)])
        return problems

    def _group(self, path: str) -> Any:
        """Return the group at ``path``, walking link by link so that none leads out of the file."""
        here: Any = self._h5
        for name in path.split("/"):
            link = here.get(name, getlink=True)
            if link is None:
                return None
            if not isinstance(link, self._h5py.HardLink):
                raise InvalidArgument(f"Refusing to follow a link in the weights file at {path!r}.")
            here = here[name]
            if not isinstance(here, self._h5py.Group):
                raise InvalidArgument(f"The weights file has no group at {path!r}.")
        return here

    def _values(self, path: str, variables: list[Any], name: str) -> dict[str, Any]:
        group = self._group(f"{path}/vars" if path else "vars")
        where = f"{name!r} ({path or 'the model'})"
        if group is None or len(group) != len(variables):
            found = 0 if group is None else len(group)
            raise InvalidArgument(
                f"Layer {where} expects {len(variables)} variables, but the file has {found}."
            )
        return {str(i): self._value(group, str(i), v, where) for i, v in enumerate(variables)}

    def _value(self, group: Any, key: str, variable: Any, where: str) -> Any:
        link = group.get(key, getlink=True)
        if not isinstance(link, self._h5py.HardLink):
            raise InvalidArgument(f"Refusing to follow a link in the weights file at {where}.")
        dataset = group[key]
        if not isinstance(dataset, self._h5py.Dataset) or dataset.external or dataset.is_virtual:
            raise InvalidArgument(f"Refusing to read {where}: its values stand outside the file.")
        if tuple(dataset.shape) != tuple(variable.shape):
            raise InvalidArgument(
                f"Layer {where}: variable {variable.name!r} has shape {variable.shape}, "
                f"but the file has {tuple(dataset.shape)}."
            )
        kind = dataset.attrs.get("dtype")
        if dataset.dtype.kind not in "fiub" or dataset.dtype.itemsize > 8:
            raise InvalidArgument(
                f"Layer {where}: the file holds values of type {dataset.dtype}, which are no numbers."
            )
        array = dataset[()]
        return (
            array
            if kind is None
            else np.asarray(array).view(_special_dtype(str(kind), dataset.dtype.itemsize))
        )


def _special_dtype(name: str, itemsize: int) -> Any:
    allowed = {"bfloat16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1}
    if allowed.get(name) != itemsize:
        raise InvalidArgument(f"The weights file names the type {name!r}, which it cannot hold.")
    return jnp.dtype(name)
