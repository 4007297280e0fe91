"""Seeds: integers that fix a draw, and generators that give a new one each time."""

from __future__ import annotations

import random as python_random
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from kerasmagic.core.scope import get_stateless_scope, name_scope
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.naming import auto_name
from kerasmagic.foundation.registry import RANDOM


def make_default_seed() -> int:
    """Return a seed from Python's generator, so that ``random.seed`` fixes it."""
    return python_random.randint(1, int(1e9))


class SeedGenerator:
    """Gives a fresh seed each time it is asked, in a sequence fixed by ``seed``.

    Args:
        seed: An integer; drawn at random when ``None``.
        name: Its name.

    Raises:
        InvalidArgument: If ``seed`` is no integer.

    Example:

    >>> generator = SeedGenerator(seed=42)
    >>> generator.next().tolist(), generator.next().tolist()
    ([42, 0], [42, 1])
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any):
        kwargs.pop("backend", None)
        if kwargs:
            raise InvalidArgument(f"Unrecognized keyword arguments: {kwargs}")
        self.name = name or auto_name(type(self).__name__)
        self._initial_seed = seed
        start = make_default_seed() if seed is None else seed
        if not isinstance(start, int):
            raise InvalidArgument(f"`seed` must be an integer. Received: seed={seed!r}")
        with name_scope(self.name, caller=self):
            self.state = Variable(
                lambda shape, dtype: np.array([start, 0], dtype=dtype),
                shape=(2,),
                dtype="uint32",
                trainable=False,
                name="seed_generator_state",
            )

    def next(self, ordered: bool = True) -> jax.Array:
        """Return the current seed, shape ``(2,)``, and move on."""
        seed = self.state.value
        if ordered:
            self.state.assign(seed + jnp.array([0, 1], dtype=jnp.uint32))
        else:
            self.state.assign((seed + 1) * 5387 % 933199)
        return seed

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this generator again."""
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """Make a generator from what ``get_config`` returned."""
        return cls(**config)


RANDOM.add(SeedGenerator)
_global: list[SeedGenerator] = []


def global_seed_generator() -> SeedGenerator:
    """Return the generator behind draws without a seed.

    Raises:
        InvalidArgument: Inside a JAX trace, where such a draw would become a constant.
    """
    scope = get_stateless_scope()
    if not (scope is not None and scope.abstract) and isinstance(jnp.zeros(()), Tracer):
        raise InvalidArgument(
            "An unseeded random function was traced by JAX: it would give the same values at every call. "
            "Give the layer a `keras.random.SeedGenerator` as an attribute and pass that as `seed`."
        )
    if not _global:
        _global.append(SeedGenerator())
    return _global[0]


def reset_global_seed() -> None:
    """Forget the generator behind draws without a seed: Python's generator starts the next one."""
    _global.clear()


def draw_seed(seed: Any) -> Any:
    """Return a seed as an array of shape ``(2,)``.

    Args:
        seed: A ``SeedGenerator``, an integer, a seed array, or ``None`` for the global generator.

    Raises:
        InvalidArgument: If it is none of these.
    """
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if isinstance(seed, (int, np.integer)):
        return jnp.array([seed, 0], dtype=jnp.uint32)
    if isinstance(seed, (jax.Array, np.ndarray)):
        return seed
    if seed is None:
        return global_seed_generator().next(ordered=False)
    raise InvalidArgument(
        "Argument `seed` must be either an integer or an instance of `SeedGenerator`. "
        f"Received: seed={seed!r} (of type {type(seed)})"
    )
