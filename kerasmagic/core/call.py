"""What happens between ``layer(x)`` and ``layer.call(x)``.

Inputs become tensors of the layer's type, the layer is built if it was not,
``training`` and masks are filled in from the outside, and the outputs get their mask.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import warnings
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from kerasmagic.core import scope, tree
from kerasmagic.core.dtypes import is_float_dtype
from kerasmagic.core.input_spec import assert_input_compatibility
from kerasmagic.core.masking import get_keras_mask, set_keras_mask
from kerasmagic.core.symbolic import KerasTensor, Node, any_symbolic
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import InvalidArgument, KerasMagicError, UnexpectedArgument
from kerasmagic.foundation.signature import signature

if TYPE_CHECKING:
    from kerasmagic.core.layer import Layer


def is_tensor(x: Any) -> bool:
    """Whether ``x`` is an array, a variable or a symbolic tensor."""
    return isinstance(x, (jax.Array, KerasTensor, Variable)) or (hasattr(x, "shape") and hasattr(x, "dtype"))


@dataclasses.dataclass
class BoundCall:
    """The arguments of one call by name, and which of them hold tensors."""

    arguments: dict[str, Any]
    given: dict[str, Any]
    tensors: dict[str, Any]

    @property
    def first(self) -> Any:
        """The value of the first argument."""
        return next(iter(self.arguments.values()), None)

    def specs(self) -> dict[str, Any]:
        """Return sizes and dtypes of the tensor arguments by name; open dimensions as they are."""

        def spec(x: Any) -> Any:
            return None if x is None else (getattr(x, "dims", x.shape), str(x.dtype))

        return {name: tree.map_structure(spec, value) for name, value in self.tensors.items()}

    def shapes(self) -> dict[str, Any]:
        """Return the shapes of the tensor arguments as ``{"x_shape": (...)}``."""
        return {
            f"{name}_shape": tree.map_structure(_shape_or_none, value)
            for name, value in self.tensors.items()
            if name not in ("mask", "args", "kwargs")
        }


def _shape_or_none(x: Any) -> Any:
    return None if x is None else tuple(d if isinstance(d, int) else None for d in x.shape)


def bind(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> BoundCall:
    """Match the arguments to the parameters of ``layer.call``.

    Raises:
        UnexpectedArgument: If they do not fit.
    """
    signature = layer._call_signature
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise UnexpectedArgument(
            f"The arguments of layer {layer.name!r} do not fit `{type(layer).__name__}.call{signature}`: {error}"
        ) from None
    given = dict(bound.arguments)
    bound.apply_defaults()
    tensors = {name: value for name, value in bound.arguments.items() if _holds_tensors(name, value)}
    return BoundCall(dict(bound.arguments), given, tensors)


def _holds_tensors(name: str, value: Any) -> bool:
    if tree.is_leaf(value):
        return is_tensor(value)
    leaves = tree.flatten(value)
    found = [is_tensor(x) for x in leaves]
    if any(found) and not all(f or x is None for f, x in zip(found, leaves, strict=True)):
        raise InvalidArgument(
            "In a nested call() argument, you cannot mix tensors and non-tensors. "
            f"Received invalid mixed argument: {name}={value}"
        )
    return bool(leaves) and any(found)


def blame(layer: Layer, error: Exception, args: Any = (), kwargs: Any = MappingProxyType({})) -> None:
    """Let an error that left a call or a build say in which layer it arose: the innermost one.

    What kerasmagic refused says so in its message; another error keeps it and its type, and gets a note.
    """
    if getattr(error, "culprit", None) is not None:
        return
    name = layer.__dict__.get("name")
    who = f"Layer {name!r} ({type(layer).__name__})"
    if isinstance(error, KerasMagicError):
        error.blame(who, repr(name))
        return
    given = [*map(_described, args), *(f"{name}={_described(value)}" for name, value in kwargs.items())]
    error.add_note(f"Raised while calling {who} on ({', '.join(given)})")
    with contextlib.suppress(AttributeError):
        error.culprit = who  # type: ignore[attr-defined]


def _described(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_described, value))}]"
    return f"{value.dtype}{tuple(value.shape)}" if is_tensor(value) else repr(value)


def run(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call ``layer`` as a user does."""
    layer._called = True
    original = (args, dict(kwargs))
    outer = {name: kwargs.pop(name) for name in layer._context_only(kwargs)}
    args, kwargs = _convert(layer, args, kwargs)
    call = bind(layer, args, kwargs)
    if layer._first_call is None:
        layer.__dict__["_first_call"] = call.specs()
    assert_input_compatibility(layer.input_spec, call.first, layer.name)
    with layer._open_name_scope():
        _build(layer, call)
    with scope.call_context(layer) as (context, opened):
        if opened:
            layer._clear_losses()
        with _context_values(layer, call, outer, context, kwargs):
            previous_mask = _fill_masks(layer, call, kwargs)
            symbolic = any_symbolic(original)
            function = layer.compute_output_spec if symbolic else layer._call_function()
            with layer._open_name_scope(), _autocast(layer):
                outputs = function(*args, **kwargs)
                layer.built = True
                if not symbolic:
                    layer._add_activity_loss(outputs)
                    if (observer := scope.call_observer()) is not None:
                        observer(layer, args, kwargs, outputs)
            _mask_outputs(layer, call.first, outputs, previous_mask)
    if symbolic:
        Node(layer, original[0], original[1], outputs)
    return outputs


