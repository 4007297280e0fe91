"""HDF5 read with suspicion: nothing outside the file, nothing that the model did not ask for.

What a file says is compared with what is expected before anything is read: a
small file that declares a huge array allocates nothing.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator, Mapping
from typing import IO, Any

import jax.numpy as jnp
import numpy as np

from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.saving.heaps import check_heaps

# Deflate, shuffle, checksum, szip, n-bit, scale-offset and h5py's own lzf: all others are plugins, code that
# HDF5 would load from a folder.
_FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
_ATTRIBUTE_LIMIT = 16 * 2**20
# How much larger than its file the content may be: zeros compress well, but not without end.
_EXPANSION, _SLACK = 8, 64 * 2**20


class Spec:
    """What an array must be: its shape and its type."""

    def __init__(self, shape: tuple[int, ...], dtype: Any):
        self.shape = tuple(shape)
        self.dtype = jnp.dtype(dtype)

    @property
    def nbytes(self) -> int:
        """The bytes that the values take."""
        return math.prod(self.shape) * self.dtype.itemsize

    def check(self, shape: Any, dtype: Any, where: str) -> None:
        """Fail unless an array of this shape and type can be taken.

        Raises:
            InvalidArgument: With what was expected and what is there.
        """
        if tuple(shape) != self.shape:
            raise InvalidArgument(f"{where} has shape {self.shape}, but the file has {tuple(shape)}.")
        if kind_of(dtype) != kind_of(self.dtype):
            raise InvalidArgument(
                f"{where} holds {self.dtype.name}, but the file has {jnp.dtype(dtype).name}."
            )


def kind_of(dtype: Any) -> str:
    """Return what family of numbers a type belongs to: a file may hold another width of the same.

    >>> kind_of("bfloat16"), kind_of("float32"), kind_of("int8"), kind_of("uint8"), kind_of("bool")
    ('float', 'float', 'integer', 'integer', 'bool')
    """
    for kind in ("floating", "integer", "complexfloating"):
        if jnp.issubdtype(dtype, getattr(jnp, kind)):
            return kind.removesuffix("ing")
    return "bool" if jnp.dtype(dtype) == jnp.bool_ else "other"


def fits(expected: int, size: int) -> bool:
    """Whether a file of ``size`` bytes can hold ``expected`` bytes, packed or not."""
    return expected <= _EXPANSION * size + _SLACK


def check_expansion(expected: int, size: int, where: str) -> None:
    """Fail if a file of ``size`` bytes would have to hold ``expected`` bytes, far more than fits.

    Raises:
        InvalidArgument: If it is a bomb, or cut off.
    """
    if not fits(expected, size):
        raise InvalidArgument(
            f"{where} has {size:,} bytes, but the model needs {expected:,}: the file is not of this model, or it is "
            "made to exhaust the memory."
        )


class File:
    """An HDF5 file that is read.

    Args:
        file: A binary file, or all of its bytes.

    Raises:
        InvalidArgument: If it is no HDF5 file.
    """

    def __init__(self, file: IO[bytes] | bytes):
        import h5py

        self._h5py = h5py
        handle = io.BytesIO(file) if isinstance(file, bytes) else file
        self.size = handle.seek(0, io.SEEK_END)
        self._taken = 0
        self._handle = handle
        self._heaps_checked = False
        handle.seek(0)
        try:
            self.root = h5py.File(handle, "r")
        except Exception as error:
            raise InvalidArgument(f"The file is damaged or no HDF5 file: {error}.") from None

    def __enter__(self) -> File:
        return self

    def __exit__(self, *exc: object) -> None:
        self.root.close()

    def _walk(self, start: Any, path: str) -> Any:
        """Return what stands at ``path``, going link by link so that none leads elsewhere; or ``None``."""
        here = start
        for name in filter(None, path.split("/")):
            if not isinstance(here, self._h5py.Group) or name in (".", ".."):
                return None
            link = here.get(name, getlink=True)
            if link is None:
                return None
            if not isinstance(link, self._h5py.HardLink):
                raise InvalidArgument(f"Refusing to follow a link in the file at {path!r}.")
            here = here[name]
        return here

    def group(self, path: str, start: Any = None) -> Any:
        """Return the group at ``path``, or ``None``.

        Raises:
            InvalidArgument: If there is something else, or a link on the way.
        """
        with _explained(path):
            found = self._walk(self.root if start is None else start, path)
        if found is not None and not isinstance(found, self._h5py.Group):
            raise InvalidArgument(f"The file has no group at {path!r}, but {type(found).__name__.lower()}.")
        return found

    def keys(self, path: str) -> list[str] | None:
        """Return the names in the group at ``path``, or ``None`` where there is no such group."""
        group = self.group(path)
        with _explained(path):
            return None if group is None else list(group)

    def read(self, group: Any, key: str, spec: Spec | None, where: str) -> np.ndarray:
        """Return the values of a dataset that fits ``spec``, or that is no larger than the file can hold.

        Raises:
            InvalidArgument: If it does not fit, or its values stand elsewhere.
        """
        with _explained(where):
            dataset = self._walk(group, key)
            if not isinstance(dataset, self._h5py.Dataset):
                raise InvalidArgument(f"{where} is not in the file.")
            self._check_storage(dataset, where)
            dtype = self._dtype(dataset, spec, where)
            if spec is not None:
                spec.check(dataset.shape, dtype, where)
            nbytes = math.prod(dataset.shape) * dtype.itemsize
            # All that was read counts: a thousand arrays may be as large as one.
            check_expansion(self._taken + nbytes, self.size, "The weights file")
            self._taken += nbytes
            values = np.empty(dataset.shape, dataset.dtype)
            if values.size:
                dataset.read_direct(values)
        return values if values.dtype == dtype else values.view(dtype)

    def _dtype(self, dataset: Any, spec: Spec | None, where: str) -> Any:
        """Return the type of the values; those that HDF5 does not know are bytes, with the name beside them."""
        dtype = dataset.dtype
        if dtype.kind in "fiub" and dtype.itemsize <= 8:
            return dtype
        if dtype.kind == "V" and dtype.names is None and dtype.subdtype is None:
            named = self.attribute(dataset, "dtype") in ("bfloat16", b"bfloat16")
            own = spec is not None and spec.dtype.kind not in "fiubc"
            special = jnp.dtype(jnp.bfloat16) if named else spec.dtype if spec is not None and own else None
            if special is not None and special.itemsize == dtype.itemsize:
                return special
        raise InvalidArgument(f"{where}: the file holds values of type {dtype}, which are no numbers.")

    def _check_storage(self, dataset: Any, where: str) -> None:
        if dataset.external or dataset.is_virtual:
            raise InvalidArgument(f"Refusing to read {where}: its values stand outside the file.")
        plist = dataset.id.get_create_plist()
        filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
        if not filters <= _FILTERS:
            raise InvalidArgument(f"Refusing to read {where}: it needs a filter that is no part of HDF5.")

    def attribute(self, group: Any, name: str) -> Any:
        """Return a text, number or array of texts beside ``group``; ``None`` where there is none.

        Raises:
            InvalidArgument: If it is something else or too large.
        """
        with _explained(name):
            if name not in group.attrs:
                return None
            handle = group.attrs.get_id(name)
            nbytes = math.prod(handle.shape) * handle.dtype.itemsize
            if nbytes > min(_ATTRIBUTE_LIMIT, self.size) or handle.dtype.kind not in "SOUfiu":
                raise InvalidArgument(f"Refusing to read {name!r} in the file: it is too large or no text.")
            if handle.dtype.kind == "O":
                if self._h5py.check_string_dtype(handle.dtype) is None:
                    raise InvalidArgument(f"Refusing to read {name!r} in the file: it is no text.")
                if not self._heaps_checked:
                    check_heaps(self._handle)
                    self._heaps_checked = True
            return group.attrs[name]

    def has_attribute(self, name: str) -> bool:
        """Whether an attribute, or a first part of it, stands beside the root."""
        with _explained(name):
            return name in self.root.attrs or f"{name}0" in self.root.attrs

    def text(self, group: Any, name: str) -> str | None:
        """Return an attribute that is one text, or ``None``."""
        value = self.attribute(group, name)
        return None if value is None else _decode(value, name)

    def texts(self, group: Any, name: str) -> list[str]:
        """Return an attribute that is a list of texts, maybe spread over ``name0``, ``name1``, ..."""
        whole = self.attribute(group, name)
        found = list(whole) if isinstance(whole, np.ndarray) else []
        number = 0
        while whole is None and (part := self.attribute(group, f"{name}{number}")) is not None:
            found.extend(np.atleast_1d(part))
            number += 1
        return [_decode(item, name) for item in found]


def _decode(value: Any, name: str) -> str:
    if isinstance(value, bytes):
        with _explained(name):
            return value.decode("utf-8")
    if not isinstance(value, str):
        raise InvalidArgument(f"{name!r} in the file is no text, but {type(value).__name__}.")
    return str(value)


class _explained:
    """Turns whatever HDF5 raises over a damaged file into one clear error."""

    def __init__(self, where: str):
        self.where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, (InvalidArgument, MemoryError)):
            raise InvalidArgument(f"The file is damaged at {self.where}: {error}.") from None


class _Written:
    """A file that HDF5 writes to, and what went wrong in it: HDF5 says no more than that something did."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: Any) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise


@contextlib.contextmanager
def writing(file: IO[bytes]) -> Iterator[Any]:
    """Yield an HDF5 file to write to.

    Raises:
        OSError: If the file cannot be written, for example on a full disk.
    """
    import h5py

    written = _Written(file)
    try:
        with h5py.File(written, "w") as h5:
            yield h5
    except Exception:
        if written.error is not None:
            raise written.error from None
        raise


def write_group(h5: Any, path: str, name: str | None, store: Mapping[str, Any]) -> None:
    """Write arrays as the variables of the part at ``path``."""
    group = h5.require_group(f"{path}/vars" if path else "vars")
    if name is not None:
        group.attrs["name"] = name
    for key, value in store.items():
        array = np.asarray(value)
        dataset = group.create_dataset(key, data=array)
        if array.dtype == jnp.bfloat16:
            dataset.attrs["dtype"] = "bfloat16"
