"""The kernel of a layer cut into pictures, one for each filter where it is that of a convolution."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.models.looks import Kernels, found_layer

MOST_TILES = 64
# A matrix is thinned to at most this many rows and columns.
LARGEST_SIDE = 256
COLUMNS = 16


class Tiles(NamedTuple):
    """Pictures ``(n, h, w)`` or ``(n, h, w, 3)``, how many go beside each other, and what they are."""

    pictures: np.ndarray
    columns: int
    meaning: str


def kernels(model: Any, layer: Any, most: int = MOST_TILES) -> Kernels:
    """Return the kernel of a layer as at most ``most`` pictures."""
    if not isinstance(most, int) or most < 1:
        raise InvalidArgument(f"`most` must be a positive integer. Received: most={most!r}")
    owner = found_layer(model, layer)
    kernel = np.asarray(_kernel(owner)).astype(np.float32)
    tiles = _tiles(owner, kernel)
    pictures = tiles.pictures[:most]
    return Kernels(owner.name, kernel.shape, pictures, tiles.columns, len(tiles.pictures), tiles.meaning)


def _kernel(layer: Any) -> Any:
    candidates = [v for v in layer.weights if len(v.shape) > 1 and math.prod(v.shape)]
    named = [v for v in candidates if v.name.endswith("kernel")]
    if not candidates:
        raise InvalidArgument(
            f"Layer {layer.name!r} ({type(layer).__name__}) has no kernel to show: none of its weights is a matrix "
            "or more. A layer without weights may have to be built first."
        )
    # Quantized and factored kernels are shown as what they stand for.
    whole = getattr(layer, "kernel", None)
    if named and getattr(whole, "shape", None) == named[0].shape:
        return getattr(whole, "value", whole)
    return max(named or candidates, key=lambda v: len(v.shape)).value


def _tiles(layer: Any, kernel: np.ndarray) -> Tiles:
    kind = type(layer).__name__
    if "Conv" not in kind or kernel.ndim not in (3, 4, 5):
        matrix = kernel.reshape(kernel.shape[0], -1)
        rows, columns = (-(-size // LARGEST_SIDE) for size in matrix.shape)
        thinned = f", every {rows}th row" * (rows > 1) + f", every {columns}th column" * (columns > 1)
        return Tiles(matrix[::rows, ::columns][None], 1, f"inputs by outputs{thinned}")
    if "Transpose" in kind:
        kernel = np.swapaxes(kernel, -1, -2)
    if "Depthwise" in kind or "Separable" in kind:
        kernel = kernel.reshape(*kernel.shape[:-2], 1, -1)
    if kernel.ndim == 3:
        return Tiles(
            np.transpose(kernel, (2, 1, 0)), COLUMNS // 2, "a picture for each filter, channels by time"
        )
    if kernel.ndim == 5:
        # Depth after depth, side by side.
        kernel = np.concatenate(list(kernel), axis=1)
    *_, channels, filters = kernel.shape
    if channels == 3:
        return Tiles(
            np.moveaxis(kernel, -1, 0), COLUMNS, "a picture for each filter, its channels as colours"
        )
    if channels == 1:
        return Tiles(np.moveaxis(kernel[..., 0, :], -1, 0), COLUMNS, "a picture for each filter")
    each = np.transpose(kernel, (3, 2, 0, 1)).reshape(filters * channels, *kernel.shape[:2])
    return Tiles(each, min(channels, COLUMNS), f"a picture for each of {channels} channels of each filter")