def _convert(
    layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    policy, dtype = layer.dtype_policy, layer.input_dtype

    def convert(x: Any) -> Any:
        y = policy.convert_input(x, layer.autocast, dtype)
        if y is not x:
            mask = get_keras_mask(x)
            if mask is not None:
                set_keras_mask(y, mask)
        return y

    if layer._convert_input_args:
        args = tuple(tree.map_structure(convert, arg) for arg in args)
        kwargs = {name: tree.map_structure(convert, value) for name, value in kwargs.items()}
    if not layer._allow_non_tensor_positional_args:
        for arg in tree.flatten(list(args)):
            if arg is not None and not is_tensor(arg):
                raise InvalidArgument(
                    "Only input tensors may be passed as positional arguments. The following argument value "
                    f"should be passed as a keyword argument: {arg!r} (of type {type(arg)})"
                )
    return args, kwargs


@contextlib.contextmanager
def _context_values(
    layer: Layer, call: BoundCall, outer: dict[str, Any], context: scope.CallContext, kwargs: dict[str, Any]
) -> Iterator[None]:
    """Decide ``training`` and its kind: what is given, else what encloses, else the default."""
    before = dict(context.values)
    for name in layer._call_context_args:
        value = outer.get(name, call.given.get(name))
        if value is None:
            value = context.values.get(name)
        if value is None:
            value = call.arguments.get(name)
        context.values[name] = value
        if value is not None and name in layer._call_signature.parameters:
            kwargs[name] = value
    try:
        yield
    finally:
        context.values.clear()
        context.values.update(before)


def _fill_masks(layer: Layer, call: BoundCall, kwargs: dict[str, Any]) -> Any:
    """Pass the tensors' masks on to the parameters that ask for them; return the first input's mask."""
    parameters = layer._call_signature.parameters
    if len(call.tensors) == 1:
        if "mask" in parameters and call.arguments["mask"] is None:
            kwargs["mask"] = tree.map_structure(get_keras_mask, next(iter(call.tensors.values())))
    else:
        for name, value in call.tensors.items():
            mask_name = f"{name}_mask"
            if mask_name in parameters and call.arguments[mask_name] is None:
                kwargs[mask_name] = tree.map_structure(get_keras_mask, value)
    mask = kwargs.get("mask")
    return tree.map_structure(get_keras_mask, call.first) if mask is None else mask


def _mask_outputs(layer: Layer, inputs: Any, outputs: Any, previous_mask: Any) -> None:
    if not layer.supports_masking:
        if any(m is not None for m in tree.flatten(previous_mask)):
            warnings.warn(
                f"Layer '{layer.name}' (of type {type(layer).__name__}) was passed an input with a mask attached "
                "to it. However, this layer does not support masking and will therefore destroy the mask "
                "information. Downstream layers will not see the mask.",
                stacklevel=5,
            )
        return
    flat = tree.flatten(outputs)
    if all(get_keras_mask(x) is not None for x in flat):
        return
    masks = layer.compute_mask(inputs, previous_mask)
    for tensor, mask in zip(flat, tree.flatten(masks), strict=False):
        if mask is not None and get_keras_mask(tensor) is None:
            set_keras_mask(tensor, mask)


def _autocast(layer: Layer) -> contextlib.AbstractContextManager[None]:
    current, compute = scope.autocast_dtype(), layer.compute_dtype
    if current is None:
        mixed = layer.autocast and compute != layer.variable_dtype
        return scope.autocast(compute) if mixed else contextlib.nullcontext()
    if not layer.autocast or not is_float_dtype(compute):
        return scope.autocast(None)
    return contextlib.nullcontext() if current == compute else scope.autocast(compute)


def _build(layer: Layer, call: BoundCall) -> None:
    if layer.built:
        return
    shapes = call.shapes()
    if layer._has_own("build"):
        layer.build(**align(layer.build, shapes, call.arguments, type(layer).__name__))
        assert_input_compatibility(layer.input_spec, call.first, layer.name)
        return
    if any(not child.built for child in layer._layers) and any(
        isinstance(x, KerasTensor) for x in tree.flatten(list(call.tensors.values()))
    ):
        # The children are built by the symbolic call that follows.
        layer._build_shapes_dict = {"input_shape": next(iter(shapes.values()), None)}
        return
    if all(child.built for child in layer._layers):
        layer.build(next(iter(shapes.values()), None))


def align(
    function: Callable[..., Any], shapes: dict[str, Any], arguments: dict[str, Any], class_name: str
) -> dict[str, Any]:
    """Match ``{"x_shape": ...}`` to the parameters of ``build`` or ``compute_output_shape``.

    One parameter takes the first shape whatever its name; several take theirs by name.

    Raises:
        InvalidArgument: If a name does not end in ``_shape`` or matches no argument of ``call``.
    """
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = [p.name for p in signature(function).parameters.values() if p.kind not in variadic]
    if len(names) == 1:
        return {names[0]: next(iter(shapes.values()), None)}
    for name in names:
        if not name.endswith("_shape") or name.removesuffix("_shape") not in arguments:
            method = function.__name__
            raise InvalidArgument(
                f"`{class_name}.{method}()` has several arguments, so each must be called like an argument of "
                f"`call()` with `_shape` behind it. Received argument {name!r}; `call()` has {list(arguments)}."
            )
    return {name: shapes[name] for name in names if name in shapes}


def activity_loss(regularizer: Callable[[Any], Any], output: Any) -> Any:
    """Return the activity penalty of ``output`` ``(batch, ...)``, divided by the batch size."""
    loss = regularizer(output)
    return loss / jnp.asarray(output.shape[0], loss.dtype) if output.ndim > 0 and output.shape[0] else loss
