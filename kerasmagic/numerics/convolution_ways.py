"""Ways to compute one convolution and its gradients, and the choice between them.

Products of matrices are faster than XLA's convolutions on CPU for some shapes, above all for few channels: of 128
images 28 x 28 x 1 with 32 kernels 3 x 3, the convolution takes 1.6 ms by places and 7 by XLA, the gradient of the
kernel 2.3 ms by patches and 8 by XLA (``python benchmarks/convolutions.py``). Which one wins depends on the machine
as well, so where the shape leaves it open it is measured; see ``foundation.measured``.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from kerasmagic.foundation.amount import likely
from kerasmagic.foundation.measured import choices_folder, choose
from kerasmagic.numerics import compiling
from kerasmagic.numerics.contraction import dense
from kerasmagic.numerics.windows import Sizes, closed

# With more of either, XLA's own way won wherever it was measured.
MOST_CHANNELS = 8
MOST_PLACES = 25
# Convolutions of fewer multiplications than this take microseconds either way.
FEWEST_MULTIPLICATIONS = 2**20


class Slide(NamedTuple):
    """How the windows of a channels-last convolution slide."""

    strides: Sizes
    pads: tuple[tuple[int, int], ...]
    dilation: Sizes


Way = Callable[[jax.Array, jax.Array, Slide], jax.Array]


def native(x: jax.Array, kernel: jax.Array, slide: Slide) -> jax.Array:
    """Convolve by XLA's own operation."""
    spatial = "DHW"[2 - x.ndim :]
    return lax.conv_general_dilated(
        x,
        kernel,
        slide.strides,
        slide.pads,
        rhs_dilation=slide.dilation,
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
    )


def by_places(x: jax.Array, kernel: jax.Array, slide: Slide) -> jax.Array:
    """Convolve by one product of matrices for each place of the kernel."""
    total: Any = 0
    for seen, weights in zip(_seen(x, kernel, slide), _places(kernel), strict=True):
        total = total + dense(seen, weights)
    return total


def by_patches(x: jax.Array, kernel: jax.Array, slide: Slide) -> jax.Array:
    """Convolve by one product with all that the places see, which takes as many times the memory of ``x``."""
    seen = _seen(x, kernel, slide)
    # The long axis last: what is copied then is copied in long runs.
    patches = jnp.concatenate([jnp.reshape(jnp.moveaxis(s, -1, 0), (s.shape[-1], -1)) for s in seen])
    weights = jnp.reshape(kernel, (-1, kernel.shape[-1]))
    y = lax.dot_general(patches, weights, (((0,), (0,)), ((), ())))
    return jnp.reshape(y, (*seen[0].shape[:-1], -1))


def _places(kernel: jax.Array) -> list[jax.Array]:
    places = itertools.product(*map(range, kernel.shape[:-2]))
    return [kernel[place] for place in places]


def _seen(x: jax.Array, kernel: jax.Array, slide: Slide) -> list[jax.Array]:
    """Return what each place of the kernel meets: as many arrays ``(batch, *windows, channels)``."""
    window = kernel.shape[:-2]
    x = jnp.pad(x, ((0, 0), *slide.pads, (0, 0)))
    # How far each axis goes for one place.
    extents = [size - (n - 1) * d for size, n, d in zip(x.shape[1:-1], window, slide.dilation, strict=True)]
    return [
        x[
            :,
            *(
                slice(p * d, p * d + extent, s)
                for p, d, s, extent in zip(place, slide.dilation, slide.strides, extents, strict=True)
            ),
        ]
        for place in itertools.product(*map(range, window))
    ]


# The first is taken while nothing is measured.
FORWARD: dict[str, Way] = {"native": native, "places": by_places}
KERNEL: dict[str, Way] = {"native": native, "patches": by_patches}


def open_to_choice(x: jax.Array, kernel: jax.Array) -> bool:
    """Whether it is worth while to measure which way is the fastest for these shapes, within a program."""
    *window, channels, filters = kernel.shape
    return (
        choices_folder() is not None
        and isinstance(x, Tracer)
        and x.dtype == jnp.float32
        and closed(_likely_shape(x))
        and channels <= MOST_CHANNELS
        and 1 < math.prod(window) <= MOST_PLACES
        and math.prod(_likely_shape(x)) * math.prod(window) * filters >= FEWEST_MULTIPLICATIONS
    )


def _likely_shape(x: jax.Array) -> tuple[Any, ...]:
    return tuple(map(likely, x.shape))


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def chosen(x: jax.Array, kernel: jax.Array, slide: Slide) -> jax.Array:
    """Convolve in the way that is the fastest for these shapes, and so for the gradient of the kernel.

    Args:
        x: ``(batch, *spatial, channels)``.
        kernel: ``(*window, channels, filters)``.
        slide: How the windows slide.

    Returns:
        ``(batch, *windows, filters)``.

    Example:

    >>> chosen(jnp.ones((1, 5, 1)), jnp.ones((3, 1, 2)), Slide((2,), ((0, 0),), (1,))).shape
    (1, 2, 2)
    """
    return _fastest("forward", FORWARD, x, kernel, slide)(x, kernel, slide)


def _chosen_jvp(slide: Slide, primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    """Compute each change in a way of its own.

    All of them are linear in what changes; JAX transposes them, and what gets transposed here is not computed.
    """
    x, kernel = primals
    dx, dkernel = (None if isinstance(t, jax.custom_derivatives.SymbolicZero) else t for t in tangents)
    y = chosen(x, kernel, slide)
    change: Any = jnp.zeros_like(y)
    if dx is not None:
        change = native(dx, kernel, slide)
    if dkernel is not None:
        by_kernel = _fastest("kernel", KERNEL, x, kernel, slide)(x, dkernel, slide)
        change = by_kernel if dx is None else change + by_kernel
    return y, change


chosen.defjvp(_chosen_jvp, symbolic_zeros=True)


def _fastest(which: str, ways: dict[str, Way], x: jax.Array, kernel: jax.Array, slide: Slide) -> Way:
    shapes = _likely_shape(x), tuple(kernel.shape)
    form = f"{which} of a convolution {shapes} {tuple(slide)} {x.dtype}"
    question = f"{form} on {jax.default_backend()} by jax {jax.__version__}"
    return ways[
        choose(
            question,
            {name: functools.partial(_ready, which, way, shapes, slide) for name, way in ways.items()},
        )
    ]


def _ready(which: str, way: Way, shapes: tuple[Sizes, Sizes], slide: Slide) -> Callable[[], object]:
    """Compile a way in the form it will run in, and return what runs it."""
    x, kernel = (jnp.full(shape, 0.5, jnp.float32) for shape in shapes)
    spec = jax.eval_shape(lambda: way(x, kernel, slide))

    def forward(x: Any, kernel: Any) -> Any:
        # What follows is fused with it.
        return jnp.maximum(way(x, kernel, slide), 0)

    def kernel_gradient(x: Any, gradient: Any) -> Any:
        return jax.linear_transpose(lambda k: way(x, k, slide), kernel)(gradient)

    operand = kernel if which == "forward" else jnp.full(spec.shape, 0.5, jnp.float32)
    program = compiling.program(forward if which == "forward" else kernel_gradient)
    return lambda: jax.block_until_ready(program(x, operand))
