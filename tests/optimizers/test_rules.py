"""What optimizers leave to optax, and when optax is imported."""

from __future__ import annotations

import subprocess
import sys

import jax.numpy as jnp
import pytest

from kerasmagic import optimizers
from kerasmagic.optimizers.rules import scaled

# Imported in a process of its own: here a test before this one may have imported optax.
FIRST_STEPS = """
import sys
import jax, jax.numpy as jnp
import kerasmagic
from kerasmagic import optimizers
from kerasmagic.core.variable import Variable

w = Variable(jnp.ones(2), name="w")
optimizers.Adam(0.1).apply([jnp.ones(2)], [w])
optimizer = optimizers.RMSprop(0.1)
optimizer.build([w])
print("optax" in sys.modules)
arguments = [v.value for v in optimizer.variables], [jnp.ones(2)], [w.value]
with jax.checking_leaks():
    traced = jax.jit(optimizer.stateless_apply)(*arguments)
print("optax" in sys.modules)
again = optimizer.stateless_apply(*arguments)
print(bool(jnp.allclose(traced[0][0], again[0][0])))
"""


def test_optax_is_imported_at_the_first_step_that_needs_it() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_STEPS], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False", "True", "True"], done.stderr


@pytest.mark.parametrize("name", ["RMSprop", "Adagrad", "Adadelta", "Lion"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_shapes_and_dtypes_stay(name: str, dtype: str) -> None:
    optimizer = getattr(optimizers, name)()
    value = jnp.ones((2, 3), dtype)
    slots = {slot: jnp.full_like(value, 0.5) for group in optimizer.slot_groups() for slot in group}
    one = jnp.ones((), dtype)
    new, new_slots = optimizer.update(value, value, slots, one, one)
    assert new_slots.keys() == slots.keys()
    assert {(x.shape, x.dtype) for x in (new, *new_slots.values())} == {(value.shape, value.dtype)}


def test_names_are_checked() -> None:
    g = jnp.ones(1)
    with pytest.raises(KeyError, match="accumulator"):
        scaled("scale_by_rss", g, {}, {"sum_of_squares": "accumulator"})
    with pytest.raises(ValueError, match="sum"):
        scaled("scale_by_rss", g, {"accumulator": g}, {"sum": "accumulator"})
    with pytest.raises(AttributeError, match="scale_by_guess"):
        scaled("scale_by_guess", g, {}, {})
