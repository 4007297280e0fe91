"""Rows of the layers that make spectrograms."""

from __future__ import annotations

from typing import Any

from tests.layers.case import Case

NO_BFLOAT16 = "Keras refuses bfloat16 when called: test_spectrogram.py"
MIXED = frozenset({"mixed_precision"})
SMALL = {"frame_length": 8, "frame_step": 3}


def stft(config: dict[str, Any], inputs: tuple[int, ...] = (2, 20, 3), **more: Any) -> Case:
    """Return a row of a small transform."""
    return Case("STFTSpectrogram", {**SMALL, **config}, inputs, skip=MIXED, note=NO_BFLOAT16, **more)


STFT: list[Case] = [
    stft({}),
    *(stft({"mode": mode}) for mode in ("magnitude", "psd", "real", "imag", "angle", "stft")),
    stft({"mode": "psd", "padding": "same"}, open_axes=(0, 1)),
    stft({"mode": "stft", "expand_dims": True}, open_axes=(0, 1)),
    stft({"mode": "magnitude", "data_format": "channels_first"}, (2, 3, 20), open_axes=(0, 2)),
    stft(
        {"mode": "real", "data_format": "channels_first", "expand_dims": True}, (2, 3, 20), open_axes=(0, 2)
    ),
    stft({"mode": "imag", "fft_length": 20, "padding": "same", "window": None}, (1, 11, 1)),
    stft({"window": "blackman", "periodic": True, "scaling": "spectrum"}, (2, 9, 1)),
    stft({"window": [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5], "scaling": None}, (2, 8, 1)),
    stft({"frame_length": 7, "frame_step": None, "trainable": False}),
]

TINY = {"fft_length": 32, "sequence_stride": 8, "num_mel_bins": 5, "sampling_rate": 8000}


def mel(config: dict[str, Any], inputs: tuple[int, ...] = (2, 100), **more: Any) -> Case:
    """Return a row of a small mel spectrogram."""
    return Case("MelSpectrogram", {**TINY, **config}, inputs, **more)


MEL: list[Case] = [
    mel({}, open_axes=(0, 1)),
    mel({}, (100,)),
    mel({"mag_exp": 1.0, "power_to_db": False}),
    mel({"mag_exp": 1.5, "min_freq": 300.0, "max_freq": 3000.0, "top_db": 10.0}),
    mel({"sequence_length": 20, "window": "hamming", "ref_power": -2.0, "min_power": 1.0}),
    mel({"window": None, "fft_length": 30, "sampling_rate": 11025}, (3, 64)),
    mel({"window": [0.5] * 32, "power_to_db": False}, (3, 64), dtype="int32"),
]

CASES = [*STFT, *MEL]
