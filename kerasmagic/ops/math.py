"""Operations of ``keras.ops`` that NumPy does not have: segments, ranks, Fourier transforms, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy import special

from kerasmagic.core.symbolic import operation
from kerasmagic.foundation.errors import InvalidArgument, ShapeMismatch, UnexpectedArgument
from kerasmagic.numerics import signal
from kerasmagic.ops.forms import as_array, unary

__all__ = ["cdist", "erf", "erfc", "erfinv", "extract_sequences", "fft", "fft2", "ifft2", "in_top_k"]
__all__ += ["irfft", "istft", "logdet", "rfft", "rsqrt", "segment_max", "segment_min", "segment_prod"]
__all__ += ["segment_sum", "stft", "top_k", "view_as_complex", "view_as_real"]

erf = unary("erf", lax.erf, "the error function of each element")
erfc = unary("erfc", special.erfc, "``1 - erf(x)``, exact where it is small")
erfinv = unary("erfinv", special.erfinv, "the inverse of the error function of each element")
logdet = unary("logdet", lambda x: jnp.linalg.slogdet(x)[1], "the log of the determinant")
rsqrt = unary("rsqrt", lax.rsqrt, "``1 / sqrt(x)``")


def _segments(name: str, function: Callable[..., Any], what: str) -> Callable[..., Any]:
    def form(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
        data, ids = as_array(data), as_array(segment_ids)
        if num_segments is None:
            raise InvalidArgument("Argument `num_segments` must be set on JAX. Received: num_segments=None")
        if ids.ndim != 1 or ids.shape[0] != data.shape[0]:
            raise ShapeMismatch(
                "`segment_ids` needs one number for each slice of `data`. "
                f"Received: data.shape={data.shape}, segment_ids.shape={ids.shape}"
            )
        return function(data, ids, num_segments, indices_are_sorted=sorted)

    form.__name__ = form.__qualname__ = name
    form.__doc__ = f"""Return the {what} of the slices that have the same number.

    Args:
        data: ``(n, ...)``.
        segment_ids: ``(n,)``: the segment of each slice.
        num_segments: How many segments there are; must be given.
        sorted: Whether ``segment_ids`` increases.

    Returns:
        ``(num_segments, ...)``.

    Raises:
        InvalidArgument: If ``num_segments`` is missing.
        ShapeMismatch: If there is not one number for each slice.
    """
    return operation(form)


segment_max = _segments("segment_max", jax.ops.segment_max, "maximum")
segment_min = _segments("segment_min", jax.ops.segment_min, "minimum")
segment_prod = _segments("segment_prod", jax.ops.segment_prod, "product")
segment_sum = _segments("segment_sum", jax.ops.segment_sum, "sum")


@operation
def cdist(x: Any, y: Any) -> Any:
    """Return the Euclidean distance of every pair: ``(..., n, d), (..., m, d) -> (..., n, m)``.

    Raises:
        ShapeMismatch: If the last sizes differ or there are fewer than two axes.
    """
    x, y = as_array(x), as_array(y)
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1]:
        raise ShapeMismatch(
            "`cdist` needs points in the last two axes, of as many coordinates. "
            f"Received: x.shape={x.shape}, y.shape={y.shape}"
        )
    difference = x[..., :, None, :] - y[..., None, :, :]
    return jnp.sqrt(jnp.sum(difference * difference, axis=-1))


@operation
def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Any:
    """Return overlapping pieces of the last axis: ``(..., n) -> (..., pieces, sequence_length)``.

    >>> extract_sequences([1.0, 2.0, 3.0, 4.0], 2, 1).tolist()
    [[1.0, 2.0], [2.0, 3.0], [3.0, 4.0]]
    """
    return signal.frames(as_array(x), sequence_length, sequence_stride)


def _complex(x: Any) -> Any:
    """Return a pair of real and imaginary parts as complex numbers.

    Raises:
        InvalidArgument: If it is no pair of float arrays of one shape.
    """
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise InvalidArgument(
            f"Input `x` should be a tuple of two tensors - real and imaginary. Received: x={x}"
        )
    real, imaginary = map(as_array, x)
    if real.shape != imaginary.shape:
        raise InvalidArgument(
            "Both the real and imaginary parts should have the same shape. "
            f"Received: x[0].shape={real.shape}, x[1].shape={imaginary.shape}"
        )
    if not all(jnp.issubdtype(part.dtype, jnp.floating) for part in (real, imaginary)):
        raise InvalidArgument(
            f"At least one tensor in input `x` is not of type float. Received: {real.dtype}, {imaginary.dtype}"
        )
    return lax.complex(real, imaginary)


def _parts(x: Any) -> tuple[Any, Any]:
    return jnp.real(x), jnp.imag(x)


def _transform(name: str, function: Callable[..., Any], what: str) -> Callable[[Any], Any]:
    returns = f"{what}: a pair of real and imaginary parts, of one that ``x`` is"
    return unary(name, lambda z: _parts(function(z)), returns, _complex)


fft = _transform("fft", jnp.fft.fft, "the discrete Fourier transform of the last axis")
fft2 = _transform("fft2", jnp.fft.fft2, "the discrete Fourier transform of the last two axes")
ifft2 = _transform("ifft2", jnp.fft.ifft2, "the inverse of ``fft2``")


@operation
def rfft(x: Any, fft_length: int | None = None) -> Any:
    """Return the first half of the Fourier transform of real numbers.

    Args:
        x: ``(..., n)``.
        fft_length: To what length ``x`` is cut, or filled up with zeros; ``n`` when ``None``.

    Returns:
        Real and imaginary parts, ``(..., fft_length // 2 + 1)``.
    """
    return _parts(jnp.fft.rfft(as_array(x), n=fft_length))


@operation
def irfft(x: Any, fft_length: int | None = None) -> Any:
    """Return the real numbers whose ``rfft`` is the pair ``x``: ``(..., k) -> (..., fft_length)``."""
    return jnp.fft.irfft(_complex(x), n=fft_length)


def _check_stride(sequence_stride: Any) -> None:
    if not isinstance(sequence_stride, int) or sequence_stride <= 0:
        raise InvalidArgument(
            f"`sequence_stride` must be a positive integer. Received: sequence_stride={sequence_stride}"
        )


@operation
def stft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> Any:
    """Return the Fourier transforms of overlapping pieces of the last axis.

    Args:
        x: ``(..., n)``, float32 or float64.
        sequence_length: The length of a piece.
        sequence_stride: How far apart pieces begin.
        fft_length: The length of the transform, at least that of a piece.
        window: What pieces are multiplied by: ``"hann"``, ``"hamming"``, an array, or nothing for ``None``.
        center: Whether ``x`` is continued at its ends, so that a piece is centered on each stride.

    Returns:
        Real and imaginary parts, ``(..., pieces, fft_length // 2 + 1)``.

    Raises:
        UnexpectedArgument: If ``x`` is of another type.
        InvalidArgument: If stride, length or window don't fit.
    """
    _check_stride(sequence_stride)
    x = as_array(x)
    if x.dtype not in (jnp.float32, jnp.float64):
        raise UnexpectedArgument(f"Expected `float32` or `float64`. Received: input type={x.dtype}")
    return _parts(signal.stft(x, sequence_length, sequence_stride, fft_length, window, center))


@operation
def istft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Any:
    """Return what ``stft`` was made of.

    Args:
        x: Real and imaginary parts, ``(..., pieces, fft_length // 2 + 1)``.
        sequence_length: The length of a piece.
        sequence_stride: How far apart pieces begin.
        fft_length: The length of the transform.
        length: How much to return; all there is when ``None``.
        window: As for ``stft``.
        center: As for ``stft``.

    Returns:
        ``(..., length)``.
    """
    _check_stride(sequence_stride)
    z = _complex(x)
    if z.ndim < 2:
        raise ShapeMismatch(f"Input `x` must have at least 2 dimensions. Received shape: {z.shape}")
    return signal.istft(z, sequence_length, sequence_stride, fft_length, length, window, center)


@operation
def in_top_k(targets: Any, predictions: Any, k: int) -> Any:
    """Return whether each target is among the ``k`` largest predictions: ``(n,), (n, classes) -> (n,)``."""
    targets, predictions = as_array(targets), as_array(predictions)
    score = jnp.take_along_axis(predictions, targets[..., None], axis=-1)
    # NaN is no large probability.
    score = jnp.where(jnp.isnan(score), -jnp.inf, score)
    return jnp.sum(predictions > score, axis=-1) < k


@operation
def top_k(x: Any, k: int, sorted: bool = True) -> Any:
    """Return the ``k`` largest elements of the last axis, and where they are, the largest first.

    >>> [part.tolist() for part in top_k([1, 5, 3], 2)]
    [[5, 3], [1, 2]]
    """
    return tuple(lax.top_k(as_array(x), k))


@operation
def view_as_complex(x: Any) -> Any:
    """Return the pairs in the last axis as complex numbers: ``(..., 2) -> (...)``.

    Raises:
        ShapeMismatch: If the last axis is not of size 2.
    """
    x = as_array(x)
    if x.ndim < 1 or x.shape[-1] != 2:
        raise ShapeMismatch(
            f"Last dimension of input must be size 2 (real and imaginary). Received shape: {x.shape}"
        )
    return x[..., 0].astype("complex64") + 1j * x[..., 1].astype("complex64")


@operation
def view_as_real(x: Any) -> Any:
    """Return the real and imaginary parts of complex numbers in a new last axis: ``(...) -> (..., 2)``."""
    return jnp.stack(_parts(as_array(x)), axis=-1)
