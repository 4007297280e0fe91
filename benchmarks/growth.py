"""How time and memory grow with batch, depth, width and data: a stack of dense layers, each point a fresh process.

Examples::

    python -m benchmarks.growth                          # all axes, beside Keras; about ten minutes
    python -m benchmarks.growth depth --peers kerasmagic
    python -m benchmarks.growth depth --width 16         # where sending arrays is most of a step

``growth`` is how many times the time of a step has grown from the point above, and ``work`` how many times the
multiplications of a step have (of ``data``, where a step does not change: the samples). Time that grows faster than
work is a cost of our own.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.util
import json
import resource
import time
from typing import Any

import numpy as np

from benchmarks import fresh
from benchmarks.worker import count_compilation

FEATURES, CLASSES = 64, 10
# Steps that are timed, and what they do at least, in seconds.
STEPS, LONG_ENOUGH = 30, 0.5


@dataclasses.dataclass(frozen=True)
class Point:
    """The size of a model and its data.

    >>> Point(batch=1, depth=2, width=8).work(), Point(batch=1, depth=2, width=4).work()
    (656, 312)
    """

    batch: int = 64
    depth: int = 4
    width: int = 128
    data: int = 4096

    def work(self) -> int:
        """Return the multiplications of a sample's way through the layers, times the samples of a batch."""
        inner = (self.depth - 1) * self.width**2
        return self.batch * (FEATURES * self.width + inner + self.width * CLASSES)


AXES: dict[str, tuple[int, ...]] = {
    "batch": (16, 64, 256, 1024, 4096),
    "depth": (2, 8, 32, 100, 200),
    "width": (32, 128, 512, 2048),
    "data": (1_024, 16_384, 262_144),
}
PEERS = ("kerasmagic", "keras")


def measure(peer: str, point: Point) -> dict[str, float]:
    """Train a stack of dense layers and return what it took; meant for a process of its own."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(max(point.data, point.batch), FEATURES)).astype("float32")
    y = rng.integers(0, CLASSES, len(x)).astype("int32")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    keras: Any = importlib.import_module(peer)
    layers = [keras.layers.Dense(point.width, "relu") for _ in range(point.depth)]
    model = keras.Sequential([keras.Input((FEATURES,)), *layers, keras.layers.Dense(CLASSES)])
    model.compile(keras.optimizers.Adam(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    options = {"batch_size": point.batch, "verbose": 0}
    parts = count_compilation()
    begin = time.process_time()
    model.fit(x[: point.batch], y[: point.batch], **options)
    first, parts = time.process_time() - begin, dict(parts)
    epoch = -(-len(x) // point.batch)
    epochs = max(1, STEPS // epoch)

    def spent() -> float:
        begin = time.process_time()
        model.fit(x, y, epochs=epochs, **options)
        return time.process_time() - begin

    while spent() < LONG_ENOUGH:
        epochs *= 2
    # The better one: how many steps there are, and were, decides how they are sent, so either run may compile.
    took = min(spent(), spent())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "step_ms": 1e3 * took / (epochs * epoch),
        "first_fit_s": first,
        **parts,
        "peak_mb": peak / 1024,
        "grown_mb": (peak - before) / 1024,
    }


def table(axis: str, figures: dict[str, dict[int, dict[str, float]]], width: int = Point.width) -> str:
    """Return the figures along an axis as text: CPU-seconds, but for the parts of the first fit."""
    lines: list[tuple[str, ...]] = [
        (axis, "peer", "ms a step", "growth", "work", "first fit s", "trace", "compile", "peak MB")
    ]
    for peer, by_size in figures.items():
        before: tuple[float, float] | None = None
        for size, found in by_size.items():
            work = size if axis == "data" else Point(**{"width": width, axis: size}).work()
            took = found["step_ms"]
            grown = ("", "") if before is None else (f"{took / before[0]:.1f}", f"{work / before[1]:.1f}")
            first = (f"{found[name]:.2f}" for name in ("first_fit_s", "trace_s", "compile_s"))
            lines.append((f"{size:,}", peer, f"{took:.3g}", *grown, *first, f"{found['peak_mb']:.0f}"))
            before = took, work
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(map(str.rjust, line, widths)) for line in lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser("python -m benchmarks.growth", description=__doc__.splitlines()[0])
    parser.add_argument("axes", nargs="*", choices=[*AXES, []], help="all unless told")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS)
    parser.add_argument("--largest", type=int, help="leave out points beyond this size")
    parser.add_argument("--width", type=int, default=Point.width, help="of the layers, on the other axes")
    parser.add_argument("--point", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.point is not None:
        print(json.dumps(measure(options.peers[0], Point(**options.point))))
        return
    peers = [peer for peer in options.peers if importlib.util.find_spec(peer) is not None]
    for peer in sorted({*options.peers} - {*peers}):
        print(f"left out: {peer} (not installed; pip install -e '.[bench]')")
    for axis in options.axes or AXES:
        sizes = [size for size in AXES[axis] if size <= (options.largest or size)]
        figures: dict[str, dict[int, dict[str, float]]] = {peer: {} for peer in peers}
        for size in sizes:
            for peer in peers:
                figures[peer][size] = _worker(peer, {"width": options.width, axis: size})
        print(f"\n{table(axis, figures, options.width)}", flush=True)


def _worker(peer: str, point: dict[str, int]) -> dict[str, float]:
    given = ("--peers", peer, "--point", json.dumps(point))
    return fresh.run("benchmarks.growth", *given, environment={"JAX_ENABLE_COMPILATION_CACHE": "false"})


if __name__ == "__main__":
    main()
