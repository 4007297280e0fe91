"""A named array that layers own: its shape is known at once, its first value when it is needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from kerasmagic.core.dtypes import is_float_dtype, standardize_dtype
from kerasmagic.core.operators import ArrayOperators
from kerasmagic.core.scope import autocast_dtype, current_path, get_stateless_scope
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.core.transfer import is_host, on_device
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.foundation.naming import auto_name
from kerasmagic.foundation.registry import INITIALIZERS
from kerasmagic.foundation.views import displayed

_AGGREGATIONS = ("none", "mean", "sum", "only_first_replica")
_SYNCHRONIZATIONS = ("none", "on_read", "on_write", "auto")


class Variable(ArrayOperators):
    """A named array that can be assigned to.

    It stands wherever an array stands: in ``jax.numpy`` functions, with operators
    and as an argument of a jitted function.

    Args:
        initializer: An array, or a function ``(shape, dtype=...)`` that makes one,
            or the name of an initializer.
        shape: The shape, when ``initializer`` is a function.
        dtype: The type of the values; the default float type when ``None``.
        trainable: Whether training changes it.
        autocast: Whether it reads in the compute type inside a mixed-precision layer.
        aggregation: How replicas combine: none, mean, sum, only_first_replica.
        name: The last part of its path.

    Raises:
        InvalidArgument: If a function comes without a shape, or the shape is open.

    Example:

    >>> import jax.numpy as jnp
    >>> w = Variable("ones", shape=(2, 3), name="kernel")
    >>> (jnp.ones((4, 2)) @ w).shape, w.path
    ((4, 3), 'kernel')
    >>> float(w.assign(3 * w).sum())
    18.0
    """

    def __init__(
        self,
        initializer: Any,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = "none",
        synchronization: str | None = "auto",
        name: str | None = None,
        layout: Any = None,
    ):
        self._name = name or auto_name(type(self).__name__)
        if not isinstance(self._name, str) or "/" in self._name:
            raise InvalidArgument(f"`name` must be a string without '/'. Received: name={name!r}")
        self.aggregation = _choice("aggregation", aggregation or "none", _AGGREGATIONS)
        self.synchronization = _choice("synchronization", synchronization or "none", _SYNCHRONIZATIONS)
        parent = current_path()
        self._path = f"{parent}/{self._name}" if parent else self._name
        self._trainable = bool(trainable)
        self._autocast = bool(autocast)
        self.layout = layout
        self._regularizer: Callable[[Any], Any] | None = None
        self._constraint: Callable[[Any], Any] | None = None
        self.overwrite_with_gradient = False
        self._value: Any = None
        self._initializer: Callable[..., Any] | None = None
        if isinstance(initializer, str):
            initializer = INITIALIZERS.find(initializer)()
        if callable(initializer):
            self._dtype = standardize_dtype(dtype)
            self._shape = _closed_shape(shape, self._path)
            self._initializer = initializer
        else:
            self._value = _own_copy(initializer, dtype)
            self._dtype = standardize_dtype(self._value.dtype)
            self._shape = tuple(self._value.shape)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self._name

    @property
    def path(self) -> str:
        """The names of the layers that hold it and its own, joined by ``/``."""
        return self._path

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return self._shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self._shape)

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self._shape)

    @property
    def dtype(self) -> str:
        """The type it reads as: the compute type inside a mixed-precision layer."""
        cast = autocast_dtype()
        return cast if cast is not None and self._autocast and is_float_dtype(self._dtype) else self._dtype

    @property
    def trainable(self) -> bool:
        """Whether training changes it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)

    @property
    def regularizer(self) -> Callable[[Any], Any] | None:
        """A function from the value to a loss of shape ``()``."""
        return self._regularizer

    @regularizer.setter
    def regularizer(self, value: Callable[[Any], Any] | None) -> None:
        self._regularizer = _callable_or_none("regularizer", value)

    @property
    def constraint(self) -> Callable[[Any], Any] | None:
        """A function from the value to the nearest allowed one, applied after each update."""
        return self._constraint

    @constraint.setter
    def constraint(self, value: Callable[[Any], Any] | None) -> None:
        self._constraint = _callable_or_none("constraint", value)

    @property
    def value(self) -> Any:
        """The array it holds now."""
        scope = get_stateless_scope()
        value = None
        if scope is not None:
            value = scope.get_current_value(self)
            if value is None and scope.abstract:
                value = jnp.zeros(self._shape, self._dtype)
        if value is None:
            value = self.stored()
        cast = autocast_dtype()
        if cast is None or not self._autocast or value.dtype == cast:
            return value
        return value.astype(cast) if is_float_dtype(self._dtype) else value

    @property
    def initialized(self) -> bool:
        """Whether its first value has been made."""
        return self._value is not None

    def stored(self) -> Any:
        """Return the array that is kept here, making the first one if there is none.

        Unlike ``value`` it does not look at open scopes.
        """
        if self._value is None:
            assert self._initializer is not None
            # A first value that is asked for inside a trace must outlive the trace.
            with jax.ensure_compile_time_eval():
                drawn = self._initializer(self._shape, dtype=self._dtype)
                self._value = self.conform(_own_copy(drawn, self._dtype))
            self._initializer = None
        elif isinstance(self._value, np.ndarray):
            self._value = on_device(self._value)
        return self._value

    def held(self) -> Any:
        """Return what is kept here for a compiled program: maybe an array of the host, see ``assign_later``."""
        return self.stored() if self._value is None else self._value

    def store(self, value: Any) -> None:
        """Keep ``value`` without a copy or a check: the caller gives it away."""
        self._value = value
        self._initializer = None

    def conform(self, value: Any) -> Any:
        """Return ``value`` as an array of this variable's type.

        Raises:
            ShapeMismatch: If it does not have the variable's shape.
        """
        array = on_device(value, jnp.dtype(self._dtype))
        if array.shape != self._shape:
            raise ShapeMismatch(
                "The shape of the target variable and the shape of the target value in "
                f"`variable.assign(value)` must match. variable.shape={self._shape}, "
                f"Received: value.shape={array.shape}. Target variable: {self._path}"
            )
        return array

    def assign(self, value: Any) -> Any:
        """Make it hold ``value`` and return that as an array.

        Raises:
            ShapeMismatch: If it does not have the variable's shape.
        """
        array = self.conform(value)
        scope = get_stateless_scope()
        if scope is not None:
            scope.add_update((self, array))
        else:
            # Training donates the buffers of variables: no other one may hold the same.
            own = is_host(value) or isinstance(array, Tracer)
            self.store(array if own else jnp.array(array, copy=True))
        return array

    def assign_later(self, value: np.ndarray) -> None:
        """Make it hold ``value``, of its own shape and type; that goes to the device when it is asked for.

        A compiled program takes a number from the host in 2 us; to put one on the device before takes 0.1 ms, as
        long as two steps of a tiny model (``python -m benchmarks steady --workloads digits``).
        """
        if get_stateless_scope() is None:
            self.store(value)
        else:
            self.assign(value)

    def assign_add(self, value: Any) -> Any:
        """Add ``value`` to what it holds."""
        return self.assign(self.value + value)

    def assign_sub(self, value: Any) -> Any:
        """Subtract ``value`` from what it holds."""
        return self.assign(self.value - value)

    def numpy(self) -> np.ndarray:
        """Return the value as a NumPy array."""
        return np.asarray(self.value)

    def _operate(self, function: Callable[..., Any], *operands: Any) -> Any:
        if any(isinstance(x, KerasTensor) for x in operands):
            return NotImplemented
        return function(*(x.value if isinstance(x, Variable) else x for x in operands))

    def __jax_array__(self) -> Any:
        return self.value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.value, dtype=dtype)

    def __getattr__(self, name: str) -> Any:
        # What jax arrays can do, a variable can: `kernel.T`, `kernel.sum()`.
        if name.startswith("_") or not hasattr(jax.Array, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.value, name)

    def __len__(self) -> int:
        return len(self.value)

    def __bool__(self) -> bool:
        raise TypeError("A Keras Variable cannot be used as a boolean.")

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    _repr_mimebundle_ = displayed("variable")

    def __repr__(self) -> str:
        value = "" if self._value is None or isinstance(self._value, Tracer) else f", value={self._value}"
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}{value}>"


