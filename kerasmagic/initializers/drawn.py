"""Initializers that draw their values at random, on the host: nothing is compiled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasmagic.core.attribute_config import attribute_config
from kerasmagic.core.random import SeedGenerator, make_default_seed
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.foundation.registry import INITIALIZERS
from kerasmagic.initializers.base import Initializer, concrete_dtype
from kerasmagic.numerics import threefry

Fans = tuple[int, int]

# The standard deviation of a standard normal draw that is cut off at -2 and 2.
_TRUNCATED_STDDEV = 0.87962566103423978
# Multiplications up to which an orthogonal matrix is computed without LAPACK. That wakes a thread on every core, and
# these wait for each other by spinning: where other programs run too, 0.45 s of the processors' time for the 1.5 ms
# of work in the kernel of an LSTM of 64 units. This takes 4 ms, and 80 ms at the limit.
LARGEST_BY_ROWS = 2**26


class RandomInitializer(Initializer):
    """The part of an initializer that has a seed.

    Args:
        seed: An integer; drawn when ``None``. Either way every call gives the same values. A
            ``SeedGenerator`` gives others at each call.

    Raises:
        InvalidArgument: If ``seed`` is none of these.
    """

    def __init__(self, seed: Any = None):
        self._init_seed = seed
        if isinstance(seed, dict):
            seed = deserialize_keras_object(seed)
        if seed is not None and not isinstance(seed, (int, SeedGenerator)):
            raise InvalidArgument(
                "`seed` argument should be an instance of `keras.random.SeedGenerator()` or an integer. "
                f"Received: seed={seed}"
            )
        self.seed = make_default_seed() if seed is None else seed

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initializer again, as plain data."""
        return {**attribute_config(self, omit=["seed"]), "seed": serialize_keras_object(self._init_seed)}

    def _key(self) -> Any:
        if isinstance(self.seed, SeedGenerator):
            return self.seed.next()
        return np.array([self.seed, 0], np.uint32)

    def _uniform(self, shape: Sequence[int], dtype: Any, minval: Any, maxval: Any) -> Any:
        return threefry.uniform(self._key(), _sizes(shape), concrete_dtype(dtype), minval, maxval)

    def _normal(self, shape: Sequence[int], dtype: Any, mean: Any = 0.0, stddev: Any = 1.0) -> Any:
        return _moved(threefry.normal(self._key(), _sizes(shape), concrete_dtype(dtype)), mean, stddev)

    def _truncated_normal(self, shape: Sequence[int], dtype: Any, mean: Any = 0.0, stddev: Any = 1.0) -> Any:
        drawn = threefry.truncated_normal(self._key(), _sizes(shape), concrete_dtype(dtype))
        return _moved(drawn, mean, stddev)


class RandomNormal(RandomInitializer):
    """Draws from a normal distribution.

    Args:
        mean: Its mean.
        stddev: Its standard deviation.
        seed: As for every random initializer: an integer, ``None`` or a ``SeedGenerator``.

    Example:

    >>> RandomNormal(seed=1)((2, 3)).shape
    (2, 3)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        return self._normal(shape, dtype, self.mean, self.stddev)


class TruncatedNormal(RandomInitializer):
    """Draws from a normal distribution without the values beyond two standard deviations.

    Args:
        mean: The mean.
        stddev: The standard deviation before the cut.
        seed: As for every random initializer.

    Example:

    >>> float(abs(TruncatedNormal(stddev=0.5, seed=1)((1000,))).max()) < 1.0
    True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        return self._truncated_normal(shape, dtype, self.mean, self.stddev)


class RandomUniform(RandomInitializer):
    """Draws evenly from a range.

    Args:
        minval: The smallest value.
        maxval: What all values are below.
        seed: As for every random initializer.

    Example:

    >>> values = RandomUniform(1.0, 2.0, seed=1)((1000,))
    >>> bool(values.min() >= 1.0 and values.max() < 2.0)
    True
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None):
        self.minval = minval
        self.maxval = maxval
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        return self._uniform(shape, dtype, self.minval, self.maxval)


class VarianceScaling(RandomInitializer):
    """Draws values whose variance is ``scale`` divided by the number of connected units.

    Args:
        scale: The variance of the sum of all connections of a unit, above zero.
        mode: ``"fan_in"`` counts the inputs, ``"fan_out"`` the outputs, ``"fan_avg"`` is between them.
        distribution: ``"truncated_normal"``, ``"untruncated_normal"`` or ``"uniform"``.
        seed: As for every random initializer.
        input_axes: The axes that count as inputs, when they are not the last but one and those before.
        output_axes: The axes that count as outputs; both or neither.

    Raises:
        InvalidArgument: If an argument is none of these.

    Example:

    >>> VarianceScaling(scale=0.1, distribution="uniform", seed=1)((3, 3, 8, 16)).shape
    (3, 3, 8, 16)
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ):
        if scale <= 0.0:
            raise InvalidArgument(f"Argument `scale` must be positive float. Received: scale={scale}")
        self.scale = scale
        self.mode = _choice("mode", mode, ("fan_in", "fan_out", "fan_avg"))
        distribution = distribution.lower()
        self.distribution = _choice(
            "distribution",
            "truncated_normal" if distribution == "normal" else distribution,
            ("uniform", "truncated_normal", "untruncated_normal"),
        )
        self.input_axes = input_axes
        self.output_axes = output_axes
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        fan_in, fan_out = fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return self._uniform(shape, dtype, -limit, limit)
        if self.distribution == "untruncated_normal":
            return self._normal(shape, dtype, stddev=math.sqrt(variance))
        return self._truncated_normal(shape, dtype, stddev=math.sqrt(variance) / _TRUNCATED_STDDEV)


