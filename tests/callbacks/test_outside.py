"""Callbacks that reach outside: a server, and files for packages that may be installed."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse

import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic import layers
from tests.tools import public_names

X = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")


def make_model():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def fit(callback, **options):
    model = make_model()
    history = model.fit(
        X,
        X[:, :1],
        epochs=2,
        batch_size=8,
        verbose=0,
        validation_data=(X, X[:, :1]),
        callbacks=[callback],
        **options,
    )
    return model, history.history


@pytest.fixture
def server():
    received = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.append((self.path, self.headers["Content-Type"], self.headers["X-Key"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", received
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("as_json", [False, True])
def test_a_server_hears_of_each_epoch(server, as_json):
    root, received = server
    _, history = fit(keras.callbacks.RemoteMonitor(root, headers={"X-Key": "k"}, send_as_json=as_json))
    assert [path for path, *_ in received] == ["/publish/epoch/end/"] * 2
    _, kind, key, body = received[1]
    assert (kind, key) == ("application/json" if as_json else "application/x-www-form-urlencoded", "k")
    sent = json.loads(body if as_json else urllib.parse.parse_qs(body)["data"][0])
    assert sent == {"epoch": 1, "loss": history["loss"][1], "val_loss": history["val_loss"][1]}


def test_a_server_that_is_not_there_is_a_warning():
    with pytest.warns(UserWarning, match="Could not reach"):
        fit(keras.callbacks.RemoteMonitor("http://127.0.0.1:9"))
    with pytest.raises(ValueError, match="http"):
        keras.callbacks.RemoteMonitor("file:///etc")


def scalars(directory):
    """Return what stands in the files of a directory: tag -> {step: value}."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found = {}
    for path in directory.glob("events.*"):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                number = value.tensor.float_val[0] if value.tensor.float_val else None
                found.setdefault(value.tag, {})[event.step] = number
    return found


def test_tensorboard_reads_what_was_written(tmp_path):
    pytest.importorskip("tensorboard")
    callback = keras.callbacks.TensorBoard(
        tmp_path, histogram_freq=1, update_freq="batch", write_steps_per_second=True
    )
    _, history = fit(callback)
    training, validation = scalars(tmp_path / "train"), scalars(tmp_path / "validation")
    assert [training["epoch_loss"][i] for i in range(2)] == pytest.approx(history["loss"])
    assert [validation["epoch_loss"][i] for i in range(2)] == pytest.approx(history["val_loss"])
    assert sorted(training["batch_loss"]) == list(range(1, 7))
    assert {"keras", "epoch_learning_rate", "epoch_steps_per_second"} <= training.keys()
    assert sum(tag.endswith("/histogram") for tag in training) == 2


def test_tensorboard_refuses_what_it_does_not_write():
    for option in ({"write_images": True}, {"embeddings_freq": 1}, {"embeddings_metadata": "x"}):
        with pytest.raises(ValueError, match="embeddings"):
            keras.callbacks.TensorBoard(**option)


def test_orbax_restores_what_it_saved(tmp_path):
    pytest.importorskip("orbax.checkpoint")
    model, _ = fit(keras.callbacks.OrbaxCheckpoint(tmp_path, max_to_keep=2))
    other = make_model()
    other.optimizer.build(other.trainable_variables)
    assert keras.callbacks.OrbaxCheckpoint(tmp_path).restore(other) == 2
    for a, b in zip(
        [*model.weights, *model.optimizer.variables],
        [*other.weights, *other.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="no checkpoint"):
        keras.callbacks.OrbaxCheckpoint(tmp_path / "empty").restore(other)


@pytest.mark.parametrize("package", ["tensorboard", "orbax"])
def test_a_package_that_is_missing_is_named(package, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    monkeypatch.setitem(__import__("sys").modules, f"{package}.checkpoint", None)
    monkeypatch.setitem(__import__("sys").modules, f"{package}.compat.proto", None)
    make = {
        "tensorboard": keras.callbacks.TensorBoard,
        "orbax": lambda: keras.callbacks.OrbaxCheckpoint("x"),
    }[package]
    with pytest.raises(ImportError, match=package):
        make()


def test_every_callback_of_keras_is_there(keras):
    from kerasmagic import callbacks

    public_names.check(callbacks, keras.callbacks)
