"""Models made from models: clones, JSON and back, artifacts that run without kerasmagic."""

from __future__ import annotations

import json
import subprocess
import sys

import jax
import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic import layers

X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")


def graph():
    a = keras.Input((4,), name="a")
    shared = layers.Dense(4, name="shared")
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, activation="tanh", name="in1")], name="inner"
    )
    h = shared(inner(shared(a)))
    return keras.Model({"a": a}, {"double": 2.0 * h, "plain": h}, name="graph")


def same_outputs(model, clone):
    for ours, theirs in zip(
        keras.tree.flatten(model({"a": X})), keras.tree.flatten(clone({"a": X})), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_a_clone_has_weights_of_its_own():
    model = graph()
    model.compile("adam", {"double": "mse"})
    clone = keras.models.clone_model(model)
    assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
    assert len(clone.weights) == len(model.weights) == 4
    assert clone.compiled
    assert clone.optimizer is not model.optimizer
    assert not {id(v) for v in clone.weights} & {id(v) for v in model.weights}
    clone.set_weights(model.get_weights())
    same_outputs(model, clone)


def test_layers_are_cloned_as_told_and_shared_ones_once():
    names = []

    def clone_layer(layer):
        names.append(layer.name)
        return type(layer).from_config({**layer.get_config(), "trainable": False})

    clone = keras.models.clone_model(graph(), clone_function=clone_layer)
    assert sorted(names) == ["inner", "shared"]
    names.clear()
    clone = keras.models.clone_model(graph(), clone_function=clone_layer, recursive=True)
    assert sorted(names) == ["in1", "shared"]
    assert clone.trainable_weights == []


def test_a_clone_may_call_layers_in_another_way():
    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        return layers.Dropout(0.5)(outputs) if isinstance(layer, layers.Dense) else outputs

    model = graph()
    clone = keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)
    assert sum(isinstance(layer, layers.Dropout) for layer in clone.layers) == 2
    assert clone.get_layer("shared") is model.get_layer("shared")
    same_outputs(model, clone)


def test_a_clone_may_stand_on_given_tensors():
    x = keras.Input((4,), name="mine")
    clone = keras.models.clone_model(graph(), input_tensors={"a": x})
    assert clone.input["a"] is x
    stack = keras.Sequential([keras.Input((4,)), layers.Dense(2)], name="stack")
    clone = keras.models.clone_model(stack, input_tensors=[keras.Input((4,), batch_size=5)])
    assert (clone.name, clone.output_shape) == ("stack", (5, 2))


@keras.saving.register_keras_serializable(package="tests")
class Scaled(keras.Model):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.factor * self.dense(x)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def test_a_model_that_tells_its_config_can_be_cloned():
    model = Scaled(3.0)
    model(X)
    assert keras.models.clone_model(model).factor == 3.0


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda: keras.Sequential([layers.Dense(1)]), {"call_function": print}, "functional models only"),
        (lambda: Scaled(1.0), {"clone_function": print}, "Sequential and functional"),
        (graph, {"input_tensors": {"a": X}}, "KerasTensors"),
        (graph, {"input_tensors": [keras.KerasTensor((None, 4))]}, "structure of `model.input`"),
        (
            lambda: keras.Sequential([keras.Input((4,)), layers.Dense(1)]),
            {"input_tensors": [keras.KerasTensor((None, 4))] * 2},
            "one KerasTensor",
        ),
    ],
)
def test_impossible_clones_are_refused(make, options, message):
    with pytest.raises(ValueError, match=message):
        keras.models.clone_model(make(), **options)


def test_json_and_back():
    for model in (graph(), keras.Sequential([keras.Input((4,)), layers.Dense(3)]), Scaled(2.0)):
        again = keras.models.model_from_json(model.to_json(indent=1))
        assert json.loads(again.to_json()) == json.loads(model.to_json())
    for text, message in (("{", "no JSON"), ("[]", "no model"), ('"relu"', "no model")):
        with pytest.raises(ValueError, match=message):
            keras.models.model_from_json(text)


def test_a_compiled_model_can_tell_how_it_was_compiled():
    model = graph()
    model.compile(
        keras.optimizers.Adam(0.5),
        {"double": "mse", "plain": keras.losses.Huber(2.0)},
        metrics={"plain": ["mae"]},
    )
    clone = graph()
    clone.compile_from_config(json.loads(json.dumps(model.get_compile_config())))
    assert float(clone.optimizer.learning_rate) == 0.5
    assert clone.loss["plain"].delta == 2.0
    assert clone.optimizer.built
    targets = {"double": X, "plain": X}
    assert clone.evaluate({"a": X}, targets, verbose=0, return_dict=True).keys() >= {
        "plain_mae",
        "double_loss",
    }


LOADER = """
    import sys
    import jax, numpy as np
    loaded = jax.export.deserialize(bytearray(open(sys.argv[1], "rb").read()))
    np.save(sys.argv[2], loaded.call(np.load(sys.argv[3])))
    assert not any(name.startswith(("keras", "h5py", "optax")) for name in sys.modules)
"""


def test_an_artifact_runs_with_jax_alone(tmp_path):
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), layers.Conv2D(2, 3), layers.Dropout(0.5), layers.Flatten(), layers.Dense(2)]
    )
    path, images = (
        tmp_path / "model.stablehlo",
        np.random.default_rng(0).normal(size=(5, 6, 6, 1)).astype("float32"),
    )
    model.export(path)
    np.save(tmp_path / "x.npy", images)
    program = "\n".join(line.strip() for line in LOADER.splitlines())
    files = [str(tmp_path / name) for name in ("model.stablehlo", "y.npy", "x.npy")]
    subprocess.run([sys.executable, "-c", program, *files], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model.predict(images, verbose=0), rtol=1e-5)


def test_artifacts_keep_the_structure_of_inputs_and_outputs(tmp_path):
    model = graph()
    model.export(tmp_path / "graph", platforms=["cpu"])
    loaded = jax.export.deserialize(bytearray((tmp_path / "graph").read_bytes()))
    outputs = loaded.call({"a": X})
    assert outputs.keys() == {"double", "plain"}
    np.testing.assert_allclose(outputs["double"], model({"a": X})["double"], rtol=1e-6)


def test_a_model_without_input_needs_a_signature(tmp_path):
    model = Scaled(2.0)
    model(X)
    with pytest.raises(ValueError, match="input_signature"):
        model.export(tmp_path / "m")
    model.export(tmp_path / "m", input_signature=[keras.InputSpec(shape=(None, 4))], platforms=["cpu"])
    loaded = jax.export.deserialize(bytearray((tmp_path / "m").read_bytes()))
    np.testing.assert_allclose(loaded.call(X), model(X), rtol=1e-6)


@pytest.mark.parametrize("format", ["tf_saved_model", "onnx", "torch", "something"])
def test_other_formats_are_named_as_what_they_need(tmp_path, format):
    with pytest.raises(ValueError, match="format='stablehlo'"):
        graph().export(tmp_path / "m", format=format)


def test_archives_refuse_what_they_cannot_write(tmp_path):
    archive = keras.export.ExportArchive()
    with pytest.raises(ValueError, match="built"):
        archive.track(layers.Dense(2))
    with pytest.raises(ValueError, match="input_signature"):
        archive.add_endpoint("serve", lambda x: x)
    with pytest.raises(ValueError, match="name"):
        archive.add_endpoint("../serve", lambda x: x, [keras.InputSpec(shape=(2,))])
    with pytest.raises(ValueError, match="endpoints"):
        archive.write_out(tmp_path)