# Inside a jitted function, `jnp.matmul(x, variable)` for one, JAX replaces its
# arguments by tracers leaf by leaf: a variable goes in and a plain array comes out.
jax.tree_util.register_pytree_node(Variable, lambda v: ((v.value,), None), lambda _, children: children[0])


def _own_copy(value: Any, dtype: Any) -> Any:
    if isinstance(value, Tracer):
        return value if dtype is None else value.astype(dtype)
    if dtype is not None:
        dtype = jnp.dtype(standardize_dtype(dtype))
        return on_device(value, dtype) if is_host(value) else jnp.array(value, dtype=dtype, copy=True)
    if isinstance(value, float):
        return jnp.array(value, dtype=jnp.dtype(standardize_dtype(None)))
    return jnp.array(value, copy=True)


def _closed_shape(shape: Sequence[int] | None, path: str) -> tuple[int, ...]:
    if shape is None:
        raise InvalidArgument(
            "When creating a Variable from an initializer, the `shape` argument should be specified. "
            f"Received: shape=None for variable path={path!r}"
        )
    shape = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    if not all(hasattr(d, "__index__") and d >= 0 for d in shape):
        raise InvalidArgument(
            "Shapes used to initialize variables must be fully-defined (no `None` dimensions). "
            f"Received: shape={shape} for variable path={path!r}"
        )
    return tuple(int(d) for d in shape)


def _choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise InvalidArgument(f"`{name}` must be one of {allowed}. Received: {name}={value!r}")
    return value


def _callable_or_none(name: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise InvalidArgument(f"`{name}` must be callable or `None`. Received: {name}={value!r}")
    return value
