"""Models made of a graph of calls: ``Model(inputs, outputs)``."""

from __future__ import annotations

from typing import Any

from kerasmagic.core import scope, tree
from kerasmagic.core.layer import Layer
from kerasmagic.core.masking import set_keras_mask
from kerasmagic.core.symbolic import KerasTensor, Node, Operation
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.layers import InputLayer
from kerasmagic.models import wiring
from kerasmagic.models.graph import Graph
from kerasmagic.models.model import Model


class Functional(Model):
    """A model whose ``call`` runs the layers between its inputs and its outputs.

    Args:
        inputs: A structure of symbolic tensors.
        outputs: A structure of symbolic tensors made from them.
        name: Its name.
        trainable: Whether training changes its weights.

    Raises:
        InvalidArgument: If the outputs do not come from the inputs.
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any):
        trainable = kwargs.pop("trainable", None)
        Layer.__init__(self, name=name, **kwargs)
        if not all(_is_input(x) for x in tree.flatten(inputs)):
            inputs, outputs = _from_the_middle(inputs, outputs)
        self.__dict__["_graph"] = Graph(inputs, outputs)
        for operation in self._graph.operations:
            if isinstance(operation, Layer):
                self._tracker.track(operation)
        if trainable is not None:
            self.trainable = trainable
        self._convert_input_args = False
        # The layers inside say what becomes of a mask.
        self.supports_masking = True
        self._allow_non_tensor_positional_args = True
        self.output_names = _output_names(self._graph)
        self.input_names = [x.name for x in self._graph.inputs]
        with self._open_name_scope():
            self._path = self.name
        self.built = True

    _graph: Graph

    @property
    def layers(self) -> list[Layer]:
        """The layers of the graph, from the inputs to the outputs."""
        return [operation for operation in self._graph.operations if isinstance(operation, Layer)]

    @property
    def operations(self) -> list[Operation]:
        """The layers and functions of the graph, from the inputs to the outputs."""
        return list(self._graph.operations)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs."""
        return self._graph.inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs."""
        return self._graph.outputs

    @property
    def input(self) -> Any:
        """The symbolic inputs in their structure."""
        return _single(self._graph.inputs_struct)

    @property
    def output(self) -> Any:
        """The symbolic outputs in their structure."""
        return _single(self._graph.outputs_struct)

    @property
    def input_shape(self) -> Any:
        """The shapes of the inputs."""
        return _single(tree.map_structure(lambda x: x.shape, self._graph.inputs_struct))

    @property
    def output_shape(self) -> Any:
        """The shapes of the outputs."""
        return _single(tree.map_structure(lambda x: x.shape, self._graph.outputs_struct))

    def build(self, input_shape: Any = None) -> None:
        """Do nothing: a graph is built as it is drawn."""

    def get_build_config(self) -> dict[str, Any] | None:
        return {"input_shape": None}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Do nothing: a graph is built as it is drawn."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        values = self._graph.standardize_inputs(inputs, self.name)
        for x, m in zip(values, tree.flatten(mask), strict=False):
            if m is not None:
                set_keras_mask(x, m)
        return _single(self._graph.run(values, _operate))

    def _outputs_for(self, inputs: Any) -> Any:
        known = self._graph.known_outputs(inputs) if type(self).call is Functional.call else None
        return super()._outputs_for(inputs) if known is None else _single(known)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Return nothing: the masks of the outputs were set by the layers inside."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Return the layers and how they are wired, as plain data."""
        if type(self).__init__ is not Functional.__init__:
            return super().get_config()
        return wiring.to_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make a model from what ``get_config`` returned."""
        if "input_layers" not in config:
            return super().from_config(config)
        inputs, outputs, options = wiring.from_config(config, custom_objects)
        return cls(inputs, outputs, **options)


Model._functional_class = Functional


def _operate(operation: Any, *args: Any, **kwargs: Any) -> Any:
    """Run an operation; what its call was recorded with gives way to what the model is told, as in Keras.

    Keras records defaults, too: in its files every dropout is called with ``training=False``.
    """
    context = getattr(operation, "_call_context_args", ())
    kept = {name: x for name, x in kwargs.items() if name not in context or scope.told(name) is None}
    return operation(*args, **kept)


def _single(structure: Any) -> Any:
    return structure[0] if isinstance(structure, list) and len(structure) == 1 else structure


def _is_input(x: Any) -> bool:
    history = getattr(x, "_keras_history", None)
    return history is not None and isinstance(history.operation, InputLayer)


def _output_names(graph: Graph) -> list[str]:
    histories = [x._keras_history for x in graph.outputs]
    return [
        h.operation.name if h is not None else x.name for h, x in zip(histories, graph.outputs, strict=True)
    ]


def _from_the_middle(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """Return the same graph with new ``Input`` layers in the place of tensors inside another graph."""
    if not all(isinstance(x, KerasTensor) for x in tree.flatten(inputs)):
        raise InvalidArgument(f"All `inputs` values must be KerasTensors. Received: inputs={inputs}")
    graph = Graph(inputs, outputs)

    def fresh(x: KerasTensor) -> KerasTensor:
        if _is_input(x):
            return x
        return InputLayer(batch_shape=_input_shape(x), dtype=x.dtype, name=x.name).output

    new_inputs = tree.map_structure(fresh, inputs)

    def again(operation: Operation, *args: Any, **kwargs: Any) -> Any:
        copies = tree.map_structure(lambda x: KerasTensor(x.dims, x.dtype), _node_outputs(graph, operation))
        Node(operation, args, kwargs, copies)
        return copies

    return new_inputs, graph.run(tree.flatten(new_inputs), again)


def _input_shape(x: KerasTensor) -> tuple[Any, ...]:
    """Return a shape to make an input of: sizes, plain names of open dimensions, ``None`` for the rest."""
    names = [d if isinstance(d, int) else str(d) if str(d).isidentifier() else None for d in x.dims]
    return (None if names[0] == "batch" else names[0], *names[1:]) if names else ()


def _node_outputs(graph: Graph, operation: Operation) -> Any:
    return next(node.outputs for node in graph.nodes if node.operation is operation)
