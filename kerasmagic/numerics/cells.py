"""One step of each kind of recurrent cell, taken apart where a walk over time can gain from it.

A step is ``combine(activate(merge(project(x), recur(h))), states)``. The first three are linear in what they
are given and hold all weights; the others are elementwise and hold none. So a walk can do
all products with weights at once, in the forward direction or in the gradient.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.numerics.contraction import dense
from kerasmagic.numerics.convolution import convolution

Array = jax.Array
Activation = Callable[[Array], Array]
Product = Callable[[Array, Array], Array]
Hold = Callable[[Array, int], Array]


class Weights(NamedTuple):
    """A kernel ``(n, gates * units)``, a recurrent kernel ``(units, gates * units)``, a bias or ``None``."""

    kernel: Any
    recurrent_kernel: Any
    bias: Any = None


class DropoutMasks(NamedTuple):
    """Masks ``(count, batch, n)`` of the inputs and of the state: one, or one a gate; ``None`` drops nothing."""

    inputs: Array | None = None
    state: Array | None = None


def gated_product(
    x: Array,
    kernel: Array,
    masks: Array | None = None,
    product: Product = dense,
    axis: int = -1,
) -> Array:
    """Return ``(x * mask) @ kernel``, with a mask of its own for each gate where there are several.

    Args:
        x: ``(..., batch, n)``.
        kernel: ``(n, gates * units)``, the gates one after the other on the last axis.
        masks: ``(count, batch, n)``, one or one a gate; nothing is masked when ``None``.
        product: What multiplies; a convolution for convolutional cells.
        axis: The axis of the gates in what it returns.

    Returns:
        ``(..., batch, gates * units)``.

    >>> import jax.numpy as jnp
    >>> masks = jnp.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    >>> gated_product(jnp.array([[2.0, 3.0]]), jnp.ones((2, 2)), masks).tolist()
    [[2.0, 3.0]]
    """
    if masks is None:
        return product(x, kernel)
    kernels = jnp.split(kernel, len(masks), axis=-1)
    parts = [product(x * mask, part) for mask, part in zip(masks, kernels, strict=True)]
    return jnp.concatenate(parts, axis=axis)


def masked_kernel(kernel: Array, mask: Array | None) -> Array:
    """Return the kernel that does to the inputs of one example what masking them and then the kernel do.

    Args:
        kernel: ``(n, gates * units)``.
        mask: ``(gates, n)``, or ``(1, n)`` for all gates; nothing is masked when ``None``.

    >>> import jax.numpy as jnp
    >>> masked_kernel(jnp.ones((2, 2)), jnp.array([[1.0, 0.0], [0.0, 3.0]])).tolist()
    [[1.0, 0.0], [0.0, 3.0]]
    """
    if mask is None:
        return kernel
    by_gate = jnp.reshape(kernel, (kernel.shape[0], mask.shape[0], -1))
    return jnp.reshape(by_gate * mask.T[:, :, None], kernel.shape)


def stacked_gates(x: Array, units: int) -> Array:
    """Return gates that lie side by side, ``(..., n, gates * units)``, stacked: ``(..., gates, n, units)``.

    >>> import jax.numpy as jnp
    >>> stacked_gates(jnp.array([[1, 2, 3, 4], [5, 6, 7, 8]]), 2).tolist()
    [[[1, 2], [5, 6]], [[3, 4], [7, 8]]]
    """
    return jnp.swapaxes(jnp.reshape(x, (*x.shape[:-1], -1, units)), -2, -3)


@dataclasses.dataclass(frozen=True)
class SimpleStep:
    """``h' = activation(x @ kernel + h @ recurrent_kernel + bias)``; one state ``(batch, units)``."""

    activation: Activation
    stacked: bool = dataclasses.field(default=False, kw_only=True)
    """Whether the gates are on an axis of their own, before the examples, and not side by side.

    So a mask for each gate takes one batched product and no kernel is cut at every turn of a loop: forward and
    backward take 0.7 of the time (``python -m benchmarks steady --workloads lstm``).
    """

    turned: bool = dataclasses.field(default=False, kw_only=True)
    """Whether ``arranged`` turns the kernels around: as the gradient's products read them.

    XLA would read them across at every turn of a loop: forward and backward take 1.03 of the time.
    """

    standard: bool = dataclasses.field(default=False, kw_only=True)
    """Of gates: whether the activation is the hyperbolic tangent and the recurrent one the logistic function.

    Their slopes follow from their values, so that the gradient activates nothing once more; and
    ``sigmoid(x) = (1 + tanh(x / 2)) / 2`` makes one loop of all gates of an LSTM.
    """

    gates: ClassVar[int] = 1
    parts_activated: ClassVar[int] = 1
    """How many parts there are in what ``activate`` returns."""
    reads_back: ClassVar[bool] = True
    """Whether a turn reads what ``activate`` returned where it was written, so that no two kernels compute it.

    What is made of several expensive parts is better read as it is: what writes them all would compute them number by
    number.
    """
    stacks: ClassVar[bool] = True
    """Whether it can be ``stacked``."""
    projects_first: ClassVar[bool] = False
    """Whether the inputs of all times are projected before the walk, and not each at its time."""
    is_affine: ClassVar[bool] = True
    """Whether the step can be taken apart; if not it has only ``__call__``."""

    @property
    def gate_axis(self) -> int:
        """Where the gates are in what ``project`` and ``recur`` return."""
        return -3 if self.stacked else -1

    def arranged(self, weights: Weights) -> Weights:
        """Return the weights as ``project`` and ``recur`` take them: with an axis of gates where these are stacked."""
        kernel, recurrent_kernel, bias = weights
        if self.stacked:
            units = recurrent_kernel.shape[0]
            kernel, recurrent_kernel = stacked_gates(kernel, units), stacked_gates(recurrent_kernel, units)
            bias = None if bias is None else stacked_gates(bias[..., None, :], units)
        if self.turned:
            kernel, recurrent_kernel = jnp.swapaxes(kernel, -1, -2), jnp.swapaxes(recurrent_kernel, -1, -2)
        return Weights(kernel, recurrent_kernel, bias)

    def _product(self, x: Array, kernel: Array, masks: Array | None) -> Array:
        if self.turned:
            kernel = jnp.swapaxes(kernel, -1, -2)
        if not self.stacked:
            return gated_product(x, kernel, masks)
        x = x[..., None, :, :]
        return jnp.matmul(x if masks is None else x * masks, kernel)

    def project(self, x: Array, weights: Weights, masks: DropoutMasks) -> Array:
        """Return what ``(..., batch, n)`` adds before ``activate``: ``(..., batch, gates * units)``, or stacked."""
        return self.biased(self._product(x, weights.kernel, masks.inputs), weights)

    def project_all(self, x: Array, weights: Weights, masks: DropoutMasks) -> Array:
        """Return what the inputs ``(time, batch, n)`` add to a stacked step: ``(gates, time, batch, units)``.

        The bias is left out: in the loop it costs no kernel of its own.
        """
        given = x[None] if masks.inputs is None else x * masks.inputs[:, None]
        given = jnp.broadcast_to(given, (self.gates, *x.shape))
        return jnp.einsum("gtbn,gnu->gtbu", given, weights.kernel)

    def biased(self, projected: Array, weights: Weights) -> Array:
        """Add the bias of the inputs."""
        return projected if weights.bias is None else projected + weights.bias

    def recur(self, h: Array, weights: Weights, masks: DropoutMasks) -> Array:
        """Return what the state ``(..., batch, units)`` adds."""
        return self._product(h, weights.recurrent_kernel, masks.state)

    def parts(self, z: Array, count: int) -> list[Array]:
        """Return ``count`` arrays ``(batch, units)`` of what ``activate`` is given."""
        parts = jnp.split(z, count, axis=self.gate_axis)
        return [jnp.squeeze(part, self.gate_axis) for part in parts] if self.stacked else parts

    def together(self, parts: list[Array]) -> Array:
        """Return arrays ``(batch, units)`` as the parts of one: the inverse of ``parts``."""
        return (jnp.stack if self.stacked else jnp.concatenate)(parts, self.gate_axis)

    def merge(self, projected: Array, recurrent: Array) -> Array:
        """Put the two together."""
        return projected + recurrent

    def merged(
        self, x: Array, h: Array, weights: Weights, masks: DropoutMasks, projected: bool = False
    ) -> Array:
        """Return what ``activate`` is given, of ``(batch, n)`` or of what is already ``projected``, and the state."""
        x = x if projected else self.project(x, weights, masks)
        return self.merge(x, self.recur(h, weights, masks))

    def activate(self, z: Array) -> Array:
        """Return what ``combine`` is given: the activated gates where their slopes follow from them, else ``z``."""
        return z

    def pull(
        self,
        active: Array,
        states: list[Array],
        following: list[Array],
        bars: list[Array],
        hold: Hold,
    ) -> tuple[list[Array], list[Array]]:
        """Return the gradients of what ``activate`` was given, part by part, and of the states.

        Args:
            active: What ``activate`` returned.
            states: The states before.
            following: What ``combine`` made of both.
            bars: The gradients of ``following``.
            hold: Gives back what it is given, which several results need, so that it is computed once; with a number
                for each of the two values, of a state's shape, that it may be used for.
        """
        parts = self.parts(active, self.parts_activated)
        return jax.vjp(lambda parts, states: self.combine(self.together(parts), states), parts, states)[1](
            bars
        )

    def combine(self, active: Array, states: list[Array]) -> list[Array]:
        """Return the next states; the first one is the output."""
        (z,) = self.parts(active, 1)
        return [self.activation(z)]

    def __call__(
        self, x: Array, states: list[Array], weights: Weights, masks: DropoutMasks
    ) -> tuple[Array, list[Array]]:
        """Return the output ``(batch, units)`` and the next states."""
        z = self.merged(x, states[0], self.arranged(weights), masks)
        following = self.combine(self.activate(z), states)
        return following[0], following


