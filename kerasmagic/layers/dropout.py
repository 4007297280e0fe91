"""Layers that only work while training: noise, and a penalty on activity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp

from kerasmagic.core.input_spec import InputSpec
from kerasmagic.core.random import SeedGenerator
from kerasmagic.core.serialization import resolve
from kerasmagic.foundation.arguments import fraction
from kerasmagic.foundation.config import standardize_data_format
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.registry import REGULARIZERS
from kerasmagic.layers.base import LibraryLayer
from kerasmagic.numerics import noise


class _Noise(LibraryLayer):
    """A layer that is the identity unless it trains and its amount is above zero."""

    amount: ClassVar[str] = "rate"
    """The attribute that says how much noise there is."""

    rate: float
    fills_in: ClassVar[frozenset[str]] = frozenset({"amount"})

    def __init__(self, amount: float, seed: int | None, **kwargs: Any):
        super().__init__(**kwargs)
        setattr(self, self.amount, fraction(self.amount, amount))
        self.seed = seed
        if amount > 0:
            self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if not training or getattr(self, self.amount) == 0:
            return inputs
        return self.disturb(inputs)

    def disturb(self, inputs: Any) -> Any:
        """Return the inputs with noise."""
        raise NotImplementedError

    def _drop(self, inputs: Any, pattern: Sequence[int | None] | None) -> Any:
        if self.rate == 1:
            return jnp.zeros_like(inputs)
        shape = noise.noise_shape(inputs.shape, pattern)
        return noise.dropout(self.seed_generator.next(), inputs, self.rate, shape)


class Dropout(_Noise):
    """Sets a fraction of its input to 0 while training, and scales up the rest so that the mean stays.

    Input and output have the same shape.

    Args:
        rate: The fraction, from 0 to 1.
        noise_shape: The shape of what is drawn: 1 along an axis drops it as a whole, ``None`` is the input's size.
        seed: Fixes the sequence of draws.

    Raises:
        InvalidArgument: If the rate is not between 0 and 1, or a size is impossible.

    Example:

    >>> import jax.numpy as jnp
    >>> sorted(set(Dropout(0.5, seed=0)(jnp.ones((100,)), training=True).tolist()))
    [0.0, 2.0]
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(rate, seed, **kwargs)
        self.noise_shape = _checked_noise_shape(noise_shape)

    def disturb(self, inputs: Any) -> Any:
        return self._drop(inputs, self.noise_shape)


class AlphaDropout(_Noise):
    """Sets a fraction of its input to the lowest value of SELU while training, and keeps mean 0 and variance 1.

    Args:
        rate: The fraction, from 0 to 1.
        noise_shape: The shape of what is drawn, as for ``Dropout``.
        seed: Fixes the sequence of draws.

    Raises:
        InvalidArgument: If the rate is not between 0 and 1, or a size is impossible.

    Example:

    >>> import jax.numpy as jnp
    >>> len(set(AlphaDropout(0.5, seed=0)(jnp.ones((100,)), training=True).tolist()))
    2
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(rate, seed, **kwargs)
        self.noise_shape = _checked_noise_shape(noise_shape)

    def disturb(self, inputs: Any) -> Any:
        shape = noise.noise_shape(inputs.shape, self.noise_shape)
        return noise.alpha_dropout(self.seed_generator.next(), inputs, self.rate, shape)


class GaussianDropout(_Noise):
    """Multiplies by normal noise of mean 1 and standard deviation ``sqrt(rate / (1 - rate))`` while training.

    Args:
        rate: As for ``Dropout``, below 1 for a finite deviation.
        seed: Fixes the sequence of draws.

    Raises:
        InvalidArgument: If the rate is not between 0 and 1; when called, if it is 1.

    Example:

    >>> import jax.numpy as jnp
    >>> GaussianDropout(0.5)(jnp.ones((2, 3))).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(rate, seed, **kwargs)

    def disturb(self, inputs: Any) -> Any:
        if self.rate == 1:
            raise InvalidArgument(
                f"Layer {self.name!r} cannot train with rate=1: its noise would be infinite."
            )
        stddev = math.sqrt(self.rate / (1.0 - self.rate))
        return inputs * noise.normal_noise(self.seed_generator.next(), inputs, 1.0, stddev)


