"""A second model of the same architecture, with weights of its own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from kerasmagic.core import tree
from kerasmagic.core.layer import Layer
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.core.symbolic import KerasTensor, Operation
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.layers import Input, InputLayer
from kerasmagic.models.functional import Functional
from kerasmagic.models.sequential import Sequential

CloneFunction = Callable[[Any], Any]


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: CloneFunction | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Any:
    """Return a model like ``model``, with new initial weights.

    Args:
        model: A functional or sequential model, or one whose class has ``get_config``.
        input_tensors: Symbolic tensors to build upon, in the structure of ``model.input``; new ones when
            ``None``.
        clone_function: Makes the layer that takes the place of a given one; each layer is made again from
            its config when ``None``. Inputs are not asked for.
        call_function: Called as ``call_function(layer, *args, **kwargs)`` in the place of the layer; only
            for functional models.
        recursive: Whether the layers of models inside are cloned one by one too.

    Returns:
        The new model, compiled if ``model`` is.

    Raises:
        InvalidArgument: If an argument does not go with the kind of model.
        NotSerializable: If the model cannot say how to make it again.

    Example:

    >>> import kerasmagic as keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> clone = clone_model(model)
    >>> clone.output_shape, clone.weights[0] is model.weights[0]
    ((None, 3), False)
    """
    cloner = _Cloner(clone_function, call_function, recursive)
    if isinstance(model, Sequential):
        if call_function is not None:
            raise InvalidArgument(
                "`call_function` goes with functional models only: a Sequential model lists its layers and "
                "calls none of them."
            )
        return cloner.sequential(model, input_tensors)
    if isinstance(model, Functional):
        return cloner.functional(model, input_tensors)
    if clone_function is not None or call_function is not None or input_tensors is not None:
        raise InvalidArgument(
            "`clone_function`, `call_function` and `input_tensors` go with Sequential and functional models. "
            f"Received a model of type {type(model).__name__!r}."
        )
    config = serialize_keras_object(model)
    return deserialize_keras_object(config, custom_objects={type(model).__name__: type(model)})


class _Cloner:
    """Clones layers, each once, so that shared layers stay shared."""

    def __init__(
        self, clone_function: CloneFunction | None, call_function: Callable[..., Any] | None, recursive: bool
    ):
        self._clone = clone_function or (lambda layer: type(layer).from_config(layer.get_config()))
        self._call = call_function
        self._recursive = recursive
        self._made: dict[int, Any] = {}

    def layer(self, layer: Any) -> Any:
        if id(layer) not in self._made:
            self._made[id(layer)] = self._fresh(layer)
        return self._made[id(layer)]

    def _fresh(self, layer: Any) -> Any:
        if self._recursive and isinstance(layer, Sequential):
            return self.sequential(layer, None)
        if self._recursive and isinstance(layer, Functional):
            return self.functional(layer, None)
        return self._clone(layer)

    def sequential(self, model: Sequential, input_tensors: Any) -> Sequential:
        layers = [self.layer(layer) for layer in model.layers]
        first = model._stack[0] if model._stack else None
        if input_tensors is not None:
            tensors = tree.flatten(input_tensors)
            if len(tensors) != 1 or not isinstance(tensors[0], KerasTensor):
                raise InvalidArgument(
                    f"`input_tensors` must be one KerasTensor. Received: input_tensors={input_tensors}"
                )
            name = first.name if isinstance(first, InputLayer) else None
            layers.insert(0, Input(tensor=tensors[0], name=name))
        elif isinstance(first, InputLayer):
            layers.insert(0, type(first).from_config(first.get_config()))
        return _compiled_like(model, Sequential(layers, name=model.name, trainable=model.trainable))

    def functional(self, model: Functional, input_tensors: Any) -> Any:
        inputs = model.input if input_tensors is None else input_tensors
        if input_tensors is None:
            inputs = tree.map_structure(_like, inputs)
        elif not all(isinstance(x, KerasTensor) for x in tree.flatten(inputs)):
            raise InvalidArgument(f"`input_tensors` must be KerasTensors. Received: {input_tensors}")
        try:
            tree.assert_same_structure(inputs, model.input)
        except ValueError as error:
            raise InvalidArgument(
                f"`input_tensors` must have the structure of `model.input`. {error}"
            ) from None

        def call(operation: Operation, *args: Any, **kwargs: Any) -> Any:
            clone = self.layer(operation) if isinstance(operation, Layer) else self.function(operation)
            return clone(*args, **kwargs) if self._call is None else self._call(clone, *args, **kwargs)

        outputs = model._graph.run(tree.flatten(inputs), call)
        graph_like = type(model).__init__ is Functional.__init__
        cls: Any = type(model) if graph_like else Functional
        return _compiled_like(model, cls(inputs, outputs, name=model.name))

    def function(self, operation: Operation) -> Operation:
        if id(operation) not in self._made:
            clone = self._made[id(operation)] = copy.copy(operation)
            clone._inbound_nodes = []
        return self._made[id(operation)]


def _compiled_like(model: Any, clone: Any) -> Any:
    if model.compiled:
        clone.compile_from_config(model.get_compile_config())
    return clone


def _like(x: KerasTensor) -> Any:
    history = x._keras_history
    layer = None if history is None else history.operation
    if isinstance(layer, InputLayer):
        return type(layer).from_config(layer.get_config()).output
    return Input(batch_shape=x.shape, dtype=x.dtype, name=x.name)
