"""The arithmetic of anything that stands for an array: one mixin for variables and symbolic tensors."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp


class ArrayOperators:
    """Python's operators over one hook, ``_operate``."""

    def _operate(self, function: Callable[..., Any], *operands: Any) -> Any:
        """Apply a function of arrays to ``operands``, of which ``self`` is one."""
        raise NotImplementedError

    def __add__(self, other: Any) -> Any:
        return self._operate(operator.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return self._operate(operator.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return self._operate(operator.sub, self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._operate(operator.sub, other, self)

    def __mul__(self, other: Any) -> Any:
        return self._operate(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._operate(operator.mul, other, self)

    def __truediv__(self, other: Any) -> Any:
        return self._operate(operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._operate(operator.truediv, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return self._operate(operator.floordiv, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._operate(operator.floordiv, other, self)

    def __mod__(self, other: Any) -> Any:
        return self._operate(operator.mod, self, other)

    def __rmod__(self, other: Any) -> Any:
        return self._operate(operator.mod, other, self)

    def __pow__(self, other: Any) -> Any:
        return self._operate(operator.pow, self, other)

    def __rpow__(self, other: Any) -> Any:
        return self._operate(operator.pow, other, self)

    def __matmul__(self, other: Any) -> Any:
        return self._operate(jnp.matmul, self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return self._operate(jnp.matmul, other, self)

    def __and__(self, other: Any) -> Any:
        return self._operate(jnp.logical_and, self, other)

    def __rand__(self, other: Any) -> Any:
        return self._operate(jnp.logical_and, other, self)

    def __or__(self, other: Any) -> Any:
        return self._operate(jnp.logical_or, self, other)

    def __ror__(self, other: Any) -> Any:
        return self._operate(jnp.logical_or, other, self)

    def __xor__(self, other: Any) -> Any:
        return self._operate(jnp.logical_xor, self, other)

    def __rxor__(self, other: Any) -> Any:
        return self._operate(jnp.logical_xor, other, self)

    def __lt__(self, other: Any) -> Any:
        return self._operate(operator.lt, self, other)

    def __le__(self, other: Any) -> Any:
        return self._operate(operator.le, self, other)

    def __gt__(self, other: Any) -> Any:
        return self._operate(operator.gt, self, other)

    def __ge__(self, other: Any) -> Any:
        return self._operate(operator.ge, self, other)

    def __neg__(self) -> Any:
        return self._operate(operator.neg, self)

    def __abs__(self) -> Any:
        return self._operate(jnp.abs, self)

    def __round__(self, ndigits: int | None = None) -> Any:
        return self._operate(jnp.round, self, ndigits or 0)

    def __invert__(self) -> Any:
        return self._operate(jnp.logical_not, self)

    def __getitem__(self, key: Any) -> Any:
        return self._operate(operator.getitem, self, key)
