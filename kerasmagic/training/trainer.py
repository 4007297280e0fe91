"""``compile``, ``fit``, ``evaluate`` and ``predict``: the facade over the steps and the loop."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from kerasmagic import callbacks as callbacks_module
from kerasmagic import metrics as metrics_module
from kerasmagic import optimizers
from kerasmagic.callbacks.intervention import as_interventions
from kerasmagic.core import tree
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.foundation.registry import LOSSES, METRICS, get_registered_object
from kerasmagic.training import events, loop, measuring
from kerasmagic.training.background import BackgroundRun
from kerasmagic.training.compile import CompiledLoss, CompiledMetrics
from kerasmagic.training.control import CurrentRun, RunControl, at_rest
from kerasmagic.training.data import Source, as_source, train_validation_split
from kerasmagic.training.data.arrays import standardize
from kerasmagic.training.data.checks import refuse_missing
from kerasmagic.training.data.source import step_parts
from kerasmagic.training.epochs import check_epochs, check_frequency, is_due
from kerasmagic.training.programs import Compiled, Programs
from kerasmagic.training.sinks import default_sinks, verbosity

_runs = itertools.count(1)


class Trainer(Programs):
    """The part of a model that learns.

    Instead of ``fit`` a loop can be written in plain JAX. ``stateless_call`` of a model or layer,
    ``stateless_apply`` of an optimizer and ``stateless_update_state`` of a metric are pure functions of the
    values of their variables, which are assigned when the loop is done:

    >>> import jax, numpy as np, kerasmagic as keras
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    >>> optimizer, loss_fn = keras.optimizers.Adam(0.1), keras.losses.MeanSquaredError()
    >>> optimizer.build(model.trainable_variables)
    >>> def loss_of(trainable, non_trainable, x, y):
    ...     y_pred, non_trainable = model.stateless_call(trainable, non_trainable, x, training=True)
    ...     return loss_fn(y, y_pred), non_trainable
    >>> @jax.jit
    ... def step(trainable, non_trainable, slots, x, y):
    ...     grad = jax.value_and_grad(loss_of, has_aux=True)
    ...     (loss, non_trainable), grads = grad(trainable, non_trainable, x, y)
    ...     trainable, slots = optimizer.stateless_apply(slots, grads, trainable)
    ...     return loss, (trainable, non_trainable, slots)
    >>> groups = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    >>> state = tuple([v.value for v in group] for group in groups)
    >>> x, losses = np.ones((4, 3), "float32"), []
    >>> for _ in range(20):
    ...     loss, state = step(*state, x, x[:, :1])
    ...     losses.append(float(loss))
    >>> for group, values in zip(groups, state):
    ...     for variable, value in zip(group, values):
    ...         _ = variable.assign(value)
    >>> losses[-1] < losses[0]
    True
    """

    stop_training = False
    stop_evaluating = False
    stop_predicting = False
    history: Any = None
    run = CurrentRun()
    _run: RunControl | None = None
    # Where a callback has brought the model back to: the epoch, and how many batches of it are done.
    _resumed: tuple[int, int] | None = None

    @at_rest(while_paused=False)
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int | str = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Say how the model learns.

        Args:
            optimizer: An optimizer or its name.
            loss: A loss, its name or a function; a list or dict by output for several outputs.
            loss_weights: Weights of the losses, in the form of ``loss``.
            metrics: A list of metrics, their names or functions; by output for several outputs.
            weighted_metrics: The same, measured with sample weights.
            run_eagerly: Whether to run the steps uncompiled, to debug them.
            steps_per_execution: Steps between two calls of the callbacks' batch methods. Where no callback
                has one, 1 and ``"auto"`` send as many steps to the device at a time as is good for speed;
                that changes no number.
            jit_compile: Whether to compile the steps; ``"auto"`` does.
            auto_scale_loss: Whether float16 training scales the loss.

        Raises:
            UnknownName: If a name stands for no optimizer, loss or metric.
            InvalidArgument: If an argument has an impossible value.
        """
        config = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        found = optimizers.get(optimizer)
        if auto_scale_loss and self.dtype_policy.name == "mixed_float16" and found is not None:
            found = optimizers.LossScaleOptimizer(found, name="loss_scale_optimizer")
        for identifier in tree.flatten([loss]):
            if isinstance(identifier, str) and identifier.lower() not in ("crossentropy", "ce"):
                _known(identifier, "loss")
        for identifier in tree.flatten([metrics, weighted_metrics]):
            if isinstance(identifier, str) and identifier.lower() not in (
                "accuracy",
                "acc",
                "crossentropy",
                "ce",
            ):
                _known(identifier, "metric")
        names = getattr(self, "output_names", None)
        steps = 1 if steps_per_execution == "auto" else steps_per_execution
        if not isinstance(steps, int) or steps < 1:
            raise InvalidArgument(
                f"`steps_per_execution` must be a positive integer or 'auto', not {steps!r}."
            )
        self._compiled = Compiled(
            optimizer=found,
            loss=None if loss is None else CompiledLoss(loss, loss_weights, names),
            metrics=CompiledMetrics(metrics, weighted_metrics, names),
            tracker=metrics_module.Mean(name="loss"),
            run_eagerly=run_eagerly,
            jit=jit_compile is not False and not run_eagerly,
            steps_per_execution=steps,
            config={**config, "optimizer": found},
        )
        self._programs.clear()
        self.stop_training = False

    # Runs over data

    @at_rest(while_paused=False)
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        background: bool = False,
        replay: Any = None,
    ) -> Any:
        """Train on data and return the history of losses and metrics.

        Args:
            x: Inputs: arrays ``(samples, ...)``, or an iterable of batches ``(x, y)``.
            y: Targets ``(samples, ...)``, when ``x`` is arrays.
            batch_size: Samples in a step; 32 when ``None``.
            epochs: The number of the last epoch.
            verbose: 0 shows nothing; 1 a live view; 2 a line per epoch.
            callbacks: Callbacks to call.
            validation_split: The share of the last samples to set aside for validation.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)`` or an iterable of batches.
            shuffle: Whether each epoch takes the samples in a new order.
            class_weight: Weights by class number.
            sample_weight: Weights ``(samples,)``.
            initial_epoch: The number of the first epoch, counted from 0.
            steps_per_epoch: Batches in an epoch.
            validation_steps: Batches in a validation.
            validation_batch_size: Samples in a batch of validation.
            validation_freq: Validate every so many epochs, or at the listed ones.
            background: Whether to return at once and train in another thread; the run that is returned can be
                paused, steered, stopped and waited for. Meanwhile the model cannot be used but in a pause.
            replay: The history of a run that was steered by hand, or its ``interventions``: changes of the
                learning rate, rewinds and a stop are made again after the same batches.

        Returns:
            A ``History``; a ``BackgroundRun`` in the background.

        Raises:
            InvalidArgument: If arguments contradict each other or data does not fit the model, or if a run of
                the model is on in another thread.
            KeyboardInterrupt: When interrupted; the weights are then those of the last finished step.
        """
        self._require_compiled("fit")
        check_epochs({"epochs": epochs, "initial_epoch": initial_epoch})
        check_frequency(validation_freq)
        repeated = as_interventions(replay)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = train_validation_split(
                (x, y, sample_weight), validation_split
            )
        source = as_source(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            shuffle=shuffle,
            class_weight=class_weight,
            steps=steps_per_epoch,
        )
        first = source.first()
        self._prepare(first)
        self._check_values(source.arrays or step_parts(first), first)
        validate = None
        if validation_data is not None:
            options = {"batch_size": validation_batch_size or batch_size, "steps": validation_steps}
            validate = self._validator(validation_data, options, epochs)
        steps = steps_per_epoch or source.steps
        self.stop_training = False
        self._resumed = None
        # A list of its own for each run: histories keep theirs.
        self.__dict__.pop("compilations", None)
        # Views count steps against the limit; callbacks see it in their parameters.
        callback_list = self._callbacks(
            callbacks, {"epochs": epochs, "steps": steps, "verbose": verbosity(verbose)}
        )
        plan = loop.Plan(
            epochs,
            initial_epoch,
            steps_per_epoch,
            steps,
            None if validate is None else lambda: validate(callback_list),
            lambda epoch: is_due(epoch, validation_freq),
            repeated,
        )
        return self._follow(plan, source, callback_list, default_sinks(verbose), background)

    def _follow(
        self, plan: loop.Plan, source: Source, callbacks: Any, sinks: list[events.Sink], background: bool
    ) -> Any:
        """Train as planned, here or in a thread of its own."""
        control = BackgroundRun(self.name) if background else RunControl(self.name)
        control.history = self.history
        execution = self.make_train_function()
        run = loop.TrainingRun(self, execution, source, plan, callbacks, sinks, control, shared=background)
        run.emit(self._run_started(source, plan))
        if isinstance(control, BackgroundRun):
            self._run = control
            return control.start(run.run)
        run.run()
        return self.history

    def _run_started(self, source: Source, plan: loop.Plan) -> events.RunStarted:
        return events.RunStarted(
            run=next(_runs),
            model=self.name,
            epochs=plan.epochs,
            initial_epoch=plan.initial_epoch,
            steps=plan.known_steps,
            batch_size=source.batch_size,
            metrics=tuple(self.metrics_names),
            validation=plan.validate is not None,
            parameters=sum(v.size for v in self.weights),
            device=str(jax.devices()[0].device_kind),
            time=time.time(),
        )

    def _validator(self, data: Any, options: dict[str, Any], times: int) -> Callable[[Any], dict[str, float]]:
        x, y, weight = step_parts(data)
        source = as_source(x, y, weight, **options)
        if source.arrays is not None:  # What does not fit is said before the first epoch.
            self._prepare(source.first())

        def validate(callbacks: Any) -> dict[str, float]:
            self.stop_evaluating = False
            execution = self.make_test_function()
            steps = options["steps"]
            return measuring.Measurement(self, execution, source, steps, callbacks, times).evaluate()

        return validate

    @at_rest
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Return loss and metrics over data: a number, a list in the order of ``metrics_names``, or a dict.

        Args:
            x: Inputs, as for ``fit``.
            y: Targets, as for ``fit``.
            batch_size: Samples in a batch; 32 when ``None``.
            verbose: 0 shows nothing; 1 a progress bar; 2 one line.
            sample_weight: Weights ``(samples,)``.
            steps: Batches to take.
            callbacks: Callbacks to call.
            return_dict: Whether to return a dict by name.

        Raises:
            InvalidArgument: If the model is not compiled or the data does not fit it.
        """
        self._require_compiled("evaluate")
        source = as_source(x, y, sample_weight, batch_size=batch_size, steps=steps)
        first = source.first()
        self._prepare(first)
        self._check_labels(step_parts(first)[1] if source.arrays is None else source.arrays[1])
        self.stop_evaluating = False
        callback_list = self._callbacks(callbacks, {"steps": steps or source.steps}, verbose)
        logs = measuring.Measurement(self, self.make_test_function(), source, steps, callback_list).evaluate()
        return logs if return_dict else self._in_order(logs)

    @at_rest
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Return the outputs for data as NumPy arrays ``(samples, ...)``.

        Args:
            x: Inputs, as for ``fit``.
            batch_size: Samples in a batch; 32 when ``None``.
            verbose: 0 shows nothing; 1 a progress bar; 2 one line.
            steps: Batches to take.
            callbacks: Callbacks to call.

        Raises:
            InvalidArgument: If the data does not fit the model.
        """
        source = as_source(x, batch_size=batch_size, steps=steps)
        first = source.first()
        self._ensure_built(step_parts(first)[0])
        self.stop_predicting = False
        batches = source.batches
        data = dataclasses.replace(source, batches=lambda: ((step_parts(batch)[0],) for batch in batches()))
        callback_list = self._callbacks(callbacks, {"steps": steps or source.steps}, verbose)
        execution = self.make_predict_function()
        return measuring.Measurement(self, execution, data, steps, callback_list).predict()

    @at_rest(while_paused=False)
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Take one step on one batch and return loss and metrics."""
        return self._on_batch(self.make_train_function, x, y, sample_weight, class_weight, return_dict)

    @at_rest
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Measure one batch and return loss and metrics."""
        return self._on_batch(self.make_test_function, x, y, sample_weight, None, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """Return the outputs for one batch as NumPy arrays."""
        return self.predict(x, batch_size=max((len(leaf) for leaf in tree.flatten(x)), default=1), verbose=0)

    def _on_batch(
        self, make: Callable[[], Any], x: Any, y: Any, weight: Any, class_weight: Any, return_dict: bool
    ) -> Any:
        self._require_compiled("train_on_batch")
        size = len(tree.flatten(x)[0])
        source = as_source(x, y, weight, batch_size=size, class_weight=class_weight)
        batch = source.first()
        self._prepare(batch)
        self.reset_metrics()
        logs = measuring.one_batch(self, make(), batch)
        return logs if return_dict else self._in_order(logs)

    def _in_order(self, logs: dict[str, Any]) -> Any:
        """Return measurements as a list, the loss first; one alone as itself."""
        names = dict.fromkeys([*self.metrics_names, *sorted(logs)])
        values = [logs[name] for name in names if name in logs]
        return values[0] if len(values) == 1 else values

    def _callbacks(self, callbacks: Any, params: dict[str, Any], verbose: Any = None) -> Any:
        """Return the callbacks as one; those of ``fit``, where ``verbose`` is ``None``, with a history."""
        if isinstance(callbacks, callbacks_module.CallbackList):
            return callbacks
        fitting = verbose is None
        if not fitting:
            params = {"epochs": 1, "verbose": verbosity(verbose), **params}
        bar = [] if fitting or verbose == 0 else [callbacks_module.ProgbarLogger()]
        return callbacks_module.CallbackList(callbacks, fitting, bar, model=self, **params)

    # Building from a batch

    def _ensure_built(self, x: Any) -> None:
        if not self.built or any(not layer.built for layer in self._flatten_layers()):
            self(tree.map_structure(_open_batch, x), training=False)

    def _prepare(self, batch: Any) -> None:
        """Build the model, its losses and metrics and the optimizer for batches like this one."""
        compiled = self._require_compiled("fit")
        x, y, _ = step_parts(batch)
        self._ensure_built(x)
        self._require_targets(y)
        leaves = [leaf for leaf in tree.flatten([x, y]) if leaf is not None]
        kinds = tuple((np.shape(leaf)[1:], getattr(leaf, "dtype", None)) for leaf in leaves)
        if y is not None and kinds not in compiled.fitting:
            inputs, targets = (tree.map_structure(_open_batch, part) for part in (x, y))
            outputs = self._outputs_for(inputs)
            if compiled.loss is not None:
                if not compiled.loss.built:
                    compiled.loss.build(targets, outputs)
                if not self._has_own_steps():
                    compiled.loss.check_shapes(targets, outputs, len(leaves[-1]))
            if not compiled.metrics.built:
                compiled.metrics.build(targets, outputs)
            compiled.fitting.add(kinds)
        if compiled.optimizer is not None:
            compiled.optimizer.keep_up_with(self.trainable_variables)

    def _outputs_for(self, inputs: Any) -> Any:
        """Return symbolic outputs for symbolic inputs."""
        options = {"training": False} if "training" in self._call_signature.parameters else {}
        return self.compute_output_spec(inputs, **options)

    def _check_labels(self, y: Any) -> None:
        loss = self._require_compiled("fit").loss
        if y is not None and loss is not None and loss.built:
            loss.check_labels(tree.map_structure(standardize, y))

    def _check_values(self, data: tuple[Any, ...], first: Any) -> None:
        """Refuse data that would destroy the weights."""
        self._check_labels(data[1])
        data = tree.map_structure(standardize, data)
        self._check_inputs(data[0])

        def loss_of(sample: int) -> float:
            size = len(next(leaf for leaf in tree.flatten(first) if leaf is not None))
            rows = slice(sample, sample + size)
            batch = tree.map_structure(lambda leaf: None if leaf is None else leaf[rows], data)
            self.reset_metrics()
            return measuring.one_batch(self, self.make_test_function(), batch).get("loss", 0.0)

        refuse_missing(data, loss_of)

    # Configuration

    def get_compile_config(self) -> dict[str, Any] | None:
        """Return the arguments of ``compile`` as plain data, or ``None``."""
        if self._compiled is None:
            return None
        return serialize_keras_object(
            {k: v for k, v in self._compiled.config.items() if k != "auto_scale_loss"}
        )

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what ``get_compile_config`` returned."""
        self.compile(**deserialize_keras_object(dict(config)))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)


def _open_batch(x: Any) -> Any:
    if x is None:
        return None
    x = standardize(x)
    return KerasTensor((None, *x.shape[1:]), jax.dtypes.canonicalize_dtype(x.dtype))


def _known(identifier: str, kind: str) -> None:
    if get_registered_object(identifier) is None:
        (LOSSES if kind == "loss" else METRICS).find(identifier)
