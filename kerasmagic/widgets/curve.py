"""A curve that never grows past a fixed number of points, however long the run."""

from __future__ import annotations

import dataclasses

import numpy as np

MAX_POINTS = 1000


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

    kept: tuple[tuple[float, float], ...] = ()
    newest: tuple[float, float] | None = None
    given: int = 0
    stride: int = 1

    def append(self, x: float, y: float) -> Curve:
        """Return the curve with one more point; the amortized cost does not depend on the length."""
        point = (x, y)
        if self.given % self.stride:
            return Curve(self.kept, point, self.given + 1, self.stride)
        kept, stride = (*self.kept, point), self.stride
        # One place stays free for the newest point, which may be one that is not kept.
        if len(kept) >= MAX_POINTS:
            kept, stride = kept[::2], stride * 2
        return Curve(kept, point, self.given + 1, stride)

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Return ``x`` and ``y``, each float64 of shape ``(n,)`` with ``n <= MAX_POINTS``."""
        pairs = self.kept
        if self.newest is not None and (not pairs or pairs[-1] != self.newest):
            pairs = (*pairs, self.newest)
        table = np.asarray(pairs, dtype=np.float64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def __len__(self) -> int:
        return len(self.kept)
