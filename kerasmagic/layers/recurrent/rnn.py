"""The layers that walk a cell over time: ``RNN``, and the base of those that bring their own cell."""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from kerasmagic.core import tree
from kerasmagic.core.input_spec import InputSpec
from kerasmagic.core.scope import name_scope
from kerasmagic.core.serialization import deserialize_keras_object
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.arguments import one_of
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.naming import to_snake_case
from kerasmagic.foundation.signature import parameter_names
from kerasmagic.layers.base import LibraryLayer
from kerasmagic.layers.recurrent.carried import CarriedVariables
from kerasmagic.layers.recurrent.cell import RecurrentCell, of_cell
from kerasmagic.layers.recurrent.stacked import (
    StackedRNNCells,
    build_cell,
    check_cell,
    first_state,
    hold_masks,
    takes_training,
)
from kerasmagic.numerics.recurrent import Walk, walk


class RNN(LibraryLayer):
    """Applies a cell to every time of a sequence, handing its states on.

    Input shape ``(batch, time, ...)``. Output shape ``(batch, units)``, or
    ``(batch, time, units)`` with ``return_sequences``; with ``return_state`` a tuple
    of the output and the last states, each ``(batch, units)``.

    A cell is a layer with ``call(inputs, states)``, which returns the output at one
    time and the next states, and a ``state_size``. It may have an ``output_size`` and a
    ``get_initial_state(batch_size)``.

    Args:
        cell: A cell, or a list of cells that feed one another.
        return_sequences: Whether to return the output at every time.
        return_state: Whether to return the last states too.
        go_backwards: Whether to begin with the last time; outputs come in the order of the walk.
        stateful: Whether a batch begins with the states in which the one before ended.
        unroll: Whether to write the loop out, for short sequences of known length.
        zero_output_for_mask: Whether outputs at masked times are zero; else they repeat the one before.

    Raises:
        InvalidArgument: If the cell lacks ``call`` or ``state_size``, or the batch size of a
            stateful layer is open or changes.

    Example:

    >>> import jax.numpy as jnp
    >>> from kerasmagic.layers import GRUCell
    >>> outputs, state = RNN(GRUCell(4), return_sequences=True, return_state=True)(jnp.ones((2, 5, 3)))
    >>> outputs.shape, state.shape
    ((2, 5, 4), (2, 4))
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        check_cell(cell)
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self.single_state = not isinstance(cell.state_size, (list, tuple))
        object.__setattr__(self, "states", None)

    states: list[Any] | None

    @property
    def state_size(self) -> list[Any]:
        """The size of each state."""
        return [self.cell.state_size] if self.single_state else list(self.cell.state_size)

    def build(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, sequences_shape: Any, initial_state_shape: Any = None
    ) -> None:
        build_cell(self.cell, (sequences_shape[0], *sequences_shape[2:]))
        if self.stateful and self.states is None:
            self._make_states(sequences_shape)

    def _make_states(self, sequences_shape: Any) -> None:
        batch = sequences_shape[0]
        if batch is None:
            raise InvalidArgument(
                f"Layer {self.name!r} has `stateful=True`, so the batch size must be static: give it to the "
                f"`Input` as `batch_size=`. Found dynamic batch size: sequence.shape={sequences_shape}"
            )
        with name_scope(self.name, caller=self):
            states = jax.tree.map(
                lambda value: Variable(value, dtype=self.variable_dtype, trainable=False, name="rnn_state"),
                self.get_initial_state(batch),
            )
        # Not weights: they are neither saved nor counted, but a compiled step has to carry them.
        object.__setattr__(self, "states", states)

    @property
    def variables(self) -> list[Variable]:
        """All variables, the states of a stateful layer included."""
        return [*super().variables, *tree.flatten(self.states or [])]

    def reset_state(self) -> None:
        """Set the states of a stateful layer to zero."""
        for variable in tree.flatten(self.states or []):
            variable.assign(jnp.zeros(variable.shape, variable.dtype))

    def reset_states(self) -> None:
        """Set the states of a stateful layer to zero."""
        self.reset_state()

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """Return the states before the first time, as the cell makes them."""
        states = first_state(self.cell, batch_size, self.compute_dtype)
        return list(states) if tree.is_nested(states) else [states]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make the layer and the cell inside."""
        inside = {name: config[name] for name in ("cell",) if name in config}
        return super().from_config({**config, **deserialize_keras_object(inside)})

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        mask = tree.flatten(previous_mask)[0] if self.return_sequences else None
        return [mask, *(None for _ in self.state_size)] if self.return_state else mask

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = False
    ) -> Any:
        states = self._first_states(sequences, initial_state)
        mask = tree.flatten(mask)[0]
        outputs, states = self._walk(jnp.moveaxis(sequences, 1, 0), states, mask, bool(training))
        if self.return_sequences:
            outputs = jnp.moveaxis(outputs, 0, 1)
        outputs = outputs.astype(self.compute_dtype)
        states = jax.tree.map(lambda x: x.astype(self.compute_dtype), states)
        if self.stateful:
            for variable, state in zip(tree.flatten(self.states), tree.flatten(states), strict=True):
                variable.assign(state)
        return (outputs, *states) if self.return_state else outputs

    def _first_states(self, sequences: Any, initial_state: Any) -> list[Any]:
        batch = sequences.shape[0]
        if self.stateful:
            expected = tree.flatten(self.states)[0].shape[0]
            if isinstance(batch, int) and batch != expected:
                raise InvalidArgument(
                    f"Layer {self.name!r} is stateful, so the batch size of the input sequences must be that of "
                    f"its states.\n- Expected batch size: {expected}\n- Received batch size: {batch}"
                )
        if initial_state is None:
            initial_state = self.states if self.stateful else self.get_initial_state(batch)
        states = list(initial_state) if tree.is_nested(initial_state) else [initial_state]
        if len(states) != len(self.state_size):
            raise InvalidArgument(
                f"Layer {self.name!r} has {len(self.state_size)} state(s) of size {self.state_size}. "
                f"Received {len(states)} in `initial_state`."
            )
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        return tree.map_structure(lambda x: jnp.asarray(x, dtype), states)

    def _walk(self, inputs: Any, states: list[Any], mask: Any, training: bool) -> tuple[Any, Any]:
        """Walk over ``inputs`` ``(time, batch, ...)`` and return the outputs and the last states."""
        how = Walk(self.go_backwards, self.unroll, self.return_sequences, self.zero_output_for_mask)
        mask = None if mask is None else jnp.moveaxis(jnp.asarray(mask), 1, 0)
        cell = self.cell
        if isinstance(cell, RecurrentCell) and cell.is_plain and cell.compute_dtype == self.compute_dtype:
            return cell.walk(inputs, states, mask, how, training)
        with contextlib.ExitStack() as stack:
            hold_masks(stack, cell, _at_one_time(inputs), states, training)
            return self._walk_any_cell(inputs, states, mask, how, training)

    def _walk_any_cell(
        self, inputs: Any, states: list[Any], mask: Any, how: Walk, training: bool
    ) -> tuple[Any, Any]:
        cell = self.cell
        options = {"training": training} if takes_training(cell) else {}
        structure = jax.tree.structure(states)
        carried = CarriedVariables(cell)

        def step(x: Any, states: Any, values: Any) -> tuple[Any, Any, Any]:
            call = cell if callable(cell) else cell.call
            (output, following), values = carried.run(lambda: call(x, states, **options), values)
            return output, jax.tree.unflatten(structure, jax.tree.leaves(following)), values

        outputs, states, values = walk(step, inputs, states, mask, how, carried.values())
        carried.store(values)
        return outputs, states


