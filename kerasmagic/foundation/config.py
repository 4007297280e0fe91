"""The process-wide numeric settings: default float type, epsilon, image layout, backend name."""

from __future__ import annotations

import dataclasses

from kerasmagic.foundation.errors import InvalidArgument

FLOAT_TYPES = ("bfloat16", "float16", "float32", "float64")


@dataclasses.dataclass
class Settings:
    floatx: str = "float32"
    epsilon: float = 1e-7
    image_data_format: str = "channels_last"
    flash_attention: bool | None = None


SETTINGS = Settings()


def floatx() -> str:
    """Return the default float type, for example ``"float32"``."""
    return SETTINGS.floatx


def set_floatx(value: str) -> None:
    """Set the default float type.

    Raises:
        InvalidArgument: If ``value`` is none of bfloat16, float16, float32, float64.
    """
    SETTINGS.floatx = _one_of("floatx", value, FLOAT_TYPES)


def epsilon() -> float:
    """Return the small number that guards divisions and logarithms."""
    return SETTINGS.epsilon


def set_epsilon(value: float) -> None:
    """Set the small number that guards divisions and logarithms."""
    SETTINGS.epsilon = float(value)


def image_data_format() -> str:
    """Return ``"channels_last"`` or ``"channels_first"``."""
    return SETTINGS.image_data_format


def set_image_data_format(data_format: str) -> None:
    """Set the default image layout.

    Raises:
        InvalidArgument: If it is neither ``"channels_last"`` nor ``"channels_first"``.
    """
    SETTINGS.image_data_format = standardize_data_format(data_format)


def standardize_data_format(data_format: str | None) -> str:
    """Return the image layout in lower case, the default one for ``None``.

    >>> standardize_data_format("Channels_First")
    'channels_first'
    """
    if data_format is None:
        return SETTINGS.image_data_format
    return _one_of("data_format", str(data_format).lower(), ("channels_last", "channels_first"))


def is_flash_attention_enabled() -> bool | None:
    """Return whether attention layers may use a fused kernel: ``False``, or ``None`` for where it pays."""
    return SETTINGS.flash_attention


def enable_flash_attention() -> None:
    """Let attention layers use a fused kernel where there is one; so it is from the start."""
    SETTINGS.flash_attention = None


def disable_flash_attention() -> None:
    """Let only those attention layers use a fused kernel that were made with ``flash_attention=True``."""
    SETTINGS.flash_attention = False


def backend() -> str:
    """Return ``"jax"``: the one backend there is."""
    return "jax"


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise InvalidArgument(f"`{name}` must be one of {allowed}. Received: {name}={value!r}")
    return value
