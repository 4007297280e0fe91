"""The simple recurrent network: the cell and the layer."""

from __future__ import annotations

from typing import Any, ClassVar

from kerasmagic.foundation.arguments import positive_integer
from kerasmagic.foundation.signature import handed_on
from kerasmagic.layers.recurrent.cell import RecurrentCell, of_cell
from kerasmagic.layers.recurrent.rnn import CellRNN
from kerasmagic.numerics.cells import SimpleStep


class SimpleRNNCell(RecurrentCell):
    """One step of ``SimpleRNN``: ``activation(inputs @ kernel + bias + state @ recurrent_kernel)``.

    Inputs ``(batch, n)`` and a state ``(batch, units)`` to the output, which is the next state.

    Args:
        units: Size of the output.
        activation: Of the output.
        use_bias: Whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: Constraints.
        dropout: The part of the inputs that is dropped in training, the same at all times.
        recurrent_dropout: The part of the state that is dropped in training, the same at all times.
        seed: Fixes what is dropped.

    Raises:
        InvalidArgument: If ``units`` is no positive integer or a rate no number.

    Example:

    >>> import jax.numpy as jnp
    >>> SimpleRNNCell(4)(jnp.ones((2, 3)), [jnp.zeros((2, 4))])[0].shape
    (2, 4)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**handed_on(locals(), "units"))
        self.units = positive_integer("units", units)

    @property
    def state_size(self) -> int:
        """The size of the state."""
        return self.units

    @property
    def output_size(self) -> int:
        """The size of the output."""
        return self.units

    def build(self, input_shape: Any) -> None:
        self.add_weights((input_shape[-1], self.units), (self.units, self.units), (self.units,))

    def _drops(self, rate: float) -> bool:
        return rate > 0.0

    def make_step(self) -> SimpleStep:
        return SimpleStep(self.activation)


class SimpleRNN(CellRNN):
    """The simple recurrent network over a sequence: each output is fed back at the next time.

    Input shape ``(batch, time, n)``. Output shape ``(batch, units)``, or ``(batch, time, units)``
    with ``return_sequences``; with ``return_state`` a tuple of the output and the last state ``(batch, units)``.

    Args:
        units: Size of the output.
        activation: Of the output.
        use_bias: Whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties.
        activity_regularizer: Penalty on the output.
        kernel_constraint, recurrent_constraint, bias_constraint: Constraints.
        dropout: The part of the inputs that is dropped in training, the same at all times.
        recurrent_dropout: The part of the state that is dropped in training, the same at all times.
        return_sequences: Whether to return the output at every time.
        return_state: Whether to return the last state too.
        go_backwards: Whether to begin with the last time.
        stateful: Whether a batch begins with the state in which the one before ended.
        unroll: Whether to write the loop out.
        seed: Fixes what is dropped.

    Raises:
        InvalidArgument: If ``units`` is no positive integer or a rate no number.

    Example:

    >>> import jax.numpy as jnp
    >>> SimpleRNN(4, return_sequences=True)(jnp.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    cell_class: ClassVar[type[RecurrentCell]] = SimpleRNNCell
    units = of_cell("units")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**handed_on(locals()))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # Keras writes none: a seed is kept only where there is one to lose.
        return config if self.seed is not None else {k: v for k, v in config.items() if k != "seed"}
