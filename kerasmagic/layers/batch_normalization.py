"""Batch normalization: the statistics of the batch while training, running averages of them otherwise."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.core.input_spec import InputSpec
from kerasmagic.core.serialization import resolve
from kerasmagic.foundation.config import epsilon as config_epsilon
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.foundation.registry import CONSTRAINTS, INITIALIZERS, REGULARIZERS
from kerasmagic.layers.base import LibraryLayer
from kerasmagic.numerics.normalization import along, moments, standardize, wide


class BatchNormalization(LibraryLayer):
    """Normalizes each channel to mean 0 and variance 1, then scales by ``gamma`` and shifts by ``beta``.

    While training the statistics are those of the batch, and running averages follow them; otherwise, or
    with ``trainable=False``, the running averages are used. Input and output have the same shape. A mask
    ``(batch, ...)`` without the last axis takes entries out of the statistics.

    Args:
        axis: The axis of the channels.
        momentum: The weight of the old value in a running average.
        epsilon: Added to the variance.
        center: Whether there is a ``beta``.
        scale: Whether there is a ``gamma``.
        beta_initializer: Initial values of ``beta``, shape ``(channels,)``.
        gamma_initializer: Initial values of ``gamma``.
        moving_mean_initializer: Initial values of the running mean.
        moving_variance_initializer: Initial values of the running variance.
        beta_regularizer: Penalty on ``beta``.
        gamma_regularizer: Penalty on ``gamma``.
        beta_constraint: Constraint on ``beta``.
        gamma_constraint: Constraint on ``gamma``.
        renorm: Whether to correct the batch's statistics towards running ones (batch renormalization).
        renorm_clipping: Bounds of the correction: ``rmin``, ``rmax``, ``dmax``.
        renorm_momentum: The weight of the old value in the averages that corrections use.
        synchronized: Kept for compatibility: a batch that is spread over devices is always seen as a whole.

    Raises:
        InvalidArgument: If ``renorm_clipping`` has unknown keys or impossible bounds.
        ShapeMismatch: If a mask has the wrong rank.

    Example:

    >>> import jax.numpy as jnp
    >>> layer = BatchNormalization(epsilon=0.0)
    >>> layer(jnp.array([[1.0], [3.0]]), training=True).tolist()
    [[-1.0], [1.0]]
    >>> layer.moving_mean.numpy().tolist()
    [0.02]
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: dict[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.axis = int(axis)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self.beta_initializer = resolve(INITIALIZERS, beta_initializer)
        self.gamma_initializer = resolve(INITIALIZERS, gamma_initializer)
        self.moving_mean_initializer = resolve(INITIALIZERS, moving_mean_initializer)
        self.moving_variance_initializer = resolve(INITIALIZERS, moving_variance_initializer)
        self.beta_regularizer = resolve(REGULARIZERS, beta_regularizer)
        self.gamma_regularizer = resolve(REGULARIZERS, gamma_regularizer)
        self.beta_constraint = resolve(CONSTRAINTS, beta_constraint)
        self.gamma_constraint = resolve(CONSTRAINTS, gamma_constraint)
        self.renorm = renorm
        self.renorm_clipping = _checked_clipping(renorm_clipping) if renorm else renorm_clipping
        self.renorm_momentum = renorm_momentum
        self.synchronized = synchronized
        self.supports_masking = True
        self.gamma = self.beta = None

    def build(self, input_shape: Any) -> None:
        shape = (_channels(input_shape, self.axis, self.name),)
        for used, name in ((self.scale, "gamma"), (self.center, "beta")):
            if used:
                weight = self.add_weight(
                    shape=shape,
                    initializer=getattr(self, f"{name}_initializer"),
                    regularizer=getattr(self, f"{name}_regularizer"),
                    constraint=getattr(self, f"{name}_constraint"),
                    autocast=False,
                    name=name,
                )
                setattr(self, name, weight)
        self.moving_mean = self._statistic("moving_mean", shape, self.moving_mean_initializer)
        self.moving_variance = self._statistic("moving_variance", shape, self.moving_variance_initializer)
        if self.renorm:
            self.moving_stddev = self._statistic("moving_stddev", shape, self._initial_stddev)
            self.renorm_mean = self._statistic("renorm_mean", shape, self.moving_mean_initializer)
            self.renorm_stddev = self._statistic("renorm_stddev", shape, self._initial_stddev)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: shape[0]})

    def _statistic(self, name: str, shape: tuple[int, ...], initializer: Any) -> Any:
        return self.add_weight(
            shape=shape, initializer=initializer, trainable=False, autocast=False, name=name
        )

    def _initial_stddev(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        return np.sqrt(self.moving_variance_initializer(shape, dtype=dtype))

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if mask is not None and mask.ndim != inputs.ndim - 1:
            raise ShapeMismatch(
                f"The mask provided to layer {self.name!r} should be one dimension less than the inputs. "
                f"Received: mask.shape={mask.shape}, inputs.shape={inputs.shape}"
            )
        x = wide(inputs)
        gamma = None if self.gamma is None else self.gamma.value.astype(x.dtype)
        beta = None if self.beta is None else self.beta.value.astype(x.dtype)
        if training and self.trainable:
            mean, variance = self._batch_statistics(x, mask)
            if self.renorm:
                gamma, beta = self._renormalize(mean, variance, gamma, beta)
            else:
                _average(self.moving_mean, mean, self.momentum)
                _average(self.moving_variance, variance, self.momentum)
        else:
            mean, variance = (v.value.astype(x.dtype) for v in (self.moving_mean, self.moving_variance))
        mean, variance, gamma, beta = (along(v, x, (self.axis,)) for v in (mean, variance, gamma, beta))
        assert mean is not None
        assert variance is not None
        return standardize(x, mean, variance, gamma, beta, self.epsilon).astype(self.compute_dtype)

    def _batch_statistics(self, x: Any, mask: Any) -> tuple[Any, Any]:
        """Return the mean and variance of each channel, shape ``(channels,)``."""
        axes = tuple(axis for axis in range(x.ndim) if axis != self.axis % x.ndim)
        counts = None if mask is None else mask[..., None].astype(bool)
        mean, variance = moments(x, axes, counts, config_epsilon())
        return jnp.reshape(mean, (-1,)), jnp.reshape(variance, (-1,))

    def _renormalize(self, mean: Any, variance: Any, gamma: Any, beta: Any) -> tuple[Any, Any]:
        """Return ``gamma`` and ``beta`` that take the corrections in, and follow the batch's statistics.

        A normalized value ``n`` becomes ``(n * r + d) * gamma + beta``.
        """
        stddev = jnp.sqrt(variance + self.epsilon)
        # At least sqrt(epsilon): early in training it may be near 0.
        running = jnp.maximum(self.renorm_stddev.value, math.sqrt(self.epsilon))
        bounds = self.renorm_clipping or {}
        r = jnp.clip(stddev / running, bounds.get("rmin"), bounds.get("rmax"))
        limit = bounds.get("dmax")
        d = jnp.clip((mean - self.renorm_mean.value) / running, None if limit is None else -limit, limit)
        r, d = jax.lax.stop_gradient((r, d))
        self._follow(mean, stddev)
        scale, offset = (r, d) if gamma is None else (r * gamma, d * gamma)
        return scale, offset if beta is None else offset + beta

    def _follow(self, mean: Any, stddev: Any) -> None:
        _average(self.renorm_mean, mean, self.renorm_momentum)
        _average(self.renorm_stddev, stddev, self.renorm_momentum)
        _average(self.moving_mean, mean, self.momentum)
        moving = _average(self.moving_stddev, stddev, self.momentum)
        self.moving_variance.assign(jnp.maximum(moving * moving - self.epsilon, 0))


def _average(variable: Any, value: Any, momentum: float) -> Any:
    return variable.assign(variable.value * momentum + value * (1.0 - momentum))


def _channels(input_shape: Any, axis: int, name: str) -> int:
    rank = len(input_shape)
    size = input_shape[axis] if -rank <= axis < rank else None
    if size is None:
        raise ShapeMismatch(
            f"Axis {axis} of the input of layer {name!r} should exist and have a defined size. "
            f"Received: input_shape={tuple(input_shape)}, axis={axis}"
        )
    return size


def _checked_clipping(clipping: dict[str, float] | None) -> dict[str, float]:
    clipping = dict(clipping or {})
    known = ("rmax", "rmin", "dmax")
    if set(clipping) - set(known):
        raise InvalidArgument(
            f"Received invalid keys for `renorm_clipping` argument: {clipping}. Supported values: {list(known)}."
        )
    rmax, rmin, dmax = (clipping.get(key) for key in known)
    if rmax is not None and rmin is not None and rmax < rmin:
        raise InvalidArgument(
            f"rmax should be greater than rmin in the `renorm_clipping` argument. Received: {clipping}."
        )
    if dmax is not None and dmax < 0:
        raise InvalidArgument(
            f"dmax should be non-negative in the `renorm_clipping` argument. Received: {clipping}."
        )
    return clipping
