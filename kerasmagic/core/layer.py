"""The base of all layers: weights, nested layers, building, configuration."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax

from kerasmagic.core import call as calling
from kerasmagic.core import dtype_policy, remat, scope, tree
from kerasmagic.core.configurable import Configurable
from kerasmagic.core.dtype_policy_map import DTypePolicyMap
from kerasmagic.core.serialization import resolve
from kerasmagic.core.symbolic import KerasTensor, infer_call
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.arguments import deprecated
from kerasmagic.foundation.errors import InvalidArgument, KerasMagicError
from kerasmagic.foundation.registry import REGULARIZERS
from kerasmagic.foundation.signature import signature
from kerasmagic.foundation.views import displayed, view

_LOCKED = (
    "You cannot add new elements of state (variables or sub-layers) to a layer that is already built. "
    "All state must be created in the `__init__()` method or in the `build()` method."
)


def _recorded(build: Callable[..., None]) -> Callable[..., None]:
    """Wrap a ``build`` so that it knows its place in the path and remembers its shapes."""

    @functools.wraps(build)
    def wrapper(self: Layer, *args: Any, **kwargs: Any) -> None:
        if self._building:
            return build(self, *args, **kwargs)
        self._building = True
        try:
            with self._open_name_scope():
                self._path = scope.current_path()
                build(self, *args, **kwargs)
        except KerasMagicError as error:
            calling.blame(self, error)
            raise
        finally:
            self._building = False
        given = signature(build).bind(self, *args, **kwargs).arguments
        given.pop("self", None)
        self._build_shapes_dict = {name: value for name, value in given.items() if name != "kwargs"}
        self.built = True
        self._tracker.locked = _LOCKED
        return None

    return wrapper


def _unlocked(quantize: Callable[..., None]) -> Callable[..., None]:
    """Wrap a ``quantize`` so that it may put other weights in the place of those that are there."""

    @functools.wraps(quantize)
    def wrapper(self: Layer, *args: Any, **kwargs: Any) -> None:
        with self._tracker.unlocked(), self._open_name_scope():
            quantize(self, *args, **kwargs)

    return wrapper


class Layer(Configurable):
    """A function with weights, that can be called on tensors and nested in other layers.

    A subclass sets its options in ``__init__``, makes weights with ``add_weight`` in
    ``build(input_shape)`` (or in ``__init__``), and computes in ``call(inputs)``.

    Args:
        activity_regularizer: A regularizer of the output, or its name.
        trainable: Whether training changes the weights.
        dtype: A dtype policy or its name.
        autocast: Whether float inputs are cast to the compute type.
        name: Its name; made up when ``None``.

    Raises:
        InvalidArgument: If an argument does not exist or has an impossible value.

    Example:

    >>> import jax.numpy as jnp
    >>> class Linear(Layer):
    ...     def __init__(self, units=32, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.units = units
    ...     def build(self, input_shape):
    ...         self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
    ...     def call(self, inputs):
    ...         return inputs @ self.kernel
    >>> layer = Linear(4)
    >>> layer(jnp.ones((2, 3))).shape, layer.kernel.shape
    ((2, 4), (3, 4))
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _recorded(cls.__dict__["build"])
        if "quantize" in cls.__dict__:
            cls.quantize = _unlocked(cls.__dict__["quantize"])

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name)
        self._input_shape_arg = _legacy_input_shape(kwargs)
        if kwargs:
            raise InvalidArgument(f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}")
        if not isinstance(trainable, bool):
            raise InvalidArgument(f"Expected `trainable` to be a boolean. Received: trainable={trainable!r}")
        self._dtype_policy = dtype_policy.get(dtype)
        self.activity_regularizer = resolve(REGULARIZERS, activity_regularizer)
        self.autocast = autocast
        self.built = False
        self.input_spec: Any = None
        self.supports_jit = True
        self._trainable = trainable
        self._remat_mode = remat.current_mode()
        self._losses: list[Any] = []
        self._call_signature = signature(self.call)
        self._call_context_args = {"training"}
        self._supports_masking = self._has_own("compute_mask")
        self._build_shapes_dict: dict[str, Any] | None = None

    # Defaults for what the methods below need before `__init__` has run, or runs at all.
    _building = False
    _called = False
    # Shapes and dtypes of the tensors of the first call by argument, for views of models without a graph.
    _first_call: dict[str, Any] | None = None
    _convert_input_args = True
    _allow_non_tensor_positional_args = False
    _parent_path: str | None = None
    _path: str | None = None
    _is_quantized = False
    _remat_mode: remat.RematMode | None = None
    _losses_override: list[Any] | None = None

    def _has_own(self, method: str) -> bool:
        """Whether a subclass of ``Layer`` defines ``method``."""
        return getattr(type(self), method) is not getattr(Layer, method)

    def _context_only(self, kwargs: dict[str, Any]) -> list[str]:
        self._check_super_called()
        return [
            n for n in kwargs if n in self._call_context_args and n not in self._call_signature.parameters
        ]

    def _check_super_called(self) -> None:
        if "_call_signature" not in self.__dict__:
            raise RuntimeError(
                f"In layer {type(self).__name__!r}, you forgot to call `super().__init__()` as the first "
                "statement in the `__init__()` method. Go add it!"
            )

    def _open_name_scope(self) -> scope.name_scope:
        if self._parent_path is None:
            self._parent_path = scope.current_path()
        return scope.name_scope(self.name, caller=self, override_parent=self._parent_path)

    # Building

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of ``input_shape``; overridden by layers that have any."""
        self._check_super_called()
        with self._open_name_scope():
            self._path = scope.current_path()
        if input_shape is not None and any(not child.built for child in self._layers):
            self._build_children(input_shape)
        self._build_shapes_dict = {"input_shape": input_shape}
        self.built = True
        self._tracker.locked = _LOCKED

    def _build_children(self, input_shape: Any) -> None:
        inputs = tree.map_shapes(lambda s: KerasTensor(s), input_shape)
        try:
            with self._open_name_scope():
                infer_call(self.call, (inputs,), {})
        except Exception as error:
            raise InvalidArgument(
                f"Layer {self.name!r} could not be built for input shape {input_shape}: {error}. "
                f"Implement `build(self, input_shape)` in {type(self).__name__!r} to make its weights there."
            ) from error

    def get_build_config(self) -> dict[str, Any] | None:
        """Return what ``build_from_config`` needs to make the weights again."""
        shapes = self._build_shapes_dict
        if shapes is None:
            return None
        return {"input_shape": next(iter(shapes.values()))} if len(shapes) == 1 else {"shapes_dict": shapes}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Make the weights for the shapes that ``get_build_config`` returned."""
        if "input_shape" in config:
            self.build(config["input_shape"])
        elif "shapes_dict" in config:
            self.build(**config["shapes_dict"])

    # Types and paths

    @property
    def path(self) -> str | None:
        """The names of the layers that hold it and its own; ``None`` before it is built."""
        return self._path

    @property
    def dtype_policy(self) -> dtype_policy.DTypePolicy:
        """The types in which the layer keeps weights and computes."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        policy, known = dtype_policy.get(value), self._dtype_policy
        if isinstance(known, DTypePolicyMap) and self._path:
            if self._path in known:
                del known[self._path]
            known[self._path] = policy
        else:
            self._dtype_policy = policy
        if policy.quantization_mode is not None and self.built and not self._is_quantized:
            self.quantize(policy.quantization_mode)

    @property
    def _policy(self) -> dtype_policy.DTypePolicy:
        """The policy of this layer alone, where its own is a map for the layers inside too."""
        policy = self._dtype_policy
        return policy[self._path] if isinstance(policy, DTypePolicyMap) and self._path else policy

    @property
    def quantization_mode(self) -> str | None:
        """How the weights are quantized; ``None`` if they are not."""
        return self._policy.quantization_mode

    def quantize(self, mode: Any = None, config: Any = None, *, type_check: bool = True) -> None:
        """Keep the weights in few bits; for layers that can.

        Raises:
            NotImplementedError: If this one cannot.
        """
        raise NotImplementedError(
            f"Layer {type(self).__name__} does not have a `quantize` method implemented."
        )

    @property
    def dtype(self) -> str:
        """The type of the weights."""
        return self.variable_dtype

    @property
    def variable_dtype(self) -> str:
        """The type of the weights."""
        return self._policy.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The type in which the layer computes."""
        return self._policy.compute_dtype

    @property
    def input_dtype(self) -> str:
        """The type to which float inputs are cast."""
        return self.compute_dtype

    @property
    def supports_masking(self) -> bool:
        """Whether the layer knows what becomes of a mask."""
        return self._supports_masking

    @supports_masking.setter
    def supports_masking(self, value: bool) -> None:
        self._supports_masking = value

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Return the mask of the outputs; the mask of the inputs unless overridden."""
        return previous_mask

    # Calling

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return calling.run(self, args, kwargs)
        except Exception as error:
            calling.blame(self, error, args, kwargs)
            raise

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; overridden by every layer."""
        raise NotImplementedError(f"Layer {type(self).__name__} does not have a `call()` method implemented.")

    def _call_function(self) -> Callable[..., Any]:
        return self.call if self._remat_mode is None else remat.rematerialized(self, self._remat_mode)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return the symbolic tensors that a call would return."""
        if not self._has_own("compute_output_shape"):
            return infer_call(self.call, args, kwargs)
        call = calling.bind(self, args, kwargs)
        aligned = calling.align(self.compute_output_shape, call.shapes(), call.arguments, type(self).__name__)
        shape = self.compute_output_shape(**aligned)
        return tree.map_shapes(lambda s: KerasTensor(tuple(s), self.compute_dtype), shape)

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Return the shape of the outputs for inputs of the given shapes; ``None`` is an open dimension."""
        names = [p for p in self._call_signature.parameters if p not in ("training", "mask")]
        tensors = [tree.map_shapes(lambda s: KerasTensor(s, self.compute_dtype), shape) for shape in args]
        named = {
            name.removesuffix("_shape"): tree.map_shapes(lambda s: KerasTensor(s, self.compute_dtype), shape)
            for name, shape in kwargs.items()
        }
        if len(named) == 1 and not args and next(iter(named)) not in names:
            tensors, named = list(named.values()), {}
        if not self.built:
            with self._open_name_scope():
                calling._build(self, calling.bind(self, tuple(tensors), named))
        return tree.map_structure(lambda t: t.shape, infer_call(self.call, tuple(tensors), named))

    def stateless_call(
        self,
        trainable_variables: Any,
        non_trainable_variables: Any,
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Call the layer as a pure function of its variables.

        Args:
            trainable_variables: One array per variable of ``self.trainable_variables``.
            non_trainable_variables: One array per variable of ``self.non_trainable_variables``.
            args: The inputs.
            return_losses: Whether to return the layer's losses too.
            kwargs: More arguments of ``call``.

        Returns:
            ``(outputs, non_trainable_variables)``, or with ``losses`` as a third.

        Raises:
            InvalidArgument: If the layer is not built or the lists do not match its variables.
        """
        self._check_super_called()
        if not self.built:
            raise InvalidArgument(
                f"To call stateless_call, {type(self).__name__} must be built (i.e. its variables must have been "
                "already created). You can build it by calling it on some data."
            )
        mapping = []
        for kind, values in (
            ("trainable_variables", trainable_variables),
            ("non_trainable_variables", non_trainable_variables),
        ):
            own = getattr(self, kind)
            if len(values) != len(own):
                raise InvalidArgument(
                    f"Argument `{kind}` must be a list of tensors corresponding 1:1 to {type(self).__name__}().{kind}. "
                    f"Received list with length {len(values)}, but expected {len(own)} variables."
                )
            mapping.extend(zip(own, values, strict=True))
        with scope.StatelessScope(mapping, collect_losses=return_losses) as stateless:
            outputs = self(*args, **kwargs)
            losses = self.losses if return_losses else None
        updated = [stateless.get_current_value(v) for v in self.non_trainable_variables]
        return (outputs, updated, losses) if return_losses else (outputs, updated)

    # Losses

    def add_loss(self, loss: Any) -> None:
        """Add a penalty of shape ``()`` to what training minimizes; for use in ``call``."""
        stateless = scope.get_stateless_scope()
        for value in tree.flatten(loss):
            if not isinstance(value, (jax.Array, Variable)):
                raise InvalidArgument(
                    "`add_loss()` can only be called from inside `build()` or `call()`, on a tensor input. "
                    f"Received invalid value: {value!r}"
                )
            if stateless is None:
                self._losses.append(value)
            elif stateless.collect_losses:
                stateless.add_loss((self, value))

    def _add_activity_loss(self, outputs: Any) -> None:
        if self.activity_regularizer is not None:
            for output in tree.flatten(outputs):
                if isinstance(output, jax.Array):
                    self.add_loss(calling.activity_loss(self.activity_regularizer, output))

    def _clear_losses(self) -> None:
        stateless = scope.get_stateless_scope()
        layers = {id(layer) for layer in self._flatten_layers()}
        if stateless is not None:
            stateless.losses[:] = [pair for pair in stateless.losses if id(pair[0]) not in layers]
            return
        for layer in self._flatten_layers():
            layer._losses.clear()

    @property
    def losses(self) -> list[Any]:
        """The penalties of the last call, of the layers inside too, and of the regularizers."""
        if self._losses_override is not None:
            return list(self._losses_override)
        stateless = scope.get_stateless_scope()
        found: list[Any] = []
        for layer in self._flatten_layers():
            if stateless is None:
                found.extend(layer._losses)
            else:
                found.extend(value for owner, value in stateless.losses if owner is layer)
        return found + [v.regularizer(v.value) for v in self.trainable_weights if v.regularizer is not None]

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> Iterator[Layer]:
        seen: set[int] = set()

        def walk(layer: Layer) -> Iterator[Layer]:
            for child in layer._layers:
                if id(child) not in seen:
                    seen.add(id(child))
                    yield child
                    if recursive:
                        yield from walk(child)

        if include_self:
            yield self
        yield from walk(self)

    def to_python(self) -> str:
        """Return the expression that makes this layer under Keras, below the imports and classes it needs.

        Raises:
            NotSerializable: If something in it cannot be written.

        Example:

        >>> import kerasmagic as keras
        >>> print(keras.layers.Dense(3).to_python().splitlines()[-1])
        layers.Dense(3)
        """
        return view("layer_to_python")(self)

    _repr_mimebundle_ = displayed("layer")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _legacy_input_shape(kwargs: dict[str, Any]) -> tuple[int | None, ...] | None:
    shape = kwargs.pop("input_shape", None)
    size = kwargs.pop("input_dim", None)
    if size is not None:
        shape = (size,)
    if shape is None:
        return None
    deprecated(
        "Do not pass an `input_shape`/`input_dim` argument to a layer. When using Sequential models, "
        "prefer using an `Input(shape)` object as the first layer in the model instead."
    )
    return tuple(shape)
