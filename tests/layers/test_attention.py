"""What the table cannot say about attention: masks by hand, subclasses, errors, random options."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import kerasmagic.layers as ours
from kerasmagic.core.masking import get_keras_mask, set_keras_mask
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.numerics.attention import fused_attention, multi_head_attention

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
        (lambda: ours.Attention(score_mode="sum"), "score_mode"),
        (lambda: ours.Attention(dropout=2.0), "`dropout` must be a number between 0 and 1"),
        (lambda: ours.Attention()(draw(2, 3, 4)), "must be called on a list of inputs"),
        (lambda: ours.Attention()([draw(2, 3, 4)]), "Received length: 1"),
        (lambda: ours.Attention()([draw(2, 3, 4)] * 2, mask=np.ones((2, 3), bool)), "mask must be a list"),
        (lambda: ours.MultiHeadAttention(0, 2), "`num_heads` must be a positive integer"),
        (lambda: ours.MultiHeadAttention(2, -1), "`key_dim` must be a positive integer"),
        (lambda: ours.MultiHeadAttention(2, 2, value_dim=0), "`value_dim` must be a positive integer"),
        (lambda: ours.MultiHeadAttention(2, 2, sliding_window=0), "`sliding_window` must be a positive"),
        (lambda: ours.MultiHeadAttention(2, 2, attention_axes=1.5), "`attention_axes` must be an int"),
        (
            lambda: ours.MultiHeadAttention(2, 2, flash_attention=True, dropout=0.1),
            "Dropout is not supported",
        ),
        (
            lambda: ours.MultiHeadAttention(2, 2, flash_attention=True)(
                draw(1, 2, 3), draw(1, 2, 3), return_attention_scores=True
            ),
            "attention scores is not supported",
        ),
        (lambda: ours.MultiHeadAttention(2, 2)(draw(1, 2, 3), draw(1, 2, 3), draw(1, 3, 3)), "must be equal"),
        (lambda: ours.GroupQueryAttention(2, 3, 2), "must be divisible"),
    ],
)
def test_a_wrong_argument_is_named(make: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")
# Each example compiles several programs: to shrink one takes minutes.
@settings(max_examples=40, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(data=st.data())
def test_random_attention(keras: ModuleType, data: st.DataObject) -> None:
    batch, queries, keys, dim = data.draw(st.tuples(*(st.integers(1, 4) for _ in range(4))))
    kind = data.draw(st.sampled_from(["Attention", "AdditiveAttention", "MultiHead", "GroupQuery"]))
    dropout = data.draw(st.sampled_from([0.0, 0.3]))
    query, value = draw(batch, queries, dim), draw(batch, keys, dim)
    call = data.draw(
        st.fixed_dictionaries(
            {name: st.booleans() for name in ("use_causal_mask", "return_attention_scores", "training")}
        )
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    value_mask = rng.random((batch, keys)) < 0.6 if data.draw(st.booleans()) else None
    if kind in ("Attention", "AdditiveAttention"):
        config = {"use_scale": data.draw(st.booleans()), "dropout": dropout, "seed": 5}
        inputs: tuple[Any, ...] = ([query, value],)
        call["mask"] = [None, value_mask]
        shapes: tuple[Any, ...] = ([query.shape, value.shape],)
    else:
        heads = data.draw(st.integers(1, 3))
        config = {"dropout": dropout, "seed": 5, "use_bias": data.draw(st.booleans())}
        config |= {
            "use_gate": data.draw(st.booleans()),
            "sliding_window": data.draw(st.sampled_from([None, 2])),
        }
        if kind == "MultiHead":
            config |= {"num_heads": heads, "key_dim": data.draw(st.integers(1, 3))}
        else:
            config |= {"num_query_heads": 2 * heads, "num_key_value_heads": heads, "head_dim": 2}
        kind, inputs, shapes = f"{kind}Attention", (query, value), (query.shape, value.shape)
        call["value_mask"] = value_mask
    theirs, mine = (getattr(library, kind)(**config) for library in (keras.layers, ours))
    for layer in (theirs, mine):
        layer.build(*shapes)
    weights = weights_for(theirs)
    theirs.set_weights(weights)
    mine.set_weights(weights)
    close(mine(*inputs, **call), theirs(*inputs, **call))
    symbols = jax.tree.map(lambda x: KerasTensor((None, None, dim)), inputs)
    result = mine(*symbols, **{k: v for k, v in call.items() if "mask" not in k or k == "use_causal_mask"})
    assert len(jax.tree.leaves(result)) == 1 + call["return_attention_scores"]
