"""How XLA is to compile the programs that are run again and again.

On CPU, XLA works with vectors of 256 bits unless told to prefer 512. Where a processor has these, a step of the CNN
takes 0.9 of the time with them and one of the LSTM 0.95 (``python -m benchmarks.options``).

XLA also hands two-dimensional convolutions to YNNPACK, and its own older kernels are faster for nearly all that
a training step contains: the gradient of a kernel 1.2 to 9 times over twelve shapes, twice in the median, and the
convolution itself 1.3 times (``python benchmarks/convolutions.py``). With these options it keeps to its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax

CPU_OPTIONS = {
    # What else YNNPACK does by default: products and reductions.
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE",
    "xla_cpu_prefer_vector_width": "512",
}


def program(function: Callable[..., Any], donate: Sequence[int] = ()) -> Any:
    """Return ``jax.jit(function)`` with the options for this device; not to be called while tracing.

    Args:
        function: What to compile.
        donate: The arguments whose memory may be used for the results.

    Example:

    >>> program(lambda x: 2 * x)(3)
    Array(6, dtype=int32, weak_type=True)
    """
    return jax.jit(function, donate_argnums=tuple(donate), compiler_options=options())


@functools.cache
def options() -> dict[str, str] | None:
    """Return the options for this device, or ``None`` where there are none or XLA does not know them."""
    if jax.default_backend() != "cpu":
        return None
    try:
        jax.jit(lambda: 0, compiler_options=CPU_OPTIONS).lower().compile()
    except jax.errors.JaxRuntimeError:
        return None
    return CPU_OPTIONS
