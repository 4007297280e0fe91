"""Windows that slide over the spatial axes: where those axes are, and how many windows fit.

``rank`` is the number of spatial axes. ``channels_last`` is ``(batch, *spatial, channels)``,
``channels_first`` is ``(batch, channels, *spatial)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasmagic.foundation.errors import ShapeMismatch

Sizes = tuple[int, ...]


def spatial_axes(rank: int, data_format: str) -> Sizes:
    """Return the spatial axes of an input with ``rank`` of them.

    >>> spatial_axes(2, "channels_last"), spatial_axes(2, "channels_first")
    ((1, 2), (2, 3))
    """
    first = 1 if data_format == "channels_last" else 2
    return tuple(range(first, first + rank))


def channel_axis(data_format: str) -> int:
    """Return the axis of the channels."""
    return -1 if data_format == "channels_last" else 1


def over_spatial(values: Sequence[Any], data_format: str, other: Any) -> tuple[Any, ...]:
    """Return one value per axis: ``values`` for the spatial ones, ``other`` for batch and channels.

    >>> over_spatial((2, 3), "channels_first", 1)
    (1, 1, 2, 3)
    """
    return (other, *values, other) if data_format == "channels_last" else (other, other, *values)


def per_axis(value: int | Sequence[int], rank: int) -> Sizes:
    """Return ``rank`` integers; a single one stands for all of them."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


def closed(sizes: Sequence[Any]) -> bool:
    """Whether all sizes are numbers, none of them an open dimension."""
    return all(isinstance(size, int) for size in sizes)


def reach(window: Sequence[int], dilation: Sequence[int]) -> Sizes:
    """Return how far each axis of a dilated window reaches.

    >>> reach((3, 3), (1, 2))
    (3, 5)
    """
    return tuple((k - 1) * d + 1 for k, d in zip(window, dilation, strict=True))


def require_room(spatial: Sequence[Any], window: Sequence[int], padding: str, who: str) -> None:
    """Check that at least one window fits into the spatial sizes.

    Args:
        spatial: The sizes of the input; open ones (``None`` or a symbol) pass.
        window: The reach of the window.
        padding: Only ``"valid"`` demands room.
        who: Who asks, for the message.

    Raises:
        ShapeMismatch: If a window is larger than its axis.
    """
    if padding != "valid":
        return
    for size, wanted in zip(spatial, window, strict=True):
        if isinstance(size, int) and size < wanted:
            known = tuple(s if isinstance(s, int) else None for s in spatial)
            raise ShapeMismatch(
                f"{who}: the computed output size would be zero or negative. The window reaches over "
                f"{tuple(window)} and the spatial shape of the input is {known}: with padding='valid' each "
                "size of the input must be at least that of the window.",
                hint="Use padding='same', a smaller window, or a larger input.",
            )
