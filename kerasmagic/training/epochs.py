"""Numbers of epochs: which are allowed, and after which of them to validate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasmagic.foundation.errors import InvalidArgument


def check_epochs(numbers: Mapping[str, Any]) -> None:
    """Raise ``InvalidArgument`` if a number of epochs is none."""
    for name, value in numbers.items():
        if not hasattr(value, "__index__") or value < 0:
            raise InvalidArgument(f"`{name}` must be a whole number from 0 on. Received: {name}={value!r}")


def check_frequency(frequency: Any) -> None:
    """Raise ``InvalidArgument`` if ``validation_freq`` says nothing."""
    listed = [frequency] if hasattr(frequency, "__index__") else frequency
    if not isinstance(listed, (list, tuple, set, range)) or any(each < 1 for each in listed):
        raise InvalidArgument(
            "`validation_freq` must be a number of epochs from 1 on, or a list of epochs counted from 1. "
            f"Received: validation_freq={frequency!r}"
        )


def is_due(epoch: int, frequency: Any) -> bool:
    """Return whether to validate after an epoch, counted from 0."""
    return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else epoch + 1 in frequency