class _Preset(VarianceScaling):
    """Variance scaling with everything but the seed and the axes fixed by the class."""

    preset: tuple[float, str, str]

    def __init__(
        self,
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ):
        scale, mode, distribution = self.preset
        super().__init__(scale, mode, distribution, seed, input_axes, output_axes)


class GlorotUniform(_Preset):
    """Uniform draws within ``sqrt(6 / (fan_in + fan_out))``: Glorot and Bengio (2010), also called Xavier.

    >>> float(abs(GlorotUniform(seed=3)((3, 3))).max()) < 1.0
    True
    """

    preset = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Preset):
    """Truncated normal draws of variance ``2 / (fan_in + fan_out)``: Glorot and Bengio (2010).

    >>> GlorotNormal(seed=3)((3, 4)).shape
    (3, 4)
    """

    preset = (1.0, "fan_avg", "truncated_normal")


class LecunUniform(_Preset):
    """Uniform draws within ``sqrt(3 / fan_in)``: LeCun et al. (1998).

    >>> float(abs(LecunUniform(seed=3)((3, 4))).max()) < 1.0
    True
    """

    preset = (1.0, "fan_in", "uniform")


class LecunNormal(_Preset):
    """Truncated normal draws of variance ``1 / fan_in``: for ``selu``, Klambauer et al. (2017).

    >>> LecunNormal(seed=3)((3, 4)).shape
    (3, 4)
    """

    preset = (1.0, "fan_in", "truncated_normal")


class HeUniform(_Preset):
    """Uniform draws within ``sqrt(6 / fan_in)``: for ``relu``, He et al. (2015).

    >>> float(abs(HeUniform(seed=3)((6, 4))).max()) < 1.0
    True
    """

    preset = (2.0, "fan_in", "uniform")


class HeNormal(_Preset):
    """Truncated normal draws of variance ``2 / fan_in``: for ``relu``, He et al. (2015).

    >>> HeNormal(seed=3)((3, 4)).shape
    (3, 4)
    """

    preset = (2.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """Makes matrices with orthogonal rows or columns, whichever there are fewer of: Saxe et al. (2014).

    A shape of more than two axes is filled from the matrix of all but the last axis times the last.

    Args:
        gain: What the orthogonal matrix is multiplied by.
        seed: As for every random initializer.

    Raises:
        ShapeMismatch: When called for fewer than two axes.

    Example:

    >>> q = Orthogonal(seed=1)((5, 3))
    >>> bool(np.allclose(q.T @ q, np.eye(3), atol=1e-6))
    True
    """

    def __init__(self, gain: float = 1.0, seed: Any = None):
        self.gain = gain
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        if len(shape) < 2:
            raise ShapeMismatch(
                "The tensor to initialize must be at least two-dimensional. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        drawn = np.asarray(self._normal((max(rows, columns), min(rows, columns)), dtype))
        # 16-bit floats are too coarse to compute with, and LAPACK has none.
        q = _orthonormal(drawn.astype(np.promote_types(drawn.dtype, np.float32)))
        q = q.T if rows < columns else q
        return _moved(q.reshape(shape).astype(drawn.dtype), 0.0, self.gain)


def _orthonormal(tall: np.ndarray) -> np.ndarray:
    """Return the orthonormal columns ``(n, m)`` that a triangle with a positive diagonal takes to those given."""
    n, m = tall.shape
    if n * m * m > LARGEST_BY_ROWS:
        q, r = np.linalg.qr(tall)
        # Without the sign the matrices would not be spread evenly over the orthogonal ones.
        return q * np.sign(np.diag(r))
    rows = np.array(tall.T, order="C")
    for index, row in enumerate(rows):
        done = rows[:index]
        # The first pass leaves rounding errors, which a second one takes away. `einsum` starts no threads.
        for _ in range(2):
            row -= np.einsum("k,kn->n", np.einsum("kn,n->k", done, row), done)
        row /= math.sqrt(np.einsum("n,n->", row, row))
    return rows.T


def fans(
    shape: Sequence[int], input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> Fans:
    """Return how many units a weight of this shape connects: inputs, outputs.

    >>> fans((3, 4)), fans((5, 5, 3, 8)), fans((7,)), fans((2, 3, 4), (0,), (1, 2))
    ((3, 4), (75, 200), (7, 7), (2, 12))
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[axis] for axis in input_axes), math.prod(shape[axis] for axis in output_axes)
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    receptive_field = math.prod(shape[:-2])
    return shape[-2] * receptive_field, shape[-1] * receptive_field


def _moved(drawn: Any, mean: Any, stddev: Any) -> Any:
    # A NumPy array of brain floats times a Python float is one of float32.
    mean, stddev = (drawn.dtype.type(x) if isinstance(x, (int, float)) else x for x in (mean, stddev))
    return drawn * stddev + mean


def _sizes(shape: Sequence[int] | int) -> tuple[int, ...]:
    return tuple(shape) if isinstance(shape, Sequence) else (shape,)


def _choice(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise InvalidArgument(f"Invalid `{name}` argument: {value}. Please use one of {', '.join(allowed)}.")
    return value


INITIALIZERS.add(RandomNormal, "normal")
INITIALIZERS.add(RandomUniform, "uniform")
INITIALIZERS.add(Orthogonal, "OrthogonalInitializer")
INITIALIZERS.add_all(
    [
        TruncatedNormal,
        VarianceScaling,
        GlorotUniform,
        GlorotNormal,
        LecunUniform,
        LecunNormal,
        HeUniform,
        HeNormal,
    ]
)
