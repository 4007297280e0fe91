"""Numbers in few bits: integers with scales, two 4-bit integers in a byte, 8-bit floats.

Weights are quantized once, on the host; activations at every call, where JAX runs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from kerasmagic.foundation.config import epsilon as default_epsilon
from kerasmagic.foundation.errors import InvalidArgument, UnexpectedArgument

EPSILON = default_epsilon()
INT4_RANGE = (-8, 7)


def abs_max_quantize(
    inputs: Any,
    axis: int | Sequence[int],
    value_range: Sequence[float] = (-127, 127),
    dtype: Any = "int8",
    epsilon: float = EPSILON,
    to_numpy: bool = False,
) -> tuple[Array, Array]:
    """Scale so that the largest magnitude along ``axis`` reaches the range, and round.

    Args:
        inputs: Floats of any shape.
        axis: The axes that share a scale.
        value_range: The smallest and the largest result.
        dtype: The type of the result.
        epsilon: Added to the largest magnitude against division by zero.
        to_numpy: Whether to compute on the host.

    Returns:
        The integers, of the shape of ``inputs``, and the scales, with 1 along ``axis``:
        ``inputs`` is about ``integers / scales``.

    Example:

    >>> values, scale = abs_max_quantize(jnp.array([[1.0, -2.0, 0.5]]), axis=-1)
    >>> values.tolist(), scale.round(1).tolist()
    ([[64, -127, 32]], [[63.5]])
    """
    xp: Any = np if to_numpy else jnp
    x = np.asarray(inputs) if to_numpy else jnp.asarray(inputs)
    axis = axis if isinstance(axis, int) else tuple(axis)
    low, high = value_range
    scale = xp.divide(high, xp.max(xp.abs(x), axis=axis, keepdims=True) + epsilon)
    if not to_numpy:
        scale = scale.astype(x.dtype)
    values = xp.clip(xp.round(xp.multiply(x, scale)), low, high).astype(dtype)
    return jnp.asarray(values), jnp.asarray(scale, dtype=x.dtype)


def abs_max_quantize_grouped_with_zero_point(
    inputs: Any,
    block_size: int,
    value_range: tuple[int, int] = INT4_RANGE,
    dtype: Any = "int8",
    epsilon: float = EPSILON,
    to_numpy: bool = False,
) -> tuple[Array, Array, Array]:
    """Map the values between minimum and maximum of each group of rows onto the range.

    Args:
        inputs: ``(rows, columns)``, floats.
        block_size: How many rows of a column share a scale; the last group may be smaller.
        value_range: The smallest and the largest result.
        dtype: The type of the result.
        epsilon: Added to the span against division by zero.
        to_numpy: Whether to compute on the host.

    Returns:
        ``(integers, scale, zero_point)``, shapes ``(rows, columns)`` and twice ``(groups, columns)``:
        ``inputs`` is about ``(integers - zero_point) * scale``.

    Example:

    >>> values, scale, zero = abs_max_quantize_grouped_with_zero_point(jnp.arange(6.0).reshape(3, 2), 2)
    >>> values.shape, scale.shape, zero.dtype.name
    ((3, 2), (2, 2), 'int8')
    """
    xp: Any = np if to_numpy else jnp
    x = np.asarray(inputs) if to_numpy else jnp.asarray(inputs)
    low, high = value_range
    rows, columns = x.shape
    groups = math.ceil(rows / block_size)
    # The padding counts as weights of the last group, as it does in Keras, but for one group on the device.
    block_size = rows if groups == 1 and not to_numpy else block_size
    padded = xp.pad(x, [(0, groups * block_size - rows), (0, 0)])
    blocks = padded.reshape(groups, block_size, columns)
    least, greatest = xp.min(blocks, axis=1, keepdims=True), xp.max(blocks, axis=1, keepdims=True)
    if not to_numpy:
        constant = least == greatest
        least, greatest = xp.where(constant, least - 1, least), xp.where(constant, greatest + 1, greatest)
    scale = xp.divide(greatest - least + epsilon, high - low)
    zero = xp.clip(xp.round(xp.divide(-least, scale)) + low, low, high)
    values = xp.clip(xp.round(xp.divide(blocks, scale)) + zero, low, high).astype(dtype)
    return (
        jnp.asarray(values.reshape(-1, columns)[:rows]),
        jnp.asarray(scale[:, 0], dtype=x.dtype),
        jnp.asarray(zero[:, 0].astype("int8")),
    )


def group_indices(size: int, block_size: int) -> np.ndarray:
    """Return which group each of ``size`` rows is in, floats as files keep them, shape ``(size,)``."""
    return np.floor_divide(np.arange(size, dtype="float32"), block_size)


def dequantize_groups(values: Array, scale: Array, zero: Array, groups: Array, axis: int) -> Array:
    """Return ``(values - zero) * scale``, with the scale and zero point of each entry's group.

    Args:
        values: Integers of any shape.
        scale: One per group along ``axis``, else as ``values``.
        zero: The same shape.
        groups: The group of each entry along ``axis``, shape ``(values.shape[axis],)``.
        axis: The axis that is in groups.
    """
    index = groups.astype("int32")
    scale, zero = jnp.take(scale, index, axis=axis), jnp.take(zero, index, axis=axis)
    return (values - zero.astype(scale.dtype)) * scale


def pack_int4(arr: Any, axis: int = 0, dtype: str = "int8") -> tuple[Array, tuple[int, ...], int]:
    """Put each two neighbours along ``axis`` into one byte, the first one in the low half.

    Args:
        arr: Integers from -8 to 7 (or 0 to 15) in ``dtype``.
        axis: The axis that becomes half as long.
        dtype: ``"int8"`` or ``"uint8"``.

    Returns:
        The bytes, their shape, and how long the axis was.

    Raises:
        InvalidArgument: If ``dtype`` is another type.
        UnexpectedArgument: If ``arr`` is of another type than ``dtype``.

    Example:

    >>> packed, shape, length = pack_int4(np.array([[-3, 7], [2, -8], [1, 0]], "int8"))
    >>> packed.tolist(), shape, length
    ([[45, -121], [1, 0]], (2, 2), 3)
    """
    _check_byte(dtype)
    # On the host: shifting the high half out of range is defined there for sure.
    values = np.asarray(arr)
    if values.dtype != dtype:
        raise UnexpectedArgument(f"Expected {dtype} tensor for packing, got {values.dtype}.")
    values = np.moveaxis(values, axis, 0)
    length = values.shape[0]
    values = np.pad(values, [(0, length % 2), *[(0, 0)] * (values.ndim - 1)]).view("uint8") & 0x0F
    packed = np.moveaxis((values[::2] | (values[1::2] << 4)).view(dtype), 0, axis)
    return jnp.asarray(packed), packed.shape, length


def unpack_int4(packed: Any, orig_len: int, axis: int = 0, dtype: str = "int8") -> Array:
    """Undo ``pack_int4``.

    Args:
        packed: Bytes with two integers each.
        orig_len: How long ``axis`` was before.
        axis: The axis that was packed.
        dtype: ``"int8"`` for -8 to 7, ``"uint8"`` for 0 to 15.

    Raises:
        InvalidArgument: If ``dtype`` is another type.
        UnexpectedArgument: If ``packed`` holds no bytes.

    Example:

    >>> unpack_int4(jnp.array([[45, -121], [1, 0]], "int8"), 3).tolist()
    [[-3, 7], [2, -8], [1, 0]]
    """
    _check_byte(dtype)
    packed = jnp.asarray(packed)
    if packed.dtype not in (jnp.int8, jnp.uint8):
        raise UnexpectedArgument(f"Expected int8 or uint8 tensor for unpacking, got {packed.dtype}.")
    axis %= packed.ndim
    # A shift to the right of signed integers repeats the sign.
    signed = packed.astype(dtype)
    pair = jnp.stack([(signed << 4) >> 4, signed >> 4], axis=axis + 1)
    shape = (*packed.shape[:axis], 2 * packed.shape[axis], *packed.shape[axis + 1 :])
    return jax.lax.slice_in_dim(jnp.reshape(pair, shape), 0, orig_len, axis=axis)


def _check_byte(dtype: str) -> None:
    if dtype not in ("int8", "uint8"):
        raise InvalidArgument(f"Expected dtype to be 'int8' or 'uint8', but got '{dtype}'.")


def compute_float8_scale(amax: Any, scale: Any, dtype_max: Any, margin: int = 0) -> Array:
    """Return the scale that brings ``amax`` to the largest 8-bit float; the old one if that is impossible.

    Args:
        amax: The largest magnitude seen, shape ``()``.
        scale: The scale so far, shape ``()``.
        dtype_max: The largest number of the type.
        margin: How many powers of two to stay below it.

    Example:

    >>> float(compute_float8_scale(896.0, 1.0, 448.0)), float(compute_float8_scale(0.0, 3.0, 448.0))
    (2.0, 3.0)
    """
    amax, inverse = jnp.asarray(amax), jnp.reciprocal(jnp.asarray(scale))
    factor = dtype_max / amax / 2**margin
    factor = jnp.where(amax > 0.0, factor, inverse)
    return jnp.reciprocal(jnp.where(jnp.isfinite(amax), factor, inverse))


def compute_float8_amax_history(x: Any, amax_history: Any) -> Array:
    """Return the history with the largest magnitude of ``x`` at its place 0 and the oldest forgotten.

    Example:

    >>> compute_float8_amax_history(jnp.array([1.0, -5.0]), jnp.array([1.0, 2.0, 3.0])).tolist()
    [5.0, 3.0, 1.0]
    """
    history = jnp.asarray(amax_history)
    return jnp.roll(history, -1).at[0].set(jnp.max(jnp.abs(jnp.asarray(x))).astype(history.dtype))


def quantize_and_dequantize(inputs: Any, scale: Any, quantized_dtype: str, compute_dtype: Any) -> Array:
    """Round ``inputs / scale`` to 8-bit floats and scale back.

    Args:
        inputs: Floats of any shape.
        scale: Shape ``()``.
        quantized_dtype: ``"float8_e4m3fn"`` or ``"float8_e5m2"``.
        compute_dtype: The type of the result.

    Example:

    >>> quantize_and_dequantize(jnp.array([1.03, 1000.0]), 1.0, "float8_e4m3fn", "float32").tolist()
    [1.0, 448.0]
    """
    limit = jnp.asarray(float8_max(quantized_dtype), compute_dtype)
    scale = jnp.asarray(scale).astype(compute_dtype)
    x = jnp.clip(jnp.asarray(inputs) / scale, -limit, limit)
    return x.astype(quantized_dtype).astype(compute_dtype) * scale


def float8_max(dtype: str) -> float:
    """Return the largest number of an 8-bit float type."""
    return float(jnp.finfo(dtype).max)


@jax.custom_vjp
def round_trip_float8(x: Array, scale: Array, history: Array) -> Array:
    """Return ``x`` rounded to 8-bit floats; the gradients of scale and history are their next values.

    The optimizer assigns such gradients instead of following them.
    """
    return quantize_and_dequantize(x, scale, "float8_e4m3fn", x.dtype)


def _round_trip_forward(x: Array, scale: Array, history: Array) -> tuple[Array, Any]:
    return round_trip_float8(x, scale, history), _next_float8(x, scale, history, "float8_e4m3fn")


def _next_float8(x: Array, scale: Array, history: Array, dtype: str) -> tuple[Array, Array]:
    scale = compute_float8_scale(jnp.max(history), scale, jnp.float32(float8_max(dtype)))
    return scale, compute_float8_amax_history(x, history)


round_trip_float8.defvjp(_round_trip_forward, lambda updated, upstream: (upstream, *updated))


@jax.custom_vjp
def round_gradient_float8(x: Array, scale: Array, history: Array) -> Array:
    """Return ``x``; its gradient is rounded to 8-bit floats, and scale and history follow the gradient."""
    return x


def _round_gradient(residuals: tuple[Array, Array], upstream: Array) -> tuple[Array, Array, Array]:
    scale, history = residuals
    rounded = quantize_and_dequantize(upstream, scale, "float8_e5m2", upstream.dtype)
    return rounded, *_next_float8(upstream, scale, history, "float8_e5m2")


round_gradient_float8.defvjp(lambda x, scale, history: (x, (scale, history)), _round_gradient)


@jax.custom_jvp
def straight_through(x: Array, value: Array) -> Array:
    """Return ``value``, with the gradient that ``x`` has; both of the same shape."""
    return value


@straight_through.defjvp
def _straight_through_jvp(primals: Any, tangents: Any) -> Any:
    return primals[1], tangents[0]


def fake_quant_with_min_max_vars(
    inputs: Any,
    min_vals: Any,
    max_vals: Any,
    num_bits: int = 8,
    narrow_range: bool = False,
    axis: int | None = None,
) -> Array:
    """Clip to a range and round to the levels that integers of ``num_bits`` would give.

    Where ``inputs`` are clipped the gradient goes to the bound that clipped them.

    Args:
        inputs: Floats of any shape.
        min_vals: The lower bound, shape ``()``, or ``(channels,)`` with ``axis``.
        max_vals: The upper bound, the same shape.
        num_bits: How many bits the integers have.
        narrow_range: Whether the lowest integer is left out.
        axis: The axis of the channels, where each has its own range.

    Example:

    >>> fake_quant_with_min_max_vars(jnp.array([-1.0, 0.3, 9.0]), 0.0, 6.0, num_bits=2).tolist()
    [0.0, 0.0, 6.0]
    """
    x = jnp.asarray(inputs)
    bounds = jnp.asarray(min_vals), jnp.asarray(max_vals)
    axis = None if axis is None else axis % x.ndim
    return _fake_quant(int(num_bits), narrow_range, axis, x, *bounds)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _fake_quant(bits: int, narrow: bool, axis: int | None, x: Array, low: Array, high: Array) -> Array:
    return _fake_quant_forward(bits, narrow, axis, x, low, high)[0]


def _fake_quant_forward(
    bits: int, narrow: bool, axis: int | None, x: Array, low: Array, high: Array
) -> tuple[Array, Any]:
    least, greatest, scale, inverse = (_along(v, axis, x) for v in _nudged(low, high, bits, narrow))
    zero = jnp.floor(-least * inverse + 0.5)
    shifted = jnp.clip(x.astype(least.dtype), least, greatest) - least
    y = jnp.floor(shifted * inverse - zero + 0.5) * scale
    return y.astype(x.dtype), (x, least, greatest, low, high)


def _along(value: Array, axis: int | None, x: Array) -> Array:
    """Return the values of the channels, broadcastable against ``x``."""
    return (
        value
        if axis is None or value.ndim == 0
        else value.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    )


def _fake_quant_backward(bits: int, narrow: bool, axis: int | None, residuals: Any, upstream: Array) -> Any:
    x, least, greatest, low, high = residuals
    axes = None if axis is None else tuple(i for i in range(x.ndim) if i != axis)

    def total(mask: Array, bound: Array) -> Array:
        return jnp.sum(jnp.where(mask, upstream, 0), axis=axes).reshape(bound.shape).astype(bound.dtype)

    inside = (x >= least) & (x <= greatest)
    return jnp.where(inside, upstream, 0), total(x <= least, low), total(x >= greatest, high)


_fake_quant.defvjp(_fake_quant_forward, _fake_quant_backward)


def _nudged(low: Array, high: Array, bits: int, narrow: bool) -> tuple[Array, Array, Array, Array]:
    """Return bounds moved so that 0 is a level, the distance of levels, and its inverse."""
    dtype = jnp.result_type(low.dtype, "float32")
    low, high = low.astype(dtype), high.astype(dtype)
    first, last = int(narrow), 2**bits - 1
    span = high - low
    scale, inverse = span / (last - first), (last - first) / span
    zero = jnp.round(jnp.clip(first - low / scale, first, last))
    return (first - zero) * scale, (last - zero) * scale, scale, inverse
