"""Symbolic tensors, the operations that make them, and the nodes that remember how.

A layer or function that is called on a ``KerasTensor`` computes nothing: it infers
the shape of its result and leaves a ``Node`` behind. A functional model is the
graph of these nodes.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import jax
import jax.numpy as jnp

from kerasmagic.core import addresses, shapes, tree
from kerasmagic.core.dtypes import standardize_dtype
from kerasmagic.core.operators import ArrayOperators
from kerasmagic.core.scope import StatelessScope
from kerasmagic.core.work import Work, call_work
from kerasmagic.foundation.errors import InvalidArgument, NotSerializable, UnexpectedArgument
from kerasmagic.foundation.naming import auto_name
from kerasmagic.foundation.registry import OPERATIONS
from kerasmagic.foundation.signature import ConstructorSignature

F = TypeVar("F", bound=Callable[..., Any])


class KerasTensor(ArrayOperators):
    """A tensor with a shape and a dtype and no values.

    Args:
        shape: Sizes; ``None`` is an open dimension, a string a named one.
        dtype: The type of the values it will have.
        name: Its name; made up when ``None``.

    Example:

    >>> x = KerasTensor((None, 28, 28, 1), name="image")
    >>> x.shape, x.dims, (x / 255.0).dtype
    ((None, 28, 28, 1), (batch, 28, 28, 1), 'float32')
    """

    def __init__(
        self,
        shape: Sequence[Any],
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
    ):
        if sparse or ragged:
            raise InvalidArgument("Sparse and ragged tensors are not supported on JAX.")
        self.dims = shapes.named_dims(tuple(shape))
        self.shape = shapes.public_shape(self.dims)
        self.dtype = standardize_dtype(dtype)
        self.sparse = sparse
        self.ragged = ragged
        self.name = name or auto_name("keras_tensor")
        self.work: Work | None = None
        self._keras_mask: Any = None
        self.record_history = record_history
        self._keras_history: KerasHistory | None = None

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def spec(self) -> jax.ShapeDtypeStruct:
        """Shape with symbols, and dtype, as JAX describes them."""
        return jax.ShapeDtypeStruct(self.dims, jnp.dtype(self.dtype))

    def with_dtype(self, dtype: str) -> KerasTensor:
        """Return the same tensor, of the same origin, seen as another type."""
        other = KerasTensor(self.dims, dtype, name=self.name)
        other._keras_history = self._keras_history
        other._keras_mask = self._keras_mask
        return other

    def reshape(self, *shape: Any) -> Any:
        """Return a symbolic tensor of another shape."""
        return OPERATIONS.find("reshape")(self, newshape=shape[0] if len(shape) == 1 else shape)

    def squeeze(self, axis: Any = None) -> Any:
        """Return a symbolic tensor without axes of size 1."""
        return OPERATIONS.find("squeeze")(self, axis=axis)

    def _operate(self, function: Callable[..., Any], *operands: Any) -> Any:
        return OPERATIONS.find(_OPERATIONS.get(function, function.__name__))(*operands)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise InvalidArgument(_NO_VALUES.format("converted to a NumPy array"))

    def __jax_array__(self) -> Any:
        raise InvalidArgument(_NO_VALUES.format("passed to a JAX function"))

    def __iter__(self) -> Any:
        raise UnexpectedArgument("Iterating over a symbolic KerasTensor is not supported.")

    def __bool__(self) -> bool:
        raise UnexpectedArgument("A symbolic KerasTensor cannot be used as a boolean.")

    def __int__(self) -> int:
        raise InvalidArgument(
            "A KerasTensor is symbolic: it's a placeholder for a shape and dtype. It has no int value."
        )

    def __float__(self) -> float:
        raise InvalidArgument(
            "A KerasTensor is symbolic: it's a placeholder for a shape and dtype. It has no float value."
        )

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"


# Python's operators that go by another name as operations.
_OPERATIONS: dict[Callable[..., Any], str] = {
    operator.sub: "subtract",
    operator.mul: "multiply",
    operator.truediv: "divide",
    operator.floordiv: "floor_divide",
    operator.pow: "power",
    operator.lt: "less",
    operator.le: "less_equal",
    operator.gt: "greater",
    operator.ge: "greater_equal",
    operator.neg: "negative",
    operator.getitem: "get_item",
    jnp.abs: "absolute",
}

_NO_VALUES = (
    "A KerasTensor cannot be {}: it is a placeholder with a shape and a dtype, and no values. "
    "Use operations of `kerasmagic.ops` on it, or do the computation in the `call` of a layer."
)


class KerasHistory(NamedTuple):
    """Where a symbolic tensor comes from: output ``tensor_index`` of a call of ``operation``."""

    operation: Operation
    node_index: int
    tensor_index: int


class Node:
    """One symbolic call of an operation: what went in and what came out.

    Args:
        operation: What was called; ``None`` makes no node.
        call_args: Its positional arguments, symbolic tensors among them.
        call_kwargs: Its keyword arguments.
        outputs: The structure of symbolic tensors that it returned.
    """

    def __init__(
        self,
        operation: Operation,
        call_args: tuple[Any, ...] = (),
        call_kwargs: dict[str, Any] | None = None,
        outputs: Any = None,
    ):
        self.operation = operation
        self.args = call_args
        self.kwargs = call_kwargs or {}
        self.outputs = outputs
        leaves = tree.flatten([self.args, self.kwargs])
        self.input_tensors: list[KerasTensor] = [x for x in leaves if isinstance(x, KerasTensor)]
        self.output_tensors: list[KerasTensor] = tree.flatten(outputs)
        for index, tensor in enumerate(self.output_tensors):
            tensor._keras_history = KerasHistory(operation, len(operation._inbound_nodes), index)
        operation._inbound_nodes.append(self)

    @property
    def is_input(self) -> bool:
        """Whether nothing flows into this node."""
        return not self.input_tensors

    @property
    def parents(self) -> list[Node]:
        """The nodes that made the tensors which flow in."""
        histories = [x._keras_history for x in self.input_tensors]
        return [h.operation._inbound_nodes[h.node_index] for h in histories if h is not None]

    def fill_in(self, values: dict[int, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with the values of the tensors, found by the tensor's ``id``."""

        def value(x: Any) -> Any:
            return values[id(x)] if isinstance(x, KerasTensor) else x

        return tree.map_structure(value, self.args), tree.map_structure(value, self.kwargs)


