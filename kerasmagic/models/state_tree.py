"""A model's variables as nested dicts, by their paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kerasmagic.foundation.errors import InvalidArgument, UnknownName, did_you_mean

_READERS = {
    "backend_tensor": lambda variable: variable.value,
    "numpy_array": lambda variable: variable.numpy(),
}


def get_state_tree(model: Any, value_format: str) -> dict[str, Any]:
    """Return the values of all variables by kind, then by the parts of their paths.

    Raises:
        InvalidArgument: If the format is unknown, or two variables have the same path.
    """
    if value_format not in _READERS:
        raise InvalidArgument(
            "Invalid `value_format` argument. Expected one of {'numpy_array', 'backend_tensor'}. "
            f"Received: value_format={value_format}"
        )
    read = _READERS[value_format]
    return {kind: _nested(variables, read) for kind, variables in _kinds(model).items()}


def set_state_tree(model: Any, state_tree: Mapping[str, Any]) -> None:
    """Assign the values of a tree; variables that it does not hold stay as they are.

    Raises:
        UnknownName: If a kind of variables is not one of the four.
    """
    kinds = _kinds(model)
    for kind, values in state_tree.items():
        if kind not in kinds:
            raise UnknownName(f"Unknown variable name: {kind}", hint=did_you_mean(kind, list(kinds)))
        by_path = {variable.path: variable for variable in kinds[kind]}
        for path, value in _flat(values):
            if path in by_path:
                by_path[path].assign(value)


def _kinds(model: Any) -> dict[str, list[Any]]:
    return {
        "trainable_variables": model.trainable_variables,
        "non_trainable_variables": model.non_trainable_variables,
        "optimizer_variables": [] if model.optimizer is None else model.optimizer.variables,
        "metrics_variables": model.metrics_variables,
    }


def _nested(variables: list[Any], read: Any) -> dict[str, Any]:
    result: dict[str, Any] = {}
    seen = set()
    for variable in variables:
        if variable.path in seen:
            raise InvalidArgument(
                f"The following variable path is found twice in the model: '{variable.path}'. "
                "`get_state_tree()` can only be called when all variable paths are unique: "
                "give your layers unique names."
            )
        seen.add(variable.path)
        *parents, name = variable.path.split("/")
        inner = result
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[name] = read(variable)
    return result


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value
