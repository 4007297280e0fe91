"""From the values of a resolved definition to Python values and objects of the library."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from kerasmagic.foundation import registry
from kerasmagic.foundation.errors import DefinitionError, KerasMagicError, Span
from kerasmagic.language.definition import NOWHERE
from kerasmagic.language.resolved import (
    Array,
    BoundArgument,
    Computed,
    PythonValue,
    Reference,
    ResolvedCall,
    ResolvedStep,
    Slice,
)

_FAMILIES = {
    "initializer": registry.INITIALIZERS,
    "regularizer": registry.REGULARIZERS,
    "constraint": registry.CONSTRAINTS,
    "schedule": registry.SCHEDULES,
    "optimizer": registry.OPTIMIZERS,
    "loss": registry.LOSSES,
    "metric": registry.METRICS,
    "quantizer": registry.QUANTIZERS,
}


class LayersOnly(dict[str, Any]):
    """A namespace that names layers and nothing else: Python in ``{...}`` is refused."""


class Values:
    """Turns values into objects, with the names they may refer to.

    Args:
        namespace: Variables for ``{...}``; ``None`` refuses to evaluate any.
        names: What parameters and dimensions of a layer stand for.
    """

    def __init__(self, namespace: Mapping[str, Any] | None = None, names: Mapping[str, Any] | None = None):
        self.namespace = namespace
        self.names = names or {}

    def value(self, value: Any) -> Any:
        """Return the Python value or object that ``value`` describes.

        Raises:
            DefinitionError: If Python in ``{...}`` fails or is not allowed, or an object refuses its arguments.
        """
        if isinstance(value, (tuple, list)):
            return type(value)(self.value(item) for item in value)
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, Slice):
            return slice(*(self.value(part) for part in (value.start, value.stop, value.step)))
        if isinstance(value, Array):
            return self.array(value)
        if isinstance(value, (Reference, Computed)):
            return value.value(self.names)
        if isinstance(value, PythonValue):
            return self.python(value)
        if isinstance(value, ResolvedCall):
            return self.call(value)
        if isinstance(value, ResolvedStep):
            raise DefinitionError("A layer cannot stand here.", span=value.span)
        return value

    def arguments(self, arguments: tuple[BoundArgument, ...]) -> dict[str, Any]:
        """Return bound arguments as keyword arguments."""
        return {argument.name: self.value(argument.value) for argument in arguments}

    def call(self, call: ResolvedCall) -> Any:
        """Return the object that ``l2(1e-4)`` describes."""
        target = _FAMILIES[call.kind].find(call.name)
        arguments = self.arguments(call.arguments)
        if not isinstance(target, type):
            return target
        return constructed(lambda: target(**arguments), call.span, call.arguments)

    def array(self, value: Array) -> Any:
        """Return the array that ``array([[1, 0]], int8)`` describes."""
        numbers = self.value(value.numbers)
        dtype = "float32" if value.dtype is None else value.dtype
        return constructed(lambda: np.asarray(numbers, dtype=jnp.dtype(dtype)), value.span)

    def python(self, value: PythonValue) -> Any:
        """Evaluate ``{...}`` in the namespace."""
        if self.namespace is None or isinstance(self.namespace, LayersOnly):
            raise DefinitionError(
                "Python in {...} is evaluated in a notebook cell, or where `namespace` is passed.",
                span=value.span,
            )
        bound = {name: self.value(bound) for name, bound in value.bindings}
        try:
            return eval(value.source, dict(self.namespace), bound)
        except Exception as error:
            raise DefinitionError(
                f"{{{value.source}}} failed: {type(error).__name__}: {error}", span=value.span
            ) from error


def constructed(make: Any, span: Span, arguments: Sequence[BoundArgument] = ()) -> Any:
    """Return ``make()``; its errors point at the one of the ``arguments`` that they name, or at ``span``.

    Raises:
        DefinitionError: If a constructor refuses its arguments.
    """
    try:
        return make()
    except DefinitionError:
        raise
    except KerasMagicError as error:
        place = _blamed(error.message, arguments) or span
        raise DefinitionError(error.message, span=place, hint=error.hint) from error
    except (TypeError, ValueError) as error:
        raise DefinitionError(str(error), span=_blamed(str(error), arguments) or span) from error
    except Exception as error:
        # A class of the notebook may raise anything.
        raise DefinitionError(f"{type(error).__name__}: {error}", span=span) from error


def _blamed(message: str, arguments: Sequence[BoundArgument]) -> Span | None:
    """Return the place of the argument that a message is about, where it is about one."""
    named = {a or b for a, b in re.findall(r"`(\w+)`|\b(\w+)=", message)}
    found = [argument.span for argument in arguments if argument.name in named and argument.span != NOWHERE]
    return found[0] if len(found) == 1 else None