def is_symbolic(x: Any) -> bool:
    """Whether ``x`` is a symbolic tensor."""
    return isinstance(x, KerasTensor)


def any_symbolic(*structures: Any) -> bool:
    """Whether there is a symbolic tensor among the leaves.

    >>> any_symbolic([1, {"x": KerasTensor((2,))}]), any_symbolic(1, "a", None)
    (True, False)
    """
    # Every call of an operation passes here: a plain walk costs a fifth of a flattened tree.
    for x in structures:
        if isinstance(x, KerasTensor):
            return True
        if isinstance(x, (list, tuple)):
            if any_symbolic(*x):
                return True
        elif isinstance(x, dict) and any_symbolic(*x.values()):
            return True
    return False


class Operation:
    """Something that can be called on arrays, and on symbolic tensors to make a node.

    Args:
        name: Its name; made up from the class name when ``None``.

    Raises:
        InvalidArgument: If ``name`` is no string or has a slash.
    """

    # Some versions of Python would show the arguments of `__new__`.
    __signature__ = ConstructorSignature()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        object.__setattr__(self, "_given", (args, kwargs))
        return self

    def __init__(self, name: str | None = None):
        if name is None:
            name = auto_name(type(self).__name__)
        if not isinstance(name, str) or "/" in name:
            raise InvalidArgument(f"`name` must be a string without '/'. Received: name={name!r}")
        self.name = name
        self._inbound_nodes: list[Node] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not any_symbolic(args, kwargs):
            return self.call(*args, **kwargs)
        outputs = self.compute_output_spec(*args, **kwargs)
        Node(self, args, kwargs, outputs)
        return outputs

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute on arrays."""
        raise NotImplementedError(f"{type(self).__name__} does not implement `call`.")

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return the symbolic tensors that a call would return."""
        return infer_call(self.call, args, kwargs)

    def _refuse_data(self, values: Any) -> None:
        """Refuse numbers that a model is about to learn from, where they would destroy its weights.

        Args:
            values: What this is called on, all samples: ``(samples, ...)``.
        """

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this operation again, as plain data.

        Raises:
            NotSerializable: If an argument is not plain data and the class has no ``get_config`` of its own.
        """
        args, kwargs = self.__dict__["_given"]
        signature = inspect.signature(type(self).__init__)
        config = dict(list(signature.bind(self, *args, **kwargs).arguments.items())[1:])
        if any(not isinstance(x, (str, int, float, bool, type(None))) for x in tree.flatten(config)):
            raise NotSerializable(
                f"{type(self).__name__} has constructor arguments that are not plain data: implement "
                "`get_config()` in it, and `from_config()` if need be."
            )
        return {**config, "name": self.name} if "name" in signature.parameters else config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make an operation from what ``get_config`` returned."""
        return cls(**config)

    @property
    def input(self) -> Any:
        """The symbolic inputs of the one call there was."""
        inputs = self._only_node("input").input_tensors
        return inputs[0] if len(inputs) == 1 else inputs

    @property
    def output(self) -> Any:
        """The symbolic outputs of the one call there was."""
        return self._only_node("output").outputs

    def _only_node(self, what: str) -> Node:
        if len(self._inbound_nodes) != 1:
            how = "has never been called" if not self._inbound_nodes else "was called more than once"
            raise AttributeError(f"{self.name} {how} on symbolic tensors and thus has no defined {what}.")
        return self._inbound_nodes[0]


