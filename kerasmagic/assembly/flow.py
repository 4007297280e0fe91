"""What flows into a call, and in which form the language hands it over."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from kerasmagic.assembly.model import arity, takes_list
from kerasmagic.assembly.outline import Call
from kerasmagic.core import tree
from kerasmagic.core.layer import Layer
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation.errors import NotSerializable

OPERATORS = {"Add": "+", "Subtract": "-", "Multiply": "*"}
_HEADS = ("MultiHeadAttention", "GroupedQueryAttention")


@dataclasses.dataclass(frozen=True)
class Flow:
    """What flows into a call.

    Attributes:
        value: One tensor, a list of tensors that is written ``[a, b]``, or a structure.
        parameters: The parameters that it is for; all others are given by name.
        whole: Whether it is a structure to be handed over as it is: ``dict(left=a)``.
    """

    value: Any
    parameters: tuple[str, ...]
    whole: bool = False

    @property
    def tensors(self) -> list[KerasTensor]:
        """The tensors in it, in order."""
        return [x for x in tree.flatten(self.value) if isinstance(x, KerasTensor)]

    @property
    def listed(self) -> bool:
        """Whether it is written ``[a, b]``."""
        return isinstance(self.value, list) and not self.whole


def flow_of(call: Call) -> Flow:
    """Return what flows into a call.

    Raises:
        NotSerializable: If no tensor does.
    """
    holds = [name for name, value in call.arguments.items() if _holds_tensors(value)]
    if not holds:
        raise NotSerializable(f"Nothing flows into {call.operation.name!r}, so the language cannot call it.")
    if call.variadic in holds:
        value = list(call.arguments[call.variadic])
        return Flow(value[0] if len(value) == 1 else value, (call.variadic,), not _are_tensors(value))
    needed = [name for name in call.arguments if name in call.required]
    together = [call.arguments[name] for name in needed]
    if len(needed) > 1 and _are_tensors(together) and _spreads(call, len(needed)):
        alone = _kind(call) in _HEADS and len(together) == 2 and together[0] is together[1]
        return Flow(together[0] if alone else together, tuple(needed))
    first = next(iter(call.arguments)) if call.function is None else holds[0]
    if first not in holds:
        raise NotSerializable(
            f"The first argument of {call.operation.name!r} ({_kind(call)}) is no tensor; in the language it is "
            "what flows into a layer."
        )
    value = call.arguments[first]
    if isinstance(value, KerasTensor):
        return Flow(value, (first,))
    is_list = isinstance(value, list | tuple) and _are_tensors(value)
    if is_list and (call.function is not None or takes_list(call.operation)):
        return Flow(list(value), (first,))
    return Flow(value, (first,), whole=True)


def operator_of(call: Call) -> str | None:
    """Return ``+``, ``-`` or ``*`` where a call is what such a sign between tensors means."""
    layer: Any = call.operation
    sign = OPERATORS.get(_kind(call))
    if call.function is not None or sign is None or len(call.arguments) != 1:
        return None
    several = flow_of(call).listed and len(call.inputs) > 1
    plain = isinstance(layer, Layer) and layer.trainable and layer.dtype_policy.name == "float32"
    return sign if several and plain and layer.activity_regularizer is None else None


def _kind(call: Call) -> str:
    return type(call.operation).__name__


def _holds_tensors(value: Any) -> bool:
    return any(isinstance(x, KerasTensor) for x in tree.flatten(value))


def _are_tensors(values: Any) -> bool:
    return bool(values) and all(isinstance(x, KerasTensor) for x in values)


def _spreads(call: Call, count: int) -> bool:
    """Say whether a list that flows in becomes that many arguments."""
    if call.function is not None or _kind(call) in _HEADS:
        return True
    layer: Any = call.operation
    return not takes_list(layer) and arity(layer) == count


def index_text(key: Any, operand: Callable[[Any], str]) -> str:
    """Return what stands in the brackets of ``x[:, 0]``; ``operand`` writes what is no slice.

    >>> index_text((slice(None), slice(1, None, 2), ..., 0), str), index_text((3,), str)
    (':, 1::2, ..., 0', '3,')
    """
    if isinstance(key, tuple):
        return ", ".join(index_text(item, operand) for item in key) + ("," if len(key) == 1 else "")
    if isinstance(key, slice):
        parts = [key.start, key.stop, key.step]
        shown = ["" if part is None else operand(part) for part in parts]
        return ":".join(shown if key.step is not None else shown[:2])
    return "..." if key is Ellipsis else operand(key)
