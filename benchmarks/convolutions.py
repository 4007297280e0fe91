"""Ways to compute a convolution and its gradients on CPU, by shape.

Run ``python benchmarks/convolutions.py``, best on one core (``taskset -c 0``). A line for each shape and each pass:
milliseconds by XLA's defaults, which hand it to YNNPACK, by XLA's own kernels as kerasmagic asks for them, and by
products of matrices: by places and by patches. The least of several rounds, in which all ways take turns.

With ``--groups`` convolutions in groups, with ``--transposed`` transposed ones: by XLA's defaults, and as kerasmagic
computes them.
"""

from __future__ import annotations

import argparse
import functools
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
from kerasmagic.numerics.convolution import convolution, transposed_convolution

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
# The same, and how many groups the channels are in.
GROUPS = (
    (32, 32, 64, 64, 3, 1, "SAME", 64),
    (32, 16, 128, 128, 3, 1, "SAME", 128),
    (32, 32, 64, 64, 3, 2, "SAME", 64),
    (16, 56, 32, 32, 5, 1, "SAME", 32),
    (8, 28, 192, 192, 7, 1, "SAME", 192),
    (32, 28, 16, 32, 3, 1, "SAME", 16),
    (8, 28, 64, 64, 3, 1, "SAME", 4),
    (8, 28, 128, 128, 3, 1, "SAME", 32),
    (8, 14, 256, 256, 3, 2, "SAME", 32),
)
TRANSPOSED = (
    (32, 7, 128, 64, 5, 2, "SAME"),
    (32, 14, 64, 1, 5, 2, "SAME"),
    (32, 14, 64, 32, 3, 2, "SAME"),
    (32, 28, 32, 1, 3, 1, "SAME"),
    (8, 32, 64, 32, 2, 2, "VALID"),
    (8, 16, 128, 64, 4, 2, "SAME"),
)
LAYOUT = ("NHWC", "HWIO", "NHWC")
Function = Callable[[jax.Array, jax.Array, jax.Array], Any]


def passes(function: Callable[[jax.Array, jax.Array], jax.Array]) -> dict[str, Function]:
    """Return a convolution and its gradients, as functions of input, kernel and the gradient of the output."""
    return {
        "forward": lambda x, k, g: jnp.maximum(function(x, k), 0),
        "kernel": lambda x, k, g: jax.vjp(lambda k: function(x, k), k)[1](g),
        "input": lambda x, k, g: jax.vjp(lambda x: function(x, k), x)[1](g),
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


def table(shapes: Any, columns: Callable[..., dict[str, Any]], rounds: int) -> None:
    """Print a line for each shape and each pass.

    Args:
        shapes: The convolutions.
        columns: Returns the ways by name, and ``x`` and ``kernel``, for one of them; the
            one that is compiled by XLA's defaults is called ``default``.
        rounds: How often each is timed.
    """
    rng = np.random.default_rng(0)
    for shape in shapes:
        ways_by_name, *sizes = columns(*shape)
        x, kernel = (jnp.asarray(rng.normal(size=size), jnp.float32) for size in sizes)
        output = jax.eval_shape(ways_by_name["default"], x, kernel)
        operands = x, kernel, jnp.asarray(rng.normal(size=output.shape), jnp.float32)
        if shape == shapes[0]:
            print(f"{'shape':<44}{'pass':<9}" + "".join(f"{name:>12}" for name in ways_by_name))
        for name in passes(ways_by_name["default"]):
            programs = {
                label: (jax.jit if label == "default" else compiling.program)(passes(way)[name])
                for label, way in ways_by_name.items()
            }
            times = milliseconds(programs, operands, rounds)
            print(f"{shape!s:<44}{name:<9}" + "".join(f"{ms:>12.2f}" for ms in times.values()), flush=True)


def plain(
    batch: int, size: int, channels: int, filters: int, window: int, stride: int, padding: str
) -> tuple[Any, ...]:
    """Return the ways of an ordinary convolution."""
    pads = lax.padtype_to_pads((size, size), (window, window), (stride, stride), padding)
    slide = ways.Slide((stride, stride), tuple(pads), (1, 1))
    by_name = {"default": ways.native, "native": ways.native, "places": ways.by_places}
    by_name["patches"] = ways.by_patches
    columns = {name: functools.partial(way, slide=slide) for name, way in by_name.items()}
    return columns, (batch, size, size, channels), (window, window, channels, filters)


def grouped(
    batch: int, size: int, channels: int, filters: int, window: int, stride: int, padding: str, groups: int
) -> tuple[Any, ...]:
    """Return XLA's convolution in groups, and ours."""
    columns = {
        "default": lambda x, k: lax.conv_general_dilated(
            x, k, (stride, stride), padding, dimension_numbers=LAYOUT, feature_group_count=groups
        ),
        "kerasmagic": lambda x, k: convolution(x, k, strides=stride, padding=padding.lower()),
    }
    return columns, (batch, size, size, channels), (window, window, channels // groups, filters)


def transposed(
    batch: int, size: int, channels: int, filters: int, window: int, stride: int, padding: str
) -> tuple[Any, ...]:
    """Return XLA's transposed convolution, and ours."""
    columns = {
        "default": lambda x, k: lax.conv_transpose(
            x, k, (stride, stride), padding, dimension_numbers=LAYOUT, transpose_kernel=True
        ),
        "kerasmagic": lambda x, k: transposed_convolution(x, k, strides=stride, padding=padding.lower()),
    }
    return columns, (batch, size, size, channels), (window, window, filters, channels)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--groups", action="store_true", help="convolutions in groups")
    parser.add_argument("--transposed", action="store_true", help="transposed convolutions")
    options = parser.parse_args()
    keep_freed_memory()
    if options.groups:
        table(GROUPS, grouped, options.rounds)
    if options.transposed:
        table(TRANSPOSED, transposed, options.rounds)
    if not (options.groups or options.transposed):
        table(SHAPES, plain, options.rounds)


if __name__ == "__main__":
    main()
