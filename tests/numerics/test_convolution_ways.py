"""Every way to compute a convolution gives what XLA's own operation gives, gradients of any order too."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from kerasmagic.foundation import measured
from kerasmagic.foundation.amount import assuming
from kerasmagic.numerics import convolution_ways as ways
from kerasmagic.numerics.convolution import convolution, transposed_convolution
from tests.numerics.jets import assert_same, draw

# Input, kernel, strides, pads, dilation: from one to three axes, and windows that go over the edge or skip some.
FORMS = [
    ((2, 7, 1), (3, 1, 2), (1,), ((0, 0),), (1,)),
    ((2, 7, 2), (3, 2, 3), (1,), ((4, 0),), (2,)),
    ((2, 6, 5, 1), (3, 3, 1, 4), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    ((2, 6, 5, 3), (3, 2, 3, 2), (2, 1), ((1, 1), (0, 1)), (1, 1)),
    ((1, 8, 9, 2), (2, 3, 2, 1), (1, 2), ((0, 1), (2, 2)), (3, 2)),
    ((2, 4, 4, 4, 2), (2, 2, 2, 2, 3), (1, 2, 1), ((0, 0), (1, 0), (0, 1)), (1, 1, 2)),
]
TOLERANCES = {"float32": 1e-5, "bfloat16": 0.1, "float16": 0.02}


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f"{f[0]}-{f[1]}")
@pytest.mark.parametrize("way", [ways.by_places, ways.by_patches], ids=lambda w: w.__name__)
def test_equals_the_native_one(way: ways.Way, form: Any) -> None:
    shape, window, *slide = form
    x, kernel = draw(*shape), draw(*window)
    slides = ways.Slide(*slide)
    assert_same(lambda x, k: way(x, k, slides), lambda x, k: ways.native(x, k, slides), x, kernel)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("way", [ways.by_places, ways.by_patches], ids=lambda w: w.__name__)
def test_in_other_precisions(way: ways.Way, dtype: str) -> None:
    shape, window, *slide = FORMS[3]
    x, kernel = draw(*shape, dtype=dtype), draw(*window, dtype=dtype)
    result = way(x, kernel, ways.Slide(*slide))
    assert result.dtype == dtype
    exact = ways.native(x.astype("float32"), kernel.astype("float32"), ways.Slide(*slide))
    np.testing.assert_allclose(
        result.astype("float32"), exact, atol=TOLERANCES[dtype], rtol=TOLERANCES[dtype]
    )


def test_in_double_precision() -> None:
    shape, window, *slide = FORMS[3]
    with jax.enable_x64(True):
        x, kernel = draw(*shape, dtype="float64"), draw(*window, dtype="float64")
        expected = ways.native(x, kernel, ways.Slide(*slide))
        for way in (ways.by_places, ways.by_patches, ways.chosen):
            np.testing.assert_allclose(way(x, kernel, ways.Slide(*slide)), expected, rtol=1e-12, atol=1e-12)


@pytest.fixture(params=["native", "patches", "places"])
def settled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let one way be the fastest wherever it is among those to choose from; return what was asked."""
    asked: list[str] = []

    def choose(question: str, among: dict[str, Any]) -> str:
        asked.append(question)
        return request.param if request.param in among else next(iter(among))

    monkeypatch.setattr(ways, "choose", choose)
    monkeypatch.setattr(ways, "choices_folder", lambda: Path())
    monkeypatch.setattr(ways, "FEWEST_MULTIPLICATIONS", 0)
    return asked


def test_the_chosen_way_has_the_same_gradients(settled: list[str]) -> None:
    for form in FORMS[1:4]:
        shape, window, *slide = form
        x, kernel = draw(*shape), draw(*window)
        slides = ways.Slide(*slide)
        assert_same(
            lambda x, k, s=slides: ways.chosen(x, k, s),
            lambda x, k, s=slides: ways.native(x, k, s),
            x,
            kernel,
        )
    assert any(question.startswith("kernel") for question in settled)