@dataclasses.dataclass(frozen=True)
class LSTMStep(SimpleStep):
    """Long short-term memory: gates input, forget, candidate, output; states output and carry.

    ``c' = f * c + i * activation(g)`` and ``h' = o * activation(c')``.
    """

    recurrent_activation: Activation

    gates: ClassVar[int] = 4
    parts_activated: ClassVar[int] = 4

    def _by_gate(self, z: Array, candidate: float, others: float) -> Array:
        """Return one number for the candidate and one for the other gates, of the rank of ``z``."""
        axis = self.gate_axis % z.ndim
        size = z.shape[axis] // 4
        numbers = np.repeat(np.asarray([others, others, candidate, others], z.dtype), size)
        return jnp.asarray(numbers.reshape(-1, *(1,) * (z.ndim - axis - 1)))

    def activate(self, z: Array) -> Array:
        if not self.standard:
            return z
        scale, shift = self._by_gate(z, 1, 0.5), self._by_gate(z, 0, 0.5)
        return jnp.tanh(z * scale) * scale + shift

    def pull(
        self, active: Array, states: list[Array], following: list[Array], bars: list[Array], hold: Hold
    ) -> tuple[list[Array], list[Array]]:
        if not self.standard:
            return super().pull(active, states, following, bars, hold)
        i, f, candidate, o = self.parts(active, 4)
        (h_bar, c_bar), tanh = bars, jnp.tanh(following[1])
        c_bar = hold(c_bar + h_bar * o * (1 - tanh * tanh), 0)
        earlier = hold(c_bar * f, 1)
        parts = [
            c_bar * candidate * i * (1 - i),
            earlier * states[1] * (1 - f),
            c_bar * i * (1 - candidate * candidate),
            h_bar * following[0] * (1 - o),
        ]
        return parts, [jnp.zeros_like(h_bar), earlier]

    def combine(self, active: Array, states: list[Array]) -> list[Array]:
        i, f, candidate, o = self.parts(active, 4)
        if not self.standard:
            i, f, o = (self.recurrent_activation(gate) for gate in (i, f, o))
            candidate = self.activation(candidate)
        carry = f * states[1] + i * candidate
        return [o * self.activation(carry), carry]


