"""A curve that never grows past a fixed number of points, however long the run; thinning and smoothing of it."""

from __future__ import annotations

import dataclasses
import struct

import numpy as np

MAX_POINTS = 1000
_POINT = "dd"


@dataclasses.dataclass(frozen=True)
class Curve:
    """Points of a curve, one in ``stride`` of those given, and always the newest.

    Example:

    >>> curve = Curve()
    >>> for step in range(5000):
    ...     curve = curve.append(step, 1 / (step + 1))
    >>> x, y = curve.points()
    >>> len(x) <= MAX_POINTS, int(x[0]), int(x[-1])
    (True, 0, 4999)
    """

    # Pairs of float64: a million points a day are copied in no time, and nobody can change them.
    kept: bytes = b""
    newest: bytes = b""
    given: int = 0
    stride: int = 1

    def append(self, x: float, y: float) -> Curve:
        """Return the curve with one more point; the amortized cost does not depend on the length."""
        point = struct.pack(_POINT, x, y)
        if self.given % self.stride:
            return Curve(self.kept, point, self.given + 1, self.stride)
        kept, stride = self.kept + point, self.stride
        # One place stays free for the newest point, which may be one that is not kept.
        if len(kept) >= MAX_POINTS * len(point):
            kept, stride = _table(kept)[::2].tobytes(), stride * 2
        return Curve(kept, point, self.given + 1, stride)

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Return ``x`` and ``y``, each float64 of shape ``(n,)`` with ``n <= MAX_POINTS``; read only."""
        # The newest is among those kept exactly when it was its turn.
        late = (self.given - 1) % self.stride
        table = _table(self.kept + self.newest if late else self.kept)
        return table[:, 0], table[:, 1]

    def __len__(self) -> int:
        return len(self.kept) // struct.calcsize(_POINT)


def _table(points: bytes) -> np.ndarray:
    return np.frombuffer(points, np.float64).reshape(-1, 2)


def thinned(x: np.ndarray, y: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Return at most ``limit`` points of a curve ``(n,)``, evenly spaced, with the first and the last.

    Example:

    >>> x, _ = thinned(np.arange(1000.0), np.arange(1000.0), 5)
    >>> x.tolist()
    [0.0, 250.0, 500.0, 749.0, 999.0]
    """
    if len(x) <= limit:
        return x, y
    places = np.round(np.linspace(0, len(x) - 1, limit)).astype(int)
    return x[places], y[places]


def smoothed(y: np.ndarray, weight: float) -> np.ndarray:
    """Return the running mean of ``y`` of shape ``(n,)`` in which each older value counts ``weight`` times less.

    The mean is of the values so far, so it starts at the first one; a value that is not finite stays as it
    is and counts for nothing.

    Args:
        y: Values.
        weight: From 0, which changes nothing, to below 1.

    Example:

    >>> smoothed(np.array([4.0, 0.0, np.nan, 0.0]), 0.5).tolist()
    [4.0, 1.3333333333333333, nan, 0.5714285714285714]
    """
    if weight <= 0.0:
        return y
    result, total, mass = np.array(y, dtype=np.float64), 0.0, 0.0
    for index in np.flatnonzero(np.isfinite(result)):
        total, mass = total * weight + result[index], mass * weight + 1.0
        result[index] = total / mass
    return result
