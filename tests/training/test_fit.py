"""Training: what fit, evaluate and predict promise, whatever the numbers are."""

import signal
import threading

import numpy as np
import pytest

import kerasmagic as keras
from kerasmagic import layers
from kerasmagic.training import events
from kerasmagic.training.sinks import set_default_sink


def small_model(**compile_options):
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    model.compile(
        **{
            "optimizer": "adam",
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
            **compile_options,
        }
    )
    return model


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 4)).astype("float32")
    return x, (x.sum(1) > 0).astype("int32") + (x[:, 0] > 1)


def test_fit_learns_and_tells(data):
    x, y = data
    history = small_model().fit(x, y, epochs=12, batch_size=8, verbose=0, validation_data=(x, y))
    assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert len(history.history["loss"]) == 12
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert history.epoch == list(range(12))


def test_evaluate_and_predict(data):
    x, y = data
    model = small_model()
    model.fit(x, y, verbose=0)
    loss, accuracy = model.evaluate(x, y, verbose=0)
    named = model.evaluate(x, y, verbose=0, return_dict=True)
    assert named == {"loss": pytest.approx(loss), "accuracy": pytest.approx(accuracy)}
    predictions = model.predict(x, batch_size=7, verbose=0)
    assert predictions.shape == (50, 3)
    np.testing.assert_allclose(predictions, model(x), rtol=1e-5, atol=1e-6)


