"""Definition -> resolved definition: which layer a name means and which argument a word fills."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kerasmagic.foundation.errors import DefinitionErrors
from kerasmagic.language import check_model, parse_model, read_model, resolve_step
from kerasmagic.language import resolved as r
from tests.language.words import VOCABULARY


def plain(value: Any) -> Any:
    """Return a resolved value without its places."""
    match value:
        case r.ResolvedCall(kind, name, arguments):
            return (kind, name, bound(arguments))
        case r.ResolvedStep():
            return (value.layer(), bound(value.arguments))
        case r.PythonValue(source):
            return f"{{{source}}}"
        case list():
            return [plain(item) for item in value]
    return value


def bound(arguments: tuple[r.BoundArgument, ...]) -> dict[str, Any]:
    return {a.name: plain(a.value) for a in arguments}


def only_step(text: str) -> r.ResolvedStep:
    model = read_model(text, VOCABULARY)
    assert model.steps is not None
    (step,) = model.steps
    assert isinstance(step, r.ResolvedStep)
    return step


STEPS: list[tuple[str, str | None, dict[str, Any]]] = [
    ("dense 10", "Dense", {"units": 10}),
    ("fc 10", "Dense", {"units": 10}),
    ("Dense(10)", "Dense", {"units": 10}),
    ("dense relu 10", "Dense", {"units": 10, "activation": "relu"}),
    ("dense 10 !use_bias", "Dense", {"units": 10, "use_bias": False}),
    ("dense 10 use_bias", "Dense", {"units": 10, "use_bias": True}),
    ("dense 10 use_bias=false", "Dense", {"units": 10, "use_bias": False}),
    ("dense 10 he_normal", "Dense", {"units": 10, "kernel_initializer": "he_normal"}),
    (
        "dense 10 HeNormal(3)",
        "Dense",
        {"units": 10, "kernel_initializer": ("initializer", "HeNormal", {"seed": 3})},
    ),
    ("dense 10 l2(0.1)", "Dense", {"units": 10, "kernel_regularizer": ("regularizer", "l2", {"l2": 0.1})}),
    ("dense 10 l2", "Dense", {"units": 10, "kernel_regularizer": "l2"}),
    ("dense 10 bias_regularizer=l1", "Dense", {"units": 10, "bias_regularizer": "l1"}),
    ("dense 10 non_neg", "Dense", {"units": 10, "kernel_constraint": "non_neg"}),
    ("dense 10 float16 name=head", "Dense", {"units": 10, "dtype": "float16", "name": "head"}),
    ("dense 10 'relu'", "Dense", {"units": 10, "activation": "relu"}),
    ('Dense(10, "relu")', "Dense", {"units": 10, "activation": "relu"}),
    ("Dense(10, relu)", "Dense", {"units": 10, "activation": "relu"}),
    ("Dense(10, activation=none)", "Dense", {"units": 10, "activation": None}),
    ("dense {n}", "Dense", {"units": "{n}"}),
    ("dense 10 activation={act}", "Dense", {"units": 10, "activation": "{act}"}),
    ("dense (2 * 5)", "Dense", {"units": 10}),
    ("dense (64 / 2 + 1)", "Dense", {"units": 33}),
    (
        "Conv2D 16 3x3 /2 same",
        "Conv2D",
        {"filters": 16, "kernel_size": (3, 3), "strides": 2, "padding": "same"},
    ),
    ("Conv2D 16 3 /2x1", "Conv2D", {"filters": 16, "kernel_size": 3, "strides": (2, 1)}),
    (
        "Conv2D 16 3 1 2",
        "Conv2D",
        {"filters": 16, "kernel_size": 3, "strides": 1, "dilation_rate": 2},
    ),
    (
        'Conv2D(16, 3, (1, 1), "same")',
        "Conv2D",
        {"filters": 16, "kernel_size": 3, "strides": (1, 1), "padding": "same"},
    ),
    (
        "Conv2D 16 3 channels_first",
        "Conv2D",
        {"filters": 16, "kernel_size": 3, "data_format": "channels_first"},
    ),
    ("conv1d 16 3 causal", "Conv1D", {"filters": 16, "kernel_size": 3, "padding": "causal"}),
    ("reshape (4, 4)", "Reshape", {"target_shape": (4, 4)}),
    ("reshape 4x4", "Reshape", {"target_shape": (4, 4)}),
    ("reshape (-1,)", "Reshape", {"target_shape": (-1,)}),
    ("relu", "Activation", {"activation": "relu"}),
    ("softmax", "Activation", {"activation": "softmax"}),
    ("softmax axis=1", "Softmax", {"axis": 1}),
    ("Softmax", "Softmax", {}),
    ("relu 6", "ReLU", {"max_value": 6}),
    ("activation relu", "Activation", {"activation": "relu"}),
    ("batch_normalization 1", "BatchNormalization", {"axis": 1}),
    ("batchnormalization", "BatchNormalization", {}),
    ("bn !center", "BatchNormalization", {"center": False}),
    ("max_pooling_2d 3", "MaxPooling2D", {"pool_size": 3}),
    ("lstm 8 relu", "LSTM", {"units": 8, "activation": "relu"}),
    ("lstm 8 recurrent_activation=relu", "LSTM", {"units": 8, "recurrent_activation": "relu"}),
    (
        "bi lstm 8 return_sequences merge_mode=sum",
        "Bidirectional",
        {"layer": ("LSTM", {"units": 8, "return_sequences": True}), "merge_mode": "sum"},
    ),
    ("td bi lstm 8", "TimeDistributed", {"layer": ("Bidirectional", {"layer": ("LSTM", {"units": 8})})}),
    ("td dense 3", "TimeDistributed", {"layer": ("Dense", {"units": 3})}),
    ("TimeDistributed(Dense(3))", "TimeDistributed", {"layer": ("Dense", {"units": 3})}),
    ("td {shared}", "TimeDistributed", {"layer": "{shared}"}),
]


@pytest.mark.parametrize(("text", "layer", "arguments"), STEPS)
def test_steps(text, layer, arguments):
    step = only_step(text)
    assert (step.layer(), bound(step.arguments)) == (layer, arguments)


def test_the_layer_of_a_short_name_depends_on_the_rank():
    step = only_step("conv 16 3 same relu")
    assert [step.layer(rank) for rank in (1, 2, 3, 4)] == ["Conv1D", "Conv2D", "Conv3D", None]


def test_a_word_that_only_one_rank_knows_rules_out_the_others():
    assert only_step("conv 16 3 causal").layers == {1: "Conv1D"}


def test_a_layer_of_the_notebook_wins():
    own = dataclasses.replace(VOCABULARY.layers["Flatten"], name="relu")
    words = dataclasses.replace(VOCABULARY, layers={**VOCABULARY.layers, "relu": own})
    (step,) = read_model("relu", words).steps or ()
    assert isinstance(step, r.ResolvedStep)
    assert (step.layer(), step.arguments) == ("relu", ())


INPUTS: list[tuple[str, tuple[Any, ...]]] = [
    ("input 28x28x1", (None, (28, 28, 1), None)),
    ("input 784", (None, (784,), None)),
    ("input time", (None, ("time",), None)),
    ("input image 28x28x1 uint8", ("image", (28, 28, 1), "uint8")),
    ("input tokens time int32", ("tokens", ("time",), "int32")),
    ("input int32 tokens time", ("tokens", ("time",), "int32")),
    ("input (time, 64)", (None, ("time", 64), None)),
    ("input x (none, {n}, 3)", ("x", (None, "{n}", 3), None)),
    ("input ()", (None, (), None)),
    ("input {shape}", (None, "{shape}", None)),
    ("input shape=(3,) name=x dtype=int32", ("x", (3,), "int32")),
    ('Input(shape=(28, 28), dtype="uint8")', (None, (28, 28), "uint8")),
    ("x = Input((3,))", ("x", (3,), None)),
]


@pytest.mark.parametrize(("text", "expected"), INPUTS)
def test_inputs(text, expected):
    (found,) = read_model(f"{text}\nflatten", VOCABULARY).inputs
    shape = tuple(map(plain, found.shape)) if isinstance(found.shape, tuple) else plain(found.shape)
    assert (found.name, shape, found.dtype) == expected


def test_other_arguments_of_an_input_are_options():
    (found,) = read_model("input 3 batch_size=32\nflatten", VOCABULARY).inputs
    assert bound(found.options) == {"batch_size": 32}


COMPILES: list[tuple[str, tuple[Any, ...]]] = [
    ("compile adam", ("adam", None, [])),
    ("compile adam, mse", ("adam", "mse", [])),
    (
        "compile adam 1e-3, mse, mae, accuracy",
        (("optimizer", "adam", {"learning_rate": 1e-3}), "mse", ["mae", "accuracy"]),
    ),
    (
        "compile adam(1e-3, clipnorm=1) loss=mse metrics=[mae]",
        (("optimizer", "adam", {"learning_rate": 1e-3, "clipnorm": 1}), "mse", ["mae"]),
    ),
    (
        "compile adam clipnorm=1 loss=mse, mae",
        (("optimizer", "adam", {"clipnorm": 1}), "mse", ["mae"]),
    ),
    (
        "compile sgd cosine_decay(0.1, 100), mse",
        (
            (
                "optimizer",
                "sgd",
                {
                    "learning_rate": (
                        "schedule",
                        "cosine_decay",
                        {"initial_learning_rate": 0.1, "decay_steps": 100},
                    )
                },
            ),
            "mse",
            [],
        ),
    ),
    (
        "compile adam, sparse_categorical_crossentropy(from_logits=true)",
        ("adam", ("loss", "sparse_categorical_crossentropy", {"from_logits": True}), []),
    ),
    ("compile {opt}, {loss_fn}, {my_metric}", ("{opt}", "{loss_fn}", ["{my_metric}"])),
    ("compile optimizer=adam loss=[mse]", ("adam", ["mse"], [])),
]


@pytest.mark.parametrize(("text", "expected"), COMPILES)
def test_compile(text, expected):
    found = read_model(f"dense 1\n{text}", VOCABULARY).compile
    assert found is not None
    assert (plain(found.optimizer), plain(found.loss), [plain(m) for m in found.metrics]) == expected


def test_compile_takes_keras_other_arguments():
    found = read_model("dense 1\ncompile adam, mse, jit_compile=true", VOCABULARY).compile
    assert found is not None
    assert bound(found.options) == {"jit_compile": True}


def flow(chain: r.ResolvedChain) -> list[Any]:
    """Return a chain as nested lists of names."""
    out: list[Any] = []
    for element in chain.elements:
        match element:
            case r.Tensor(name):
                out.append(name)
            case r.ResolvedStep():
                out.append(element.layer(2))
            case r.Gather(items):
                out.append([flow(item) for item in items])
            case r.Flowing():
                out.append("<-")
            case r.BlockInput():
                out.append("in")
            case r.ResolvedScope(name, body):
                out.append((name, [flow(s if isinstance(s, r.ResolvedChain) else s.chain) for s in body]))
            case r.PythonValue(source):
                out.append(f"{{{source}}}")
    return out


def last_flow(text: str) -> list[Any]:
    last = read_model(text, VOCABULARY).body[-1]
    return flow(last if isinstance(last, r.ResolvedChain) else last.chain)


AB = "input a 3\ninput b 3\n"
FLOWS: list[tuple[str, list[Any]]] = [
    ("a -> dense 3", ["a", "Dense"]),
    ("a + b", [[["a"], ["b"]], "Add"]),
    ("a + b + a", [[["a"], ["b"], ["a"]], "Add"]),
    ("a - b - a", [[[[["a"], ["b"]], "Subtract"], ["a"]], "Subtract"]),
    ("a + b * a", [[["a"], [[["b"], ["a"]], "Multiply"]], "Add"]),
    ("max(a, b)", [[["a"], ["b"]], "Maximum"]),
    ("dot(a, b, axes=1) -> relu", [[["a"], ["b"]], "Dot", "Activation"]),
    ("[a, b] -> concatenate", [[["a"], ["b"]], "Concatenate"]),
    ("[a -> dense 3, b]", [[["a", "Dense"], ["b"]]]),
    ("a -> relu\n+ b", [[["<-"], ["b"]], "Add"]),
    ("a -> dense 3 + b", ["a", [["Dense"], ["b"]], "Add"]),
    ("a -> (dense 3 -> relu) * 2", ["a", "Dense", "Activation", "Dense", "Activation"]),
    ("a -> (dense 3 -> relu) + b", ["a", [["Dense", "Activation"], ["b"]], "Add"]),
    ("block r:\n  relu\n  + in\na -> r", ["a", ("r", [["Activation"], [[["<-"], ["in"]], "Add"]])]),
    ("a -> {layer}", ["a", "{layer}"]),
    ("c = a -> relu\nd = dense 3", ["Dense"]),
    ("c = a -> relu\nc -> dense 3", ["c", "Dense"]),
]


@pytest.mark.parametrize(("text", "expected"), FLOWS)
def test_flows(text, expected):
    assert last_flow(AB + text) == expected


def test_a_straight_model_has_steps_and_a_graph_has_none():
    straight = read_model("input 8x8\n(dense 3) * 2\nblock b: relu\nb -> {layer}", VOCABULARY)
    assert straight.steps is not None
    assert [plain(step) for step in straight.steps] == [
        ("Dense", {"units": 3}),
        ("Dense", {"units": 3}),
        ("Activation", {"activation": "relu"}),
        "{layer}",
    ]
    for graph in (
        "x = dense 3",
        "input a 1\ninput b 1\na -> dense 3",
        "dense 3\n+ relu",
        "dense 3\noutput relu",
    ):
        assert read_model(graph, VOCABULARY).steps is None


def test_outputs_are_chains():
    model = read_model("input a 3\nb = relu\noutput a, b -> dense 1", VOCABULARY)
    assert [flow(chain) for chain in model.outputs] == [["a"], ["b", "Dense"]]


def test_names_of_a_block_stay_inside():
    with pytest.raises(DefinitionErrors, match="'inner' is no layer"):
        read_model("block b:\n  inner = relu\nb\n+ inner", VOCABULARY)


def test_check_and_resolve_work_on_their_own():
    definition = parse_model("dense 3 -> conv 16")
    with pytest.raises(DefinitionErrors, match="Conv2D needs kernel_size"):
        check_model(definition, VOCABULARY)
    dense, conv = definition.body[0].elements  # type: ignore[union-attr]
    assert resolve_step(dense, VOCABULARY).layer() == "Dense"
    with pytest.raises(DefinitionErrors, match="Conv3D needs kernel_size"):
        resolve_step(conv, VOCABULARY, rank=3)
