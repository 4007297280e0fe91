"""Small pictures for pages: arrays as PNG, without a library for images.

A pixel that is nearer to nothing is nearer to transparent, so the pictures suit light and dark pages.
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

ACCENT = (25, 118, 210)
OPPOSITE = (230, 81, 0)
# Shades of an opposite sign in one picture.
LEVELS = 127


def shaded(shades: np.ndarray) -> bytes:
    """Return a PNG of shades ``(h, w)`` from 0, transparent, to 255, the full accent colour.

    >>> shaded(np.array([[0, 255]], np.uint8))[:4]
    b'\\x89PNG'
    """
    palette = [(*ACCENT, alpha) for alpha in range(256)]
    return _indexed(np.asarray(shades, np.uint8), palette)


def signed(values: np.ndarray, largest: float) -> bytes:
    """Return a PNG of numbers ``(h, w)``: blue above 0, orange below, as strong as their size over ``largest``."""
    with np.errstate(invalid="ignore"):
        parts = np.nan_to_num(np.clip(values / (largest or 1.0), -1.0, 1.0))
    palette = [(*OPPOSITE, 2 * (LEVELS - level)) for level in range(LEVELS)]
    palette += [(*ACCENT, 2 * level) for level in range(LEVELS + 1)]
    return _indexed(np.round(parts * LEVELS + LEVELS).astype(np.uint8), palette)


def coloured(pixels: np.ndarray) -> bytes:
    """Return a PNG of colours ``(h, w, 3)`` from 0 to 1; what is outside is cut off."""
    height, width, _ = pixels.shape
    whole = np.round(255 * np.clip(np.nan_to_num(pixels), 0.0, 1.0)).astype(np.uint8)
    return _file(width, height, 2, whole.reshape(height, -1))


def uri(png: bytes) -> str:
    """Return a PNG as an address that holds it.

    >>> uri(b"x")
    'data:image/png;base64,eA=='
    """
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def tiled(tiles: np.ndarray, columns: int, gap: int = 1) -> np.ndarray:
    """Return tiles ``(n, h, w, ...)`` beside and below each other, NaN in the gaps between.

    >>> tiled(np.zeros((3, 2, 2)), columns=2).shape
    (5, 5)
    """
    count, height, width, *rest = tiles.shape
    rows = -(-count // columns)
    page = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, *rest), np.nan)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top, left = row * (height + gap), column * (width + gap)
        page[top : top + height, left : left + width] = tile
    return page


def _indexed(pixels: np.ndarray, palette: list[tuple[int, ...]]) -> bytes:
    height, width = pixels.shape
    colours = bytes(part for colour in palette for part in colour[:3])
    alphas = bytes(colour[3] for colour in palette)
    return _file(width, height, 3, pixels, _chunk(b"PLTE", colours) + _chunk(b"tRNS", alphas))


def _file(width: int, height: int, kind: int, rows: np.ndarray, more: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    # Each row begins with the number of its filter: none.
    lines = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    data = zlib.compress(lines.tobytes(), 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + more + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
