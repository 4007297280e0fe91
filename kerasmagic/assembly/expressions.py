"""The JAX expressions of a ``%%layer`` cell: compiled once, run with the layer's names, blamed by line."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic import ops
from kerasmagic.foundation.errors import KerasMagicError, ShapeMismatch
from kerasmagic.language.check_layer import BUILTINS
from kerasmagic.language.resolved import ResolvedExpression

_BUILTINS = {name: getattr(builtins, name) for name in BUILTINS}
# Comprehensions and attribute access need no more; importing and opening files is not for expressions.
NAMESPACE: Mapping[str, Any] = {"__builtins__": _BUILTINS, "jnp": jnp, "jax": jax, "nn": jax.nn, "ops": ops}
"""What every expression can name."""


class CompiledExpression:
    """One line of a layer.

    Args:
        line: The line.
        layer: The name of the layer it is in.
    """

    def __init__(self, line: ResolvedExpression, layer: str):
        self.line = line
        self.where = f"%%layer {layer}, line {line.span.line}"
        self.reads = frozenset(name for name, _ in line.expression.names)
        self._code = compile(line.expression.source.strip(), f"<{self.where}>", "eval")

    def evaluate(self, names: Mapping[str, Any]) -> Any:
        """Return the value of the expression.

        Raises:
            ShapeMismatch: If it fails; with its line, the shapes of what it names, and what JAX says.
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
            raise ShapeMismatch(
                f"{self.where}: '{self.line.expression.source.strip()}' failed"
                f"{f' for {shapes}' if shapes else ''}: {reason}"
            ) from error


def _shape(x: Any) -> str:
    sizes = ", ".join(str(d) for d in x.shape)
    return f"({sizes},)" if len(x.shape) == 1 else f"({sizes})"
