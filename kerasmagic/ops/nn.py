"""Operations of neural networks: ``keras.ops.nn``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.core.dtypes import standardize_dtype
from kerasmagic.core.symbolic import operation
from kerasmagic.foundation.config import epsilon as default_epsilon
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.numerics import ctc, filters, losses, normalization
from kerasmagic.ops import nonlinear, sliding
from kerasmagic.ops.forms import as_array, axes, floats
from kerasmagic.ops.nonlinear import *  # noqa: F403
from kerasmagic.ops.sliding import *  # noqa: F403

__all__ = ["batch_normalization", "binary_crossentropy", "categorical_crossentropy", "ctc_decode"]
__all__ += ["ctc_loss", "dot_product_attention", "layer_normalization", "moments", "multi_hot", "normalize"]
__all__ += ["one_hot", "polar", "psnr", "rms_normalization", "sparse_categorical_crossentropy"]
__all__ += nonlinear.__all__
__all__ += sliding.__all__


def _dense_only(sparse: bool) -> None:
    if sparse:
        raise InvalidArgument("Sparse tensors are not supported on JAX. Received: sparse=True")


@operation
def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Any:
    """Return 1 at the place of each class number and 0 elsewhere: ``(...) -> (..., num_classes)``.

    Numbers beyond the classes give zeros. ``sparse=True`` is not supported.
    """
    _dense_only(sparse)
    return jax.nn.one_hot(as_array(x), num_classes, axis=axis, dtype=standardize_dtype(dtype))


@operation
def multi_hot(
    inputs: Any,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
    **kwargs: Any,
) -> Any:
    """Return 1 for every class that occurs: ``(batch, n) -> (batch, num_classes)``.

    Raises:
        InvalidArgument: If ``num_classes`` is missing.

    >>> multi_hot([[0, 2], [1, 1]], 3).tolist()
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    _dense_only(sparse)
    num_classes = kwargs.get("num_tokens") if num_classes is None else num_classes
    if num_classes is None:
        raise InvalidArgument("Argument `num_classes` must be specified.")
    x = as_array(inputs).astype("int32")
    hot = jax.nn.one_hot(x, num_classes, axis=axis, dtype=standardize_dtype(dtype))
    return jnp.max(hot, axis=1 if x.ndim > 1 else 0)


def _together(target: Any, output: Any) -> tuple[Any, Any]:
    """Return both as arrays of one shape and type."""
    target, output = as_array(target), as_array(output)
    losses.require_same_shape(target, output)
    dtype = jnp.result_type(target, output)
    return target.astype(dtype), output.astype(dtype)


@operation
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Return ``-target * log(output) - (1 - target) * log(1 - output)`` of each pair.

    Args:
        target: 0 or 1, or probabilities.
        output: Probabilities, or logits under ``from_logits``; the same shape.
        from_logits: Whether ``output`` has still to go through a sigmoid.

    Raises:
        ShapeMismatch: If the shapes differ.
    """
    return losses.binary_terms(*_together(target, output), from_logits)


@operation
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Return ``-sum(target * log(output))`` over the classes.

    Args:
        target: One-hot labels.
        output: Probabilities, or logits under ``from_logits``; the same shape.
        from_logits: Whether ``output`` has still to go through a softmax.
        axis: The axis of the classes, which the result lacks.

    Raises:
        ShapeMismatch: If the shapes differ or have no axis.
    """
    target, output = _together(target, output)
    if target.ndim < 1:
        raise ShapeMismatch("Arguments `target` and `output` must be at least rank 1.")
    return -jnp.sum(target * losses.log_probabilities(output, from_logits, axis), axis=axis)


