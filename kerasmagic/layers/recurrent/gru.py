"""The gated recurrent unit: the cell and the layer."""

from __future__ import annotations

from typing import Any, ClassVar

from kerasmagic.core.serialization import resolve
from kerasmagic.foundation.arguments import positive_integer
from kerasmagic.foundation.registry import ACTIVATIONS
from kerasmagic.foundation.signature import handed_on
from kerasmagic.layers.recurrent.cell import RecurrentCell, is_standard, of_cell
from kerasmagic.layers.recurrent.rnn import CellRNN, checked_cudnn
from kerasmagic.numerics.cells import GRUStep, ResetBeforeGRUStep


class GRUCell(RecurrentCell):
    """One step of ``GRU``: inputs ``(batch, n)`` and a state ``(batch, units)`` to the output, which is the next state.

    Args:
        units: Size of the output.
        activation: Of the candidate.
        recurrent_activation: Of the gates.
        use_bias: Whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: Constraints.
        dropout: The part of the inputs that is dropped in training, the same at all times.
        recurrent_dropout: The part of the state that is dropped in training, the same at all times.
        reset_after: Whether the reset gate acts after the product with the recurrent kernel, or before it.
        seed: Fixes what is dropped.

    Raises:
        InvalidArgument: If ``units`` is no positive integer or a rate no number.

    Example:

    >>> import jax.numpy as jnp
    >>> GRUCell(4)(jnp.ones((2, 3)), [jnp.zeros((2, 4))])[0].shape
    (2, 4)
    """

    gates: ClassVar[int] = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**handed_on(locals(), "units", "recurrent_activation", "reset_after"))
        self.units = positive_integer("units", units)
        self.recurrent_activation = resolve(ACTIVATIONS, recurrent_activation or "linear")
        self.reset_after = reset_after

    @property
    def state_size(self) -> int:
        """The size of the state."""
        return self.units

    @property
    def output_size(self) -> int:
        """The size of the output."""
        return self.units

    def build(self, input_shape: Any) -> None:
        wide = self.gates * self.units
        self.add_weights(
            (input_shape[-1], wide), (self.units, wide), (2, wide) if self.reset_after else (wide,)
        )

    def make_step(self) -> GRUStep:
        kind = GRUStep if self.reset_after else ResetBeforeGRUStep
        return kind(self.activation, self.recurrent_activation, standard=is_standard(self))


class GRU(CellRNN):
    """A gated recurrent unit over a sequence.

    Input shape ``(batch, time, n)``. Output shape ``(batch, units)``, or ``(batch, time, units)``
    with ``return_sequences``; with ``return_state`` a tuple of the output and the last state ``(batch, units)``.

    Args:
        units: Size of the output.
        activation: Of the candidate.
        recurrent_activation: Of the gates.
        use_bias: Whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties.
        activity_regularizer: Penalty on the output.
        kernel_constraint, recurrent_constraint, bias_constraint: Constraints.
        dropout: The part of the inputs that is dropped in training, the same at all times.
        recurrent_dropout: The part of the state that is dropped in training, the same at all times.
        seed: Fixes what is dropped.
        return_sequences: Whether to return the output at every time.
        return_state: Whether to return the last state too.
        go_backwards: Whether to begin with the last time.
        stateful: Whether a batch begins with the state in which the one before ended.
        unroll: Whether to write the loop out.
        reset_after: Whether the reset gate acts after the product with the recurrent kernel, or before it.
        use_cudnn: Kept for compatibility; XLA compiles the loop on every device.

    Raises:
        InvalidArgument: If ``units`` is no positive integer, a rate no number or ``use_cudnn`` unknown.

    Example:

    >>> import jax.numpy as jnp
    >>> GRU(4, return_sequences=True)(jnp.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    cell_class: ClassVar[type[RecurrentCell]] = GRUCell
    units = of_cell("units")
    recurrent_activation = of_cell("recurrent_activation")
    reset_after = of_cell("reset_after")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ):
        super().__init__(**handed_on(locals(), "use_cudnn"))
        self.use_cudnn = checked_cudnn(use_cudnn)