def test_within_transformations(settled: list[str]) -> None:
    x, kernel = draw(3, 6, 5, 2), draw(3, 3, 2, 4)

    def value(kernel: Any, x: Any) -> Any:
        return jnp.sum(convolution(x, kernel, padding="same", strides=2) ** 2)

    def in_a_scan(kernel: Any, x: Any) -> Any:
        return jax.lax.scan(lambda total, one: (total + value(kernel, one[None]), None), 0.0, x)[0]

    expected = jax.grad(value)(kernel, x)
    assert not settled, "one call outside of a program was measured"
    np.testing.assert_allclose(jax.jit(jax.grad(value))(kernel, x), expected, rtol=1e-4)
    assert settled
    each = jax.jit(jax.vmap(jax.grad(value), (None, 0)))(kernel, x[:, None])
    np.testing.assert_allclose(each.sum(0), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(jax.jit(jax.grad(in_a_scan))(kernel, x), expected, rtol=1e-4, atol=1e-4)
    remembered = jax.checkpoint(value)
    np.testing.assert_allclose(jax.jit(jax.grad(remembered))(kernel, x), expected, rtol=1e-4)


def test_what_need_not_be_differentiated_is_not_asked_for(settled: list[str]) -> None:
    x, kernel = draw(3, 6, 5, 2), draw(3, 3, 2, 4)
    jax.jit(convolution)(x, kernel)
    jax.jit(jax.grad(lambda x: jnp.sum(convolution(x, kernel))))(x)
    assert {question.split()[0] for question in settled} == {"forward"}


def test_open_sizes_are_left_to_xla(settled: list[str]) -> None:
    spec = jax.ShapeDtypeStruct(export.symbolic_shape("b, 6, 5, 2"), jnp.float32)
    jax.eval_shape(functools.partial(convolution, padding="same"), spec, draw(3, 3, 2, 4))
    assert not settled


def test_is_measured_while_a_program_is_traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real thing, once: whatever wins, two programs are compiled for each question and the numbers hold."""
    monkeypatch.setattr(ways, "FEWEST_MULTIPLICATIONS", 0)
    x, kernel = draw(2, 6, 5, 1), draw(3, 3, 1, 4)

    def value(kernel: Any) -> Any:
        return jnp.sum(convolution(x, kernel) ** 2)

    expected = jax.grad(value)(kernel)
    measured.keep_choices_in(tmp_path)
    try:
        result = jax.jit(jax.grad(lambda kernel: jnp.sum(convolution(jnp.sin(x) * 0 + x, kernel) ** 2)))(
            kernel
        )
    finally:
        measured.keep_choices_in(None)
    np.testing.assert_allclose(result, expected, rtol=1e-4)


def test_an_open_batch_is_chosen_for_by_its_likely_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "FEWEST_MULTIPLICATIONS", 1)
    asked: list[str] = []

    def choose(question: str, found: Any) -> str:
        asked.append(question)
        return list(found)[-1]

    monkeypatch.setattr(ways, "choose", choose)
    monkeypatch.setattr(ways, "choices_folder", lambda: tmp_path)
    batch = export.symbolic_shape("batch")[0]
    x, kernel = jax.ShapeDtypeStruct((batch, 6, 6, 1), "float32"), draw(3, 3, 1, 2)
    jax.make_jaxpr(lambda x, k: convolution(x, k))(x, kernel)
    assert not asked
    with assuming(batch=5):
        # Another function: what is traced already is kept.
        program = jax.make_jaxpr(lambda x, k: convolution(x, k))(x, kernel)
    assert "(5, 6, 6, 1)" in asked[0]
    assert "conv_general_dilated" not in str(program)


# Input, kernel, strides, padding, output padding, dilation.
TRANSPOSED = [
    ((2, 5, 3), (3, 2, 3), 1, "valid", None, 1),
    ((2, 4, 3), (5, 2, 3), 2, "same", None, 1),
    ((2, 4, 3), (2, 2, 3), 3, "valid", None, 1),
    ((2, 4, 1), (4, 1, 1), 2, "same", 1, 1),
    ((2, 4, 3, 2), (3, 3, 4, 2), 2, "same", None, 1),
    ((2, 4, 3, 2), (3, 2, 4, 2), 2, "valid", 1, 1),
    ((2, 4, 3, 2), (3, 3, 1, 2), 1, "same", None, 2),
    ((1, 3, 2, 3, 2), (2, 3, 2, 3, 2), 2, "same", None, 1),
]


@pytest.mark.parametrize("form", TRANSPOSED, ids=str)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_transposed_as_by_jax(form: Any, data_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shape, window, strides, padding, output_padding, dilation = form
    if data_format == "channels_first":
        shape = (shape[0], shape[-1], *shape[1:-1])
    x, kernel = draw(*shape), draw(*window)

    def way(x: Any, kernel: Any) -> Any:
        return transposed_convolution(
            x,
            kernel,
            strides=strides,
            padding=padding,
            output_padding=output_padding,
            dilation=dilation,
            data_format=data_format,
        )

    def reference(x: Any, kernel: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(jax, "default_backend", lambda: "gpu")
            return way(x, kernel)

    assert_same(way, reference, x, kernel)