class GaussianNoise(_Noise):
    """Adds normal noise of mean 0 while training.

    Args:
        stddev: Its standard deviation, from 0 to 1.
        seed: Fixes the sequence of draws.

    Raises:
        InvalidArgument: If the deviation is not between 0 and 1.

    Example:

    >>> import jax.numpy as jnp
    >>> GaussianNoise(0.5)(jnp.ones((2,))).tolist()
    [1.0, 1.0]
    """

    amount: ClassVar[str] = "stddev"
    stddev: float

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any):
        super().__init__(stddev, seed, **kwargs)

    def disturb(self, inputs: Any) -> Any:
        return inputs + noise.normal_noise(self.seed_generator.next(), inputs, 0.0, self.stddev)


class _SpatialDropout(_Noise):
    """Drops whole channels."""

    rank: ClassVar[int]
    data_format = "channels_last"

    def __init__(self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None):
        super().__init__(rate, seed, name=name, dtype=dtype)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def disturb(self, inputs: Any) -> Any:
        ones = (1,) * self.rank
        first = self.data_format == "channels_first"
        pattern = (None, None, *ones) if first else (None, *ones, None)
        return self._drop(inputs, pattern)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["trainable"]
        return {**config, "dtype": self.dtype}


class SpatialDropout1D(_SpatialDropout):
    """Drops whole channels of ``(batch, time, channels)`` while training.

    Args:
        rate: The fraction of channels, from 0 to 1.
        seed: Fixes the sequence of draws.
        name: Its name.
        dtype: Its dtype policy.

    Raises:
        InvalidArgument: If the rate is not between 0 and 1.

    Example:

    >>> import jax.numpy as jnp
    >>> SpatialDropout1D(0.5)(jnp.ones((2, 3, 4))).shape
    (2, 3, 4)
    """

    rank: ClassVar[int] = 1


class SpatialDropout2D(_SpatialDropout):
    """Drops whole channels of ``(batch, height, width, channels)`` while training.

    Args:
        rate: The fraction of channels, from 0 to 1.
        data_format: ``"channels_first"`` for ``(batch, channels, ...)``.
        seed: Fixes the sequence of draws.
        name: Its name.
        dtype: Its dtype policy.

    Raises:
        InvalidArgument: If the rate is not between 0 and 1.

    Example:

    >>> import jax.numpy as jnp
    >>> SpatialDropout2D(0.5)(jnp.ones((1, 2, 2, 4))).shape
    (1, 2, 2, 4)
    """

    rank: ClassVar[int] = 2

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(rate, seed, name, dtype)
        self.data_format = standardize_data_format(data_format)


class SpatialDropout3D(SpatialDropout2D):
    """Drops whole channels of ``(batch, depth, height, width, channels)`` while training.

    Args:
        rate: The fraction of channels, from 0 to 1.
        data_format: ``"channels_first"`` for ``(batch, channels, ...)``.
        seed: Fixes the sequence of draws.
        name: Its name.
        dtype: Its dtype policy.

    Raises:
        InvalidArgument: If the rate is not between 0 and 1.

    Example:

    >>> import jax.numpy as jnp
    >>> SpatialDropout3D(0.5)(jnp.ones((1, 2, 2, 2, 4))).shape
    (1, 2, 2, 2, 4)
    """

    rank: ClassVar[int] = 3


class ActivityRegularization(LibraryLayer):
    """Returns its input and adds a penalty on it to the loss.

    Args:
        l1: The weight of the absolute values.
        l2: The weight of the squares.

    Example:

    >>> import jax.numpy as jnp
    >>> layer = ActivityRegularization(l1=0.5)
    >>> _ = layer(jnp.ones((2, 3)))
    >>> [float(loss) for loss in layer.losses]
    [1.5]
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any):
        penalty = resolve(REGULARIZERS, {"class_name": "L1L2", "config": {"l1": l1, "l2": l2}})
        super().__init__(activity_regularizer=penalty, **kwargs)
        self.supports_masking = True
        self.l1 = l1
        self.l2 = l2

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["activity_regularizer"]
        return config


def _checked_noise_shape(noise_shape: Any) -> tuple[int | None, ...] | None:
    if noise_shape is None:
        return None
    valid = isinstance(noise_shape, (list, tuple)) and all(
        size is None or (isinstance(size, int) and not isinstance(size, bool) and size > 0)
        for size in noise_shape
    )
    if not valid:
        raise InvalidArgument(
            "Invalid value received for argument `noise_shape`. Expected a tuple or list of positive integers or "
            f"`None`. Received: noise_shape={noise_shape!r}"
        )
    return tuple(noise_shape)
