"""Recurrence: the walk over time of any step, and of the library's own, whose gradient is its own too."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.numerics.cells import (
    DropoutMasks,
    SimpleStep,
    Weights,
    masked_kernel,
    stacked_gates,
)

Array = jax.Array
Step = Callable[[Any, Any, Any], tuple[Array, Any, Any]]
PullProducts = Callable[[list[Array]], tuple[Array, Array | None, Array]]


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
    mask = _one_per_example(mask)
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
        unroll=_unrolled(inputs, how),
    )
    states, memory, held = last
    if not how.return_sequences:
        return held, states, memory
    return (jnp.flip(outputs, axis=0) if how.go_backwards else outputs), states, memory


def _unrolled(inputs: Any, how: Walk) -> int:
    """Return how many times one turn of the loop takes."""
    length = jax.tree.leaves(inputs)[0].shape[0]
    if not how.unroll:
        return 1
    if not isinstance(length, int):
        raise InvalidArgument(f"Unrolling requires a fixed number of timesteps. Received: {length}")
    return max(length, 1)


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
    return jnp.where(valid.reshape(valid.shape + (1,) * (new.ndim - valid.ndim)), new, old)


def _one_per_example(mask: Array | None) -> Array | None:
    """Return ``(time, batch, ...)`` as ``(time, batch)``: whether any entry is true."""
    return None if mask is None else jnp.any(mask.astype(bool), axis=tuple(range(2, mask.ndim)))


def recurrence(
    step: SimpleStep,
    inputs: Array,
    states: list[Array],
    weights: Weights,
    masks: DropoutMasks,
    mask: Array | None,
    how: Walk,
) -> tuple[Array, list[Array]]:
    """Repeat a step of the library over time.

    The same as ``walk`` but faster: the gradients of all weights are computed after the loop, in one
    product over all times, and a call outside of any trace is compiled once. Its gradient can be
    differentiated again; forward-mode differentiation (``jax.jvp``) does not pass through it.

    Args:
        step: An affine step, whose activations close over no traced values.
        inputs: ``(time, batch, ...)``.
        states: Arrays ``(batch, ...)``.
        weights: The weights of the step.
        masks: What it drops.
        mask: ``(time, batch)``: where it is false, the states stay as they are.
        how: The options of the walk; a masked walk cannot be written out.

    Returns:
        The outputs ``(time, batch, ...)``, or the last one ``(batch, ...)``, and the last states.
    """
    mask = _one_per_example(mask)
    if masks.inputs is not None and len(masks.inputs) == 1:
        # Once for all times: in the loop it would be a kernel of its own at each of them.
        inputs, masks = inputs * masks.inputs[0], masks._replace(inputs=None)
    if step.stacks and any(masks is not None and len(masks) > 1 for masks in masks):
        step = dataclasses.replace(step, stacked=True, standard=step.standard and step.reads_back)
    projected = step.projects_first or jax.default_backend() != "cpu"
    if projected:
        inputs = step.project(inputs, step.arranged(weights), masks)
    if how.go_backwards:
        inputs, mask = jnp.flip(inputs, axis=0), None if mask is None else jnp.flip(mask, axis=0)
    turned = Walk(unroll=how.unroll, return_sequences=how.return_sequences)
    outputs, states = _recurrence(step, turned, projected, inputs, states, weights, masks, mask)
    if not how.return_sequences:
        outputs = states[0]
    if mask is not None and how.zero_output_for_mask:
        last = mask[-1] if mask.shape[0] else jnp.ones(mask.shape[1], bool)
        valid = mask if how.return_sequences else last
        outputs = _keep(valid, outputs, jnp.zeros_like(outputs))
    return outputs, states


class Kept(NamedTuple):
    """What the gradient needs of each time of a walk.

    Args:
        states: ``(time + 1, states, batch, ...)``: the states before each time, and the last ones.
        active: What the step's ``activate`` returned, ``(time, ...)``.
    """

    states: Any
    active: Any


def _loop(turn: Callable[[Any, Any], Any], carry: Any, length: Any, unroll: int) -> Any:
    """Return ``carry`` after ``turn(time, carry)`` for each time, of which ``unroll`` are written out at once.

    XLA runs the kernels of a turn on the loop's own thread if there are eight of them at most. More wander from thread
    to thread, which takes longer than the small kernels of a recurrent step themselves: on two cores an LSTM took 1.2
    times as long as on one (``python -m benchmarks steady --workloads lstm``, without ``--pin``). With a mask for each
    gate there are eight. What a scan collects by itself it writes by kernels of its own, from a copy of its carry.
    """

    def counted(state: tuple[Array, Any], _: None) -> tuple[tuple[Array, Any], None]:
        return (state[0] + 1, turn(*state)), None

    first = jnp.zeros((), jnp.int32)
    return lax.scan(counted, (first, carry), None, length=length, unroll=unroll)[0][1]


def _at(array: Array, time: Any, axis: int = 0) -> Array:
    return lax.dynamic_index_in_dim(array, time, axis, keepdims=False, allow_negative_indices=False)


def _put(array: Array, value: Array, time: Any) -> Array:
    value = value.astype(array.dtype)
    return lax.dynamic_update_index_in_dim(array, value, time, 0, allow_negative_indices=False)


def _seen(step: SimpleStep) -> SimpleStep:
    """Return the step as a turn of the loop on CPU sees the gates: as if they were stacked, also side by side.

    What makes all of them is one kernel then, where XLA makes one for each and one that puts them together: a GRU takes
    0.9 of the time, an LSTM 0.98 (``python -m benchmarks steady --workloads gru`` shows it beside Keras).
    """
    gated = step.stacks and step.gates > 1 and jax.default_backend() == "cpu"
    return dataclasses.replace(step, stacked=True) if gated else step


def _following(step: SimpleStep, active: Array, states: list[Array], valid: Array | None) -> list[Array]:
    following = step.combine(active, states)
    return [_keep(valid, new.astype(old.dtype), old) for new, old in zip(following, states, strict=True)]


def _walk_forward(
    step: SimpleStep,
    how: Walk,
    projected: bool,
    inputs: Array,
    states: list[Array],
    weights: Weights,
    masks: DropoutMasks,
    mask: Array | None,
) -> tuple[tuple[Array | None, list[Array]], Kept]:
    """Walk forward and keep what the gradient needs."""
    weights = step.arranged(weights)
    length, unroll = inputs.shape[0], _unrolled(inputs, how)
    by_gate = step.stacked and not projected
    seen = _seen(step)
    if by_gate:
        inputs = step.project_all(inputs, weights, masks)

    def active_at(time: Any, h: Array) -> Array:
        x = _at(inputs, time, axis=int(by_gate))
        if by_gate:
            x = step.biased(x, weights)
        elif not projected:
            x = step.project(x, weights, masks)
        both = [x, step.recur(h, weights, masks)]
        if seen.stacked and not step.stacked:
            both = [stacked_gates(each, h.shape[-1]) for each in both]
        return seen.activate(seen.merge(*both))

    like = jax.eval_shape(active_at, 0, states[0])
    first = jnp.stack(states)
    every_state = _put(jnp.zeros((length + 1, *first.shape), first.dtype), first, 0)

    def turn(time: Any, carry: tuple[list[Array], Kept]) -> tuple[list[Array], Kept]:
        states, (every_state, every_active) = carry
        active = active_at(time, states[0])
        every_active = _put(every_active, active, time)
        active = _at(every_active, time) if step.reads_back else active
        states = _following(seen, active, states, None if mask is None else _at(mask, time))
        return states, Kept(_put(every_state, jnp.stack(states), time + 1), every_active)

    kept = Kept(every_state, jnp.zeros((length, *like.shape), like.dtype))
    states, kept = _loop(turn, (states, kept), length, unroll)
    return (kept.states[1:, 0] if how.return_sequences else None, states), kept


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _differentiable(
    step: SimpleStep,
    how: Walk,
    projected: bool,
    inputs: Array,
    states: list[Array],
    weights: Weights,
    masks: DropoutMasks,
    mask: Array | None,
) -> tuple[Array | None, list[Array]]:
    """Walk forward and keep nothing; what costs and padded batches are told of."""
    # Of the activations themselves: what their gradients keep can be told.
    plain = dataclasses.replace(step, standard=False)
    arranged = plain.arranged(weights)

    def advance(states: list[Array], at: tuple[Array, Array | None]) -> tuple[list[Array], Array | None]:
        x, valid = at
        active = plain.activate(plain.merged(x, states[0], arranged, masks, projected))
        following = _following(plain, active, states, valid)
        return following, following[0] if how.return_sequences else None

    states, outputs = lax.scan(advance, states, (inputs, mask), unroll=_unrolled(inputs, how))
    return outputs, states


def _forward(step: SimpleStep, how: Walk, projected: bool, *args: Any) -> tuple[Any, Any]:
    result, kept = _walk_forward(step, how, projected, *args)
    return result, (args, kept)


def _backward(step: SimpleStep, how: Walk, projected: bool, residuals: Any, cotangents: Any) -> Any:
    (inputs, states, weights, masks, mask), kept = residuals
    outputs_bar, states_bar = cotangents
    seen = _seen(step)
    apart = seen.stacked and not step.stacked
    # Masks of several gates would be applied once more to all times: in the loop the products are still at hand,
    # and one example alone has the same masks at all times.
    at_once = projected or not step.stacked
    by_example = not at_once and _is_long(inputs)
    in_turn = not at_once and not by_example
    last = jnp.asarray(inputs.shape[0]) - 1
    pull_products = (_pull_apart if apart else _pull)(step, inputs, states[0], weights, masks, projected)

    def turn(turns: Any, carry: Any) -> Any:
        states_bar, every_z_bar, every_x_bar, held = carry
        held = list(held)
        time = last - turns
        active = _at(every_z_bar if overwrites else kept.active, time)
        before, after = _at(kept.states, time), _at(kept.states, time + 1)
        valid = None if mask is None else _at(mask, time)
        if outputs_bar is not None:
            states_bar = [states_bar[0] + _at(outputs_bar, time), *states_bar[1:]]

        def hold(value: Array, number: int) -> Array:
            if number >= len(held):
                return value
            # XLA computes what it reads from here once, and what is just a value in each kernel that needs it.
            held[number] = _put(held[number], value, time % 2)
            return _at(held[number], time % 2)

        moved = [_keep(valid, bar, jnp.zeros_like(bar)) for bar in states_bar]
        parts, earlier = seen.pull(active, list(before), list(after), moved, hold)
        z_bar, x_bar, h_bar = pull_products(parts)
        earlier = [earlier[0] + h_bar, *earlier[1:]]
        if valid is not None:
            stayed = [_keep(valid, jnp.zeros_like(bar), bar) for bar in states_bar]
            earlier = [a + b for a, b in zip(earlier, stayed, strict=True)]
        every_z_bar = _put(every_z_bar, z_bar, time)
        if every_x_bar is not None and x_bar is not None:
            every_x_bar = _put(every_x_bar, x_bar, time)
        return earlier, every_z_bar, every_x_bar, held

    # No one asks for `active` again, and an array of its size would have to be filled with zeros first: that alone is a
    # twentieth of the time. But where XLA does not know that all is read before it is overwritten, it copies the whole
    # array at each time; what two kernels need is held for that too.
    by_hand = step.standard and step.reads_back and jax.default_backend() == "cpu"
    overwrites = by_hand and not apart
    held = [jnp.zeros((2, *states[-1].shape), states[-1].dtype) for _ in range(by_hand + overwrites)]
    like = jnp.swapaxes(kept.active, 1, 2) if apart else kept.active
    every_z_bar = kept.active if overwrites else jnp.zeros_like(like)
    carry = states_bar, every_z_bar, jnp.zeros_like(inputs) if in_turn else None, held
    states_bar, z_bar, inputs_bar, _ = _loop(turn, carry, inputs.shape[0], _unrolled(inputs, how))
    z_bar = jnp.reshape(z_bar, (*z_bar.shape[:2], -1)) if apart else z_bar
    before = kept.states[:-1, 0]
    if by_example:
        inputs_bar, weights_bar = _by_example(step, inputs, before, weights, masks, z_bar)
        return inputs_bar, states_bar, weights_bar, None, None

    def all_times(inputs: Array, weights: Weights) -> Array:
        return step.merged(inputs, before, step.arranged(weights), masks, projected)

    every_bar, weights_bar = jax.vjp(all_times, inputs, weights)[1](z_bar)
    return every_bar if at_once else inputs_bar, states_bar, weights_bar, None, None


def _pull(
    step: SimpleStep,
    inputs: Array,
    h: Array,
    weights: Weights,
    masks: DropoutMasks,
    projected: bool,
) -> PullProducts:
    """Return what takes the gradients of the parts of ``z`` at one time to those of ``z``, its inputs and its state."""
    turned = dataclasses.replace(step, turned=step.stacks)
    arranged = turned.arranged(weights)
    # `z` is linear in inputs and state, so any inputs give the same transpose.
    x = jnp.zeros(inputs.shape[1:], inputs.dtype)
    by_both = jax.vjp(lambda x, h: turned.merged(x, h, arranged, masks, projected), x, h)[1]

    def pull(parts: list[Array]) -> tuple[Array, Array | None, Array]:
        z_bar = step.together(parts)
        return z_bar, *by_both(z_bar)

    return pull


def _pull_apart(
    step: SimpleStep, _: Array, h: Array, weights: Weights, masks: DropoutMasks, projected: bool
) -> PullProducts:
    """As ``_pull``, of gates that lie side by side: those of ``z`` come back as ``(batch, parts, units)``.

    The parts keep their axis: XLA writes ``(batch, parts * units)`` number by number. The inputs' gradient is taken
    after the loop.
    """
    recurrent = weights.recurrent_kernel
    kernel = step.merge(jnp.zeros_like(recurrent), recurrent).T

    def pull(parts: list[Array]) -> tuple[Array, None, Array]:
        z_bar = jnp.swapaxes(jnp.stack(parts), 0, 1)
        h_bar = jnp.reshape(z_bar, (h.shape[0], -1)) @ kernel
        return z_bar, None, h_bar if masks.state is None else h_bar * masks.state[0]

    return pull


def _is_long(inputs: Array) -> bool:
    """Whether the times of one example alone make a product that is worth its call."""
    time = inputs.shape[0]
    return isinstance(time, int) and time >= 32 and isinstance(inputs.shape[1], int)


def _by_example(
    step: SimpleStep, inputs: Array, before: Array, weights: Weights, masks: DropoutMasks, z_bar: Array
) -> tuple[Array, Weights]:
    """Return the gradients of the inputs, ``(time, batch, n)``, and of the weights, added up over the examples.

    All gates are one product, because the masks of one example are the same at all times: they can be put on the
    kernel. Over all examples at once each gate would be a product of its own with inputs of its own, which
    takes 1.5 times as long for 100 times (``python -m benchmarks steady --workloads lstm``).

    Args:
        step: A stacked step.
        inputs: ``(time, batch, n)``.
        before: The states ``(time, batch, units)`` before each time.
        weights: The weights, not arranged.
        masks: What is dropped.
        z_bar: The gradient ``(time, parts, batch, units)`` of what ``activate`` is given.
    """
    plain = dataclasses.replace(step, stacked=False)

    def add(total: Weights, at: Any) -> tuple[Weights, Array]:
        x, h, mask, bar = at
        x, h = x.T, h.T

        def z(x: Array, weights: Weights) -> Array:
            kernel = masked_kernel(weights.kernel, mask.inputs)
            recurrent_kernel = masked_kernel(weights.recurrent_kernel, mask.state)
            masked = Weights(kernel, recurrent_kernel, weights.bias)
            return plain.merged(x, h, masked, DropoutMasks())

        x_bar, weights_bar = jax.vjp(z, x, weights)[1](jnp.reshape(bar, (bar.shape[0], -1)))
        return jax.tree.map(jnp.add, total, weights_bar), x_bar

    # With the times last, the products of the kernels' gradients read both operands along their rows. Across the rows
    # XLA would share each among threads, whose waiting for each other took a quarter of the whole step on two cores.
    examples = (jnp.transpose(a, (1, 2, 0)) for a in (inputs, before))
    of_example = jax.tree.map(lambda mask: jnp.moveaxis(mask, 1, 0), masks)
    zero = jax.tree.map(jnp.zeros_like, weights)
    weights_bar, inputs_bar = lax.scan(add, zero, (*examples, of_example, jnp.moveaxis(z_bar, 2, 0)))
    return jnp.moveaxis(inputs_bar, 0, 1), weights_bar


_differentiable.defvjp(_forward, _backward)
# Compiled by itself, so that a call outside of any trace is compiled once and not each time.
_recurrence = jax.jit(_differentiable, static_argnums=(0, 1, 2))
