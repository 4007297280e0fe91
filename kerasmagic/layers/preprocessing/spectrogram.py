"""Spectrograms of signals: the strength of each frequency over time, by trainable kernels or on the mel scale."""

from __future__ import annotations

import math
import warnings
from typing import Any

import jax
import jax.numpy as jnp

from kerasmagic.core.dtypes import standardize_dtype
from kerasmagic.core.input_spec import InputSpec
from kerasmagic.core.serialization import deserialize_keras_object
from kerasmagic.foundation.arguments import one_of, positive_integer
from kerasmagic.foundation.config import epsilon, standardize_data_format
from kerasmagic.foundation.errors import InvalidArgument, UnexpectedArgument
from kerasmagic.initializers import STFT
from kerasmagic.layers.base import LibraryLayer
from kerasmagic.numerics import spectrogram as numerics
from kerasmagic.numerics.windows import channel_axis, require_room

_FLOATS = ("float16", "float32", "float64")


class _Spectrogram(LibraryLayer):
    """A layer whose window may be an array."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make the layer from what ``get_config`` returned."""
        return cls(**{**config, "window": deserialize_keras_object(config.get("window", "hann"))})


class STFTSpectrogram(_Spectrogram):
    """Computes a short-time Fourier transform by convolution with kernels, which may be trained.

    Each channel is cut into overlapping frames, and each frame is multiplied by a window and transformed. The
    kernels begin as windowed sines and cosines.

    Args:
        mode: ``"log"``, ``"magnitude"`` or ``"psd"`` (power, of both the frequency and its mirror image) say how strong
            each frequency is; ``"angle"`` is its phase; ``"real"`` and ``"imag"`` are the parts of the transform,
            ``"stft"`` both, one after the other.
        frame_length: Samples in a frame.
        frame_step: How far apart frames begin; half a frame when ``None``.
        fft_length: The length of the transform, best a power of two; when ``None`` the least one that
            is not below ``frame_length``.
        window: The name of a window of ``scipy.signal.windows``, its values ``(frame_length,)``, or ``None``.
        periodic: Whether a named window is one period of a periodic one, rather than symmetric.
        scaling: ``"density"`` divides by the window's L2 norm, ``"spectrum"`` by its L1 norm; ``None`` by neither.
        padding: ``"valid"``, or ``"same"`` for zeros at both ends: ``samples / frame_step`` frames, rounded up.
        expand_dims: Whether the output is an image of frames and frequencies.
        data_format: ``"channels_last"`` or ``"channels_first"``; the default one when ``None``.

    Shapes:
        Input ``(batch, samples, channels)``; output ``(batch, frames, channels * frequencies)``, or
        ``(batch, frames, frequencies, channels)`` with ``expand_dims``. For ``channels_first``: input
        ``(batch, channels, samples)``; output ``(batch, channels * frequencies, frames)`` or
        ``(batch, channels, frames, frequencies)``. There are ``fft_length // 2 + 1`` frequencies, twice as
        many in mode ``"stft"``. Weights ``real_kernel`` and ``imag_kernel``, as far as the mode needs them, of
        shape ``(frame_length, 1, fft_length // 2 + 1)``.

    Raises:
        InvalidArgument: If a word is unknown, or ``1 <= frame_step <= frame_length <= fft_length`` does not hold.
        ShapeMismatch: If a window has another length, or no frame fits into the input.
        UnexpectedArgument: When called on anything but float16, float32 or float64.

    Example:

    >>> layer = STFTSpectrogram(frame_length=256, frame_step=128, fft_length=512, padding="same", expand_dims=True)
    >>> layer(jnp.ones((3, 1600, 2))).shape
    (3, 13, 257, 2)
    """

    def __init__(
        self,
        mode: str = "log",
        frame_length: int = 256,
        frame_step: int | None = None,
        fft_length: int | None = None,
        window: Any = "hann",
        periodic: bool = False,
        scaling: str | None = "density",
        padding: str = "valid",
        expand_dims: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.mode = one_of("mode", mode, numerics.MODES)
        self.frame_length = positive_integer("frame_length", frame_length)
        self.frame_step = frame_step
        self.fft_length = fft_length
        self._check_lengths()
        self.window = window
        self.periodic = periodic
        self.scaling = scaling
        self._initializer("real")
        self.padding = one_of("padding", padding, ("valid", "same"))
        self.expand_dims = expand_dims
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=3)

    def _check_lengths(self) -> None:
        frame, step, fft = self.frame_length, self.frame_step, self.fft_length
        if step is not None and not 1 <= step <= frame:
            raise InvalidArgument(
                "`frame_step` must be a positive integer not above `frame_length`: no sample may fall between frames. "
                f"Received: frame_step={step}, frame_length={frame}"
            )
        if fft is not None and fft < frame:
            raise InvalidArgument(
                f"`fft_length` must not be below `frame_length`. Received: fft_length={fft}, frame_length={frame}"
            )
        if fft is not None and fft & (fft - 1):
            warnings.warn(f"`fft_length` should be a power of two. Received: fft_length={fft}", stacklevel=4)

    def _initializer(self, side: str) -> STFT:
        return STFT(side, self.window, self.scaling, self.periodic)

    def build(self, input_shape: Any) -> None:
        self._require_room(input_shape)
        fft_length = self.fft_length or 2 ** math.ceil(math.log2(self.frame_length))
        shape = (self.frame_length, 1, fft_length // 2 + 1)
        self.real_kernel = self._kernel("real", shape) if self.mode != "imag" else None
        self.imag_kernel = self._kernel("imag", shape) if self.mode != "real" else None

    def _kernel(self, side: str, shape: tuple[int, ...]) -> Any:
        return self.add_weight(shape=shape, initializer=self._initializer(side), name=f"{side}_kernel")

    def _require_room(self, shape: Any) -> None:
        samples = shape[1 if self.data_format == "channels_last" else 2]
        who = f"Layer {self.name!r} (STFTSpectrogram)"
        require_room([samples], [self.frame_length], self.padding, who)

    def call(self, inputs: Any) -> Any:
        dtype = standardize_dtype(inputs.dtype)
        if dtype not in _FLOATS:
            raise UnexpectedArgument(
                f"Invalid input type. Layer {self.name!r} (STFTSpectrogram) expects one of {', '.join(_FLOATS)}. "
                f"Received: {dtype}",
                hint="Use a dtype policy of one of these, and convert integers with `kerasmagic.ops.cast`.",
            )
        self._require_room(inputs.shape)
        kernels = [k.value.astype(dtype) for k in (self.real_kernel, self.imag_kernel) if k is not None]
        x = jnp.moveaxis(inputs, channel_axis(self.data_format), 1)
        step = self.frame_step or max(1, self.frame_length // 2)
        parts = numerics.transform(x, kernels, step, self.padding)
        # A mode of one part has one kernel: first and last are the same.
        y = numerics.spectrogram(parts[0], parts[-1], self.mode, epsilon())
        return numerics.arranged(y, self.data_format, self.expand_dims)


class MelSpectrogram(_Spectrogram):
    """Computes spectrograms on the mel scale, in decibels: how loud each pitch sounds over time.

    The signal, reflected at both ends, is cut into frames that are centered at the multiples of ``sequence_stride``.
    The powers of the frequencies of each are summed up by overlapping triangular filters; their
    formula is that of S. Young et al., The HTK Book.

    Args:
        fft_length: The length of the transform.
        sequence_stride: How far apart frames begin.
        sequence_length: Samples in a frame; ``fft_length`` when ``None``.
        window: ``"hann"``, ``"hamming"``, values ``(sequence_length,)``, or ``None``.
        sampling_rate: Samples per second.
        num_mel_bins: How many filters.
        min_freq: Where the first filter begins, in hertz.
        max_freq: Where the last filter ends; half the sampling rate when ``None``.
        power_to_db: Whether the output is in decibels.
        top_db: How many decibels below the largest value of the whole batch all others are cut off.
        mag_exp: The exponent of the magnitudes: 1 for magnitudes themselves, 2 for power.
        min_power: What smaller powers count as in decibels.
        ref_power: The power of 0 decibels.

    Shapes:
        Input ``(samples,)`` or ``(batch, samples)``; output ``(num_mel_bins, frames)`` or
        ``(batch, num_mel_bins, frames)``. It is computed in float32 at least.

    Raises:
        InvalidArgument: If ``sequence_length`` is above ``fft_length``, another number is impossible, or a window
            is none of these.

    Example:

    >>> layer = MelSpectrogram(num_mel_bins=64, sampling_rate=8000, sequence_stride=256)
    >>> layer(jnp.ones((2, 16000))).shape
    (2, 64, 63)
    """

    def __init__(
        self,
        fft_length: int = 2048,
        sequence_stride: int = 512,
        sequence_length: int | None = None,
        window: Any = "hann",
        sampling_rate: int = 16000,
        num_mel_bins: int = 128,
        min_freq: float = 20.0,
        max_freq: float | None = None,
        power_to_db: bool = True,
        top_db: float = 80.0,
        mag_exp: float = 2.0,
        min_power: float = 1e-10,
        ref_power: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._allow_non_tensor_positional_args = True
        self.fft_length = positive_integer("fft_length", fft_length)
        self.sequence_stride = positive_integer("sequence_stride", sequence_stride)
        self.sequence_length = positive_integer("sequence_length", sequence_length or fft_length)
        if self.fft_length < self.sequence_length:
            raise InvalidArgument(
                "`fft_length` must be greater than or equal to `sequence_length`. "
                f"Received: sequence_length={sequence_length}, fft_length={fft_length}"
            )
        self.window = window
        self.sampling_rate = sampling_rate
        self.num_mel_bins = positive_integer("num_mel_bins", num_mel_bins)
        self.min_freq = min_freq
        self.max_freq = max_freq or int(sampling_rate / 2)
        self.power_to_db = power_to_db
        self.top_db = top_db
        self.mag_exp = mag_exp
        self.min_power = min_power
        self.ref_power = ref_power

    def call(self, inputs: Any) -> Any:
        dtype = jnp.promote_types(self.compute_dtype, "float32")
        x = jnp.asarray(inputs, dtype)
        spectra = numerics.magnitudes(
            x, self.sequence_length, self.sequence_stride, self.fft_length, self.window, self.mag_exp
        )
        filters = self.linear_to_mel_weight_matrix(
            self.num_mel_bins, spectra.shape[-1], self.sampling_rate, self.min_freq, self.max_freq, dtype
        )
        y = spectra @ filters
        if self.power_to_db:
            y = numerics.decibels(y, self.ref_power, self.min_power, self.top_db)
        return jnp.swapaxes(y, -1, -2).astype(self.compute_dtype)

    def linear_to_mel_weight_matrix(
        self,
        num_mel_bins: int = 20,
        num_spectrogram_bins: int = 129,
        sampling_rate: float = 8000,
        lower_edge_hertz: float = 125.0,
        upper_edge_hertz: float = 3800.0,
        dtype: Any = "float32",
    ) -> jax.Array:
        """Return the matrix by which spectra are multiplied to bring them to the mel scale.

        Args:
            num_mel_bins: How many filters.
            num_spectrogram_bins: How many frequencies a spectrum has, from 0 to half the sampling rate.
            sampling_rate: Samples per second.
            lower_edge_hertz: Where the first filter begins.
            upper_edge_hertz: Where the last filter ends.
            dtype: The type of the result.

        Returns:
            ``(num_spectrogram_bins, num_mel_bins)``.

        Example:

        >>> MelSpectrogram().linear_to_mel_weight_matrix().shape
        (129, 20)
        """
        filters = numerics.mel_filters(
            num_mel_bins, num_spectrogram_bins, sampling_rate, lower_edge_hertz, upper_edge_hertz
        )
        return jnp.asarray(filters, dtype)
