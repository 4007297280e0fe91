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
from collections.abc import Callable, Sequence
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
# Each is an operation of its own to compile.
MOST_PRODUCTS = 64
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
        feature_group_count=x.shape[-1] // kernel.shape[-2],
    )


def by_places(x: jax.Array, kernel: jax.Array, slide: Slide) -> jax.Array:
    """Convolve by one product of matrices for each place of the kernel."""
    total: Any = 0
    for seen, weights in zip(seen_by_places(x, kernel, slide), places_of(kernel), strict=True):
        total = total + dense(seen, weights)
    return total


def by_patches(x: jax.Array, kernel: jax.Array, slide: Slide) -> jax.Array:
    """Convolve by one product with all that the places see, which takes as many times the memory of ``x``."""
    seen = seen_by_places(x, kernel, slide)
    # The long axis last: what is copied then is copied in long runs.
    patches = jnp.concatenate([jnp.reshape(jnp.moveaxis(s, -1, 0), (s.shape[-1], -1)) for s in seen])
    weights = jnp.reshape(kernel, (-1, kernel.shape[-1]))
    y = lax.dot_general(patches, weights, (((0,), (0,)), ((), ())))
    return jnp.reshape(y, (*seen[0].shape[:-1], -1))


def usual(kernel: jax.Array) -> Way:
    """Return the way that is the faster one for most convolutions with windows like the kernel's."""
    places, rank = math.prod(kernel.shape[:-2]), kernel.ndim - 2
    # By places three axes take 16 ms instead of 56 (4 x 16^3, 16 to 16 channels), 3 and 7 times less with
    # strides or few channels; the gradient of one place takes a fifth.
    return by_places if places == 1 or (rank == 3 and places <= MOST_PRODUCTS) else native


def padded(x: jax.Array, pads: Sequence[tuple[int, int]]) -> jax.Array:
    """Return ``x`` with zeros around its spatial axes, or with less where a number is negative."""
    if not any(map(any, pads)):
        return x
    *others, (before, after) = pads
    width, channels = x.shape[-2:]
    # With the last two axes as one, XLA copies longer runs: 1.6 ms instead of 2.4 (32 images 32 x 32 x 64).
    merged = jnp.reshape(x, (*x.shape[:-2], width * channels))
    config = ((0, 0, 0), *((a, b, 0) for a, b in others), (before * channels, after * channels, 0))
    wide = lax.pad(merged, jnp.zeros((), x.dtype), config)
    return jnp.reshape(wide, (*wide.shape[:-1], width + before + after, channels))


def places_of(kernel: jax.Array) -> list[jax.Array]:
    """Return the weights ``(in, out)`` of each place of a kernel."""
    places = itertools.product(*map(range, kernel.shape[:-2]))
    return [kernel[place] for place in places]


def seen_by_places(x: jax.Array, kernel: jax.Array, slide: Slide) -> list[jax.Array]:
    """Return what each place of the kernel meets: as many arrays ``(batch, *windows, channels)``."""
    window = kernel.shape[:-2]
    x = padded(x, slide.pads)
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


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def transposed(x: jax.Array, kernel: jax.Array, slide: Slide, sizes: Sizes) -> jax.Array:
    """Return the gradient of a convolution with respect to its input.

    The gradient of the kernel takes 7 ms instead of 446 by this rule (strides of 2, 32 images 7 x 7, 128 channels to
    64, 5 x 5; ``python benchmarks/convolutions.py --transposed``): XLA has no fast way for what JAX makes of it.

    Args:
        x: ``(batch, *windows, filters)``: the gradient with respect to the convolution's output.
        kernel: ``(*window, channels, filters)``, the kernel of that convolution.
        slide: How its windows slide.
        sizes: The spatial sizes of its input.

    Returns:
        ``(batch, *sizes, channels)``.

    Example:

    >>> slide = Slide((2,), ((0, 0),), (1,))
    >>> transposed(jnp.ones((1, 2, 6)), jnp.ones((3, 4, 6)), slide, (5,)).shape
    (1, 5, 4)
    """
    y = jax.ShapeDtypeStruct((x.shape[0], *sizes, kernel.shape[-2]), x.dtype)
    return jax.linear_transpose(lambda y: usual(kernel)(y, kernel, slide), y)(x)[0]


def _transposed_jvp(slide: Slide, sizes: Sizes, primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    x, kernel = primals
    dx, dkernel = (None if isinstance(t, jax.custom_derivatives.SymbolicZero) else t for t in tangents)
    y = transposed(x, kernel, slide, sizes)

    def kernel_gradient(y: jax.Array) -> jax.Array:
        return jax.linear_transpose(lambda k: usual(kernel)(y, k, slide), kernel)(x)[0]

    change: Any = jnp.zeros_like(y)
    if dx is not None:
        change = transposed(dx, kernel, slide, sizes)
    if dkernel is not None:
        # Transposed once more it is the gradient that the convolution itself has, which XLA computes well.
        by_kernel = jax.linear_transpose(kernel_gradient, y)(dkernel)[0]
        change = by_kernel if dx is None else change + by_kernel
    return y, change


transposed.defjvp(_transposed_jvp, symbolic_zeros=True)


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