@dataclasses.dataclass(frozen=True)
class ConvLSTMStep(LSTMStep):
    """Long short-term memory with convolutions for products, on ``(batch, *spatial, channels)``."""

    rank: int = 2
    strides: tuple[int, ...] = (1, 1)
    padding: str = "valid"
    dilation: tuple[int, ...] = (1, 1)
    data_format: str = "channels_last"

    stacks: ClassVar[bool] = False
    # XLA's convolutions inside a loop are far slower than outside on CPU.
    projects_first: ClassVar[bool] = True

    @property
    def gate_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else -1 - self.rank

    def convolve(self, x: Array, kernel: Array) -> Array:
        """Convolve the inputs, which may have any number of axes before their own."""
        return self._by_example(
            x,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation,
            data_format=self.data_format,
        )

    def convolve_state(self, h: Array, kernel: Array) -> Array:
        """Convolve the state, which keeps its size."""
        return self._by_example(h, kernel, padding="same", data_format=self.data_format)

    def _by_example(self, x: Array, kernel: Array, **options: Any) -> Array:
        own = x.shape[-self.rank - 1 :]
        y = convolution(jnp.reshape(x, (-1, *own)), kernel, **options)
        return jnp.reshape(y, (*x.shape[: -self.rank - 1], *y.shape[1:]))

    def project(self, x: Array, weights: Weights, masks: DropoutMasks) -> Array:
        y = gated_product(x, weights.kernel, masks.inputs, self.convolve, self.gate_axis)
        behind = (1,) * (-1 - self.gate_axis)
        return y if weights.bias is None else y + jnp.reshape(weights.bias, (-1, *behind))

    def recur(self, h: Array, weights: Weights, masks: DropoutMasks) -> Array:
        return gated_product(h, weights.recurrent_kernel, masks.state, self.convolve_state, self.gate_axis)


