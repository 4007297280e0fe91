"""Values and all kinds of gradients of a convolution, to compare ways of computing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Way = Callable[[Any, Any], Any]


def draw(*shape: int, dtype: str = "float32") -> Any:
    return jnp.asarray(np.random.default_rng(shape).normal(size=shape), dtype)


def assert_same(way: Way, reference: Way, x: Any, kernel: Any, forward: bool = True) -> None:
    """Check that two functions have the same values and gradients of all kinds.

    Args:
        way: A function of the input and the kernel.
        reference: What it should do.
        x: The input.
        kernel: The kernel.
        forward: Whether the function itself can be differentiated in forward mode.
    """
    for result, wanted in zip(
        _jet(way, x, kernel, forward), _jet(reference, x, kernel, forward), strict=True
    ):
        np.testing.assert_allclose(result, wanted, rtol=1e-4, atol=1e-4)


def _jet(way: Way, x: Any, kernel: Any, forward: bool) -> list[Any]:
    """Return the convolution and its gradients: with respect to both, by both rules, and of a gradient."""

    def value(x: Any, kernel: Any) -> Any:
        return jnp.sum(jnp.sin(way(x, kernel)))

    def slope(x: Any, kernel: Any) -> Any:
        return sum(jnp.sum(jnp.cos(g)) for g in jax.grad(value, (0, 1))(x, kernel))

    @jax.jit
    def all_of_it(x: Any, kernel: Any) -> Any:
        return [
            way(x, kernel),
            jax.grad(value, (0, 1))(x, kernel),
            jax.grad(value, 0)(x, kernel),
            jax.grad(value, 1)(x, kernel),
            jax.jvp(value if forward else jax.grad(value, 1), (x, kernel), (x, kernel))[1],
            jax.grad(slope, (0, 1))(x, kernel),
        ]

    return jax.tree.leaves(all_of_it(x, kernel))
