"""Random core layers against Keras: products, lookups, shapes, masks, activations."""

from __future__ import annotations

import math
import string
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.layers.case import Case
from tests.layers.drawn import HOW, assert_as_keras, examples, opened, options, per_axis

SIZES = st.integers(1, 4)
ACTIVATION = st.sampled_from([None, "relu", "tanh", "softmax", "gelu", "selu"])
WEIGHTS: dict[str, Any] = {
    "activation": ACTIVATION,
    "kernel_regularizer": st.just("l2"),
    "bias_regularizer": st.just("l1"),
    "activity_regularizer": st.just("l2"),
}


@st.composite
def denses(draw: st.DrawFn) -> Case:
    shape = tuple(per_axis(draw, SIZES, draw(st.integers(2, 4))))
    config = {"units": draw(SIZES), **options(draw, use_bias=st.booleans(), **WEIGHTS)}
    if draw(st.integers(0, 4)) == 0:
        config["lora_rank"] = draw(st.integers(1, 2))
    masked = len(shape) > 2 and draw(st.booleans())
    return Case("Dense", config, shape, mask=masked, open_axes=opened(draw, range(len(shape) - 1)))


@st.composite
def einsums(draw: st.DrawFn) -> Case:
    """Draw an equation: some axes stay, some are summed over, some are new, in any order behind the batch."""
    size = {letter: draw(SIZES) for letter in string.ascii_lowercase[:8]}
    kept, summed, new = "abc"[: draw(st.integers(1, 3))], "de"[: draw(st.integers(0, 2))], "fg"
    new = new[: draw(st.integers(0 if summed else 1, 2))]
    behind = draw(st.permutations(kept[1:] + summed))
    made = draw(st.permutations(kept[1:] + new))
    kernel = "".join(draw(st.permutations(summed + new)))
    inputs, outputs = kept[0] + "".join(behind), kept[0] + "".join(made)
    config: dict[str, Any] = {
        "equation": f"{inputs},{kernel}->{outputs}",
        "output_shape": [size[letter] for letter in outputs[1:]],
    }
    config |= options(draw, **WEIGHTS)
    config.pop("bias_regularizer", None)
    if len(outputs) > 1:
        letters = draw(st.sets(st.sampled_from(outputs[1:]), min_size=1))
        config |= options(draw, bias_axes=st.just("".join(x for x in outputs if x in letters)))
    elif config.get("activation") == "softmax":
        del config["activation"]
    return Case("EinsumDense", config, tuple(size[letter] for letter in inputs), open_axes=opened(draw, [0]))


@st.composite
def embeddings(draw: st.DrawFn) -> Case:
    layer = draw(st.sampled_from(["Embedding", "ReversibleEmbedding"]))
    config: dict[str, Any] = {"input_dim": draw(st.integers(2, 6)), "output_dim": draw(SIZES)}
    config |= options(draw, mask_zero=st.booleans(), embeddings_regularizer=st.just("l2"))
    shape = tuple(per_axis(draw, SIZES, draw(st.integers(1, 3))))
    if layer == "Embedding":
        config |= options(draw, activity_regularizer=st.just("l2"))
    else:
        config |= options(draw, tie_weights=st.booleans(), logit_soft_cap=st.just(2.0))
        if draw(st.booleans()):
            return Case(layer, config, (*shape, config["output_dim"]), call={"reverse": True}, open_axes=(0,))
    return Case(layer, config, shape, "int32", config["input_dim"], open_axes=opened(draw, range(len(shape))))


