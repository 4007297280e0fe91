"""One row of the conformance table: a layer, its arguments and what flows in."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer of a given configuration on given inputs.

    Args:
        layer: The class name in ``keras.layers``.
        config: Constructor arguments, plain data only (the same for both libraries); a layer inside a layer
            is ``nested("Dense", units=3)``.
        inputs: One shape ``(batch, ...)`` or a list of shapes for the first argument of the call, or a dict
            of shapes by the name of the argument; closed.
        dtype: ``"float32"``, or ``"int32"`` with values in ``[0, high)``.
        high: The bound of integer inputs.
        call: More arguments of the call (``training``, ...), plain data.
        mask: Whether a random boolean mask ``(batch, time)`` is attached to the (first) input;
            ``"all"`` attaches one to each.
        open_axes: Axes that are ``None`` in the symbolic call.
        forward, gradient: Tolerances in float32; say why where they are looser than 1e-5 and 1e-4.
        random: Whether training draws random numbers (then only shapes and statistics are compared).
        note: Why a tolerance is looser or a check does not apply.
        skip: Names of checks that do not apply to this row, each explained in ``note``: the part of the
            test's name behind ``test_``.
    """

    layer: str
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    inputs: Any = ()
    dtype: str = "float32"
    high: int = 10
    call: dict[str, Any] = dataclasses.field(default_factory=dict)
    mask: bool | str = False
    open_axes: tuple[int, ...] = (0,)
    forward: float = 1e-5
    gradient: float = 1e-4
    random: bool = False
    note: str = ""
    skip: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        arguments = ",".join(f"{key}={_short(value)}" for key, value in self.config.items())
        call = ",".join(f"{key}={value}" for key, value in self.call.items())
        return f"{self.layer}({arguments})" + (f"({call})" if call else "") + ("+mask" if self.mask else "")


def nested(layer: str, **config: Any) -> dict[str, Any]:
    """Return the serialized form of a layer inside a layer; its name is the class in lower case."""
    config = {"name": layer.lower(), **config}
    return {"module": "keras.layers", "class_name": layer, "config": config, "registered_name": None}


def _short(value: Any) -> str:
    return value["class_name"] if isinstance(value, dict) and "class_name" in value else str(value)
