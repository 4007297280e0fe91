"""Large models for a GPU, in bfloat16 where that is safe: a GPT-like transformer of 110M parameters and ResNet-50.

Examples::

    python -m benchmarks.large                                   # both, with kerasmagic, Keras and raw JAX
    python -m benchmarks.large gpt --peers kerasmagic raw-jax --rounds 5
    python -m benchmarks.large --size tiny                       # whether it runs, on any device

Every measurement is a fresh process. ``mfu`` is the share of the device's highest bfloat16 rate that the arithmetic of
forward and backward (three times that of forward, as XLA counts it) comes to; it is left out for a device whose rate
is not known, unless ``--peak`` gives it.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import importlib.util
import json
import time
from collections.abc import Callable

import numpy as np

from benchmarks import fresh
from benchmarks.peers import raw_large
from benchmarks.peers.keras_large import KerasLarge
from benchmarks.table import rows_of, table

PEERS = {"kerasmagic": "kerasmagic", "keras": "keras", "raw-jax": "jax"}
# Dense bfloat16 in TFLOP/s, from the makers' data sheets.
PEAK = {"H200": 989, "H100": 989, "A100": 312, "L40": 181, "L4": 121, "A10": 125}


@dataclasses.dataclass(frozen=True)
class Size:
    """How large the models are.

    Args:
        batch: Samples in a batch, by model.
        steps: Steps that are timed.
        vocabulary: Tokens that the transformer knows.
        time: Tokens in a sample.
        width: Units of the transformer.
        blocks: Blocks of the transformer.
        heads: Heads of its attention.
        image: Height and width of an image.
        filters: Channels of ResNet's first stage.
        classes: Kinds of image.
    """

    batch: dict[str, int]
    steps: int
    vocabulary: int
    time: int
    width: int
    blocks: int
    heads: int
    image: int
    filters: int
    classes: int


SIZES = {
    "full": Size({"gpt": 16, "resnet50": 128}, 30, 16_384, 1_024, 768, 12, 12, 224, 64, 1_000),
    "tiny": Size({"gpt": 2, "resnet50": 2}, 2, 64, 16, 32, 2, 2, 32, 4, 10),
}
TITLES = {
    "gpt": "GPT: {blocks} blocks of {heads} heads, width {width}, time {time}, vocabulary {vocabulary}",
    "resnet50": "ResNet-50: {image}x{image}x3, {classes} classes",
}


def main(arguments: list[str] | None = None) -> None:
    """Measure what the command line asks for."""
    options = _parse(arguments)
    if options.only:
        print(json.dumps(measure(*options.only, SIZES[options.size], options.peak)))
        return
    peers = [peer for peer in options.peers if importlib.util.find_spec(PEERS[peer])]
    for peer in set(options.peers) - set(peers):
        print(f"left out: {peer} ({PEERS[peer]} is not installed; pip install -e '.[bench]')")
    size = SIZES[options.size]
    for model in options.models or TITLES:
        figures: dict[str, list[dict[str, float]]] = {peer: [] for peer in peers}
        for _ in range(options.rounds):
            for peer in peers:
                figures[peer].append(_worker(peer, model, options))
        title = TITLES[model].format(**dataclasses.asdict(size))
        print(f"\n{title}, batch {size.batch[model]}, mixed bfloat16", flush=True)
        higher, plain = frozenset({"samples_per_s"}), frozenset({"mfu", "loss"})
        print(table(rows_of(figures), "raw-jax", higher, plain), flush=True)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.large", description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", choices=[*TITLES, []], help="both unless told")
    parser.add_argument("--peers", nargs="+", choices=[*PEERS], default=[*PEERS])
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes a peer (default 3)")
    parser.add_argument("--size", choices=[*SIZES], default="full")
    parser.add_argument("--peak", type=float, help="the device's TFLOP/s in bfloat16")
    parser.add_argument("--only", nargs=2, metavar=("PEER", "MODEL"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _worker(peer: str, model: str, options: argparse.Namespace) -> dict[str, float]:
    peak = ["--peak", str(options.peak)] if options.peak else []
    return fresh.run("benchmarks.large", "--only", peer, model, "--size", options.size, *peak)


def measure(peer: str, model: str, size: Size, peak: float | None = None) -> dict[str, float]:
    """Return samples per second and, where the device is known, the share of its rate."""
    import jax

    batch = size.batch[model]
    x, y = DATA[model](np.random.default_rng(0), batch * size.steps, size)
    make = raw_large.RawLarge if peer == "raw-jax" else functools.partial(KerasLarge, PEERS[peer])
    trained = make(model, size)
    trained.fit(x, y, batch)
    began = time.perf_counter()
    loss = trained.fit(x, y, batch)
    rate = len(x) / (time.perf_counter() - began)
    figures = {"samples_per_s": rate, "loss": loss}
    kind = jax.devices()[0].device_kind
    peak = peak or next((float(rate) for name, rate in PEAK.items() if name in kind.split()[-1]), None)
    if peak:
        figures["mfu"] = 3 * raw_large.forward_flops(model, size) * rate / (1e12 * peak)
    return figures


def _text(rng: np.random.Generator, samples: int, size: Size) -> tuple[np.ndarray, np.ndarray]:
    # What comes next follows from what came: a model that learns shows.
    steps = rng.integers(1, 4, (samples, size.time + 1))
    text = (np.cumsum(steps, axis=1) % size.vocabulary).astype(np.int32)
    return text[:, :-1], text[:, 1:]


def _images(rng: np.random.Generator, samples: int, size: Size) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.integers(0, size.classes, samples).astype(np.int32)
    images = rng.normal(size=(samples, size.image, size.image, 3)).astype(np.float32)
    return images + labels[:, None, None, None] / size.classes, labels


DATA: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {"gpt": _text, "resnet50": _images}


if __name__ == "__main__":
    main()
