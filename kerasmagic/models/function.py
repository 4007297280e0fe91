"""A graph of operations as one operation."""

from __future__ import annotations

from typing import Any

from kerasmagic.core import tree
from kerasmagic.core.symbolic import KerasTensor, Operation
from kerasmagic.models.graph import Graph


class Function(Operation):
    """What leads from symbolic inputs to symbolic outputs, to be called on others.

    Unlike a model it is no layer: it owns no weights.

    Args:
        inputs: A structure of symbolic tensors.
        outputs: A structure of symbolic tensors made from them.
        name: Its name; made up when ``None``.

    Raises:
        InvalidArgument: If an output does not come from the inputs.

    Example:

    >>> import jax.numpy as jnp
    >>> import kerasmagic as keras
    >>> x = keras.KerasTensor((None, 3))
    >>> halve = keras.Function(x, x / 2)
    >>> halve(jnp.ones((1, 3))).tolist(), halve(keras.KerasTensor((5, 3))).shape
    ([[0.5, 0.5, 0.5]], (5, 3))
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None):
        super().__init__(name)
        self._graph = Graph(inputs, outputs)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs, flat."""
        return self._graph.inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs, flat."""
        return self._graph.outputs

    @property
    def operations(self) -> list[Operation]:
        """The operations in the order they run."""
        return self._graph.operations

    def call(self, inputs: Any) -> Any:
        """Compute the outputs for ``inputs`` of the structure it was made with."""
        values = self._graph.standardize_inputs(inputs, self.name)
        return self._graph.run(values, lambda operation, *args, **kwargs: operation(*args, **kwargs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shapes of the outputs for inputs of the given shapes; ``None`` is an open dimension."""
        dtypes = iter([x.dtype for x in self.inputs])
        inputs = tree.map_shapes(lambda shape: KerasTensor(shape, next(dtypes)), input_shape)
        return tree.map_structure(lambda x: x.shape, self.compute_output_spec(inputs))
