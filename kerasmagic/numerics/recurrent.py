"""Recurrence: one step of each kind of cell, and the walk of any step over time.

A step takes projected inputs, what is left of the input once kernel and bias have
been applied: those need no loop, so a whole sequence is projected at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from kerasmagic.foundation.errors import InvalidArgument

Array = jax.Array
Activation = Callable[[Array], Array]
Product = Callable[[Array, Array], Array]
Step = Callable[[Any, Any, Any], tuple[Array, Any, Any]]


def gated_product(
    x: Array, kernel: Array, mask: Array | None = None, product: Product = jnp.matmul, axis: int = -1
) -> Array:
    """Return ``(x * mask) @ kernel``, with a mask of its own for each gate where there are several.

    Args:
        x: ``(..., batch, n)``.
        kernel: ``(n, gates * units)``, the gates one after the other on the last axis.
        mask: ``(batch, n)``, or ``(gates, batch, n)``; nothing is masked when ``None``.
        product: What multiplies; a convolution for convolutional cells.
        axis: The axis of the gates in what it returns.

    Returns:
        ``(..., batch, gates * units)``.

    >>> import jax.numpy as jnp
    >>> masks = jnp.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    >>> gated_product(jnp.array([[2.0, 3.0]]), jnp.ones((2, 2)), masks).tolist()
    [[2.0, 3.0]]
    """
    if mask is None:
        return product(x, kernel)
    if mask.shape[0] == 1:
        return product(x * mask[0], kernel)
    kernels = jnp.split(kernel, mask.shape[0], axis=-1)
    return jnp.concatenate([product(x * m, k) for m, k in zip(mask, kernels, strict=True)], axis=axis)


def lstm_step(
    z: Array, carry: Array, activation: Activation, recurrent_activation: Activation, axis: int = -1
) -> tuple[Array, Array]:
    """Return output and carry of one step of long short-term memory.

    Args:
        z: ``(batch, ..., 4 * units)``: input, forget, candidate and output gate before their activations.
        carry: ``(batch, ..., units)``.
        activation: Of the candidate and of the carry on its way out.
        recurrent_activation: Of the three gates.
        axis: The axis of the units.

    Returns:
        Output and carry, each ``(batch, ..., units)``.
    """
    i, f, candidate, o = jnp.split(z, 4, axis=axis)
    # c' = f * c + i * g,  h' = o * act(c')
    carry = recurrent_activation(f) * carry + recurrent_activation(i) * activation(candidate)
    return recurrent_activation(o) * activation(carry), carry


def gru_step(
    x: Array,
    h: Array,
    kernel: Array,
    bias: Array | None,
    activation: Activation,
    recurrent_activation: Activation,
    *,
    reset_after: bool = True,
    mask: Array | None = None,
) -> Array:
    """Return the next state of a gated recurrent unit.

    Args:
        x: Projected inputs ``(batch, 3 * units)``: update gate, reset gate, candidate.
        h: The state ``(batch, units)``.
        kernel: The recurrent kernel ``(units, 3 * units)``.
        bias: The recurrent bias ``(3 * units,)``; with ``reset_after`` only.
        activation: Of the candidate.
        recurrent_activation: Of the two gates.
        reset_after: Whether the reset gate acts on the product with the kernel, or on the state before it.
        mask: Dropout of the state, ``(1 or 3, batch, units)``.

    Returns:
        ``(batch, units)``.
    """
    units = h.shape[-1]
    x_gates, x_candidate = x[..., : 2 * units], x[..., 2 * units :]
    if reset_after:
        inner = gated_product(h, kernel, mask)
        inner = inner if bias is None else inner + bias
        z, r = jnp.split(recurrent_activation(x_gates + inner[..., : 2 * units]), 2, axis=-1)
        recurrent = r * inner[..., 2 * units :]
    else:
        inner = gated_product(h, kernel[:, : 2 * units], None if mask is None else mask[:2])
        z, r = jnp.split(recurrent_activation(x_gates + inner), 2, axis=-1)
        masked = h if mask is None else h * mask[-1]
        recurrent = jnp.matmul(r * masked, kernel[:, 2 * units :])
    # h' = z * h + (1 - z) * candidate
    return z * h + (1 - z) * activation(x_candidate + recurrent)


class Walk(NamedTuple):
    """How a step is repeated over time.

    Args:
        go_backwards: Whether the last time comes first; the outputs are in the order of the walk.
        unroll: Whether the loop is written out.
        return_sequences: Whether every output is kept, or the last one alone.
        zero_output_for_mask: Whether outputs at masked times are zero; else they repeat the state before.
    """

    go_backwards: bool = False
    unroll: bool = False
    return_sequences: bool = True
    zero_output_for_mask: bool = False


def walk(
    step: Step, inputs: Any, states: Any, mask: Array | None, how: Walk, memory: Any = None
) -> tuple[Array, Any, Any]:
    """Repeat ``step`` over time.

    Args:
        step: A function from the inputs at one time, the states and the memory to the output, the next
            states and the next memory.
        inputs: Arrays ``(time, batch, ...)``.
        states: A list of arrays ``(batch, ...)``, or a nested one.
        mask: ``(time, batch)`` or with more axes: where it is false throughout, the states stay as they are.
        how: The options of the walk.
        memory: Arrays that are handed on like states, whatever the mask says.

    Returns:
        The outputs ``(time, batch, ...)`` or the last one ``(batch, ...)``, the last states and the last memory.

    Raises:
        InvalidArgument: If the loop is to be written out and the number of steps is not known.

    >>> import jax.numpy as jnp
    >>> def total(x, states, memory):
    ...     return states[0] + x, [states[0] + x], memory
    >>> outputs, states, _ = walk(total, jnp.array([[1.0], [2.0], [3.0]]), [jnp.zeros(1)], None, Walk())
    >>> outputs[:, 0].tolist(), states[0].tolist()
    ([1.0, 3.0, 6.0], [6.0])
    """
    length = jax.tree.leaves(inputs)[0].shape[0]
    if how.unroll and not isinstance(length, int):
        raise InvalidArgument("Unrolling requires a fixed number of timesteps.")
    if mask is not None:
        mask = jnp.any(mask.astype(bool), axis=tuple(range(2, mask.ndim)))
    # The last output alone needs no array over time.
    holds_output = not how.return_sequences or (how.unroll and mask is not None)
    held = _first_output(step, inputs, states, memory) if holds_output else None

    def advance(carry: Any, at: tuple[Any, Array | None]) -> tuple[Any, Array | None]:
        states, memory, held = carry
        x, valid = at
        output, following, memory = step(x, states, memory)
        output = _keep(valid, output, _output_at_masked(output, states, held, how).astype(output.dtype))
        following = jax.tree.map(lambda old, new: _keep(valid, new.astype(old.dtype), old), states, following)
        return (following, memory, output if holds_output else None), output if how.return_sequences else None

    last: Any
    outputs: Any
    last, outputs = lax.scan(
        advance,
        (states, memory, held),
        (inputs, mask),
        reverse=how.go_backwards,
        unroll=max(length, 1) if how.unroll else 1,
    )
    states, memory, held = last
    if not how.return_sequences:
        return held, states, memory
    return (jnp.flip(outputs, axis=0) if how.go_backwards else outputs), states, memory


def _first_output(step: Step, inputs: Any, states: Any, memory: Any) -> Array:
    x = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), inputs)
    output = jax.eval_shape(step, x, states, memory)[0]
    return jnp.zeros(output.shape, output.dtype)


def _output_at_masked(output: Array, states: Any, held: Any, how: Walk) -> Array:
    # A written-out loop repeats its last output; a rolled one shows the first state, of several cells the last one's.
    if how.unroll:
        return output if held is None else held
    if how.zero_output_for_mask:
        return jnp.zeros_like(output)
    return states[-1][0] if isinstance(states[0], (list, tuple)) else states[0]


def _keep(valid: Array | None, new: Array, old: Array) -> Array:
    if valid is None:
        return new
    return jnp.where(valid.reshape(valid.shape + (1,) * (new.ndim - 1)), new, old)
