"""Shape inference over open dimensions."""

import jax
import jax.numpy as jnp
import pytest

from kerasmagic.core import shapes
from kerasmagic.foundation.errors import InvalidArgument


def infer(function, *dims):
    return shapes.infer(
        function, [jax.ShapeDtypeStruct(shapes.named_dims(d), jnp.float32) for d in dims]
    ).shape


def test_open_dimensions_keep_their_names():
    assert str(infer(lambda x: x @ jnp.ones((5, 7)), (None, None, 5))) == "(batch, time, 7)"


def test_arithmetic_on_open_dimensions_is_shown():
    assert str(infer(lambda x: x.reshape((-1, 5)), (None, None, 5))) == "(batch*time, 5)"
    assert str(infer(lambda x: jnp.concatenate([x, x], axis=1), (None, None, 5))) == "(batch, 2*time, 5)"


def test_a_branch_on_an_open_size_falls_back_to_two_sizes():
    def head(x):
        return x[:, :3] if x.shape[1] > 3 else x

    assert str(infer(head, (None, None, 5))) == "(batch, 3, 5)"


def test_a_fallback_recovers_symbols_and_linear_changes():
    def shorter(x):
        return x[:, 2:] if x.shape[1] > 3 else x

    assert str(infer(shorter, (None, None))) == "(batch, time - 2)"


def test_of_symbols_that_grow_alike_the_nearest_is_taken():
    def smaller(x):
        return x[:, 1:-1, 1:-1] if x.shape[1] > 3 else x

    assert str(infer(smaller, (None, None, None, 2))) == "(batch, height - 2, width - 2, 2)"


def test_an_open_size_may_be_divisible():
    """What is halved and doubled again is the size it was, or a network with skips could not be open."""

    def there_and_back(x):
        return x + jnp.repeat(x[:, ::2], 2, axis=1)

    assert str(infer(there_and_back, (None, None, 5))) == "(batch, time, 5)"


def test_errors_of_the_function_come_through():
    with pytest.raises(TypeError, match="dot_general"):
        infer(lambda x: x @ jnp.ones((4, 7)), (None, 5))


def test_names_must_be_identifiers():
    with pytest.raises(InvalidArgument, match="identifier"):
        shapes.dimension("a b")


@pytest.mark.parametrize(("text", "value"), [("time // 2", 3), ("max(time, 2)", 7), ("time % 4", 3)])
def test_dimensions_are_evaluated(text, value):
    time = shapes.dimension("time")
    dim = {"time // 2": time // 2, "max(time, 2)": jax.core.max_dim(time, 2), "time % 4": time % 4}[text]
    assert shapes.evaluate(dim, {"time": 7}) == value
