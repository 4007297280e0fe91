"""Programs that compile soon rather than run fast."""

from __future__ import annotations

import functools
from typing import Any

import jax
from jax._src import compiler

# The way XLA writes loops it has fused takes three times as long to compile on a CPU as its older way.
OPTION = ("xla_cpu_use_fusion_emitters", False)
_original: Any = getattr(compiler, "get_compile_options", None)


def compile_cheaply(cheaply: bool) -> None:
    """Choose how this process compiles from now on; what it starts compiles as a user's process does.

    JAX takes an option of XLA for a single program, and the environment's ``XLA_FLAGS`` ends a process whose
    XLA does not know one of them. So it is added here to those of every program, where there is still such
    an option and such a place; without it the tests only take longer.
    """
    jax.config.update("jax_disable_most_optimizations", cheaply)
    if _original is not None and _known():
        compiler.get_compile_options = _extended if cheaply else _original


@functools.cache
def _known() -> bool:
    try:
        jax.jit(lambda: 0).lower().compile(compiler_options=dict([OPTION]))
    except jax.errors.JaxRuntimeError:
        return False
    return True


def _extended(*args: Any, **kwargs: Any) -> Any:
    options = _original(*args, **kwargs)
    options.env_option_overrides = [*options.env_option_overrides, OPTION]
    return options
