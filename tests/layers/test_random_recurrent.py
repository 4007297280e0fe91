"""Random recurrent layers, cells and wrappers against Keras."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.layers.case import Case, nested
from tests.layers.drawn import HOW, assert_as_keras, examples, opened, options, per_axis

WALK: dict[str, Any] = dict.fromkeys(
    ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask"), st.booleans()
)
RATES = st.sampled_from([0.0, 0.4, 1.0])
CELL: dict[str, Any] = {
    "activation": st.sampled_from(["tanh", "relu", None]),
    "use_bias": st.booleans(),
    "dropout": RATES,
    "recurrent_dropout": RATES,
    "kernel_regularizer": st.just("l2"),
}
GATES = {"recurrent_activation": st.sampled_from(["sigmoid", "hard_sigmoid", "linear"])}
OWN: dict[str, dict[str, Any]] = {
    "SimpleRNN": {},
    "LSTM": {"unit_forget_bias": st.booleans(), **GATES},
    "GRU": {"reset_after": st.booleans(), **GATES},
}
KINDS = st.sampled_from(sorted(OWN))
# Keras draws, and throws away, what a layer that does not train would drop: only its count goes on.
NO_STATE = frozenset({"state"})
SIZES = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3))


def _sequences(draw: st.DrawFn, layer: str, config: dict[str, Any], *, closed: bool = False) -> Case:
    """Return a case on sequences, with or without mask and initial states."""
    axes = opened(draw, [0] if closed else [0, 1])
    return _called(draw, Case(layer, config, draw(SIZES), mask=draw(st.booleans()), open_axes=axes))


def _called(draw: st.DrawFn, case: Case) -> Case:
    """Return the case called as in training, as in use, or without a word on it."""
    call = options(draw, training=st.booleans())
    return dataclasses.replace(case, call=call, skip=frozenset() if call.get("training") else NO_STATE)


@st.composite
def layers_drawn(draw: st.DrawFn) -> Case:
    kind = draw(KINDS)
    unroll = draw(st.booleans())
    config = {"units": draw(st.integers(1, 4)), "unroll": unroll}
    config |= options(draw, **WALK, **CELL, **OWN[kind])
    if kind != "SimpleRNN":  # Keras loses it there.
        config |= options(draw, activity_regularizer=st.just("l1"))
    case = _sequences(draw, kind, config, closed=unroll)
    if draw(st.booleans()):
        states = [(case.inputs[0], config["units"])] * (2 if kind == "LSTM" else 1)
        inputs = {"sequences": case.inputs, "initial_state": states}
        return dataclasses.replace(case, inputs=inputs, mask=False, open_axes=(0,))
    return case


@st.composite
def wrapped(draw: st.DrawFn) -> Case:
    kind = draw(KINDS)
    walk = {name: values for name, values in WALK.items() if name != "go_backwards"}
    inner = {"units": draw(st.integers(1, 3)), **options(draw, **walk, **CELL, **OWN[kind])}
    config: dict[str, Any] = {"layer": nested(kind, **inner)}
    if draw(st.booleans()):
        batch, time, features = draw(SIZES)
        config["layer"]["config"].pop("return_state", None)
        shape = (batch, 2, time, features)
        return _called(draw, Case("TimeDistributed", config, shape, open_axes=opened(draw, [0])))
    config |= options(draw, merge_mode=st.sampled_from(["concat", "sum", "mul", "ave", None]))
    return _sequences(draw, "Bidirectional", config)


@st.composite
def cells(draw: st.DrawFn) -> Case:
    def cell() -> dict[str, Any]:
        kind = draw(KINDS)
        own = {"units": draw(st.integers(1, 3)), **options(draw, **CELL, **OWN[kind])}
        return nested(f"{kind}Cell", **own)

    many = draw(st.booleans())
    inside = nested("StackedRNNCells", cells=[cell(), cell()]) if many else cell()
    return _sequences(draw, "RNN", {"cell": inside, **options(draw, **WALK)})


@st.composite
def convolutional(draw: st.DrawFn) -> Case:
    rank = draw(st.integers(1, 2))
    window = per_axis(draw, st.integers(1, 2), rank)
    config = {"filters": draw(st.integers(1, 2)), "kernel_size": window}
    walk = {name: values for name, values in WALK.items() if name != "zero_output_for_mask"}
    config |= options(draw, **walk, **CELL, unit_forget_bias=st.booleans())
    config |= options(
        draw,
        padding=st.sampled_from(["valid", "same"]),
        data_format=st.sampled_from(["channels_first", "channels_last"]),
    )
    config |= draw(st.sampled_from([{}, {"strides": 2}, {"dilation_rate": 2}]))
    spatial, channels = per_axis(draw, st.integers(3, 4), rank), draw(st.integers(1, 2))
    first = config.get("data_format") == "channels_first"
    image = (channels, *spatial) if first else (*spatial, channels)
    return _called(draw, Case(f"ConvLSTM{rank}D", config, (2, 2, *image), open_axes=opened(draw, [0, 1])))


@examples(15)
@given(layers_drawn(), HOW)
def test_random_recurrent_layer(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)


@examples(8)
@given(wrapped(), HOW)
def test_random_wrapper(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)


@examples(8)
@given(cells(), HOW)
def test_random_cells(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)


@examples(6)
@given(convolutional(), HOW)
def test_random_convolutional_layer(case: Case, how: str | None) -> None:
    assert_as_keras(case, how)
