"""What the table cannot say about attention: masks by hand, subclasses, errors, random options."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kerasmagic.layers as ours
from kerasmagic.core.masking import get_keras_mask, set_keras_mask
from kerasmagic.numerics.attention import fused_attention, multi_head_attention
from tests.layers.case import Case
from tests.layers.drawn import HOW, assert_as_keras, examples, opened, options

RNG = np.random.default_rng(0)


def draw(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


def weights_for(layer: Any) -> list[np.ndarray]:
    return [0.5 * draw(*w.shape) for w in layer.weights]


def close(mine: Any, theirs: Any) -> None:
    for x, y in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
        assert x.shape == y.shape
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)


def test_the_fused_kernel_agrees_with_ours() -> None:
    query, key, value = draw(2, 4, 4, 3), draw(2, 5, 2, 3), draw(2, 5, 2, 3)
    mask = RNG.random((2, 1, 4, 5)) < 0.6
    mine, _ = multi_head_attention(query, key, value, mask, scale=0.3)
    close(mine, fused_attention(query, key, value, mask, scale=0.3, causal=False, flash=False))


def test_flash_attention_off_the_gpu_is_the_same_attention() -> None:
    flash, plain = (ours.MultiHeadAttention(2, 3, flash_attention=flag) for flag in (True, False))
    x, y = draw(2, 4, 6), draw(2, 5, 6)
    for layer in (flash, plain):
        layer.build(x.shape, y.shape)
    flash.set_weights(plain.get_weights())
    close(flash(x, y, use_causal_mask=True), plain(x, y, use_causal_mask=True))
    again = ours.MultiHeadAttention.from_config(flash.get_config())
    assert again.flash_attention is True


def test_nothing_after_a_query_reaches_it() -> None:
    layer = ours.MultiHeadAttention(2, 3)
    x = draw(1, 6, 4)
    changed = x.copy()
    changed[:, 4:] += 1
    before, after = (np.asarray(layer(z, z, use_causal_mask=True)) for z in (x, changed))
    np.testing.assert_allclose(before[:, :4], after[:, :4], atol=1e-6)
    assert not np.allclose(before[:, 4:], after[:, 4:])


def test_the_masks_of_the_inputs_count_and_stay() -> None:
    layer = ours.MultiHeadAttention(2, 3)
    x, mask = jnp.asarray(draw(2, 4, 6)), jnp.asarray([[1, 1, 0, 0], [1, 1, 1, 0]], bool)
    plain = layer(x, x, attention_mask=mask[:, :, None] & mask[:, None, :])
    set_keras_mask(x, mask)
    masked = layer(x, x)
    close(masked, plain)
    assert get_keras_mask(x) is mask
    np.testing.assert_array_equal(get_keras_mask(masked), mask)


def test_all_masks_hold_at_once(keras: ModuleType) -> None:
    query, value = draw(2, 4, 6), draw(2, 5, 6)
    mask = RNG.random((2, 4, 5)) < 0.7
    value_mask = RNG.random((2, 5)) < 0.7
    for name, sizes in (("MultiHeadAttention", (2, 3)), ("GroupQueryAttention", (3, 4, 2))):
        theirs, mine = (getattr(library, name)(*sizes, sliding_window=3) for library in (keras.layers, ours))
        for layer in (theirs, mine):
            layer.build(query.shape, value.shape)
        weights = weights_for(theirs)
        theirs.set_weights(weights)
        mine.set_weights(weights)
        for scores in (False, True):
            call = {
                "attention_mask": mask,
                "value_mask": value_mask,
                "use_causal_mask": True,
                "return_attention_scores": scores,
            }
            close(mine(query, value, **call), theirs(query, value, **call))


def test_a_subclass_can_compute_its_own_attention() -> None:
    class Uniform(ours.MultiHeadAttention):
        def _compute_attention(
            self, query: Any, key: Any, value: Any, attention_mask: Any = None, *_: Any, **__: Any
        ) -> Any:
            assert attention_mask is not None
            return jnp.broadcast_to(value.mean(axis=1, keepdims=True), query.shape), None

    layer = Uniform(2, 3)
    x = draw(2, 4, 6)
    outputs = np.asarray(layer(x, x, use_causal_mask=True))
    np.testing.assert_allclose(outputs, np.broadcast_to(outputs[:, :1], outputs.shape), atol=1e-6)


def test_projections_go_by_the_names_of_keras() -> None:
    layer = ours.MultiHeadAttention(2, 3, use_gate=True, dropout=0.1)
    layer.build((None, 4, 6), (None, 4, 6))
    names = ("query_dense", "key_dense", "_gate_dense", "value_dense", "output_dense")
    assert [getattr(layer, name).name for name in names] == [
        "query",
        "key",
        "gate",
        "value",
        "attention_output",
    ]
    grouped = ours.GroupQueryAttention(3, 4, 2)
    grouped.build((None, 4, 6), (None, 4, 6))
    assert grouped._query_dense.kernel.shape == (6, 4, 3)
    assert grouped._key_dense.kernel.shape == (6, 2, 3)
    assert grouped._output_dense.kernel.shape == (4, 3, 6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ours.Attention()([draw(2, 3, 4)] * 2, mask=np.ones((2, 3), bool)), "mask must be a list"),
        (lambda: ours.Attention()([draw(2, 3, 4), draw(2, 3, 5)]), r"last sizes.*\(2, 3, 4\).*\(2, 3, 5\)"),
        (
            lambda: ours.MultiHeadAttention(2, 2, flash_attention=True)(
                draw(1, 2, 3), draw(1, 2, 3), return_attention_scores=True
            ),
            "attention scores is not supported",
        ),
        (lambda: ours.MultiHeadAttention(2, 2)(draw(1, 2, 3), draw(1, 2, 3), draw(1, 3, 3)), "must be equal"),
    ],
)
def test_a_wrong_call_is_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


RATES = st.sampled_from([0.0, 0.3])


@st.composite
def plain_attentions(draw: st.DrawFn) -> Case:
    """Draw attention without projections: on a list, with a mask for each, causal, dropping."""
    layer = draw(st.sampled_from(["Attention", "AdditiveAttention"]))
    batch, queries, keys, dim, wide = draw(st.tuples(*(st.integers(1, 4) for _ in range(5))))
    config = options(draw, use_scale=st.booleans(), dropout=RATES)
    if layer == "Attention":
        config |= options(draw, score_mode=st.sampled_from(["dot", "concat"]))
    shapes = [(batch, queries, dim), (batch, keys, draw(st.sampled_from([dim, wide])))]
    if shapes[1][-1] != dim or draw(st.booleans()):
        shapes.append((batch, keys, dim))
    names = ("use_causal_mask", "return_attention_scores", "training")
    call = options(draw, **dict.fromkeys(names, st.booleans()))
    mask = draw(st.sampled_from([False, True, "all"]))
    return Case(layer, config, shapes, call=call, mask=mask, open_axes=opened(draw, [0, 1]))


@st.composite
def projected_attentions(draw: st.DrawFn) -> Case:
    """Draw attention of several heads: all kinds of masks, windows, gates, and sizes for each input."""
    layer = draw(st.sampled_from(["MultiHeadAttention", "GroupQueryAttention"]))
    batch, queries, keys, heads = draw(st.tuples(*(st.integers(1, 4) for _ in range(4))))
    config = options(
        draw,
        use_bias=st.booleans(),
        use_gate=st.booleans(),
        dropout=RATES,
        sliding_window=st.integers(1, 3),
        activity_regularizer=st.just("l2"),
    )
    if layer == "MultiHeadAttention":
        config |= {"num_heads": heads, "key_dim": draw(st.integers(1, 3))}
        config |= options(draw, output_shape=st.integers(1, 3) | st.just([2, 3]))
    else:
        groups = draw(st.integers(1, 2))
        config |= {"num_query_heads": groups * heads, "num_key_value_heads": heads, "head_dim": 2}
    call = options(draw, **dict.fromkeys(("use_causal_mask", "training"), st.booleans()))
    axes = opened(draw, [0, 1])
    if draw(st.booleans()):
        # A closed mask for open sizes fits no other size.
        axes, rng = (), np.random.default_rng(draw(st.integers(0, 9)))
        call["attention_mask"] = rng.random((batch, queries, keys)) < 0.7
    skip: set[str] = set()
    if draw(st.booleans()):
        call["return_attention_scores"] = True
        skip = {"shape", "mask"}  # Keras gets the shape of the scores wrong, and leaves a mask on them.
    sizes = (
        st.integers(1, 3) if layer == "MultiHeadAttention" else st.just(3)
    )  # Keras wants equal ones there.
    inputs = {"query": (batch, queries, 3), "value": (batch, keys, draw(sizes))}
    if draw(st.booleans()):
        inputs["key"] = (batch, keys, draw(st.integers(1, 3)))
    mask = draw(st.sampled_from([False, True, "all"]))
    return Case(layer, config, inputs, call=call, mask=mask, open_axes=axes, skip=frozenset(skip))


@examples(15)
@given(plain_attentions(), HOW)
def test_random_attention(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)


@examples(15)
@given(projected_attentions(), HOW)
def test_random_attention_of_several_heads(case: Case, how: str | None) -> None:
    # On a CPU the kernel that Keras calls has no products in 16 bits but of bfloat16.
    assert_as_keras(case, "mixed_bfloat16" if how == "mixed_float16" else how)
