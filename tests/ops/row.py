"""What a row of the tables says, and the arrays that many rows share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

RNG = np.random.default_rng(0)


class Row(NamedTuple):
    """One call; the name may have a submodule in front, ``image.resize``."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __str__(self) -> str:
        options = ",".join(f"{k}={v}" for k, v in self.kwargs.items() if np.ndim(v) == 0 or np.size(v) < 4)
        return f"{self.name}({options})"


def row(name: str, *args: Any, **kwargs: Any) -> Row:
    return Row(name, args, kwargs)


def words(text: str) -> list[str]:
    return text.split()


def real(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


def unit(*shape: int) -> np.ndarray:
    """Numbers between 0 and 1, both apart."""
    return RNG.uniform(0.05, 0.95, size=shape).astype("float32")


def whole(*shape: int, low: int = 0, high: int = 10, dtype: str = "int32") -> np.ndarray:
    return RNG.integers(low, high, size=shape).astype(dtype)


X, Y, N, M = real(3, 4), real(3, 4), whole(3, 4), whole(3, 4, low=1)
U, B, C = unit(3, 4), X > 0, (real(3, 4) + 1j * real(3, 4)).astype("complex64")
E3, SIGNAL = real(2, 3, 4), real(2, 32)
HOT = np.eye(4, dtype="float32")[[0, 2, 1]]