@operation
def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Return minus the log-probability of each label: ``(...), (..., classes) -> (...)``.

    Raises:
        ShapeMismatch: If labels and predictions do not fit.
    """
    return losses.sparse_categorical_crossentropy(as_array(target), as_array(output), from_logits, axis=axis)


@operation
def ctc_loss(target: Any, output: Any, target_length: Any, output_length: Any, mask_index: int = 0) -> Any:
    """Return minus the log-probability of label sequences under any alignment.

    Args:
        target: Labels, ``(batch, labels)``.
        output: Logits, ``(batch, time, classes)``.
        target_length: How many labels count, ``(batch,)``.
        output_length: How many time steps count, ``(batch,)``.
        mask_index: The class that stands for no label.

    Returns:
        ``(batch,)``.
    """
    target, target_length, output_length = (
        as_array(x).astype("int32") for x in (target, target_length, output_length)
    )
    return ctc.loss(target, as_array(output), target_length, output_length, mask_index)


@operation
def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int | None = 0,
) -> Any:
    """Return the most probable label sequences.

    Args:
        inputs: Logits, ``(batch, time, classes)``.
        sequence_lengths: How many time steps count, ``(batch,)``.
        strategy: ``"greedy"`` takes the best class each time, ``"beam_search"`` the best sequence.
        beam_width: How many sequences a beam search follows.
        top_paths: How many sequences it returns.
        merge_repeated: Whether equal neighbours are one label, in the greedy strategy.
        mask_index: The class that stands for no label; the last one when ``None``.

    Returns:
        Labels ``(paths, batch, time)`` with -1 after their end, and scores ``(batch, paths)``.

    Raises:
        InvalidArgument: If there is no such strategy.
    """
    logits = as_array(inputs)
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    lengths = as_array(sequence_lengths).astype("int32")
    if strategy == "greedy":
        return ctc.greedy_decode(logits, lengths, merge_repeated, mask_index)
    if strategy == "beam_search":
        return ctc.beam_decode(logits, lengths, beam_width, top_paths, mask_index)
    raise InvalidArgument(f"Invalid strategy {strategy}. Supported values are 'greedy' and 'beam_search'.")


@operation
def moments(x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False) -> Any:
    """Return the mean and the variance over ``axes``; of 16-bit floats computed in float32.

    Raises:
        InvalidArgument: If they are to be synchronized across replicas: here they always are.
    """
    if synchronized:
        raise InvalidArgument("Argument synchronized=True is not supported with JAX.")
    x = as_array(x)
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    narrow = x.dtype in (jnp.float16, jnp.bfloat16)
    both = normalization.moments(normalization.wide(x) if narrow else x, axes)
    if narrow:
        limit = jnp.finfo(jnp.float16).max
        both = tuple(jnp.clip(each, -limit, limit).astype(x.dtype) for each in both)
    return both if keepdims else tuple(jnp.squeeze(each, axes) for each in both)


@operation
def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> Any:
    """Return ``(x - mean) / sqrt(variance + epsilon) * scale + offset``.

    Args:
        x: Any shape.
        mean: The size of ``axis``, as are the next three.
        variance: Of each channel.
        axis: The axis of the channels.
        offset: Added at the end, if not ``None``.
        scale: Multiplied with before, if not ``None``.
        epsilon: Added to the variance.
    """
    x = as_array(x)
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]

    def standing(v: Any) -> Any:
        return None if v is None else jnp.reshape(as_array(v), shape)

    center, spread = standing(mean), standing(variance)
    return normalization.standardize(x, center, spread, standing(scale), standing(offset), epsilon)


def _fitted(v: Any, x: Any, over: Sequence[int]) -> Any:
    """Return weights in the type of ``x``, standing at the axes ``over`` unless they broadcast by themselves."""
    if v is None:
        return None
    v = as_array(v).astype(x.dtype)
    return v if v.ndim == x.ndim or list(over) == [x.ndim - 1] else normalization.along(v, x, over)


@operation
def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float | None = None, **kwargs: Any
) -> Any:
    """Return ``x`` with mean 0 and variance 1 over ``axis``, scaled by ``gamma`` and shifted by ``beta``.

    Args:
        x: Any shape.
        gamma: The sizes of ``axis``, or ``None``.
        beta: The sizes of ``axis``, or ``None``.
        axis: One axis or several.
        epsilon: Added to the variance; the default one when ``None``.
        **kwargs: ``rms_scaling=True``, deprecated: divide by the deviation and subtract nothing.
    """
    x = as_array(x)
    epsilon = default_epsilon() if epsilon is None else epsilon
    over = [axis] if isinstance(axis, int) else sorted(axis)
    if kwargs.pop("rms_scaling", False):
        warnings.warn("`rms_scaling=True` is deprecated: use `rms_normalization`.", stacklevel=3)
        return normalization.variance_scaling(x, None if gamma is None else as_array(gamma), over, epsilon)
    y = normalization.wide(x)
    mean, variance = normalization.moments(y, tuple(over))
    scale, offset = _fitted(gamma, y, over), _fitted(beta, y, over)
    return normalization.standardize(y, mean, variance, scale, offset, epsilon).astype(x.dtype)


@operation
def rms_normalization(x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None) -> Any:
    """Return ``x`` divided by its root mean square over ``axis``, and scaled.

    Args:
        x: Any shape.
        scale: A shape that broadcasts with that of ``x``, or ``None``.
        axis: One axis or several.
        epsilon: Added to the mean square; the default one when ``None``.
    """
    x = jnp.atleast_1d(as_array(x))
    over = [axis] if isinstance(axis, int) else axis
    y = normalization.rms_normalization(
        normalization.wide(x), None, over, default_epsilon() if epsilon is None else epsilon
    )
    return (y if scale is None else y * as_array(scale).astype(y.dtype)).astype(x.dtype)


@operation
def normalize(x: Any, axis: Any = -1, order: int = 2, epsilon: float | None = None) -> Any:
    """Return ``x`` divided by its norm over ``axis``, or by ``epsilon`` if that is larger.

    Raises:
        InvalidArgument: If ``order`` is no positive integer.

    >>> normalize([3.0, 4.0]).round(1).tolist()
    [0.6, 0.8]
    """
    if not isinstance(order, int) or order < 1:
        raise InvalidArgument(f"Argument `order` must be an int >= 1. Received: order={order}")
    x = jnp.atleast_1d(as_array(x))
    least = default_epsilon() if epsilon is None else epsilon
    if order == 2:
        squares = jnp.sum(jnp.square(x), axis=axes(axis), keepdims=True)
        return x * jnp.minimum(jax.lax.rsqrt(floats(squares)), 1.0 / least)
    return x / jnp.maximum(jnp.linalg.norm(floats(x), ord=order, axis=axes(axis), keepdims=True), least)


@operation
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Any:
    """Return the mean of the values, weighted by how well keys fit each query.

    Args:
        query: ``(batch, queries, heads, dim)``.
        key: ``(batch, keys, key_heads, dim)``, where ``key_heads`` divides ``heads``.
        value: ``(batch, keys, key_heads, dim)``.
        bias: Added to the scores; broadcasts to ``(batch, heads, queries, keys)``.
        mask: Which scores count; broadcasts in the same way.
        scale: Factor of the scores; ``1 / sqrt(dim)`` when ``None``.
        is_causal: Whether queries look back only.
        flash_attention: Whether the kernel must be cuDNN's; JAX's choice when ``None``.
        attn_logits_soft_cap: Not supported.

    Returns:
        ``(batch, queries, heads, dim)``.

    Raises:
        ShapeMismatch: If one of the first three has not four axes.
        InvalidArgument: If ``attn_logits_soft_cap`` is given.
    """
    if attn_logits_soft_cap is not None:
        raise InvalidArgument("attn_logits_soft_cap is only supported for JAX on TPU.")
    query, key, value = (as_array(x) for x in (query, key, value))
    if not query.ndim == key.ndim == value.ndim == 4:
        raise ShapeMismatch(
            "`dot_product_attention` only supports 4D inputs. Received: "
            f"query.shape={query.shape}, key.shape={key.shape}, value.shape={value.shape}"
        )
    dtype = jnp.result_type(query, key, value)
    query, key, value = (x.astype(dtype) for x in (query, key, value))
    return jax.nn.dot_product_attention(
        query,
        key,
        value,
        bias=None if bias is None else as_array(bias).astype(dtype),
        mask=None if mask is None else as_array(mask),
        scale=scale,
        is_causal=is_causal,
        implementation={True: "cudnn", False: "xla", None: None}[flash_attention],
    )


@operation
def polar(abs_: Any, angle: Any) -> Any:
    """Return complex numbers of that absolute value and angle."""
    radius, angle = as_array(abs_), as_array(angle)
    return jax.lax.complex(radius * jnp.cos(angle), radius * jnp.sin(angle))


@operation
def psnr(x1: Any, x2: Any, max_val: Any) -> Any:
    """Return the peak signal-to-noise ratio of two arrays in decibels, a scalar.

    Raises:
        ShapeMismatch: If the shapes differ.
    """
    x1, x2 = as_array(x1), as_array(x2)
    if x1.shape != x2.shape:
        raise ShapeMismatch(f"Input shapes {x1.shape} and {x2.shape} must match for PSNR calculation.")
    return filters.psnr(x1, x2, max_val)
