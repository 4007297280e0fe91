"""Data types by name, and which of them are floats."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from kerasmagic.foundation.config import floatx
from kerasmagic.foundation.errors import InvalidArgument

ALLOWED = [
    "float16",
    "float32",
    "float64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "bfloat16",
    "bool",
    "string",
    "float8_e4m3fn",
    "float8_e5m2",
    "complex64",
    "complex128",
]
_PYTHON = {bool: "bool", int: "int32", float: None, str: "string", complex: "complex64"}


def standardize_dtype(dtype: Any) -> str:
    """Return the name of a data type; the default float type for ``None``.

    Raises:
        InvalidArgument: If there is no such type.

    >>> standardize_dtype(jnp.float32), standardize_dtype(int)
    ('float32', 'int32')
    """
    if dtype is None:
        return floatx()
    if isinstance(dtype, type) and dtype in _PYTHON:
        return _PYTHON[dtype] or floatx()
    name = (
        dtype if isinstance(dtype, str) else getattr(dtype, "name", None) or getattr(dtype, "__name__", None)
    )
    if name in ("str_", "str"):
        name = "string"
    if name not in ALLOWED:
        try:
            name = jnp.dtype(dtype).name
        except TypeError:
            name = None
    if name not in ALLOWED:
        raise InvalidArgument(f"Invalid dtype: {dtype!r}. It must be one of {', '.join(ALLOWED)}.")
    return name


def is_float_dtype(dtype: Any) -> bool:
    """Whether the type is a float type, brain floats and 8-bit floats included."""
    return "float" in standardize_dtype(dtype)


def is_int_dtype(dtype: Any) -> bool:
    """Whether the type is an integer type, signed or not."""
    return "int" in standardize_dtype(dtype)


def result_type(*dtypes: Any) -> str:
    """Return the type of a computation with values of these types; Python's types give way to arrays'.

    >>> result_type("int32", "float16"), result_type(float, "bfloat16"), result_type()
    ('float16', 'bfloat16', 'float32')
    """
    if not dtypes:
        return floatx()
    weak = (bool, int, float, complex)
    types = [d if d in weak else jnp.dtype(standardize_dtype(getattr(d, "dtype", d))) for d in dtypes]
    return jnp.result_type(*types).name
