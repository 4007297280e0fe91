"""How XLA is to compile the programs that are run again and again.

On CPU, XLA works with vectors of 256 bits unless told to prefer 512. Where a processor has these, a step of the CNN
and of the LSTM takes 0.9 of the time with them, one of the encoder 0.95 (``python -m benchmarks.options``).

LLVM is to optimize little, level 1: loops become vectors there too, and steps of the five workloads take 0.96 to 1.0
of the time of those from the highest level. To compile the LSTM takes 0.8 of the processor's time
(``python -m benchmarks cold --workloads lstm``). At level 0 steps take 1.5 to 2.9 times as long.

XLA also hands two-dimensional convolutions to YNNPACK, and its own older kernels are faster for nearly all that
a training step contains: the gradient of a kernel 1.2 to 9 times over twelve shapes, twice in the median, and the
convolution itself 1.3 times (``python benchmarks/convolutions.py``). With these options it keeps to its own.

Products of matrices YNNPACK does faster where they are small (the 32x64x64 of a small model in 0.8 of the time, those
of an LSTM in 0.7), and XLA's own kernels where they are large (4096x128x512 in 0.8, 4096x512x128 in 0.7). Which of
them, can be said for a whole program only: on one core a step of the encoder takes 0.86 of the time with XLA's own, one
of the MLP 0.93, one of the LSTM 1.15 (``python -m benchmarks.options``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax

F = TypeVar("F", bound=Callable[..., Any])

_LIBRARY = "xla_cpu_experimental_ynn_fusion_type"
_LEVEL = "xla_backend_optimization_level"
CPU_OPTIONS = {
    # What else YNNPACK does by default: products and reductions.
    _LIBRARY: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE",
    "xla_cpu_prefer_vector_width": "512",
    _LEVEL: "1",
}
# Instead of these, where most of the arithmetic is large products.
LARGE_PRODUCTS = {_LIBRARY: "LIBRARY_FUSION_TYPE_REDUCE"}
# From how many multiply-adds on a product is a large one.
LARGE_PRODUCT = 10_000_000


def traced_once(*fixed: str) -> Callable[[F], F]:
    """Let JAX keep the trace of a function, and of its gradient, for arguments of the same shapes.

    For the arithmetic that a model's layers repeat: what is compiled stays the same, but to trace 200 dense layers
    takes 0.6 of the time (``python -m benchmarks.growth depth``).

    Args:
        fixed: The names of arguments that are no arrays; they must be hashable.

    Example:

    >>> @traced_once("factor")
    ... def scaled(x, factor):
    ...     return factor * x
    >>> int(scaled(3, factor=2))
    6
    """
    return functools.partial(jax.jit, static_argnames=fixed)  # type: ignore[return-value]


def program(function: Callable[..., Any], donate: Sequence[int] = (), large_products: bool = False) -> Any:
    """Return ``jax.jit(function)`` with the options for this device; not to be called while tracing.

    Args:
        function: What to compile.
        donate: The arguments whose memory may be used for the results.
        large_products: Whether most of its arithmetic is in products of ``LARGE_PRODUCT`` multiply-adds or more.

    Example:

    >>> program(lambda x: 2 * x)(3)
    Array(6, dtype=int32, weak_type=True)
    """
    return jax.jit(function, donate_argnums=tuple(donate), compiler_options=options(large_products))


def options(large_products: bool = False) -> dict[str, str] | None:
    """Return the options for this device, or ``None`` where there are none or XLA does not know them."""
    if jax.default_backend() != "cpu" or not _known():
        return None
    # Who asks JAX for the least gets that.
    least = jax.config.read("jax_disable_most_optimizations")
    chosen = CPU_OPTIONS | LARGE_PRODUCTS if large_products else CPU_OPTIONS
    return {name: value for name, value in chosen.items() if not (least and name == _LEVEL)}


@functools.cache
def _known() -> bool:
    try:
        jax.jit(lambda: 0, compiler_options=CPU_OPTIONS).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
