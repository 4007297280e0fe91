import jax
import numpy as np
import pytest

from kerasmagic.core import transfer
from kerasmagic.core.transfer import LARGE, filled_up, on_device


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "int64", "float64", "uint8", "bool"])
@pytest.mark.parametrize("size", [6, LARGE])
def test_an_array_of_the_host_may_change_after_it_was_put_on_the_device(size, dtype):
    given = (np.arange(size) % 100).reshape(2, -1).astype(dtype)
    before = given.copy()
    placed = on_device(given)
    given[:] = 0
    assert placed.dtype == jax.dtypes.canonicalize_dtype(dtype)
    np.testing.assert_array_equal(placed, before.astype(placed.dtype))


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="only the host's memory can be taken as it is")
def test_a_large_array_is_copied_once(monkeypatch):
    made = []
    memory = transfer._memory
    monkeypatch.setattr(transfer, "_memory", lambda *args: made.append(memory(*args)) or made[-1])
    placed = on_device(np.ones((LARGE // 4, 1), "float32")[::-1])
    assert transfer._is_kept(placed, made[0])


def test_a_large_array_of_the_host_can_be_given_away():
    placed = on_device(np.ones(LARGE // 4, "float32"))
    more = jax.jit(lambda x: x + 1, donate_argnums=0)(placed)
    assert placed.is_deleted()
    np.testing.assert_array_equal(more, np.full(LARGE // 4, 2.0))


@pytest.mark.parametrize("dtype", ["float32", "int64", "bfloat16"])
def test_filling_up_repeats_the_last_row(dtype):
    given = np.arange(6).reshape(3, 2).astype(jax.numpy.dtype(dtype))
    placed = filled_up(given, 5)
    np.testing.assert_array_equal(placed, given[[0, 1, 2, 2, 2]])
