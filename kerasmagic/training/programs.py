"""A model's steps: what a subclass may override, and the compiled programs made of them."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from kerasmagic.core.layer import Layer
from kerasmagic.core.scope import StatelessScope
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.training import step
from kerasmagic.training.compilations import Compilation, Compilations
from kerasmagic.training.compile import CompiledLoss, CompiledMetrics
from kerasmagic.training.fusing import Execution, Parts
from kerasmagic.training.state import TrainState

_NO_TARGETS = "The model was compiled with a loss, but no targets came. Pass `y`, or batches `(x, y)`."


@dataclasses.dataclass
class Compiled:
    """What ``compile`` decided."""

    optimizer: Any
    loss: CompiledLoss | None
    metrics: CompiledMetrics
    tracker: Any
    run_eagerly: bool
    jit: bool
    steps_per_execution: int
    config: dict[str, Any]
    # The shapes of inputs and targets that the losses have taken.
    fitting: set[Any] = dataclasses.field(default_factory=set)


class Programs(Layer):
    """The part of a model that knows its loss, its metrics and its steps."""

    _compiled: Compiled | None = None

    @functools.cached_property
    def _programs(self) -> dict[str, tuple[Any, Execution]]:
        return {}

    @functools.cached_property
    def compilations(self) -> list[Compilation]:
        """What was compiled since ``fit`` last began, and why."""
        return []

    def _note_compilation(self, compilation: Compilation) -> None:
        self.compilations.append(compilation)

    @property
    def _call_has_training(self) -> bool:
        return True

    @property
    def compiled(self) -> bool:
        """Whether ``compile`` was called."""
        return self._compiled is not None

    @property
    def optimizer(self) -> Any:
        """The optimizer, or ``None`` before ``compile``."""
        return None if self._compiled is None else self._compiled.optimizer

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        self._require_compiled("optimizer").optimizer = value

    @property
    def run_eagerly(self) -> bool:
        """Whether the steps run uncompiled."""
        return self._compiled is not None and self._compiled.run_eagerly

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        compiled = self._require_compiled("run_eagerly")
        jit = compiled.config["jit_compile"] is not False and not value
        self._compiled = dataclasses.replace(compiled, run_eagerly=value, jit=jit)
        self._programs.clear()

    @property
    def jit_compile(self) -> bool:
        """Whether the steps are compiled."""
        return self._compiled is None or self._compiled.jit

    @property
    def steps_per_execution(self) -> int:
        """How many steps go to the device at a time."""
        return 1 if self._compiled is None else self._compiled.steps_per_execution

    @property
    def loss(self) -> Any:
        """What ``compile(loss=)`` was given."""
        return None if self._compiled is None else self._compiled.config["loss"]

    @property
    def metrics(self) -> list[Any]:
        """The loss' running mean, the metrics of ``compile``, those of the model and of its layers."""
        own = list(super().metrics)
        if self._compiled is None:
            return own
        losses = self._compiled.loss.metrics if self._compiled.loss is not None else []
        return [self._compiled.tracker, *self._compiled.metrics.metrics, *losses, *own]

    @property
    def metrics_names(self) -> list[str]:
        """The names of the metrics."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Forget what the metrics have seen."""
        for metric in self.metrics:
            metric.reset_state()

    @property
    def _loss_tracker(self) -> Any:
        return self._require_compiled("fit").tracker

    def _require_compiled(self, method: str) -> Compiled:
        if self._compiled is None:
            raise InvalidArgument(f"You must call `compile()` before calling `{method}()`.")
        return self._compiled

    def _require_targets(self, y: Any) -> None:
        """Refuse to begin without targets where every step would ask for them."""
        if y is None and not self._has_own_steps() and self._require_compiled("fit").loss is not None:
            raise InvalidArgument(_NO_TARGETS)

    def _has_own_steps(self) -> bool:
        """Whether a subclass decides what is done with the targets."""
        steps = ("compute_loss", "train_step", "test_step")
        return any(getattr(type(self), name) is not getattr(Programs, name) for name in steps)

    def _check_inputs(self, x: Any) -> None:
        """Refuse inputs that would destroy the weights, all samples; a model knows whether they would."""

    # What a subclass may override

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the loss of a batch, shape ``()``: that of ``compile`` and the layers' penalties."""
        compiled = self._require_compiled("compute_loss")
        parts = []
        if compiled.loss is not None:
            if y is None:
                raise InvalidArgument(_NO_TARGETS)
            parts.append(compiled.loss(y, y_pred, sample_weight))
        parts.extend(value.sum() for value in self.losses)
        if not parts:
            raise InvalidArgument(
                "No loss to compute. Provide a `loss` argument in `compile()`, or call `self.add_loss` in a layer."
            )
        return sum(parts[1:], parts[0])

    def _call_compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        # Overrides from before Keras 3.5 take no `training`.
        parameters = inspect.signature(self.compute_loss).parameters
        variadic = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        options = {"training": training} if variadic or "training" in parameters else {}
        return self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **options)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Take a batch into the metrics and return all of them so far by name."""
        compiled = self._require_compiled("compute_metrics")
        if y is not None:
            compiled.metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """Return all metrics so far by name."""
        compiled = self._require_compiled("get_metrics_result")
        results = {compiled.tracker.name: compiled.tracker.result(), **compiled.metrics.result()}
        listed = {id(m) for m in (compiled.tracker, *compiled.metrics.metrics)}
        for metric in self.metrics:
            if id(metric) not in listed:
                result = metric.result()
                results.update(result if isinstance(result, Mapping) else {metric.name: result})
        return results

    def compute_loss_and_updates(
        self,
        trainable_variables: Any,
        non_trainable_variables: Any,
        metrics_variables: Any,
        x: Any,
        y: Any,
        sample_weight: Any,
        training: bool = False,
        optimizer_variables: Any = None,
    ) -> tuple[Any, Any]:
        """Return the loss of a batch as a pure function of the variables' values, for ``jax.value_and_grad``.

        Args:
            trainable_variables: One array per variable of ``self.trainable_variables``.
            non_trainable_variables: One array per variable of ``self.non_trainable_variables``.
            metrics_variables: One array per variable of ``self.metrics_variables``.
            x: Inputs ``(batch, ...)``.
            y: Targets ``(batch, ...)``.
            sample_weight: Weights ``(batch,)`` or ``None``.
            training: Whether layers behave as in training.
            optimizer_variables: One array per variable of the optimizer, in training.

        Returns:
            The scaled loss, shape ``()``, and ``(loss, y_pred, non_trainable_variables, metrics_variables)``.
        """
        values = (trainable_variables, non_trainable_variables, optimizer_variables or [], metrics_variables)
        return step.loss_and_updates(self, TrainState(*map(list, values)), x, y, sample_weight, training)

    def stateless_compute_loss(
        self,
        trainable_variables: Any,
        non_trainable_variables: Any,
        metrics_variables: Any,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tuple[Any, tuple[Any, list[Any], list[Any]]]:
        """Return the loss, shape ``()``, as a pure function, and the values of all variables after it.

        Takes the values as ``compute_loss_and_updates`` does, and outputs ``y_pred`` computed before.
        """
        mapping = [
            *zip(self.trainable_variables, trainable_variables, strict=True),
            *zip(self.non_trainable_variables, non_trainable_variables, strict=True),
            *zip(self.metrics_variables, metrics_variables, strict=True),
        ]
        with StatelessScope(mapping) as scope:
            loss = self._call_compute_loss(x, y, y_pred, sample_weight, training)
            non_trainable, metrics = (
                [scope.get_current_value(v) for v in variables]
                for variables in (self.non_trainable_variables, self.metrics_variables)
            )
        return loss, (trainable_variables, non_trainable, metrics)

    def train_step(self, state: Any, data: Any) -> tuple[Any, Any]:
        """Take one step: from ``(trainable, non_trainable, optimizer, metrics)`` values to logs and new ones."""
        return step.train_step(self, TrainState(*state), data)

    def test_step(self, state: Any, data: Any) -> tuple[Any, Any]:
        """Measure a batch: from ``(trainable, non_trainable, metrics)`` values to logs and new ones."""
        trainable, non_trainable, metrics = state
        logs, new = step.test_step(self, TrainState(trainable, non_trainable, [], metrics), data)
        return logs, (new.trainable, new.non_trainable, new.metrics)

    def predict_step(self, state: Any, data: Any) -> tuple[Any, Any]:
        """Return the outputs for a batch and the new non-trainable values."""
        outputs, new = step.predict_step(self, TrainState(state[0], state[1], [], []), data)
        return outputs, new.non_trainable

    # The compiled steps, each from a TrainState to a TrainState

    def make_train_function(self, force: bool | str = False) -> Execution:
        """Return the compiled training step, made anew with ``force``, which may say why."""

        def train(_: Any, state: TrainState, data: Any) -> tuple[Any, TrainState]:
            logs, new = self.train_step(tuple(state), data)
            return logs, TrainState(*new)

        parts = Parts(lambda state: (), lambda state: state, lambda _, new: new)
        return self._execution("train", train, parts, force)

    def make_test_function(self, force: bool = False) -> Execution:
        """Return the compiled evaluation step."""

        def test(trainable: Any, rest: Any, data: Any) -> Any:
            logs, (_, *rest) = self.test_step((trainable, *rest), data)
            return logs, tuple(rest)

        parts = Parts(
            lambda state: state.trainable,
            lambda state: (state.non_trainable, state.metrics),
            lambda state, new: state._replace(non_trainable=new[0], metrics=new[1]),
        )
        return self._execution("test", test, parts, force)

    def make_predict_function(self, force: bool = False) -> Execution:
        """Return the compiled prediction step."""

        def predict(trainable: Any, non_trainable: Any, data: Any) -> Any:
            return self.predict_step((trainable, non_trainable), data)

        parts = Parts(
            lambda state: state.trainable,
            lambda state: state.non_trainable,
            lambda state, new: state._replace(non_trainable=new),
        )
        return self._execution("predict", predict, parts, force, donate=False)

    def _execution(
        self, name: str, pure: Callable[..., Any], parts: Parts, force: bool | str, donate: bool = True
    ) -> Execution:
        # A program holds for the variables that were trainable, and the layers that trained, when it was made.
        valid_for = (
            [id(v) for v in self.trainable_variables],
            [layer.trainable for layer in self._flatten_layers()],
        )
        made = self._programs.get(name)
        if made is None or force or made[0] != valid_for:
            compiled = self._compiled
            reason = "first step" if made is None else "layers were frozen or unfrozen"
            if made is not None and force:
                reason = force if isinstance(force, str) else "asked for"
            execution = Execution(
                pure,
                parts,
                compiled=(compiled is None or compiled.jit) and self.supports_jit,
                donate=donate,
                steps=1 if compiled is None else compiled.steps_per_execution,
                collect=name == "predict",
                compilations=Compilations(name, self._note_compilation, reason),
            )
            made = self._programs[name] = (valid_for, execution)
        return made[1]
