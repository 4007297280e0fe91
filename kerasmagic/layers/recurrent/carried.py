"""The variables that a layer assigns to, as values that a loop hands on from step to step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kerasmagic.core.layer import Layer
from kerasmagic.core.scope import StatelessScope, autocast, get_stateless_scope


class CarriedVariables:
    """The seeds, moving averages and other non-trainable variables of a layer inside a loop.

    Inside a compiled loop an assignment to a variable would leave the loop as a dead
    tracer. Here each step reads the values of the step before and returns its own.

    Args:
        layer: The layer that the loop calls; anything else has no variables.
    """

    def __init__(self, layer: Any):
        self.variables = layer.non_trainable_variables if isinstance(layer, Layer) else []
        self._assigned: set[int] = set()

    def values(self) -> list[Any]:
        """Return what the variables hold now."""
        with autocast(None):
            return [variable.value for variable in self.variables]

    def run(self, function: Callable[[], Any], values: list[Any]) -> tuple[Any, list[Any]]:
        """Call ``function`` while the variables read as ``values``; return its result and their next values."""
        outer = get_stateless_scope()
        with StatelessScope(abstract=outer is not None and outer.abstract) as inner:
            inner.state_mapping.update(outer.state_mapping if outer is not None else {})
            for variable, value in zip(self.variables, values, strict=True):
                inner.add_update((variable, value))
            result = function()
        following = [inner.get_current_value(variable) for variable in self.variables]
        pairs = enumerate(zip(values, following, strict=True))
        self._assigned.update(index for index, (before, after) in pairs if before is not after)
        return result, following

    def store(self, values: list[Any]) -> None:
        """Assign ``values`` to the variables that a step assigned to."""
        for index in sorted(self._assigned):
            self.variables[index].assign(values[index])

    @property
    def are_assigned(self) -> bool:
        """Whether a step has assigned to any of them."""
        return bool(self._assigned)
