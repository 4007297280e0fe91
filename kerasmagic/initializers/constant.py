"""Initializers that draw nothing: constants, the identity, Fourier kernels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from kerasmagic.core.serialization import deserialize_keras_object
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch
from kerasmagic.foundation.registry import INITIALIZERS
from kerasmagic.initializers.base import Initializer, concrete_dtype


class Constant(Initializer):
    """Makes arrays of one value.

    Args:
        value: A number, or an array that broadcasts to the shapes asked for.

    Example:

    >>> Constant(3.0)((2, 2)).tolist()
    [[3.0, 3.0], [3.0, 3.0]]
    """

    def __init__(self, value: Any = 0.0):
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        return np.full(shape, np.asarray(self.value), concrete_dtype(dtype))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(deserialize_keras_object(config["value"]))


class Zeros(Initializer):
    """Makes arrays of zeros.

    >>> Zeros()((3,)).tolist()
    [0.0, 0.0, 0.0]
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        return np.zeros(shape, concrete_dtype(dtype))


class Ones(Initializer):
    """Makes arrays of ones.

    >>> Ones()((3,), dtype="int32").tolist()
    [1, 1, 1]
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        return np.ones(shape, concrete_dtype(dtype))


class Identity(Initializer):
    """Makes identity matrices.

    Args:
        gain: What the ones are multiplied by.

    Raises:
        ShapeMismatch: When called for anything but a matrix.

    Example:

    >>> Identity(gain=2.0)((2, 3)).tolist()
    [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    """

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        if len(shape) != 2:
            raise ShapeMismatch(
                "Identity matrix initializer can only be used for 2D matrices. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        result = concrete_dtype(dtype)
        # As in Keras: the gain is a float, and what it multiplies becomes one.
        result = result if jnp.issubdtype(result, jnp.inexact) else concrete_dtype(None)
        return np.eye(*shape, dtype=result) * result.type(self.gain)


class STFT(Initializer):
    """Makes the kernel of a short-time Fourier transform, shape ``(frame_length, 1, frequencies)``.

    Args:
        side: ``"real"`` or ``"imag"``: which part of the transform.
        window: The name of a window of ``scipy.signal.windows``, its values, or ``None``.
        scaling: ``"density"`` divides by the window's L2 norm, ``"spectrum"`` by its L1 norm.
        periodic: Whether a named window is periodic.

    Raises:
        InvalidArgument: If an argument is none of these.
        ShapeMismatch: When called for a frame of another length than the window's.

    Example:

    >>> STFT("real", "hann")((128, 1, 65)).shape
    (128, 1, 65)
    """

    def __init__(
        self,
        side: str = "real",
        window: Any = "hann",
        scaling: str | None = "density",
        periodic: bool = False,
    ):
        if side not in ("real", "imag"):
            raise InvalidArgument(f"side should be 'real' or 'imag', not {side}")
        if isinstance(window, str):
            _named_window(window, 1)
        if scaling not in (None, "density", "spectrum"):
            raise InvalidArgument(
                f"Scaling is invalid, it must be `None`, 'density' or 'spectrum'. Received scaling={scaling}"
            )
        self.side = side
        self.window = window
        self.scaling = scaling
        self.periodic = periodic

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        frame_length, _, frequencies = shape
        time = np.arange(frame_length).reshape(-1, 1, 1)
        frequency = np.arange(frequencies) / (2 * (frequencies - 1))
        angle = -2 * math.pi * time * frequency
        kernel = np.cos(angle) if self.side == "real" else np.sin(angle)
        if self.window is not None:
            window = self._window(frame_length)
            kernel *= window[:, None, None] / self._norm(window)
        return kernel.astype(concrete_dtype(dtype))

    def _window(self, frame_length: int) -> np.ndarray:
        window = self.window
        if isinstance(window, str):
            window = _named_window(window, frame_length, self.periodic)
        window = np.asarray(window, np.float64)
        if window.shape != (frame_length,):
            raise ShapeMismatch(
                f"The shape of `window` must be equal to [frame_length]. "
                f"Received: window shape={window.shape}, frame_length={frame_length}"
            )
        return window

    def _norm(self, window: np.ndarray) -> float:
        if self.scaling == "density":
            return math.sqrt(np.square(window).sum())
        return np.abs(window).sum() if self.scaling == "spectrum" else 1.0


def _named_window(name: str, length: int, periodic: bool = False) -> np.ndarray:
    from scipy.signal import get_window  # takes longer to import than the whole package

    return np.asarray(get_window(name, length, periodic))


INITIALIZERS.add(Constant)
INITIALIZERS.add(Zeros, "zero")
INITIALIZERS.add(Ones, "one")
INITIALIZERS.add(Identity, "IdentityInitializer")
INITIALIZERS.add(STFT, "STFTInitializer")