def infer_call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the symbolic tensors that ``function(*args, **kwargs)`` would return."""
    structure = [list(args), kwargs]
    leaves = tree.flatten(structure)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, KerasTensor)]

    def traced(*arrays: Any) -> Any:
        filled = list(leaves)
        for i, array in zip(places, arrays, strict=True):
            filled[i] = array
        call_args, call_kwargs = tree.pack_sequence_as(structure, filled)
        with StatelessScope(abstract=True):
            return function(*call_args, **call_kwargs)

    result, program = shapes.infer_with_program(traced, [leaves[i].spec for i in places])
    outputs = jax.tree.map(lambda spec: KerasTensor(spec.shape, spec.dtype), result)
    work = call_work(program, len(places))
    for tensor in jax.tree.leaves(outputs):
        tensor.work = work
    return outputs


class FunctionOperation(Operation):
    """A function of arrays as an operation.

    Args:
        function: The function; pure, its tensors anywhere among its arguments.
        name: The operation's name; from the function when ``None``.
        fixed: The arguments that are the same in all calls, by name.

    Example:

    >>> x = KerasTensor((None, 3))
    >>> (x + 1)._keras_history.operation.get_config()["name"].split("_")[0]
    'add'
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str | None = None,
        fixed: dict[str, Any] | None = None,
    ):
        self.address = addresses.address_of(function)
        own_name = getattr(function, "__name__", "function").strip("_")
        super().__init__(name or auto_name(self.address.class_name if self.address else own_name))
        self.function = function
        self.fixed = fixed or {}

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.address is None:
            return args, kwargs
        return addresses.join(self.function, self.fixed, args, kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = self._arguments(args, kwargs)
        return self.function(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        spec = _SPECS.get(self.function)
        if spec is not None:
            all_args, all_kwargs = self._arguments(args, kwargs)
            known = spec(*all_args, **all_kwargs)
            if known is not None:
                return known
        return super().compute_output_spec(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the name and the fixed arguments.

        Raises:
            NotSerializable: If no file can name the function.
        """
        if self.address is None:
            raise NotSerializable(
                f"The function {self.name!r} cannot be written to a file: only operations of `kerasmagic.ops` can. "
                "Put what it does into the `call` of a layer."
            )
        return {"name": self.name, **self.fixed}


# What says the symbolic results of functions whose sizes are in the values.
_SPECS: dict[Callable[..., Any], Callable[..., Any]] = {}


def apply(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function of arrays on symbolic tensors."""
    if addresses.address_of(function) is None:
        return FunctionOperation(function)(*args, **kwargs)
    parts = addresses.split(function, args, kwargs, any_symbolic)
    return FunctionOperation(function, fixed=parts.fixed)(*parts.args, **parts.kwargs)


def lift(function: F, spec: Callable[..., Any] | None = None) -> F:
    """Make a function of arrays work on symbolic tensors too.

    Args:
        function: The function; pure, its tensors anywhere among its arguments.
        spec: What returns its symbolic results where tracing can't find them, since their sizes are in the
            values; ``None`` from it means that tracing can.

    Example:

    >>> double = lift(lambda x: 2 * x)
    >>> double(KerasTensor((None, 3))).shape
    (None, 3)
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if any_symbolic(*args) or (kwargs and any_symbolic(*kwargs.values())):
            return apply(wrapper, *args, **kwargs)
        return function(*args, **kwargs)

    if spec is not None:
        _SPECS[wrapper] = spec
    return cast(F, wrapper)


def operation(function: F) -> F:
    """Make a function of arrays work on symbolic tensors too, and known by its name.

    Example:

    >>> @operation
    ... def double(x):
    ...     return 2 * x
    >>> double(KerasTensor((None, 3))).shape, "double" in OPERATIONS
    ((None, 3), True)
    """
    return OPERATIONS.add(lift(function))
