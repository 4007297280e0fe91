"""Numbers in few bits against Keras: quantizers, packing, 8-bit floats, configs."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import hypothesis
import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from kerasmagic import quantizers
from kerasmagic.core.symbolic import KerasTensor
from tests.layers.evaluation import plain

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(6, 4, 5)).astype("float32")
MATRIX = RANDOM.normal(size=(7, 3)).astype("float32")


def same(ours: Any, theirs: Any, **tolerance: Any) -> None:
    for mine, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert getattr(mine, "dtype", None) == getattr(other, "dtype", None)
        np.testing.assert_allclose(mine, other, **{"rtol": 1e-6, **tolerance})


@pytest.mark.parametrize("to_numpy", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("axis", [-1, 0, (0, 2)])
def test_abs_max(axis: Any, dtype: str, to_numpy: bool, keras: ModuleType) -> None:
    x = jnp.asarray(X, dtype)
    for options in ({}, {"value_range": (-8, 7), "epsilon": 1e-3}):
        same(
            *(
                m.abs_max_quantize(x, axis, to_numpy=to_numpy, **options)
                for m in (quantizers, keras.quantizers)
            )
        )


@pytest.mark.parametrize("to_numpy", [True, False])
@pytest.mark.parametrize("block_size", [3, 16])
def test_groups(block_size: int, to_numpy: bool, keras: ModuleType) -> None:
    # One matrix on the device, where each operation is compiled by itself.
    for x in (MATRIX, np.abs(MATRIX), 0.01 * MATRIX)[: 3 if to_numpy else 1]:
        same(
            *(
                m.abs_max_quantize_grouped_with_zero_point(jnp.asarray(x), block_size, to_numpy=to_numpy)
                for m in (quantizers, keras.quantizers)
            )
        )


@hypothesis.settings(max_examples=15)
@hypothesis.given(
    st.sampled_from(["int8", "uint8"]), hnp.array_shapes(min_dims=1, max_dims=3, max_side=5), st.data()
)
def test_packing_is_undone(keras: ModuleType, dtype: str, shape: Any, data: st.DataObject) -> None:
    low = -8 if dtype == "int8" else 0
    values = data.draw(hnp.arrays(dtype, shape, elements=st.integers(low, low + 15)))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    packed, packed_shape, length = quantizers.pack_int4(values, axis, dtype)
    theirs = keras.quantizers.pack_int4(values, axis, dtype)
    np.testing.assert_array_equal(packed, theirs[0])
    assert (packed_shape, length, packed.dtype) == (*theirs[1:], dtype)
    unpacked = quantizers.unpack_int4(packed, length, axis, dtype)
    np.testing.assert_array_equal(unpacked, values)
    assert unpacked.dtype == dtype


def test_packing_refuses_other_types() -> None:
    with pytest.raises(TypeError, match="int16"):
        quantizers.pack_int4(np.zeros(2, "int16"))
    with pytest.raises(TypeError, match="float32"):
        quantizers.unpack_int4(np.zeros(2, "float32"), 4)
    with pytest.raises(ValueError, match="int4"):
        quantizers.pack_int4(np.zeros(2, "int8"), dtype="int4")


def test_float8(keras: ModuleType) -> None:
    both = quantizers, keras.quantizers
    for amax in (0.0, 3.0, np.inf, np.nan):
        same(*(m.compute_float8_scale(jnp.float32(amax), jnp.float32(0.5), jnp.float32(448.0)) for m in both))
    history = jnp.arange(4.0)
    same(*(m.compute_float8_amax_history(jnp.asarray(X), history) for m in both))
    for dtype in ("float8_e4m3fn", "float8_e5m2"):
        for compute in ("float32", "bfloat16"):
            x = jnp.asarray(1000 * X, compute)
            same(*(m.quantize_and_dequantize(x, jnp.float32(0.3), dtype, compute) for m in both))


@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize(
    ("bits", "axis", "bounds"),
    [
        (8, None, (-0.5, 1.0)),
        (4, None, (0.1, 2.0)),
        (3, 2, (np.linspace(-2, -0.1, 5), np.linspace(0.1, 2, 5))),
    ],
)
def test_fake_quantization_and_its_gradient(
    bits: int, axis: int | None, bounds: Any, narrow: bool, keras: ModuleType
) -> None:
    low, high = (jnp.asarray(bound, "float32") for bound in bounds)
    weight = jnp.asarray(RANDOM.normal(size=X.shape), "float32")
    found = []
    for module in (quantizers, keras.quantizers):

        def loss(x: Any, low: Any, high: Any, module: Any = module) -> Any:
            y = module.fake_quant_with_min_max_vars(x, low, high, bits, narrow, axis)
            return jnp.sum(weight * y), y

        found.append(jax.grad(loss, argnums=(0, 1, 2), has_aux=True)(jnp.asarray(X), low, high))
    same(*found, rtol=1e-5, atol=1e-5)
    assert quantizers.fake_quant_with_min_max_vars(KerasTensor((None, 3)), 0.0, 1.0).shape == (None, 3)


def test_configs_are_those_of_keras(keras: ModuleType) -> None:
    made = []
    for m in (quantizers, keras.quantizers):
        per_row = m.AbsMaxQuantizer(axis=0, epsilon=1e-5)
        made.append(
            [
                m.AbsMaxQuantizer(),
                per_row,
                m.Int8QuantizationConfig(),
                m.Int8QuantizationConfig(per_row, None),
                m.Int4QuantizationConfig(),
                m.Int4QuantizationConfig(m.AbsMaxQuantizer(axis=0, value_range=(-8, 7)), block_size=None),
                m.Float8QuantizationConfig(),
            ]
        )
    for mine, other in zip(*made, strict=True):
        written = plain(quantizers.serialize(mine))
        assert written == plain(keras.quantizers.serialize(other))
        again = quantizers.deserialize(written)
        assert type(again) is type(mine)
        assert plain(again.get_config()) == plain(mine.get_config())
        assert getattr(again, "mode", None) == getattr(other, "mode", None)


def test_a_quantizer_is_found() -> None:
    found = quantizers.get("AbsMaxQuantizer")
    assert isinstance(found, quantizers.AbsMaxQuantizer)
    assert quantizers.get(found) is found
    assert quantizers.get(quantizers.serialize(found)).value_range == (-127, 127)
    assert quantizers.get(None) is None
    with pytest.raises(ValueError, match="abs_max"):
        quantizers.get("abs_max_quantiser")
    with pytest.raises(ValueError, match="interpret"):
        quantizers.get(3)


@pytest.mark.parametrize(
    "make",
    [
        lambda m: m.AbsMaxQuantizer(value_range=(-200, 127)),
        lambda m: m.Int8QuantizationConfig(m.AbsMaxQuantizer(output_dtype="int16")),
        lambda m: m.Int4QuantizationConfig(block_size=0),
        lambda m: m.Int4QuantizationConfig(m.AbsMaxQuantizer(value_range=(-8, 7))),
        lambda m: m.Int4QuantizationConfig(m.AbsMaxQuantizer(), block_size=None),
    ],
)
def test_what_does_not_fit_is_refused(make: Any, keras: ModuleType) -> None:
    for module in (quantizers, keras.quantizers):
        with pytest.raises(ValueError, match=r"range|dtype|block_size"):
            make(module)


def test_a_base_says_what_it_lacks() -> None:
    with pytest.raises(NotImplementedError):
        quantizers.Quantizer().get_config()
    with pytest.raises(NotImplementedError):
        quantizers.QuantizationConfig().mode
