"""Spectrograms: how strong each frequency is while a signal goes on, and on the scales of human hearing.

Signals are ``(..., samples)``; a spectrogram is ``(..., frames, frequencies)``, a frame being a piece of the signal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.numerics import signal
from kerasmagic.numerics.convolution import convolution

MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")
"""What ``spectrogram`` makes of real and imaginary parts."""


def transform(x: jax.Array, kernels: Sequence[jax.Array], stride: int, padding: str) -> list[jax.Array]:
    """Return the products of the frames of ``x`` with each kernel: parts of a short-time Fourier transform.

    Args:
        x: ``(batch, channels, samples)``; the channels are transformed one by one.
        kernels: Each ``(frame_length, 1, frequencies)``, all of one shape.
        stride: How far apart frames begin.
        padding: ``"valid"``, or ``"same"`` for zeros at both ends: ``samples / stride`` frames, rounded up.

    Returns:
        For each kernel ``(batch, channels, frames, frequencies)``.

    Example:

    >>> [part.shape for part in transform(jnp.ones((2, 3, 8)), [jnp.ones((4, 1, 5))] * 2, 2, "valid")]
    [(2, 3, 3, 5), (2, 3, 3, 5)]
    """
    batch, channels, samples = x.shape
    # One convolution for all kernels reads the frames once.
    rows = x.reshape(batch * channels, samples, 1)
    y = convolution(rows, jnp.concatenate(kernels, axis=-1), strides=stride, padding=padding)
    return jnp.split(y.reshape(batch, channels, *y.shape[1:]), len(kernels), axis=-1)


def spectrogram(real: jax.Array, imag: jax.Array, mode: str, floor: float) -> jax.Array:
    """Return what the parts of a transform say about its frequencies.

    Args:
        real: ``(..., frequencies)``.
        imag: The same shape.
        mode: ``"psd"`` is the power of both the frequency and its mirror image, of which real signals have as much;
            ``"magnitude"`` the root of the power and ``"log"`` its logarithm; ``"angle"`` the phase;
            ``"stft"`` the parts side by side; ``"real"`` and ``"imag"`` one of them.
        floor: The least power of which a root is taken.

    Returns:
        The shape of ``real``; twice as many frequencies for ``"stft"``.

    Example:

    >>> spectrogram(jnp.full(3, 3.0), jnp.full(3, 4.0), "psd", 1e-7).tolist()
    [25.0, 50.0, 25.0]
    """
    if mode in ("real", "imag"):
        return real if mode == "real" else imag
    if mode == "angle":
        return jnp.arctan2(imag, real)
    if mode == "stft":
        return jnp.concatenate([real, imag], axis=-1)
    power = real * real + imag * imag
    if mode == "psd":
        # The constant part and the highest frequency are their own mirror images.
        return power.at[..., 1:-1].multiply(2)
    magnitude = jnp.sqrt(jnp.maximum(power, floor))
    return magnitude if mode == "magnitude" else jnp.log(magnitude)


def arranged(parts: jax.Array, data_format: str, as_images: bool) -> jax.Array:
    """Return spectrograms in the order of axes in which layers pass them on.

    Args:
        parts: ``(batch, channels, frames, frequencies)``.
        data_format: Where the channels go.
        as_images: Whether frames and frequencies are height and width; else the frequencies of all channels,
            one channel after the other, are the channels.

    Returns:
        ``(batch, frames, channels * frequencies)`` or ``(batch, frames, frequencies, channels)``; for
        ``channels_first`` ``(batch, channels * frequencies, frames)`` or ``(batch, channels, frames, frequencies)``.

    Example:

    >>> arranged(jnp.ones((1, 2, 3, 5)), "channels_last", as_images=False).shape
    (1, 3, 10)
    """
    batch, channels, frames, frequencies = parts.shape
    if as_images:
        return jnp.moveaxis(parts, 1, -1) if data_format == "channels_last" else parts
    if data_format == "channels_last":
        return jnp.moveaxis(parts, 1, 2).reshape(batch, frames, channels * frequencies)
    return jnp.swapaxes(parts, 2, 3).reshape(batch, channels * frequencies, frames)


def magnitudes(
    x: jax.Array, length: int, stride: int, fft_length: int, window: Any, exponent: float
) -> jax.Array:
    """Return a power of the magnitudes of the spectra of a signal, reflected at its ends.

    Args:
        x: ``(..., samples)``.
        length: The length of a frame.
        stride: How far apart frames begin.
        fft_length: The length of the transform.
        window: A name, an array ``(length,)``, or ``None``.
        exponent: 1 for magnitudes, 2 for their squares, the power.

    Returns:
        ``(..., frames, fft_length // 2 + 1)``.
    """
    z = signal.stft(x, length, stride, fft_length, window, center=True)
    power = z.real * z.real + z.imag * z.imag
    if exponent == 2:
        return power
    # Of silence the root has no slope: a gradient would be NaN.
    return jnp.maximum(power, jnp.finfo(power.dtype).tiny) ** (exponent / 2)


def mel(hertz: Any) -> Any:
    """Return frequencies on the mel scale, on which equal distances sound alike.

    The formula is that of the Hidden Markov Model Toolkit: S. Young et al., The HTK Book, section 5.4.

    >>> round(float(mel(1000.0)))
    1000
    """
    # mel(f) = 2595 log10(1 + f / 700)
    return 2595.0 / math.log(10.0) * np.log1p(np.asarray(hertz, "float64") / 700.0)


def mel_filters(
    mel_bins: int, frequencies: int, sampling_rate: float, lowest: float, highest: float
) -> np.ndarray:
    """Return triangular filters that overlap by half, equally wide on the mel scale.

    Args:
        mel_bins: How many filters.
        frequencies: How many frequencies a spectrum has, from 0 to half the sampling rate.
        sampling_rate: Samples per second.
        lowest: Where the first filter begins, in hertz.
        highest: Where the last filter ends, in hertz.

    Returns:
        ``(frequencies, mel_bins)`` in double precision, at most 1. As in HTK no filter has a share of frequency 0.

    Raises:
        InvalidArgument: If the filters would have no width.

    Example:

    >>> mel_filters(2, 5, 8000, 0.0, 4000.0).round(2).tolist()
    [[0.0, 0.0], [0.6, 0.4], [0.0, 0.87], [0.0, 0.38], [0.0, 0.0]]
    """
    if lowest == highest:
        raise InvalidArgument(
            "The filters of a mel spectrogram must cover a range of frequencies. "
            f"Received: from {lowest} to {highest} hertz"
        )
    edges = np.linspace(mel(lowest), mel(highest), mel_bins + 2)
    lower, center, upper = edges[:-2], edges[1:-1], edges[2:]
    x = mel(np.linspace(0.0, sampling_rate / 2.0, frequencies))[:, None]
    filters = np.maximum(0.0, np.minimum((x - lower) / (center - lower), (upper - x) / (upper - center)))
    filters[0] = 0.0
    return filters


def decibels(power: jax.Array, reference: Any, floor: float, span: float) -> jax.Array:
    """Return ``10 log10(power / reference)``.

    Args:
        power: Any shape.
        reference: The power of 0 decibels; its sign does not count.
        floor: What smaller powers, and a smaller reference, count as.
        span: How far below the largest of all results the others may be.

    Returns:
        The shape of ``power``.

    Example:

    >>> decibels(jnp.array([100.0, 1.0, 1e-6]), 1.0, 1e-10, 30.0).round(3).tolist()
    [20.0, 0.0, -10.0]
    """
    reference = jnp.maximum(jnp.abs(jnp.asarray(reference, power.dtype)), floor)
    level = 10.0 * (jnp.log10(jnp.maximum(power, floor)) - jnp.log10(reference))
    return jnp.maximum(level, jnp.max(level, initial=-jnp.inf) - span)
