"""What the library's cells share: weights, dropout masks that stay the same over time, and the step."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core.random import SeedGenerator
from kerasmagic.core.serialization import resolve
from kerasmagic.foundation.arguments import fraction, is_number
from kerasmagic.foundation.registry import ACTIVATIONS, CONSTRAINTS, INITIALIZERS, REGULARIZERS
from kerasmagic.layers.base import LibraryLayer
from kerasmagic.numerics.cells import DropoutMasks, SimpleStep, Weights
from kerasmagic.numerics.recurrent import Walk, recurrence, walk


def clamped_rate(name: str, rate: Any) -> float:
    """Return a dropout rate cut to the range from 0 to 1.

    Raises:
        WrongType: If it is no number.
        InvalidArgument: If it is NaN.
    """
    if is_number(rate) and not math.isnan(rate):
        rate = min(1.0, max(0.0, float(rate)))
    return fraction(name, rate)


class RecurrentCell(LibraryLayer):
    """A cell with a kernel, a recurrent kernel and a bias, each with one part per gate.

    A subclass says how many ``gates`` it has and which arithmetic ``make_step`` returns.

    Args:
        activation: Of the candidate state.
        use_bias: Whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: Constraints.
        dropout: The part of the inputs that is dropped in training, the same at all times.
        recurrent_dropout: The part of the state that is dropped.
        seed: Fixes what is dropped.
        implementation: 1 draws a mask for each gate, 2 one for all; recurrent dropout needs 1.

    Raises:
        InvalidArgument: If a rate is no number.
    """

    gates: ClassVar[int] = 1
    config_omits: ClassVar[frozenset[str]] = frozenset({"implementation"})

    def __init__(
        self,
        *,
        activation: Any,
        use_bias: bool,
        kernel_initializer: Any,
        recurrent_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        recurrent_regularizer: Any,
        bias_regularizer: Any,
        kernel_constraint: Any,
        recurrent_constraint: Any,
        bias_constraint: Any,
        dropout: float,
        recurrent_dropout: float,
        seed: int | None,
        implementation: int = 2,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.activation = resolve(ACTIVATIONS, activation or "linear")
        self.use_bias = use_bias
        self.kernel_initializer = resolve(INITIALIZERS, kernel_initializer)
        self.recurrent_initializer = resolve(INITIALIZERS, recurrent_initializer)
        self.bias_initializer = resolve(INITIALIZERS, bias_initializer)
        self.kernel_regularizer = resolve(REGULARIZERS, kernel_regularizer)
        self.recurrent_regularizer = resolve(REGULARIZERS, recurrent_regularizer)
        self.bias_regularizer = resolve(REGULARIZERS, bias_regularizer)
        self.kernel_constraint = resolve(CONSTRAINTS, kernel_constraint)
        self.recurrent_constraint = resolve(CONSTRAINTS, recurrent_constraint)
        self.bias_constraint = resolve(CONSTRAINTS, bias_constraint)
        self.dropout = clamped_rate("dropout", dropout)
        self.recurrent_dropout = clamped_rate("recurrent_dropout", recurrent_dropout)
        self.implementation = 1 if self.recurrent_dropout else implementation
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    _held: DropoutMasks | None = None

    def add_weights(self, kernel: tuple[int, ...], recurrent: tuple[int, ...], bias: tuple[int, ...]) -> None:
        """Make the three weights, in this order."""
        self.kernel = self.add_weight(
            shape=kernel,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.recurrent_kernel = self.add_weight(
            shape=recurrent,
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
            name="recurrent_kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=bias,
                initializer=self.first_bias,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    unit_forget_bias: bool = False

    def first_bias(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Return the initial bias; with ``unit_forget_bias`` that of the second of four gates is ones."""
        if not self.unit_forget_bias:
            return self.bias_initializer(shape, dtype=dtype)
        units = shape[0] // self.gates
        first, rest = (np.asarray(self.bias_initializer((n,), dtype=dtype)) for n in (units, 2 * units))
        return np.concatenate([first, np.ones(units, first.dtype), rest])

    def make_step(self) -> SimpleStep:
        """Return the arithmetic of one time."""
        raise NotImplementedError

    @property
    def weight_values(self) -> Weights:
        """What the weights hold now."""
        bias = None if self.bias is None else self.bias.value
        return Weights(self.kernel.value, self.recurrent_kernel.value, bias)

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        nested = isinstance(states, (list, tuple))
        states = list(states) if nested else [states]
        masks = self.draw_masks(inputs, states[0], training)
        output, states = self.make_step()(inputs, states, self.weight_values, masks)
        return output, (states if nested else states[0])

    def walk(self, inputs: Any, states: list[Any], mask: Any, how: Walk, training: bool) -> tuple[Any, Any]:
        """Return the outputs and the last states of a walk over ``(time, batch, ...)``."""
        step, weights = self.make_step(), self.weight_values
        at_one_time = jax.ShapeDtypeStruct(inputs.shape[1:], inputs.dtype)
        masks = self.draw_masks(at_one_time, states[0], training)
        activations = (self.activation, getattr(self, "recurrent_activation", self.activation))
        # An activation of the user may close over traced values, which a compiled function must not see.
        known = all(ACTIVATIONS.name_of(activation) is not None for activation in activations)
        if step.is_affine and known and not (how.unroll and mask is not None):
            return recurrence(step, inputs, states, weights, masks, mask, how)
        return walk(lambda x, s, memory: (*step(x, s, weights, masks), memory), inputs, states, mask, how)[:2]

    @property
    def is_plain(self) -> bool:
        """Whether the cell computes as the library has it, not as a subclass overrides it."""
        return type(self).call is RecurrentCell.call

    def draw_masks(self, inputs: Any, state: Any, training: bool | None) -> DropoutMasks:
        """Return the masks for inputs and a state at one time, those of the walk where one is going on."""
        if self._held is not None:
            return self._held
        if not training:
            return DropoutMasks()
        count = self.gates if self.implementation == 1 else 1
        return DropoutMasks(
            self._mask(self.dropout, inputs, count), self._mask(self.recurrent_dropout, state, count)
        )

    def _drops(self, rate: float) -> bool:
        return 0.0 < rate < 1.0

    def _mask(self, rate: float, like: Any, count: int) -> Any:
        if not self._drops(rate):
            return None
        if rate == 1.0:
            return jnp.zeros((count, *like.shape), like.dtype)
        keep = 1.0 - rate
        keys = jnp.stack([self.seed_generator.next() for _ in range(count)])
        # One loop draws for all gates: four of them take a fifteenth of an LSTM's step longer.
        kept = jax.vmap(lambda key: jax.random.bernoulli(key, keep, like.shape))(keys)
        return kept.astype(like.dtype) / keep

    @contextlib.contextmanager
    def holding(self, masks: DropoutMasks) -> Iterator[None]:
        """Use the same masks for every call in the block."""
        object.__setattr__(self, "_held", masks)
        try:
            yield
        finally:
            object.__setattr__(self, "_held", None)

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Return states of zeros, each ``(batch_size, units)``."""
        sizes = self.state_size if isinstance(self.state_size, (list, tuple)) else [self.state_size]
        return [jnp.zeros((batch_size, size), self.compute_dtype) for size in sizes]

    @property
    def state_size(self) -> Any:
        """The size of the state, or a list of one per state."""
        raise NotImplementedError


def is_standard(cell: Any) -> bool:
    """Whether a cell's activation and recurrent activation are those that it has unless told."""
    activations = cell.activation, cell.recurrent_activation
    return [ACTIVATIONS.name_of(each) for each in activations] == ["tanh", "sigmoid"]


def of_cell(name: str) -> Any:
    """Return a property of a layer that reads ``name`` from its cell."""
    return property(functools.partial(_read_cell, name), doc=f"The ``{name}`` of the cell.")


def _read_cell(name: str, layer: Any) -> Any:
    return getattr(layer.cell, name)
