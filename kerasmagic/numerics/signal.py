"""Short-time Fourier transforms: a signal as the spectra of its overlapping pieces, and back."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.numerics.windows import closed

# Weight of the constant part of a raised cosine.
_CONSTANTS = {"hann": 0.5, "hamming": 0.54}


def frames(x: jax.Array, length: int, stride: int) -> jax.Array:
    """Return pieces of the last axis, ``stride`` apart: ``(..., n) -> (..., pieces, length)``.

    >>> frames(jnp.arange(5), 3, 2).tolist()
    [[0, 1, 2], [2, 3, 4]]
    """
    count = (x.shape[-1] - length) // stride + 1
    starts = jnp.arange(count) * stride
    return jnp.take(x, starts[:, None] + jnp.arange(length)[None, :], axis=-1)


def window_values(window: Any, length: int, fft_length: int, dtype: Any) -> jax.Array:
    """Return a window of ``length`` in the middle of ``fft_length`` zeros; ones throughout for ``None``.

    Raises:
        InvalidArgument: If a window has another length or an unknown name.
    """
    if fft_length < length:
        raise InvalidArgument(
            "`fft_length` must equal or larger than `sequence_length`. "
            f"Received: sequence_length={length}, fft_length={fft_length}"
        )
    if window is None:
        return jnp.ones(fft_length, dtype)
    if isinstance(window, str):
        if window not in _CONSTANTS:
            raise InvalidArgument(
                f"If a string is passed to `window`, it must be one of {list(_CONSTANTS)}. "
                f"Received: window={window}"
            )
        a = _CONSTANTS[window]
        # w(k) = a - (1 - a) cos(2 pi k / length), one period of it
        window = a - (1 - a) * np.cos(2 * np.pi * np.arange(length) / length) if length > 1 else np.ones(1)
    values = jnp.asarray(window, dtype)
    if values.shape != (length,):
        raise InvalidArgument(
            f"The shape of `window` must be equal to [sequence_length]. Received: window shape={values.shape}"
        )
    before = (fft_length - length) // 2
    return jnp.pad(values, (before, fft_length - length - before))


def stft(x: jax.Array, length: int, stride: int, fft_length: int, window: Any, center: bool) -> jax.Array:
    """Return the spectra of the pieces of the last axis.

    Args:
        x: ``(..., n)``.
        length: The length of a piece.
        stride: How far apart pieces begin.
        fft_length: The length of the transform.
        window: A name, an array ``(length,)``, or ``None``.
        center: Whether ``x`` is reflected at its ends by half of ``fft_length``.

    Returns:
        ``(..., pieces, fft_length // 2 + 1)``, complex.
    """
    values = window_values(window, length, fft_length, x.dtype)
    if center:
        x = _reflected(x, fft_length // 2)
    return jnp.fft.rfft(frames(x, fft_length, stride) * values)


def _reflected(x: jax.Array, width: int) -> jax.Array:
    """Return the last axis, at each end of it ``width`` more of its mirror image."""
    size = x.shape[-1]
    if closed([size]):
        return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(width, width)], mode="reflect")
    # JAX pads so only where sizes are numbers. There and back again are 2 (size - 1) steps.
    period = 2 * (size - 1)
    places = (jnp.arange(size + 2 * width) - width) % period
    return jnp.take(x, jnp.minimum(places, period - places), axis=-1)


def istft(
    z: jax.Array, length: int, stride: int, fft_length: int, size: int | None, window: Any, center: bool
) -> jax.Array:
    """Return the signal of which ``z`` are the spectra.

    Args:
        z: ``(..., pieces, fft_length // 2 + 1)``, complex.
        length: The length of a piece.
        stride: How far apart pieces begin.
        fft_length: The length of the transform.
        size: How much of the signal to return; all of it when ``None``.
        window: A name, an array ``(length,)``, or ``None``.
        center: Whether half of ``fft_length`` at each end is to be dropped.

    Returns:
        ``(..., n)``.
    """
    values = window_values(window, length, fft_length, z.real.dtype)
    pieces = jnp.fft.irfft(z, n=fft_length) * values
    norm = overlap_add(jnp.broadcast_to(values * values, pieces.shape[-2:]), stride)
    # x = sum of w * piece / sum of w * w, wherever a piece reaches
    x = overlap_add(pieces, stride) / jnp.where(norm > 1e-10, norm, 1.0)
    start = fft_length // 2 if center else 0
    stop = x.shape[-1] - start if size is None else start + size
    return x[..., start:stop]


def overlap_add(pieces: jax.Array, stride: int) -> jax.Array:
    """Return the sum of pieces that begin ``stride`` apart: ``(..., pieces, length) -> (..., n)``.

    >>> overlap_add(jnp.ones((2, 3)), 2).tolist()
    [1.0, 1.0, 2.0, 1.0, 1.0]
    """
    count, length = pieces.shape[-2:]
    places = jnp.arange(count)[:, None] * stride + jnp.arange(length)[None, :]
    total = jnp.zeros((*pieces.shape[:-2], (count - 1) * stride + length), pieces.dtype)
    return total.at[..., places].add(pieces)
