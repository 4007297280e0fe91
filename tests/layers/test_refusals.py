"""Bad arguments and inputs: an error as Keras raises, that says which layer refused what, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kerasmagic import layers
from kerasmagic.core.layer import Layer
from kerasmagic.foundation.errors import InvalidArgument, KerasMagicError
from tests.layers.evaluation import Library, oracle, ours, quiet
from tests.layers.refusals import AS_KERAS, STRICTER, Refusal


def zeros(library: Library, shape: tuple[int | None, ...]) -> Any:
    return library.symbolic(shape) if None in shape else np.zeros(shape, "float32")


def refused(library: Library, row: Refusal) -> tuple[Exception | None, Any]:
    """Return what making and calling a layer raises, and the layer if it could be made."""
    make, *inputs, _ = row
    layer = None
    try:
        with quiet():
            layer = eval(make, dict(vars(library.layers)))
            for shapes in inputs:
                many = isinstance(shapes, list)
                layer([zeros(library, s) for s in shapes] if many else zeros(library, shapes))
    except Exception as error:
        return error, layer
    return None, layer


def name_of(row: Refusal) -> str:
    return " on ".join(map(str, row[:-1]))


@pytest.mark.parametrize("row", AS_KERAS + STRICTER, ids=name_of)
def test_the_layer_what_arrived_and_why(row: Refusal) -> None:
    error, layer = refused(ours(), row)
    assert isinstance(error, KerasMagicError)
    made = row[0].partition("(")[0]
    who = made if layer is None else repr(layer.name)
    for word in (who, *row[-1]):
        assert word in str(error)


@pytest.mark.parametrize("row", AS_KERAS, ids=name_of)
def test_the_error_is_that_of_keras(row: Refusal) -> None:
    error, _ = refused(ours(), row)
    theirs, _ = refused(oracle(), row)
    assert theirs is not None, "Keras lets it pass"
    # What Python raises inside of Keras by accident (IndexError, AttributeError) is nothing to catch.
    kind = type(theirs) if isinstance(theirs, (ValueError, TypeError)) else (ValueError, TypeError)
    assert isinstance(error, kind)


@pytest.mark.parametrize("row", STRICTER, ids=name_of)
def test_keras_lets_it_pass(row: Refusal) -> None:
    error, _ = refused(oracle(), row)
    assert error is None


@pytest.mark.parametrize("name", ["Conv2D", "DepthwiseConv2D", "SeparableConv2D"])
def test_a_built_layer_refuses_other_channels_and_smaller_images(name: str) -> None:
    built = getattr(layers, name)(
        **{"kernel_size": 3, **({} if "Depth" in name else {"filters": 4})}, name="probe"
    )
    built(np.zeros((1, 8, 8, 3), "float32"))
    with pytest.raises(ValueError, match=r"probe.*axis -1.*value 3.*5"):
        built(np.zeros((1, 8, 8, 5), "float32"))
    with pytest.raises(ValueError, match=r"probe.*\(3, 3\).*\(8, 2\)"):
        built(np.zeros((1, 8, 2, 3), "float32"))


def test_a_given_name_is_said_too() -> None:
    with pytest.raises(InvalidArgument, match=r"^Dense 'head': `units`"):
        layers.Dense(0, name="head")


def test_a_class_of_the_user_is_named_by_its_own_name() -> None:
    class Small(layers.Conv2D):
        def __init__(self, filters: Any, **kwargs: Any):
            super().__init__(filters, 3, **kwargs)

    class Mine(Layer):
        pass

    with pytest.raises(InvalidArgument, match=r"^Small: `filters`"):
        Small(0)
    with pytest.raises(InvalidArgument, match=r"Mine.*unts"):
        Mine(unts=3)


def test_the_layer_that_refuses_is_named_and_not_the_one_around_it() -> None:
    class Block(Layer):
        def __init__(self, filters: int):
            super().__init__()
            self.inside = layers.Conv2D(filters, 3, name="inside")

        def call(self, inputs: Any) -> Any:
            return self.inside(inputs)

    with pytest.raises(InvalidArgument, match=r"^Conv2D 'inside': `filters`"):
        Block(0)
    with pytest.raises(ValueError, match=r"^(?!.*block).*'inside'"):
        Block(2)(np.zeros((1, 2, 2, 1), "float32"))


def test_an_error_of_the_users_code_keeps_its_type_and_gets_a_note() -> None:
    class Broken(Layer):
        def call(self, inputs: Any, factor: int = 1) -> Any:
            raise KeyError("scale")

    layer = Broken(name="broken")
    with pytest.raises(KeyError, match="scale") as caught:
        layers.Identity()(layer(np.ones((2, 3), "float32"), factor=2))
    (note,) = caught.value.__notes__
    assert note == "Raised while calling Layer 'broken' (Broken) on (float32(2, 3), factor=2)"
