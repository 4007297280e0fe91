"""What is measured of many arrays at once, in one small program; only bins and sums leave the device.

Of a large array a sample is measured: every so many values, spread over all its rows and columns. All
samples stand in one long vector, so that the program has few instructions however many arrays there are:
it compiles in a fraction of a second for a thousand.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from kerasmagic.training.events import Histogram

BINS = 40
# The most values that are measured of one array, and of all together.
SAMPLE = 2**14
SAMPLES = 2**20
LEAST_SAMPLE = 2**8
# A unit of which fewer weights are in the sample is not judged.
WEIGHTS_OF_A_UNIT = 8

Array = Any
T = TypeVar("T")


class Summary(NamedTuple):
    """Of each of ``n`` arrays: ``counts (n, bins)``, and ``low``, ``high`` and ``bad`` ``(n,)``."""

    counts: Array
    low: Array
    high: Array
    bad: Array


class Movement(NamedTuple):
    """How far each of ``n`` arrays moved: relative to its size ``(n,)``, and the share of units that did not.

    A unit is a place of the last axis; the share is NaN where the sample has too few weights of each.
    """

    distance: Array
    still: Array


@dataclasses.dataclass(frozen=True)
class Places:
    """Which values of arrays are in the sample, and what they belong to.

    ``strides`` and ``sizes`` are by array; ``owner`` gives the array of each sampled value, ``unit`` its unit,
    counted through all arrays, and ``units`` how many units each array has.
    """

    strides: tuple[int, ...]
    sizes: tuple[int, ...]
    owner: np.ndarray
    unit: np.ndarray
    units: tuple[int, ...]

    @classmethod
    def of(cls, shapes: Sequence[tuple[int, ...]]) -> Places:
        """Choose a sample of arrays of these shapes."""
        limit = max(LEAST_SAMPLE, min(SAMPLE, SAMPLES // max(len(shapes), 1)))
        strides = tuple(stride_of(shape, limit) for shape in shapes)
        sizes = tuple(-(-math.prod(shape) // stride) for shape, stride in zip(shapes, strides, strict=True))
        units = tuple(shape[-1] if len(shape) > 1 else 1 for shape in shapes)
        owner = np.repeat(np.arange(len(shapes), dtype=np.int32), sizes)
        starts = np.cumsum([0, *units])
        unit = [
            start + np.arange(size) * stride % max(width, 1)
            for start, size, stride, width in zip(starts, sizes, strides, units, strict=False)
        ]
        return cls(strides, sizes, owner, np.concatenate([*unit, np.zeros(0)]).astype(np.int32), units)


def stride_of(shape: tuple[int, ...], limit: int) -> int:
    """Return a step through the values of an array that meets about ``limit``, from every row and column.

    >>> stride_of((100, 10), 2000), stride_of((1000, 1000), 2000)
    (1, 501)
    """
    stride = max(1, -(-math.prod(shape) // limit))
    # A step that has a divisor in common with the width would meet the same columns again and again.
    while stride > 1 and any(math.gcd(stride, size) > 1 for size in shape):
        stride += 1
    return stride


def sampled(values: Sequence[Array], places: Places) -> Array:
    """Return the sample of all arrays as one float32 vector."""
    parts = [
        value.reshape(-1)[::stride].astype(jnp.float32)
        for value, stride in zip(values, places.strides, strict=True)
    ]
    return jnp.concatenate([*parts, jnp.zeros(0, jnp.float32)])


def summary(vector: Array, places: Places, bins: int = BINS) -> Summary:
    """Return the histogram of each array from the sample ``vector`` of all of them."""
    count, owner = len(places.sizes), jnp.asarray(places.owner)
    finite = jnp.isfinite(vector)
    low = jnp.full(count, jnp.inf).at[owner].min(jnp.where(finite, vector, jnp.inf))
    high = jnp.full(count, -jnp.inf).at[owner].max(jnp.where(finite, vector, -jnp.inf))
    low, high = jnp.where(low <= high, low, 0.0), jnp.where(low <= high, high, 0.0)
    # Halves, because the difference of two large numbers may be infinite.
    width = jnp.where(high > low, high / 2 - low / 2, 1.0)
    part = (vector / 2 - low[owner] / 2) / width[owner]
    place = jnp.clip((part * bins).astype(jnp.int32), 0, bins - 1)
    # The place behind the last bin is for what has none.
    place = jnp.where(finite, place, bins) + (bins + 1) * owner
    counts = jnp.zeros(count * (bins + 1), jnp.int32).at[place].add(1).reshape(count, bins + 1)
    return Summary(counts[:, :bins], low, high, counts[:, bins])


def movement(vector: Array, before: Array, places: Places) -> Movement:
    """Return how far the arrays moved between two samples."""
    count, owner, unit = len(places.sizes), jnp.asarray(places.owner), jnp.asarray(places.unit)
    distance = relative_distance(vector - before, vector, owner, count)
    units = sum(places.units)
    moved = jnp.zeros(units, jnp.int32).at[unit].max((vector != before).astype(jnp.int32))
    owner_of_unit = np.repeat(np.arange(count), places.units)
    still = 1.0 - jnp.zeros(count).at[owner_of_unit].add(moved) / jnp.asarray(places.units, jnp.float32)
    judged = [
        width > 1 and size >= WEIGHTS_OF_A_UNIT * width
        for size, width in zip(places.sizes, places.units, strict=True)
    ]
    return Movement(distance, jnp.where(jnp.asarray(judged, bool), still, jnp.nan))


def relative_distance(difference: Array, vector: Array, owner: Array, count: int) -> Array:
    """Return the length of ``difference`` over that of ``vector``, for the part of each array: ``(count,)``."""
    lengths = jnp.zeros((count, 2)).at[owner].add(jnp.stack([difference**2, vector**2], axis=1))
    return jnp.sqrt(lengths[:, 0]) / jnp.sqrt(jnp.maximum(lengths[:, 1], 1e-30))


class OnDevice(Mapping[str, T]):
    """Values by name that are still on the device; the first that is read fetches all of them.

    Args:
        names: One for each value.
        numbers: A structure of arrays, maybe still to be computed.
        read: Gives the value of a place from the fetched structure.

    Example:

    >>> import jax.numpy as jnp
    >>> dict(OnDevice(["a", "b"], jnp.arange(2.0), lambda host, place: float(host[place])))
    {'a': 0.0, 'b': 1.0}
    """

    def __init__(self, names: Sequence[str], numbers: Any, read: Callable[[Any, int], T]):
        self._index = {name: place for place, name in enumerate(names)}
        self._numbers = numbers
        self._read = read

    @functools.cached_property
    def host(self) -> Any:
        """The structure with NumPy arrays; waits for the device."""
        return jax.device_get(self._numbers)

    def __getitem__(self, name: str) -> T:
        return self._read(self.host, self._index[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)


def histograms_of(names: Sequence[str], places: Places, found: Summary) -> OnDevice[Histogram]:
    """Return the histograms of a summary by name."""
    return OnDevice(names, found, lambda host, place: histogram_at(host, place, places))


def histogram_at(found: Summary, place: int, places: Places) -> Histogram:
    """Return the histogram of one array from a summary that is on the host."""
    counts, low, high, bad = (part[place] for part in found)
    return Histogram(counts, float(low), float(high), int(bad), places.strides[place])


def histograms(names: Sequence[str], values: Sequence[Array], bins: int = BINS) -> OnDevice[Histogram]:
    """Return a histogram of each array, computed by one program and still on the device.

    >>> import jax.numpy as jnp
    >>> seen = histograms(["kernel"], [jnp.array([0.0, 1.0, 1.0])], bins=2)["kernel"]
    >>> seen.counts.tolist(), seen.low, seen.high
    ([1, 2], 0.0, 1.0)
    """
    places = Places.of([tuple(value.shape) for value in values])
    return histograms_of(names, places, _summarized(list(values), places.strides, bins=bins))


@functools.partial(jax.jit, static_argnames=("strides", "bins"))
def _summarized(values: list[Array], strides: tuple[int, ...], *, bins: int) -> Summary:
    places = Places.of([tuple(value.shape) for value in values])
    return summary(sampled(values, places), places, bins)


class Probe:
    """Looks at the weights of a model now and then: their histograms, and how far they moved in between.

    Between two looks it keeps the sample, at most 4 MB, and nothing else of the weights.

    Args:
        names: The paths of the variables.
        values: Arrays of their shapes and types.

    Example:

    >>> import jax.numpy as jnp
    >>> probe = Probe(["kernel"], [jnp.ones((8, 2))])
    >>> seen, moved = probe([jnp.ones((8, 2))])
    >>> seen["kernel"].low, moved is None
    (1.0, True)
    >>> _, moved = probe([jnp.array([[1.0, 2.0]] * 8)])
    >>> round(float(moved.distance[0]), 2), float(moved.still[0])
    (0.45, 0.5)
    """

    def __init__(self, names: Sequence[str], values: Sequence[Array]):
        self.names = tuple(names)
        self.program = program_for(tuple((tuple(value.shape), str(value.dtype)) for value in values))
        self.places = self.program.places
        self._before: Array = None

    def __call__(self, values: Sequence[Array]) -> tuple[OnDevice[Histogram], Movement | None]:
        """Measure arrays ``values``; there is no movement at the first look. Nothing waits for the device."""
        first = self._before is None
        before = np.zeros(sum(self.places.sizes), np.float32) if first else self._before
        self._before, seen, moved = self.program.run(list(values), before)
        return histograms_of(self.names, self.places, seen), None if first else moved


class Program:
    """The program of a probe for arrays of given shapes and types.

    Args:
        specs: Shape and type of each array.
    """

    def __init__(self, specs: tuple[tuple[tuple[int, ...], str], ...]):
        self.places = Places.of([shape for shape, _ in specs])
        self._specs = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in specs]
        self.run: Callable[[list[Array], Array], tuple[Array, Summary, Movement]] = jax.jit(self._measure)

    def prepared(self) -> Callable[[], None]:
        """Return what compiles the program, to be called on any thread: tracing is done by then."""
        vector = jax.ShapeDtypeStruct((sum(self.places.sizes),), np.float32)
        lowered = self.run.lower(self._specs, vector) if hasattr(self.run, "lower") else None  # pyright: ignore[reportFunctionMemberAccess]

        def compile_it() -> None:
            if lowered is not None:
                self.run = lowered.compile()

        return compile_it

    def _measure(self, values: list[Array], before: Array) -> tuple[Array, Summary, Movement]:
        vector = sampled(values, self.places)
        return vector, summary(vector, self.places), movement(vector, before, self.places)


@functools.lru_cache(maxsize=8)
def program_for(specs: tuple[tuple[tuple[int, ...], str], ...]) -> Program:
    """Return the program for arrays of these shapes and types; another run of a model finds it compiled."""
    return Program(specs)
