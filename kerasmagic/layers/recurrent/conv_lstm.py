"""Long short-term memory with convolutions in place of products, over one to three spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from kerasmagic.core.input_spec import InputSpec
from kerasmagic.core.serialization import resolve
from kerasmagic.foundation.arguments import one_of, positive_integer, standardize_tuple
from kerasmagic.foundation.config import standardize_data_format
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.foundation.registry import ACTIVATIONS
from kerasmagic.foundation.signature import handed_on
from kerasmagic.layers.recurrent.cell import RecurrentCell, is_standard, of_cell
from kerasmagic.layers.recurrent.rnn import CellRNN
from kerasmagic.numerics.cells import ConvLSTMStep

_CELL_ONLY = (
    "rank",
    "filters",
    "kernel_size",
    "strides",
    "padding",
    "data_format",
    "dilation_rate",
    "recurrent_activation",
    "unit_forget_bias",
)


class ConvLSTMCell(RecurrentCell):
    """One step of a convolutional LSTM: inputs ``(batch, *spatial, channels)`` and two states to the output.

    Output and states are ``(batch, *windows, filters)``; ``channels_first`` moves the channels. The arguments are
    those of the layers, and ``rank``: the number of spatial axes.

    Raises:
        InvalidArgument: If a size is no positive integer, an option unknown, or strides go with dilation.
        ShapeMismatch: When built, if a spatial axis or that of the channels is open.
    """

    gates: ClassVar[int] = 4

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
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
        # Each gate has its own dropout masks.
        super().__init__(**handed_on(locals(), *_CELL_ONLY), implementation=1)
        self.rank = rank
        self.filters = positive_integer("filters", filters)
        self.kernel_size = standardize_tuple(kernel_size, rank, "kernel_size")
        self.strides = standardize_tuple(strides, rank, "strides")
        self.padding = one_of("padding", str(padding).lower(), ("valid", "same"))
        self.data_format = standardize_data_format(data_format)
        self.dilation_rate = standardize_tuple(dilation_rate, rank, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise InvalidArgument(
                "Specifying `strides > 1` is not compatible with `dilation_rate > 1`. "
                f"Received: strides={self.strides} and dilation_rate={self.dilation_rate}"
            )
        self.recurrent_activation = resolve(ACTIVATIONS, recurrent_activation or "linear")
        self.unit_forget_bias = unit_forget_bias
        self.input_spec = InputSpec(ndim=rank + 2)

    @property
    def state_size(self) -> list[int]:
        """The channels of output and carry."""
        return [self.filters, self.filters]

    @property
    def channel_axis(self) -> int:
        """The axis of the channels, counted from the end, so that it holds with and without time."""
        return -1 if self.data_format == "channels_last" else -1 - self.rank

    def build(self, input_shape: Any) -> None:
        channels = input_shape[self.channel_axis]
        if None in input_shape[1:]:
            raise ShapeMismatch(
                "ConvLSTM layers only support static input shapes for the spatial dimensions and the channels. "
                f"Received invalid input shape: input_shape={tuple(input_shape)}"
            )
        self.input_sizes = tuple(input_shape[1:])
        wide = self.gates * self.filters
        self.add_weights(
            (*self.kernel_size, channels, wide), (*self.kernel_size, self.filters, wide), (wide,)
        )

    def make_step(self) -> ConvLSTMStep:
        return ConvLSTMStep(
            self.activation,
            self.recurrent_activation,
            rank=self.rank,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            data_format=self.data_format,
            standard=is_standard(self),
        )

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Return states of zeros, each ``(batch_size, *windows, filters)``."""
        x = jax.ShapeDtypeStruct((1, *self.input_sizes), jnp.float32)
        channels = self.input_sizes[self.channel_axis]
        kernel = jax.ShapeDtypeStruct((*self.kernel_size, channels, self.filters), jnp.float32)
        shape = jax.eval_shape(self.make_step().convolve, x, kernel).shape[1:]
        return [jnp.zeros((batch_size, *shape), self.compute_dtype) for _ in range(2)]


class _ConvLSTM(CellRNN):
    """A convolutional LSTM over ``rank`` spatial axes."""

    rank: ClassVar[int]
    cell_class: ClassVar[type[RecurrentCell]] = ConvLSTMCell
    filters = of_cell("filters")
    kernel_size = of_cell("kernel_size")
    strides = of_cell("strides")
    padding = of_cell("padding")
    data_format = of_cell("data_format")
    dilation_rate = of_cell("dilation_rate")
    recurrent_activation = of_cell("recurrent_activation")
    unit_forget_bias = of_cell("unit_forget_bias")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
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
        **kwargs: Any,
    ):
        super().__init__(rank=self.rank, **handed_on(locals()))
        self.input_spec = InputSpec(ndim=self.rank + 3)


class ConvLSTM1D(_ConvLSTM):
    """A convolutional LSTM over sequences ``(batch, time, width, channels)``.

    Output ``(batch, windows, filters)``, or ``(batch, time, windows, filters)`` with ``return_sequences``; with
    ``return_state`` a tuple of the output, the last output and the last carry.

    Args:
        filters: The number of channels of the output.
        kernel_size: Size of the window.
        strides: Distance between windows.
        padding: ``"valid"`` or ``"same"``.
        data_format: ``"channels_last"`` or ``"channels_first"``: whether channels come after width or before it.
        dilation_rate: Distance between the elements of a window.

    The other arguments are those of ``LSTM``.

    Raises:
        InvalidArgument: If a size is no positive integer, an option unknown, or strides go with dilation.
        ShapeMismatch: When built, if the width or the number of channels is open.

    Example:

    >>> import jax.numpy as jnp
    >>> ConvLSTM1D(4, 3)(jnp.ones((2, 5, 8, 1))).shape
    (2, 6, 4)
    """

    rank = 1


class ConvLSTM2D(_ConvLSTM):
    """A convolutional LSTM over sequences of images ``(batch, time, height, width, channels)``; see ``ConvLSTM1D``.

    >>> import jax.numpy as jnp
    >>> ConvLSTM2D(4, 3, padding="same", return_sequences=True)(jnp.ones((2, 5, 8, 8, 1))).shape
    (2, 5, 8, 8, 4)
    """

    rank = 2


class ConvLSTM3D(_ConvLSTM):
    """A convolutional LSTM over sequences ``(batch, time, depth, height, width, channels)``; see ``ConvLSTM1D``.

    >>> import jax.numpy as jnp
    >>> ConvLSTM3D(2, 2)(jnp.ones((1, 3, 4, 4, 4, 1))).shape
    (1, 3, 3, 3, 2)
    """

    rank = 3