@st.composite
def movers(draw: st.DrawFn) -> Case:
    """Draw a layer that moves values without changing them."""
    layer = draw(st.sampled_from(["Flatten", "Reshape", "Permute", "RepeatVector", "Identity"]))
    shape = tuple(per_axis(draw, SIZES, 2 if layer == "RepeatVector" else draw(st.integers(1, 4))))
    axes = range(len(shape))
    config: dict[str, Any] = {}
    if layer == "Flatten":
        config = options(draw, data_format=st.sampled_from(["channels_first", "channels_last"]))
    elif layer == "Reshape":
        target = list(draw(st.permutations([*shape[1:], *draw(st.sampled_from([[], [1]]))])))
        if len(target) > 1 and draw(st.booleans()):
            target[:2] = [target[0] * target[1]]
        if target and draw(st.booleans()):
            target[draw(st.integers(0, len(target) - 1))] = -1
        config, axes = {"target_shape": target}, range(1)
    elif layer == "Permute":
        config = {"dims": list(draw(st.permutations(range(1, len(shape)))))}
    elif layer == "RepeatVector":
        config = {"n": draw(st.integers(1, 3))}
    dtype = draw(st.sampled_from(["float32", "int32"]))
    masked = layer == "Identity" and len(shape) > 1 and draw(st.booleans())
    return Case(layer, config, shape, dtype, mask=masked, open_axes=opened(draw, axes))


@st.composite
def maskings(draw: st.DrawFn) -> Case:
    shape = (2, *per_axis(draw, SIZES, draw(st.integers(1, 2))), draw(st.integers(1, 2)))
    # What has one of three values is masked now and then; their symbolic dtype is Keras' own matter.
    config = options(draw, mask_value=st.sampled_from([0.0, 1.0, 2.0]))
    axes = opened(draw, range(len(shape)))
    return Case("Masking", config, shape, "int32", 3, open_axes=axes, skip=frozenset({"shape"}))


@st.composite
def activations(draw: st.DrawFn) -> Case:
    layer = draw(st.sampled_from(["Activation", "ReLU", "LeakyReLU", "ELU", "PReLU", "Softmax"]))
    shape = tuple(per_axis(draw, SIZES, draw(st.integers(2, 4))))
    axes: Any = range(len(shape))
    masked = draw(st.booleans()) and layer != "Softmax"
    config: dict[str, Any] = {}
    if layer == "Activation":
        config = {"activation": draw(ACTIVATION.filter(bool))}
    elif layer == "ReLU":
        slopes = st.sampled_from([0.0, 0.2])
        config = options(draw, max_value=st.sampled_from([0.5, 6]), negative_slope=slopes, threshold=slopes)
    elif layer == "LeakyReLU":
        config = options(draw, negative_slope=st.sampled_from([0.0, 0.1]))
    elif layer == "ELU":
        config = options(draw, alpha=st.sampled_from([0.5, 2.0]))
    elif layer == "PReLU":
        shared = sorted(draw(st.sets(st.integers(1, len(shape) - 1))))
        config = {"shared_axes": shared} if shared else {}
        axes = [0, *shared]
    else:
        few = draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
        config = draw(st.sampled_from([{}, {"axis": min(few)}, {"axis": sorted(few)}]))
        masked = len(shape) == 2 and draw(st.booleans())
    return Case(layer, config, shape, mask=masked, open_axes=opened(draw, axes))


@examples(20)
@given(denses(), HOW)
def test_random_dense(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)


@examples(25)
@given(einsums(), HOW)
def test_random_einsum_dense(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)


@examples(15)
@given(embeddings(), HOW)
def test_random_embedding(case: Case, how: str | None) -> None:
    # Backwards on given vectors, which embeddings do not cast, Keras' symbolic dtype is not its eager one.
    assert_as_keras(case, None if "mixed" in str(how) and case.call else how)


@examples(20)
@given(movers(), HOW)
def test_random_mover(case: Case, how: str | None) -> None:
    assert math.prod(case.inputs) > 0
    assert_as_keras(case, how if case.dtype == "float32" else None)


@examples(8)
@given(maskings())
def test_random_masking(case: Case) -> None:
    assert_as_keras(case)


@examples(30)
@given(activations(), HOW)
def test_random_activation(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)
