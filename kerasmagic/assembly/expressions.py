"""The JAX expressions of a ``%%layer`` cell: compiled once, run with the layer's names, blamed by line."""

from __future__ import annotations

import ast
import builtins
import types
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic import ops
from kerasmagic.foundation.errors import DefinitionError, KerasMagicError, ShapeMismatch, Span, did_you_mean
from kerasmagic.language.check_layer import BUILTINS
from kerasmagic.language.resolved import ResolvedExpression

_BUILTINS = {name: getattr(builtins, name) for name in BUILTINS}
# Comprehensions and attribute access need no more; importing and opening files is not for expressions.
NAMESPACE: Mapping[str, Any] = {"__builtins__": _BUILTINS, "jnp": jnp, "jax": jax, "nn": jax.nn, "ops": ops}
"""What every expression can name."""


class FailedExpression(ShapeMismatch):
    """A line of a layer that could not be computed.

    Attributes:
        layer: The name of the layer.
        told: What went wrong, without the place, which is in ``span``.
    """

    def __init__(self, told: str, layer: str, span: Span):
        super().__init__(f"%%layer {layer}, line {span.line}: {told}", span=span)
        self.layer = layer
        self.told = told


class CompiledExpression:
    """One line of a layer.

    Args:
        line: The line.
        layer: The name of the layer it is in.
    """

    def __init__(self, line: ResolvedExpression, layer: str):
        self.line = line
        self.layer = layer
        self.reads = frozenset(name for name, _ in line.expression.names)
        source = line.expression.source.strip()
        _check_attributes(source, line.expression.span)
        self._code = compile(source, f"<%%layer {layer}, line {line.span.line}>", "eval")

    def evaluate(self, names: Mapping[str, Any]) -> Any:
        """Return the value of the expression.

        Raises:
            FailedExpression: If it fails; with its line, the shapes of what it names, and what JAX says.
        """
        try:
            return eval(self._code, {**NAMESPACE, **names})
        except KerasMagicError:
            raise
        except Exception as error:
            shapes = ", ".join(
                f"{name} {_shape(names[name])}"
                for name in sorted(self.reads)
                if hasattr(names.get(name), "shape")
            )
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            told = f"'{self.line.expression.source.strip()}' failed{f' for {shapes}' if shapes else ''}: {reason}"
            raise FailedExpression(told, self.layer, self.line.expression.span) from error


def _check_attributes(source: str, span: Span) -> None:
    """Refuse ``jnp.tahn``: what a module lacks is known before anything runs.

    Raises:
        DefinitionError: At the name, with the nearest one that the module has.
    """
    for node in ast.walk(ast.parse(source, mode="eval")):
        owner = _module(node.value) if isinstance(node, ast.Attribute) else None
        if owner is None or not isinstance(node, ast.Attribute) or hasattr(owner, node.attr):
            continue
        path = ast.unparse(node)
        near = did_you_mean(node.attr, [name for name in dir(owner) if not name.startswith("_")])
        hint = near and near.replace(repr(node.attr), repr(path)).replace(
            "'", f"'{path.rpartition('.')[0]}.", 1
        )
        # Columns of Python count bytes, and lines of a bracketed expression begin anew.
        before = source.split("\n")[node.lineno - 1].encode()[: node.col_offset].decode(errors="replace")
        line = span.line + node.lineno - 1
        column = len(before) + (span.column if node.lineno == 1 else 1)
        place = Span(line, column, line, column + len(path))
        raise DefinitionError(f"'{path.rpartition('.')[0]}' has no {node.attr!r}.", span=place, hint=hint)


def _module(node: ast.expr) -> types.ModuleType | None:
    """Return the module that an expression names, if it names one."""
    if isinstance(node, ast.Name):
        found = NAMESPACE.get(node.id)
    elif isinstance(node, ast.Attribute):
        owner = _module(node.value)
        found = getattr(owner, node.attr, None) if owner is not None else None
    else:
        return None
    return found if isinstance(found, types.ModuleType) else None


def _shape(x: Any) -> str:
    sizes = ", ".join(str(d) for d in x.shape)
    return f"({sizes},)" if len(x.shape) == 1 else f"({sizes})"