@dataclasses.dataclass(frozen=True)
class GRUStep(SimpleStep):
    """A gated recurrent unit that resets after the product: gates update, reset, candidate; one state.

    ``h' = z * h + (1 - z) * activation(x_g + r * h_g)``, with a bias for each of the two products: ``(2, 3 * units)``.
    """

    recurrent_activation: Activation

    gates: ClassVar[int] = 3
    parts_activated: ClassVar[int] = 4
    reads_back: ClassVar[bool] = False

    def biased(self, projected: Array, weights: Weights) -> Array:
        return projected if weights.bias is None else projected + weights.bias[0]

    def recur(self, h: Array, weights: Weights, masks: DropoutMasks) -> Array:
        y = self._product(h, weights.recurrent_kernel, masks.state)
        return y if weights.bias is None else y + weights.bias[1]

    def merge(self, projected: Array, recurrent: Array) -> Array:
        # The reset gate stands between the two parts of the candidate: they stay apart.
        x_gates, x_candidate = _gates_and_candidate(projected, self.gate_axis)
        h_gates, h_candidate = _gates_and_candidate(recurrent, self.gate_axis)
        return jnp.concatenate([x_gates + h_gates, x_candidate, h_candidate], axis=self.gate_axis)

    def activate(self, z: Array) -> Array:
        if not self.standard:
            return z
        axis = self.gate_axis
        size = z.shape[axis] // 4
        gates, x_candidate, h_candidate = jnp.split(z, [2 * size, 3 * size], axis=axis)
        gates = self.recurrent_activation(gates)
        reset = jnp.split(gates, 2, axis=axis)[1]
        return jnp.concatenate(
            [gates, self.activation(x_candidate + reset * h_candidate), h_candidate], axis=axis
        )

    def pull(
        self, active: Array, states: list[Array], following: list[Array], bars: list[Array], hold: Hold
    ) -> tuple[list[Array], list[Array]]:
        if not self.standard:
            return super().pull(active, states, following, bars, hold)
        z, r, candidate, h_candidate = self.parts(active, 4)
        (h,), (h_bar,) = states, bars
        earlier = h_bar * z
        candidate_bar = h_bar * (1 - z) * (1 - candidate * candidate)
        parts = [
            earlier * (h - candidate) * (1 - z),
            candidate_bar * h_candidate * r * (1 - r),
            candidate_bar,
            candidate_bar * r,
        ]
        return parts, [earlier]

    def combine(self, active: Array, states: list[Array]) -> list[Array]:
        z, r, candidate, h_candidate = self.parts(active, 4)
        if not self.standard:
            z, r = self.recurrent_activation(z), self.recurrent_activation(r)
            candidate = self.activation(candidate + r * h_candidate)
        return [z * states[0] + (1 - z) * candidate]


@dataclasses.dataclass(frozen=True)
class ResetBeforeGRUStep(GRUStep):
    """A gated recurrent unit that resets the state before its product with the kernel; one bias ``(3 * units,)``."""

    is_affine: ClassVar[bool] = False

    def biased(self, projected: Array, weights: Weights) -> Array:
        return SimpleStep.biased(self, projected, weights)

    def __call__(
        self, x: Array, states: list[Array], weights: Weights, masks: DropoutMasks
    ) -> tuple[Array, list[Array]]:
        (h,), mask = states, masks.state
        projected = self.project(x, weights, masks)
        x_gates, x_candidate = _gates_and_candidate(projected)
        gates_kernel, candidate_kernel = _gates_and_candidate(weights.recurrent_kernel)
        gates_mask = mask if mask is None or len(mask) == 1 else mask[:2]
        gates = self.recurrent_activation(x_gates + gated_product(h, gates_kernel, gates_mask))
        z, r = jnp.split(gates, 2, axis=-1)
        masked = h if mask is None else h * mask[-1]
        candidate = self.activation(x_candidate + jnp.matmul(r * masked, candidate_kernel))
        following = z * h + (1 - z) * candidate
        return following, [following]


def _gates_and_candidate(x: Array, axis: int = -1) -> tuple[Array, Array]:
    gates, candidate = jnp.split(x, [2 * x.shape[axis] // 3], axis=axis)
    return gates, candidate
