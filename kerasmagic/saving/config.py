"""From the text of a config to a model: bounded, and with one clear error whatever the text says."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from kerasmagic.core.serialization import deserialize_keras_object
from kerasmagic.foundation.errors import InvalidArgument, KerasMagicError
from kerasmagic.foundation.registry import custom_object_scope

_TEXT_LIMIT = 64 * 2**20
_PARTS_LIMIT = 4_000_000


def text_limit(size: int) -> int:
    """Return how many bytes of text a file of ``size`` bytes may hold: texts pack well, but not without end."""
    return min(_TEXT_LIMIT, 2**20 + 50 * size)


def from_json(data: bytes, name: str) -> dict[str, Any]:
    """Return the object that a text holds.

    Raises:
        InvalidArgument: If it is damaged, holds something else, or is made to exhaust the memory.
    """
    # A part of two letters takes sixty bytes once it is read.
    if data.count(b",") + data.count(b"[") + data.count(b"{") > _PARTS_LIMIT:
        raise InvalidArgument(f"{name} in the file has millions of parts: no model needs so many.")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{name} in the file is damaged: {error}.") from None
    if not isinstance(value, dict):
        raise InvalidArgument(f"{name} in the file is damaged: it holds no object.")
    return value


def model_from_config(
    config: dict[str, Any], custom_objects: Mapping[str, Any] | None, compile: bool, safe_mode: bool
) -> Any:
    """Make the model that a config describes, compiled as it was.

    Raises:
        InvalidArgument: If the config is inconsistent or describes no model.
        UnknownName: If it names a class that is neither public nor registered.
    """
    compile_config = config.pop("compile_config", None)
    with explained():
        model = deserialize_keras_object(config, custom_objects, safe_mode=safe_mode)
    if not hasattr(model, "stateless_call") or not hasattr(model, "compile_from_config"):
        raise InvalidArgument(f"The file holds a {type(model).__name__}, which is no model.")
    if compile and compile_config:
        compile_model(model, lambda: model.compile_from_config(compile_config), custom_objects)
    return model


def compile_model(model: Any, compile: Any, custom_objects: Mapping[str, Any] | None) -> None:
    """Compile a model; where that fails, say so and leave it uncompiled: it can still predict."""
    try:
        with custom_object_scope(custom_objects or {}):
            compile()
    except Exception as error:
        warnings.warn(
            f"The model was loaded without its compile settings, which could not be made again: {error} "
            "Call `compile` before you train it.",
            stacklevel=5,
        )


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn whatever goes wrong over a config into one clear error."""
    try:
        yield
    except (KerasMagicError, MemoryError):
        raise
    except Exception as error:
        what = (
            "it is nested too deeply"
            if isinstance(error, RecursionError)
            else f"{type(error).__name__}: {error}"
        )
        raise InvalidArgument(
            f"The file does not describe a model that can be made: {what}. "
            "It may be damaged, or written by a newer version."
        ) from error
