"""Models that are a stack of layers: ``Sequential``."""

from __future__ import annotations

from typing import Any

from kerasmagic.core import tree
from kerasmagic.core.layer import Layer
from kerasmagic.core.masking import set_keras_mask
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.layers import InputLayer
from kerasmagic.models.graph import Graph
from kerasmagic.models.model import Model


class Sequential(Model):
    """A stack of layers, each fed by the one before.

    Args:
        layers: Layers, or an ``Input`` and layers.
        trainable: Whether training changes the weights.
        name: Its name.

    Raises:
        InvalidArgument: If something that is no layer is added, or two layers share a name.

    Example:

    >>> import kerasmagic as keras
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    >>> model.output_shape, model.count_params()
    ((None, 10), 650)
    """

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None):
        super().__init__(trainable=trainable, name=name)
        # The layers inside say what becomes of a mask.
        self.supports_masking = True
        self.__dict__["_stack"] = []
        self.__dict__["_graph"] = None
        self.__dict__["_below"] = None
        for layer in layers or []:
            self.add(layer, rebuild=False)
        self._rebuild()

    _stack: list[Layer]
    _graph: Graph | None
    # The graph of all layers but the last, while that one is put on top.
    _below: Graph | None

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer on top."""
        if not self._stack and getattr(layer, "_input_shape_arg", None) is not None:
            self.add(InputLayer(shape=layer._input_shape_arg), rebuild=False)
        if isinstance(layer, KerasTensor) and layer._keras_history is not None:
            layer = layer._keras_history.operation
        if not isinstance(layer, Layer):
            raise InvalidArgument(
                "Only instances of `keras.Layer` can be added to a Sequential model. "
                f"Received: {layer!r} (of type {type(layer)})"
            )
        if any(layer.name == other.name for other in self._stack):
            raise InvalidArgument(
                "All layers added to a Sequential model should have unique names. "
                f"Name {layer.name!r} is already the name of a layer in this model."
            )
        if isinstance(layer, InputLayer) and self._stack:
            raise InvalidArgument(
                f"Sequential model {self.name!r} already has layers: an Input layer can only be the first."
            )
        self._tracker.locked = None
        self._tracker.track(layer)
        self._stack.append(layer)
        if rebuild:
            self._rebuild(self._graph)

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the top layer off and return it."""
        layer = self._stack.pop()
        self._tracker.untrack(layer)
        if rebuild:
            self._rebuild()
        return layer

    def _rebuild(self, below: Graph | None = None) -> None:
        """Draw the graph; ``below`` may be that of all layers but the last."""
        self.built = False
        self.__dict__["_graph"] = None
        first = self._stack[0] if self._stack else None
        shape = first.batch_shape if isinstance(first, InputLayer) else getattr(first, "input_shape", None)
        if shape is not None and len(self._stack) > 1:
            fits = below is not None and len(below.nodes) == len(self._stack) - 1
            self.__dict__["_below"] = below if fits else None
            try:
                self.build(shape)
            finally:
                self.__dict__["_below"] = None

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the one for the input."""
        return [layer for layer in self._stack if not isinstance(layer, InputLayer)]

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of all layers for inputs of ``input_shape`` ``(batch, ...)``."""
        if not self._stack:
            raise InvalidArgument(
                f"Sequential model {self.name} cannot be built because it has no layers. Call `model.add(layer)`."
            )
        if not tree.is_shape(input_shape):
            return
        if not isinstance(self._stack[0], InputLayer):
            layer = InputLayer(batch_shape=tuple(input_shape), dtype=self._stack[0].compute_dtype)
            self._tracker.locked = None
            self._tracker.stores["layers"][1].insert(0, layer)
            self._stack.insert(0, layer)
        inputs = x = self._stack[0].output
        above = self._stack[1:]
        if self._below is not None:
            x, above = self._below.outputs_struct, self._stack[-1:]
        for layer in above:
            x = layer(x)
        self.__dict__["_graph"] = Graph(inputs, x)

    @classmethod
    def drawn(cls, layers: list[Layer], x: KerasTensor, y: Any, name: str | None = None) -> Any:
        """Return a stack of layers that were called already: the first on ``x``, the last gave ``y``.

        Raises:
            InvalidArgument: If two layers share a name.
        """
        model = cls(name=name)
        for layer in layers:
            model.add(layer, rebuild=False)
        model.__dict__["_graph"] = Graph(x, y)
        model.built = True
        return model

    def _built_graph(self, what: str) -> Graph:
        if self._graph is None:
            raise AttributeError(f"Sequential model {self.name!r} has no defined {what} yet.")
        return self._graph

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic input, in a list."""
        return self._built_graph("inputs").inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs."""
        return self._built_graph("outputs").outputs

    @property
    def input(self) -> Any:
        """The symbolic input."""
        return self._built_graph("input").inputs_struct

    @property
    def output(self) -> Any:
        """The symbolic output."""
        return self._built_graph("output").outputs_struct

    @property
    def input_shape(self) -> Any:
        """The shape of the input."""
        return self._built_graph("input shape").inputs[0].shape

    @property
    def output_shape(self) -> Any:
        """The shape of the output."""
        return tree.map_structure(lambda x: x.shape, self._built_graph("output shape").outputs_struct)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        x = inputs
        if self._graph is not None:
            x = self._graph.standardize_inputs(inputs, self.name)[0]
        if mask is not None:
            set_keras_mask(x, mask)
        for layer in self.layers:
            x = layer(x)
        return x

    def _outputs_for(self, inputs: Any) -> Any:
        graph = self._graph if type(self).call is Sequential.call else None
        known = None if graph is None else graph.known_outputs(inputs)
        return super()._outputs_for(inputs) if known is None else known

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Return nothing: the mask of the output was set by the layers inside."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Return the layers as plain data."""
        config = Layer.get_config(self)
        config["layers"] = [serialize_keras_object(layer) for layer in self._stack]
        if self._graph is not None:
            config["build_input_shape"] = self._graph.inputs[0].shape
        return config

    def get_build_config(self) -> dict[str, Any] | None:
        return None if self._graph is None else {"input_shape": self._graph.inputs[0].shape}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make a model from what ``get_config`` returned."""
        model = cls(name=config.get("name"), trainable=config.get("trainable", True))
        for layer in config["layers"]:
            model.add(deserialize_keras_object(layer, custom_objects), rebuild=False)
        model._rebuild()
        shape = config.get("build_input_shape")
        if not model.built and shape is not None:
            model.build(tuple(shape))
        return model
