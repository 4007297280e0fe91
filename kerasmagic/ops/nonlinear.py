"""Nonlinear functions of each element, or along one axis: ``keras.ops.relu``, ``softmax``."""

from __future__ import annotations

import warnings
from typing import Any

import jax

from kerasmagic.core.symbolic import operation
from kerasmagic.numerics import activations
from kerasmagic.ops.forms import as_array, unary

__all__ = ["celu", "elu", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish"]
__all__ += ["hard_tanh", "leaky_relu", "log_sigmoid", "log_softmax", "relu", "relu6", "selu", "sigmoid"]
__all__ += ["silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid"]
__all__ += ["sparsemax", "squareplus", "swish", "tanh_shrink", "threshold"]

hard_sigmoid = unary("hard_sigmoid", jax.nn.hard_sigmoid, "``relu6(x + 3) / 6``")
hard_silu = hard_swish = unary("hard_silu", jax.nn.hard_silu, "``x * hard_sigmoid(x)``")
hard_tanh = unary("hard_tanh", jax.nn.hard_tanh, "``x``, cut off at -1 and 1")
log_sigmoid = unary("log_sigmoid", jax.nn.log_sigmoid, "the logarithm of ``sigmoid(x)``")
relu = unary("relu", activations.relu, "``max(x, 0)``")
relu6 = unary("relu6", jax.nn.relu6, "``min(max(x, 0), 6)``")
selu = unary("selu", jax.nn.selu, "a scaled ``elu`` that keeps mean 0 and variance 1")
sigmoid = unary("sigmoid", jax.nn.sigmoid, "``1 / (1 + exp(-x))``")
silu = swish = unary("silu", jax.nn.silu, "``x * sigmoid(x)``")
softplus = unary("softplus", jax.nn.softplus, "``log(1 + exp(x))``")
softsign = unary("softsign", jax.nn.soft_sign, "``x / (1 + |x|)``")
sparse_plus = unary("sparse_plus", jax.nn.sparse_plus, "0 up to -1, ``x`` from 1, a parabola between")
sparse_sigmoid = unary("sparse_sigmoid", jax.nn.sparse_sigmoid, "``x / 2 + 1 / 2``, cut off at 0 and 1")
tanh_shrink = unary("tanh_shrink", activations.tanh_shrink, "``x - tanh(x)``")


@operation
def celu(x: Any, alpha: float = 1.0) -> Any:
    """Return ``x``, and ``alpha * (exp(x / alpha) - 1)`` below 0."""
    return jax.nn.celu(as_array(x), alpha)


@operation
def elu(x: Any, alpha: float = 1.0) -> Any:
    """Return ``x``, and ``alpha * (exp(x) - 1)`` below 0."""
    return jax.nn.elu(as_array(x), alpha)


@operation
def gelu(x: Any, approximate: bool = True) -> Any:
    """Return ``x`` times the share of a normal distribution below it, through ``tanh`` if approximate."""
    return jax.nn.gelu(as_array(x), approximate)


@operation
def glu(x: Any, axis: int = -1) -> Any:
    """Return the first half along ``axis`` times the sigmoid of the second."""
    return activations.glu(as_array(x), axis)


@operation
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Return ``x`` where it is further than ``threshold`` from 0, else 0."""
    return activations.hard_shrink(as_array(x), threshold)


@operation
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """Return ``x``, and ``negative_slope * x`` below 0."""
    return jax.nn.leaky_relu(as_array(x), negative_slope)


@operation
def log_softmax(x: Any, axis: Any = -1) -> Any:
    """Return the logarithm of ``softmax(x, axis)``."""
    return activations.log_softmax(as_array(x), axis)


@operation
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Return ``x`` moved towards 0 by ``threshold``, and not beyond."""
    return activations.soft_shrink(as_array(x), threshold)


@operation
def softmax(x: Any, axis: Any = -1) -> Any:
    """Return positive numbers that sum to 1 over ``axis``, or over all of several axes."""
    x = as_array(x)
    if isinstance(axis, int) and -x.ndim <= axis < x.ndim and str(x.shape[axis]) == "1":
        warnings.warn(
            f"A softmax over axis {axis} of an array of shape {x.shape}, which has size 1, is always 1. "
            "Did you mean a sigmoid?",
            stacklevel=3,
        )
    return activations.softmax(x, axis)


@operation
def sparsemax(x: Any, axis: int = -1) -> Any:
    """Return the nearest point whose elements are not negative and sum to 1 along ``axis``."""
    return activations.sparsemax(as_array(x), axis)


@operation
def squareplus(x: Any, b: float = 4) -> Any:
    """Return ``(x + sqrt(x**2 + b)) / 2``."""
    return jax.nn.squareplus(as_array(x), b)


@operation
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """Return ``x`` where it exceeds ``threshold``, else ``default_value``."""
    return activations.threshold(as_array(x), threshold, default_value)
