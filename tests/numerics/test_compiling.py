"""The options that programs are compiled with."""

from __future__ import annotations

import jax
import pytest

from kerasmagic.numerics import compiling

LEVEL = "xla_backend_optimization_level"


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the options are for CPUs")
def test_who_wants_no_optimization_gets_none():
    before = jax.config.read("jax_disable_most_optimizations")
    try:
        found = {}
        for least in (True, False):
            jax.config.update("jax_disable_most_optimizations", least)
            found[least] = compiling.options()
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
    assert LEVEL in found[False]
    assert set(found[False]) - set(found[True]) == {LEVEL}


def test_options_that_xla_does_not_know_are_left_out(monkeypatch):
    monkeypatch.setattr(compiling, "CPU_OPTIONS", {"xla_no_such_option": "1"})
    compiling._known.cache_clear()
    try:
        assert compiling.options() is None
        assert compiling.program(lambda x: x + 1)(1) == 2
    finally:
        compiling._known.cache_clear()