def test_a_seed_fixes_everything(data):
    x, y = data
    results = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((4,)), layers.Dense(8), layers.Dropout(0.5), layers.Dense(3)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(x, y, epochs=2, verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_without_input_is_built_from_the_data(data):
    x, y = data
    model = keras.Sequential([layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    assert model.weights[0].shape == (4, 3)


def test_batches_may_come_from_a_generator(data):
    x, y = data

    def batches():
        while True:
            yield x[:10], y[:10]

    history = small_model().fit(batches(), steps_per_epoch=3, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2


def test_a_generator_that_runs_dry_stops_with_a_warning(data):
    x, y = data
    with pytest.warns(UserWarning, match="ran out of data"):
        history = small_model().fit(((x, y) for _ in range(3)), epochs=5, verbose=0)
    assert len(history.history["loss"]) == 1


def test_a_list_of_batches_is_gone_through_each_epoch(data):
    x, y = data

    class Batches:
        def __len__(self):
            return 5

        def __getitem__(self, index):
            if index >= 5:
                raise IndexError
            return x[index * 10 : index * 10 + 10], y[index * 10 : index * 10 + 10]

    assert len(small_model().fit(Batches(), epochs=3, verbose=0).history["loss"]) == 3


def test_two_inputs_and_two_outputs(data):
    x, y = data
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    h = layers.Add()([layers.Dense(5)(a), layers.Dense(5)(b)])
    model = keras.Model(
        {"a": a, "b": b},
        [layers.Dense(3, activation="softmax", name="kind")(h), layers.Dense(1, name="size")(h)],
    )
    model.compile(
        "adam",
        {"kind": "sparse_categorical_crossentropy", "size": "mse"},
        metrics={"kind": ["accuracy"]},
        loss_weights={"size": 0.5},
    )
    history = model.fit({"a": x, "b": x}, {"kind": y, "size": x[:, :1]}, verbose=0)
    assert set(history.history) == {"loss", "kind_loss", "size_loss", "kind_accuracy"}
    h = {k: v[0] for k, v in history.history.items()}
    assert h["loss"] == pytest.approx(h["kind_loss"] + 0.5 * h["size_loss"], rel=1e-5)


def test_sample_and_class_weights_change_the_loss(data):
    x, y = data
    model = small_model()
    plain = model.evaluate(x, y, verbose=0)[0]
    weighted = model.evaluate(x, y, sample_weight=np.linspace(0, 1, 50), verbose=0)[0]
    assert plain != weighted
    model.fit(x, y, class_weight={0: 1.0, 1: 5.0}, verbose=0)


def test_validation_split_takes_the_last_samples(data):
    x, y = data
    history = small_model().fit(x, y, validation_split=0.2, verbose=0)
    assert "val_loss" in history.history


def test_callbacks_can_stop_the_run(data):
    x, y = data

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.model.stop_training = True

    assert len(small_model().fit(x, y, epochs=9, verbose=0, callbacks=[Stop()]).history["loss"]) == 2


def test_a_callback_sees_the_weights_of_the_step_before(data):
    x, y = data
    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(self.model.get_weights()[0].sum())

    small_model().fit(x, y, batch_size=10, verbose=0, callbacks=[Look()])
    assert len(set(seen)) == 5


def test_fit_needs_compile():
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="compile"):
        model.fit(np.ones((1, 1)), np.ones((1, 1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "mze"}, "Did you mean 'mse'"),
        ({"optimizer": "adamm"}, "Did you mean 'adam"),
        ({"metrics": ["accurracy"]}, "Unknown metric"),
        ({"metrics": "accuracy"}, r"metrics=\['accuracy'\]"),
    ],
)
def test_compile_explains_wrong_names(options, message):
    with pytest.raises(ValueError, match=message):
        small_model(**options)


class Recorder:
    """A view that only listens."""

    def __init__(self):
        self.events = []

    def emit(self, event):
        self.events.append(event)

    def wants_weights(self):
        return False


@pytest.fixture
def recorder():
    sink = Recorder()
    before = set_default_sink(lambda verbose: sink)
    yield sink
    set_default_sink(before.__call__ if before else None)


def test_events_tell_the_whole_run(data, recorder):
    x, y = data
    # Who looks at each batch lets every step be told.
    each = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    small_model().fit(x, y, epochs=2, batch_size=25, validation_data=(x, y), callbacks=[each])
    kinds = [type(e).__name__ for e in recorder.events if not isinstance(e, events.ProgramCompiled)]
    epoch = ["StepsDone", "StepsDone", "PhaseStarted", "EpochEnded"]
    assert kinds == [
        *["RunStarted", "EpochStarted", "PhaseStarted", "PhaseStarted", *epoch],
        *["EpochStarted", "PhaseStarted", *epoch, "RunEnded"],
    ]
    steps = [e for e in recorder.events if isinstance(e, events.StepsDone)]
    places = [(e.step, e.total_step, e.samples) for e in steps]
    assert places == [(1, 1, 25), (2, 2, 25), (1, 3, 25), (2, 4, 25)]
    assert recorder.events[-1].outcome == "finished"


def test_a_view_that_wants_the_weights_gets_those_of_the_end(data, recorder):
    x, y = data
    recorder.wants_weights = lambda: not any(isinstance(e, events.WeightsSeen) for e in recorder.events)
    small_model().fit(x, y, batch_size=25)
    seen = [e for e in recorder.events if isinstance(e, events.WeightsSeen)]
    assert [e.total_step for e in seen] == [1, 2]
    assert {int(h.counts.sum()) for h in seen[-1].histograms.values()} == {32, 8, 24, 3}


def test_the_rest_of_an_epoch_is_reported(data, recorder):
    x, y = data
    small_model(steps_per_execution=2).fit(x, y, batch_size=10)
    assert [e.step for e in recorder.events if isinstance(e, events.StepsDone)] == [2, 4, 5]


def test_a_view_can_ask_to_stop(data, recorder):
    x, y = data
    recorder.attach = lambda controls: controls.stop()
    small_model().fit(x, y, epochs=5, batch_size=10)
    assert recorder.events[-1].outcome == "stopped"
    assert sum(isinstance(e, events.StepsDone) for e in recorder.events) == 0


def test_a_view_that_fails_does_not_stop_training(data, recorder):
    x, y = data
    recorder.emit = lambda event: 1 / 0
    with pytest.warns(UserWarning, match="view of the training run failed"):
        small_model().fit(x, y)


@pytest.fixture
def interruptible():
    """Let SIGINT raise, also where the test runner was started with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_keeps_the_last_finished_step(data, recorder):
    x, y = data
    model = small_model()
    model.fit(x, y, verbose=0)

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.weights = self.model.get_weights()
            if batch == 2:
                signal.raise_signal(signal.SIGINT)

    callback = Interrupt()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=10, callbacks=[callback])
    for kept, seen in zip(model.get_weights(), callback.weights, strict=True):
        np.testing.assert_array_equal(kept, seen)
    assert recorder.events[-1].outcome == "interrupted"
    model.fit(x, y, verbose=0)


def test_an_error_in_the_data_keeps_the_weights(data, recorder):
    x, y = data
    model = small_model()

    def batches():
        yield x, y
        raise RuntimeError("no more disk")

    with pytest.raises(RuntimeError, match="no more disk"):
        model.fit(batches(), epochs=1)
    assert np.isfinite(model.get_weights()[0]).all()
    assert "no more disk" in recorder.events[-1].message


def test_training_works_outside_the_main_thread(data):
    x, y = data
    results = []
    thread = threading.Thread(target=lambda: results.append(small_model().fit(x, y, verbose=0)))
    thread.start()
    thread.join()
    assert len(results[0].history["loss"]) == 1


def test_an_overridden_train_step(data):
    x, y = data

    class Counting(keras.Sequential):
        def train_step(self, state, batch):
            logs, state = super().train_step(state, batch)
            return {**logs, "twice": 2 * logs["loss"]}, state

    model = Counting([keras.Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit(x, y, verbose=0)
    assert history.history["twice"][0] == pytest.approx(2 * history.history["loss"][0])


def test_a_subclass_whose_call_takes_no_training(data):
    x, _ = data

    class Plain(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(4)

        def call(self, x):
            self.add_loss(0.5 * (x**2).mean())
            return self.dense(x)

    model = Plain()
    model.compile("sgd", "mse")
    history = model.fit(x, x, verbose=0, batch_size=50)
    assert history.history["loss"][0] > 0.5 * float((x**2).mean())


def test_train_and_test_on_batch(data):
    x, y = data
    model = small_model()
    first = model.train_on_batch(x, y, return_dict=True)
    assert set(first) == {"loss", "accuracy"}
    assert model.test_on_batch(x, y)[0] < 3
    assert model.predict_on_batch(x).shape == (50, 3)


def test_progress_in_a_plain_terminal(data, capsys):
    x, y = data
    small_model().fit(x, y, epochs=2, verbose=2)
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("Epoch 2/2")
    assert "loss:" in lines[1]


@pytest.mark.parametrize("verbose", [0, 1, 2, "auto"])
def test_evaluation_and_prediction_show_how_far_they_are(data, capsys, verbose):
    x, y = data
    model = small_model()
    model.evaluate(x, y, verbose=verbose)
    model.predict(x, verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    if verbose == 0:
        assert lines == []
        return
    assert len(lines) == 2
    bar = " ━━━━━━━━━━━━━━━━━━━━ " if verbose != 2 else " - "
    assert all(line.startswith(f"2/2{bar}") for line in lines)
    assert "/step - accuracy: " in lines[0]
    assert "loss: " in lines[0]
    assert lines[1].endswith("/step")


def test_training_goes_on_from_a_given_epoch(data):
    x, y = data
    history = small_model().fit(x, y, initial_epoch=3, epochs=5, verbose=0)
    assert history.epoch == [3, 4]


@pytest.mark.parametrize(("frequency", "count"), [(2, 2), ([1, 5], 2), (4, 1)])
def test_validation_takes_place_when_it_is_due(data, frequency, count):
    x, y = data
    history = small_model().fit(
        x, y, epochs=5, verbose=0, validation_data=(x, y), validation_freq=frequency, validation_steps=1
    )
    assert len(history.history["val_loss"]) == count


def test_callbacks_hear_of_validation(data):
    x, y = data
    told = []
    hooks = ("on_test_begin", "on_test_batch_end", "on_test_end", "on_epoch_end")
    watch = keras.callbacks.LambdaCallback(
        **{name: (lambda *_, name=name, **__: told.append(name)) for name in hooks}
    )
    small_model().fit(x, y, verbose=0, validation_data=(x, y), callbacks=[watch])
    assert told == ["on_test_begin", "on_test_batch_end", "on_test_batch_end", "on_test_end", "on_epoch_end"]


def test_the_best_weights_stay_when_training_stops_early(data):
    x, y = data
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_loss"] = [3.0, 1.0, 2.0, 2.0][epoch]
            seen.append(self.model.get_weights()[0].copy())

    stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    model = small_model()
    model.fit(x, y, epochs=9, verbose=0, validation_data=(x, y), callbacks=[Look(), stop])
    assert len(seen) == 4
    np.testing.assert_array_equal(model.get_weights()[0], seen[1])


def test_averages_take_the_place_of_the_weights_at_the_end(data):
    x, y = data
    model = small_model(optimizer=keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9))
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(model.weights[0], model.optimizer._model_variables_moving_average[0])


def test_layers_can_be_frozen_and_thawed_at_any_time(data):
    x, y = data
    model = small_model()
    first, last = model.layers

    def trained():
        before = [layer.get_weights()[0].copy() for layer in (first, last)]
        model.fit(x, y, verbose=0)
        return [(layer.get_weights()[0] != w).any() for layer, w in zip((first, last), before, strict=True)]

    assert trained() == [True, True]
    first.trainable = False
    momentum = {v.name: v.numpy() for v in model.optimizer.variables}
    assert trained() == [False, True]
    # What is still trained keeps its state: two steps are added to those before.
    assert int(model.optimizer.iterations.value) == 4
    assert {v.name for v in model.optimizer.variables} < set(momentum)
    first.trainable, last.trainable = True, False
    assert trained() == [True, False]


def test_metrics_of_a_batch_are_those_of_that_batch_alone(data):
    x, y = data
    model = small_model()
    model.test_on_batch(x, 1 - np.minimum(y, 1))
    alone = model.test_on_batch(x, y, return_dict=True)
    assert alone == pytest.approx(model.evaluate(x, y, batch_size=50, verbose=0, return_dict=True))


def test_a_loss_that_a_model_computes_itself(data):
    x, y = data

    class Distance(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)
            self.seen = keras.metrics.Mean(name="seen")

        def call(self, x):
            return self.dense(x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            loss = keras.ops.mean((y_pred[:, 0] - y) ** 2)
            self.seen.update_state(loss)
            return loss

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            return {**super().compute_metrics(x, y, y_pred, sample_weight), "constant": 2.0}

        def predict_step(self, state, data):
            outputs, state = super().predict_step(state, data)
            return 2 * outputs, state

    model = Distance()
    model.compile("sgd")
    history = model.fit(x, y.astype("float32"), batch_size=50, verbose=0).history
    assert set(history) == {"loss", "seen", "constant"}
    assert history["seen"] == pytest.approx(history["loss"])
    np.testing.assert_allclose(model.predict(x, verbose=0), 2 * model(x), rtol=1e-5)


def test_mixed_precision_scales_the_loss(data):
    x, y = data
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small_model()
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    history = model.fit(x, y, epochs=8, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert {v.dtype for v in model.weights} == {"float32"}
    assert model.predict(x[:2], verbose=0).dtype == np.float16


def test_metrics_see_arrays_of_the_device_in_uncompiled_steps(data):
    x, y = data

    class Seen(keras.metrics.Metric):
        def __init__(self):
            super().__init__(name="seen")
            self.counts = self.add_variable((3,), "zeros", name="counts")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.counts.assign(self.counts.value.at[y_true.astype(int)].add(1.0))

        def result(self):
            return keras.ops.sum(self.counts)

    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[Seen()], run_eagerly=True)
    history = model.fit(
        x[:16], y[:16], batch_size=8, epochs=2, validation_data=(x[:8], y[:8]), verbose=0
    ).history
    assert (history["seen"], history["val_seen"]) == ([16, 16], [8, 8])
    assert model.train_on_batch(x[:8], y[:8])[1] == 8
    model.reset_metrics()
    assert all(isinstance(v.held(), np.ndarray) for v in model.metrics_variables)
    assert model.test_on_batch(x[:8], y[:8])[1] == 8


def test_steps_can_run_uncompiled(data):
    x, y = data
    traced = []

    class Spy(layers.Layer):
        def call(self, inputs):
            traced.append(type(inputs).__name__)
            return inputs

    model = keras.Sequential([keras.Input((4,)), Spy(), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    traced.clear()
    model.fit(x[:16], y[:16], batch_size=8, verbose=0)
    assert traced.count("ArrayImpl") == 2
    model.run_eagerly = False
    model.fit(x[:16], y[:16], batch_size=8, epochs=2, verbose=0)
    assert traced.count("ArrayImpl") == 2
