"""The arithmetic of anything that stands for an array: one mixin for variables and symbolic tensors."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp


def _reflected(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def apply(a: Any, b: Any) -> Any:
        return function(b, a)

    apply.__name__ = function.__name__
    return apply


class ArrayOperators:
    """Python's operators over one hook, ``_operate``."""

    def _operate(self, function: Callable[..., Any], *operands: Any) -> Any:
        """Apply a function of arrays to ``self`` and ``operands``."""
        raise NotImplementedError

    def __add__(self, other: Any) -> Any:
        return self._operate(operator.add, other)

    def __radd__(self, other: Any) -> Any:
        return self._operate(_radd, other)

    def __sub__(self, other: Any) -> Any:
        return self._operate(operator.sub, other)

    def __rsub__(self, other: Any) -> Any:
        return self._operate(_rsub, other)

    def __mul__(self, other: Any) -> Any:
        return self._operate(operator.mul, other)

    def __rmul__(self, other: Any) -> Any:
        return self._operate(_rmul, other)

    def __truediv__(self, other: Any) -> Any:
        return self._operate(operator.truediv, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._operate(_rtruediv, other)

    def __floordiv__(self, other: Any) -> Any:
        return self._operate(operator.floordiv, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._operate(_rfloordiv, other)

    def __mod__(self, other: Any) -> Any:
        return self._operate(operator.mod, other)

    def __rmod__(self, other: Any) -> Any:
        return self._operate(_rmod, other)

    def __pow__(self, other: Any) -> Any:
        return self._operate(operator.pow, other)

    def __rpow__(self, other: Any) -> Any:
        return self._operate(_rpow, other)

    def __matmul__(self, other: Any) -> Any:
        return self._operate(jnp.matmul, other)

    def __rmatmul__(self, other: Any) -> Any:
        return self._operate(_rmatmul, other)

    def __and__(self, other: Any) -> Any:
        return self._operate(jnp.logical_and, other)

    def __rand__(self, other: Any) -> Any:
        return self._operate(_rand, other)

    def __or__(self, other: Any) -> Any:
        return self._operate(jnp.logical_or, other)

    def __ror__(self, other: Any) -> Any:
        return self._operate(_ror, other)

    def __xor__(self, other: Any) -> Any:
        return self._operate(jnp.logical_xor, other)

    def __rxor__(self, other: Any) -> Any:
        return self._operate(_rxor, other)

    def __lt__(self, other: Any) -> Any:
        return self._operate(operator.lt, other)

    def __le__(self, other: Any) -> Any:
        return self._operate(operator.le, other)

    def __gt__(self, other: Any) -> Any:
        return self._operate(operator.gt, other)

    def __ge__(self, other: Any) -> Any:
        return self._operate(operator.ge, other)

    def __neg__(self) -> Any:
        return self._operate(operator.neg)

    def __abs__(self) -> Any:
        return self._operate(jnp.abs)

    def __invert__(self) -> Any:
        return self._operate(jnp.logical_not)

    def __getitem__(self, key: Any) -> Any:
        return self._operate(operator.getitem, key)


_radd = _reflected(operator.add)
_rsub = _reflected(operator.sub)
_rmul = _reflected(operator.mul)
_rtruediv = _reflected(operator.truediv)
_rfloordiv = _reflected(operator.floordiv)
_rmod = _reflected(operator.mod)
_rpow = _reflected(operator.pow)
_rmatmul = _reflected(jnp.matmul)
_rand = _reflected(jnp.logical_and)
_ror = _reflected(jnp.logical_or)
_rxor = _reflected(jnp.logical_xor)
