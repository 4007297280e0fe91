"""Ways to compute a convolution and its gradients on CPU, by shape.

Run ``python benchmarks/convolutions.py``, best on one core (``taskset -c 0``). A line for each shape and each pass:
milliseconds by XLA's defaults, which hand it to YNNPACK, by XLA's own kernels as kerasmagic asks for them, and by
products of matrices: by places and by patches. The least of several rounds, in which all ways take turns.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from kerasmagic.core.memory import keep_freed_memory
from kerasmagic.numerics import compiling
from kerasmagic.numerics import convolution_ways as ways

# Batch, height and width, channels, filters, window, strides, padding.
SHAPES = (
    (128, 28, 1, 32, 3, 1, "VALID"),
    (32, 28, 1, 32, 3, 1, "VALID"),
    (128, 13, 32, 64, 3, 1, "VALID"),
    (32, 13, 32, 64, 3, 1, "VALID"),
    (32, 32, 3, 32, 3, 1, "SAME"),
    (16, 64, 3, 32, 3, 2, "SAME"),
    (8, 112, 3, 32, 7, 2, "SAME"),
    (32, 16, 64, 128, 3, 2, "SAME"),
    (32, 8, 128, 256, 3, 1, "SAME"),
    (8, 28, 128, 128, 3, 1, "SAME"),
    (1, 28, 32, 64, 3, 1, "SAME"),
)
Function = Callable[[jax.Array, jax.Array, jax.Array], Any]


def passes(way: ways.Way, slide: ways.Slide) -> dict[str, Function]:
    """Return the convolution and its gradients, as functions of input, kernel and the gradient of the output."""
    return {
        "forward": lambda x, k, g: jnp.maximum(way(x, k, slide), 0),
        "kernel": lambda x, k, g: jax.linear_transpose(lambda k: way(x, k, slide), k)(g),
        "input": lambda x, k, g: jax.linear_transpose(lambda x: way(x, k, slide), x)(g),
    }


def milliseconds(programs: dict[str, Callable[..., Any]], operands: Any, rounds: int) -> dict[str, float]:
    """Return the shortest time of each program."""
    best = dict.fromkeys(programs, float("inf"))
    for _ in range(rounds + 1):
        for name, program in programs.items():
            start = time.perf_counter()
            jax.block_until_ready(program(*operands))
            best[name] = min(best[name], 1e3 * (time.perf_counter() - start))
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    keep_freed_memory()
    rng = np.random.default_rng(0)
    print(f"{'shape':<40}{'pass':<9}{'default':>9}{'native':>9}{'places':>9}{'patches':>9}")
    for shape in SHAPES:
        batch, size, channels, filters, window, stride, padding = shape
        pads = lax.padtype_to_pads((size, size), (window, window), (stride, stride), padding)
        slide = ways.Slide((stride, stride), tuple(pads), (1, 1))
        x, kernel = (
            jnp.asarray(rng.normal(size=s), jnp.float32)
            for s in ((batch, size, size, channels), (window, window, channels, filters))
        )
        y = jax.eval_shape(lambda x, k, slide=slide: ways.native(x, k, slide), x, kernel)
        operands = x, kernel, jnp.asarray(rng.normal(size=y.shape), jnp.float32)
        for name, function in passes(ways.native, slide).items():
            programs = {"default": jax.jit(function), "native": compiling.program(function)}
            for label, way in (("places", ways.by_places), ("patches", ways.by_patches)):
                programs[label] = compiling.program(passes(way, slide)[name])
            times = milliseconds(programs, operands, options.rounds)
            print(f"{shape!s:<40}{name:<9}" + "".join(f"{ms:>9.2f}" for ms in times.values()), flush=True)


if __name__ == "__main__":
    main()
