"""Callbacks beside those of Keras, told the same; and what a kill leaves behind."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from kerasmagic import callbacks, metrics, optimizers
from kerasmagic.callbacks.callback import overrides
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import InvalidArgument


class Model:
    """As much of a model as callbacks use; its weights are a number and its files that number."""

    def __init__(self, learning_rate: float = 1.0, optimizer: Any = None):
        self.optimizer = optimizer or optimizers.SGD(learning_rate)
        self.stop_training = False
        self.built = True
        self.metrics: list[Any] = []
        self.weight = 0.0
        self.history: Any = None
        self.trainable_variables: list[Any] = []
        self._resumed: Any = None
        self.saved: list[str] = []

    def get_weights(self) -> list[float]:
        return [self.weight]

    def set_weights(self, weights: list[float]) -> None:
        (self.weight,) = weights

    def save_weights(self, path: Any, overwrite: bool = True) -> None:
        self.saved.append(os.path.basename(path))
        Path(path).write_text(str(self.weight))

    save = save_weights

    def load_weights(self, path: Any) -> None:
        self.weight = float(Path(path).read_text())


def run(callback: Any, numbers: list[float], model: Model, name: str = "val_loss") -> list[dict[str, Any]]:
    """Tell a callback of one epoch for each number, until it stops the training."""
    callback.set_model(model)
    callback.set_params({"epochs": len(numbers), "steps": 1, "verbose": 0})
    callback.on_train_begin()
    seen = []
    for epoch, number in enumerate(numbers):
        callback.on_epoch_begin(epoch)
        model.weight = float(epoch)
        logs = {"loss": 1.0, name: number}
        callback.on_epoch_end(epoch, logs)
        seen.append(logs)
        if model.stop_training:
            break
    callback.on_train_end()
    return seen


CURVE = [5.0, 4.0, 4.1, 3.95, 4.2, 3.0, 3.1, 3.2, 3.3, 2.9, 3.0, 3.0, 3.0, 3.0, 3.0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"patience": 2},
        {"patience": 2, "min_delta": 0.5},
        {"patience": 2, "restore_best_weights": True},
        {"patience": 3, "restore_best_weights": True, "baseline": 3.5},
        {"patience": 1, "start_from_epoch": 4, "restore_best_weights": True},
        {"mode": "max", "patience": 3},
    ],
    ids=lambda o: "-".join(o),
)
def test_early_stopping_stops_where_keras_does(keras: ModuleType, options: dict[str, Any]) -> None:
    ends = []
    for module in (callbacks, keras.callbacks):
        model = Model()
        callback = module.EarlyStopping(**{"mode": "min", **options})
        epochs = len(run(callback, CURVE, model))
        ends.append((epochs, model.weight, callback.stopped_epoch, callback.wait, callback.best_epoch))
    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    "options",
    [{"patience": 2}, {"patience": 1, "cooldown": 2}, {"patience": 1, "min_lr": 0.3}, {"mode": "max"}],
    ids=lambda o: "-".join(o),
)
def test_the_learning_rate_is_lowered_as_in_keras(keras: ModuleType, options: dict[str, Any]) -> None:
    ends = []
    for module in (callbacks, keras.callbacks):
        opt = keras.optimizers.SGD(1.0) if module is keras.callbacks else None
        logs = run(
            module.ReduceLROnPlateau(**{"mode": "min", "factor": 0.5, **options}), CURVE, Model(optimizer=opt)
        )
        ends.append([log["learning_rate"] for log in logs])
    assert ends[0] == pytest.approx(ends[1])


def test_what_is_better_is_asked_of_the_metric() -> None:
    for metric, name, best in (
        (metrics.Accuracy(), "val_accuracy", 9.0),
        (metrics.MeanSquaredError(name="e"), "e", 1.0),
    ):
        model = Model()
        model.metrics = [SimpleNamespace(metrics=[metric])]
        callback = callbacks.EarlyStopping(monitor=name, patience=9)
        run(callback, [2.0, 9.0, 1.0], model, name)
        assert callback.best == best
    with pytest.raises(InvalidArgument, match="mode='max'"):
        run(callbacks.EarlyStopping(monitor="beauty"), [1.0, 2.0], Model(), "beauty")
    with pytest.warns(UserWarning, match="not available"):
        run(callbacks.EarlyStopping(monitor="other"), [1.0], Model())
    with pytest.warns(UserWarning, match="fallback to auto"):
        callbacks.EarlyStopping(mode="least")


def test_a_schedule_sets_the_rate_of_each_epoch() -> None:
    model = Model()
    logs = run(callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5), [1.0] * 3, model)
    assert [log["learning_rate"] for log in logs] == [0.5, 0.25, 0.125]
    logs = run(callbacks.LearningRateScheduler(lambda epoch: 1.0 / (epoch + 1)), [1.0] * 2, model)
    assert [log["learning_rate"] for log in logs] == [1.0, 0.5]
    with pytest.raises(InvalidArgument, match="should be a float"):
        run(callbacks.LearningRateScheduler(lambda epoch, rate: "fast"), [1.0], model)


def test_training_ends_at_nan(capsys: pytest.CaptureFixture[str]) -> None:
    model = Model()
    callback = callbacks.TerminateOnNaN()
    callback.set_model(model)
    callback.on_train_batch_end(3, {"loss": 1.0})
    assert not model.stop_training
    callback.on_train_batch_end(4, {"loss": float("nan")})
    assert model.stop_training
    assert "Batch 4: Invalid loss" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="after batch 2"):
        callbacks.TerminateOnNaN(raise_error=True).on_train_batch_end(2, {"loss": float("inf")})


def test_a_table_of_all_epochs_as_keras_writes_it(keras: ModuleType, tmp_path: Path) -> None:
    texts = []
    for module in (callbacks, keras.callbacks):
        path = tmp_path / f"{module.__name__}.csv"
        for append in (False, True):
            run(module.CSVLogger(str(path), separator=";", append=append), [0.5, 0.25], Model())
        texts.append(path.read_text())
    assert texts[0].replace("\r\n", "\n") == texts[1].replace("\r\n", "\n")
    rows = list(csv.DictReader(texts[0].splitlines(), delimiter=";"))
    assert [row["epoch"] for row in rows] == ["0", "1", "0", "1"]


@pytest.mark.parametrize(
    "options", [{}, {"save_best_only": True}, {"save_best_only": True, "initial_value_threshold": 3.5}]
)
def test_checkpoints_are_saved_when_keras_saves_them(
    keras: ModuleType, tmp_path: Path, options: dict[str, Any]
) -> None:
    saved = []
    for module in (callbacks, keras.callbacks):
        model = Model()
        path = tmp_path / "deep" / "{epoch:02d}-{val_loss:.2f}.keras"
        run(module.ModelCheckpoint(str(path), mode="min", **options), CURVE, model)
        saved.append(model.saved)
    assert saved[0] == saved[1]
    assert saved[0]


def test_checkpoints_every_few_batches(keras: ModuleType, tmp_path: Path) -> None:
    saved = []
    for module in (callbacks, keras.callbacks):
        model = Model()
        callback = module.ModelCheckpoint(
            str(tmp_path / "{epoch}-{batch}.weights.h5"), save_weights_only=True, save_freq=3, mode="min"
        )
        callback.set_model(model)
        for epoch in range(2):
            callback.on_epoch_begin(epoch)
            for batch in range(5):
                callback.on_train_batch_end(batch, {"loss": 1.0})
            callback.on_epoch_end(epoch, {"loss": 1.0})
        saved.append(model.saved)
    assert saved[0] == saved[1] == ["1-3.weights.h5", "2-1.weights.h5", "2-4.weights.h5"]


def test_impossible_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="keras"):
        callbacks.ModelCheckpoint("model.txt")
    with pytest.raises(InvalidArgument, match=r"weights\.h5"):
        callbacks.ModelCheckpoint("model.keras", save_weights_only=True)
    with pytest.raises(InvalidArgument, match="save_freq"):
        callbacks.ModelCheckpoint("model.keras", save_freq="batch")
    with pytest.raises(KeyError, match="beauty"):
        run(callbacks.ModelCheckpoint("{beauty}.keras"), [1.0], Model())
    (tmp_path / "model.keras").mkdir()
    with pytest.raises(IsADirectoryError, match="directory"):
        run(callbacks.ModelCheckpoint(tmp_path / "model.keras"), [1.0], Model())


def backup(directory: Path, **options: Any) -> tuple[Any, Model]:
    callback, model = callbacks.BackupAndRestore(directory, **options), Model()
    callback.set_model(model)
    callback.on_train_begin()
    return callback, model


def train(callback: Any, model: Model, epochs: range, batches: int = 4) -> None:
    for epoch in epochs:
        callback.on_epoch_begin(epoch)
        for batch in range(batches):
            model.weight += 1
            callback.on_train_batch_end(batch, {})
        callback.on_epoch_end(epoch, {})


def test_training_goes_on_from_the_last_epoch(tmp_path: Path) -> None:
    directory = tmp_path / "backup"
    callback, model = backup(directory)
    assert callback.restored is None
    train(callback, model, range(2))
    again, restored = backup(directory)
    assert (restored.weight, restored._resumed, again.restored) == (8.0, (2, 0), {"epoch": 2, "batch": 0})
    assert restored.optimizer.built
    train(again, restored, range(2, 3))
    assert len(list(directory.glob("*.h5"))) == 1
    (directory / "mine.txt").write_text("keep")
    again.on_train_end()
    assert [path.name for path in directory.iterdir()] == ["mine.txt"]


def test_training_goes_on_from_the_middle_of_an_epoch(tmp_path: Path) -> None:
    callback, model = backup(tmp_path, save_freq=3, delete_checkpoint=False)
    train(callback, model, range(1))
    train(callback, model, range(1, 2), batches=3)
    again, restored = backup(tmp_path, save_freq=3)
    assert (restored.weight, again.restored) == (6.0, {"epoch": 1, "batch": 2})


@pytest.mark.parametrize("moment", ["weights", "metadata", "replace"])
def test_a_kill_while_saving_leaves_the_point_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    callback, model = backup(tmp_path)
    train(callback, model, range(1))

    def killed(*args: Any, **kwargs: Any) -> Any:
        if moment == "weights":
            Path(args[0]).write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if moment == "weights":
            patch.setattr(model, "save_weights", killed)
        else:
            patch.setattr(os, "fsync" if moment == "metadata" else "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            train(callback, model, range(1, 2))
    again, restored = backup(tmp_path)
    assert (restored.weight, again.restored) == (4.0, {"epoch": 1, "batch": 0})
    train(again, restored, range(1, 2))
    assert backup(tmp_path)[1].weight == 8.0


def test_the_point_before_the_last_is_a_second_chance(tmp_path: Path) -> None:
    callback, model = backup(tmp_path, double_checkpoint=True)
    train(callback, model, range(3))
    newest = max(tmp_path.glob("*.h5"), key=lambda path: int(path.name.split("-")[1].split(".")[0]))
    newest.unlink()
    again, restored = backup(tmp_path, double_checkpoint=True)
    assert (restored.weight, again.restored) == (8.0, {"epoch": 2, "batch": 0})


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"points": [{}]}',
        json.dumps({"points": [{"epoch": 1, "batch": 0, "serial": 1, "weights": "../secret.h5"}]}),
    ],
)
def test_metadata_of_others_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "training_metadata.json").write_text(text)
    with pytest.raises(InvalidArgument, match="no backup"):
        backup(tmp_path)


def test_backups_need_a_built_model(tmp_path: Path) -> None:
    callback, model = callbacks.BackupAndRestore(tmp_path), Model()
    model.built = False
    callback.set_model(model)
    with pytest.raises(InvalidArgument, match="built"):
        callback.on_train_begin()
    with pytest.raises(InvalidArgument, match="Empty"):
        callbacks.BackupAndRestore("")


def test_averages_are_shown_while_testing_and_taken_back() -> None:
    w = Variable(jnp.array([1.0]), name="w")
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    for _ in range(2):
        optimizer.apply([jnp.ones(1)], [w])
    callback = callbacks.SwapEMAWeights()
    callback.set_model(Model(optimizer=optimizer))
    assert w.numpy().tolist() == [-1.0]
    callback.on_test_begin()
    assert w.numpy().tolist() == [-0.5]
    callback.on_test_end()
    assert w.numpy().tolist() == [-1.0]
    other = callbacks.SwapEMAWeights()
    other.set_model(Model())
    with pytest.raises(InvalidArgument, match="use_ema"):
        other.on_predict_begin()


def test_averages_stay_at_the_end_of_the_last_epoch() -> None:
    w = Variable(jnp.array([1.0]), name="w")
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    callback = callbacks.SwapEMAWeights(swap_on_epoch=True)
    callback.set_model(Model(optimizer=optimizer))
    callback.set_params({"epochs": 2})
    shown = []
    for epoch in range(2):
        callback.on_epoch_begin(epoch) if epoch else None
        optimizer.apply([jnp.ones(1)], [w])
        callback.on_epoch_end(epoch)
        shown.append(float(w[0]))
    optimizer.finalize_variable_values([w])
    assert shown == [0.0, -0.5]
    assert float(w[0]) == -0.5


class Watch(callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.seen.append((batch, logs))


class Late(Watch):
    reads_late = True


def test_a_list_tells_each_callback_what_it_wants() -> None:
    watch, late, history = Watch(), Late(), callbacks.History()
    model = Model()
    both = callbacks.CallbackList([[watch], late, history], add_history=True, model=model, epochs=1)
    assert (both.history, model.history, watch.model, watch.params) == (
        history,
        history,
        model,
        {"epochs": 1},
    )
    value = jnp.array(0.5)
    both.on_train_begin()
    both.on_train_batch_end(0, {"loss": value})
    both.on_epoch_end(0, {"loss": value})
    assert type(watch.seen[0][1]["loss"]) is float
    assert late.seen[0][1]["loss"] is value
    assert history.history == {"loss": [0.5]}


def test_a_list_knows_who_listens() -> None:
    assert not callbacks.CallbackList(add_history=True).wants("on_train_batch_end")
    late = callbacks.CallbackList([Late()])
    assert late.wants("on_train_batch_end")
    assert not late.wants("on_train_batch_end", at_once=True)
    assert callbacks.CallbackList([Watch()]).wants("on_train_batch_end", at_once=True)
    hooked = callbacks.LambdaCallback(on_train_batch_begin=print)
    assert overrides(hooked, "on_train_batch_begin")
    assert not overrides(hooked, "on_train_batch_end")


def test_what_a_callback_puts_into_the_logs_the_next_ones_see() -> None:
    model, history = Model(), callbacks.History()
    both = callbacks.CallbackList([callbacks.ReduceLROnPlateau(mode="min"), history], model=model)
    logs = {"val_loss": np.float32(0.5)}
    both.on_train_begin()
    both.on_epoch_end(0, logs)
    assert history.history == {"val_loss": [0.5], "learning_rate": [1.0]}
    assert logs["learning_rate"] == 1.0


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a line be written over, as in a terminal."""
    monkeypatch.setattr("kerasmagic.callbacks.text._is_live", lambda: True)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_progress_is_written(capsys: pytest.CaptureFixture[str], verbose: int) -> None:
    bar = callbacks.ProgbarLogger()
    bar.set_params({"verbose": verbose, "epochs": 2, "steps": 4})
    bar.on_train_begin()
    bar.on_epoch_begin(1)
    for batch in range(4):
        bar.on_train_batch_end(batch, {"loss": jnp.array(0.5)})
    bar.on_epoch_end(1, {"loss": 0.25, "accuracy": 0.0001})
    text = capsys.readouterr().out
    if verbose == 0:
        assert text == ""
    else:
        assert "Epoch 2/2\n" in text
        assert text.endswith("/step - loss: 0.2500 - accuracy: 1.0000e-04\n")
        assert ("\r" in text) == (verbose == 1)


@pytest.mark.usefixtures("terminal")
def test_progress_without_an_end_learns_it(capsys: pytest.CaptureFixture[str]) -> None:
    bar = callbacks.ProgbarLogger()
    bar.set_params({"verbose": 1, "epochs": 1, "steps": None})
    bar.on_epoch_begin(0)
    for batch in range(3):
        bar.on_train_batch_end(batch, {"loss": 0.5})
    assert "1/Unknown" in capsys.readouterr().out
    bar.on_epoch_end(0, {"loss": 0.5})
    assert "3/3" in capsys.readouterr().out


def test_hooks_may_call_their_arguments_what_they_like() -> None:
    told: list[Any] = []
    hooks = {
        "on_epoch_end": lambda e, values: told.append((e, values)),
        "on_train_batch_end": lambda b, values: told.append((b, values)),
        "on_train_end": lambda values: told.append(values),
    }
    both = callbacks.CallbackList([callbacks.LambdaCallback(**hooks)], model=Model())
    both.on_train_batch_end(2, {"loss": 1.0})
    both.on_epoch_end(1, {"loss": 0.5})
    both.on_train_end({"loss": 0.25})
    assert told == [(2, {"loss": 1.0}), (1, {"loss": 0.5}), {"loss": 0.25}]
