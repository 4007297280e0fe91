"""Convolutions against loops, and transposed ones against the gradient they are."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasmagic.foundation.errors import ShapeMismatch
from kerasmagic.numerics.convolution import (
    convolution,
    depthwise_convolution,
    separable_convolution,
    transposed_convolution,
)

EXAMPLES = settings(max_examples=settings.default.max_examples * 3 // 10)


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).normal(size=shape).astype(np.float32)


def loops(x: np.ndarray, kernel: np.ndarray, strides: Any, padding: str, dilation: Any) -> np.ndarray:
    """Return the convolution, one window and one group at a time."""
    rank = x.ndim - 2
    pads, counts = [], []
    for size, k, s, d in zip(x.shape[1:-1], kernel.shape[:rank], strides, dilation, strict=True):
        reach = (k - 1) * d + 1
        count = -(-size // s) if padding == "same" else -(-(size - reach + 1) // s)
        total = max((count - 1) * s + reach - size, 0) if padding == "same" else 0
        if padding == "causal":
            count, pad = -(-size // s), (reach - 1, 0)
        else:
            pad = (total // 2, total - total // 2)
        pads.append(pad)
        counts.append(count)
    x = np.pad(x, [(0, 0), *pads, (0, 0)])
    groups = x.shape[-1] // kernel.shape[-2]
    out = np.zeros((x.shape[0], *counts, kernel.shape[-1]))
    for place in itertools.product(*map(range, counts)):
        cut = tuple(
            slice(i * s, i * s + (k - 1) * d + 1, d)
            for i, s, k, d in zip(place, strides, kernel.shape, dilation, strict=False)
        )
        parts = zip(np.split(x[(slice(None), *cut)], groups, -1), np.split(kernel, groups, -1), strict=True)
        out[(slice(None), *place)] = np.concatenate(
            [np.tensordot(part, weights, rank + 1) for part, weights in parts], -1
        )
    return out


@st.composite
def problems(drawn: st.DrawFn) -> Any:
    rank = drawn(st.integers(1, 3))
    window = [drawn(st.integers(1, 3)) for _ in range(rank)]
    strides = [drawn(st.integers(1, 3)) for _ in range(rank)]
    dilation = [drawn(st.integers(1, 2)) for _ in range(rank)]
    padding = drawn(st.sampled_from(["valid", "same", "causal"]))
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    spatial = [drawn(st.integers(r if padding == "valid" else 1, 5)) for r in reach]
    groups, each = drawn(st.integers(1, 2)), drawn(st.integers(1, 2))
    filters = groups * drawn(st.integers(1, 2))
    return draw(2, *spatial, groups * each), draw(*window, each, filters), strides, padding, dilation


@EXAMPLES
@given(problems(), st.booleans())
def test_convolution_random(problem: Any, channels_first: bool) -> None:
    x, kernel, strides, padding, dilation = problem
    expected = loops(x, kernel, strides, padding, dilation)
    given_x = np.moveaxis(x, -1, 1) if channels_first else x
    result = convolution(
        jnp.asarray(given_x),
        jnp.asarray(kernel),
        strides=strides,
        padding=padding,
        dilation=dilation,
        data_format="channels_first" if channels_first else "channels_last",
    )
    result = np.moveaxis(result, 1, -1) if channels_first else result
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("window", "strides"), [(3, 1), (3, 2), (2, 2), (4, 3)])
def test_transposed_is_the_gradient_of_convolution(padding: str, window: int, strides: int) -> None:
    """The transposed convolution takes the outputs' shape to the inputs' wherever all inputs are read."""
    kernel = jnp.asarray(draw(window, window, 2, 3))

    def forward(x: Any) -> Any:
        return convolution(x, kernel, strides=strides, padding=padding)

    size = 3 * strides if padding == "same" else 3 * strides + window
    shape = jax.eval_shape(forward, jnp.zeros((2, size, size, 2))).shape
    y = jnp.asarray(draw(*shape))
    _, pull = jax.vjp(forward, jnp.zeros((2, size, size, 2)))
    result = transposed_convolution(y, kernel, strides=strides, padding=padding)
    np.testing.assert_allclose(result, pull(y)[0], rtol=1e-5, atol=1e-5)


def test_depthwise_is_one_convolution_for_each_channel() -> None:
    x, kernel = draw(2, 5, 6, 3), draw(2, 3, 3, 2)
    result = depthwise_convolution(jnp.asarray(x), jnp.asarray(kernel), strides=2, padding="same")
    single = [loops(x[..., c : c + 1], kernel[:, :, c : c + 1], (2, 2), "same", (1, 1)) for c in range(3)]
    np.testing.assert_allclose(result, np.concatenate(single, -1), rtol=1e-5, atol=1e-5)


def test_separable_mixes_after_convolving() -> None:
    x, depthwise, pointwise = draw(2, 6, 3), draw(3, 3, 2), draw(1, 6, 4)
    result = separable_convolution(jnp.asarray(x), jnp.asarray(depthwise), jnp.asarray(pointwise), dilation=2)
    each = depthwise_convolution(jnp.asarray(x), jnp.asarray(depthwise), dilation=2)
    np.testing.assert_allclose(result, np.asarray(each) @ pointwise[0], rtol=1e-5, atol=1e-5)


def test_the_result_has_the_dtype_of_the_kernel() -> None:
    x, kernel = jnp.ones((1, 4, 2)), jnp.ones((2, 2, 3), "bfloat16")
    assert convolution(x, kernel).dtype == jnp.bfloat16
    assert transposed_convolution(x, jnp.ones((2, 3, 2), "bfloat16")).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("function", "x", "kernel", "message"),
    [
        (convolution, (1, 4, 3), (2, 2, 4), "3 channels.* 2 "),
        (depthwise_convolution, (1, 4, 3), (2, 2, 1), "3 channels.* 2 "),
        (transposed_convolution, (1, 4, 3), (2, 4, 2), "3 channels.* 2 "),
        (convolution, (1, 4, 3), (5, 3, 4), r"\(5,\).*\(4,\)"),
    ],
)
def test_what_does_not_fit_is_refused(function: Any, x: Any, kernel: Any, message: str) -> None:
    with pytest.raises(ShapeMismatch, match=message):
        function(jnp.ones(x), jnp.ones(kernel))