def _at_one_time(inputs: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(inputs.shape[1:], inputs.dtype)


class CellRNN(RNN):
    """A layer that makes its own cell from its own arguments, and answers for it.

    Args:
        arguments: Of the constructor: those of the cell go to the cell, the others to ``RNN``.
    """

    cell_class: ClassVar[type[RecurrentCell]]
    config_includes: ClassVar[tuple[str, ...]] = ("activity_regularizer",)
    fills_in: ClassVar[frozenset[str]] = frozenset({"cell"})
    config_omits: ClassVar[frozenset[str]] = frozenset({"cell", "use_cudnn", "implementation"})

    def __init__(self, **arguments: Any):
        names = set(parameter_names(self.cell_class)) - {"name", "activity_regularizer", "autocast"}
        shared = {"dtype", "trainable"}
        own = {name: value for name, value in arguments.items() if name not in names or name in shared}
        cell = self.cell_class(
            **{name: value for name, value in arguments.items() if name in names},
            name=to_snake_case(self.cell_class.__name__),
        )
        super().__init__(cell, **own)
        self.input_spec = InputSpec(ndim=3)

    activation = of_cell("activation")
    use_bias = of_cell("use_bias")
    kernel_initializer = of_cell("kernel_initializer")
    recurrent_initializer = of_cell("recurrent_initializer")
    bias_initializer = of_cell("bias_initializer")
    kernel_regularizer = of_cell("kernel_regularizer")
    recurrent_regularizer = of_cell("recurrent_regularizer")
    bias_regularizer = of_cell("bias_regularizer")
    kernel_constraint = of_cell("kernel_constraint")
    recurrent_constraint = of_cell("recurrent_constraint")
    bias_constraint = of_cell("bias_constraint")
    dropout = of_cell("dropout")
    recurrent_dropout = of_cell("recurrent_dropout")
    seed = of_cell("seed")


def checked_cudnn(use_cudnn: Any) -> Any:
    """Return ``use_cudnn`` if it is ``"auto"``, ``True`` or ``False``.

    Raises:
        InvalidArgument: Otherwise.
    """
    return one_of("use_cudnn", use_cudnn, ("auto", True, False))
