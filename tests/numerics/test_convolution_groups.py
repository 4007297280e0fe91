"""Convolutions in groups equal XLA's own operation, gradients of any order too."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerasmagic.core.work import work_of
from kerasmagic.numerics import convolution_groups
from kerasmagic.numerics import convolution_ways as ways
from kerasmagic.numerics.convolution import convolution, depthwise_convolution
from kerasmagic.numerics.convolution_groups import grouped_convolution
from tests.numerics.jets import assert_same, draw

# Input, kernel, strides, pads, dilation.
FORMS = [
    ((2, 7, 4), (3, 1, 4), (1,), ((0, 0),), (1,)),
    ((2, 7, 2), (3, 1, 6), (2,), ((2, 0),), (1,)),
    ((2, 7, 4), (2, 2, 6), (2,), ((1, 1),), (2,)),
    ((2, 6, 5, 3), (3, 3, 1, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    ((2, 6, 5, 3), (2, 3, 1, 6), (2, 1), ((0, 1), (2, 0)), (1, 1)),
    ((1, 9, 8, 2), (3, 2, 1, 2), (2, 3), ((1, 2), (0, 1)), (2, 3)),
    ((1, 9, 8, 2), (2, 2, 1, 2), (3, 3), ((0, 0), (0, 0)), (1, 1)),
    ((1, 6, 5, 6), (3, 3, 2, 9), (1, 2), ((1, 1), (1, 1)), (1, 1)),
    ((1, 5, 4, 40), (1, 2, 10, 8), (1, 1), ((0, 0), (0, 1)), (1, 1)),
    ((1, 4, 3, 5, 2), (2, 2, 3, 1, 4), (1, 2, 1), ((0, 1), (0, 0), (1, 1)), (1, 1, 1)),
    ((1, 4, 3, 5, 4), (2, 2, 2, 2, 2), (1, 1, 2), ((0, 1), (0, 0), (1, 1)), (1, 1, 1)),
]


def assert_native(x: Any, kernel: Any, slide: ways.Slide) -> None:
    # Channels that are convolved one by one have a rule for gradients in reverse mode.
    forward = kernel.shape[-2] > 1
    assert_same(
        lambda x, k: grouped_convolution(x, k, slide),
        lambda x, k: ways.native(x, k, slide),
        x,
        kernel,
        forward,
    )


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f"{f[0]}-{f[1]}")
def test_equals_the_native_one(form: Any) -> None:
    shape, window, *slide = form
    assert_native(draw(*shape), draw(*window), ways.Slide(*slide))


def test_in_several_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution_groups, "FEWEST_TOGETHER", 4)
    monkeypatch.setattr(convolution_groups, "MOST_PIECES", 8)
    x, kernel = draw(1, 5, 4, 12), draw(3, 3, 2, 18)
    slides = ways.Slide((1, 2), ((1, 1), (0, 1)), (1, 1))
    program = jax.make_jaxpr(lambda x, k: grouped_convolution(x, k, slides))(x, kernel)
    assert str(program).count("conv_general_dilated[") == 3
    assert_native(x, kernel, slides)


@pytest.mark.parametrize("form", FORMS[:6], ids=lambda f: f"{f[0]}-{f[1]}")
def test_long_rows_in_parts(form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution_groups, "LARGEST_PART", 12)
    monkeypatch.setattr(convolution_groups, "SHORTEST_PART", 2)
    jax.clear_caches()
    shape, window, *slide = form
    shape = (*shape[:-2], 4 * slide[0][-1] * shape[-2], shape[-1])
    assert_native(draw(*shape), draw(*window), ways.Slide(*slide))


@pytest.mark.parametrize(
    ("width", "channels", "length"),
    [(32, 64, 32), (512, 256, 32), (224, 64, 112), (511, 64, 73), (509, 64, 509), (2, 9000, 2)],
)
def test_how_much_of_a_row(width: int, channels: int, length: int) -> None:
    assert convolution_groups._part_of_row(width, channels) == length


@pytest.mark.parametrize("shape", [(0, 6, 5, 3), (2, 6, 0, 3)])
def test_nothing_has_no_gradient(shape: tuple[int, ...]) -> None:
    kernel = draw(3, 3, 3, 1)
    gradient = jax.grad(lambda k: jnp.sum(depthwise_convolution(jnp.ones(shape), k, padding="same")))(kernel)
    np.testing.assert_array_equal(gradient, jnp.zeros_like(kernel))


def test_a_large_window_goes_to_xla() -> None:
    x, kernel = draw(1, 12, 11, 2), draw(9, 8, 1, 2)
    slides = ways.Slide((1, 1), ((4, 4), (0, 0)), (1, 1))
    np.testing.assert_allclose(
        grouped_convolution(x, kernel, slides), ways.native(x, kernel, slides), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_types_add_up_in_single_precision(dtype: str) -> None:
    x, kernel = draw(2, 9, 9, 4, dtype=dtype), draw(7, 7, 4, 1, dtype=dtype)
    result = depthwise_convolution(x, kernel, padding="same")
    assert result.dtype == dtype
    exact = depthwise_convolution(x.astype("float32"), kernel.astype("float32"), padding="same")
    np.testing.assert_array_equal(result, exact.astype(dtype))


def test_double_precision_and_integers() -> None:
    slides = ways.Slide((1,), ((1, 1),), (1,))
    with jax.enable_x64(True):
        x, kernel = draw(2, 7, 4, dtype="float64"), draw(3, 1, 4, dtype="float64")
        np.testing.assert_allclose(
            grouped_convolution(x, kernel, slides), ways.native(x, kernel, slides), rtol=1e-12, atol=1e-12
        )
    x, kernel = (jnp.asarray(10 * draw(*shape), "int32") for shape in ((2, 7, 4), (3, 1, 4)))
    assert grouped_convolution(x, kernel, slides).dtype == "int32"
    np.testing.assert_array_equal(grouped_convolution(x, kernel, slides), ways.native(x, kernel, slides))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_the_work_is_that_of_the_groups(groups: int) -> None:
    x, kernel = draw(2, 8, 8, 4), draw(3, 3, 4 // groups, 12)
    program = jax.make_jaxpr(lambda x, k: convolution(x, k, padding="same"))(x, kernel)
    work = work_of(program.jaxpr, [True, False])
    assert work.multiply_adds.at(1) == 2 * 8 * 8 * 12 * 9 * 4 // groups
